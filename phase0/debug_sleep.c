/* Holds a pooled connection and does nothing with it: the smallest picture of a slow request.
 *
 * The sleep is here and not in SQL (pg_sleep) on purpose: Postgres has nothing to do meanwhile, and
 * still nobody can use it. A few of these requests take the whole pool. */
#include "debug_sleep.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/http_fault.h"

void debug_sleep_get(struct http_request *request, void *context)
{
    const struct debug_sleep *sleeper = context;
    int64_t ms;
    if (http_query_int(request, "ms", 0, DEBUG_SLEEP_MAX_MS, &ms) != ST_OK) {
        http_problem(request, 400, "invalid_ms", "ms is a whole number from 0 to 10000.");
        return;
    }
    struct pg *pg = NULL;
    int64_t deadline_ns = clock_deadline_ns(sleeper->acquire_timeout_ms);
    enum status status = dbpool_acquire(sleeper->pool, deadline_ns, &request->stages, &pg);
    if (status != ST_OK) {
        http_fault(request, status);
        return;
    }
    clock_sleep_until(clock_deadline_ns(ms));
    dbpool_release(sleeper->pool, pg);
    char json[64];
    snprintf(json, sizeof json, "{\"slept_ms\":%" PRId64 "}", ms);
    http_reply(request, 200, json);
}
