/* metrics: a registry of series in lists that only grow, and the booking into them.
 *
 * Families hang in one list and a family's series in another, both in the order in which they were
 * made. An element is complete before its pointer is published (release), is not moved nor taken
 * out again, and so is found without a lock (acquire) by whoever prints them; booking knows only
 * the series itself. The lock is for those who add.
 *
 * A duration is counted in one bucket; metrics_text.c sums them up. The sum of durations is an
 * addition of its own and may be one ahead of the buckets, or behind. Relaxed additions are enough:
 * each value stands for itself, and no other memory is read on the strength of it.
 *
 * It does not expire series, and it does not escape: names, helps and labels are the program's own
 * words (assert). A series that is refused counts each time it is asked for. */
#include "common/metrics.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/metrics_private.h"
#include "common/xalloc.h"

const struct metrics_bound metrics_bounds[METRICS_BUCKETS] = {
    {100000, "0.0001"},  {200000, "0.0002"}, {500000, "0.0005"}, {1000000, "0.001"},
    {2000000, "0.002"},  {3000000, "0.003"}, {5000000, "0.005"}, {7000000, "0.007"},
    {10000000, "0.01"},  {20000000, "0.02"}, {30000000, "0.03"}, {50000000, "0.05"},
    {70000000, "0.07"},  {100000000, "0.1"}, {200000000, "0.2"}, {300000000, "0.3"},
    {500000000, "0.5"},  {700000000, "0.7"}, {1000000000, "1"},  {2000000000, "2"},
    {3000000000, "3"},   {5000000000, "5"},  {7000000000, "7"},  {10000000000, "10"},
    {INT64_MAX, "+Inf"},
};

/* What somebody asks for. */
struct wanted {
    enum metrics_kind kind;
    const char *name;
    const char *help;
    const char *labels;
    struct metrics_reader reader;
};

/* ----------------------------------------------------------------------------------- the words */

static bool is_word(const char *text, size_t length, const char *more)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    bool begins = length > 0 && (strchr(letters, text[0]) || strchr(more, text[0]));
    for (size_t i = 1; begins && i < length; i++) {
        bool is_digit = text[i] >= '0' && text[i] <= '9';
        if (!is_digit && !strchr(letters, text[i]) && !strchr(more, text[i])) {
            return false;
        }
    }
    return begins;
}

static bool ends_in(const char *text, const char *end)
{
    size_t length = strlen(text);
    return length > strlen(end) && strcmp(text + length - strlen(end), end) == 0;
}

static bool is_name(const char *name, enum metrics_kind kind)
{
    if (!is_word(name, strlen(name), ":")) {
        return false;
    }
    switch (kind) {
    case METRICS_COUNTER:
    case METRICS_SAMPLED_COUNTER:
        return ends_in(name, "_total");
    case METRICS_GAUGE:
        return !ends_in(name, "_total");
    case METRICS_HISTOGRAM:
        return ends_in(name, "_seconds");
    }
    return false;
}

/* name="value",name="value": nothing that would need an escape. */
static bool are_labels(const char *labels)
{
    while (*labels != '\0') {
        size_t name_length = strcspn(labels, "=");
        if (!is_word(labels, name_length, "") || strncmp(labels + name_length, "=\"", 2) != 0) {
            return false;
        }
        labels += name_length + 2;
        labels += strcspn(labels, "\"\\\r\n");
        if (*labels != '"') {
            return false;
        }
        labels++;
        if (*labels == ',' && labels[1] != '\0') {
            labels++;
        } else if (*labels != '\0') {
            return false;
        }
    }
    return true;
}

/* --------------------------------------------------------------------------------- the registry */

struct metrics *metrics_new(void)
{
    struct metrics *metrics = xcalloc(1, sizeof *metrics);
    pthread_mutex_init(&metrics->lock, NULL);
    return metrics;
}

static void free_family(struct metrics_family *family)
{
    struct metrics_series *series = metrics_series_at(&family->first);
    while (series) {
        struct metrics_series *next = metrics_series_at(&series->next);
        free(series);
        series = next;
    }
    free(family);
}

void metrics_free(struct metrics *metrics)
{
    if (!metrics) {
        return;
    }
    struct metrics_family *family = metrics_family_at(&metrics->first);
    while (family) {
        struct metrics_family *next = metrics_family_at(&family->next);
        free_family(family);
        family = next;
    }
    pthread_mutex_destroy(&metrics->lock);
    free(metrics);
}

/* Where the family's pointer is, or where a new one's belongs. */
static struct metrics_family *_Atomic *family_link(struct metrics *metrics, const char *name)
{
    struct metrics_family *_Atomic *link = &metrics->first;
    for (struct metrics_family *family = metrics_family_at(link); family;
         family = metrics_family_at(link)) {
        if (strcmp(family->name, name) == 0) {
            break;
        }
        link = &family->next;
    }
    return link;
}

static struct metrics_series *_Atomic *series_link(struct metrics_family *family,
                                                   const char *labels)
{
    struct metrics_series *_Atomic *link = &family->first;
    for (struct metrics_series *series = metrics_series_at(link); series;
         series = metrics_series_at(link)) {
        if (strcmp(series->labels, labels) == 0) {
            break;
        }
        link = &series->next;
    }
    return link;
}

static struct metrics_series *make_series(const struct wanted *wanted)
{
    struct metrics_series *series = xcalloc(1, sizeof *series);
    memcpy(series->labels, wanted->labels, strlen(wanted->labels) + 1);
    if (wanted->kind == METRICS_GAUGE || wanted->kind == METRICS_SAMPLED_COUNTER) {
        series->reader = wanted->reader;
    }
    return series;
}

/* Publishes a new series at slot or, with the first one of a name, its family at link. */
static struct metrics_series *add_locked(struct metrics *metrics,
                                         struct metrics_family *_Atomic *link,
                                         struct metrics_series *_Atomic *slot,
                                         const struct wanted *wanted)
{
    if (metrics->series_count == METRICS_SERIES_MAX) {
        atomic_fetch_add_explicit(&metrics->refused, 1, memory_order_relaxed);
        return NULL;
    }
    metrics->series_count++;
    struct metrics_series *series = make_series(wanted);
    if (slot) {
        atomic_store_explicit(slot, series, memory_order_release);
        return series;
    }
    struct metrics_family *family = xcalloc(1, sizeof *family);
    family->kind = wanted->kind;
    family->name = wanted->name;
    family->help = wanted->help;
    atomic_store_explicit(&family->first, series, memory_order_relaxed);
    atomic_store_explicit(link, family, memory_order_release);
    return series;
}

static struct metrics_series *find_or_add(struct metrics *metrics, const struct wanted *wanted)
{
    assert(is_name(wanted->name, wanted->kind) && strcmp(wanted->name, METRICS_REFUSED_NAME) != 0);
    assert(!strpbrk(wanted->help, "\\\r\n"));
    assert(strlen(wanted->labels) < METRICS_LABELS_MAX && are_labels(wanted->labels));
    struct metrics_series *_Atomic *slot = NULL;
    struct metrics_series *series = NULL;
    pthread_mutex_lock(&metrics->lock);
    struct metrics_family *_Atomic *link = family_link(metrics, wanted->name);
    struct metrics_family *family = metrics_family_at(link);
    if (family) {
        assert(family->kind == wanted->kind && strcmp(family->help, wanted->help) == 0);
        slot = series_link(family, wanted->labels);
        series = metrics_series_at(slot);
    }
    if (!series) {
        series = add_locked(metrics, link, slot, wanted);
    }
    pthread_mutex_unlock(&metrics->lock);
    return series;
}

struct metrics_counter *metrics_counter(struct metrics *metrics, const char *name, const char *help,
                                        const char *labels)
{
    const struct wanted wanted = {METRICS_COUNTER, name, help, labels, {NULL, NULL}};
    struct metrics_series *series = find_or_add(metrics, &wanted);
    return series ? &series->counter : NULL;
}

struct metrics_histogram *metrics_histogram(struct metrics *metrics, const char *name,
                                            const char *help, const char *labels)
{
    const struct wanted wanted = {METRICS_HISTOGRAM, name, help, labels, {NULL, NULL}};
    struct metrics_series *series = find_or_add(metrics, &wanted);
    return series ? &series->histogram : NULL;
}

static void watch(struct metrics *metrics, const struct wanted *wanted)
{
    const struct metrics_series *series = find_or_add(metrics, wanted);
    assert(!series || (series->reader.read == wanted->reader.read &&
                       series->reader.context == wanted->reader.context));
}

void metrics_gauge(struct metrics *metrics, const char *name, const char *help, const char *labels,
                   metrics_read *read, void *context)
{
    const struct wanted wanted = {METRICS_GAUGE, name, help, labels, {read, context}};
    watch(metrics, &wanted);
}

void metrics_sampled_counter(struct metrics *metrics, const char *name, const char *help,
                             const char *labels, metrics_read *read, void *context)
{
    const struct wanted wanted = {METRICS_SAMPLED_COUNTER, name, help, labels, {read, context}};
    watch(metrics, &wanted);
}

/* -------------------------------------------------------------------------------------- booking */

void metrics_add(struct metrics_counter *counter, int64_t count)
{
    assert(count >= 0);
    if (counter) {
        atomic_fetch_add_explicit(&counter->value, count, memory_order_relaxed);
    }
}

void metrics_observe(struct metrics_histogram *histogram, int64_t duration_ns)
{
    if (!histogram) {
        return;
    }
    size_t bucket = 0;
    while (duration_ns > metrics_bounds[bucket].upper_ns) {
        bucket++;
    }
    atomic_fetch_add_explicit(&histogram->counts[bucket], 1, memory_order_relaxed);
    if (duration_ns > 0) {
        atomic_fetch_add_explicit(&histogram->sum_ns, duration_ns, memory_order_relaxed);
    }
}
