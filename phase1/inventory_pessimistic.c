/* One row holds a sale's stock, and every order locks it: SELECT ... FOR UPDATE, check, limit,
 * UPDATE, INSERT, COMMIT, each a statement and a round trip.
 *
 * The lock is taken by the first statement and held until the COMMIT has reached the disk, so the
 * orders of one sale run strictly one after another: never oversold, and never faster than one WAL
 * flush and four round trips each. That the per-user limit holds under concurrency is the same
 * lock's doing.
 *
 * inventory_unsafe is the same code without the lock, writing back the stock that it computed: two
 * orders that read the same stock both take the same unit. */
#include "inventory.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define SALE_COLUMNS "stock_left, per_user_limit, starts_at > now(), ends_at <= now()"

/* Locks the sale's row until the transaction ends. One row, or none. now() is the transaction's
 * start: who came before the end is not punished for the wait. */
static const char SQL_LOCK_SALE[] = "SELECT " SALE_COLUMNS " FROM sales WHERE id = $1 FOR UPDATE";

/* No lock: what it reads may be old before the next statement. */
static const char SQL_READ_SALE[] = "SELECT " SALE_COLUMNS " FROM sales WHERE id = $1";

/* No lock. One row: the user's units so far. Exact only under the sale's lock. */
static const char SQL_BOUGHT[] = "SELECT coalesce(sum(quantity), 0) FROM orders "
                                 "WHERE sale_id = $1 AND user_id = $2 AND status = 'confirmed'";

/* Changes the row that is locked already. One row. */
static const char SQL_SET_STOCK[] = "UPDATE sales SET stock_left = $2 WHERE id = $1";

/* No lock that another order waits for. One row. */
static const char SQL_INSERT_ORDER[] =
    "INSERT INTO orders (id, sale_id, user_id, quantity, status) "
    "VALUES ($1, $2, $3, $4, 'confirmed')";

static const struct pg_statement LOCK_SALE = {"inventory_lock", SQL_LOCK_SALE, 1, STAGE_LOCK_WAIT};
static const struct pg_statement READ_SALE = {"inventory_read", SQL_READ_SALE, 1, STAGE_STATEMENTS};
static const struct pg_statement BOUGHT = {"inventory_bought", SQL_BOUGHT, 2, STAGE_STATEMENTS};
static const struct pg_statement SET_STOCK = {"inventory_set_stock", SQL_SET_STOCK, 2,
                                              STAGE_STATEMENTS};
static const struct pg_statement INSERT_ORDER = {"inventory_insert", SQL_INSERT_ORDER, 4,
                                                 STAGE_STATEMENTS};

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

static bool flag(const PGresult *result, int index)
{
    return PQgetvalue(result, 0, index)[0] == 't';
}

static enum status read_sale(struct pg *pg, const struct pg_statement *statement,
                             const char *sale_id, struct sale *sale)
{
    PGresult *result = NULL;
    enum status status = pg_run(pg, statement, (const char *const[]){sale_id}, &result);
    if (status == ST_OK && PQntuples(result) == 0) {
        status = ST_NOT_FOUND;
    } else if (status == ST_OK) {
        *sale =
            (struct sale){column(result, 0), column(result, 1), flag(result, 2), flag(result, 3)};
    }
    PQclear(result);
    return status;
}

static enum status read_bought(struct pg *pg, const char *sale_id, const char *user_id,
                               int64_t *units)
{
    PGresult *result = NULL;
    enum status status = pg_run(pg, &BOUGHT, (const char *const[]){sale_id, user_id}, &result);
    if (status == ST_OK) {
        *units = column(result, 0);
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

/* The transaction's body: no begin, no end. Any outcome but ORDER_CONFIRMED has written nothing. */
static enum status decide_in_transaction(struct pg *pg, const struct order *order,
                                         const struct pg_statement *read,
                                         enum order_outcome *outcome)
{
    char sale_id[INT64_TEXT_SIZE], user_id[INT64_TEXT_SIZE], quantity[INT64_TEXT_SIZE];
    snprintf(sale_id, sizeof sale_id, "%" PRId64, order->sale_id);
    snprintf(user_id, sizeof user_id, "%" PRId64, order->user_id);
    snprintf(quantity, sizeof quantity, "%" PRId64, order->quantity);

    struct sale sale;
    enum status status = read_sale(pg, read, sale_id, &sale);
    if (status == ST_NOT_FOUND) {
        *outcome = ORDER_SALE_NOT_FOUND;
        return ST_OK;
    }
    if (status != ST_OK || (*outcome = judge(&sale, order)) != ORDER_CONFIRMED) {
        return status;
    }
    int64_t bought;
    status = read_bought(pg, sale_id, user_id, &bought);
    if (status != ST_OK) {
        return status;
    }
    if (bought + order->quantity > sale.per_user_limit) {
        *outcome = ORDER_LIMIT_EXCEEDED;
        return ST_OK;
    }
    char stock_left[INT64_TEXT_SIZE];
    snprintf(stock_left, sizeof stock_left, "%" PRId64, sale.stock_left - order->quantity);
    status = pg_run(pg, &SET_STOCK, (const char *const[]){sale_id, stock_left}, NULL);
    if (status != ST_OK) {
        return status;
    }
    return pg_run(pg, &INSERT_ORDER, (const char *const[]){order->id, sale_id, user_id, quantity},
                  NULL);
}

static enum status decide(struct pg *pg, const struct order *order, const struct pg_statement *read,
                          enum order_outcome *outcome)
{
    enum status status = pg_begin(pg);
    if (status != ST_OK) {
        return status;
    }
    status = decide_in_transaction(pg, order, read, outcome);
    if (status == ST_OK && *outcome == ORDER_CONFIRMED) {
        return pg_commit(pg);
    }
    pg_rollback(pg);
    return status;
}

static enum status decide_locked(struct pg *pg, const struct order *order,
                                 enum order_outcome *outcome)
{
    return decide(pg, order, &LOCK_SALE, outcome);
}

static enum status decide_unlocked(struct pg *pg, const struct order *order,
                                   enum order_outcome *outcome)
{
    return decide(pg, order, &READ_SALE, outcome);
}

const struct inventory inventory_pessimistic = {"pessimistic", decide_locked};
const struct inventory inventory_unsafe = {"unsafe", decide_unlocked};
