/* telemetry: one lookup in a small table, ten additions and one line of log for each request.
 *
 * What a request is counted under (method, path, status, outcome) comes from http as pointers to
 * constants, so a kind of request is found by hashing four words: no lock, and no string is
 * compared or formatted. The first request of a kind makes its series, under the table's lock; the
 * entry is complete before it is published (release) and is not changed again. Kinds beyond
 * KINDS_MAX are not counted, and a line says so once.
 *
 * Requests without a route are in the request's histogram only: their stages are not worth series.
 * Of all others every stage is observed, those that took no time too, so that sums and counts of
 * the stages compare with the request's.
 *
 * A line holds identifiers, constants and times: of the caller nothing but his trace's identifiers,
 * which are hexadecimal digits, and no user. */
#include "telemetry.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/process.h"
#include "common/stages.h"
#include "common/xalloc.h"

enum {
    KINDS_MAX = 256,         /* routes, times what each can come to */
    SLOTS = 2 * KINDS_MAX,   /* a power of two */
    PARTS = STAGE_COUNT + 1, /* the stages, and behind them "other" */
    PART_SIZE = 24,          /* "validation_ms" */
    FIELDS_MAX = 9 + PARTS,  /* of a line */
    SERVER_ERROR = 500,
};

static const char OTHER[] = "other"; /* http's path without a route; the time in no stage */

/* What requests that came to the same are booked into. */
struct kind {
    const char *method, *path, *outcome;
    int status;
    struct metrics_counter *requests;
    struct metrics_histogram *duration;
    struct metrics_histogram *parts[PARTS]; /* NULL: not booked */
};

struct telemetry {
    struct metrics *metrics;
    int64_t started_ns;
    int64_t slow_ns;
    uint64_t sample;
    char part_fields[PARTS][PART_SIZE]; /* names in the log */
    _Atomic uint64_t ordinary;          /* requests so far that were neither slow nor an error */
    struct kind *_Atomic kinds[SLOTS];
    pthread_mutex_t lock;
    /* Guarded by lock: */
    int kind_count;
    bool is_full_logged;
};

/* ------------------------------------------------------------------------------------ requests */

static struct kind *kind_at(struct kind *const _Atomic *slot)
{
    return atomic_load_explicit(slot, memory_order_acquire);
}

/* The slot of the kind, or the empty one where it belongs. */
static struct kind *_Atomic *find_slot(struct telemetry *telemetry,
                                       const struct http_result *result)
{
    const uint64_t odd = UINT64_C(0x9e3779b97f4a7c15); /* Knuth's multiplicative hashing */
    uint64_t hash = (uint64_t)(uintptr_t)result->method;
    hash = hash * odd + (uint64_t)(uintptr_t)result->path;
    hash = hash * odd + (uint64_t)(uintptr_t)result->outcome;
    hash = (hash * odd + (uint64_t)result->status) * odd >> 32;
    for (;; hash++) { /* ends: a half of the slots stays empty */
        struct kind *_Atomic *slot = &telemetry->kinds[hash % SLOTS];
        const struct kind *kind = kind_at(slot);
        if (!kind || (kind->method == result->method && kind->path == result->path &&
                      kind->outcome == result->outcome && kind->status == result->status)) {
            return slot;
        }
    }
}

static struct metrics_counter *make_counter(struct metrics *metrics,
                                            const struct http_result *result)
{
    char labels[METRICS_LABELS_MAX];
    snprintf(labels, sizeof labels, "method=\"%s\",path=\"%s\",status=\"%d\",outcome=\"%s\"",
             result->method, result->path, result->status, result->outcome);
    return metrics_counter(metrics, "flashdeal_http_requests_total",
                           "Requests by what they came to.", labels);
}

static struct kind *make_kind(struct telemetry *telemetry, const struct http_result *result)
{
    char labels[METRICS_LABELS_MAX];
    struct metrics *metrics = telemetry->metrics;
    struct kind *kind = xcalloc(1, sizeof *kind);
    kind->method = result->method;
    kind->path = result->path;
    kind->outcome = result->outcome;
    kind->status = result->status;
    kind->requests = make_counter(metrics, result);
    snprintf(labels, sizeof labels, "method=\"%s\",path=\"%s\"", result->method, result->path);
    kind->duration = metrics_histogram(metrics, "flashdeal_http_request_duration_seconds",
                                       "Time from a request's beginning to its reply.", labels);
    for (int i = 0; strcmp(result->path, OTHER) != 0 && i < PARTS; i++) {
        snprintf(labels, sizeof labels, "method=\"%s\",path=\"%s\",stage=\"%s\"", result->method,
                 result->path, i < STAGE_COUNT ? stages_name((enum stage)i) : OTHER);
        kind->parts[i] =
            metrics_histogram(metrics, "flashdeal_http_stage_duration_seconds",
                              "Part of a request's time that went into a stage.", labels);
    }
    return kind;
}

/* NULL: there are too many kinds. */
static const struct kind *add_kind(struct telemetry *telemetry, const struct http_result *result)
{
    bool to_log = false;
    pthread_mutex_lock(&telemetry->lock);
    struct kind *_Atomic *slot = find_slot(telemetry, result); /* another thread may have come */
    struct kind *kind = kind_at(slot);
    if (!kind && telemetry->kind_count < KINDS_MAX) {
        telemetry->kind_count++;
        kind = make_kind(telemetry, result);
        atomic_store_explicit(slot, kind, memory_order_release);
    } else if (!kind) {
        to_log = !telemetry->is_full_logged;
        telemetry->is_full_logged = true;
    }
    pthread_mutex_unlock(&telemetry->lock);
    if (to_log) {
        log_event(LOG_WARN, "telemetry_full", LOG_NUMBER("kinds", KINDS_MAX));
    }
    return kind;
}

static void log_request(const struct telemetry *telemetry, enum log_level level,
                        const struct http_request *request, const struct http_result *result,
                        const int64_t *parts_ns)
{
    struct log_field fields[FIELDS_MAX];
    size_t count = 0;
    fields[count++] = LOG_TEXT("request_id", request->id);
    fields[count++] = LOG_TEXT("trace_id", request->trace.trace_id);
    fields[count++] = LOG_TEXT("span_id", request->trace.span_id);
    if (request->trace.parent_id[0] != '\0') {
        fields[count++] = LOG_TEXT("parent_id", request->trace.parent_id);
    }
    fields[count++] = LOG_TEXT("method", result->method);
    fields[count++] = LOG_TEXT("path", result->path);
    fields[count++] = LOG_NUMBER("status", result->status);
    fields[count++] = LOG_TEXT("outcome", result->outcome);
    fields[count++] = LOG_MS("total_ms", result->total_ns);
    for (int i = 0; i < PARTS && result->total_ns >= telemetry->slow_ns; i++) {
        fields[count++] = LOG_MS(telemetry->part_fields[i], parts_ns[i]);
    }
    log_fields(level, "request", fields, count);
}

/* Whether the line of a request that is neither slow nor an error is written. */
static bool is_sampled(struct telemetry *telemetry)
{
    uint64_t before = atomic_fetch_add_explicit(&telemetry->ordinary, 1, memory_order_relaxed);
    return before % telemetry->sample == 0;
}

void telemetry_observe(const struct http_request *request, const struct http_result *result,
                       void *context)
{
    struct telemetry *telemetry = context;
    const struct kind *kind = kind_at(find_slot(telemetry, result));
    int64_t parts_ns[PARTS];
    memcpy(parts_ns, request->stages.spent_ns, sizeof request->stages.spent_ns);
    parts_ns[STAGE_COUNT] = result->other_ns;
    if (!kind) {
        kind = add_kind(telemetry, result);
    }
    if (kind) {
        metrics_add(kind->requests, 1);
        metrics_observe(kind->duration, result->total_ns);
        for (int i = 0; i < PARTS; i++) {
            metrics_observe(kind->parts[i], parts_ns[i]);
        }
    }
    if (result->status == SERVER_ERROR) {
        log_request(telemetry, LOG_ERROR, request, result, parts_ns);
    } else if (result->total_ns >= telemetry->slow_ns) {
        log_request(telemetry, LOG_WARN, request, result, parts_ns);
    } else if (is_sampled(telemetry)) {
        log_request(telemetry, LOG_INFO, request, result, parts_ns);
    }
}

/* ----------------------------------------------------------------------------- values of others */

static double read_in_flight(void *server)
{
    return http_in_flight(server);
}

void telemetry_watch_server(struct telemetry *telemetry, struct http_server *server)
{
    metrics_gauge(telemetry->metrics, "flashdeal_http_requests_in_flight",
                  "Requests that are being served.", "", read_in_flight, server);
}

static double read_uptime(void *context)
{
    const struct telemetry *telemetry = context;
    return (double)(clock_now_ns() - telemetry->started_ns) / (double)CLOCK_NS_PER_S;
}

static double read_one(void *context)
{
    (void)context;
    return 1;
}

/* ------------------------------------------------------------------------------- start and stop */

static void publish_about(struct telemetry *telemetry, const char *phase)
{
    char labels[METRICS_LABELS_MAX];
#ifdef __clang__
    const char *compiler = "clang";
    const int version[] = {__clang_major__, __clang_minor__, __clang_patchlevel__};
#else
    const char *compiler = "gcc";
    const int version[] = {__GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__};
#endif
    snprintf(labels, sizeof labels, "phase=\"%s\",compiler=\"%s %d.%d.%d\"", phase, compiler,
             version[0], version[1], version[2]);
    metrics_gauge(telemetry->metrics, "flashdeal_build_info", "Always 1.", labels, read_one, NULL);
    metrics_gauge(telemetry->metrics, "flashdeal_uptime_seconds", "Time since the start.", "",
                  read_uptime, telemetry);
    process_publish(telemetry->metrics);
}

struct telemetry *telemetry_new(struct metrics *metrics, const struct telemetry_options *options)
{
    assert(options->slow_ms >= 1 && options->sample >= 1);
    struct telemetry *telemetry = xcalloc(1, sizeof *telemetry);
    telemetry->metrics = metrics;
    telemetry->started_ns = clock_now_ns();
    telemetry->slow_ns = options->slow_ms * CLOCK_NS_PER_MS;
    telemetry->sample = (uint64_t)options->sample;
    pthread_mutex_init(&telemetry->lock, NULL);
    for (int i = 0; i < PARTS; i++) {
        snprintf(telemetry->part_fields[i], PART_SIZE, "%s_ms",
                 i < STAGE_COUNT ? stages_name((enum stage)i) : OTHER);
    }
    publish_about(telemetry, options->phase);
    return telemetry;
}

void telemetry_free(struct telemetry *telemetry)
{
    if (!telemetry) {
        return;
    }
    for (int i = 0; i < SLOTS; i++) {
        free(kind_at(&telemetry->kinds[i]));
    }
    pthread_mutex_destroy(&telemetry->lock);
    free(telemetry);
}
