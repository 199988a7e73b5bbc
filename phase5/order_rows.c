/* The statements that every way of deciding needs, whatever it locks: what has the user bought and
 * was this order decided before; the order's row; the row of an order that cannot be decided.
 *
 * Which lock makes an answer exact is the inventory's business; only order_rows_fail takes one
 * itself, the sale's, as a decision does. */
#include "order_rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* No lock. One row: the user's units so far, and the order of this id with what it came to if one
 * was decided before. Exact only under the sale's lock. */
static const char SQL_BOUGHT[] =
    "SELECT (SELECT coalesce(sum(quantity), 0) FROM orders "
    "WHERE sale_id = $1 AND user_id = $2 AND status = 'confirmed'), o.status, o.reason, "
    "o.sale_id, o.user_id, o.quantity FROM (VALUES (1)) one LEFT JOIN orders o ON o.id = $3";

/* No lock that another order waits for, but one of the same id for another sale. One row, or none:
 * such an order was first. (No target: it would leave out one of the two unique indexes, and a race
 * that shows in that one first would be an error.) */
static const char SQL_INSERT_ORDER[] =
    "INSERT INTO orders (id, sale_id, user_id, quantity, accepted_at, status, reason, "
    "idempotency_key, fingerprint) "
    "VALUES ($1, $2, $3, $4, $5" ORDER_AS_TIME ", $6, $7, $8, $9) ON CONFLICT DO NOTHING";

/* Locks the sale's row, as a decision does, and lets the foreign keys of others' INSERTs be: FOR
 * UPDATE would wait for them, as long as there are any. One row, or none: the order has one, or
 * there is no such sale any more. */
static const char SQL_FAIL_ORDER[] =
    "INSERT INTO orders (id, sale_id, user_id, quantity, accepted_at, status, reason, "
    "idempotency_key, fingerprint) "
    "SELECT $1::uuid, id, $3::bigint, $4::integer, $5" ORDER_AS_TIME
    ", $6::text, $7::text, $8::text, "
    "$9::bytea FROM sales WHERE id = $2 FOR NO KEY UPDATE ON CONFLICT DO NOTHING";

static const struct pg_statement BOUGHT = {"orders_bought", SQL_BOUGHT, 3, STAGE_STATEMENTS};
static const struct pg_statement INSERT_ORDER = {"orders_insert", SQL_INSERT_ORDER, 9,
                                                 STAGE_STATEMENTS};
static const struct pg_statement FAIL_ORDER = {"orders_fail", SQL_FAIL_ORDER, 9, STAGE_LOCK_WAIT};

static int64_t column(const PGresult *result, int index)
{
    return strtoll(PQgetvalue(result, 0, index), NULL, 10);
}

static const char *text(const PGresult *result, int index)
{
    return PQgetisnull(result, 0, index) ? NULL : PQgetvalue(result, 0, index);
}

struct order_texts order_texts_of(const struct order *order)
{
    struct order_texts texts;
    snprintf(texts.sale_id, sizeof texts.sale_id, "%" PRId64, order->sale_id);
    snprintf(texts.user_id, sizeof texts.user_id, "%" PRId64, order->user_id);
    snprintf(texts.quantity, sizeof texts.quantity, "%" PRId64, order->quantity);
    snprintf(texts.accepted_us, sizeof texts.accepted_us, "%" PRId64, order->accepted_us);
    size_t used = (size_t)snprintf(texts.fingerprint, sizeof texts.fingerprint, "\\x");
    for (int i = 0; i < ORDER_FINGERPRINT_BYTES; i++) {
        used += (size_t)snprintf(texts.fingerprint + used, sizeof texts.fingerprint - used, "%02x",
                                 order->fingerprint[i]);
    }
    return texts;
}

enum status order_rows_find(struct pg *pg, struct order *order, const struct order_texts *texts,
                            int64_t *bought, enum order_outcome *outcome)
{
    PGresult *result = NULL;
    enum status status = pg_run(
        pg, &BOUGHT, (const char *const[]){texts->sale_id, texts->user_id, order->id}, &result);
    if (status == ST_OK) {
        *bought = column(result, 0);
        const char *was = text(result, 1);
        *outcome = was ? order_outcome_of(was, text(result, 2)) : ORDER_PENDING;
        if (was) {
            order->sale_id = column(result, 3);
            order->user_id = column(result, 4);
            order->quantity = column(result, 5);
        }
    }
    PQclear(result);
    return status;
}

enum status order_rows_look_up(struct pg *pg, struct order *order, const struct order_texts *texts,
                               enum status why, enum order_outcome *outcome)
{
    int64_t bought;
    enum status status = order_rows_find(pg, order, texts, &bought, outcome);
    if (status != ST_OK || *outcome != ORDER_PENDING) {
        return status;
    }
    *outcome = ORDER_SALE_NOT_FOUND;
    return why == ST_NOT_FOUND ? ST_OK : why;
}

static enum status insert(struct pg *pg, const struct pg_statement *statement,
                          const struct order *order, const struct order_texts *texts,
                          enum order_outcome outcome, int64_t *count)
{
    const char *const values[] = {
        order->id,          texts->sale_id,        texts->user_id,        texts->quantity,
        texts->accepted_us, order_status(outcome), order_reason(outcome), order->key,
        texts->fingerprint,
    };
    return pg_run_count(pg, statement, values, count);
}

enum status order_rows_insert(struct pg *pg, const struct order *order,
                              const struct order_texts *texts, enum order_outcome outcome,
                              int64_t *count)
{
    return insert(pg, &INSERT_ORDER, order, texts, outcome, count);
}

/* The INSERT is a transaction of its own; what is read after it is final. */
enum status order_rows_fail(struct pg *pg, struct order *order, enum order_outcome *outcome)
{
    struct order_texts texts = order_texts_of(order);
    int64_t count;
    *outcome = ORDER_FAILED;
    enum status status = insert(pg, &FAIL_ORDER, order, &texts, ORDER_FAILED, &count);
    if (status != ST_OK || count == 1) {
        return status;
    }
    return order_rows_look_up(pg, order, &texts, ST_NOT_FOUND, outcome);
}
