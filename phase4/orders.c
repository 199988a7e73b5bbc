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

/* Retry-After of a refusal is drawn from 1 to this. */
enum { RETRY_AFTER_MAX_S = 3, REPLY_SIZE = 256 };

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
    struct order order = {0};
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
