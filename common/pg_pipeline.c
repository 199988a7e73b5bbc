/* pg_pipeline: a transaction's BEGIN or COMMIT and the statements next to it, in one round trip.
 *
 * libpq's pipeline mode (its version 14 and later; PostgreSQL manual, "Pipeline Mode"): commands
 * are put into libpq's buffer one behind the other, and a Sync ends them; the server runs them in
 * order and answers when it comes to the Sync, or to a Flush: there is one behind each command, so
 * that the time until its answer is its own. After the first that fails it runs nothing more up to
 * the Sync, so a COMMIT behind it is never executed. Pipeline mode is entered for one round trip
 * and left at its end; when it cannot be left, the connection is broken.
 *
 * Answers come in the order of the commands, each ended by a NULL, and the Sync's last. The first
 * error decides; what is lost behind it, or behind COMMIT's own answer, changes nothing.
 *
 * It prepares nothing inside the pipeline: a statement is prepared before, in an exchange of its
 * own, so that one that cannot be prepared is known before BEGIN is sent. */
#include "common/pg.h"

#include <assert.h>
#include <string.h>

#include "common/clock.h"
#include "common/pg_private.h"

enum {
    COMMANDS_MAX = PG_CALLS_MAX + 1, /* the calls, and BEGIN or COMMIT */
    RESULTS_PER_COMMAND = 2,         /* its result, and the NULL that ends it */
    RESULTS_MAX = COMMANDS_MAX * RESULTS_PER_COMMAND + 1, /* and the Sync's */
};

static const char SQL_BEGIN[] = "BEGIN";
static const char SQL_COMMIT[] = "COMMIT";

/* Whose time is whose: the stage of each command, and up to when all is booked. */
struct booking {
    enum stage stages[COMMANDS_MAX];
    int last; /* command */
    int64_t since_ns;
};

/* -------------------------------------------------------------------------------- round trips */

/* What has passed since the answer before is that command's. */
static void book(const struct pg *pg, struct booking *booking, int command)
{
    int64_t now_ns = clock_now_ns();
    int known = command < booking->last ? command : booking->last;
    stages_add_since(pg->stages, booking->stages[known], booking->since_ns);
    booking->since_ns = now_ns;
}

/* PQsendQuery is not allowed in pipeline mode. */
static int send_bare(PGconn *conn, const char *sql)
{
    return PQsendQueryParams(conn, sql, 0, NULL, NULL, NULL, NULL, 0);
}

static int send_calls(PGconn *conn, const struct pg_call *calls, int count)
{
    int sent = 1;
    for (int i = 0; i < count && sent; i++) {
        const struct pg_statement *statement = calls[i].statement;
        sent = PQsendQueryPrepared(conn, statement->name, statement->params, calls[i].values, NULL,
                                   NULL, 0) &&
               PQsendFlushRequest(conn);
    }
    return sent;
}

/* Reads to the end of the round trip: good[i] is command i's result if it succeeded, the caller's
 * to clear even if the status is not ST_OK. */
static enum status read_answers(struct pg *pg, PGresult *good[COMMANDS_MAX],
                                struct booking *booking, int64_t deadline_ns)
{
    enum status status = ST_OK;
    int command = 0;
    for (int i = 0; i < RESULTS_MAX; i++) {
        if (!pg_await_result(pg, deadline_ns)) {
            pg->broken = true;
            return status == ST_OK ? pg_set_silent(pg) : status;
        }
        PGresult *result = PQgetResult(pg->conn);
        if (result == NULL && PQstatus(pg->conn) != CONNECTION_OK) {
            return status == ST_OK ? pg_set_lost(pg, PQerrorMessage(pg->conn)) : status;
        }
        if (result == NULL) {
            command++;
            continue;
        }
        ExecStatusType kind = PQresultStatus(result);
        bool success = kind == PGRES_COMMAND_OK || kind == PGRES_TUPLES_OK;
        if (success && command < COMMANDS_MAX && good[command] == NULL) {
            book(pg, booking, command);
            good[command] = result;
            continue;
        }
        if (!success && kind != PGRES_PIPELINE_SYNC && status == ST_OK) {
            book(pg, booking, command); /* what it took to fail */
            status = pg_judge_error(pg, result);
        }
        PQclear(result);
        if (kind == PGRES_PIPELINE_SYNC) {
            return status;
        }
    }
    pg->broken = true;
    pg_set_error(pg, "", "the statements have too many results");
    return status == ST_OK ? ST_DB : status;
}

/* Sends first (NULL: nothing), the calls, and last (NULL: nothing), and reads the answers. first
 * waits for nothing, so the bound does not count it. */
static enum status run_round_trip(struct pg *pg, const char *first, const struct pg_call *calls,
                                  int count, const char *last, PGresult *good[COMMANDS_MAX],
                                  struct booking *booking)
{
    PGconn *conn = pg->conn;
    pg_open_exchange(pg);
    int sent = PQenterPipelineMode(conn) && (first == NULL || send_bare(conn, first)) &&
               send_calls(conn, calls, count) && (last == NULL || send_bare(conn, last)) &&
               PQpipelineSync(conn);
    if (!sent) {
        return pg_set_lost(pg, PQerrorMessage(conn)); /* it is open how much of it went out */
    }
    int64_t deadline_ns = pg_answer_deadline_ns(pg, last == NULL ? count : count + 1);
    enum status status = read_answers(pg, good, booking, deadline_ns);
    if (!PQexitPipelineMode(conn)) {
        pg->broken = true; /* answers are missing */
    }
    return status;
}

/* -------------------------------------------------------------------------------------- calls */

/* Makes everything ready to be sent; a connection that is gone is noticed as late as possible. */
static enum status prepare_calls(struct pg *pg, const struct pg_call *calls, int count)
{
    enum status status = ST_OK;
    for (int i = 0; i < count && status == ST_OK; i++) {
        status = pg_prepare_once(pg, calls[i].statement);
    }
    if (status == ST_OK) {
        pg_read_unasked(pg);
        status = pg_is_broken(pg) ? pg_refuse(pg) : ST_OK;
    }
    return status;
}

static void reset_calls(struct pg_call *calls, int count)
{
    assert(count >= 1 && count <= PG_CALLS_MAX);
    for (int i = 0; i < count; i++) {
        assert(calls[i].statement->params >= 0 && calls[i].statement->params <= PG_PARAMS_MAX);
        calls[i].result = NULL;
    }
}

/* Gives the calls their results, or throws them away. */
static void hand_over(enum status status, struct pg_call *calls, int count, PGresult **good)
{
    for (int i = 0; i < count; i++) {
        if (status == ST_OK) {
            calls[i].result = good[i];
        } else {
            PQclear(good[i]);
        }
    }
}

/* The commands' stages: BEGIN's time is that of the first call, COMMIT's its own. */
static struct booking open_booking(const struct pg_call *calls, int count, bool begins)
{
    struct booking booking = {.last = count, .since_ns = clock_now_ns()};
    for (int i = 0; i < count; i++) {
        booking.stages[begins ? i + 1 : i] = calls[i].statement->stage;
    }
    booking.stages[begins ? 0 : count] = begins ? calls[0].statement->stage : STAGE_COMMIT;
    return booking;
}

enum status pg_begin_with(struct pg *pg, struct pg_call *calls, int count)
{
    PGresult *good[COMMANDS_MAX] = {NULL};
    reset_calls(calls, count);
    if (pg_is_broken(pg)) {
        return pg_refuse(pg);
    }
    struct booking booking = open_booking(calls, count, true);
    assert(PQtransactionStatus(pg->conn) == PQTRANS_IDLE);
    enum status status = prepare_calls(pg, calls, count);
    if (status == ST_OK) {
        status = run_round_trip(pg, SQL_BEGIN, calls, count, NULL, good, &booking);
    }
    PQclear(good[0]);
    hand_over(status, calls, count, good + 1);
    book(pg, &booking, count);
    return status;
}

enum status pg_commit_with(struct pg *pg, struct pg_call *calls, int count)
{
    PGresult *good[COMMANDS_MAX] = {NULL};
    reset_calls(calls, count);
    if (pg_is_broken(pg)) {
        return pg_refuse(pg);
    }
    struct booking booking = open_booking(calls, count, false);
    assert(PQtransactionStatus(pg->conn) != PQTRANS_IDLE);
    enum status status = prepare_calls(pg, calls, count);
    if (status == ST_OK) {
        status = run_round_trip(pg, NULL, calls, count, SQL_COMMIT, good, &booking);
        status = pg_judge_commit(pg, status, good[count]);
    }
    PQclear(good[count]);
    hand_over(status, calls, count, good);
    book(pg, &booking, count);
    return status;
}
