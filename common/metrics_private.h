/* metrics_private: the registry's insides, for metrics.c, which fills it, and metrics_text.c, which
 * prints it; nobody else includes it. First used by phase 2. */
#ifndef FLASHDEAL_METRICS_PRIVATE_H
#define FLASHDEAL_METRICS_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "common/metrics.h"

enum { METRICS_BUCKETS = 25 };

/* Upper ends, included. */
struct metrics_bound {
    int64_t upper_ns;
    const char *le; /* in seconds, as Prometheus writes a number */
};
extern const struct metrics_bound metrics_bounds[METRICS_BUCKETS];

/* Published always, by the text itself. */
#define METRICS_REFUSED_NAME "flashdeal_metrics_refused_total"

enum metrics_kind { METRICS_COUNTER, METRICS_SAMPLED_COUNTER, METRICS_GAUGE, METRICS_HISTOGRAM };

struct metrics_counter {
    _Atomic int64_t value;
};

struct metrics_histogram {
    _Atomic int64_t counts[METRICS_BUCKETS]; /* each duration in one of them */
    _Atomic int64_t sum_ns;
};

struct metrics_reader {
    metrics_read *read;
    void *context;
};

struct metrics_series {
    char labels[METRICS_LABELS_MAX];
    union { /* by the family's kind */
        struct metrics_counter counter;
        struct metrics_histogram histogram;
        struct metrics_reader reader;
    };
    struct metrics_series *_Atomic next;
};

struct metrics_family {
    enum metrics_kind kind;
    const char *name;
    const char *help;
    struct metrics_series *_Atomic first;
    struct metrics_family *_Atomic next;
};

struct metrics {
    struct metrics_family *_Atomic first;
    _Atomic int64_t refused;
    pthread_mutex_t lock; /* for those who add */
    int series_count;     /* Guarded by lock. */
};

/* What a link points at: published whole, so that no lock is needed to read it. */
static inline struct metrics_family *metrics_family_at(struct metrics_family *const _Atomic *link)
{
    return atomic_load_explicit(link, memory_order_acquire);
}

static inline struct metrics_series *metrics_series_at(struct metrics_series *const _Atomic *link)
{
    return atomic_load_explicit(link, memory_order_acquire);
}

#endif
