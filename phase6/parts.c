/* What the server is made of: made in the order of need, freed in the opposite one. */
#include "parts.h"

#include "common/clock.h"
#include "common/config.h"
#include "common/dbpool_publish.h"
#include "common/log.h"
#include "inventory_choice.h"
#include "order_worker.h"

/* At least: a shard of the table has more than its share of the line. */
enum { TICKETS_PER_PLACE = 4 };

const char *parts_disagreement(int64_t connect_ms, int64_t grace_ms)
{
    const struct inventory *inventory = inventory_named(config_text("INVENTORY"));
    int64_t answer_ms = config_int("DB_STATEMENT_MS") + grace_ms;
    if (config_int("WORKER_STUCK_MS") <= order_worker_try_ms(inventory, connect_ms, answer_ms)) {
        return "WORKER_STUCK_MS must be more than a try may take: 2500 + 10 x (DB_STATEMENT_MS + "
               "1000), and with INVENTORY=optimistic or sharded 2500 + 26 x that";
    }
    if (TICKETS_PER_PLACE * (config_int("QUEUE_MAX") + config_int("DB_WORKERS")) >
        config_int("TICKETS_MAX")) {
        return "TICKETS_MAX must be at least 4 x (QUEUE_MAX + DB_WORKERS)";
    }
    return NULL;
}

static void make(struct parts *parts, const struct pg_options *database)
{
    struct pg_options locks = *database;
    locks.statement_timeout_ms = parts->locks_statement_ms;
    int workers = config_int("DB_WORKERS");
    parts->orders_pool = dbpool_new(workers, database);
    parts->reads_pool = dbpool_new(config_int("DB_POOL") - workers, database);
    parts->locks_pool = dbpool_new(1, &locks);
    int64_t rate = config_int("RATE_LIMIT");
    parts->limiter = token_bucket_new(&(struct token_bucket_options){
        .per_second = rate, .burst = rate, .keys_max = parts->rate_users});
    parts->metrics = metrics_new();
    const struct telemetry_options options = {
        .phase = "6", .slow_ms = config_int("LOG_SLOW_MS"), .sample = config_int("LOG_SAMPLE")};
    parts->telemetry = telemetry_new(parts->metrics, &options);
    dbpool_publish(parts->orders_pool, "orders", parts->metrics);
    dbpool_publish(parts->reads_pool, "reads", parts->metrics);
    if (config_text("AUTH_SECRET")) {
        parts->auth = auth_new(config_text("AUTH_SECRET"));
    } else {
        log_event(LOG_WARN, "auth_off", LOG_TEXT("effect", "no AUTH_SECRET: bodies are believed"));
    }
}

/* What accepted orders wait in, are remembered in and are decided by. */
static void start_orders(struct parts *parts, const struct pg_options *database)
{
    const struct order_queue_options options = {.max = config_int("QUEUE_MAX"),
                                                .sale_max = config_int("SALE_QUEUE_MAX"),
                                                .sale_workers = config_int("SALE_WORKERS")};
    parts->queue_kind = &order_queue_lanes;
    parts->queue = parts->queue_kind->open(&options);
    parts->tickets = tickets_new(config_int("TICKETS_MAX"));
    tickets_set_waiters(parts->tickets, config_int("LONGPOLL_MAX"));
    const struct order_work work = {
        .queue_kind = parts->queue_kind,
        .queue = parts->queue,
        .tickets = parts->tickets,
        .inventory = parts->inventory,
        .pool = parts->orders_pool,
        .metrics = parts->metrics,
        .connect_ms = database->connect_timeout_ms,
        .batch_max = parts->inventory->decide_batch != NULL ? config_int("BATCH_MAX") : 1};
    parts->workers =
        order_worker_start(&work, config_int("DB_WORKERS"), config_int("WORKER_STUCK_MS"));
    inventory_publish(parts->inventory, parts->metrics);
    tickets_publish(parts->tickets, parts->metrics);
    sales_publish(parts->sales, parts->metrics);
}

/* What lets go of old fingerprints. */
static void start_purge(struct parts *parts)
{
    parts->purge = purge_start(&(struct purge_options){
        .pool = parts->reads_pool,
        .every_s = config_int("PURGE_EVERY_S"),
        .keep_s = config_int("FINGERPRINT_KEEP_S"),
        .acquire_timeout_ms = config_int("DB_ACQUIRE_MS"),
    });
    purge_publish(parts->purge, parts->metrics);
}

enum status parts_start(struct parts *parts, const struct pg_options *database)
{
    make(parts, database);
    const struct inventory_options options = {.shards = config_int("SHARDS"),
                                              .tries = parts->optimistic_tries};
    parts->inventory = inventory_named(config_text("INVENTORY"));
    if (parts->inventory->set_up != NULL) {
        parts->inventory->set_up(&options);
    }
    enum status status =
        sales_start(parts->reads_pool, config_int("DB_WAIT_MS"), config_int("SALES_REFRESH_MS"),
                    config_int("DB_ACQUIRE_MS"), &parts->sales);
    if (status != ST_OK) {
        log_event(LOG_ERROR, "db_unavailable", LOG_TEXT("error", "the sales could not be read"));
    } else {
        status = inventory_check(parts->inventory, parts->reads_pool,
                                 clock_deadline_ns(config_int("DB_ACQUIRE_MS")));
    }
    if (status == ST_OK) {
        start_orders(parts, database);
        start_purge(parts);
    }
    return status;
}

int parts_drain(struct parts *parts, int64_t deadline_ns)
{
    struct order_queue_stats stats;
    parts->queue_kind->close(parts->queue, deadline_ns);
    (void)workers_stop(parts->workers, deadline_ns);
    parts->queue_kind->read_stats(parts->queue, &stats);
    return (int)(stats.length + stats.unacked);
}

bool parts_hang(const struct parts *parts)
{
    struct workers_stats stats;
    workers_read_stats(parts->workers, &stats);
    if (stats.hanging > 0) {
        log_event(LOG_WARN, "workers_hang", LOG_NUMBER("threads", stats.hanging));
    }
    return stats.hanging > 0;
}

void parts_free(struct parts *parts)
{
    telemetry_free(parts->telemetry);
    metrics_free(parts->metrics);
    workers_free(parts->workers);
    parts->queue_kind->free(parts->queue);
    tickets_free(parts->tickets);
    purge_stop(parts->purge);
    sales_stop(parts->sales);
    token_bucket_free(parts->limiter);
    auth_free(parts->auth);
    dbpool_free(parts->locks_pool);
    dbpool_free(parts->reads_pool);
    dbpool_free(parts->orders_pool);
}
