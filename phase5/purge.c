/* A thread that clears fingerprints whose sale has been over for long enough.
 *
 * Each batch is one statement and so one transaction: its locks are short, a stop never waits for
 * more than one, and whatever is interrupted goes on later, since what is left to do is in the
 * rows. Rows that somebody else holds are left out (another server's purge has them). No order
 * waits for any of these locks: a row of an ended sale is only read. An index of the rows that
 * still have a fingerprint (orders_with_fingerprint) makes it cheap to find that there is nothing
 * to do. */
#include "purge.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/latch.h"
#include "common/log.h"
#include "common/xalloc.h"

enum { INT64_TEXT_SIZE = 21, MS_PER_S = 1000 };

/* Locks the rows that it changes, $2 at most, and waits for none. No rows. ARRAY(): the list is
 * made once, whatever the plan; under IN it may be made again, and lock other rows. */
static const char SQL_PURGE[] =
    "UPDATE orders SET fingerprint = NULL WHERE id = ANY (ARRAY("
    "SELECT o.id FROM orders o JOIN sales s ON s.id = o.sale_id "
    "WHERE o.fingerprint IS NOT NULL AND s.ends_at < now() - $1::bigint * interval '1 second' "
    "LIMIT $2::bigint FOR UPDATE OF o SKIP LOCKED))";

static const struct pg_statement PURGE = {"purge_fingerprints", SQL_PURGE, 2, STAGE_STATEMENTS};

struct purge {
    struct purge_options options;
    pthread_t thread;
    struct latch stopped; /* opened by purge_stop */
    atomic_llong purged;
};

/* Whether purge_stop was called, by deadline_ns. */
static bool is_stopped_by(struct purge *purge, int64_t deadline_ns)
{
    return latch_wait(&purge->stopped, deadline_ns, NULL) == ST_OK;
}

/* ST_OK: *count fingerprints are gone. */
static enum status clear_batch(const struct purge *purge, int64_t *count)
{
    char keep_s[INT64_TEXT_SIZE], rows[INT64_TEXT_SIZE];
    snprintf(keep_s, sizeof keep_s, "%" PRId64, purge->options.keep_s);
    snprintf(rows, sizeof rows, "%d", PURGE_BATCH_MAX);
    struct pg *pg = NULL;
    int64_t deadline_ns = clock_deadline_ns(purge->options.acquire_timeout_ms);
    enum status status = dbpool_acquire(purge->options.pool, deadline_ns, NULL, &pg);
    if (status == ST_OK) {
        status = pg_run_count(pg, &PURGE, (const char *const[]){keep_s, rows}, count);
    }
    dbpool_release(purge->options.pool, pg);
    return status;
}

/* Batch after batch, until a short one says that nothing is left. */
static void purge_all(struct purge *purge)
{
    int64_t count = 0;
    do {
        enum status status = clear_batch(purge, &count);
        if (status == ST_CLOSED) {
            return;
        }
        if (status != ST_OK) {
            log_event(LOG_WARN, "purge_failed", LOG_TEXT("status", status_name(status)));
            return;
        }
        atomic_fetch_add(&purge->purged, count);
    } while (count == PURGE_BATCH_MAX && !is_stopped_by(purge, clock_deadline_ns(PURGE_PAUSE_MS)));
}

static void *run(void *context)
{
    struct purge *purge = context;
    do {
        purge_all(purge);
    } while (!is_stopped_by(purge, clock_deadline_ns(purge->options.every_s * MS_PER_S)));
    return NULL;
}

struct purge *purge_start(const struct purge_options *options)
{
    struct purge *purge = xcalloc(1, sizeof *purge);
    purge->options = *options;
    latch_init(&purge->stopped);
    int error = pthread_create(&purge->thread, NULL, run, purge);
    if (error != 0) {
        log_event(LOG_ERROR, "no_thread", LOG_TEXT("error", strerror(error)));
        abort();
    }
    return purge;
}

static double read_purged(void *context)
{
    struct purge *purge = context;
    return (double)atomic_load(&purge->purged);
}

void purge_publish(struct purge *purge, struct metrics *metrics)
{
    metrics_sampled_counter(metrics, "flashdeal_fingerprints_purged_total",
                            "Fingerprints of ended sales' orders that were cleared.", "",
                            read_purged, purge);
}

void purge_stop(struct purge *purge)
{
    if (!purge) {
        return;
    }
    latch_open(&purge->stopped);
    pthread_join(purge->thread, NULL);
    latch_destroy(&purge->stopped);
    free(purge);
}
