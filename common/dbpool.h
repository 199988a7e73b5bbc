/* dbpool: a bounded, fair pool of connections. First used by phase 0.
 *
 * At most `size` connections exist. Whoever finds none free waits in line: first come, first
 * served, until an absolute deadline, which may be CLOCK_NEVER (phase 0 shows what that costs). A
 * connection that comes back broken or inside a transaction is closed, and its slot reconnects when
 * it is next wanted. While the database refuses connections, attempts are spaced by a backoff with
 * jitter that all callers share (DBPOOL_BACKOFF_MIN_MS doubling to DBPOOL_BACKOFF_MAX_MS); callers
 * wait for the next attempt within their own deadlines. */
#ifndef FLASHDEAL_DBPOOL_H
#define FLASHDEAL_DBPOOL_H

#include <stdint.h>

#include "common/pg.h"
#include "common/stages.h"
#include "common/status.h"

enum {
    DBPOOL_BACKOFF_MIN_MS = 50,
    DBPOOL_BACKOFF_MAX_MS = 2000,
    /* An attempt to connect has this long, also when its caller's deadline is sooner: else short
     * deadlines would never open a connection. */
    DBPOOL_CONNECT_MIN_MS = 100,
};

struct dbpool; /* opaque; safe from any thread */

struct dbpool_stats {
    int size;          /* slots */
    int in_use;        /* lent out now */
    int waiters;       /* callers in line now */
    int64_t acquired;  /* since the pool was made */
    int64_t timed_out; /* acquires that ended in ST_TIMEOUT */
    int64_t connects;  /* connections made */
    int64_t discarded; /* connections closed because they came back broken or in a transaction */
};

/* Makes the pool; makes no connection, so it does not block and cannot fail for the database's
 * sake. *options is copied, its conninfo borrowed. size from 1. Aborts when memory runs out. */
struct dbpool *dbpool_new(int size, const struct pg_options *options);

/* Lends a connection. Blocks until one is free and healthy, or deadline_ns (a caller who has to
 * connect may exceed it, by DBPOOL_CONNECT_MIN_MS at most). ST_OK: *out is the
 * caller's until dbpool_release. ST_TIMEOUT: the deadline passed (in line, or while the database
 * was out of reach). ST_SCHEMA: the database refuses us for good (password, database). ST_CLOSED:
 * the pool is closing. The time is booked to stages (may be NULL) as STAGE_POOL_WAIT, and what the
 * connection then does as well. */
MUST_USE enum status dbpool_acquire(struct dbpool *pool, int64_t deadline_ns, struct stages *stages,
                                    struct pg **out);

/* Gives it back; the next in line has it. Accepts a NULL pg. Never blocks on the network. */
void dbpool_release(struct dbpool *pool, struct pg *pg);

void dbpool_read_stats(struct dbpool *pool, struct dbpool_stats *out);

/* Wakes all waiters with ST_CLOSED and refuses new ones. Connections out on loan stay valid. */
void dbpool_shut(struct dbpool *pool);

/* Frees the pool and its idle connections; every connection must have come back (assert). Accepts
 * NULL. */
void dbpool_free(struct dbpool *pool);

/* Waits at start for the database: connects with backoff until it answers or wait_ms passed
 * (0: one attempt), then runs probe (may be NULL; its rows are not read) to see that the schema is
 * there. ST_OK; ST_SCHEMA at once, without waiting, when waiting cannot help; else the last fault.
 * error holds one line for people that says what to do. Logs "db_waiting" at most once a second. */
MUST_USE enum status dbpool_wait_ready(const struct pg_options *options, int64_t wait_ms,
                                       const struct pg_statement *probe, char error[PG_ERROR_SIZE]);

#endif
