/* curves: picks each curve out of the rounds' files. A point that has no finite number is a gap,
 * one outside of the shown time is left out; a curve without a single number is not there at all,
 * so that the page can say so.
 *
 * What the database has confirmed is a sum that grows; its rate is taken over at least RATE_OVER_S,
 * between the moments in which the sum was really read, so that a late look does no harm. */
#include "harness/report/curves.h"

#include <math.h>
#include <string.h>

static const double AFTER_S = 2.5;     /* after the window its last replies come */
static const double RATE_OVER_S = 0.7; /* shorter: the noise of single orders */
static const double HALF_SECOND = 0.5; /* loadgen's points stand for the second that they begin */

struct source {
    const char *chart, *key;
    const char *list, *field;
    double shift_s, scale;
    bool is_sum;     /* its growth is the curve */
    bool shown_only; /* thin lines of the other rounds would only hide it */
};

static const struct source sources[] = {
    {"in_time", "in time", "in_time", "orders_s", 0, 1, false, false},
    {"throughput", "confirmed", "database", "confirmed", 0, 1, true, false},
    {"latency", "p99", "points", "p99_ms", HALF_SECOND, 1, false, false},
    {"latency", "p50", "points", "p50_ms", HALF_SECOND, 1, false, true},
    {"reads", "p99", "points", "read_p99_ms", HALF_SECOND, 1, false, false},
    {"sessions", "waiters", "database", "lock_waiters", 0, 1, false, false},
    {"sessions", "sessions", "database", "sessions", 0, 1, false, true},
    {"queue", "length", "server", "queue_length", 0, 1, false, false},
    {"queue", "pool", "server", "pool_waiters", 0, 1, false, true},
    {"age", "age", "server", "queue_age_s", 0, 1000, false, false},
};

static void add_point(cJSON *points, double x, double y)
{
    cJSON *point = cJSON_CreateArray();
    cJSON_AddItemToArray(point, cJSON_CreateNumber(round(x * 1000) / 1000));
    cJSON_AddItemToArray(point, isfinite(y) ? cJSON_CreateNumber(y) : cJSON_CreateNull());
    cJSON_AddItemToArray(points, point);
}

/* The sum's growth per second since the last point that is far enough back; NAN: none is yet. */
static double growth(double t, double sum, double *last_t, double *last_sum)
{
    double rate = NAN;
    if (!isfinite(sum)) {
        return NAN;
    }
    if (isfinite(*last_t)) {
        if (t - *last_t < RATE_OVER_S) {
            return NAN;
        }
        rate = (sum - *last_sum) / (t - *last_t);
    }
    *last_t = t;
    *last_sum = sum;
    return rate;
}

/* Fills points, and returns how many of them are numbers. */
static int collect(const struct source *source, const cJSON *list, double until_s, cJSON *points)
{
    int stride = cJSON_GetArraySize(list) / CURVES_POINTS_MAX + 1, n = 0, numbers = 0;
    double last_t = NAN, last_sum = NAN;
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        double t = run_number(item, "t") + source->shift_s;
        double y = run_number(item, source->field) * source->scale;
        if (n++ % stride != 0 || !(t >= 0 && t <= until_s)) {
            continue;
        }
        if (source->is_sum) {
            double middle = (t + last_t) / 2;
            y = growth(t, y, &last_t, &last_sum);
            if (!isfinite(y)) {
                continue;
            }
            t = middle;
        }
        numbers += isfinite(y);
        add_point(points, t, y);
    }
    return numbers;
}

/* Takes over the points. */
static void add_points(cJSON *curves, const char *chart, const char *key, int arm, int round,
                       bool shown, cJSON *points)
{
    cJSON *curve = cJSON_CreateObject();
    cJSON_AddStringToObject(curve, "chart", chart);
    cJSON_AddStringToObject(curve, "key", key);
    cJSON_AddStringToObject(curve, "arm", run_arm(arm));
    cJSON_AddNumberToObject(curve, "round", round);
    cJSON_AddBoolToObject(curve, "shown", shown);
    cJSON_AddItemToObject(curve, "points", points);
    cJSON_AddItemToArray(curves, curve);
}

static void add_curve(cJSON *curves, const struct source *source, const struct run_round *round,
                      bool shown, double until_s)
{
    cJSON *points = cJSON_CreateArray();
    if (collect(source, run_member(round->json, source->list), until_s, points) == 0) {
        cJSON_Delete(points);
        return;
    }
    add_points(curves, source->chart, source->key, round->arm, round->number, shown, points);
}

/* The plan's rate, the same for all: each point holds until the next, the last until the end. */
static void add_planned(cJSON *curves, const struct run *run, const char *chart, double seconds)
{
    cJSON *points = cJSON_CreateArray();
    double rate = NAN;
    const cJSON *item;
    cJSON_ArrayForEach(item, run_member(run->summary, "planned"))
    {
        double from = run_number(item, "from_s");
        if (from >= 0 && from < seconds && isfinite(run_number(item, "rate")) &&
            cJSON_GetArraySize(points) < CURVES_POINTS_MAX - 1) {
            rate = run_number(item, "rate");
            add_point(points, from, rate);
        }
    }
    if (!isfinite(rate)) {
        cJSON_Delete(points);
        return;
    }
    add_point(points, seconds, rate);
    add_points(curves, chart, "offered", 0, run_shown(run), true, points);
}

static void add_curves(cJSON *data, const struct run *run, double seconds)
{
    cJSON *curves = cJSON_AddArrayToObject(data, "curves");
    add_planned(curves, run, "in_time", seconds);
    add_planned(curves, run, "throughput", seconds);
    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
        const struct source *source = &sources[i];
        for (size_t j = 0; j < run->round_count; j++) {
            const struct run_round *round = &run->rounds[j];
            bool shown = round->number == run_shown(run);
            if (shown || !source->shown_only) {
                add_curve(curves, source, round, shown, seconds + AFTER_S);
            }
        }
    }
}

/* Both targets meet the same fault at about the same time: one window, the wider of each pair. */
static void add_fault(cJSON *faults, double from, double to, const char *text)
{
    cJSON *other;
    cJSON_ArrayForEach(other, faults)
    {
        double other_from = run_number(other, "from"), other_to = run_number(other, "to");
        if (from <= other_to && to >= other_from) {
            cJSON_ReplaceItemInObjectCaseSensitive(other, "from",
                                                   cJSON_CreateNumber(fmin(from, other_from)));
            cJSON_ReplaceItemInObjectCaseSensitive(other, "to",
                                                   cJSON_CreateNumber(fmax(to, other_to)));
            return;
        }
    }
    cJSON *fault = cJSON_CreateObject();
    cJSON_AddNumberToObject(fault, "from", from);
    cJSON_AddNumberToObject(fault, "to", to);
    cJSON_AddStringToObject(fault, "text", text);
    cJSON_AddItemToArray(faults, fault);
}

/* A fault that has no end lasts until the end. */
static void add_faults(cJSON *faults, const struct run_round *round, double seconds)
{
    double from = NAN;
    const char *text = "";
    const cJSON *mark;
    cJSON_ArrayForEach(mark, run_member(round->json, "marks"))
    {
        double t = run_number(mark, "t_ms") / 1000;
        const char *kind = run_text(mark, "kind");
        if (isfinite(t) && strcmp(kind, "fault_begin") == 0) {
            from = t;
            text = run_text(mark, "text");
        } else if (isfinite(t) && isfinite(from) && strcmp(kind, "fault_end") == 0) {
            add_fault(faults, from, t, text);
            from = NAN;
        }
    }
    if (isfinite(from)) {
        add_fault(faults, from, seconds, text);
    }
}

static void add_parts(cJSON *data, const struct run *run)
{
    cJSON *parts = cJSON_AddArrayToObject(data, "parts");
    const cJSON *item;
    cJSON_ArrayForEach(item, run_member(run->summary, "parts"))
    {
        double from = run_number(item, "from_s");
        if (isfinite(from)) {
            cJSON *part = cJSON_CreateObject();
            cJSON_AddNumberToObject(part, "from", from);
            cJSON_AddStringToObject(part, "label", run_text(item, "label"));
            cJSON_AddItemToArray(parts, part);
        }
    }
}

static const cJSON *stages_of(const struct run *run, int arm)
{
    return run_member(run_member(run->summary, "stages"), run_arm(arm));
}

static void add_stages(cJSON *data, const struct run *run)
{
    cJSON *stages = cJSON_AddObjectToObject(data, "stages");
    for (int arm = 0; arm < RUN_ARMS; arm++) {
        cJSON *of_arm = cJSON_AddObjectToObject(stages, run_arm(arm));
        const cJSON *item;
        cJSON_ArrayForEach(item, stages_of(run, arm))
        {
            double ms = run_number(item, "ms");
            if (isfinite(ms) && run_text(item, "stage")[0]) {
                cJSON_AddNumberToObject(of_arm, run_text(item, "stage"), ms);
            }
        }
    }
}

bool curves_has_stages(const struct run *run, int arm)
{
    return cJSON_GetArraySize(stages_of(run, arm)) > 0;
}

double curves_stage_ms(const struct run *run, int arm, const char *stage)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, stages_of(run, arm))
    {
        if (strcmp(run_text(item, "stage"), stage) == 0) {
            return run_number(item, "ms");
        }
    }
    return NAN;
}

const char *curves_fault_text(const struct run *run)
{
    for (size_t i = 0; i < run->round_count; i++) {
        const cJSON *mark;
        cJSON_ArrayForEach(mark, run_member(run->rounds[i].json, "marks"))
        {
            if (strcmp(run_text(mark, "kind"), "fault_begin") == 0) {
                return run_text(mark, "text");
            }
        }
    }
    return "";
}

cJSON *curves_make(const struct run *run)
{
    cJSON *data = cJSON_CreateObject();
    double seconds = run_number(run->summary, "duration_s");
    seconds = seconds > 0 ? seconds : 1;
    cJSON *names = cJSON_AddObjectToObject(data, "names");
    for (int arm = 0; arm < RUN_ARMS; arm++) {
        cJSON_AddStringToObject(names, run_arm(arm), run_name(run, arm));
    }
    cJSON_AddNumberToObject(data, "seconds", seconds);
    add_parts(data, run);
    cJSON *faults = cJSON_AddArrayToObject(data, "faults");
    for (size_t i = 0; i < run->round_count; i++) {
        if (run->rounds[i].number == run_shown(run)) {
            add_faults(faults, &run->rounds[i], seconds);
        }
    }
    add_curves(data, run, seconds);
    add_stages(data, run);
    return data;
}
