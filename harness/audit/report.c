/* Two forms of one result; both say the same.
 *
 * JSON: {"version":1,"verdict":"FAIL","orders":n,"confirmed":n,"settled_ms":n,
 *   "journal":{"attempts":n,"acknowledged":n,"order_ids":n,"refused":n,"unknown":n,"cut_off":false},
 *   "checks":[{"name":"..","verdict":"FAIL","rule":"..","detail":"..","offenders":n,"worst":[".."]}]}
 * detail is what is missing (UNKNOWN) or a figure; a check that nobody asked for is left out. */
#include "harness/audit/report.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int count_made(const struct check checks[CHECKS_COUNT])
{
    int made = 0;
    for (size_t i = 0; i < CHECKS_COUNT; i++) {
        made += checks[i].verdict != VERDICT_NOT_CHECKED;
    }
    return made;
}

static void print_subject(const struct journal *journal, const struct snapshot *snapshot)
{
    if (journal->error[0] == '\0') {
        printf("journal   %" PRId64 " attempts: %" PRId64 " acknowledged (%zu order ids, %" PRId64
               " replies withheld), %" PRId64 " refused, %" PRId64 " unknown%s\n",
               journal->attempts, journal->acknowledged, journal->promise_count, journal->withheld,
               journal->refused, journal->unknown,
               journal->cut_off ? "; the last line is cut off and left out" : "");
    }
    if (snapshot->error[0] == '\0') {
        printf("database  %" PRId64 " orders in %zu sales: %" PRId64 " confirmed, %" PRId64
               " not final; looked at after %" PRId64 " ms\n",
               snapshot->orders, snapshot->sale_count, snapshot->confirmed, snapshot->unsettled,
               snapshot->settled_ms);
    }
}

static const char *detail_of(const struct check *check)
{
    return check->verdict == VERDICT_UNKNOWN ? check->missing : check->note;
}

static void print_check(const struct check *check)
{
    if (check->verdict == VERDICT_NOT_CHECKED) {
        printf("-        %-18s not checked (--idempotent)\n", check->name);
        return;
    }
    const char *detail = detail_of(check);
    printf("%-8s %-18s %s%s%s\n", checks_verdict_name(check->verdict), check->name, check->rule,
           detail[0] ? ": " : "", detail);
    for (size_t i = 0; i < check->worst_count; i++) {
        printf("           %s\n", check->worst[i]);
    }
    if (check->offenders > (int64_t)check->worst_count) {
        printf("           %" PRId64 " in all\n", check->offenders);
    }
}

void report_print(const struct journal *journal, const struct snapshot *snapshot,
                  const struct check checks[CHECKS_COUNT])
{
    print_subject(journal, snapshot);
    for (size_t i = 0; i < CHECKS_COUNT; i++) {
        print_check(&checks[i]);
    }
    printf("audit: %s (%" PRId64 " orders, %" PRId64 " confirmed, %d checks)\n",
           checks_verdict_name(checks_verdict(checks)), snapshot->orders, snapshot->confirmed,
           count_made(checks));
}

static cJSON *journal_json(const struct journal *journal)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddNumberToObject(json, "attempts", (double)journal->attempts);
    cJSON_AddNumberToObject(json, "acknowledged", (double)journal->acknowledged);
    cJSON_AddNumberToObject(json, "order_ids", (double)journal->promise_count);
    cJSON_AddNumberToObject(json, "refused", (double)journal->refused);
    cJSON_AddNumberToObject(json, "unknown", (double)journal->unknown);
    cJSON_AddBoolToObject(json, "cut_off", journal->cut_off);
    return json;
}

static cJSON *check_json(const struct check *check)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "name", check->name);
    cJSON_AddStringToObject(json, "verdict", checks_verdict_name(check->verdict));
    cJSON_AddStringToObject(json, "rule", check->rule);
    cJSON_AddStringToObject(json, "detail", detail_of(check));
    cJSON_AddNumberToObject(json, "offenders", (double)check->offenders);
    cJSON *worst = cJSON_AddArrayToObject(json, "worst");
    for (size_t i = 0; i < check->worst_count; i++) {
        cJSON_AddItemToArray(worst, cJSON_CreateString(check->worst[i]));
    }
    return json;
}

static char *make_json(const struct journal *journal, const struct snapshot *snapshot,
                       const struct check checks[CHECKS_COUNT])
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddNumberToObject(json, "version", 1);
    cJSON_AddStringToObject(json, "verdict", checks_verdict_name(checks_verdict(checks)));
    cJSON_AddNumberToObject(json, "orders", (double)snapshot->orders);
    cJSON_AddNumberToObject(json, "confirmed", (double)snapshot->confirmed);
    cJSON_AddNumberToObject(json, "settled_ms", (double)snapshot->settled_ms);
    cJSON_AddItemToObject(json, "journal", journal_json(journal));
    cJSON *list = cJSON_AddArrayToObject(json, "checks");
    for (size_t i = 0; i < CHECKS_COUNT; i++) {
        if (checks[i].verdict != VERDICT_NOT_CHECKED) {
            cJSON_AddItemToArray(list, check_json(&checks[i]));
        }
    }
    char *text = cJSON_Print(json);
    cJSON_Delete(json);
    return text;
}

enum status report_write_json(const char *path, const struct journal *journal,
                              const struct snapshot *snapshot,
                              const struct check checks[CHECKS_COUNT])
{
    char *text = make_json(journal, snapshot, checks);
    if (!text) {
        errno = ENOMEM;
        return ST_SYSTEM;
    }
    enum status status = ST_SYSTEM;
    FILE *file = fopen(path, "w");
    if (file) {
        bool written = fprintf(file, "%s\n", text) > 0;
        bool closed = fclose(file) == 0;
        status = written && closed ? ST_OK : ST_SYSTEM;
    }
    cJSON_free(text);
    return status;
}
