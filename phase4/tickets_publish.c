/* tickets_publish: one reader for each figure of the tickets; they are its context.
 *
 * Each reads all figures, shard by shard: those of one scrape are not of the same instant. */
#include "tickets.h"

#include <stddef.h>

static struct tickets_stats stats_of(void *tickets)
{
    struct tickets_stats stats;
    tickets_read_stats(tickets, &stats);
    return stats;
}

static double read_pending(void *tickets)
{
    return (double)stats_of(tickets).pending;
}

static double read_final(void *tickets)
{
    return (double)stats_of(tickets).final;
}

static double read_max(void *tickets)
{
    return (double)stats_of(tickets).max;
}

static double read_evicted(void *tickets)
{
    return (double)stats_of(tickets).evicted;
}

static double read_waiters(void *tickets)
{
    return (double)stats_of(tickets).waiters;
}

static double read_waiters_max(void *tickets)
{
    return (double)stats_of(tickets).waiters_max;
}

static double read_refused(void *tickets)
{
    return (double)stats_of(tickets).refused;
}

static const struct {
    const char *name, *labels, *help;
    metrics_read *read;
    bool is_counter;
} figures[] = {
    {"flashdeal_tickets", "state=\"pending\"", "Orders remembered in memory.", read_pending, false},
    {"flashdeal_tickets", "state=\"final\"", "Orders remembered in memory.", read_final, false},
    {"flashdeal_tickets_max", "", "Orders that memory has room for.", read_max, false},
    {"flashdeal_tickets_evicted_total", "", "Final orders forgotten to make room.", read_evicted,
     true},
    {"flashdeal_longpoll_waiters", "", "Requests that wait for an order's final state.",
     read_waiters, false},
    {"flashdeal_longpoll_waiters_max", "", "Requests that may wait at once.", read_waiters_max,
     false},
    {"flashdeal_longpoll_refused_total", "", "Requests that found as many waiting as may.",
     read_refused, true},
};

void tickets_publish(struct tickets *tickets, struct metrics *metrics)
{
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        if (figures[i].is_counter) {
            metrics_sampled_counter(metrics, figures[i].name, figures[i].help, figures[i].labels,
                                    figures[i].read, tickets);
        } else {
            metrics_gauge(metrics, figures[i].name, figures[i].help, figures[i].labels,
                          figures[i].read, tickets);
        }
    }
}
