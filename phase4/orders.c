/* An order's way from request to queue: read the body, whose is it, is he within his rate, is there
 * such a sale, take a place in line, answer. order_worker.c is the rest of its way.
 *
 * Nothing here touches the database or waits for somebody who does: what a reply costs does not
 * depend on how the database is. The answer is a promise, 202: the order will be decided, by the
 * moment of its acceptance, however late. It is as good as the queue that keeps it ("durability").
 * What cannot be promised is refused: 429 says that this caller asks too often, 503 that we have
 * too much to do. Both say when to come back, and not all at the same moment. */
#include "orders.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/http_fault.h"
#include "common/http_json.h"
#include "common/random.h"

enum {
    RETRY_AFTER_MAX_S = 3, /* Retry-After of a refusal is drawn from 1 to this */
    WAIT_MAX_MS = 10000,   /* of ?wait_ms= */
    INT64_TEXT_SIZE = 21,
    REPLY_SIZE = 384, /* the longest reply's JSON */
};

/* No lock. One row, or none, as the reply's JSON; user 0 may see every order. */
static const char SQL_ORDER[] =
    "SELECT row_to_json(o) FROM (SELECT id AS order_id, sale_id, user_id, quantity, status, reason "
    "FROM orders WHERE id = $1 AND $2::bigint IN (0, user_id)) o";

static const struct pg_statement READ_ORDER = {"orders_read", SQL_ORDER, 2, STAGE_STATEMENTS};

/* No lock, no row. */
static const char SQL_PROBE[] =
    "SELECT o.id, o.sale_id, o.user_id, o.quantity, o.status, o.reason, s.stock_left, "
    "s.per_user_limit, s.starts_at, s.ends_at FROM orders o JOIN sales s ON s.id = o.sale_id LIMIT "
    "0";

const struct pg_statement orders_probe = {"orders_probe", SQL_PROBE, 0, STAGE_STATEMENTS};

static const char *field_code(const struct json_field *fields, const struct json_field *bad)
{
    static const char *const codes[] = {"invalid_sale_id", "invalid_user_id", "invalid_quantity"};
    return codes[bad - fields];
}

/* Reads the body into the order; replies and returns ST_INVALID if it is not one. */
static enum status read_order(struct http_request *request, struct order *order)
{
    struct json_field fields[] = {
        {"sale_id", 1, HTTP_INT_MAX, 0},
        {"user_id", 1, HTTP_INT_MAX, 0},
        {"quantity", 1, INT32_MAX, 0},
    };
    const struct json_field *bad = NULL;
    enum json_result result = http_json_read(request, fields, 3, &bad);
    if (result != JSON_OK) {
        const char *code =
            result == JSON_INVALID_FIELD ? field_code(fields, bad) : json_result_code(result);
        http_problem(request, 400, code,
                     "The body is one JSON object with whole numbers sale_id, user_id, quantity.");
        return ST_INVALID;
    }
    order->sale_id = fields[0].value;
    order->user_id = fields[1].value;
    order->quantity = fields[2].value;
    uuid_random(order->id);
    order->accepted_us = clock_unix_us();
    return ST_OK;
}

/* The promise. */
static void reply_accepted(const struct orders *orders, struct http_request *request,
                           const struct order *order)
{
    char json[REPLY_SIZE];
    snprintf(json, sizeof json,
             "{\"order_id\":\"%s\",\"status\":\"pending\",\"status_url\":\"/orders/%s\","
             "\"durability\":\"%s\"}",
             order->id, order->id, orders->queue_kind->name);
    http_add_header(request, "Location", "/orders/%s", order->id);
    http_reply(request, 202, json);
}

static int retry_after_s(void)
{
    return 1 + (int)random_below(RETRY_AFTER_MAX_S);
}

static int whole_seconds(int64_t ns)
{
    return (int)((ns + CLOCK_NS_PER_S - 1) / CLOCK_NS_PER_S);
}

/* Takes the user's turn; replies 429 and returns false if he has had too many. */
static bool within_rate(const struct orders *orders, struct http_request *request, int64_t user_id)
{
    struct token_bucket_quota quota;
    if (token_bucket_take(orders->limiter, user_id, clock_now_ns(), &quota)) {
        return true;
    }
    http_add_header(request, "RateLimit-Policy", "\"orders\";q=%" PRId64 ";w=1",
                    orders->rate_limit);
    http_add_header(request, "RateLimit", "\"orders\";r=%" PRId64 ";t=%d", quota.left,
                    whole_seconds(quota.full_in_ns));
    http_problem_retry(request, 429, "rate_limited", "This user orders too often.",
                       whole_seconds(quota.retry_after_ns) + (int)random_below(RETRY_AFTER_MAX_S));
    return false;
}

/* A ticket, so that the order can be asked for, then a place in line. ST_BUSY, ST_CLOSED: neither.
 */
static enum status enqueue(const struct orders *orders, const struct order *order)
{
    struct ticket known;
    enum status status =
        tickets_add(orders->tickets, order, &known); /* ids are random: it is new */
    if (status != ST_OK) {
        return status;
    }
    int64_t place;
    status = orders->queue_kind->put(orders->queue, order, &place);
    if (status == ST_OK) {
        tickets_accept(orders->tickets, order->id, place);
    } else {
        tickets_drop(orders->tickets, order->id);
    }
    return status;
}

/* Nobody spends his rate on orders that never stood in line: else our overload would make "too
 * often" of a user who was turned away five times. */
static void refuse(const struct orders *orders, struct http_request *request,
                   const struct order *order, enum status status)
{
    token_bucket_give_back(orders->limiter, order->user_id);
    if (status == ST_BUSY) {
        http_problem_retry(request, 503, "queue_full",
                           "More orders are in line than can be served in time.", retry_after_s());
    } else {
        http_fault(request, status);
    }
}

void orders_post(struct http_request *request, void *context)
{
    const struct orders *orders = context;
    struct order order;
    if (read_order(request, &order) != ST_OK) {
        return;
    }
    if (request->user_id != 0 && request->user_id != order.user_id) {
        http_problem(request, 403, "user_mismatch", "The token is another user's.");
        return;
    }
    if (!within_rate(orders, request, order.user_id)) {
        return;
    }
    if (!sales_has(orders->sales, order.sale_id)) {
        http_problem(request, 404, "sale_not_found", "There is no such sale.");
        return;
    }
    enum status status = enqueue(orders, &order);
    if (status == ST_OK) {
        reply_accepted(orders, request, &order);
    } else {
        refuse(orders, request, &order, status);
    }
}

/* ------------------------------------------------------------------------------- GET /orders/{id}
 */

/* As SQL_ORDER has it, and for a pending one where in line it stands. */
static void reply_ticket(const struct orders *orders, struct http_request *request,
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
        orders->queue_kind->read_stats(orders->queue, &stats);
        int64_t position = orders->queue_kind->position(orders->queue, ticket->place);
        used += snprintf(json + used, sizeof json - (size_t)used,
                         ",\"position\":%" PRId64 ",\"eta_ms\":%" PRId64, position,
                         (position + 1) * stats.interval_ns / CLOCK_NS_PER_MS);
    }
    snprintf(json + used, sizeof json - (size_t)used, "}");
    http_reply(request, 200, json);
}

/* Finds the ticket, and if wait_ms is asked for, waits in it. ST_INVALID: has replied. */
static enum status find_ticket(const struct orders *orders, struct http_request *request,
                               struct ticket *ticket)
{
    int64_t wait_ms = 0;
    if (http_query_int(request, "wait_ms", 0, WAIT_MAX_MS, &wait_ms) == ST_INVALID) {
        http_problem(request, 400, "invalid_wait_ms",
                     "wait_ms is a whole number of milliseconds from 0 to 10000.");
        return ST_INVALID;
    }
    enum status status = tickets_find(orders->tickets, request->param, ticket);
    if (status == ST_OK && request->user_id != 0 && request->user_id != ticket->order.user_id) {
        http_problem(request, 404, "order_not_found", "There is no such order.");
        return ST_INVALID;
    }
    if (status == ST_OK && ticket->outcome == ORDER_PENDING && wait_ms > 0) {
        status = tickets_wait(orders->tickets, request->param, clock_deadline_ns(wait_ms), ticket);
    }
    if (status == ST_BUSY) { /* too many wait: he gets what there is, and asks again */
        http_add_header(request, "Retry-After", "1");
        status = ST_OK;
    }
    return status;
}

static enum status find(const struct orders *orders, struct http_request *request,
                        PGresult **result)
{
    struct pg *pg = NULL;
    int64_t deadline_ns = clock_deadline_ns(orders->acquire_timeout_ms);
    enum status status = dbpool_acquire(orders->reads, deadline_ns, &request->stages, &pg);
    if (status == ST_OK) {
        char user_id[INT64_TEXT_SIZE];
        snprintf(user_id, sizeof user_id, "%" PRId64, request->user_id);
        status = pg_run(pg, &READ_ORDER, (const char *const[]){request->param, user_id}, result);
    }
    dbpool_release(orders->reads, pg);
    return status;
}

/* The tickets have forgotten it: the database has not. */
static void reply_row(const struct orders *orders, struct http_request *request)
{
    PGresult *result = NULL;
    enum status status = find(orders, request, &result);
    if (status != ST_OK) {
        http_fault(request, status);
    } else if (PQntuples(result) == 0) {
        http_problem(request, 404, "order_not_found", "There is no such order.");
    } else {
        http_reply(request, 200, PQgetvalue(result, 0, 0));
    }
    PQclear(result);
}

void orders_get(struct http_request *request, void *context)
{
    const struct orders *orders = context;
    if (!uuid_is_valid(request->param)) {
        http_problem(request, 400, "invalid_order_id", "An order's id is a UUID.");
        return;
    }
    struct ticket ticket;
    enum status status = find_ticket(orders, request, &ticket);
    if (status == ST_OK) {
        reply_ticket(orders, request, &ticket);
    } else if (status == ST_NOT_FOUND) {
        reply_row(orders, request);
    }
}
