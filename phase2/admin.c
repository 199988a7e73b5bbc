/* admin: what the admin listener tells without asking the database.
 *
 * Both handlers read and change nothing. The metrics' text is the one allocation; the pools' text
 * is on the stack, bounded by ADMIN_POOLS_MAX. Names of pools are literals and need no escaping. */
#include "admin.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { POOL_BYTES = 320 }; /* one pool: its name, three ints, four 64-bit numbers */

void admin_metrics_get(struct http_request *request, void *context)
{
    const struct admin *admin = context;
    char *text = metrics_text(admin->metrics);
    http_reply_text(request, 200, METRICS_CONTENT_TYPE, text);
    free(text);
}

static size_t write_pool(const char *name, struct dbpool *pool, char *out, size_t room)
{
    struct dbpool_stats stats;
    dbpool_read_stats(pool, &stats);
    int bytes = snprintf(out, room,
                         "{\"name\":\"%s\",\"size\":%d,\"in_use\":%d,\"waiters\":%d,"
                         "\"acquired\":%" PRId64 ",\"timed_out\":%" PRId64 ",\"connects\":%" PRId64
                         ",\"discarded\":%" PRId64 "}",
                         name, stats.size, stats.in_use, stats.waiters, stats.acquired,
                         stats.timed_out, stats.connects, stats.discarded);
    assert(bytes > 0 && (size_t)bytes < room);
    return (size_t)bytes;
}

void admin_pool_get(struct http_request *request, void *context)
{
    const struct admin *admin = context;
    char json[ADMIN_POOLS_MAX * POOL_BYTES] = "{\"pools\":[";
    size_t used = sizeof "{\"pools\":[" - 1;
    for (int i = 0; i < ADMIN_POOLS_MAX && admin->pools[i].pool; i++) {
        if (i > 0) {
            json[used++] = ',';
        }
        used += write_pool(admin->pools[i].name, admin->pools[i].pool, json + used,
                           sizeof json - used - sizeof "]}");
    }
    snprintf(json + used, sizeof json - used, "]}");
    http_reply(request, 200, json);
}
