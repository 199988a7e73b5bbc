/* metrics: counters, gauges and histograms, and their Prometheus text. First used by phase 2.
 *
 * Series are made at start or when first seen (one lock) and live as long as their registry;
 * booking into one is a relaxed atomic addition or two. Values of counters and histograms are
 * 64-bit integers inside (counts, nanoseconds), so that nothing is lost to rounding; the text has
 * base units (seconds, bytes). Source of the format: Prometheus, "Exposition formats", text 0.0.4.
 *
 * A scrape reads while others book: a histogram's _count is the sum of the buckets that the same
 * scrape printed; its _sum may be a request ahead or behind. */
#ifndef FLASHDEAL_METRICS_H
#define FLASHDEAL_METRICS_H

#include <stdint.h>

enum {
    METRICS_SERIES_MAX = 512, /* of one registry; further ones are refused (NULL) and counted */
    METRICS_LABELS_MAX = 160, /* bytes of one series' labels */
};

struct metrics;           /* a registry; opaque; safe from any thread */
struct metrics_counter;   /* opaque; safe from any thread */
struct metrics_histogram; /* of durations; opaque; safe from any thread */

/* A value that is read when somebody asks, in base units. Called on the scraping thread with no
 * lock of the registry held. */
typedef double metrics_read(void *context);

struct metrics *metrics_new(void);

/* Frees the registry and all its series. Accepts NULL. */
void metrics_free(struct metrics *metrics);

/* The series of that name and labels, made if it is new. name, help: literals, name as Prometheus
 * has it (counters end in _total, durations in _seconds); labels: `route="/orders",status="201"`
 * without braces, copied; "" if none. Values of labels must be bounded in number and need no
 * escaping (assert: no '"', '\\' or line break within). All series of a name have one kind and one
 * help. NULL: the registry is full; booking into NULL is a no-op, and
 * flashdeal_metrics_refused_total says how many series there was no room for. */
struct metrics_counter *metrics_counter(struct metrics *metrics, const char *name, const char *help,
                                        const char *labels);
struct metrics_histogram *metrics_histogram(struct metrics *metrics, const char *name,
                                            const char *help, const char *labels);

/* As above, for a value that lives elsewhere: read(context) at each scrape. A "sampled" counter is
 * one that somebody else counts. */
void metrics_gauge(struct metrics *metrics, const char *name, const char *help, const char *labels,
                   metrics_read *read, void *context);
void metrics_sampled_counter(struct metrics *metrics, const char *name, const char *help,
                             const char *labels, metrics_read *read, void *context);

void metrics_add(struct metrics_counter *counter, int64_t count);

/* Books one duration; below 0 counts as 0. The buckets are 1, 2, 3, 5 and 7 times 1 ms, 10 ms,
 * 100 ms and 1 s, then 10 s; below them 0.1, 0.2 and 0.5 ms. */
void metrics_observe(struct metrics_histogram *histogram, int64_t duration_ns);

/* The whole registry as text, each name once with HELP and TYPE; the caller frees it. Aborts when
 * memory runs out. Not on a hot path: O(series x buckets). */
char *metrics_text(struct metrics *metrics);

/* The Content-Type that goes with it. */
#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

#endif
