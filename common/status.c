/* status: the names of the results.
 *
 * One exhaustive switch, so that a constant added to the enum without a name here is a warning of
 * the compiler. The names appear in log lines and tests; they are not translated and not shown to
 * clients. */
#include "common/status.h"

const char *status_name(enum status status)
{
    switch (status) {
    case ST_OK:
        return "ok";
    case ST_NOT_FOUND:
        return "not_found";
    case ST_INVALID:
        return "invalid";
    case ST_BUSY:
        return "busy";
    case ST_CLOSED:
        return "closed";
    case ST_TIMEOUT:
        return "timeout";
    case ST_RETRY:
        return "retry";
    case ST_CONSTRAINT:
        return "constraint";
    case ST_UNKNOWN:
        return "unknown";
    case ST_SCHEMA:
        return "schema";
    case ST_DB:
        return "db";
    case ST_SYSTEM:
        return "system";
    }
    return "not_a_status"; /* a value outside the enum: "unknown" is a status of its own */
}
