/* workers_publish: one reader for each figure; the workers are its context.
 *
 * Each reads all figures under the lock: those of one scrape are not of the same instant. */
#include "common/workers.h"

static struct workers_stats stats_of(void *workers)
{
    struct workers_stats stats;
    workers_read_stats(workers, &stats);
    return stats;
}

static double read_count(void *workers)
{
    return stats_of(workers).count;
}

static double read_busy(void *workers)
{
    return stats_of(workers).busy;
}

static double read_hanging(void *workers)
{
    return stats_of(workers).hanging;
}

static double read_dead(void *workers)
{
    return (double)stats_of(workers).dead;
}

static double read_stuck(void *workers)
{
    return (double)stats_of(workers).stuck;
}

void workers_publish(struct workers *workers, struct metrics *metrics)
{
    static const char replaced[] = "flashdeal_workers_replaced_total";
    static const char replaced_help[] = "Workers that a new thread took the place of.";
    metrics_gauge(metrics, "flashdeal_workers", "Workers that there should be.", "", read_count,
                  workers);
    metrics_gauge(metrics, "flashdeal_workers_busy", "Workers with a piece of work.", "", read_busy,
                  workers);
    metrics_gauge(metrics, "flashdeal_workers_hanging",
                  "Threads stuck now, those that were replaced among them.", "", read_hanging,
                  workers);
    metrics_sampled_counter(metrics, replaced, replaced_help, "why=\"dead\"", read_dead, workers);
    metrics_sampled_counter(metrics, replaced, replaced_help, "why=\"stuck\"", read_stuck, workers);
}
