/* pg_exchange: what every exchange with the server is made of, one statement's or a round trip's.
 *
 * Every wait is a poll(2) against a deadline: the statement timeout for each statement of the
 * exchange, and the grace once. When it passes, the connection is broken: whatever it still says
 * would be taken for another's answer. The server is not told; it ends the statement by its own
 * timeout, if it is alive. Sending never blocks, and what is left to send goes out while an answer
 * is awaited, so neither side waits for the other to read first.
 *
 * Errors are the server's primary message, first line, without detail; in class 22 (data exception)
 * that message quotes the value, so ours replaces it.
 *
 * It does not know what was sent: what an answer, or none, means is pg.c's and pg_pipeline.c's. */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "common/clock.h"
#include "common/pg_private.h"

enum { UNASKED_READS_MAX = 8 }; /* of what came between exchanges */

bool pg_await(const PGconn *conn, short events, int64_t deadline_ns)
{
    struct pollfd socket = {.fd = PQsocket(conn), .events = events};
    if (socket.fd < 0) {
        return true; /* libpq closed it: its next call says why */
    }
    for (;;) {
        int left_ms = clock_left_ms(deadline_ns);
        int ready = poll(&socket, 1, left_ms);
        if (ready > 0 || (ready < 0 && errno != EINTR)) {
            return true;
        }
        if (left_ms == 0) {
            return false;
        }
    }
}

/* The WARNING of a COMMIT whose wait for a standby was cancelled is known by the server function
 * that raised it: its text is translated and its SQLSTATE is 01000, like that of any RAISE WARNING
 * in a trigger. A WARNING without that field could be the one, so it counts. Source: PostgreSQL's
 * syncrep.c. A FATAL comes as a notice when the connection is idle. */
void pg_notice(void *arg, const PGresult *notice)
{
    struct pg *pg = arg;
    const char *severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *sqlstate = PQresultErrorField(notice, PG_DIAG_SQLSTATE);
    const char *function = PQresultErrorField(notice, PG_DIAG_SOURCE_FUNCTION);
    const char *message = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);
    if (severity == NULL) {
        return;
    }
    if (strcmp(severity, "WARNING") == 0) {
        pg->standby_skipped |= function == NULL || strcmp(function, "SyncRepWaitForLSN") == 0;
    } else if (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0) {
        pg->broken = true;
        pg_set_error(pg, sqlstate != NULL ? sqlstate : "", message != NULL ? message : "");
    }
}

void pg_read_unasked(struct pg *pg)
{
    for (int i = 0; i < UNASKED_READS_MAX && PQstatus(pg->conn) == CONNECTION_OK; i++) {
        struct pollfd socket = {.fd = PQsocket(pg->conn), .events = POLLIN};
        if (poll(&socket, 1, 0) <= 0 || PQconsumeInput(pg->conn) == 0) {
            return;
        }
        (void)PQisBusy(pg->conn); /* parses it: a FATAL goes to pg_notice */
    }
}

bool pg_is_broken(const struct pg *pg)
{
    return pg->broken || PQstatus(pg->conn) != CONNECTION_OK;
}

enum status pg_set_lost(struct pg *pg, const char *reason)
{
    pg->broken = true;
    pg->unanswered = true;
    pg_set_error(pg, "", reason);
    pg_log_error(pg);
    return ST_RETRY;
}

/* The server no longer knows, or can no longer run, what was prepared (after DISCARD ALL, or a
 * change of a table's columns); or it is a standby (25006), and the way to the primary is anew. */
static bool only_reconnecting_mends(const char *sqlstate)
{
    return strcmp(sqlstate, "26000") == 0 || strcmp(sqlstate, "0A000") == 0 ||
           strcmp(sqlstate, "25006") == 0;
}

enum status pg_judge_error(struct pg *pg, const PGresult *result)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (sqlstate == NULL) {
        return pg_set_lost(pg, PQresultErrorMessage(result));
    }
    bool quotes_value = strncmp(sqlstate, "22", 2) == 0;
    pg_set_error(pg, sqlstate,
                 quotes_value ? "a value does not fit its type or range"
                              : (message != NULL ? message : ""));
    pg->broken |= only_reconnecting_mends(sqlstate);
    enum status status = pg_status_of_error(result);
    if (status != ST_TIMEOUT && strncmp(sqlstate, "40", 2) != 0) {
        pg_log_error(pg); /* the others are what contention looks like */
    }
    return status;
}

enum status pg_set_silent(struct pg *pg)
{
    (void)pg_set_lost(pg, "no answer from the database within the statement timeout and the grace");
    return ST_TIMEOUT;
}

bool pg_await_result(struct pg *pg, int64_t deadline_ns)
{
    while (PQisBusy(pg->conn)) {
        short events = PQflush(pg->conn) == 1 ? POLLIN | POLLOUT : POLLIN;
        if (!pg_await(pg->conn, events, deadline_ns)) {
            return false;
        }
        if (PQconsumeInput(pg->conn) == 0) {
            return true;
        }
    }
    return true;
}

int64_t pg_answer_deadline_ns(const struct pg *pg, int statements)
{
    return pg->statement_timeout_ms == 0
               ? CLOCK_NEVER
               : clock_deadline_ns(pg->statement_timeout_ms * statements + pg->client_grace_ms);
}

void pg_open_exchange(struct pg *pg)
{
    pg->unanswered = false;
    pg->standby_skipped = false;
    pg_set_error(pg, "", "");
}

enum status pg_refuse(struct pg *pg)
{
    pg->broken = true;
    if (pg->error[0] == '\0') {
        pg_set_error(pg, "", "the connection to the database is lost");
    }
    return ST_RETRY;
}
