/* plan: arrivals from the seed. Every stream is a Poisson process; where the rate changes over time
 * (steps, flash crowd) it is thinned: candidates come at the highest rate and are kept with
 * probability rate(t) / highest (Lewis and Shedler, 1979), which is exact. The warm-up has the
 * first step's rate, or the flash crowd's base. Users, sales and quantities come from a stream of
 * their own, so that the same mix meets any arrival process. The three sorted streams are merged;
 * of two arrivals in the same microsecond the order comes first. */
#include "plan.h"

#include "common/xalloc.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct stream {
    const struct plan_spec *spec;
    enum plan_kind kind;
    double peak; /* per second; 0: nothing ever comes */
    double now_s;
    struct rng times;
    bool live;
    struct plan_arrival next;
};

static double step_rate(const struct plan_spec *spec, double window_s)
{
    double end_s = 0.0;
    for (size_t i = 0; i < spec->step_count; i++) {
        end_s += spec->steps[i].duration_s;
        if (window_s < end_s) {
            return spec->steps[i].rate;
        }
    }
    return 0.0;
}

static double order_rate(const struct plan_spec *spec, double window_s)
{
    switch (spec->shape) {
    case SHAPE_STEPS:
        return step_rate(spec, window_s < 0.0 ? 0.0 : window_s);
    case SHAPE_FLASH:
        if (window_s < 0.0) {
            return spec->flash_base;
        }
        return spec->flash_base +
               (spec->flash_peak - spec->flash_base) * exp(-window_s / spec->flash_decay_s);
    case SHAPE_NONE:
    case SHAPE_CLOSED:
    case SHAPE_REPLAY:
        break;
    }
    return 0.0;
}

static double order_peak(const struct plan_spec *spec)
{
    if (spec->shape == SHAPE_FLASH) {
        return fmax(spec->flash_peak, spec->flash_base);
    }
    double peak = 0.0;
    for (size_t i = 0; spec->shape == SHAPE_STEPS && i < spec->step_count; i++) {
        peak = fmax(peak, spec->steps[i].rate);
    }
    return peak;
}

static bool is_driven(enum plan_kind kind)
{
    return kind == PLAN_ORDER || kind == PLAN_PATH;
}

/* Moves the stream to its next arrival; it ends with the window. */
static void stream_advance(struct stream *stream)
{
    const struct plan_spec *spec = stream->spec;
    const double end_s = spec->warmup_s + spec->duration_s;
    while (stream->live) {
        stream->now_s += rng_exponential(&stream->times, stream->peak);
        stream->live = stream->now_s < end_s;
        if (!is_driven(stream->kind)) {
            break;
        }
        const double keep = rng_unit(&stream->times) * stream->peak;
        if (keep < order_rate(spec, stream->now_s - spec->warmup_s)) {
            break;
        }
    }
    stream->next.due_us = (int64_t)(stream->now_s * 1e6);
}

static void stream_init(struct stream *stream, const struct plan_spec *spec, enum plan_kind kind,
                        double peak, enum rng_stream times)
{
    *stream = (struct stream){.spec = spec, .kind = kind, .peak = peak, .live = peak > 0.0};
    stream->next.kind = kind;
    rng_seed(&stream->times, spec->seed, times);
    stream_advance(stream);
}

static struct stream *earliest(struct stream *streams, size_t count)
{
    struct stream *first = NULL;
    for (size_t i = 0; i < count; i++) {
        if (streams[i].live && (first == NULL || streams[i].next.due_us < first->next.due_us)) {
            first = &streams[i];
        }
    }
    return first;
}

void plan_source_init(struct plan_source *source, const struct plan_mix *mix, uint64_t seed)
{
    source->mix = mix;
    source->drawn = 0;
    rng_seed(&source->rng, seed, RNG_ORDER_MIX);
}

static int64_t draw_sale(const struct plan_mix *mix, struct rng *rng)
{
    return mix->sales[rng_between(rng, 0, (int64_t)mix->sale_count - 1)];
}

void plan_draw_order(struct plan_source *source, struct plan_arrival *arrival)
{
    const struct plan_mix *mix = source->mix;
    arrival->sale = draw_sale(mix, &source->rng);
    arrival->quantity = (int32_t)rng_between(&source->rng, mix->quantity_min, mix->quantity_max);
    arrival->user =
        mix->first_user +
        (mix->users == 0 ? source->drawn : rng_between(&source->rng, 0, mix->users - 1));
    source->drawn++;
}

static void fill_arrival(struct plan_arrival *arrival, struct plan_source *orders,
                         struct rng *reads)
{
    if (arrival->kind == PLAN_ORDER) {
        plan_draw_order(orders, arrival);
    }
    if (arrival->kind == PLAN_READ) {
        arrival->sale = draw_sale(orders->mix, reads);
    }
}

enum status plan_create(const struct plan_spec *spec, struct plan **out)
{
    enum { STREAMS = 3 };
    struct stream streams[STREAMS];
    const enum plan_kind driven = spec->reads_only ? PLAN_PATH : PLAN_ORDER;
    stream_init(&streams[0], spec, driven, order_peak(spec), RNG_ORDER_TIMES);
    stream_init(&streams[1], spec, PLAN_READ, spec->read_rate, RNG_READ_TIMES);
    stream_init(&streams[2], spec, PLAN_PROBE, spec->probe_rate, RNG_PROBE_TIMES);

    struct plan_source orders;
    struct rng reads;
    plan_source_init(&orders, &spec->mix, spec->seed);
    rng_seed(&reads, spec->seed, RNG_READ_MIX);

    struct plan *plan = xcalloc(1, sizeof(*plan));
    plan->seed = spec->seed;
    plan->warmup_us = llround(spec->warmup_s * 1e6);
    plan->window_us = llround(spec->duration_s * 1e6);
    memcpy(plan->path, spec->path, sizeof(plan->path));

    for (struct stream *next = earliest(streams, STREAMS); next != NULL;
         next = earliest(streams, STREAMS)) {
        fill_arrival(&next->next, &orders, &reads);
        const enum status status = plan_append(plan, &next->next);
        if (status != ST_OK) {
            plan_destroy(plan);
            return status;
        }
        stream_advance(next);
    }
    *out = plan;
    return ST_OK;
}

enum status plan_append(struct plan *plan, const struct plan_arrival *arrival)
{
    if (plan->count == PLAN_ARRIVALS_MAX) {
        return ST_INVALID;
    }
    /* Powers of two: grown whenever the count reaches one. */
    if ((plan->count & (plan->count - 1)) == 0) {
        const size_t capacity = plan->count == 0 ? 1 : plan->count * 2;
        struct plan_arrival *grown = realloc(plan->arrivals, capacity * sizeof(*grown));
        if (grown == NULL) {
            return ST_SYSTEM;
        }
        plan->arrivals = grown;
    }
    plan->arrivals[plan->count++] = *arrival;
    return ST_OK;
}

void plan_destroy(struct plan *plan)
{
    if (plan != NULL) {
        free(plan->arrivals);
        free(plan);
    }
}

const char *plan_kind_name(enum plan_kind kind)
{
    switch (kind) {
    case PLAN_ORDER:
        return "order";
    case PLAN_READ:
        return "read";
    case PLAN_PROBE:
        return "probe";
    case PLAN_PATH:
        return "path";
    }
    return "?";
}
