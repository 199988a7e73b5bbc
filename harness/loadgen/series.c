/* series: one small record per second, kept until the end. A latency of a second in which there was
 * none is null, so that a chart shows a gap and not a perfect zero. Requests are counted in the
 * second in which they were due, results in the second in which they came. Marks are other
 * programs' lines; what is not "t_ms kind text" is left out, with a warning. A t_ms after 2001 as
 * milliseconds since the epoch (date +%s%3N) is made relative to the window's start. */
#include "series.h"

#include "common/xalloc.h"

#include <cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define EPOCH_MS_FROM INT64_C(1000000000000)

enum { MARK_LINE_MAX = 512 };

struct point {
    int64_t orders, ok, fail, info, reads, reads_ok, probes, in_flight;
    int64_t p50_us, p99_us, read_p99_us, probe_p99_us; /* -1: none */
};

struct series {
    int64_t window_epoch_ms;
    struct point *points;
    size_t count, capacity;
};

struct series *series_create(int64_t window_epoch_ms)
{
    struct series *series = xcalloc(1, sizeof(*series));
    series->window_epoch_ms = window_epoch_ms;
    return series;
}

void series_destroy(struct series *series)
{
    if (series != NULL) {
        free(series->points);
        free(series);
    }
}

static int64_t percentile_or_none(const struct hist *hist, double percent)
{
    return hist->count == 0 ? -1 : hist_percentile_us(hist, percent);
}

void series_add(struct series *series, const struct stats_second *second, int64_t in_flight)
{
    if (series->count == series->capacity) {
        const size_t capacity = series->capacity == 0 ? 64 : series->capacity * 2;
        struct point *points = xcalloc(capacity, sizeof(*points));
        if (series->count > 0) {
            memcpy(points, series->points, series->count * sizeof(*points));
        }
        free(series->points);
        series->points = points;
        series->capacity = capacity;
    }
    series->points[series->count++] = (struct point){
        .orders = second->orders,
        .ok = second->ok,
        .fail = second->fail,
        .info = second->info,
        .reads = second->reads,
        .reads_ok = second->reads_ok,
        .probes = second->probes,
        .in_flight = in_flight,
        .p50_us = percentile_or_none(second->accept, 50.0),
        .p99_us = percentile_or_none(second->accept, 99.0),
        .read_p99_us = percentile_or_none(second->read, 99.0),
        .probe_p99_us = percentile_or_none(second->probe, 99.0),
    };
}

static void add_ms(cJSON *object, const char *name, int64_t value_us)
{
    if (value_us < 0) {
        cJSON_AddNullToObject(object, name);
    } else {
        cJSON_AddNumberToObject(object, name, (double)value_us / 1000.0);
    }
}

static void add_points(cJSON *root, const struct series *series)
{
    cJSON *points = cJSON_AddArrayToObject(root, "points");
    for (size_t i = 0; i < series->count; i++) {
        const struct point *point = &series->points[i];
        cJSON *item = cJSON_CreateObject();
        cJSON_AddNumberToObject(item, "t", (double)i);
        cJSON_AddNumberToObject(item, "orders", (double)point->orders);
        cJSON_AddNumberToObject(item, "ok", (double)point->ok);
        cJSON_AddNumberToObject(item, "fail", (double)point->fail);
        cJSON_AddNumberToObject(item, "info", (double)point->info);
        cJSON_AddNumberToObject(item, "reads", (double)point->reads);
        cJSON_AddNumberToObject(item, "reads_ok", (double)point->reads_ok);
        cJSON_AddNumberToObject(item, "probes", (double)point->probes);
        add_ms(item, "p50_ms", point->p50_us);
        add_ms(item, "p99_ms", point->p99_us);
        add_ms(item, "read_p99_ms", point->read_p99_us);
        add_ms(item, "probe_p99_ms", point->probe_p99_us);
        cJSON_AddNumberToObject(item, "in_flight", (double)point->in_flight);
        cJSON_AddItemToArray(points, item);
    }
}

static bool add_mark(cJSON *marks, char *line, int64_t window_epoch_ms)
{
    char *rest = NULL;
    line[strcspn(line, "\r\n")] = '\0';
    errno = 0;
    int64_t t_ms = strtoll(line, &rest, 10);
    if (rest == line || *rest != ' ' || errno != 0) {
        return false;
    }
    if (t_ms >= EPOCH_MS_FROM) {
        t_ms -= window_epoch_ms;
    }
    char *kind = rest + strspn(rest, " ");
    char *text = kind + strcspn(kind, " ");
    if (*text != '\0') {
        *text++ = '\0';
    }
    cJSON *mark = cJSON_CreateObject();
    cJSON_AddNumberToObject(mark, "t_ms", (double)t_ms);
    cJSON_AddStringToObject(mark, "kind", kind);
    cJSON_AddStringToObject(mark, "text", text);
    cJSON_AddItemToArray(marks, mark);
    return kind[0] != '\0';
}

static void add_marks(cJSON *root, const char *marks_file, int64_t window_epoch_ms)
{
    cJSON *marks = cJSON_AddArrayToObject(root, "marks");
    FILE *file = marks_file == NULL ? NULL : fopen(marks_file, "re");
    if (file == NULL) {
        return;
    }
    char line[MARK_LINE_MAX];
    while (fgets(line, sizeof(line), file) != NULL) {
        if (!add_mark(marks, line, window_epoch_ms)) {
            fprintf(stderr, "loadgen: %s: not \"t_ms kind text\": %s\n", marks_file, line);
        }
    }
    fclose(file);
}

enum status series_write(const struct series *series, const char *marks_file, FILE *file)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddNumberToObject(root, "version", 1);
    cJSON_AddNumberToObject(root, "interval_s", 1);
    add_points(root, series);
    add_marks(root, marks_file, series->window_epoch_ms);
    char *text = cJSON_PrintUnformatted(root);
    const bool good = text != NULL && fprintf(file, "%s\n", text) > 0 && fflush(file) == 0;
    cJSON_free(text);
    cJSON_Delete(root);
    return good ? ST_OK : ST_SYSTEM;
}
