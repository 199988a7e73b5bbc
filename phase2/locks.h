/* locks: GET /debug/locks, who waits for whom in the database right now. First used by phase 2.
 *
 * Asked on a connection of its own, so that it answers when the pool is exhausted: that is when
 * somebody asks. */
#ifndef LOCKS_H
#define LOCKS_H

#include <stdint.h>

#include "common/dbpool.h"
#include "common/http.h"

/* The context of locks_get. */
struct locks {
    struct dbpool *pool;        /* borrowed; one connection that nobody else uses */
    int64_t acquire_timeout_ms; /* how long to wait for it, or for the database to take it back */
};

/* The http_handler of GET /debug/locks. 200
 *   {"waiting":3,"chains":[{"waiting":3,"root":SESSION,"waiters":[SESSION +
 * "blocked_by":[pid],..]}]} with SESSION =
 * {"pid","ours","application","state","query","fingerprint","wait_event_type",
 * "wait_event","age_ms"}: the chain with the most waiters first, the waiters of a chain in the
 * order in which they came. root holds what all of the chain wait for and waits for nobody itself;
 * "ours": it is a session of this server. age_ms is that of the transaction of a root, of the wait
 * of a waiter. query is the statement with its literals replaced, cut; fingerprint names it. What
 * the database's role may not see is null. At most LOCKS_CHAINS_MAX chains and LOCKS_WAITERS_MAX
 * waiters of each are listed; the counts are of all. 503 overloaded: the database does not answer.
 */
void locks_get(struct http_request *request, void *context);

enum { LOCKS_CHAINS_MAX = 20, LOCKS_WAITERS_MAX = 50 };

#endif
