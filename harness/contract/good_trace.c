/* good_trace: the names under which a request is known (from phase 2): its id and its trace, the
 * caller's own where they are what they must be, and the one line of the log that has them. */
#include <check.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/uuid.h"
#include "harness/contract/client.h"
#include "harness/contract/contract.h"
#include "harness/contract/judge.h"
#include "harness/contract/loglines.h"
#include "harness/contract/timing.h"

enum { FIELD_SIZE = 256, TRACE_DIGITS = 32, SPAN_DIGITS = 16, MANY = 25 };

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN "00f067aa0ba902b7"

/* The log rounds to 0.001 ms, and Server-Timing does. */
static const double ROUNDING_MS = 0.01;

/* Makes an id, and the field that sends it. */
static void make_id(char id[UUID_TEXT_SIZE], char field[FIELD_SIZE])
{
    uuid_random(id);
    snprintf(field, FIELD_SIZE, "X-Request-Id: %.*s", UUID_TEXT_SIZE - 1, id);
}

/* Sends GET path with an id of its own, and a second field unless it is NULL; waits for the line of
 * the log with that id. */
static cJSON *line_of(const char *path, const char *field)
{
    char id[UUID_TEXT_SIZE], id_field[FIELD_SIZE];
    make_id(id, id_field);
    loglines_mark();
    const struct reply *reply =
        client_send(&(const struct client_request){.path = path, .fields = {id_field, field}});
    ck_assert_str_eq(reply_header(reply, "X-Request-Id"), id);
    return loglines_await("request", "request_id", id);
}

static bool is_hex(const char *text, size_t digits)
{
    return strlen(text) == digits && strspn(text, "0123456789abcdef") == digits &&
           strspn(text, "0") < digits;
}

/* ------------------------------------------------------------------------------------- request id
 */

START_TEST(the_callers_id_is_taken)
{
    const char *fields[] = {"X-Request-Id: 3f2504e0-4f89-41d3-9a0c-0305e82c3301",
                            "x-request-id: 3F2504E0-4F89-41D3-9A0C-0305E82C3302"};
    const char *ids[] = {"3f2504e0-4f89-41d3-9a0c-0305e82c3301",
                         "3f2504e0-4f89-41d3-9a0c-0305e82c3302"};
    const char *paths[] = {"/sales/1", "/nothing"};
    for (size_t i = 0; i < 2; i++) {
        const struct reply *reply =
            client_send(&(const struct client_request){.path = paths[i], .fields = {fields[i]}});
        ck_assert_str_eq(reply_header(reply, "X-Request-Id"), ids[i]);
    }
}
END_TEST

/* judge_reply sees that the reply has an id all the same, a new one, and no word of this one. */
START_TEST(an_id_that_is_none_is_replaced)
{
    static const char *const values[] = {
        CANARY,
        "3f2504e0-4f89-41d3-9a0c-0305e82c33",
        "3f2504e0-4f89-41d3-9a0c-0305e82c33011",
        "3f2504e04f8941d39a0c0305e82c3301",
        "{3f2504e0-4f89-41d3-9a0c-0305e82c3301}",
        "3f2504e0-4f89-41d3-9a0c-0305e82c330g",
        "3f2504e0-4f89-41d3-9a0c_0305e82c3301",
        "urn:uuid:3f2504e0-4f89-41d3-9a0c-0305e82c3301",
        "3f2504e0-4f89-41d3-9a0c-0305e82c3301, 3f2504e0-4f89-41d3-9a0c-0305e82c3302",
        "%0d%0aX-Evil: 1",
    };
    char field[FIELD_SIZE];
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        snprintf(field, sizeof(field), "X-Request-Id: %s", values[i]);
        const struct reply *reply =
            client_send(&(const struct client_request){.path = "/nothing", .fields = {field}});
        ck_assert_ptr_null(strstr(reply_header(reply, "X-Request-Id"), "3f2504e0"));
        ck_assert_ptr_null(reply_header(reply, "X-Evil"));
    }
}
END_TEST

START_TEST(two_ids_are_none)
{
    const struct client_request request = {
        .path = "/health",
        .fields = {"X-Request-Id: 3f2504e0-4f89-41d3-9a0c-0305e82c3303",
                   "X-Request-Id: 3f2504e0-4f89-41d3-9a0c-0305e82c3303"}};
    const struct reply *reply = client_send(&request);
    ck_assert_ptr_null(strstr(reply_header(reply, "X-Request-Id"), "3f2504e0"));
}
END_TEST

/* ------------------------------------------------------------------------------------------ trace
 */

START_TEST(the_callers_trace_is_continued)
{
    static const char *const fields[] = {
        "traceparent: 00-" TRACE "-" SPAN "-01",       "traceparent: 00-" TRACE "-" SPAN "-00",
        "Traceparent: 00-" TRACE "-" SPAN "-ff",       "traceparent: 01-" TRACE "-" SPAN "-01",
        "traceparent: cc-" TRACE "-" SPAN "-01-later",
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        cJSON *line = line_of("/health", fields[i]);
        ck_assert_str_eq(judge_text(line, "trace_id"), TRACE);
        ck_assert_msg(is_hex(judge_text(line, "span_id"), SPAN_DIGITS), "%s", fields[i]);
        ck_assert_str_ne(judge_text(line, "span_id"), SPAN);
        cJSON_Delete(line);
    }
}
END_TEST

START_TEST(a_trace_that_is_none_is_replaced)
{
    static const char *const fields[] = {
        "traceparent;", /* libcurl's way to send an empty field */
        "traceparent: " CANARY,
        "traceparent: 00-" TRACE "-" SPAN,
        "traceparent: 00-" TRACE "-" SPAN "-0",
        "traceparent: 00-" TRACE "-" SPAN "-01-more",
        "traceparent: 00-" TRACE "-" SPAN "-01x",
        "traceparent: ff-" TRACE "-" SPAN "-01",
        "traceparent: 0g-" TRACE "-" SPAN "-01",
        "traceparent: 00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN "-01",
        "traceparent: 00-00000000000000000000000000000000-" SPAN "-01",
        "traceparent: 00-" TRACE "-0000000000000000-01",
        "traceparent: 00-" TRACE "-00F067AA0BA902B7-01",
        "traceparent: 00-" TRACE "_" SPAN "-01",
        "traceparent: 00-" TRACE "0-" SPAN "-01",
        "traceparent: " TRACE "-" SPAN "-01",
        "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e473\"-" SPAN "-01",
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        cJSON *line = line_of("/health", fields[i]);
        const char *trace_id = judge_text(line, "trace_id");
        ck_assert_msg(is_hex(trace_id, TRACE_DIGITS) && strcmp(trace_id, TRACE) != 0, "%s: %s",
                      fields[i], trace_id);
        ck_assert(is_hex(judge_text(line, "span_id"), SPAN_DIGITS));
        cJSON_Delete(line);
    }
}
END_TEST

START_TEST(requests_without_a_trace_begin_one_each)
{
    cJSON *first = line_of("/health", NULL);
    cJSON *second = line_of("/health", NULL);
    ck_assert_msg(is_hex(judge_text(first, "trace_id"), TRACE_DIGITS) &&
                      is_hex(judge_text(first, "span_id"), SPAN_DIGITS),
                  "no trace");
    ck_assert_str_ne(judge_text(first, "trace_id"), judge_text(second, "trace_id"));
    ck_assert_str_ne(judge_text(first, "span_id"), judge_text(second, "span_id"));
    cJSON_Delete(first);
    cJSON_Delete(second);
}
END_TEST

/* -------------------------------------------------------------------------------------------- log
 */

static void expect_line(const char *path, const char *field, const char *method,
                        const char *pattern, int status, const char *outcome)
{
    cJSON *line = line_of(path, field);
    ck_assert_str_eq(judge_text(line, "level"), "info");
    ck_assert_str_eq(judge_text(line, "method"), method);
    ck_assert_str_eq(judge_text(line, "path"), pattern);
    ck_assert_int_eq(judge_number(line, "status"), status);
    ck_assert_str_eq(judge_text(line, "outcome"), outcome);
    cJSON_Delete(line);
}

/* The pattern and not the path: what the caller wrote is in no line. */
START_TEST(a_line_says_what_became_of_the_request)
{
    expect_line("/health", NULL, "GET", "/health", 200, "ok");
    expect_line("/sales/1", NULL, "GET", "/sales/{}", 200, "ok");
    expect_line("/sales/999999999", NULL, "GET", "/sales/{}", 404, "sale_not_found");
    expect_line("/sales/x" CANARY, NULL, "GET", "/sales/{}", 400, "invalid_sale_id");
    expect_line("/" CANARY "?x=%1b%0d%0a", "User-Agent: " CANARY, "other", "other", 404,
                "not_found");
}
END_TEST

START_TEST(a_line_has_the_whole_time)
{
    char id[UUID_TEXT_SIZE], field[FIELD_SIZE];
    struct timing timing;
    make_id(id, field);
    loglines_mark();
    const struct reply *reply =
        client_send(&(const struct client_request){.path = "/sales/1", .fields = {field}});
    ck_assert(timing_read(reply_header(reply, "Server-Timing"), &timing));
    cJSON *line = loglines_await("request", "request_id", id);
    const cJSON *total = cJSON_GetObjectItemCaseSensitive(line, "total_ms");
    ck_assert(cJSON_IsNumber(total));
    ck_assert_msg(total->valuedouble >= timing_ms(&timing, "total") - ROUNDING_MS,
                  "total_ms %.3f, and Server-Timing said %.3f", total->valuedouble,
                  timing_ms(&timing, "total"));
    cJSON_Delete(line);
}
END_TEST

START_TEST(each_request_has_one_line)
{
    char field[FIELD_SIZE];
    char ids[MANY][UUID_TEXT_SIZE];
    loglines_mark();
    for (int i = 0; i < MANY; i++) {
        make_id(ids[i], field);
        client_send(&(const struct client_request){.path = i % 2 == 0 ? "/health" : "/nothing",
                                                   .fields = {field}});
    }
    for (int i = MANY - 1; i >= 0; i--) { /* once the last is there, all are */
        cJSON_Delete(loglines_await("request", "request_id", ids[i]));
        ck_assert_int_eq(loglines_count("request", "request_id", ids[i]), 1);
    }
}
END_TEST

void good_trace_add(Suite *suite)
{
    const struct contract_test tests[] = {
        {"the caller's request id is taken", the_callers_id_is_taken, 2, 0, NEEDS_NOTHING},
        {"a request id that is none is replaced", an_id_that_is_none_is_replaced, 2, 0,
         NEEDS_NOTHING},
        {"two request ids are none", two_ids_are_none, 2, 0, NEEDS_NOTHING},
        {"the caller's trace is continued", the_callers_trace_is_continued, 2, 0, NEEDS_LOG},
        {"a trace that is none is replaced", a_trace_that_is_none_is_replaced, 2, 0, NEEDS_LOG},
        {"requests without a trace begin one each", requests_without_a_trace_begin_one_each, 2, 0,
         NEEDS_LOG},
        {"a line says what became of the request", a_line_says_what_became_of_the_request, 2, 0,
         NEEDS_LOG},
        {"a line has the whole time", a_line_has_the_whole_time, 2, 0, NEEDS_LOG},
        {"each request has one line", each_request_has_one_line, 2, 0, NEEDS_LOG},
    };
    contract_add_tests(suite, tests, sizeof(tests) / sizeof(tests[0]));
}
