/* One place maps faults to HTTP, so that every route of every phase answers them alike.
 *
 * 503 says "not now, try again": nothing happened. outcome_unknown says that it may have happened,
 * and has a code of its own because a blind retry may then do it twice. 500 is ours to mend. */
#include "common/http_fault.h"

#include <assert.h>

#include "common/log.h"
#include "common/random.h"

static int retry_after_s(void)
{
    return 1 + (int)random_below(HTTP_FAULT_RETRY_AFTER_MAX_S);
}

static void internal_error(struct http_request *request, enum status status)
{
    log_event(LOG_ERROR, "internal_error", LOG_TEXT("request_id", request->id),
              LOG_TEXT("status", status_name(status)));
    http_problem(request, 500, "internal_error", "The server met a fault of its own.");
}

void http_fault(struct http_request *request, enum status status)
{
    assert(status != ST_OK);
    switch (status) {
    case ST_BUSY:
    case ST_CLOSED:
    case ST_TIMEOUT:
    case ST_RETRY:
        http_problem_retry(request, 503, "overloaded",
                           "The database is busy or out of reach; nothing was done.",
                           retry_after_s());
        return;
    case ST_UNKNOWN:
        http_problem_retry(request, 503, "outcome_unknown",
                           "The answer was lost; it may have been done. A retry may do it twice.",
                           retry_after_s());
        return;
    case ST_OK:
    case ST_NOT_FOUND:
    case ST_INVALID:
    case ST_CONSTRAINT:
    case ST_SCHEMA:
    case ST_DB:
    case ST_SYSTEM:
        internal_error(request, status);
        return;
    }
}
