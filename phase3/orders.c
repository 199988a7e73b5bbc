/* An order's way from request to reply: read the body, whose is it, is he within his rate, stand in
 * line, decide, answer.
 *
 * Whatever can be refused without the database is refused before it. 429 says that this caller asks
 * too often, 503 that we have too much to do: only the second is our fault. Both say when to come
 * back, and not all at the same moment. A reply other than 201 leaves no row behind; the one
 * exception says so itself (outcome_unknown). */
#include "orders.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/http_fault.h"
#include "common/http_json.h"
#include "common/random.h"

/* Retry-After of a refusal is drawn from 1 to this. */
enum { RETRY_AFTER_MAX_S = 3, INT64_TEXT_SIZE = 21 };

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
    return ST_OK;
}

static void reply_confirmed(struct http_request *request, const struct order *order)
{
    char json[192];
    snprintf(json, sizeof json,
             "{\"order_id\":\"%s\",\"status\":\"confirmed\",\"status_url\":\"/orders/%s\"}",
             order->id, order->id);
    http_add_header(request, "Location", "/orders/%s", order->id);
    http_reply(request, 201, json);
}

/* The one map from what an order came to, to HTTP. */
static void reply_outcome(struct http_request *request, const struct order *order,
                          enum order_outcome outcome)
{
    switch (outcome) {
    case ORDER_CONFIRMED:
        reply_confirmed(request, order);
        return;
    case ORDER_SALE_NOT_FOUND:
        http_problem(request, 404, "sale_not_found", "There is no such sale.");
        return;
    case ORDER_SALE_NOT_OPEN:
        http_problem(request, 409, "sale_not_open", "The sale has not started yet.");
        return;
    case ORDER_SALE_ENDED:
        http_problem(request, 409, "sale_ended", "The sale is over.");
        return;
    case ORDER_SOLD_OUT:
        http_problem(request, 409, "sold_out", "Fewer units are left than the order asks for.");
        return;
    case ORDER_LIMIT_EXCEEDED:
        http_problem(request, 422, "limit_exceeded", "The order goes over the per-user limit.");
        return;
    }
}

static int retry_after_s(void)
{
    return 1 + (int)random_below(RETRY_AFTER_MAX_S);
}

static int whole_seconds(int64_t ns)
{
    return (int)((ns + CLOCK_NS_PER_S - 1) / CLOCK_NS_PER_S);
}

/* One order, as a worker does it. */
struct decision {
    const struct inventory *inventory;
    const struct order *order;
    enum order_outcome outcome;
};

static enum status decide(struct pg *pg, void *job)
{
    struct decision *decision = job;
    return decision->inventory->decide(pg, decision->order, &decision->outcome);
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

/* Nobody spends his rate on orders that never stood in line: else our overload would make "too
 * often" of a user who was turned away five times. */
static void undo_turn(const struct orders *orders, enum admission_result result, int64_t user_id)
{
    if (result == ADMISSION_QUEUE_FULL || result == ADMISSION_STOPPING) {
        token_bucket_give_back(orders->limiter, user_id);
    }
}

static void reply_result(struct http_request *request, enum admission_result result,
                         enum status status, const struct decision *decision)
{
    switch (result) {
    case ADMISSION_DONE:
        if (status == ST_OK) {
            reply_outcome(request, decision->order, decision->outcome);
        } else {
            http_fault(request, status);
        }
        return;
    case ADMISSION_QUEUE_FULL:
        http_problem_retry(request, 503, "queue_full",
                           "More orders are in line than can be served in time.", retry_after_s());
        return;
    case ADMISSION_LATE:
    case ADMISSION_GONE: /* nobody reads it */
        http_problem_retry(request, 503, "deadline_exceeded",
                           "The order's turn did not come in time; nothing was done.",
                           retry_after_s());
        return;
    case ADMISSION_STOPPING:
        http_fault(request, ST_CLOSED);
        return;
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
    struct decision decision = {.inventory = orders->inventory, .order = &order};
    enum status status;
    enum admission_result result =
        admission_run(orders->admission, request, decide, &decision, &status);
    undo_turn(orders, result, order.user_id);
    reply_result(request, result, status, &decision);
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

void orders_get(struct http_request *request, void *context)
{
    if (!uuid_is_valid(request->param)) {
        http_problem(request, 400, "invalid_order_id", "An order's id is a UUID.");
        return;
    }
    PGresult *result = NULL;
    enum status status = find(context, request, &result);
    if (status != ST_OK) {
        http_fault(request, status);
    } else if (PQntuples(result) == 0) {
        http_problem(request, 404, "order_not_found", "There is no such order.");
    } else {
        http_reply(request, 200, PQgetvalue(result, 0, 0));
    }
    PQclear(result);
}
