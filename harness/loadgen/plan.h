/* plan: what is sent and when, fixed by the seed before the load begins.
 *
 * A plan is a list of arrivals sorted by time. It can be saved as text and replayed, so that every
 * target gets the same load. Orders, reads and probes are independent streams: a read rate does not
 * change the orders. In closed loop the plan holds reads and probes only, and orders are drawn one
 * by one (plan_draw_order), the n-th being the same in every run. */
#ifndef FLASHDEAL_LOADGEN_PLAN_H
#define FLASHDEAL_LOADGEN_PLAN_H

#include "common/status.h"
#include "rng.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
    PLAN_STEPS_MAX = 256,
    PLAN_SALES_MAX = 4096,
    PLAN_PATH_MAX = 1024,
    PLAN_ARRIVALS_MAX = 16 * 1024 * 1024, /* 512 MiB */
};

enum plan_kind {
    PLAN_ORDER, /* POST /orders */
    PLAN_READ,  /* GET /sales/{sale} */
    PLAN_PROBE, /* GET /health */
    PLAN_PATH,  /* GET of --path: what --reads-only sends instead of orders */
};

enum plan_shape { SHAPE_NONE, SHAPE_STEPS, SHAPE_FLASH, SHAPE_CLOSED, SHAPE_REPLAY };

struct plan_step {
    double rate; /* per second; 0 is a pause */
    double duration_s;
};

/* Who orders what. */
struct plan_mix {
    int64_t first_user, users; /* users 0: a new one for each order */
    int64_t quantity_min, quantity_max;
    int64_t sales[PLAN_SALES_MAX];
    size_t sale_count;
};

struct plan_spec {
    enum plan_shape shape;
    struct plan_step steps[PLAN_STEPS_MAX]; /* SHAPE_STEPS; --rate is one step */
    size_t step_count;
    double flash_peak, flash_base, flash_decay_s;
    double warmup_s, duration_s;
    double read_rate, probe_rate;
    bool reads_only;
    char path[PLAN_PATH_MAX];
    uint64_t seed;
    struct plan_mix mix;
};

struct plan_arrival {
    int64_t due_us; /* since the load's start, which is the warm-up's */
    int64_t user, sale;
    int32_t quantity;
    enum plan_kind kind;
};

struct plan {
    uint64_t seed;
    int64_t warmup_us, window_us;
    char path[PLAN_PATH_MAX];
    struct plan_arrival *arrivals; /* owned; sorted by due_us */
    size_t count;
};

/* The source of orders: draws from the mix. */
struct plan_source {
    const struct plan_mix *mix;
    struct rng rng;
    int64_t drawn;
};

/* Makes the plan of spec. ST_INVALID: it would have more than PLAN_ARRIVALS_MAX arrivals. The
 * caller releases it with plan_destroy. */
MUST_USE enum status plan_create(const struct plan_spec *spec, struct plan **out);

/* Accepts NULL. */
void plan_destroy(struct plan *plan);

/* Adds an arrival that is not before the last one. ST_INVALID: the plan is full; ST_SYSTEM: no
 * memory. */
MUST_USE enum status plan_append(struct plan *plan, const struct plan_arrival *arrival);

/* mix must live as long as the source. */
void plan_source_init(struct plan_source *source, const struct plan_mix *mix, uint64_t seed);

/* The next order of the source: user, sale and quantity; due_us and kind are left alone. */
void plan_draw_order(struct plan_source *source, struct plan_arrival *arrival);

/* Writes and reads the text form (plan_file.c): a line "#flashdeal-plan 1", a line of settings,
 * then "t_us kind sale user quantity" per arrival, tab-separated. plan_load gives ST_INVALID with
 * the number of the first bad line in *line (out), ST_SYSTEM when reading fails. */
MUST_USE enum status plan_save(const struct plan *plan, FILE *file);
MUST_USE enum status plan_load(FILE *file, struct plan **out, size_t *line);

/* "order", "read", "probe", "path". */
const char *plan_kind_name(enum plan_kind kind);

#endif
