/* pg_status: the one map from SQLSTATE to enum status.
 *
 * A table of whole codes and of classes (the first two characters); the first entry that is a
 * prefix decides, and what is not listed is ST_DB: a fault that neither waiting nor an operator's
 * usual hand mends. Source: PostgreSQL manual, appendix A. It does not know what was running; that
 * an unanswered COMMIT is ST_UNKNOWN is pg.c's business. */
#include "common/pg.h"

#include <string.h>

enum status pg_status_of(const char *sqlstate)
{
    static const struct {
        const char *prefix; /* a whole code, or a class (two characters) */
        enum status status;
    } map[] = {
        {"55P03", ST_TIMEOUT}, /* lock_not_available */
        {"57014", ST_TIMEOUT}, /* query_canceled: statement_timeout, or a person */
        {"40001", ST_RETRY},   /* serialization_failure */
        {"40P01", ST_RETRY},   /* deadlock_detected */
        {"08", ST_RETRY},      /* connection exception */
        {"57P01", ST_RETRY},   /* admin_shutdown */
        {"57P02", ST_RETRY},   /* crash_shutdown */
        {"57P03", ST_RETRY},   /* cannot_connect_now */
        {"57P05", ST_RETRY},   /* idle_session_timeout */
        {"25006", ST_RETRY},   /* read_only_sql_transaction: the server has become a standby */
        {"58", ST_RETRY},      /* system error: the server's disk or kernel, not the statement */
        {"53", ST_BUSY},       /* insufficient resources: too many connections, disk, memory */
        {"23", ST_CONSTRAINT}, /* integrity constraint violation */
        {"28", ST_SCHEMA},     /* invalid authorization: password, role, pg_hba.conf */
        {"3D000", ST_SCHEMA},  /* invalid_catalog_name: no such database */
        {"3F000", ST_SCHEMA},  /* invalid_schema_name */
        {"42P01", ST_SCHEMA},  /* undefined_table */
        {"42703", ST_SCHEMA},  /* undefined_column */
        {"42501", ST_SCHEMA},  /* insufficient_privilege */
    };
    for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++) {
        if (strncmp(sqlstate, map[i].prefix, strlen(map[i].prefix)) == 0) {
            return map[i].status;
        }
    }
    return ST_DB;
}
