/* stats: counters and histograms, and the few rules of counting that more than one place needs.
 * Memory is fixed: eight histograms of 84 KiB, tables with bounds. Does not decide what counts:
 * the client calls these for what was begun inside the window only. */
#include "stats.h"

#include "common/xalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct stats *stats_create(void)
{
    struct stats *stats = xcalloc(1, sizeof(*stats));
    stats->orders.accept = hist_create();
    stats->orders.accept_uncorrected = hist_create();
    stats->orders.refused = hist_create();
    stats->orders.complete = hist_create();
    stats->reads.latency = hist_create();
    stats->probes.latency = hist_create();
    stats->second.accept = hist_create();
    stats->second.read = hist_create();
    stats->second.probe = hist_create();
    stats->lag = hist_create();
    return stats;
}

void stats_destroy(struct stats *stats)
{
    if (stats == NULL) {
        return;
    }
    free(stats->orders.accept);
    free(stats->orders.accept_uncorrected);
    free(stats->orders.refused);
    free(stats->orders.complete);
    free(stats->reads.latency);
    free(stats->probes.latency);
    free(stats->second.accept);
    free(stats->second.read);
    free(stats->second.probe);
    free(stats->lag);
    free(stats);
}

void stats_count_code(struct stats_outcomes *outcomes, int http)
{
    if (http >= 0 && http < STATS_CODES) {
        outcomes->codes[http]++;
    }
}

static void count_retry_after(struct stats_retry_after *asked, const int *seconds)
{
    if (seconds == NULL) {
        return;
    }
    if (*seconds < 0 || *seconds > RETRY_AFTER_MAX_S) {
        asked->none++;
    } else {
        asked->seconds[*seconds]++;
    }
}

void stats_count_problem(struct stats_orders *orders, const char *code, const int *retry_after_s)
{
    count_retry_after(&orders->asked, retry_after_s);
    if (code[0] == '\0') {
        return;
    }
    for (int i = 0; i < STATS_PROBLEMS; i++) {
        if (orders->problems[i].count == 0) {
            const char *name = i == STATS_PROBLEMS - 1 ? "other" : code;
            snprintf(orders->problems[i].code, ANSWER_CODE_SIZE, "%s", name);
        }
        if (i == STATS_PROBLEMS - 1 || strcmp(orders->problems[i].code, code) == 0) {
            orders->problems[i].count++;
            count_retry_after(&orders->problems[i].asked, retry_after_s);
            return;
        }
    }
}

void stats_settle_order(struct stats *stats, enum op_result result)
{
    switch (result) {
    case RESULT_NONE:
        stats->orders.unsent++;
        stats->orders.outcomes.losses[LOSS_UNSENT]++;
        break;
    case RESULT_OK:
        stats->orders.ok++;
        stats->second.ok++;
        break;
    case RESULT_FAIL:
        stats->orders.fail++;
        stats->second.fail++;
        break;
    case RESULT_INFO:
        stats->orders.info++;
        stats->second.info++;
        break;
    }
}

struct stats_route *stats_route_of(struct stats *stats, enum plan_kind kind)
{
    return kind == PLAN_PROBE ? &stats->probes : &stats->reads;
}

void stats_clear_second(struct stats_second *second)
{
    second->orders = second->ok = second->fail = second->info = 0;
    second->reads = second->reads_ok = second->probes = 0;
    hist_clear(second->accept);
    hist_clear(second->read);
    hist_clear(second->probe);
}
