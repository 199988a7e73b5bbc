/* An order's way from request to queue: read the body, whose is it, is it a new one, is he within
 * his rate, is there such a sale, take a place in line, answer. order_worker.c is the rest of its
 * way.
 *
 * An attempt is a replay if its order has a ticket: it gets the same promise again and costs
 * nothing, neither of its user's rate nor of the line. So the ticket comes before the rate: of
 * attempts at the same moment one makes it, and the others wait until it is accepted or dropped,
 * which takes as long as a put; what is refused drops it before it replies. Without a ticket
 * (forgotten, or the server was restarted) it costs a place in line, and the row of that id
 * decides.
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
#include "idempotency.h"

/* Retry-After of a refusal is drawn from 1 to this. */
enum { RETRY_AFTER_MAX_S = 3, REPLY_SIZE = 256 };

/* No lock, no row. */
static const char SQL_PROBE[] =
    "SELECT o.id, o.sale_id, o.user_id, o.quantity, o.status, o.reason, o.idempotency_key, "
    "o.fingerprint, s.stock_left, "
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
    order->accepted_us = clock_unix_us();
    return ST_OK;
}

/* The promise. */
static void reply_accepted(const struct orders *orders, struct http_request *request,
                           const struct order *order, enum order_outcome outcome)
{
    char json[REPLY_SIZE];
    snprintf(json, sizeof json,
             "{\"order_id\":\"%s\",\"status\":\"%s\",\"status_url\":\"/orders/%s\","
             "\"durability\":\"%s\"}",
             order->id, order_status(outcome), order->id, orders->queue_kind->name);
    http_add_header(request, "Location", "/orders/%s", order->id);
    http_reply(request, 202, json);
}

/* The same promise again, unless the key was given for something else. */
static void reply_known(const struct orders *orders, struct http_request *request,
                        const struct order *order, const struct ticket *known)
{
    if (!idempotency_same(order, &known->order)) {
        http_problem(request, 422, "idempotency_key_reused",
                     "This key was used for an order of something else.");
        return;
    }
    http_add_header(request, "Idempotent-Replayed", "true");
    reply_accepted(orders, request, order, known->outcome);
}

static int retry_after_s(void)
{
    return 1 + (int)random_below(RETRY_AFTER_MAX_S);
}

static int whole_seconds(int64_t ns)
{
    return (int)((ns + CLOCK_NS_PER_S - 1) / CLOCK_NS_PER_S);
}

/* Takes the user's turn; drops the ticket, replies 429 and returns false if he has had too many. */
static bool within_rate(const struct orders *orders, struct http_request *request,
                        const struct order *order)
{
    struct token_bucket_quota quota;
    if (token_bucket_take(orders->limiter, order->user_id, clock_now_ns(), &quota)) {
        return true;
    }
    tickets_drop(orders->tickets, order->id);
    http_add_header(request, "RateLimit-Policy", "\"orders\";q=%" PRId64 ";w=1",
                    orders->rate_limit);
    http_add_header(request, "RateLimit", "\"orders\";r=%" PRId64 ";t=%d", quota.left,
                    whole_seconds(quota.full_in_ns));
    http_problem_retry(request, 429, "rate_limited", "This user orders too often.",
                       whole_seconds(quota.retry_after_ns) + (int)random_below(RETRY_AFTER_MAX_S));
    return false;
}

static bool is_on_sale(const struct orders *orders, struct http_request *request,
                       const struct order *order)
{
    if (sales_has(orders->sales, order->sale_id)) {
        return true;
    }
    tickets_drop(orders->tickets, order->id);
    http_problem(request, 404, "sale_not_found", "There is no such sale.");
    return false;
}

/* A place in line for the order that has a ticket. ST_BUSY, ST_CLOSED: neither place nor ticket,
 * and nobody spends his rate on orders that never stood in line: else our overload would make "too
 * often" of a user who was turned away five times. */
static enum status enqueue(const struct orders *orders, const struct order *order)
{
    int64_t place;
    enum status status = orders->queue_kind->put(orders->queue, order, &place);
    if (status == ST_OK) {
        tickets_accept(orders->tickets, order->id, place);
    } else {
        tickets_drop(orders->tickets, order->id);
        token_bucket_give_back(orders->limiter, order->user_id);
    }
    return status;
}

static void refuse(struct http_request *request, enum status status)
{
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
    struct order order = {0};
    if (read_order(request, &order) != ST_OK) {
        return;
    }
    if (request->user_id != 0 && request->user_id != order.user_id) {
        http_problem(request, 403, "user_mismatch", "The token is another user's.");
        return;
    }
    if (idempotency_read(request, &order) != ST_OK) {
        return;
    }
    struct ticket known;
    enum status status = tickets_add(orders->tickets, &order, &known);
    if (status == ST_CONSTRAINT) {
        reply_known(orders, request, &order, &known);
        return;
    }
    if (status == ST_OK) {
        if (!within_rate(orders, request, &order) || !is_on_sale(orders, request, &order)) {
            return;
        }
        status = enqueue(orders, &order);
    }
    if (status == ST_OK) {
        reply_accepted(orders, request, &order, ORDER_PENDING);
    } else {
        refuse(request, status);
    }
}
