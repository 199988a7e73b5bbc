/* Nobody locks: an order is judged by what it read, and written only if that still holds.
 *
 * Two statements, each a transaction by itself. The first reads, from one snapshot and without a
 * lock, the sale, the user's units and whether the order was decided before. The second takes the
 * units and keeps the order if the sale's version is still the one that was read. Else somebody
 * sold in between: a conflict, and all starts again, after a pause that is random, lest the same
 * two meet again. After `tries` of them the order goes back to the caller (ST_RETRY).
 *
 * Every confirmed order counts the version up, also where there would be stock for both. That is
 * what makes the user's limit exact: while the version is the same, no one was confirmed, and so
 * not he. It is also what it costs: of all who read one version only one is served, and the others
 * have read in vain. The row's lock is still there, inside the UPDATE, until its flush.
 *
 * A refusal needs no lock and no version: stock only falls and units only grow, so what was too
 * much in the snapshot is too much for ever. Where stock is raised meanwhile the refusal is true of
 * the moment of the snapshot, which is after the order was accepted. (Who changes a sale by hand
 * counts its version up, or takes no more than nobody has read.)
 *
 * An order is decided once. One that has a row is found by the first statement. One that gets a row
 * after that fails in the second by the unique index, which undoes the UPDATE as well: there is no
 * ON CONFLICT here, as it would forget the order and keep the units. */
#include "inventory.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/random.h"
#include "order_rows.h"

enum {
    ANSWERS_MAX = 26,   /* two for each of 10 tries at most, what is prepared, a refusal */
    PAUSE_MIN_US = 500, /* the longest before the second try; it doubles from try to try */
    PAUSE_MAX_US = 8000,
};

/* No lock. One row, or none: one snapshot of all that an order is judged by. */
static const char SQL_READ[] =
    "SELECT stock_left, per_user_limit, starts_at > $4" ORDER_AS_TIME " AS not_open, "
    "ends_at <= $4" ORDER_AS_TIME " AS ended, version, "
    "(SELECT coalesce(sum(quantity), 0) FROM orders "
    "WHERE sale_id = $1 AND user_id = $2 AND status = 'confirmed') AS bought, "
    "EXISTS (SELECT FROM orders WHERE id = $3::uuid) AS is_known FROM sales WHERE id = $1";

/* Locks the sale's row, and waits for who has it: both end with the statement. One row, or none: a
 * conflict. */
static const char SQL_SELL[] =
    "WITH sold AS (UPDATE sales SET stock_left = stock_left - $4::integer, version = version + 1 "
    "WHERE id = $2 AND version = $8 RETURNING id) "
    "INSERT INTO orders (id, sale_id, user_id, quantity, accepted_at, status, idempotency_key, "
    "fingerprint) SELECT $1::uuid, id, $3::bigint, $4::integer, $5" ORDER_AS_TIME
    ", 'confirmed', $6::text, $7::bytea FROM sold";

static const struct pg_statement READ = {"inventory_read", SQL_READ, 4, STAGE_STATEMENTS};
static const struct pg_statement SELL = {"inventory_sell", SQL_SELL, 8, STAGE_LOCK_WAIT};

static int tries_max = 1;
static atomic_llong conflicts;

/* The sale and the user as the snapshot has them. */
struct sale {
    int64_t stock_left, per_user_limit;
    bool not_open, ended;
    int64_t version, bought;
};

static int64_t column(const PGresult *result, int index)
{
    return strtoll(PQgetvalue(result, 0, index), NULL, 10);
}

static bool flag(const PGresult *result, int index)
{
    return PQgetvalue(result, 0, index)[0] == 't';
}

/* ST_NOT_FOUND: there is no such sale. ST_CONSTRAINT: the order has a row. */
static enum status read_sale(struct pg *pg, const struct order *order,
                             const struct order_texts *texts, struct sale *sale)
{
    PGresult *result = NULL;
    enum status status =
        pg_run(pg, &READ,
               (const char *const[]){texts->sale_id, texts->user_id, order->id, texts->accepted_us},
               &result);
    if (status == ST_OK && PQntuples(result) == 0) {
        status = ST_NOT_FOUND;
    } else if (status == ST_OK) {
        *sale = (struct sale){
            .stock_left = column(result, 0),
            .per_user_limit = column(result, 1),
            .not_open = flag(result, 2),
            .ended = flag(result, 3),
            .version = column(result, 4),
            .bought = column(result, 5),
        };
        status = flag(result, 6) ? ST_CONSTRAINT : ST_OK;
    }
    PQclear(result);
    return status;
}

static enum order_outcome judge(const struct sale *sale, const struct order *order)
{
    if (sale->not_open) {
        return ORDER_SALE_NOT_OPEN;
    }
    if (sale->ended) {
        return ORDER_SALE_ENDED;
    }
    if (order->quantity > sale->stock_left) {
        return ORDER_SOLD_OUT;
    }
    bool within_limit = sale->bought + order->quantity <= sale->per_user_limit;
    return within_limit ? ORDER_CONFIRMED : ORDER_LIMIT_EXCEEDED;
}

/* *count: 1, or 0: the version is another by now. ST_CONSTRAINT: the order has a row by now. */
static enum status sell(struct pg *pg, const struct order *order, const struct order_texts *texts,
                        int64_t version, int64_t *count)
{
    char text[ORDER_INT_SIZE];
    snprintf(text, sizeof text, "%" PRId64, version);
    const char *const values[] = {
        order->id,          texts->sale_id, texts->user_id,     texts->quantity,
        texts->accepted_us, order->key,     texts->fingerprint, text,
    };
    return pg_run_count(pg, &SELL, values, count);
}

/* One try. ST_OK and ORDER_PENDING: a conflict. */
static enum status try_once(struct pg *pg, const struct order *order,
                            const struct order_texts *texts, enum order_outcome *outcome)
{
    struct sale sale = {0};
    int64_t count = 0;
    enum status status = read_sale(pg, order, texts, &sale);
    if (status != ST_OK) {
        return status;
    }
    *outcome = judge(&sale, order);
    if (*outcome != ORDER_CONFIRMED) {
        status = order_rows_insert(pg, order, texts, *outcome, &count);
        return status == ST_OK && count == 0 ? ST_CONSTRAINT : status;
    }
    status = sell(pg, order, texts, sale.version, &count);
    if (status == ST_OK && count == 0) {
        *outcome = ORDER_PENDING;
    }
    return status;
}

static void pause_before_try(int tries)
{
    int64_t longest_us = PAUSE_MIN_US;
    for (int i = 1; i < tries && longest_us < PAUSE_MAX_US; i++) {
        longest_us *= 2;
    }
    int64_t pause_us = 1 + (int64_t)random_below((uint64_t)longest_us);
    clock_sleep_until(clock_now_ns() + pause_us * CLOCK_NS_PER_US);
}

static enum status decide(struct pg *pg, struct order *order, enum order_outcome *outcome)
{
    struct order_texts texts = order_texts_of(order);
    *outcome = ORDER_PENDING;
    enum status status = try_once(pg, order, &texts, outcome);
    for (int tries = 1; status == ST_OK && *outcome == ORDER_PENDING; tries++) {
        if (tries == tries_max) {
            return ST_RETRY;
        }
        atomic_fetch_add(&conflicts, 1);
        pause_before_try(tries);
        status = try_once(pg, order, &texts, outcome);
    }
    if (status == ST_CONSTRAINT || status == ST_NOT_FOUND) {
        return order_rows_look_up(pg, order, &texts, status, outcome);
    }
    return status;
}

static void set_up(const struct inventory_options *options)
{
    tries_max = options->tries;
}

static int64_t read_conflicts(void)
{
    return atomic_load(&conflicts);
}

const struct inventory inventory_optimistic = {
    .name = "optimistic",
    .answers_max = ANSWERS_MAX,
    .set_up = set_up,
    .decide = decide,
    .read_conflicts = read_conflicts,
};
