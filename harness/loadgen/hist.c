/* hist: log-linear buckets. Values below 2048 us have a bucket each; above, a value is shifted
 * right until it lies in 1024..2047, and the shift and what is left name the bucket. So a bucket is
 * never wider than 1/1024 of its values: three significant digits at any size. min, max and mean
 * are kept exactly, beside the buckets. No value is lost: what is out of range is clamped. */
#include "hist.h"

#include "common/xalloc.h"

#include <math.h>
#include <string.h>

enum { SUB_BUCKETS = 1024, SUB_BUCKET_BITS = 10 };

struct hist *hist_create(void)
{
    return xcalloc(1, sizeof(struct hist));
}

static int bucket_of(int64_t value_us)
{
    if (value_us < 2 * SUB_BUCKETS) {
        return (int)value_us;
    }
    const int top_bit = 63 - __builtin_clzll((unsigned long long)value_us);
    const int shift = top_bit - SUB_BUCKET_BITS;
    return shift * SUB_BUCKETS + (int)(value_us >> shift);
}

static int64_t highest_in_bucket(int bucket)
{
    if (bucket < 2 * SUB_BUCKETS) {
        return bucket;
    }
    const int shift = bucket / SUB_BUCKETS - 1;
    const int64_t sub = bucket - shift * SUB_BUCKETS;
    return ((sub + 1) << shift) - 1;
}

void hist_record(struct hist *hist, int64_t value_us)
{
    if (value_us < 0) {
        value_us = 0;
    }
    if (value_us > HIST_MAX_US) {
        value_us = HIST_MAX_US;
    }
    if (hist->count == 0 || value_us < hist->min_us) {
        hist->min_us = value_us;
    }
    if (value_us > hist->max_us) {
        hist->max_us = value_us;
    }
    hist->count++;
    hist->sum_us += (double)value_us;
    hist->buckets[bucket_of(value_us)]++;
}

void hist_record_ns(struct hist *hist, int64_t value_ns)
{
    hist_record(hist, (value_ns + 500) / 1000);
}

int64_t hist_percentile_us(const struct hist *hist, double percent)
{
    if (hist->count == 0) {
        return 0;
    }
    /* The nearest rank; the subtraction keeps 99.9 % of 1000 from becoming rank 1000. */
    int64_t rank = (int64_t)ceil(percent / 100.0 * (double)hist->count - 1e-9);
    if (rank < 1) {
        rank = 1;
    }
    int64_t seen = 0;
    for (int i = 0; i < HIST_BUCKETS; i++) {
        seen += hist->buckets[i];
        if (seen >= rank) {
            const int64_t value_us = highest_in_bucket(i);
            return value_us < hist->max_us ? value_us : hist->max_us;
        }
    }
    return hist->max_us;
}

double hist_mean_us(const struct hist *hist)
{
    return hist->count == 0 ? 0.0 : hist->sum_us / (double)hist->count;
}

void hist_clear(struct hist *hist)
{
    if (hist->count > 0) {
        memset(hist, 0, sizeof(*hist));
    }
}
