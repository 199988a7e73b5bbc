/* Phase 6, inventory scaling: sell faster than one row can be locked.
 *
 * INVENTORY chooses how: four ways behind one table of functions, the batched one by default. The
 * queue has a line for each sale, and a sale has its share of places and of workers, so that one
 * whose row is blocked does not stop the others.
 *
 * Starts in this order: settings, database (waited for), pools, telemetry, sales, workers, purge,
 * admin listener, public listener. At a stop, reads without a connection and who waits for an order
 * are told so at once; then the public listener ends, and the workers have DRAIN_MS to work off the
 * queue; the admin listener answers meanwhile. What is still in line then is lost, and said so. */
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/config.h"
#include "common/dbpool.h"
#include "common/http.h"
#include "common/json.h"
#include "common/log.h"
#include "common/stop.h"
#include "locks.h"
#include "order_query.h"
#include "orders.h"
#include "parts.h"
#include "purge.h"
#include "routes.h"

enum {
    DB_CONNECT_MS = 2000,   /* one attempt to connect */
    DB_GRACE_MS = 1000,     /* listened this much longer than the database's own time-outs */
    HTTP_STOP_MS = 3000,    /* requests in flight at a stop; then two listeners close, 2 s each */
    ADMIN_THREADS = 2,      /* admin connections served at once */
    ADMIN_READ_MS = 1000,   /* a request's head, there */
    ADMIN_DRAIN_MS = 200,   /* its replies at a stop */
    LOCKS_ACQUIRE_MS = 500, /* /debug/locks: for its own connection */
    LOCKS_STATEMENT_MS = 1000,
    SPARE_THREADS = 64,     /* HTTP threads that nobody who waits for an order may take */
    OPTIMISTIC_TRIES = 8,   /* before an order is given back to the line; 10 at most */
    RATE_USERS_MAX = 65536, /* users whose rate is remembered */
};

_Static_assert((int)ORDER_READS_MAX < (int)SPARE_THREADS, "some threads are left for orders");

static struct config_setting settings[] = {
    /* name, default, minimum, maximum, unit */
    CONFIG_SET_INT("PORT", 8006, 1, 65535, "port"),
    CONFIG_SET_INT("ADMIN_PORT", 9006, 1, 65535, "port"),
    CONFIG_SET_TEXT(CONFIG_TEXT, "BIND", "127.0.0.1", 1, 64, "address"),
    CONFIG_SET_TEXT(CONFIG_URI, "DATABASE_URL", "postgresql:///flashdeal", 1, 1024, "URI"),
    CONFIG_SET_INT("DB_POOL", 8, 2, 256, "connections: the workers', the rest for reads"),
    CONFIG_SET_INT("DB_WORKERS", 4, 1, 255, "batches in the database at once"),
    CONFIG_SET_CHOICE("INVENTORY", "batched", "pessimistic|optimistic|sharded|batched"),
    CONFIG_SET_INT("BATCH_MAX", 500, 1, ORDER_BATCH_MAX, "orders of a sale that a worker takes"),
    CONFIG_SET_INT("SHARDS", 16, 1, 1024, "rows of a sale's stock, if sharded"),
    CONFIG_SET_INT("QUEUE_MAX", 4000, 1, 100000, "orders in line or with a worker"),
    CONFIG_SET_INT("SALE_QUEUE_MAX", 2000, 1, 100000, "the same, of one sale"),
    CONFIG_SET_INT("SALE_WORKERS", 1, 1, 255, "workers at one sale at once"),
    CONFIG_SET_INT("TICKETS_MAX", 100000, 256, 1000000, "orders remembered in memory"),
    CONFIG_SET_INT("LONGPOLL_MAX", 128, 0, 4096, "requests that wait for an order"),
    CONFIG_SET_INT("WORKER_STUCK_MS", 160000, 100, 600000, "ms at one try"),
    CONFIG_SET_INT("DRAIN_MS", 5000, 0, 60000, "ms for what is in line at a stop"),
    CONFIG_SET_INT("SALES_REFRESH_MS", 1000, 10, 60000, "ms that a sale may be old"),
    CONFIG_SET_INT("FINGERPRINT_KEEP_S", 86400, 1, 31536000, "s after the end of the sale"),
    CONFIG_SET_INT("PURGE_EVERY_S", 60, 1, 86400, "s"),
    CONFIG_SET_INT("RATE_LIMIT", 5, 1, 1000000, "orders per user and second"),
    CONFIG_SET_TEXT(CONFIG_SECRET, "AUTH_SECRET", NULL, 8, 256, "bytes"),
    CONFIG_SET_INT("DB_ACQUIRE_MS", 2000, 1, 60000, "ms"),
    CONFIG_SET_INT("DB_WAIT_MS", 30000, 0, 600000, "ms"),
    CONFIG_SET_INT("DB_LOCK_MS", 200, 1, 60000, "ms"),
    CONFIG_SET_INT("DB_STATEMENT_MS", 5000, 1, 60000, "ms"),
    CONFIG_SET_INT("HTTP_THREADS", 512, 1, 4096, "threads"),
    CONFIG_SET_INT("READ_TIMEOUT_MS", 5000, 100, 60000, "ms"),
    CONFIG_SET_CHOICE("LOG_LEVEL", "info", "debug|info|warn|error"),
    CONFIG_SET_INT("LOG_SAMPLE", 1, 1, 1000000, "requests for one line; slow ones have theirs"),
    CONFIG_SET_INT("LOG_SLOW_MS", 500, 1, 60000, "ms"),
};

static int fail(const char *event, const char *error)
{
    log_event(LOG_ERROR, event, LOG_TEXT("error", error));
    return EXIT_FAILURE;
}

static void log_limits(void)
{
    log_event(LOG_INFO, "limits", LOG_NUMBER("admin_threads", ADMIN_THREADS),
              LOG_NUMBER("locks_acquire_ms", LOCKS_ACQUIRE_MS),
              LOG_NUMBER("locks_statement_ms", LOCKS_STATEMENT_MS),
              LOG_NUMBER("locks_chains", LOCKS_CHAINS_MAX),
              LOG_NUMBER("locks_waiters", LOCKS_WAITERS_MAX),
              LOG_NUMBER("metrics_series", METRICS_SERIES_MAX),
              LOG_NUMBER("optimistic_tries", OPTIMISTIC_TRIES),
              LOG_NUMBER("order_reads", ORDER_READS_MAX),
              LOG_NUMBER("spare_threads", SPARE_THREADS), LOG_NUMBER("rate_users", RATE_USERS_MAX),
              LOG_NUMBER("purge_batch", PURGE_BATCH_MAX), LOG_NUMBER("sales", SALES_MAX),
              LOG_NUMBER("http_stop_ms", HTTP_STOP_MS), LOG_NUMBER("db_connect_ms", DB_CONNECT_MS),
              LOG_NUMBER("db_grace_ms", DB_GRACE_MS), LOG_NUMBER("json_depth", JSON_DEPTH_MAX));
}

/* Settings that are fine by themselves and not together: what to do about it; NULL: they agree. */
static const char *disagreement(void)
{
    if (config_int("LONGPOLL_MAX") + SPARE_THREADS > config_int("HTTP_THREADS")) {
        return "LONGPOLL_MAX + 64 must not be more than HTTP_THREADS: who waits holds a thread";
    }
    return config_int("DB_WORKERS") < config_int("DB_POOL")
               ? parts_disagreement(DB_CONNECT_MS, DB_GRACE_MS)
               : "DB_WORKERS must be less than DB_POOL: reads need the rest of the connections";
}

static enum status start_listeners(struct parts *parts, char error[HTTP_ERROR_SIZE])
{
    struct http_options public = {.bind = config_text("BIND"),
                                  .port = config_int("PORT"),
                                  .threads = config_int("HTTP_THREADS"),
                                  .read_timeout_ms = config_int("READ_TIMEOUT_MS"),
                                  .drain_ms = HTTP_STOP_MS,
                                  .server_timing = true};
    struct http_options admin = public;
    admin.port = config_int("ADMIN_PORT");
    admin.threads = ADMIN_THREADS;
    admin.one_request = true; /* scrapers do not keep its few threads */
    admin.read_timeout_ms = ADMIN_READ_MS;
    admin.drain_ms = ADMIN_DRAIN_MS;
    routes_admin(parts, &admin);
    routes_public(parts, &public);
    enum status status = http_start(&admin, &parts->admin, error);
    return status != ST_OK ? status : http_start(&public, &parts->server, error);
}

/* Stops the listeners and works off what was accepted; ends the process if anything is left. */
static void stop(struct parts *parts)
{
    dbpool_shut(parts->reads_pool);
    tickets_close(parts->tickets);
    bool drained = http_drain(parts->server) == ST_OK; /* the admin listener answers meanwhile */
    int lost = parts_drain(parts, clock_deadline_ns(config_int("DRAIN_MS")));
    if (lost > 0) {
        log_event(LOG_ERROR, "orders_lost", LOG_NUMBER("orders", lost));
    }
    dbpool_shut(parts->locks_pool);
    if (!drained || lost > 0) {
        log_exit(EXIT_FAILURE);
    }
    if (http_stop(parts->admin) != ST_OK || http_stop(parts->server) != ST_OK ||
        parts_hang(parts)) {
        log_exit(EXIT_SUCCESS); /* no order was lost, but somebody is still at it */
    }
}

/* Serves until a stop signal. Returns the process's exit status. */
static int serve(struct parts *parts)
{
    char error[HTTP_ERROR_SIZE];
    if (start_listeners(parts, error) != ST_OK) {
        fail("listen_failed", error);
        log_exit(EXIT_FAILURE); /* the admin listener may serve already */
    }
    telemetry_watch_server(parts->telemetry, parts->server);
    log_event(LOG_INFO, "stopping", LOG_NUMBER("signal", stop_wait()));
    stop(parts);
    return EXIT_SUCCESS;
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* a log whose reader has gone is no reason to end */
    char error[PG_ERROR_SIZE];
    if (config_load(settings, sizeof settings / sizeof settings[0], error) != ST_OK) {
        return fail("config_invalid", error);
    }
    if (disagreement()) {
        return fail("config_invalid", disagreement());
    }
    config_log(); /* whatever the level */
    log_limits();
    log_start(log_level_of(config_text("LOG_LEVEL")));
    const struct pg_options database = {
        .conninfo = config_text("DATABASE_URL"),
        .application = "phase6",
        .connect_timeout_ms = DB_CONNECT_MS,
        .lock_timeout_ms = config_int("DB_LOCK_MS"),
        .statement_timeout_ms = config_int("DB_STATEMENT_MS"),
        .client_grace_ms = DB_GRACE_MS,
    };
    if (dbpool_wait_ready(&database, config_int("DB_WAIT_MS"), &orders_probe, error) != ST_OK) {
        return fail("db_unavailable", error);
    }
    stop_block(); /* the workers inherit it */
    struct parts parts = {.locks_acquire_ms = LOCKS_ACQUIRE_MS,
                          .locks_statement_ms = LOCKS_STATEMENT_MS,
                          .rate_users = RATE_USERS_MAX,
                          .optimistic_tries = OPTIMISTIC_TRIES};
    if (parts_start(&parts, &database) != ST_OK) {
        log_exit(EXIT_FAILURE); /* it has said why; the sales' thread may be at work */
    }
    int exit_status = serve(&parts);
    parts_free(&parts);
    log_event(LOG_INFO, "stopped", LOG_NUMBER("exit_status", exit_status));
    return exit_status;
}
