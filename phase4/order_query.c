/* GET /orders/{id}: the ticket, and when that is forgotten, the row.
 *
 * A ticket is found, and waited for, in memory: a crowd that polls costs the database nothing, and
 * one that waits holds no connection, only a thread each, whence the bound on how many may. Those
 * whose ticket is gone hold one for as long as the database takes, and so they have a bound too. */
#include "order_query.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/http_fault.h"

enum {
    WAIT_MAX_MS = 10000, /* of ?wait_ms= */
    INT64_TEXT_SIZE = 21,
    REPLY_SIZE = 384, /* the longest reply's JSON */
};

/* No lock. One row, or none, as the reply's JSON; user 0 may see every order. */
static const char SQL_ORDER[] =
    "SELECT row_to_json(o) FROM (SELECT id AS order_id, sale_id, user_id, quantity, status, reason "
    "FROM orders WHERE id = $1 AND $2::bigint IN (0, user_id)) o";

static const struct pg_statement READ_ORDER = {"orders_read", SQL_ORDER, 2, STAGE_STATEMENTS};

/* As SQL_ORDER has it, and for a pending one where in line it stands. */
static void reply_ticket(const struct order_query *query, struct http_request *request,
                         const struct ticket *ticket)
{
    const struct order *order = &ticket->order;
    const char *reason = order_reason(ticket->outcome);
    char json[REPLY_SIZE];
    int used = snprintf(json, sizeof json,
                        "{\"order_id\":\"%s\",\"sale_id\":%" PRId64 ",\"user_id\":%" PRId64
                        ",\"quantity\":%" PRId64 ",\"status\":\"%s\",\"reason\":%s%s%s",
                        order->id, order->sale_id, order->user_id, order->quantity,
                        order_status(ticket->outcome), reason ? "\"" : "", reason ? reason : "null",
                        reason ? "\"" : "");
    if (ticket->outcome == ORDER_PENDING) {
        struct order_queue_stats stats;
        query->queue_kind->read_stats(query->queue, &stats);
        int64_t position = query->queue_kind->position(query->queue, ticket->place);
        used += snprintf(json + used, sizeof json - (size_t)used,
                         ",\"position\":%" PRId64 ",\"eta_ms\":%" PRId64, position,
                         (position + 1) * stats.interval_ns / CLOCK_NS_PER_MS);
    }
    snprintf(json + used, sizeof json - (size_t)used, "}");
    http_reply(request, 200, json);
}

/* Finds the ticket, and if wait_ms is asked for, waits in it. ST_INVALID: has replied. */
static enum status find_ticket(const struct order_query *query, struct http_request *request,
                               struct ticket *ticket)
{
    int64_t wait_ms = 0;
    if (http_query_int(request, "wait_ms", 0, WAIT_MAX_MS, &wait_ms) == ST_INVALID) {
        http_problem(request, 400, "invalid_wait_ms",
                     "wait_ms is a whole number of milliseconds from 0 to 10000.");
        return ST_INVALID;
    }
    enum status status = tickets_find(query->tickets, request->param, ticket);
    if (status == ST_OK && request->user_id != 0 && request->user_id != ticket->order.user_id) {
        return ST_NOT_FOUND; /* looked for in the database like any other: no timing tells them
                                apart */
    }
    if (status == ST_OK && ticket->outcome == ORDER_PENDING && wait_ms > 0) {
        status = tickets_wait(query->tickets, request->param, clock_deadline_ns(wait_ms), ticket);
    }
    if (status == ST_BUSY) { /* too many wait: he gets what there is, and asks again */
        http_add_header(request, "Retry-After", "1");
        status = ST_OK;
    }
    return status;
}

static enum status find(const struct order_query *query, struct http_request *request,
                        PGresult **result)
{
    static atomic_int reading;
    struct pg *pg = NULL;
    if (atomic_fetch_add(&reading, 1) >= ORDER_READS_MAX) {
        atomic_fetch_sub(&reading, 1);
        return ST_BUSY;
    }
    int64_t deadline_ns = clock_deadline_ns(query->acquire_timeout_ms);
    enum status status = dbpool_acquire(query->reads, deadline_ns, &request->stages, &pg);
    if (status == ST_OK) {
        char user_id[INT64_TEXT_SIZE];
        snprintf(user_id, sizeof user_id, "%" PRId64, request->user_id);
        status = pg_run(pg, &READ_ORDER, (const char *const[]){request->param, user_id}, result);
    }
    dbpool_release(query->reads, pg);
    atomic_fetch_sub(&reading, 1);
    return status;
}

/* The tickets have forgotten it: the database has not. */
static void reply_row(const struct order_query *query, struct http_request *request)
{
    PGresult *result = NULL;
    enum status status = find(query, request, &result);
    if (status != ST_OK) {
        http_fault(request, status);
    } else if (PQntuples(result) == 0) {
        http_problem(request, 404, "order_not_found", "There is no such order.");
    } else {
        http_reply(request, 200, PQgetvalue(result, 0, 0));
    }
    PQclear(result);
}

void order_query_get(struct http_request *request, void *context)
{
    const struct order_query *query = context;
    if (!uuid_is_valid(request->param)) {
        http_problem(request, 400, "invalid_order_id", "An order's id is a UUID.");
        return;
    }
    struct ticket ticket;
    enum status status = find_ticket(query, request, &ticket);
    if (status == ST_OK) {
        reply_ticket(query, request, &ticket);
    } else if (status == ST_NOT_FOUND) {
        reply_row(query, request);
    }
}
