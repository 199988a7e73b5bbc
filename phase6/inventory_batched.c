/* One row holds a sale's stock, and many orders share one lock of it, one transaction, one flush.
 *
 * A round trip locks the sale's row and reads what is known of the orders and their users: orders
 * that were decided before, units bought. Then everything is decided in memory, order by order as
 * they came, each seeing what those before it took: the stock, and what their user has bought. A
 * second round trip writes all rows, the stock, and commits. So an order costs its share of two
 * round trips and one flush, and the row is as busy with a hundred orders as with one.
 *
 * Exact for each: an order for 2 is rejected where 1 is left, and the next one for 1 is confirmed.
 * The lock makes it so, against other batches and against all who lock the row (the pessimistic
 * inventory does). An order that comes twice in one batch is decided once.
 *
 * It is all or nothing: if one order cannot be written, none is, and the caller has each decided by
 * itself, which the pessimistic inventory does. So does one whose row appears between the two round
 * trips, which only its user can cause, by using one key for two sales at once: the INSERT then
 * breaks the primary key instead of looking away, since the stock is computed already. */
#include "inventory.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/sql_array.h"
#include "order_rows.h"

/* A point in time as microseconds since 1970, also where it is infinite. */
#define AS_US(column)                                                                              \
    "(extract(epoch FROM least(greatest(" column ", '1970-01-01Z'), '9999-01-01Z')) "              \
    "* 1000000)::bigint"

/* Locks the sale's row until the transaction ends. One row, or none. */
static const char SQL_LOCK_SALE[] = "SELECT stock_left, per_user_limit, " AS_US(
    "starts_at") ", " AS_US("ends_at") " FROM sales WHERE id = $1 FOR UPDATE";

/* No lock, and exact under the sale's. A row for each order of which something is known, with its
 * number, from 1: what its user has bought, and the order of that id if there is one. (OFFSET 0: it
 * is looked for by the index, each by itself; a join might read all orders that there are.) */
static const char SQL_KNOWN[] =
    "SELECT asked.place, bought.units, o.status, o.reason, o.sale_id, o.user_id, o.quantity "
    "FROM unnest($2::uuid[], $3::bigint[]) WITH ORDINALITY AS asked (id, user_id, place) "
    "LEFT JOIN LATERAL (SELECT * FROM orders WHERE id = asked.id OFFSET 0) o ON true "
    "CROSS JOIN LATERAL (SELECT coalesce(sum(quantity), 0) AS units FROM orders "
    "WHERE sale_id = $1 AND user_id = asked.user_id AND status = 'confirmed') bought "
    "WHERE o.id IS NOT NULL OR bought.units > 0";

/* No lock that an order of this sale waits for. A row for each. */
static const char SQL_INSERT[] =
    "INSERT INTO orders (id, sale_id, user_id, quantity, accepted_at, status, reason, "
    "idempotency_key, fingerprint) "
    "SELECT id, $1, user_id, quantity, accepted_us" ORDER_AS_TIME
    ", status, reason, key, fingerprint "
    "FROM unnest($2::uuid[], $3::bigint[], $4::integer[], $5::bigint[], $6::text[], $7::text[], "
    "$8::text[], $9::bytea[]) "
    "AS decided (id, user_id, quantity, accepted_us, status, reason, key, fingerprint)";

/* Changes the row that is locked already. One row. */
static const char SQL_SET_STOCK[] =
    "UPDATE sales SET stock_left = $2, version = version + 1 WHERE id = $1";

static const struct pg_statement LOCK_SALE = {"batch_lock", SQL_LOCK_SALE, 1, STAGE_LOCK_WAIT};
static const struct pg_statement KNOWN = {"batch_known", SQL_KNOWN, 3, STAGE_STATEMENTS};
static const struct pg_statement INSERT = {"batch_insert", SQL_INSERT, 9, STAGE_STATEMENTS};
static const struct pg_statement SET_STOCK = {"batch_stock", SQL_SET_STOCK, 2, STAGE_STATEMENTS};

enum {
    SLOTS = 4096, /* of a table of the batch's orders, twice as many as there can be, or more */
    NONE = -1,
    COLUMNS = 8,      /* of an INSERT, beside the sale */
    ANSWERS_MAX = 10, /* of an order by itself, which is more than of a batch */
};

_Static_assert(SLOTS >= 2 * ORDER_BATCH_MAX, "half of it is empty");

struct sale {
    bool is_there;
    int64_t stock_left, per_user_limit, starts_us, ends_us;
};

/* The batch, and of each order: the first one of its id and the first one of its user; and of such
 * a first one what its user has bought, in earlier batches and in this one. */
struct batch {
    struct order *orders;
    enum order_outcome *outcomes;
    int count;
    bool is_known[ORDER_BATCH_MAX]; /* it has a row already: nothing to write */
    int first_of_id[ORDER_BATCH_MAX], first_of_user[ORDER_BATCH_MAX];
    int64_t bought[ORDER_BATCH_MAX];
};

static int64_t number(const PGresult *result, int row, int column)
{
    return strtoll(PQgetvalue(result, row, column), NULL, 10);
}

static uint32_t hash_of(const void *key, size_t size)
{
    uint32_t hash = 2166136261U; /* FNV-1a */
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ ((const unsigned char *)key)[i]) * 16777619U;
    }
    return hash;
}

/* The first order with the same bytes at that offset as order i, which may be i itself; slots holds
 * the first ones so far. */
static int first_like(const struct batch *batch, int slots[SLOTS], int i, size_t offset,
                      size_t size)
{
    const char *mine = (const char *)&batch->orders[i] + offset;
    uint32_t at = hash_of(mine, size) % SLOTS;
    while (slots[at] != NONE &&
           memcmp((const char *)&batch->orders[slots[at]] + offset, mine, size) != 0) {
        at = (at + 1) % SLOTS;
    }
    if (slots[at] == NONE) {
        slots[at] = i;
    }
    return slots[at];
}

static void find_firsts(struct batch *batch)
{
    int ids[SLOTS], users[SLOTS];
    memset(ids, 0xff, sizeof ids); /* NONE */
    memset(users, 0xff, sizeof users);
    for (int i = 0; i < batch->count; i++) {
        batch->first_of_id[i] =
            first_like(batch, ids, i, offsetof(struct order, id), UUID_TEXT_SIZE);
        batch->first_of_user[i] =
            first_like(batch, users, i, offsetof(struct order, user_id), sizeof(int64_t));
    }
}

/* ----------------------------------------------------------------------------------- reading */

static void keep_known(struct batch *batch, const PGresult *result)
{
    for (int row = 0; row < PQntuples(result); row++) {
        int i = (int)number(result, row, 0) - 1;
        struct order *order = &batch->orders[i];
        if (batch->first_of_user[i] == i) {
            batch->bought[i] = number(result, row, 1);
        }
        if (PQgetisnull(result, row, 2)) {
            continue;
        }
        batch->is_known[i] = true;
        const char *reason = PQgetisnull(result, row, 3) ? NULL : PQgetvalue(result, row, 3);
        batch->outcomes[i] = order_outcome_of(PQgetvalue(result, row, 2), reason);
        order->sale_id = number(result, row, 4);
        order->user_id = number(result, row, 5);
        order->quantity = number(result, row, 6);
    }
}

/* Begins the transaction. */
static enum status lock_and_read(struct pg *pg, struct batch *batch, const char *sale_id,
                                 struct sale *sale)
{
    struct sql_array ids = {0}, users = {0};
    for (int i = 0; i < batch->count; i++) {
        sql_array_add_text(&ids, batch->orders[i].id);
        bool is_first = batch->first_of_user[i] == i; /* his units are summed once; 0 is nobody */
        sql_array_add_int(&users, is_first ? batch->orders[i].user_id : 0);
    }
    const char *const known[] = {sale_id, sql_array_text(&ids), sql_array_text(&users)};
    struct pg_call calls[] = {{&LOCK_SALE, &sale_id, NULL}, {&KNOWN, known, NULL}};
    enum status status = pg_begin_with(pg, calls, 2);
    if (status == ST_OK) {
        const PGresult *row = calls[0].result;
        if (PQntuples(row) == 1) {
            *sale = (struct sale){true, number(row, 0, 0), number(row, 0, 1), number(row, 0, 2),
                                  number(row, 0, 3)};
        }
        keep_known(batch, calls[1].result);
        PQclear(calls[0].result);
        PQclear(calls[1].result);
    }
    sql_array_free(&ids);
    sql_array_free(&users);
    return status;
}

/* ---------------------------------------------------------------------------------- deciding */

static enum order_outcome judge(const struct sale *sale, const struct order *order, int64_t bought)
{
    if (!sale->is_there) {
        return ORDER_SALE_NOT_FOUND;
    }
    if (order->accepted_us < sale->starts_us) {
        return ORDER_SALE_NOT_OPEN;
    }
    if (order->accepted_us >= sale->ends_us) {
        return ORDER_SALE_ENDED;
    }
    if (order->quantity > sale->stock_left) {
        return ORDER_SOLD_OUT;
    }
    return bought + order->quantity > sale->per_user_limit ? ORDER_LIMIT_EXCEEDED : ORDER_CONFIRMED;
}

/* In their order. Returns how many have to be written. */
static int decide_all(struct batch *batch, struct sale *sale)
{
    int writes = 0;
    for (int i = 0; i < batch->count; i++) {
        const int first = batch->first_of_id[i];
        if (first != i) { /* the same order once more */
            batch->orders[i] = batch->orders[first];
            batch->outcomes[i] = batch->outcomes[first];
            batch->is_known[i] = true;
        }
        if (batch->is_known[i]) {
            continue;
        }
        const struct order *order = &batch->orders[i];
        int64_t *bought = &batch->bought[batch->first_of_user[i]];
        batch->outcomes[i] = judge(sale, order, *bought);
        if (batch->outcomes[i] == ORDER_CONFIRMED) {
            sale->stock_left -= order->quantity;
            *bought += order->quantity;
        }
        writes += batch->outcomes[i] != ORDER_SALE_NOT_FOUND;
    }
    return writes;
}

/* ----------------------------------------------------------------------------------- writing */

static void add_row(struct sql_array columns[COLUMNS], const struct order *order,
                    enum order_outcome outcome)
{
    sql_array_add_text(&columns[0], order->id);
    sql_array_add_int(&columns[1], order->user_id);
    sql_array_add_int(&columns[2], order->quantity);
    sql_array_add_int(&columns[3], order->accepted_us);
    sql_array_add_text(&columns[4], order_status(outcome));
    sql_array_add_text(&columns[5], order_reason(outcome));
    sql_array_add_text(&columns[6], order->key);
    sql_array_add_bytea_hex(&columns[7], order->fingerprint, ORDER_FINGERPRINT_BYTES);
}

/* Ends the transaction. Where nobody gets a unit the sale's row is left alone. */
static enum status write_and_commit(struct pg *pg, const struct batch *batch, const char *sale_id,
                                    int64_t stock_before, int64_t stock_left)
{
    struct sql_array columns[COLUMNS] = {0};
    for (int i = 0; i < batch->count; i++) {
        if (!batch->is_known[i] && batch->outcomes[i] != ORDER_SALE_NOT_FOUND) {
            add_row(columns, &batch->orders[i], batch->outcomes[i]);
        }
    }
    const char *rows[1 + COLUMNS] = {sale_id};
    for (int i = 0; i < COLUMNS; i++) {
        rows[1 + i] = sql_array_text(&columns[i]);
    }
    char stock[ORDER_INT_SIZE];
    snprintf(stock, sizeof stock, "%" PRId64, stock_left);
    const char *const set_stock[] = {sale_id, stock};
    struct pg_call calls[] = {{&INSERT, rows, NULL}, {&SET_STOCK, set_stock, NULL}};
    enum status status = pg_commit_with(pg, calls, stock_left < stock_before ? 2 : 1);
    for (int i = 0; i < COLUMNS; i++) {
        sql_array_free(&columns[i]);
    }
    PQclear(calls[0].result);
    PQclear(calls[1].result);
    return status;
}

static enum status decide_batch(struct pg *pg, struct order *orders, enum order_outcome *outcomes,
                                int count)
{
    struct batch batch = {.orders = orders, .outcomes = outcomes, .count = count};
    struct sale sale = {0};
    char sale_id[ORDER_INT_SIZE];
    assert(count >= 1 && count <= ORDER_BATCH_MAX);
    snprintf(sale_id, sizeof sale_id, "%" PRId64, orders[0].sale_id);
    find_firsts(&batch);
    enum status status = lock_and_read(pg, &batch, sale_id, &sale);
    const int64_t before = sale.stock_left;
    if (status == ST_OK && decide_all(&batch, &sale) > 0) {
        status = write_and_commit(pg, &batch, sale_id, before, sale.stock_left);
    }
    pg_rollback(pg); /* of what failed, or of nothing to write */
    return status;
}

/* Under the same lock, one statement after the other. */
static enum status decide(struct pg *pg, struct order *order, enum order_outcome *outcome)
{
    return inventory_pessimistic.decide(pg, order, outcome);
}

const struct inventory inventory_batched = {
    .name = "batched", .answers_max = ANSWERS_MAX, .decide = decide, .decide_batch = decide_batch};
