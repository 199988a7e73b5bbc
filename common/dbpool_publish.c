/* dbpool_publish: one reader for each figure of a pool; the pool is its context.
 *
 * Each reads all figures under the pool's lock, which is held for as long as that takes: the
 * figures of one scrape are not of the same instant. */
#include "common/dbpool_publish.h"

#include <stdbool.h>
#include <stdio.h>

static struct dbpool_stats stats_of(void *pool)
{
    struct dbpool_stats stats;
    dbpool_read_stats(pool, &stats);
    return stats;
}

static double read_size(void *pool)
{
    return stats_of(pool).size;
}

static double read_in_use(void *pool)
{
    return stats_of(pool).in_use;
}

static double read_waiters(void *pool)
{
    return stats_of(pool).waiters;
}

static double read_acquired(void *pool)
{
    return (double)stats_of(pool).acquired;
}

static double read_timeouts(void *pool)
{
    return (double)stats_of(pool).timed_out;
}

static double read_connects(void *pool)
{
    return (double)stats_of(pool).connects;
}

static double read_discarded(void *pool)
{
    return (double)stats_of(pool).discarded;
}

static const struct {
    const char *name;
    const char *help;
    metrics_read *read;
    bool is_counter;
} figures[] = {
    {"flashdeal_db_pool_size", "Connections that the pool may have.", read_size, false},
    {"flashdeal_db_pool_in_use", "Connections lent out.", read_in_use, false},
    {"flashdeal_db_pool_waiters", "Callers in line for a connection.", read_waiters, false},
    {"flashdeal_db_pool_acquired_total", "Connections lent.", read_acquired, true},
    {"flashdeal_db_pool_timeouts_total", "Callers whose deadline passed in line.", read_timeouts,
     true},
    {"flashdeal_db_pool_connects_total", "Connections made.", read_connects, true},
    {"flashdeal_db_pool_discarded_total",
     "Connections closed because they came back broken or in a transaction.", read_discarded, true},
};

void dbpool_publish(struct dbpool *pool, const char *name, struct metrics *metrics)
{
    char labels[METRICS_LABELS_MAX];
    snprintf(labels, sizeof labels, "pool=\"%s\"", name);
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        if (figures[i].is_counter) {
            metrics_sampled_counter(metrics, figures[i].name, figures[i].help, labels,
                                    figures[i].read, pool);
        } else {
            metrics_gauge(metrics, figures[i].name, figures[i].help, labels, figures[i].read, pool);
        }
    }
}
