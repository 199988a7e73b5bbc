/* admin: the routes of the admin listener that need no database. First used by phase 2. */
#ifndef ADMIN_H
#define ADMIN_H

#include "common/dbpool.h"
#include "common/http.h"
#include "common/metrics.h"

enum { ADMIN_POOLS_MAX = 4 };

/* The context of both handlers; borrowed. */
struct admin {
    struct metrics *metrics;
    struct {
        const char *name; /* a literal: "all", "orders", "reads" */
        struct dbpool *pool;
    } pools[ADMIN_POOLS_MAX]; /* those behind the last one are zero */
};

/* The http_handler of GET /metrics: 200, Prometheus text. */
void admin_metrics_get(struct http_request *request, void *context);

/* The http_handler of GET /debug/pool: 200 {"pools":[{"name","size","in_use","waiters","acquired",
 * "timed_out","connects","discarded"}]}. */
void admin_pool_get(struct http_request *request, void *context);

#endif
