/* http_header: what a handler reads of its request's fields.
 *
 * GET /field and POST /field give back what they found: the status, and the value between bars. */
#include "common/tests/http_server.h"

enum { THREADS = 4, READ_TIMEOUT_MS = 20000, REQUEST_SIZE = 1024, LONG_VALUE = 8000 };

#define FIELD "Idempotency-Key"

static void field_reply(struct http_request *request, void *context)
{
    static _Thread_local char text[LONG_VALUE * 2];
    const char *value = "canary";
    enum status status = http_header(request, FIELD, &value);
    (void)context;
    handler_faults += (status == ST_OK) != (value != NULL);
    snprintf(text, sizeof text, "%s|%s|", status_name(status), value ? value : "NULL");
    http_reply_text(request, 200, "text/plain", text);
}

static const struct {
    const char *fields;
    const char *found;
} rows[] = {
    {"", "not_found|NULL|"},
    {FIELD ": k-1\r\n", "ok|k-1|"},
    {"idempotency-KEY:k-1\r\n", "ok|k-1|"},
    {"A: 1\r\n" FIELD ": k-1\r\nB: 2\r\n", "ok|k-1|"},
    {FIELD ":   \"k 1\"  \r\n", "ok|\"k 1\"|"},
    {FIELD ": a  b, c:d\r\n", "ok|a  b, c:d|"},
    {FIELD ": \303\251\377\r\n", "ok|\303\251\377|"},
    {FIELD ":\r\n", "ok||"},
    {FIELD ":    \r\n", "ok||"},
    {"X-" FIELD ": k-1\r\n", "not_found|NULL|"},
    {FIELD "s: k-1\r\n", "not_found|NULL|"},
    {"Idempotency: k-1\r\n", "not_found|NULL|"},
    {FIELD ": k-1\r\n" FIELD ": k-2\r\n", "invalid|NULL|"},
    {FIELD ": k-1\r\n" FIELD ": k-1\r\n", "invalid|NULL|"},
    {FIELD ": k-1\r\nA: 1\r\nIDEMPOTENCY-KEY:\r\n", "invalid|NULL|"},
    {FIELD ": 1\r\n" FIELD ": 2\r\n" FIELD ": 3\r\n", "invalid|NULL|"},
};
enum { ROW_COUNT = sizeof rows / sizeof rows[0] };

static void ask_with(const char *line, const char *fields, const char *rest)
{
    char request[REQUEST_SIZE];
    int bytes =
        snprintf(request, sizeof request, "%s HTTP/1.1\r\n%s" HOST "%s", line, fields, rest);
    ck_assert(bytes > 0 && (size_t)bytes < sizeof request);
    ask(request);
}

static void assert_found(const char *expected)
{
    ck_assert_msg(reply.status == 200, "%d %s", reply.status, reply.body);
    ck_assert_str_eq(reply.body, expected);
}

START_TEST(test_field_is_found_by_name)
{
    test_subject = rows[_i].fields;
    ask_with("GET /field", rows[_i].fields, "\r\n");
    assert_found(rows[_i].found);
    ask_with("POST /field", rows[_i].fields,
             "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
    assert_found(rows[_i].found);
}
END_TEST

/* Of one connection, where the bytes of each request stand at the same place. */
START_TEST(test_field_is_of_this_request_only)
{
    ask_with("GET /field", FIELD ": first\r\n", "\r\n");
    assert_found("ok|first|");
    ask_with("GET /field", "", "\r\n");
    assert_found("not_found|NULL|");
    ask_with("GET /field", FIELD ": 2nd\r\n", "\r\n");
    assert_found("ok|2nd|");
}
END_TEST

/* The body comes when the head has been read, and as long as may be. */
START_TEST(test_field_is_still_there_when_the_body_was_read)
{
    char body[HTTP_BODY_MAX + 1];
    memset(body, ' ', HTTP_BODY_MAX);
    body[HTTP_BODY_MAX] = '\0';
    raw_send(&raw, "POST /field HTTP/1.1\r\n" HOST FIELD ": k-1\r\nExpect: 100-continue\r\n"
                   "Content-Type: application/json\r\nContent-Length: 4096\r\n\r\n");
    raw_receive(&raw, &reply);
    ck_assert_int_eq(reply.status, 100);
    raw_send(&raw, body);
    raw_receive(&raw, &reply);
    assert_found("ok|k-1|");
}
END_TEST

START_TEST(test_field_may_be_long)
{
    static char value[LONG_VALUE + 1], expected[LONG_VALUE + 16];
    memset(value, 'v', LONG_VALUE);
    snprintf(expected, sizeof expected, "ok|%s|", value);
    raw_send(&raw, "GET /field HTTP/1.1\r\n" HOST FIELD ": ");
    raw_send(&raw, value);
    ask("\r\n\r\n");
    assert_found(expected);
}
END_TEST

static const char *const malformed[] = {
    FIELD ": k\r\n 1\r\n", FIELD " : k-1\r\n", FIELD ": k-1\n",    FIELD ": k\001canary\r\n",
    FIELD ": k\r1\r\n",    FIELD "\r\n",       FIELD ": k\t1\r\n", FIELD ":\tk-1\r\n",
};
enum { MALFORMED_COUNT = sizeof malformed / sizeof malformed[0] };

START_TEST(test_malformed_field_reaches_no_handler)
{
    test_subject = malformed[_i];
    ask_with("GET /field", malformed[_i], "\r\n");
    assert_problem(400, "bad_request");
    assert_closed();
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, open_raw, close_raw);
    tcase_add_loop_test(tc, test_field_is_found_by_name, 0, ROW_COUNT);
    tcase_add_test(tc, test_field_is_of_this_request_only);
    tcase_add_test(tc, test_field_is_still_there_when_the_body_was_read);
    tcase_add_test(tc, test_field_may_be_long);
    tcase_add_loop_test(tc, test_malformed_field_reaches_no_handler, 0, MALFORMED_COUNT);
}

int main(void)
{
    static const struct http_route routes[] = {
        {"GET", "/field", field_reply, NULL, false, false},
        {"POST", "/field", field_reply, NULL, true, false},
    };
    struct http_server *server = NULL;
    char error[HTTP_ERROR_SIZE] = "";
    test_watchdog_start();
    raw_port = free_port();
    struct http_options options = server_options(raw_port, THREADS, READ_TIMEOUT_MS, HTTP_DRAIN_MS);
    options.routes = routes;
    options.route_count = sizeof routes / sizeof routes[0];
    if (http_start(&options, &server, error) != ST_OK) {
        fprintf(stderr, "http_header: %s\n", error);
        return EXIT_FAILURE;
    }
    int exit_status = test_main("http_header", add_tests);
    if (http_stop(server) != ST_OK || handler_faults > 0) {
        fprintf(stderr, "http_header: not stopped, or %d faults in handlers\n", handler_faults);
        exit_status = EXIT_FAILURE;
    }
    return exit_status;
}
