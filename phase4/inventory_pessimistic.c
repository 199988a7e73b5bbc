/* One row holds a sale's stock, and every order locks it: SELECT ... FOR UPDATE, check, limit,
 * INSERT, UPDATE, COMMIT, each a statement and a round trip.
 *
 * The lock is taken by the first statement and held until the COMMIT has reached the disk, so the
 * orders of one sale run strictly one after another: never oversold, and never faster than one WAL
 * flush and four round trips each. That the per-user limit holds under concurrency is the same
 * lock's doing.
 *
 * So is that an order is decided once. It may come again: its COMMIT was not answered, or another
 * worker was given it meanwhile. Under the lock its row is looked for first; if it is there, that
 * is the answer, whatever the sale has come to since. */
#include "inventory.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* Makes a point in time of a parameter, microseconds since 1970. Exact: below 2^53 until 2255. */
#define AS_TIME "::float8 * interval '1 microsecond' + timestamptz 'epoch'"

/* Locks the sale's row until the transaction ends. One row, or none. The window is that of the
 * moment of acceptance: who came before the end is not punished for the wait. */
static const char SQL_LOCK_SALE[] =
    "SELECT stock_left, per_user_limit, starts_at > $2" AS_TIME ", ends_at <= $2" AS_TIME " "
    "FROM sales WHERE id = $1 FOR UPDATE";

/* No lock. One row: the user's units so far, and what the order itself came to if it was decided
 * before. Exact only under the sale's lock. */
static const char SQL_BOUGHT[] =
    "SELECT (SELECT coalesce(sum(quantity), 0) FROM orders "
    "WHERE sale_id = $1 AND user_id = $2 AND status = 'confirmed'), o.status, o.reason "
    "FROM (VALUES (1)) one LEFT JOIN orders o ON o.id = $3";

/* Changes the row that is locked already. One row. */
static const char SQL_SET_STOCK[] = "UPDATE sales SET stock_left = $2 WHERE id = $1";

/* No lock that another order waits for. One row: under the sale's lock nobody else inserts it. */
static const char SQL_INSERT_ORDER[] =
    "INSERT INTO orders (id, sale_id, user_id, quantity, accepted_at, status, reason) "
    "VALUES ($1, $2, $3, $4, $5" AS_TIME ", $6, $7)";

/* Locks the sale's row, as a decision does. One row, or none: the order has one, or there is no
 * such sale any more. */
static const char SQL_FAIL_ORDER[] =
    "INSERT INTO orders (id, sale_id, user_id, quantity, accepted_at, status, reason) "
    "SELECT $1::uuid, id, $3::bigint, $4::integer, $5" AS_TIME ", $6::text, $7::text "
    "FROM sales WHERE id = $2 FOR UPDATE ON CONFLICT (id) DO NOTHING";

static const struct pg_statement LOCK_SALE = {"inventory_lock", SQL_LOCK_SALE, 2, STAGE_LOCK_WAIT};
static const struct pg_statement BOUGHT = {"inventory_bought", SQL_BOUGHT, 3, STAGE_STATEMENTS};
static const struct pg_statement SET_STOCK = {"inventory_set_stock", SQL_SET_STOCK, 2,
                                              STAGE_STATEMENTS};
static const struct pg_statement INSERT_ORDER = {"inventory_insert", SQL_INSERT_ORDER, 7,
                                                 STAGE_STATEMENTS};
static const struct pg_statement FAIL_ORDER = {"inventory_fail", SQL_FAIL_ORDER, 7,
                                               STAGE_LOCK_WAIT};

enum { INT64_TEXT_SIZE = 21 };

/* The sale as this transaction sees it. */
struct sale {
    int64_t stock_left, per_user_limit;
    bool not_open, ended;
};

static int64_t column(const PGresult *result, int index)
{
    return strtoll(PQgetvalue(result, 0, index), NULL, 10);
}

static const char *text(const PGresult *result, int index)
{
    return PQgetisnull(result, 0, index) ? NULL : PQgetvalue(result, 0, index);
}

static bool flag(const PGresult *result, int index)
{
    return PQgetvalue(result, 0, index)[0] == 't';
}

/* An order as parameters. */
struct texts {
    char sale_id[INT64_TEXT_SIZE], user_id[INT64_TEXT_SIZE], quantity[INT64_TEXT_SIZE],
        accepted_us[INT64_TEXT_SIZE];
};

static struct texts texts_of(const struct order *order)
{
    struct texts texts;
    snprintf(texts.sale_id, sizeof texts.sale_id, "%" PRId64, order->sale_id);
    snprintf(texts.user_id, sizeof texts.user_id, "%" PRId64, order->user_id);
    snprintf(texts.quantity, sizeof texts.quantity, "%" PRId64, order->quantity);
    snprintf(texts.accepted_us, sizeof texts.accepted_us, "%" PRId64, order->accepted_us);
    return texts;
}

static enum status read_sale(struct pg *pg, const struct texts *texts, struct sale *sale)
{
    PGresult *result = NULL;
    enum status status =
        pg_run(pg, &LOCK_SALE, (const char *const[]){texts->sale_id, texts->accepted_us}, &result);
    if (status == ST_OK && PQntuples(result) == 0) {
        status = ST_NOT_FOUND;
    } else if (status == ST_OK) {
        *sale =
            (struct sale){column(result, 0), column(result, 1), flag(result, 2), flag(result, 3)};
    }
    PQclear(result);
    return status;
}

/* *outcome: what the order came to before, or ORDER_PENDING. */
static enum status read_bought(struct pg *pg, const struct order *order, const struct texts *texts,
                               int64_t *units, enum order_outcome *outcome)
{
    PGresult *result = NULL;
    enum status status = pg_run(
        pg, &BOUGHT, (const char *const[]){texts->sale_id, texts->user_id, order->id}, &result);
    if (status == ST_OK) {
        *units = column(result, 0);
        const char *was = text(result, 1);
        *outcome = was ? order_outcome_of(was, text(result, 2)) : ORDER_PENDING;
    }
    PQclear(result);
    return status;
}

/* What the sale alone says of the order; the user's limit comes after. */
static enum order_outcome judge(const struct sale *sale, const struct order *order)
{
    if (sale->not_open) {
        return ORDER_SALE_NOT_OPEN;
    }
    if (sale->ended) {
        return ORDER_SALE_ENDED;
    }
    return order->quantity > sale->stock_left ? ORDER_SOLD_OUT : ORDER_CONFIRMED;
}

static enum status insert(struct pg *pg, const struct pg_statement *statement,
                          const struct order *order, const struct texts *texts,
                          enum order_outcome outcome, int64_t *count)
{
    const char *const values[] = {
        order->id,          texts->sale_id,        texts->user_id,        texts->quantity,
        texts->accepted_us, order_status(outcome), order_reason(outcome),
    };
    return pg_run_count(pg, statement, values, count);
}

/* The transaction's body: no begin, no end. */
static enum status decide_in_transaction(struct pg *pg, const struct order *order,
                                         enum order_outcome *outcome)
{
    struct texts texts = texts_of(order);
    struct sale sale;
    enum status status = read_sale(pg, &texts, &sale);
    if (status == ST_NOT_FOUND) {
        *outcome = ORDER_SALE_NOT_FOUND;
        return ST_OK;
    }
    if (status != ST_OK) {
        return status;
    }
    int64_t bought, count;
    status = read_bought(pg, order, &texts, &bought, outcome);
    if (status != ST_OK || *outcome != ORDER_PENDING) {
        return status;
    }
    *outcome = judge(&sale, order);
    if (*outcome == ORDER_CONFIRMED && bought + order->quantity > sale.per_user_limit) {
        *outcome = ORDER_LIMIT_EXCEEDED;
    }
    status = insert(pg, &INSERT_ORDER, order, &texts, *outcome, &count);
    if (status != ST_OK || *outcome != ORDER_CONFIRMED) {
        return status;
    }
    char stock_left[INT64_TEXT_SIZE];
    snprintf(stock_left, sizeof stock_left, "%" PRId64, sale.stock_left - order->quantity);
    return pg_run(pg, &SET_STOCK, (const char *const[]){texts.sale_id, stock_left}, NULL);
}

static enum status decide(struct pg *pg, struct order *order, enum order_outcome *outcome)
{
    enum status status = pg_begin(pg);
    if (status != ST_OK) {
        return status;
    }
    status = decide_in_transaction(pg, order, outcome);
    if (status == ST_OK) {
        return pg_commit(pg);
    }
    pg_rollback(pg);
    return status;
}

/* The INSERT is a transaction of its own; what is read after it is final. */
enum status inventory_fail(struct pg *pg, struct order *order, enum order_outcome *outcome)
{
    struct texts texts = texts_of(order);
    int64_t bought, count;
    *outcome = ORDER_FAILED;
    enum status status = insert(pg, &FAIL_ORDER, order, &texts, ORDER_FAILED, &count);
    if (status != ST_OK || count == 1) {
        return status;
    }
    status = read_bought(pg, order, &texts, &bought, outcome);
    if (status == ST_OK && *outcome == ORDER_PENDING) {
        *outcome = ORDER_SALE_NOT_FOUND;
    }
    return status;
}

const struct inventory inventory_pessimistic = {"pessimistic", decide};
