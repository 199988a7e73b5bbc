/* pg: statements and transactions on one libpq connection, each a bounded exchange.
 *
 * An exchange sends one command and reads until the server is ready for the next. (Preparing is an
 * exchange of its own, so a statement's first run may take two bounds.) Several commands in one
 * exchange are pg_pipeline.c's; what both are made of is in pg_exchange.c.
 *
 * What is known when no answer comes. Before COMMIT is sent: nothing happened. Afterwards: unknown,
 * and that includes every statement outside a transaction, whose COMMIT is implied. To keep "not
 * sent" apart from "not answered", what the server said unasked (a shutdown, an end of file) is
 * read before a COMMIT is sent. An explicit COMMIT's command tag comes after the commit and proves
 * it; a lone statement's tag comes before, only the server's readiness proves that one.
 *
 * It does not retry or cancel (PQcancel blocks). */
#include "common/pg.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/pg_private.h"

enum { RESULTS_MAX = 8 }; /* of one exchange; more is a COPY, which no statement of ours is */

/* ---------------------------------------------------------------------------------- exchanges */

/* Reads to the end of the exchange. The first error decides, also one that comes after a success
 * (a lone statement's commit failed); what is lost after an error or an answer changes neither.
 * *good: the first success, the caller's to clear, even if the status is not ST_OK. */
static enum status read_answer(struct pg *pg, PGresult **good)
{
    int64_t deadline_ns = pg_answer_deadline_ns(pg, 1);
    enum status status = ST_OK;
    for (int i = 0; i < RESULTS_MAX; i++) {
        if (!pg_await_result(pg, deadline_ns)) {
            pg->broken = true;
            return status == ST_OK ? pg_set_silent(pg) : status;
        }
        PGresult *result = PQgetResult(pg->conn);
        if (result == NULL) {
            bool lost = status == ST_OK && PQstatus(pg->conn) != CONNECTION_OK;
            return lost ? pg_set_lost(pg, PQerrorMessage(pg->conn)) : status;
        }
        ExecStatusType kind = PQresultStatus(result);
        bool success = kind == PGRES_COMMAND_OK || kind == PGRES_TUPLES_OK;
        if (!success && status == ST_OK) {
            status = pg_judge_error(pg, result);
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

/* sent is what the PQsend call returned: 0 leaves it open how much of it went out. */
static enum status close_exchange(struct pg *pg, int sent, PGresult **good)
{
    return sent ? read_answer(pg, good) : pg_set_lost(pg, PQerrorMessage(pg->conn));
}

static enum status run_command(struct pg *pg, const char *sql, PGresult **good)
{
    pg_open_exchange(pg);
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
    if (pg_is_broken(pg)) {
        return pg_refuse(pg);
    }
    assert(PQtransactionStatus(pg->conn) == PQTRANS_IDLE);
    return run_bare(pg, "BEGIN");
}

enum status pg_rollback(struct pg *pg)
{
    if (pg == NULL) {
        return ST_OK; /* an out: label whose acquire failed */
    }
    if (pg_is_broken(pg)) {
        return pg_refuse(pg); /* the server rolls back by itself once it sees the connection gone */
    }
    if (PQtransactionStatus(pg->conn) == PQTRANS_IDLE) {
        return ST_OK;
    }
    enum status status = run_bare(pg, "ROLLBACK");
    pg->broken = pg->broken || status != ST_OK; /* it would be in the next one's way */
    return status;
}

/* Whether the code leaves it open what became of a transaction: a pooler between us and the server
 * reports a connection lost during COMMIT as class 08. */
static bool is_unknown_code(const char *sqlstate)
{
    return strncmp(sqlstate, "08", 2) == 0 || strcmp(sqlstate, "40003") == 0;
}

enum status pg_judge_commit(struct pg *pg, enum status status, PGresult *good)
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
    pg_read_unasked(pg);
    if (pg_is_broken(pg)) {
        status = pg_refuse(pg);
    } else {
        assert(PQtransactionStatus(pg->conn) != PQTRANS_IDLE);
        status = run_command(pg, "COMMIT", &good);
        status = pg_judge_commit(pg, status, good);
    }
    PQclear(good);
    stages_add_since(pg->stages, STAGE_COMMIT, since_ns);
    return status;
}

/* --------------------------------------------------------------------------------- statements */

enum status pg_prepare_once(struct pg *pg, const struct pg_statement *statement)
{
    for (int i = 0; i < pg->prepared_count; i++) {
        if (pg->prepared[i] == statement) {
            return ST_OK;
        }
    }
    assert(pg->prepared_count < PG_STATEMENTS_MAX);
    pg_open_exchange(pg);
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
    pg_open_exchange(pg);
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
        pg_read_unasked(pg); /* its own COMMIT, so as before one */
    }
    if (pg_is_broken(pg)) {
        status = pg_refuse(pg);
    } else {
        status = pg_prepare_once(pg, statement);
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
    pg_read_unasked(pg);
    return !pg_is_broken(pg) && PQtransactionStatus(pg->conn) == PQTRANS_IDLE;
}

const char *pg_sqlstate(const struct pg *pg)
{
    return pg->sqlstate;
}

const char *pg_error(const struct pg *pg)
{
    return pg->error;
}
