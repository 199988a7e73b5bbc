/* pg_status: the one map from SQLSTATE to enum status.
 *
 * A table of whole codes and of classes (the first two characters); the first entry that is a
 * prefix decides, and what is not listed is ST_DB: a fault that neither waiting nor an operator's
 * usual hand mends. Source: PostgreSQL manual, appendix A. It does not know what was running; that
 * an unanswered COMMIT is ST_UNKNOWN is pg.c's business.
 *
 * One code means two things. 0A000 is what a server says that cannot do what the statement asks,
 * today and tomorrow; and it is what a prepared statement says whose table has got other columns
 * since. The second passes with the connection, so it is ST_RETRY, and is told by the server
 * function that raises it: the message is translated, that name is not. An error without that field
 * counts as the first: to give up wrongly is seen, to try for ever is not. Source: PostgreSQL's
 * plancache.c. */
#include <string.h>

#include "common/pg_private.h"

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
        {"26000", ST_RETRY},   /* invalid_sql_statement_name: what was prepared is gone */
        {"25006", ST_RETRY},   /* read_only_sql_transaction: the server has become a standby */
        {"58", ST_RETRY},      /* system error: the server's disk or kernel, not the statement */
        {"53", ST_BUSY},       /* insufficient resources: too many connections, disk, memory */
        {"54000", ST_BUSY},    /* program_limit_exceeded: no transaction ids left, till a VACUUM */
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

enum status pg_status_of_error(const PGresult *error)
{
    const char *sqlstate = PQresultErrorField(error, PG_DIAG_SQLSTATE);
    const char *function = PQresultErrorField(error, PG_DIAG_SOURCE_FUNCTION);
    if (strcmp(sqlstate, "0A000") == 0 && function != NULL &&
        strcmp(function, "RevalidateCachedQuery") == 0) {
        return ST_RETRY;
    }
    return pg_status_of(sqlstate);
}
