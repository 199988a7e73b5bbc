/* judge: what must be true of every reply, whatever it answers.
 *
 * The rules here are the ones that no single row should have to repeat. Request ids are kept for
 * the whole run, because two requests with one id are a fault that no single exchange shows. */
#include "harness/contract/judge.h"

#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/uuid.h"
#include "harness/contract/contract.h"
#include "harness/contract/exchange.h"
#include "harness/contract/timing.h"

enum { IDS_MAX = 32768, SHOWN_MAX = 300, FIRST_TIMED_PHASE = 2, FIRST_QUEUED_PHASE = 3 };

/* Both ends of a reply's way round their times to 0.001 ms, part by part. */
static const double ROUNDING_MS = 0.05;

static const char METRICS_TYPE[] = "text/plain; version=0.0.4; charset=utf-8";

static char ids[IDS_MAX][UUID_TEXT_SIZE];
static size_t id_count;

static void judge_id(const struct reply *reply)
{
    ck_assert_msg(reply_count_header(reply, "X-Request-Id") == 1, "status %d: %d X-Request-Id",
                  reply->status, reply_count_header(reply, "X-Request-Id"));
    const char *id = reply_header(reply, "X-Request-Id");
    ck_assert_msg(uuid_is_valid(id), "X-Request-Id is not a UUID: %s", id);
    for (size_t i = 0; i < id_count; i++) {
        ck_assert_msg(strcmp(ids[i], id) != 0, "two replies with the request id %s", id);
    }
    ck_assert_msg(id_count < IDS_MAX, "more replies than the suite keeps ids of");
    memcpy(ids[id_count++], id, UUID_TEXT_SIZE);
}

static bool holds(const char *bytes, size_t length, const char *word)
{
    size_t word_length = strlen(word);
    for (size_t i = 0; i + word_length <= length; i++) {
        if (memcmp(bytes + i, word, word_length) == 0) {
            return true;
        }
    }
    return false;
}

static void judge_no_echo(const struct reply *reply)
{
    ck_assert_msg(!holds(reply->body, reply->body_length, CANARY), "the body echoes input: %.*s",
                  SHOWN_MAX, reply->body);
    for (size_t i = 0; i < reply->header_count; i++) {
        ck_assert_msg(strstr(reply->headers[i].value, CANARY) == NULL, "a header echoes input: %s",
                      reply->headers[i].name);
    }
}

/* A whole number of seconds from 1. */
static void judge_retry_after(const struct reply *reply)
{
    const char *value = reply_header(reply, "Retry-After");
    ck_assert_msg(value != NULL && value[strspn(value, "0123456789")] == '\0' && atoi(value) >= 1,
                  "status %d with Retry-After %s", reply->status,
                  value != NULL ? value : "missing");
}

/* Whether text is a part that a request of this phase can have spent time in before its reply. */
static bool is_timed_part(const char *name)
{
    static const char *const names[] = {"validation", "pool_wait", "lock_wait",
                                        "statements", "commit",    "total"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return strcmp(name, "queue_wait") == 0 && contract.phase >= FIRST_QUEUED_PHASE;
}

/* Every reply from phase 2 on says where its time went: stages that there are, once each, which add
 * up to no more than the whole. */
static void judge_timing(const struct reply *reply)
{
    struct timing timing;
    const char *value = reply_header(reply, "Server-Timing");
    ck_assert_msg(reply_count_header(reply, "Server-Timing") == 1, "status %d: %d Server-Timing",
                  reply->status, reply_count_header(reply, "Server-Timing"));
    ck_assert_msg(timing_read(value, &timing), "Server-Timing is not one: %s", value);
    for (int i = 0; i < timing.count; i++) {
        ck_assert_msg(is_timed_part(timing.parts[i].name), "Server-Timing of nothing known: %s",
                      value);
    }
    double total_ms = timing_ms(&timing, "total");
    /* 0.000: a reply that needs nothing takes less than half a microsecond */
    ck_assert_msg(total_ms >= 0 && total_ms < CONTRACT_PATIENCE_MS + contract.read_timeout_ms &&
                      timing_stages_ms(&timing) <= total_ms + ROUNDING_MS,
                  "Server-Timing does not add up: %s", value);
}

static const char *expected_type(const char *head, size_t head_length, int status)
{
    static const char metrics[] = "GET /metrics";
    if (status >= 400) {
        return "application/problem+json";
    }
    bool is_metrics =
        head_length >= sizeof(metrics) && memcmp(head, metrics, sizeof(metrics) - 1) == 0;
    return is_metrics ? METRICS_TYPE : "application/json";
}

static void judge_headers(const struct reply *reply, const char *expected)
{
    const char *type = reply_header(reply, "Content-Type");
    ck_assert_msg(reply_count_header(reply, "Content-Type") == 1 && strcmp(type, expected) == 0,
                  "status %d with Content-Type %s", reply->status, type != NULL ? type : "missing");
    if (reply->status == 503 || reply->status == 429) {
        judge_retry_after(reply);
    }
    if (reply->status == 405) {
        ck_assert_msg(reply_header(reply, "Allow") != NULL, "405 without Allow");
    }
    if (reply->status == 401) {
        ck_assert_msg(reply_header(reply, "WWW-Authenticate") != NULL,
                      "401 without WWW-Authenticate");
    }
    if (contract.phase >= FIRST_TIMED_PHASE) {
        judge_timing(reply);
    }
}

static void judge_problem_body(const struct reply *reply)
{
    cJSON *problem = judge_object(reply, reply->status);
    ck_assert_msg(judge_number(problem, "status") == reply->status,
                  "status %d, and its problem says %lld", reply->status,
                  judge_number(problem, "status"));
    ck_assert_str_eq(judge_text(problem, "request_id"), reply_header(reply, "X-Request-Id"));
    ck_assert_str_eq(judge_text(problem, "type"), "about:blank");
    ck_assert_str_ne(judge_text(problem, "title"), "");
    ck_assert_str_ne(judge_text(problem, "detail"), "");
    ck_assert_str_ne(judge_text(problem, "code"), "");
    cJSON_Delete(problem);
}

void judge_reply(const char *test, const char *head, size_t head_length, const struct reply *reply)
{
    exchange_record(test, head, head_length, reply);
    judge_id(reply);
    judge_headers(reply, expected_type(head, head_length, reply->status));
    judge_no_echo(reply);
    if (reply->status >= 400 && !reply->to_head) {
        judge_problem_body(reply);
    }
}

void judge_problem(const struct reply *reply, int status, const char *code)
{
    cJSON *problem = judge_object(reply, status);
    if (code != NULL) {
        ck_assert_str_eq(judge_text(problem, "code"), code);
    }
    cJSON_Delete(problem);
}

cJSON *judge_object(const struct reply *reply, int status)
{
    ck_assert_msg(reply->status == status, "status %d, not %d: %.*s", reply->status, status,
                  SHOWN_MAX, reply->body);
    cJSON *object = cJSON_ParseWithLength(reply->body, reply->body_length);
    ck_assert_msg(cJSON_IsObject(object), "status %d without a JSON object: %.*s", status,
                  SHOWN_MAX, reply->body);
    return object;
}

const char *judge_text(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    ck_assert_msg(text != NULL, "%s is missing or no string", name);
    return text;
}

long long judge_number(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    ck_assert_msg(cJSON_IsNumber(item), "%s is missing or no number", name);
    ck_assert_msg(fabs(item->valuedouble - round(item->valuedouble)) <= 0.0,
                  "%s is not a whole number", name);
    return (long long)item->valuedouble;
}
