/* One row holds a sale's stock, and every order locks it: SELECT ... FOR UPDATE, check, limit,
 * INSERT, UPDATE, COMMIT, each a statement and a round trip.
 *
 * The lock is taken by the first statement and held until the COMMIT has reached the disk, so the
 * orders of one sale run strictly one after another: never oversold, and never faster than one WAL
 * flush and four round trips each. That the per-user limit holds under concurrency is the same
 * lock's doing.
 *
 * So is that an order is decided once. It may come again: its COMMIT was not answered, another
 * worker was given it meanwhile, or the client sent it again after a restart. Under the lock its
 * row is looked for first; if it is there, that is the answer, whatever the sale has come to since,
 * or the client asks for now. A client that uses one key for two sales at once takes two locks:
 * then the primary key decides, and ON CONFLICT keeps the transaction alive to read who was first.
 */
#include "inventory.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "order_rows.h"

/* Locks the sale's row until the transaction ends. One row, or none. The window is that of the
 * moment of acceptance: who came before the end is not punished for the wait. */
static const char SQL_LOCK_SALE[] =
    "SELECT stock_left, per_user_limit, starts_at > $2" ORDER_AS_TIME
    ", ends_at <= $2" ORDER_AS_TIME " "
    "FROM sales WHERE id = $1 FOR UPDATE";

/* Changes the row that is locked already. One row. */
static const char SQL_SET_STOCK[] = "UPDATE sales SET stock_left = $2 WHERE id = $1";

static const struct pg_statement LOCK_SALE = {"inventory_lock", SQL_LOCK_SALE, 2, STAGE_LOCK_WAIT};
static const struct pg_statement SET_STOCK = {"inventory_set_stock", SQL_SET_STOCK, 2,
                                              STAGE_STATEMENTS};

enum {
    /* BEGIN, the end, and at most four statements, each of them perhaps to be prepared first. */
    ANSWERS_MAX = 10,
};

/* The sale as this transaction sees it. */
struct sale {
    int64_t stock_left, per_user_limit;
    bool not_open, ended;
};

static int64_t column(const PGresult *result, int index)
{
    return strtoll(PQgetvalue(result, 0, index), NULL, 10);
}

static bool flag(const PGresult *result, int index)
{
    return PQgetvalue(result, 0, index)[0] == 't';
}

static enum status read_sale(struct pg *pg, const struct order_texts *texts, struct sale *sale)
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

/* The transaction's body: no begin, no end. */
static enum status decide_in_transaction(struct pg *pg, struct order *order,
                                         enum order_outcome *outcome)
{
    struct order_texts texts = order_texts_of(order);
    struct sale sale;
    enum status status = read_sale(pg, &texts, &sale);
    if (status == ST_NOT_FOUND) {
        return order_rows_look_up(pg, order, &texts, status, outcome);
    }
    if (status != ST_OK) {
        return status;
    }
    int64_t bought, count;
    status = order_rows_find(pg, order, &texts, &bought, outcome);
    if (status != ST_OK || *outcome != ORDER_PENDING) {
        return status;
    }
    *outcome = judge(&sale, order);
    if (*outcome == ORDER_CONFIRMED && bought + order->quantity > sale.per_user_limit) {
        *outcome = ORDER_LIMIT_EXCEEDED;
    }
    status = order_rows_insert(pg, order, &texts, *outcome, &count);
    if (status == ST_OK && count == 0) {
        return order_rows_look_up(pg, order, &texts, ST_CONSTRAINT, outcome);
    }
    if (status != ST_OK || *outcome != ORDER_CONFIRMED) {
        return status;
    }
    char stock_left[ORDER_INT_SIZE];
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

const struct inventory inventory_pessimistic = {
    .name = "pessimistic", .answers_max = ANSWERS_MAX, .decide = decide};
