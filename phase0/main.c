/* Phase 0, foundations: HTTP, PostgreSQL, a pool of five connections, a stop that loses nothing.
 *
 * Starts in this order: settings, database (waited for), pool, listener. Stops in the opposite
 * order, each part after whatever uses it: first the listener, because handlers hold the pool's
 * connections. At a stop, a request that has a connection is finished; one that still waits in line
 * for it is told so (503).
 *
 * A request waits for a connection as long as it takes: nothing here bounds that wait. */
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/config.h"
#include "common/dbpool.h"
#include "common/http.h"
#include "common/log.h"
#include "common/stop.h"
#include "debug_sleep.h"
#include "sales.h"

/* Waiting for a connection of the pool has no bound in this phase. */
static const int64_t ACQUIRE_TIMEOUT_MS = INT64_MAX;

enum {
    DB_CONNECT_MS = 2000, /* one attempt to connect */
    DB_GRACE_MS = 1000,   /* listened this much longer than the database's own time-outs */
};

static struct config_setting settings[] = {
    /* name, default, minimum, maximum, unit */
    CONFIG_SET_INT("PORT", 8000, 1, 65535, "port"),
    CONFIG_SET_TEXT(CONFIG_TEXT, "BIND", "127.0.0.1", 1, 64, "address"),
    CONFIG_SET_TEXT(CONFIG_URI, "DATABASE_URL", "postgresql:///flashdeal", 1, 1024, "URI"),
    CONFIG_SET_INT("DB_POOL", 5, 1, 256, "connections"),
    CONFIG_SET_INT("DB_WAIT_MS", 30000, 0, 600000, "ms"),
    CONFIG_SET_INT("DB_LOCK_MS", 2000, 1, 60000, "ms"),
    CONFIG_SET_INT("DB_STATEMENT_MS", 5000, 1, 60000, "ms"),
    CONFIG_SET_INT("HTTP_THREADS", 512, 1, 4096, "threads"),
    CONFIG_SET_INT("READ_TIMEOUT_MS", 5000, 100, 60000, "ms"),
};

static int fail(const char *event, const char *error)
{
    log_event(LOG_ERROR, event, LOG_TEXT("error", error));
    return EXIT_FAILURE;
}

static void log_limits(void)
{
    log_event(LOG_INFO, "limits", LOG_NUMBER("debug_sleep_ms", DEBUG_SLEEP_MAX_MS),
              LOG_NUMBER("db_connect_ms", DB_CONNECT_MS), LOG_NUMBER("db_grace_ms", DB_GRACE_MS),
              LOG_TEXT("db_acquire_ms", "none"));
}

/* Serves until a stop signal, then drains. Returns the process's exit status. */
static int serve(struct dbpool *pool)
{
    struct sales sales = {pool, ACQUIRE_TIMEOUT_MS};
    struct debug_sleep sleeper = {pool, ACQUIRE_TIMEOUT_MS};
    const struct http_route routes[] = {
        {.method = "GET", .path = "/health", .handler = http_health},
        {.method = "GET", .path = "/sales/{}", .handler = sales_get, .context = &sales},
        {.method = "GET", .path = "/debug/sleep", .handler = debug_sleep_get, .context = &sleeper},
    };
    const struct http_options options = {
        .bind = config_text("BIND"),
        .port = config_int("PORT"),
        .threads = config_int("HTTP_THREADS"),
        .read_timeout_ms = config_int("READ_TIMEOUT_MS"),
        .drain_ms = HTTP_DRAIN_MS,
        .routes = routes,
        .route_count = sizeof routes / sizeof routes[0],
    };
    stop_block();
    char error[HTTP_ERROR_SIZE];
    struct http_server *server = NULL;
    if (http_start(&options, &server, error) != ST_OK) {
        return fail("listen_failed", error);
    }
    log_event(LOG_INFO, "stopping", LOG_NUMBER("signal", stop_wait()));
    dbpool_shut(pool);
    if (http_stop(server) != ST_OK) {
        _exit(EXIT_FAILURE);
    }
    return EXIT_SUCCESS;
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* a log whose reader has gone is no reason to end */
    char error[PG_ERROR_SIZE];
    if (config_load(settings, sizeof settings / sizeof settings[0], error) != ST_OK) {
        return fail("config_invalid", error);
    }
    config_log();
    log_limits();
    const struct pg_options database = {
        .conninfo = config_text("DATABASE_URL"),
        .application = "phase0",
        .connect_timeout_ms = DB_CONNECT_MS,
        .lock_timeout_ms = config_int("DB_LOCK_MS"),
        .statement_timeout_ms = config_int("DB_STATEMENT_MS"),
        .client_grace_ms = DB_GRACE_MS,
    };
    if (dbpool_wait_ready(&database, config_int("DB_WAIT_MS"), &sales_probe, error) != ST_OK) {
        return fail("db_unavailable", error);
    }
    struct dbpool *pool = dbpool_new(config_int("DB_POOL"), &database);
    int exit_status = serve(pool);
    dbpool_free(pool);
    log_event(LOG_INFO, "stopped", LOG_NUMBER("exit_status", exit_status));
    return exit_status;
}
