/* purge: lets go of what only a running sale needs. First used by phase 5.
 *
 * A fingerprint shows, to whoever looks into the row, what was asked for under its key. Retries end
 * some time after the sale has; the fingerprints of its orders are then taken out of their rows,
 * some at a time. The id stays taken for ever: a retry that comes still later gets the first
 * order. */
#ifndef PURGE_H
#define PURGE_H

#include <stdint.h>

#include "common/dbpool.h"
#include "common/metrics.h"

enum {
    PURGE_BATCH_MAX = 1000, /* rows of one transaction */
    PURGE_PAUSE_MS = 20,    /* between two of them: orders want the disk as well */
};

struct purge; /* opaque; safe from any thread */

struct purge_options {
    struct dbpool *pool;        /* borrowed; one connection of it, for as long as a batch takes */
    int64_t every_s;            /* from the end of one purge to the next, from 1 */
    int64_t keep_s;             /* after the end of its sale a fingerprint is kept for so long */
    int64_t acquire_timeout_ms; /* for that connection */
};

/* Starts the thread, all signals as in the caller; its first purge is at once. A fault ends a purge
 * ("purge_failed" in the log), and the next one goes on where it stopped. Aborts when there is no
 * memory or no thread to be had. */
struct purge *purge_start(const struct purge_options *options);

/* Publishes flashdeal_fingerprints_purged_total. The purge must outlive the metrics' last scrape.
 */
void purge_publish(struct purge *purge, struct metrics *metrics);

/* Ends the thread and frees it. pool must be shut before, so that it does not wait in line; blocks
 * for as long as a batch takes. Accepts NULL. */
void purge_stop(struct purge *purge);

#endif
