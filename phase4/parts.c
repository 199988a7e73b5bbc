/* What the server is made of: made in the order of need, freed in the opposite one. */
#include "parts.h"

#include "common/config.h"
#include "common/dbpool_publish.h"
#include "common/log.h"
#include "order_worker.h"

/* At least: a shard of the table has more than its share of the line. */
enum { TICKETS_PER_PLACE = 4 };

const char *parts_disagreement(int64_t connect_ms, int64_t grace_ms)
{
    int64_t answer_ms = config_int("DB_STATEMENT_MS") + grace_ms;
    if (config_int("WORKER_STUCK_MS") <=
        order_worker_try_ms(&inventory_pessimistic, connect_ms, answer_ms)) {
        return "WORKER_STUCK_MS must be more than a try may take: 2500 + 10 x (DB_STATEMENT_MS + "
               "1000)";
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
        .phase = "4", .slow_ms = config_int("LOG_SLOW_MS"), .sample = config_int("LOG_SAMPLE")};
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
    const struct order_queue_options options = {.max = config_int("QUEUE_MAX")};
    parts->queue_kind = &order_queue_memory;
    parts->queue = parts->queue_kind->open(&options);
    parts->tickets = tickets_new(config_int("TICKETS_MAX"));
    tickets_set_waiters(parts->tickets, config_int("LONGPOLL_MAX"));
    const struct order_work work = {parts->queue_kind,           parts->queue,       parts->tickets,
                                    &inventory_pessimistic,      parts->orders_pool, parts->metrics,
                                    database->connect_timeout_ms};
    parts->workers =
        order_worker_start(&work, config_int("DB_WORKERS"), config_int("WORKER_STUCK_MS"));
    tickets_publish(parts->tickets, parts->metrics);
    sales_publish(parts->sales, parts->metrics);
}

enum status parts_start(struct parts *parts, const struct pg_options *database)
{
    make(parts, database);
    enum status status =
        sales_start(parts->reads_pool, config_int("DB_WAIT_MS"), config_int("SALES_REFRESH_MS"),
                    config_int("DB_ACQUIRE_MS"), &parts->sales);
    if (status == ST_OK) {
        start_orders(parts, database);
    }
    return status;
}

int parts_drain(struct parts *parts, int64_t deadline_ns)
{
    struct order_queue_stats stats;
    parts->queue_kind->close(parts->queue);
    int left = workers_stop(parts->workers, deadline_ns);
    parts->queue_kind->read_stats(parts->queue, &stats);
    return left + (int)stats.length;
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
    sales_stop(parts->sales);
    token_bucket_free(parts->limiter);
    auth_free(parts->auth);
    dbpool_free(parts->locks_pool);
    dbpool_free(parts->reads_pool);
    dbpool_free(parts->orders_pool);
}
