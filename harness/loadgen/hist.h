/* hist: a log-linear histogram of latencies, after Gil Tene's HdrHistogram
 * (https://github.com/HdrHistogram): three significant digits from 1 us to 10 minutes, fixed
 * memory, recording in constant time. Not shared between threads. */
#ifndef FLASHDEAL_LOADGEN_HIST_H
#define FLASHDEAL_LOADGEN_HIST_H

#include <stdint.h>

#define HIST_MAX_US INT64_C(600000000)

/* 1024 buckets for every power of two above 1024 us, and 1024 of 1 us below. */
enum { HIST_BUCKETS = 20 * 1024 + 1024 };

struct hist {
    int64_t count;
    int64_t min_us, max_us; /* exact; 0 while count is 0 */
    double sum_us;
    uint32_t buckets[HIST_BUCKETS];
};

/* Returns an empty histogram; the caller frees it with free(3). */
struct hist *hist_create(void);

/* Counts one value; below 0 counts as 0, above HIST_MAX_US as HIST_MAX_US. */
void hist_record(struct hist *hist, int64_t value_us);

/* As hist_record, of a duration in nanoseconds, rounded to the nearest microsecond. */
void hist_record_ns(struct hist *hist, int64_t value_ns);

/* The smallest recorded value that at least percent (0 to 100) of all are at or below, as the
 * highest value its bucket holds, never above max_us; 0 when empty. */
int64_t hist_percentile_us(const struct hist *hist, double percent);

/* The exact mean; 0 when empty. */
double hist_mean_us(const struct hist *hist);

void hist_clear(struct hist *hist);

#endif
