/* summary: writes what stats.h holds as JSON, with cJSON. Times are milliseconds with three
 * decimals, which is the clock's and the histogram's resolution. Only what occurred is listed in
 * codes, problems and errors. */
#include "summary.h"

#include "common/clock.h"

#include <cJSON.h>
#include <math.h>
#include <time.h>

static void add_number(cJSON *object, const char *name, double value)
{
    cJSON_AddNumberToObject(object, name, round(value * 1000.0) / 1000.0);
}

static void add_count(cJSON *object, const char *name, int64_t value)
{
    cJSON_AddNumberToObject(object, name, (double)value);
}

static void add_time(cJSON *object, const char *name, int64_t epoch_ms)
{
    char date[32], text[48];
    const time_t seconds = (time_t)(epoch_ms / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text, sizeof(text), "%s.%03dZ", date, (int)(epoch_ms % 1000));
    cJSON_AddStringToObject(object, name, text);
}

static void add_hist(cJSON *object, const char *name, const struct hist *hist)
{
    static const struct {
        const char *name;
        double percent;
    } percentiles[] = {{"p50", 50.0}, {"p90", 90.0},   {"p95", 95.0},
                       {"p99", 99.0}, {"p99_9", 99.9}, {"p99_99", 99.99}};
    cJSON *item = cJSON_AddObjectToObject(object, name);
    add_count(item, "count", hist->count);
    add_number(item, "min", (double)hist->min_us / 1000.0);
    add_number(item, "mean", hist_mean_us(hist) / 1000.0);
    for (size_t i = 0; i < sizeof(percentiles) / sizeof(percentiles[0]); i++) {
        add_number(item, percentiles[i].name,
                   (double)hist_percentile_us(hist, percentiles[i].percent) / 1000.0);
    }
    add_number(item, "max", (double)hist->max_us / 1000.0);
}

static void add_outcomes(cJSON *object, const struct stats_outcomes *outcomes)
{
    cJSON *codes = cJSON_AddObjectToObject(object, "codes");
    for (int code = 0; code < STATS_CODES; code++) {
        char name[16];
        snprintf(name, sizeof(name), "%d", code);
        if (outcomes->codes[code] > 0) {
            add_count(codes, name, outcomes->codes[code]);
        }
    }
    cJSON *errors = cJSON_AddObjectToObject(object, "errors");
    for (int loss = 0; loss < LOSS_COUNT; loss++) {
        if (outcomes->losses[loss] > 0) {
            add_count(errors, net_loss_name((enum loss)loss), outcomes->losses[loss]);
        }
    }
}

static void add_retry_after(cJSON *object, const char *name, const struct stats_retry_after *count)
{
    cJSON *asked = cJSON_AddObjectToObject(object, name);
    for (int seconds = 0; seconds <= RETRY_AFTER_MAX_S; seconds++) {
        char text[16];
        snprintf(text, sizeof(text), "%d", seconds);
        if (count->seconds[seconds] > 0) {
            add_count(asked, text, count->seconds[seconds]);
        }
    }
    if (count->none > 0) {
        add_count(asked, "none", count->none);
    }
}

static void add_problems(cJSON *object, const struct stats_orders *orders)
{
    cJSON *problems = cJSON_AddObjectToObject(object, "problems");
    cJSON *asked = cJSON_AddObjectToObject(object, "problems_retry_after_s");
    for (int i = 0; i < STATS_PROBLEMS && orders->problems[i].count > 0; i++) {
        add_count(problems, orders->problems[i].code, orders->problems[i].count);
        add_retry_after(asked, orders->problems[i].code, &orders->problems[i].asked);
    }
}

static void add_orders(cJSON *root, const struct stats_orders *orders)
{
    cJSON *object = cJSON_AddObjectToObject(root, "orders");
    add_count(object, "count", orders->count);
    add_count(object, "ok", orders->ok);
    add_count(object, "fail", orders->fail);
    add_count(object, "info", orders->info);
    add_count(object, "unsent", orders->unsent);
    add_count(object, "attempts", orders->attempts);
    add_count(object, "retries", orders->retries);
    add_count(object, "retries_denied", orders->retries_denied);
    add_count(object, "gone", orders->gone);
    add_count(object, "polls", orders->polls);
    add_count(object, "goodput", orders->goodput);
    add_outcomes(object, &orders->outcomes);
    add_problems(object, orders);
    add_retry_after(object, "retry_after_s", &orders->asked);
    add_hist(object, "accept_ms", orders->accept);
    add_hist(object, "accept_uncorrected_ms", orders->accept_uncorrected);
    add_hist(object, "complete_ms", orders->complete);
    add_hist(object, "refused_ms", orders->refused);
}

static void add_route(cJSON *root, const char *name, const struct stats_route *route)
{
    cJSON *object = cJSON_AddObjectToObject(root, name);
    add_count(object, "count", route->count);
    add_outcomes(object, &route->outcomes);
    add_count(object, "ok_within_100ms", route->ok_within_100ms);
    add_hist(object, "latency_ms", route->latency);
}

static void add_generator(cJSON *root, const struct summary *summary)
{
    const struct hist *lag = summary->stats->lag;
    cJSON *object = cJSON_AddObjectToObject(root, "generator");
    add_number(object, "lag_p50_ms", (double)hist_percentile_us(lag, 50.0) / 1000.0);
    add_number(object, "lag_p99_ms", (double)hist_percentile_us(lag, 99.0) / 1000.0);
    add_number(object, "lag_max_ms", (double)lag->max_us / 1000.0);
    add_number(object, "cpu_share", summary->wall_s > 0.0 ? summary->cpu_s / summary->wall_s : 0.0);
    add_number(object, "cpu_s", summary->cpu_s);
    add_count(object, "connections_peak", summary->net.peak);
    add_count(object, "connections_failed", summary->net.failed);
    cJSON_AddBoolToObject(object, "interrupted", summary->interrupted);
    add_count(object, "journal_dropped", summary->journal_dropped);
    add_count(object, "overflowed", summary->overflowed);
}

static void add_finals(cJSON *root, const int64_t finals[FINALS])
{
    cJSON *object = cJSON_AddObjectToObject(root, "final");
    add_count(object, "confirmed", finals[FINAL_CONFIRMED]);
    add_count(object, "rejected", finals[FINAL_REJECTED]);
    add_count(object, "failed", finals[FINAL_FAILED]);
    add_count(object, "unfinished", finals[FINAL_UNFINISHED]);
    add_count(object, "lost", finals[FINAL_LOST]);
}

enum status summary_write(const struct summary *summary, FILE *file)
{
    const int64_t window_ms = summary->start_epoch_ms + (int64_t)(summary->warmup_s * 1000.0);
    cJSON *root = cJSON_CreateObject();
    cJSON_AddNumberToObject(root, "version", 1);
    cJSON_AddNumberToObject(root, "seed", (double)summary->seed);
    cJSON_AddStringToObject(root, "mode", summary->mode);
    cJSON_AddStringToObject(root, "url", summary->url);
    add_time(root, "started_at", summary->start_epoch_ms);
    add_time(root, "window_started_at", window_ms);
    add_time(root, "window_ended_at", window_ms + (int64_t)(summary->window_s * 1000.0));
    add_number(root, "duration_s", summary->window_s);
    add_count(root, "planned", summary->planned);
    add_count(root, "sent", summary->sent);
    add_count(root, "unsent", summary->planned - summary->sent);
    add_generator(root, summary);
    add_orders(root, &summary->stats->orders);
    add_route(root, "reads", &summary->stats->reads);
    add_route(root, "probes", &summary->stats->probes);
    add_finals(root, summary->stats->orders.finals);
    char *text = cJSON_Print(root);
    const bool good = text != NULL && fprintf(file, "%s\n", text) > 0 && fflush(file) == 0;
    cJSON_free(text);
    cJSON_Delete(root);
    return good ? ST_OK : ST_SYSTEM;
}
