/* Tests of common/http_fault, http_json: what a handler answers through them, over a real listener.
 *
 * GET /fault/{n} answers with status n; POST /json reads three fields and says what it got. */
#include "common/http_fault.h"

#include "common/http_json.h"
#include "common/log.h"
#include "common/tests/http_server.h"

enum { THREADS = 4, READ_TIMEOUT_MS = 20000, JSON_FIELDS = 2, REPLY_SIZE = 256 };

static struct http_server *server;

/* --------------------------------------------------------------------------------- the server */

static void fault_get(struct http_request *request, void *context)
{
    int64_t number = 0;
    (void)context;
    handler_faults += http_param_int(request, 1, ST_SYSTEM, &number) != ST_OK;
    http_fault(request, (enum status)number);
}

/* Replies with the result, the bad field and the values; only on success do they mean something. */
static void json_post(struct http_request *request, void *context)
{
    struct json_field fields[JSON_FIELDS] = {{"a", 1, 9, 0}, {"b", 1, 9, 0}};
    const struct json_field *bad = &fields[1];
    char json[REPLY_SIZE];
    (void)context;
    request->stages = (struct stages){0};
    int64_t since_ns = clock_now_ns();
    enum json_result result = http_json_read(request, fields, JSON_FIELDS, &bad);
    int64_t took_ns = clock_now_ns() - since_ns;
    bool booked = request->stages.spent_ns[STAGE_VALIDATION] > 0 &&
                  request->stages.spent_ns[STAGE_VALIDATION] <= took_ns;
    for (int stage = 0; stage < STAGE_COUNT; stage++) {
        booked = booked && (stage == STAGE_VALIDATION || request->stages.spent_ns[stage] == 0);
    }
    snprintf(json, sizeof json, "{\"result\":%d,\"bad\":\"%s\",\"sum\":%" PRId64 ",\"booked\":%s}",
             (int)result, bad != NULL ? bad->name : "",
             result == JSON_OK ? 10 * fields[0].value + fields[1].value : 0,
             booked ? "true" : "false");
    http_reply(request, 200, json);
}

static bool start(void)
{
    static const struct http_route routes[] = {
        {"GET", "/fault/{}", fault_get, NULL, false, false},
        {"POST", "/json", json_post, NULL, true, false},
    };
    const struct http_options options = {
        .bind = "127.0.0.1",
        .port = raw_port,
        .threads = THREADS,
        .read_timeout_ms = READ_TIMEOUT_MS,
        .drain_ms = HTTP_DRAIN_MS,
        .routes = routes,
        .route_count = sizeof routes / sizeof routes[0],
    };
    char error[HTTP_ERROR_SIZE] = "";
    bool started = http_start(&options, &server, error) == ST_OK;
    if (!started) {
        fprintf(stderr, "http_fault: %s\n", error);
    }
    return started;
}

/* --------------------------------------------------------------------------------- http_fault */

struct fault {
    enum status status;
    int http_status;
    const char *code;
};

static const struct fault faults[] = {
    {ST_BUSY, 503, "overloaded"},         {ST_CLOSED, 503, "overloaded"},
    {ST_TIMEOUT, 503, "overloaded"},      {ST_RETRY, 503, "overloaded"},
    {ST_UNKNOWN, 503, "outcome_unknown"}, {ST_NOT_FOUND, 500, "internal_error"},
    {ST_INVALID, 500, "internal_error"},  {ST_CONSTRAINT, 500, "internal_error"},
    {ST_SCHEMA, 500, "internal_error"},   {ST_DB, 500, "internal_error"},
    {ST_SYSTEM, 500, "internal_error"},
};
enum {
    FAULT_COUNT = sizeof faults / sizeof faults[0],
    DRAWS = 60, /* none of three is missing by chance: once in 10^10 */
};

_Static_assert((int)FAULT_COUNT == (int)ST_SYSTEM, "every status but ST_OK has its row");

static void ask_fault(const struct fault *fault)
{
    char request[128];
    snprintf(request, sizeof request, GET("/fault/%d"), (int)fault->status);
    ask(request);
}

START_TEST(test_fault_has_its_status_and_code)
{
    ask_fault(&faults[_i]);
    assert_problem(faults[_i].http_status, faults[_i].code);
    assert_header("Connection", "keep-alive");
}
END_TEST

START_TEST(test_fault_says_when_to_come_again_only_if_that_helps)
{
    char value[RAW_VALUE_SIZE];
    int seen[HTTP_FAULT_RETRY_AFTER_MAX_S + 1] = {0};
    for (int i = 0; i < DRAWS; i++) {
        ask_fault(&faults[_i]);
        bool says_when = raw_header(&reply, "Retry-After", value);
        ck_assert_int_eq(says_when, faults[_i].http_status == 503);
        int after_s = says_when ? atoi(value) : 1;
        ck_assert_int_ge(after_s, 1);
        ck_assert_int_le(after_s, HTTP_FAULT_RETRY_AFTER_MAX_S);
        seen[after_s]++;
    }
    /* Not all at the same moment. */
    for (int s = 1; s <= HTTP_FAULT_RETRY_AFTER_MAX_S && faults[_i].http_status == 503; s++) {
        ck_assert_int_gt(seen[s], 0);
    }
}
END_TEST

/* The reply says nothing of the cause, so the log must, under the id that the client was given. */
START_TEST(test_only_an_internal_error_is_logged)
{
    struct test_capture capture;
    char expected[64], id[RAW_VALUE_SIZE];
    test_capture_start(&capture);
    ask_fault(&faults[_i]);
    char *logged = test_capture_stop(&capture);
    snprintf(expected, sizeof expected, "\"status\":\"%s\"", status_name(faults[_i].status));
    ck_assert(raw_header(&reply, "X-Request-Id", id));
    if (faults[_i].http_status == 500) {
        ck_assert_msg(strstr(logged, "\"event\":\"internal_error\"") != NULL, "%s", logged);
        ck_assert_msg(strstr(logged, expected) != NULL, "%s", logged);
        ck_assert_msg(strstr(logged, id) != NULL, "%s", logged);
    } else {
        ck_assert_str_eq(logged, "");
    }
    free(logged);
}
END_TEST

/* ---------------------------------------------------------------------------------- http_json */

struct body {
    const char *text;
    enum json_result result;
    const char *bad;
    int sum; /* 10 a + b */
};

static const struct body bodies[] = {
    {"{\"a\":1,\"b\":2}", JSON_OK, "", 12},
    {" {\"b\":9,\"a\":3} ", JSON_OK, "", 39},
    {"", JSON_INVALID, "", 0},
    {"{\"a\":1,\"b\":2", JSON_INVALID, "", 0},
    {"[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", JSON_TOO_DEEP, "", 0},
    {"[1]", JSON_NOT_AN_OBJECT, "", 0},
    {"{\"a\":1,\"b\":\"\\u0000\"}", JSON_INVALID_STRING, "", 0},
    {"{\"a\":1,\"b\":2,\"a\":1}", JSON_DUPLICATE_FIELD, "", 0},
    {"{\"a\":1,\"b\":2,\"c\":3}", JSON_UNKNOWN_FIELD, "", 0},
    {"{\"a\":1,\"b\":10}", JSON_INVALID_FIELD, "b", 0},
    {"{\"b\":10}", JSON_INVALID_FIELD, "a", 0},
};
enum { BODY_COUNT = sizeof bodies / sizeof bodies[0] };

START_TEST(test_body_is_read_as_json_does_and_booked_to_validation)
{
    const struct body *body = &bodies[_i];
    char request[512], expected[REPLY_SIZE];
    snprintf(request, sizeof request,
             "POST /json HTTP/1.1\r\n" HOST
             "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
             strlen(body->text), body->text);
    ask(request);
    ck_assert_int_eq(reply.status, 200);
    snprintf(expected, sizeof expected, "{\"result\":%d,\"bad\":\"%s\",\"sum\":%d,\"booked\":true}",
             (int)body->result, body->bad, body->sum);
    ck_assert_str_eq(reply.body, expected);
}
END_TEST

/* Where the body ends is what the request says, not the first NUL. */
START_TEST(test_body_is_read_to_its_length)
{
    static const char body[] = "{\"a\":1,\"b\":2}\0x";
    char head[256];
    snprintf(head, sizeof head,
             "POST /json HTTP/1.1\r\n" HOST
             "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
             sizeof body - 1);
    raw_send(&raw, head);
    raw_send_bytes(&raw, body, sizeof body - 1);
    raw_receive(&raw, &reply);
    ck_assert_int_eq(reply.status, 200);
    ck_assert_int_eq(strncmp(reply.body, "{\"result\":1,", 12), 0);
}
END_TEST

_Static_assert(JSON_INVALID == 1, "as test_body_is_read_to_its_length has it");

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, open_raw, close_raw);
    tcase_add_loop_test(tc, test_fault_has_its_status_and_code, 0, FAULT_COUNT);
    tcase_add_loop_test(tc, test_fault_says_when_to_come_again_only_if_that_helps, 0, FAULT_COUNT);
    tcase_add_loop_test(tc, test_only_an_internal_error_is_logged, 0, FAULT_COUNT);
    tcase_add_loop_test(tc, test_body_is_read_as_json_does_and_booked_to_validation, 0, BODY_COUNT);
    tcase_add_test(tc, test_body_is_read_to_its_length);
}

int main(void)
{
    raw_port = free_port();
    test_watchdog_start();
    if (!start()) {
        return EXIT_FAILURE;
    }
    int exit_status = test_main("http_fault", add_tests);
    bool stopped = http_stop(server) == ST_OK;
    if (!stopped || handler_faults > 0) {
        fprintf(stderr, "http_fault: not stopped, or %d faults in handlers\n", handler_faults);
        return EXIT_FAILURE;
    }
    return exit_status;
}
