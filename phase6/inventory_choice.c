/* INVENTORY by its name, and a look whether the database was sold from in another way before.
 *
 * Three of the four find a sale's stock in the sale's row. The sharded one moves it into shards,
 * and finds it in either. So a database may go from the three to the sharded one and between the
 * three, one after the other (two ways at once do not see what the other sold), but not back from
 * shards: then the start is refused, since orders would be told sold_out. */
#include "inventory_choice.h"

#include <assert.h>
#include <string.h>

#include "common/log.h"

/* No lock. One row: whether any shard has stock. (The other columns are there, whoever needs them.)
 */
static const char SQL_SHARDED[] =
    "SELECT EXISTS (SELECT FROM sale_shards WHERE stock_left > 0 LIMIT 1), "
    "(SELECT version FROM sales LIMIT 0), (SELECT units FROM sale_buyers LIMIT 0)";

static const struct pg_statement READ_SHARDED = {"inventory_sharded", SQL_SHARDED, 0,
                                                 STAGE_STATEMENTS};

static const char ADVICE[] =
    "stock lies in sale_shards: start with INVENTORY=sharded, or put it back, with no server "
    "running: BEGIN; UPDATE sales SET stock_left = stock_left + coalesce((SELECT sum(stock_left) "
    "FROM sale_shards WHERE sale_id = sales.id), 0); DELETE FROM sale_shards; DELETE FROM "
    "sale_buyers; COMMIT";

static const struct inventory *const inventories[] = {
    &inventory_pessimistic,
    &inventory_optimistic,
    &inventory_sharded,
    &inventory_batched,
};

const struct inventory *inventory_named(const char *name)
{
    const struct inventory *named = NULL;
    for (size_t i = 0; i < sizeof inventories / sizeof inventories[0]; i++) {
        if (strcmp(inventories[i]->name, name) == 0) {
            named = inventories[i];
        }
    }
    assert(named != NULL);
    return named;
}

enum status inventory_check(const struct inventory *inventory, struct dbpool *pool,
                            int64_t deadline_ns)
{
    struct pg *pg = NULL;
    PGresult *result = NULL;
    enum status status = dbpool_acquire(pool, deadline_ns, NULL, &pg);
    if (status == ST_OK) {
        status = pg_run(pg, &READ_SHARDED, NULL, &result);
    }
    if (status != ST_OK) {
        log_event(LOG_ERROR, "db_unavailable",
                  LOG_TEXT("error", "the stock could not be read: apply this phase's schema.sql, "
                                    "or start again"));
    } else if (inventory != &inventory_sharded && PQgetvalue(result, 0, 0)[0] == 't') {
        status = ST_SCHEMA;
        log_event(LOG_ERROR, "inventory_misfit", LOG_TEXT("inventory", inventory->name),
                  LOG_TEXT("error", ADVICE));
    }
    PQclear(result);
    dbpool_release(pool, pg);
    return status;
}

static double read_conflicts(void *context)
{
    const struct inventory *const *inventory = context;
    return (*inventory)->read_conflicts != NULL ? (double)(*inventory)->read_conflicts() : 0;
}

void inventory_publish(const struct inventory *inventory, struct metrics *metrics)
{
    static const struct inventory *published; /* outlives all who ask */
    published = inventory;
    metrics_sampled_counter(metrics, "flashdeal_inventory_conflicts_total",
                            "Attempts in vain that were repeated at once: another was faster, or "
                            "no shard at hand had enough.",
                            "", read_conflicts, &published);
}
