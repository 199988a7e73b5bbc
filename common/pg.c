/* pg: statements and transactions on one libpq connection, each a bounded exchange.
 *
 * An exchange sends one command and reads until the server is ready for the next. Every wait in it
 * is a poll(2) against one deadline: the statement timeout and the grace on top. (Preparing is an
 * exchange of its own, so a statement's first run may take two such bounds.) When the deadline
 * passes, the connection is broken: whatever it still says would be taken for another's answer. The
 * server is not told; it ends the statement by its own timeout, if it is alive.
 *
 * What is known when no answer comes. Before COMMIT is sent: nothing happened. Afterwards: unknown,
 * and that includes every statement outside a transaction, whose COMMIT is implied. To keep "not
 * sent" apart from "not answered", what the server said unasked (a shutdown, an end of file) is
 * read before a COMMIT is sent. An explicit COMMIT's command tag comes after the commit and proves
 * it; a lone statement's tag comes before, only the server's readiness proves that one.
 *
 * Errors are the server's primary message, first line, without detail; in class 22 (data exception)
 * that message quotes the value, so ours replaces it.
 *
 * It does not retry, cancel (PQcancel blocks) or pipeline. */
#include "common/pg.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/pg_private.h"

enum {
    RESULTS_MAX = 8,       /* of one exchange; more is a COPY, which no statement of ours is */
    UNASKED_READS_MAX = 8, /* of what came between exchanges */
};

/* ---------------------------------------------------------------------------------- exchanges */

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

/* Reads what the server said since the last exchange, without waiting: an end of file or a FATAL
 * breaks the connection. One system call when it said nothing. */
static void read_unasked(struct pg *pg)
{
    for (int i = 0; i < UNASKED_READS_MAX && PQstatus(pg->conn) == CONNECTION_OK; i++) {
        struct pollfd socket = {.fd = PQsocket(pg->conn), .events = POLLIN};
        if (poll(&socket, 1, 0) <= 0 || PQconsumeInput(pg->conn) == 0) {
            return;
        }
        (void)PQisBusy(pg->conn); /* parses it: a FATAL goes to pg_notice */
    }
}

static bool is_broken(const struct pg *pg)
{
    return pg->broken || PQstatus(pg->conn) != CONNECTION_OK;
}

static enum status set_lost(struct pg *pg, const char *reason)
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

/* A result that is not a success: the server's error, or libpq's own, which has no SQLSTATE. */
static enum status judge_error(struct pg *pg, const PGresult *result)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (sqlstate == NULL) {
        return set_lost(pg, PQresultErrorMessage(result));
    }
    bool quotes_value = strncmp(sqlstate, "22", 2) == 0;
    pg_set_error(pg, sqlstate,
                 quotes_value ? "a value does not fit its type or range"
                              : (message != NULL ? message : ""));
    pg->broken |= only_reconnecting_mends(sqlstate);
    enum status status = pg_status_of(sqlstate);
    if (status != ST_TIMEOUT && strncmp(sqlstate, "40", 2) != 0) {
        pg_log_error(pg); /* the others are what contention looks like */
    }
    return status;
}

static enum status set_silent(struct pg *pg)
{
    (void)set_lost(pg, "no answer from the database within the statement timeout and the grace");
    return ST_TIMEOUT;
}

/* Waits until PQgetResult would not block. False: deadline_ns passed. */
static bool await_result(struct pg *pg, int64_t deadline_ns)
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

/* Reads to the end of the exchange. The first error decides, also one that comes after a success
 * (a lone statement's commit failed); what is lost after an error or an answer changes neither.
 * *good: the first success, the caller's to clear, even if the status is not ST_OK. */
static enum status read_answer(struct pg *pg, PGresult **good)
{
    int64_t deadline_ns = CLOCK_NEVER;
    if (pg->statement_timeout_ms > 0) {
        deadline_ns = clock_deadline_ns(pg->statement_timeout_ms + pg->client_grace_ms);
    }
    enum status status = ST_OK;
    for (int i = 0; i < RESULTS_MAX; i++) {
        if (!await_result(pg, deadline_ns)) {
            pg->broken = true;
            return status == ST_OK ? set_silent(pg) : status;
        }
        PGresult *result = PQgetResult(pg->conn);
        if (result == NULL) {
            bool lost = status == ST_OK && PQstatus(pg->conn) != CONNECTION_OK;
            return lost ? set_lost(pg, PQerrorMessage(pg->conn)) : status;
        }
        ExecStatusType kind = PQresultStatus(result);
        bool success = kind == PGRES_COMMAND_OK || kind == PGRES_TUPLES_OK;
        if (!success && status == ST_OK) {
            status = judge_error(pg, result);
        }
        if (success && *good == NULL) {
            *good = result;
        } else {
            PQclear(result);
        }
    }
    pg->broken = true;
    pg_set_error(pg, "", "the statement has too many results");
    return ST_DB;
}

static void open_exchange(struct pg *pg)
{
    pg->unanswered = false;
    pg->standby_skipped = false;
    pg_set_error(pg, "", "");
}

/* sent is what the PQsend call returned: 0 leaves it open how much of it went out. */
static enum status close_exchange(struct pg *pg, int sent, PGresult **good)
{
    return sent ? read_answer(pg, good) : set_lost(pg, PQerrorMessage(pg->conn));
}

/* For a call on a connection that is broken before it sends anything: nothing happened. */
static enum status refuse(struct pg *pg)
{
    pg->broken = true;
    if (pg->error[0] == '\0') {
        pg_set_error(pg, "", "the connection to the database is lost");
    }
    return ST_RETRY;
}

static enum status run_command(struct pg *pg, const char *sql, PGresult **good)
{
    open_exchange(pg);
    return close_exchange(pg, PQsendQuery(pg->conn, sql), good);
}

/* ------------------------------------------------------------------------------- transactions */

static enum status run_bare(struct pg *pg, const char *sql)
{
    int64_t since_ns = clock_now_ns();
    PGresult *good = NULL;
    enum status status = run_command(pg, sql, &good);
    PQclear(good);
    stages_add_since(pg->stages, STAGE_STATEMENTS, since_ns);
    return status;
}

enum status pg_begin(struct pg *pg)
{
    if (is_broken(pg)) {
        return refuse(pg);
    }
    assert(PQtransactionStatus(pg->conn) == PQTRANS_IDLE);
    return run_bare(pg, "BEGIN");
}

enum status pg_rollback(struct pg *pg)
{
    if (pg == NULL) {
        return ST_OK; /* an out: label whose acquire failed */
    }
    if (is_broken(pg)) {
        return refuse(pg); /* the server rolls back by itself once it sees the connection gone */
    }
    return PQtransactionStatus(pg->conn) == PQTRANS_IDLE ? ST_OK : run_bare(pg, "ROLLBACK");
}

/* Whether the code leaves it open what became of a transaction: a pooler between us and the server
 * reports a connection lost during COMMIT as class 08. */
static bool is_unknown_code(const char *sqlstate)
{
    return strncmp(sqlstate, "08", 2) == 0 || strcmp(sqlstate, "40003") == 0;
}

static enum status judge_commit(struct pg *pg, enum status status, PGresult *good)
{
    if (good != NULL && strcmp(PQcmdStatus(good), "COMMIT") == 0) {
        return pg->standby_skipped ? ST_UNKNOWN : ST_OK;
    }
    if (good != NULL) {
        pg_set_error(pg, "", "COMMIT was answered by ROLLBACK: an earlier statement had failed");
        return ST_RETRY;
    }
    return pg->unanswered || is_unknown_code(pg->sqlstate) ? ST_UNKNOWN : status;
}

enum status pg_commit(struct pg *pg)
{
    int64_t since_ns = clock_now_ns();
    PGresult *good = NULL;
    enum status status;
    read_unasked(pg);
    if (is_broken(pg)) {
        status = refuse(pg);
    } else {
        assert(PQtransactionStatus(pg->conn) != PQTRANS_IDLE);
        status = run_command(pg, "COMMIT", &good);
        status = judge_commit(pg, status, good);
    }
    PQclear(good);
    stages_add_since(pg->stages, STAGE_COMMIT, since_ns);
    return status;
}

/* --------------------------------------------------------------------------------- statements */

static enum status prepare_once(struct pg *pg, const struct pg_statement *statement)
{
    for (int i = 0; i < pg->prepared_count; i++) {
        if (pg->prepared[i] == statement) {
            return ST_OK;
        }
    }
    assert(pg->prepared_count < PG_STATEMENTS_MAX);
    open_exchange(pg);
    PGresult *good = NULL;
    int sent = PQsendPrepare(pg->conn, statement->name, statement->sql, 0, NULL);
    enum status status = close_exchange(pg, sent, &good);
    PQclear(good);
    if (status == ST_OK) {
        pg->prepared[pg->prepared_count++] = statement;
    }
    return status;
}

/* A lone statement whose answer is lost may have committed; if it only reads, nobody cares. */
static bool may_write(const struct pg_statement *statement)
{
    return strncmp(statement->sql, "SELECT ", strlen("SELECT ")) != 0;
}

static enum status execute(struct pg *pg, const struct pg_statement *statement,
                           const char *const *values, PGresult **good)
{
    bool commits = PQtransactionStatus(pg->conn) == PQTRANS_IDLE && may_write(statement);
    open_exchange(pg);
    int sent =
        PQsendQueryPrepared(pg->conn, statement->name, statement->params, values, NULL, NULL, 0);
    enum status status = close_exchange(pg, sent, good);
    if (commits && (pg->unanswered || pg->standby_skipped || is_unknown_code(pg->sqlstate))) {
        status = ST_UNKNOWN;
    }
    return status;
}

enum status pg_run(struct pg *pg, const struct pg_statement *statement, const char *const *values,
                   PGresult **result)
{
    assert(statement->params >= 0 && statement->params <= PG_PARAMS_MAX);
    int64_t since_ns = clock_now_ns();
    PGresult *good = NULL;
    enum status status;
    if (result != NULL) {
        *result = NULL;
    }
    if (PQtransactionStatus(pg->conn) == PQTRANS_IDLE) {
        read_unasked(pg); /* its own COMMIT, so as before one */
    }
    if (is_broken(pg)) {
        status = refuse(pg);
    } else {
        status = prepare_once(pg, statement);
        if (status == ST_OK) {
            status = execute(pg, statement, values, &good);
        }
    }
    if (status == ST_OK && result != NULL) {
        *result = good;
    } else {
        PQclear(good);
    }
    stages_add_since(pg->stages, statement->stage, since_ns);
    return status;
}

enum status pg_run_count(struct pg *pg, const struct pg_statement *statement,
                         const char *const *values, int64_t *count)
{
    PGresult *result = NULL;
    enum status status = pg_run(pg, statement, values, &result);
    *count = status == ST_OK ? strtoll(PQcmdTuples(result), NULL, 10) : 0;
    PQclear(result);
    return status;
}

/* --------------------------------------------------------------------------------- connection */

void pg_close(struct pg *pg)
{
    if (pg == NULL) {
        return;
    }
    PQfinish(pg->conn);
    free(pg);
}

void pg_book_to(struct pg *pg, struct stages *stages)
{
    pg->stages = stages;
}

bool pg_is_usable(struct pg *pg)
{
    read_unasked(pg);
    return !is_broken(pg) && PQtransactionStatus(pg->conn) == PQTRANS_IDLE;
}

const char *pg_sqlstate(const struct pg *pg)
{
    return pg->sqlstate;
}

const char *pg_error(const struct pg *pg)
{
    return pg->error;
}
