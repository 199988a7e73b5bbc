/* debug_sleep: GET /debug/sleep?ms=, phases 0 and 1 only. First used by phase 0. */
#ifndef DEBUG_SLEEP_H
#define DEBUG_SLEEP_H

#include <stdint.h>

#include "common/dbpool.h"
#include "common/http.h"

/* Shorter than HTTP_DRAIN_MS, or a stop would abandon it. */
enum { DEBUG_SLEEP_MAX_MS = 10000 };

/* The context of debug_sleep_get. */
struct debug_sleep {
    struct dbpool *pool;        /* borrowed */
    int64_t acquire_timeout_ms; /* INT64_MAX waits without bound */
};

/* The http_handler of GET /debug/sleep?ms=N (0 to DEBUG_SLEEP_MAX_MS); context is a struct
 * debug_sleep. Holds one pooled connection for N ms without using it, then replies 200
 * {"slept_ms"}. 400 invalid_ms; 503 overloaded. Blocks for as long as it says. */
void debug_sleep_get(struct http_request *request, void *context);

#endif
