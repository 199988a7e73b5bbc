/* The stock of a sale lies in several rows, its shards, and an order locks one of them: orders that
 * meet in different shards flush their COMMITs together instead of one after another.
 *
 * A probe is one transaction with one statement: it counts the units to the user, takes them from a
 * shard that seems to have them, and keeps the order. It looks without a lock for such a shard,
 * from a random one on; when it has the lock the units may be gone. Then it is rolled back, since
 * its locks would last as long as it does, and there is one more probe. No probe can say that the
 * sale is sold out: what one shard lacks another may have, or two together.
 *
 * After the probes comes the one place that may: it locks the sale's row and all shards, adds up
 * what is left, and if that is enough, takes the units from it and divides the rest anew: over
 * fewer shards when there is less, so that the last units are not crumbs. The first order of a sale
 * ends here too, for the stock is all in the sale's row; so does stock that somebody adds to that
 * row while the sale is on.
 *
 * With one row for a sale its lock kept the user's limit as well, by accident. Here two orders of a
 * user meet in two shards, so the limit has a row of its own, which both must lock. It starts from,
 * and never falls behind, what the orders say, so that it is right for a database that sold in
 * another way before. It is judged first: who is over his limit is not told that it is sold out.
 *
 * All lock in one order, and so none can wait in a ring: the buyer's row, the sale's, the shards
 * ascending, the order's. (The sale's is locked FOR NO KEY UPDATE: each INSERT of an order locks it
 * FOR KEY SHARE, through its foreign key, while it has a shard. FOR UPDATE would wait for that.)
 *
 * Only what confirms an order commits. A refusal is written by itself after the rollback: it was
 * true under the locks, stock only falls and units only grow. (Where stock is added meanwhile, it
 * was true of the moment of the locks.) An order is decided once: whoever finds that it has a row,
 * before or by the unique index, rolls back and reads it. */
#include "inventory.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/random.h"
#include "order_rows.h"

enum {
    PROBES = 2,
    ANSWERS_MAX = 26,     /* two probes, all shards, a refusal; most of it prepared first */
    SHARD_UNITS_MIN = 32, /* of a division; with less in it a shard is soon too small */
};

/* Locks the buyer's row, of an order that may have units: $1 its id, $2 sale, $3 user, $4 quantity,
 * $5 when it was accepted. sale: one row, or none. buyer: one row, or none: over the limit, if the
 * rest is as it should be. (A row that another made meanwhile is in no snapshot, but ON CONFLICT
 * waits for it and counts on from it.) */
#define WITH_SALE_AND_BUYER                                                                        \
    "WITH sale AS (SELECT per_user_limit, starts_at > $5" ORDER_AS_TIME " AS not_open, "           \
    "ends_at <= $5" ORDER_AS_TIME " AS ended, EXISTS (SELECT FROM orders WHERE id = $1::uuid) "    \
    "AS is_known FROM sales WHERE id = $2::bigint), "                                              \
    "wanted AS (SELECT per_user_limit, $4::integer + coalesce((SELECT sum(quantity) FROM orders "  \
    "WHERE sale_id = $2 AND user_id = $3::bigint AND status = 'confirmed'), 0) AS units "          \
    "FROM sale WHERE NOT (not_open OR ended OR is_known)), "                                       \
    "buyer AS (INSERT INTO sale_buyers AS b (sale_id, user_id, units) "                            \
    "SELECT $2::bigint, $3::bigint, units FROM wanted WHERE units <= per_user_limit "              \
    "ON CONFLICT (sale_id, user_id) DO UPDATE SET units = greatest(b.units + $4, excluded.units) " \
    "WHERE greatest(b.units + $4, excluded.units) <= (SELECT per_user_limit FROM sale) "           \
    "RETURNING sale_id)"

/* Locks the buyer's row, then a shard: the first from $8 on that has enough, then the order's. One
 * row, or none: there is no such sale. */
static const char SQL_PROBE[] = WITH_SALE_AND_BUYER
    ", likely AS (SELECT shard FROM sale_shards WHERE sale_id = $2 AND stock_left >= $4 "
    "ORDER BY shard < $8::integer, shard LIMIT 1), "
    "taken AS (UPDATE sale_shards s SET stock_left = stock_left - $4 FROM buyer, likely "
    "WHERE s.sale_id = $2 AND s.shard = likely.shard AND stock_left >= $4 RETURNING s.sale_id), "
    "kept AS (INSERT INTO orders (id, sale_id, user_id, quantity, accepted_at, status, "
    "idempotency_key, fingerprint) SELECT $1::uuid, sale_id, $3::bigint, $4::integer, "
    "$5" ORDER_AS_TIME ", 'confirmed', "
    "$6::text, $7::bytea FROM taken ON CONFLICT DO NOTHING RETURNING id) "
    "SELECT not_open, ended, is_known, EXISTS (SELECT FROM buyer), EXISTS (SELECT FROM taken), "
    "EXISTS (SELECT FROM kept) FROM sale";

/* The same without a shard. */
static const char SQL_LOCK_BUYER[] = WITH_SALE_AND_BUYER
    " SELECT not_open, ended, is_known, EXISTS (SELECT FROM buyer), false, false FROM sale";

/* Locks the sale's row. One row, or none. */
static const char SQL_LOCK_SALE[] = "SELECT stock_left FROM sales WHERE id = $1 FOR NO KEY UPDATE";

/* Locks all shards of a sale whose row is locked, ascending. One row: the units in them, and how
 * many there are. By itself, after that lock: its snapshot has the shards that were made before. */
static const char SQL_LOCK_SHARDS[] =
    "SELECT coalesce(sum(stock_left), 0), count(*) FROM (SELECT stock_left FROM sale_shards "
    "WHERE sale_id = $1 ORDER BY shard FOR UPDATE) s";

/* Makes $2 units what is left of the sale, in $3 of $4 shards. All is locked already. */
static const char SQL_DIVIDE[] =
    "WITH sale AS (UPDATE sales SET stock_left = 0, version = version + 1 WHERE id = $1) "
    "INSERT INTO sale_shards (sale_id, shard, stock_left) "
    "SELECT $1, i, CASE WHEN i < $3::integer THEN $2::bigint / $3 + (i < $2::bigint % $3)::integer "
    "ELSE 0 END "
    "FROM generate_series(0, $4::integer - 1) AS i "
    "ON CONFLICT (sale_id, shard) DO UPDATE SET stock_left = excluded.stock_left";

static const struct pg_statement PROBE = {"inventory_probe", SQL_PROBE, 8, STAGE_LOCK_WAIT};
static const struct pg_statement LOCK_BUYER = {"inventory_lock_buyer", SQL_LOCK_BUYER, 5,
                                               STAGE_LOCK_WAIT};
static const struct pg_statement LOCK_SALE = {"inventory_lock_sale", SQL_LOCK_SALE, 1,
                                              STAGE_LOCK_WAIT};
static const struct pg_statement LOCK_SHARDS = {"inventory_lock_shards", SQL_LOCK_SHARDS, 1,
                                                STAGE_LOCK_WAIT};
static const struct pg_statement DIVIDE = {"inventory_divide", SQL_DIVIDE, 4, STAGE_STATEMENTS};

enum { NOT_OPEN, ENDED, IS_KNOWN, BUYER, TAKEN, KEPT }; /* columns */

static int shards = 1;
static atomic_llong conflicts;

static int64_t column(const PGresult *result, int index)
{
    return strtoll(PQgetvalue(result, 0, index), NULL, 10);
}

static bool flag(const PGresult *result, int index)
{
    return PQgetvalue(result, 0, index)[0] == 't';
}

/* What a statement that locks the buyer says of the order. ORDER_PENDING: it may have its units,
 * and has none. ST_NOT_FOUND: there is no such sale. ST_CONSTRAINT: the order has a row. */
static enum status judge(const PGresult *result, enum order_outcome *outcome)
{
    if (PQntuples(result) == 0) {
        return ST_NOT_FOUND;
    }
    if (flag(result, IS_KNOWN) || flag(result, TAKEN) != flag(result, KEPT)) {
        return ST_CONSTRAINT;
    }
    if (flag(result, NOT_OPEN)) {
        *outcome = ORDER_SALE_NOT_OPEN;
    } else if (flag(result, ENDED)) {
        *outcome = ORDER_SALE_ENDED;
    } else if (!flag(result, BUYER)) {
        *outcome = ORDER_LIMIT_EXCEEDED;
    } else {
        *outcome = flag(result, KEPT) ? ORDER_CONFIRMED : ORDER_PENDING;
    }
    return ST_OK;
}

/* Runs PROBE or LOCK_BUYER, which has less parameters. */
static enum status ask(struct pg *pg, const struct pg_statement *statement,
                       const struct order *order, const struct order_texts *texts,
                       enum order_outcome *outcome)
{
    char shard[ORDER_INT_SIZE];
    snprintf(shard, sizeof shard, "%d", (int)random_below((uint64_t)shards));
    const char *const values[] = {
        order->id,          texts->sale_id, texts->user_id,     texts->quantity,
        texts->accepted_us, order->key,     texts->fingerprint, shard,
    };
    PGresult *result = NULL;
    enum status status = pg_run(pg, statement, values, &result);
    if (status == ST_OK) {
        status = judge(result, outcome);
    }
    PQclear(result);
    return status;
}

/* *left: all units of the sale, exactly. *rows: its shards. */
static enum status lock_stock(struct pg *pg, const struct order_texts *texts, int64_t *left,
                              int64_t *rows)
{
    const char *const values[] = {texts->sale_id};
    PGresult *sale = NULL, *all = NULL;
    enum status status = pg_run(pg, &LOCK_SALE, values, &sale);
    if (status == ST_OK && PQntuples(sale) == 0) {
        status = ST_NOT_FOUND;
    }
    if (status == ST_OK) {
        status = pg_run(pg, &LOCK_SHARDS, values, &all);
    }
    if (status == ST_OK) {
        *left = column(sale, 0) + column(all, 0);
        *rows = column(all, 1);
    }
    PQclear(all);
    PQclear(sale);
    return status;
}

static enum status divide(struct pg *pg, const struct order_texts *texts, int64_t left,
                          int64_t rows)
{
    char units[ORDER_INT_SIZE], used[ORDER_INT_SIZE], all[ORDER_INT_SIZE];
    snprintf(units, sizeof units, "%" PRId64, left);
    int64_t fit = left / SHARD_UNITS_MIN < shards ? left / SHARD_UNITS_MIN : shards;
    snprintf(used, sizeof used, "%" PRId64, fit > 0 ? fit : 1);
    snprintf(all, sizeof all, "%" PRId64, rows > shards ? rows : shards);
    return pg_run(pg, &DIVIDE, (const char *const[]){texts->sale_id, units, used, all}, NULL);
}

/* The way that can say sold out: within a transaction, all shards locked. */
static enum status combine(struct pg *pg, const struct order *order,
                           const struct order_texts *texts, enum order_outcome *outcome)
{
    int64_t left, rows, count = 0;
    enum status status = ask(pg, &LOCK_BUYER, order, texts, outcome);
    if (status != ST_OK || *outcome != ORDER_PENDING) {
        return status;
    }
    status = lock_stock(pg, texts, &left, &rows);
    if (status != ST_OK || order->quantity > left) {
        *outcome = ORDER_SOLD_OUT;
        return status;
    }
    *outcome = ORDER_CONFIRMED;
    status = divide(pg, texts, left - order->quantity, rows);
    if (status == ST_OK) {
        status = order_rows_insert(pg, order, texts, ORDER_CONFIRMED, &count);
    }
    return status == ST_OK && count == 0 ? ST_CONSTRAINT : status;
}

/* ORDER_CONFIRMED: durable. Any other outcome, or status: nothing was written. */
static enum status try_once(struct pg *pg, const struct order *order,
                            const struct order_texts *texts, bool is_last,
                            enum order_outcome *outcome)
{
    enum status status = pg_begin(pg);
    if (status != ST_OK) {
        return status;
    }
    status = is_last ? combine(pg, order, texts, outcome) : ask(pg, &PROBE, order, texts, outcome);
    if (status == ST_OK && *outcome == ORDER_CONFIRMED) {
        return pg_commit(pg);
    }
    enum status undone = pg_rollback(pg);
    return status == ST_OK ? undone : status;
}

/* ST_CONSTRAINT: it has a row by now. */
static enum status refuse(struct pg *pg, const struct order *order, const struct order_texts *texts,
                          enum order_outcome outcome)
{
    int64_t count;
    enum status status = order_rows_insert(pg, order, texts, outcome, &count);
    return status == ST_OK && count == 0 ? ST_CONSTRAINT : status;
}

static enum status decide(struct pg *pg, struct order *order, enum order_outcome *outcome)
{
    struct order_texts texts = order_texts_of(order);
    *outcome = ORDER_PENDING;
    enum status status = ST_OK;
    for (int tries = 0; status == ST_OK && *outcome == ORDER_PENDING; tries++) {
        status = try_once(pg, order, &texts, tries == PROBES, outcome);
        atomic_fetch_add(&conflicts, status == ST_OK && *outcome == ORDER_PENDING);
    }
    if (status == ST_OK && *outcome != ORDER_CONFIRMED) {
        status = refuse(pg, order, &texts, *outcome);
    }
    if (status == ST_CONSTRAINT || status == ST_NOT_FOUND) {
        return order_rows_look_up(pg, order, &texts, status, outcome);
    }
    return status;
}

static void set_up(const struct inventory_options *options)
{
    shards = options->shards;
}

static int64_t read_conflicts(void)
{
    return atomic_load(&conflicts);
}

const struct inventory inventory_sharded = {
    .name = "sharded",
    .answers_max = ANSWERS_MAX,
    .set_up = set_up,
    .decide = decide,
    .read_conflicts = read_conflicts,
};
