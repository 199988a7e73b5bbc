/* Phase 2, observability: the same orders as phase 1, and where their time goes.
 *
 * Starts in this order: settings, database (waited for), pools, telemetry, admin listener, public
 * listener. Stops in the opposite order, each part after whatever uses it: first the public
 * listener, because handlers hold the pool's connections; the admin listener answers meanwhile. At
 * a stop, a request that has a connection is finished; one that still waits in line for it is told
 * so (503).
 *
 * The admin listener is a context of its own with threads of its own, and /debug/locks has a
 * connection of its own: both must answer when everything else is exhausted. */
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/config.h"
#include "common/dbpool.h"
#include "common/dbpool_publish.h"
#include "common/http.h"
#include "common/json.h"
#include "common/log.h"
#include "common/metrics.h"
#include "common/stop.h"
#include "locks.h"
#include "orders.h"
#include "routes.h"

enum {
    DB_CONNECT_MS = 2000,   /* one attempt to connect */
    DB_GRACE_MS = 1000,     /* listened this much longer than the database's own time-outs */
    DRAIN_MS = 8500,        /* requests in flight at a stop; then two listeners close, 2 s each */
    ADMIN_THREADS = 2,      /* admin connections served at once */
    ADMIN_READ_MS = 1000,   /* a request's head, there */
    ADMIN_DRAIN_MS = 200,   /* its replies at a stop */
    LOCKS_ACQUIRE_MS = 500, /* /debug/locks: for its own connection */
    LOCKS_STATEMENT_MS = 1000,
};

static struct config_setting settings[] = {
    /* name, default, minimum, maximum, unit */
    CONFIG_SET_INT("PORT", 8002, 1, 65535, "port"),
    CONFIG_SET_INT("ADMIN_PORT", 9002, 1, 65535, "port"),
    CONFIG_SET_TEXT(CONFIG_TEXT, "BIND", "127.0.0.1", 1, 64, "address"),
    CONFIG_SET_TEXT(CONFIG_URI, "DATABASE_URL", "postgresql:///flashdeal", 1, 1024, "URI"),
    CONFIG_SET_INT("DB_POOL", 64, 1, 256, "connections"),
    CONFIG_SET_INT("DB_ACQUIRE_MS", 2000, 1, 60000, "ms"),
    CONFIG_SET_INT("DB_WAIT_MS", 30000, 0, 600000, "ms"),
    CONFIG_SET_INT("DB_LOCK_MS", 2000, 1, 60000, "ms"),
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
              LOG_NUMBER("db_connect_ms", DB_CONNECT_MS), LOG_NUMBER("db_grace_ms", DB_GRACE_MS),
              LOG_NUMBER("json_depth", JSON_DEPTH_MAX));
}

static void make_parts(struct parts *parts, const struct pg_options *database)
{
    struct pg_options locks = *database;
    locks.statement_timeout_ms = LOCKS_STATEMENT_MS;
    parts->pool = dbpool_new(config_int("DB_POOL"), database);
    parts->locks_pool = dbpool_new(1, &locks);
    parts->metrics = metrics_new();
    const struct telemetry_options options = {
        .phase = "2", .slow_ms = config_int("LOG_SLOW_MS"), .sample = config_int("LOG_SAMPLE")};
    parts->telemetry = telemetry_new(parts->metrics, &options);
    dbpool_publish(parts->pool, "all", parts->metrics);
}

static void free_parts(struct parts *parts)
{
    telemetry_free(parts->telemetry);
    metrics_free(parts->metrics);
    dbpool_free(parts->locks_pool);
    dbpool_free(parts->pool);
}

static enum status start_listeners(struct parts *parts, char error[HTTP_ERROR_SIZE])
{
    struct http_options public = {.bind = config_text("BIND"),
                                  .port = config_int("PORT"),
                                  .threads = config_int("HTTP_THREADS"),
                                  .read_timeout_ms = config_int("READ_TIMEOUT_MS"),
                                  .drain_ms = DRAIN_MS,
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

/* Drains both listeners; does not come back if a request will not end. */
static void stop(struct parts *parts)
{
    dbpool_shut(parts->pool);
    bool drained = http_drain(parts->server) == ST_OK; /* the admin listener answers meanwhile */
    dbpool_shut(parts->locks_pool);
    if (!drained || http_stop(parts->admin) != ST_OK || http_stop(parts->server) != ST_OK) {
        _exit(drained ? EXIT_SUCCESS : EXIT_FAILURE); /* somebody was looking: no order was lost */
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
    config_log(); /* whatever the level */
    log_limits();
    log_start(log_level_of(config_text("LOG_LEVEL")));
    const struct pg_options database = {
        .conninfo = config_text("DATABASE_URL"),
        .application = "phase2",
        .connect_timeout_ms = DB_CONNECT_MS,
        .lock_timeout_ms = config_int("DB_LOCK_MS"),
        .statement_timeout_ms = config_int("DB_STATEMENT_MS"),
        .client_grace_ms = DB_GRACE_MS,
    };
    if (dbpool_wait_ready(&database, config_int("DB_WAIT_MS"), &orders_probe, error) != ST_OK) {
        return fail("db_unavailable", error);
    }
    stop_block(); /* threads inherit it */
    struct parts parts = {.locks_acquire_ms = LOCKS_ACQUIRE_MS};
    make_parts(&parts, &database);
    int exit_status = serve(&parts);
    free_parts(&parts);
    log_event(LOG_INFO, "stopped", LOG_NUMBER("exit_status", exit_status));
    return exit_status;
}
