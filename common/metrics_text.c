/* metrics_text: a registry in Prometheus' text format, version 0.0.4.
 *
 * Each family once: HELP, TYPE, then all its series, one behind the other, as the format wants
 * them. A histogram's buckets are summed up as they are read, so that each holds those below it and
 * +Inf is the _count of the same scrape. The numbers of two series are not of the same instant.
 *
 * Readers are called from here, with no lock held. Nothing is escaped: metrics.c lets only words in
 * that need no escape. */
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/metrics_private.h"

static const char REFUSED_HELP[] = "Series that the registry had no room for.";

enum { REAL_SIZE = 32 };

/* The shortest text, of two, that reads back as the same number. */
static void write_real(FILE *out, double value)
{
    if (isnan(value)) {
        fputs("NaN\n", out);
    } else if (isinf(value)) {
        fputs(value > 0 ? "+Inf\n" : "-Inf\n", out);
    } else {
        char text[REAL_SIZE];
        snprintf(text, sizeof text, "%.15g", value);
        bool is_exact = strtod(text, NULL) == value;
        fprintf(out, is_exact ? "%.15g\n" : "%.17g\n", value);
    }
}

/* "name_suffix{labels} ", without braces where there are no labels. */
static void write_head(FILE *out, const char *name, const char *suffix, const char *labels)
{
    fputs(name, out);
    fputs(suffix, out);
    if (*labels) {
        fprintf(out, "{%s}", labels);
    }
    fputc(' ', out);
}

static void write_histogram(FILE *out, const char *name, const char *labels,
                            const struct metrics_histogram *histogram)
{
    int64_t so_far = 0;
    for (size_t i = 0; i < METRICS_BUCKETS; i++) {
        so_far += atomic_load_explicit(&histogram->counts[i], memory_order_relaxed);
        fprintf(out, "%s_bucket{%s%sle=\"%s\"} %" PRId64 "\n", name, labels, *labels ? "," : "",
                metrics_bounds[i].le, so_far);
    }
    int64_t sum_ns = atomic_load_explicit(&histogram->sum_ns, memory_order_relaxed);
    write_head(out, name, "_sum", labels);
    fprintf(out, "%" PRId64 ".%09" PRId64 "\n", sum_ns / CLOCK_NS_PER_S, sum_ns % CLOCK_NS_PER_S);
    write_head(out, name, "_count", labels);
    fprintf(out, "%" PRId64 "\n", so_far);
}

static void write_series(FILE *out, const struct metrics_family *family,
                         const struct metrics_series *series)
{
    switch (family->kind) {
    case METRICS_COUNTER:
        write_head(out, family->name, "", series->labels);
        fprintf(out, "%" PRId64 "\n",
                atomic_load_explicit(&series->counter.value, memory_order_relaxed));
        return;
    case METRICS_SAMPLED_COUNTER:
    case METRICS_GAUGE:
        write_head(out, family->name, "", series->labels);
        write_real(out, series->reader.read(series->reader.context));
        return;
    case METRICS_HISTOGRAM:
        write_histogram(out, family->name, series->labels, &series->histogram);
        return;
    }
}

static const char *type_of(enum metrics_kind kind)
{
    switch (kind) {
    case METRICS_COUNTER:
    case METRICS_SAMPLED_COUNTER:
        return "counter";
    case METRICS_GAUGE:
        return "gauge";
    case METRICS_HISTOGRAM:
        return "histogram";
    }
    return "untyped";
}

static void write_about(FILE *out, const char *name, const char *help, enum metrics_kind kind)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type_of(kind));
}

static void write_registry(FILE *out, const struct metrics *metrics)
{
    for (const struct metrics_family *family = metrics_family_at(&metrics->first); family;
         family = metrics_family_at(&family->next)) {
        write_about(out, family->name, family->help, family->kind);
        for (const struct metrics_series *series = metrics_series_at(&family->first); series;
             series = metrics_series_at(&series->next)) {
            write_series(out, family, series);
        }
    }
    write_about(out, METRICS_REFUSED_NAME, REFUSED_HELP, METRICS_COUNTER);
    fprintf(out, "%s %" PRId64 "\n", METRICS_REFUSED_NAME,
            atomic_load_explicit(&metrics->refused, memory_order_relaxed));
}

char *metrics_text(struct metrics *metrics)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out) {
        write_registry(out, metrics);
    }
    if (!out || fclose(out) != 0) {
        log_event(LOG_ERROR, "out_of_memory", LOG_TEXT("for", "metrics"));
        abort();
    }
    return text;
}
