/* live: one line, redrawn once a second, for people who watch. It shows the second that has just
 * ended, and the replies of the whole window by their class. The figures that count are in the
 * summary. Whether there is a terminal is the caller's question. */
#include "live.h"

#include <inttypes.h>
#include <stdio.h>

enum { CLASSES = 6 };

static bool drawn;

static void add_codes(const struct stats_outcomes *outcomes, int64_t classes[CLASSES])
{
    for (int code = 0; code < STATS_CODES; code++) {
        classes[code / 100] += outcomes->codes[code];
    }
}

static int64_t all_losses(const struct stats_outcomes *outcomes)
{
    int64_t sum = 0;
    for (int loss = 0; loss < LOSS_COUNT; loss++) {
        sum += outcomes->losses[loss];
    }
    return sum;
}

void live_draw(const struct stats *stats, int64_t in_flight, double left_s)
{
    const struct stats_second *second = &stats->second;
    const bool orders = stats->orders.count > 0;
    const struct stats_outcomes *outcomes =
        orders ? &stats->orders.outcomes : &stats->reads.outcomes;
    const struct hist *hist = orders ? second->accept : second->read;
    const int64_t rate = orders ? second->ok + second->fail + second->info : second->reads;
    int64_t classes[CLASSES] = {0};
    add_codes(outcomes, classes);
    fprintf(stderr,
            "\r%6" PRId64 "/s  2xx %" PRId64 "  4xx %" PRId64 "  5xx %" PRId64 "  lost %" PRId64
            "  p50 %.1f ms  p99 %.1f ms  in flight %" PRId64 "  ",
            rate, classes[2], classes[4], classes[5], all_losses(outcomes),
            (double)hist_percentile_us(hist, 50.0) / 1000.0,
            (double)hist_percentile_us(hist, 99.0) / 1000.0, in_flight);
    if (left_s >= 0.0) {
        fprintf(stderr, "%.0f s left \033[K", left_s);
    } else {
        fputs("last replies \033[K", stderr);
    }
    fflush(stderr);
    drawn = true;
}

void live_end(void)
{
    if (drawn) {
        fputc('\n', stderr);
        drawn = false;
    }
}
