/* Who asks: tokens where a route wants one, and the names that a request goes by.
 *
 * GET /mine and POST /mine want a token and give back whom it proves; GET /anyones wants none. Two
 * servers have the same routes: one with a secret, one without. */
#include <time.h>

#include "common/tests/http_observed.h"

enum { THREADS = 4, READ_TIMEOUT_MS = 20000, USER = 42, HOUR_S = 3600, REQUEST_SIZE = 1024 };

#define CALLER_ID "5c3c1a86-2b8c-4c56-9d7e-3a51c2f1b7aa"
#define TRACE_ID "0af7651916cd43dd8448eb211c80319c"
#define SPAN_ID "b7ad6b7169203331"
#define TRACEPARENT "traceparent: 00-" TRACE_ID "-" SPAN_ID "-01\r\n"
#define REQUEST_ID "X-Request-Id: " CALLER_ID "\r\n"

static struct auth *auth;
static int guarded_port, open_port;
static char request[REQUEST_SIZE];
static char token[AUTH_TOKEN_SIZE];

static void mine(struct http_request *asked, void *context)
{
    char json[64];
    (void)context;
    snprintf(json, sizeof json, "{\"user_id\":%" PRId64 "}", asked->user_id);
    http_reply(asked, 200, json);
}

static enum status start(int port, struct auth *guard, struct http_server **server,
                         char error[HTTP_ERROR_SIZE])
{
    static const struct http_route routes[] = {
        {"GET", "/mine", mine, NULL, false, true},
        {"POST", "/mine", mine, NULL, true, true},
        {"GET", "/anyones", mine, NULL, false, false},
    };
    struct http_options options = server_options(port, THREADS, READ_TIMEOUT_MS, HTTP_DRAIN_MS);
    options.routes = routes;
    options.route_count = sizeof routes / sizeof routes[0];
    options.auth = guard;
    options.observer = observed_note;
    options.observer_context = &observed_count;
    return http_start(&options, server, error);
}

static void sign(int64_t expires_in_s)
{
    auth_sign(auth, USER, (int64_t)time(NULL) + expires_in_s, token);
}

/* Sends a request line with the fields and, after them, Host and the rest. */
static void ask_with(const char *line, const char *fields, const char *rest)
{
    int bytes =
        snprintf(request, sizeof request, "%s HTTP/1.1\r\n%s" HOST "%s", line, fields, rest);
    ck_assert(bytes > 0 && (size_t)bytes < sizeof request);
    ask(request);
}

/* fields, with the token in the place of each '@'. */
static void ask_mine(const char *fields)
{
    char filled[REQUEST_SIZE / 2];
    size_t used = 0;
    for (; *fields != '\0'; fields++) {
        const char text[] = {*fields, '\0'};
        const char *piece = *fields == '@' ? token : text;
        ck_assert_uint_lt(used + strlen(piece), sizeof filled);
        memcpy(filled + used, piece, strlen(piece));
        used += strlen(piece);
    }
    filled[used] = '\0';
    ask_with("GET /mine", filled, "\r\n");
}

static void assert_user(int status, int64_t user_id)
{
    char expected[64];
    snprintf(expected, sizeof expected, "{\"user_id\":%" PRId64 "}", user_id);
    ck_assert_msg(reply.status == status, "%d %s", reply.status, reply.body);
    ck_assert_str_eq(reply.body, expected);
}

static void assert_unauthorized(void)
{
    assert_problem(401, "unauthorized");
    assert_header("WWW-Authenticate", "Bearer realm=\"flashdeal\"");
}

/* -------------------------------------------------------------------------------------- tokens */

START_TEST(test_token_proves_its_user)
{
    sign(HOUR_S);
    ask_mine("Authorization: Bearer @\r\n");
    assert_user(200, USER);
    ck_assert_int_eq(observed_await(0)->user_id, USER);
    ask_mine("authorization:bearer @  \r\n");
    assert_user(200, USER);
}
END_TEST

static const char *const refused[] = {
    "",
    "Authorization: Bearer @\r\nAuthorization: Bearer @\r\n",
    "Authorization: Bearer @\r\nauthorization: x\r\n",
    "Authorization: x\r\nAuthorization: Bearer @\r\n",
    "Authorization: Bearer @0\r\n",
    "Authorization: Bearer 1@\r\n",
    "Authorization: Basic @\r\n",
    "Authorization: @\r\n",
    "Authorization: Bearer\r\n",
    "Authorization:\r\n",
    "X-Authorization: Bearer @\r\n",
};
enum { REFUSED_COUNT = sizeof refused / sizeof refused[0] };

START_TEST(test_anything_else_proves_nobody)
{
    test_subject = refused[_i];
    sign(HOUR_S);
    ask_mine(refused[_i]);
    assert_unauthorized();
    assert_header("Connection", "keep-alive");
    ck_assert_int_eq(observed_await(0)->user_id, 0);
    ask_mine("Authorization: Bearer @\r\n");
    assert_user(200, USER);
}
END_TEST

START_TEST(test_token_is_judged_by_the_clock_on_the_wall)
{
    sign(-AUTH_SKEW_S - 10);
    ask_mine("Authorization: Bearer @\r\n");
    assert_unauthorized();
    sign(10);
    ask_mine("Authorization: Bearer @\r\n");
    assert_user(200, USER);
}
END_TEST

START_TEST(test_route_that_wants_no_user_asks_for_no_token)
{
    ask_with("GET /anyones", "", "\r\n");
    assert_user(200, 0);
    ask_with("GET /anyones", "Authorization: Bearer x\r\n", "\r\n");
    assert_user(200, 0);
    sign(HOUR_S);
    snprintf(request, sizeof request,
             "GET /anyones HTTP/1.1\r\n" HOST "Authorization: Bearer %s\r\n\r\n", token);
    ask(request);
    assert_user(200, 0);
}
END_TEST

/* A connection that proved a user once proves none with its next request. */
START_TEST(test_each_request_has_its_own_proof)
{
    sign(HOUR_S);
    ask_mine("Authorization: Bearer @\r\n");
    assert_user(200, USER);
    ask_mine("");
    assert_unauthorized();
    ask_with("GET /anyones", "", "\r\n");
    assert_user(200, 0);
}
END_TEST

/* The order of the checks: 404 and 405 before 401, which comes before 415, 411, 413 and the body.
 */
START_TEST(test_token_is_asked_for_after_the_path_and_before_the_body)
{
    ask_with("GET /nothing", "", "\r\n");
    assert_problem(404, "not_found");
    ask_with("PUT /mine", "", "\r\n");
    assert_problem(405, "method_not_allowed");
    ask_with("POST /mine", "", "\r\n");
    assert_unauthorized();
    sign(HOUR_S);
    snprintf(request, sizeof request,
             "POST /mine HTTP/1.1\r\n" HOST "Authorization: Bearer %s\r\n\r\n", token);
    ask(request);
    assert_problem(415, "unsupported_media_type");
}
END_TEST

START_TEST(test_refusal_before_the_body_was_read_closes)
{
    ask_with("POST /mine", "", "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
    assert_unauthorized();
    assert_closed();
}
END_TEST

START_TEST(test_expect_gets_401_instead_of_100)
{
    ask_with("POST /mine", "Expect: 100-continue\r\n",
             "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n");
    assert_unauthorized();
    assert_closed();
}
END_TEST

START_TEST(test_body_is_read_for_whoever_proved_himself)
{
    char fields[REQUEST_SIZE / 2];
    sign(HOUR_S);
    snprintf(fields, sizeof fields, "Authorization: Bearer %s\r\n", token);
    ask_with("POST /mine", fields, "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
    assert_user(200, USER);
    assert_header("Connection", "keep-alive");
}
END_TEST

START_TEST(test_server_without_a_secret_asks_nobody)
{
    raw_port = open_port;
    close_raw();
    open_raw();
    ask_mine("");
    assert_user(200, 0);
    sign(HOUR_S);
    ask_mine("Authorization: Bearer @\r\n");
    assert_user(200, 0);
}
END_TEST

/* ---------------------------------------------------------------------------------------- names */

static const char *own_id(void)
{
    static char id[RAW_VALUE_SIZE];
    ck_assert(raw_header(&reply, "X-Request-Id", id));
    ck_assert(uuid_is_valid(id));
    return id;
}

static const char *const taken[] = {
    REQUEST_ID,
    "x-request-id:" CALLER_ID "\r\n",
    "X-Request-Id:  " CALLER_ID "  \r\n",
    "X-Request-ID: 5C3C1A86-2B8C-4C56-9D7E-3A51C2F1B7AA\r\n",
    "X-Request-ID: 5c3c1a86-2B8C-4c56-9D7E-3a51C2f1b7aA\r\n",
};
enum { TAKEN_COUNT = sizeof taken / sizeof taken[0] };

START_TEST(test_caller_s_request_id_is_kept_in_lower_case)
{
    test_subject = taken[_i];
    ask_with("GET /anyones", taken[_i], "\r\n");
    ck_assert_int_eq(reply.status, 200);
    assert_header("X-Request-Id", CALLER_ID);
    ck_assert_str_eq(observed_await(0)->id, CALLER_ID);
    ask_with("GET /nothing", taken[_i], "\r\n");
    assert_problem(404, "not_found");
    assert_header("X-Request-Id", CALLER_ID);
}
END_TEST

static const char *const not_taken[] = {
    "",
    REQUEST_ID REQUEST_ID,
    REQUEST_ID "x-request-id: canary\r\n",
    "X-Request-Id:\r\n",
    "X-Request-Id: canary\r\n",
    "X-Request-Id: {" CALLER_ID "}\r\n",
    "X-Request-Id: " CALLER_ID "0\r\n",
    "X-Request-Id: 5c3c1a862b8c4c569d7e3a51c2f1b7aa\r\n",
    "X-Request-Id: 5c3c1a86-2b8c-4c56-9d7e-3a51c2f1b7ag\r\n",
    "Request-Id: " CALLER_ID "\r\n",
};
enum { NOT_TAKEN_COUNT = sizeof not_taken / sizeof not_taken[0] };

START_TEST(test_other_request_id_is_replaced)
{
    test_subject = not_taken[_i];
    ask_with("GET /anyones", not_taken[_i], "\r\n");
    ck_assert_int_eq(reply.status, 200);
    ck_assert_str_ne(own_id(), CALLER_ID);
    ck_assert_str_eq(observed_await(0)->id, own_id());
}
END_TEST

START_TEST(test_caller_s_trace_is_continued)
{
    ask_with("GET /anyones", TRACEPARENT, "\r\n");
    ask_with("GET /nothing", "Traceparent:00-" TRACE_ID "-" SPAN_ID "-01 \r\n", "\r\n");
    for (int i = 0; i < 2; i++) {
        const struct trace *trace = &observed_await(i)->trace;
        ck_assert_str_eq(trace->trace_id, TRACE_ID);
        ck_assert_str_eq(trace->parent_id, SPAN_ID);
        ck_assert(trace->sampled);
    }
    ck_assert_str_ne(observed_await(0)->trace.span_id, observed_await(1)->trace.span_id);
}
END_TEST

static const char *const untraced[] = {"", TRACEPARENT TRACEPARENT,
                                       "traceparent: 00-" TRACE_ID "-" SPAN_ID "-01x\r\n"};
enum { UNTRACED_COUNT = sizeof untraced / sizeof untraced[0] };

START_TEST(test_other_traces_are_begun)
{
    ask_with("GET /anyones", untraced[_i], "\r\n");
    const struct trace *trace = &observed_await(0)->trace;
    ck_assert_uint_eq(strlen(trace->trace_id), TRACE_ID_SIZE - 1);
    ck_assert_str_ne(trace->trace_id, TRACE_ID);
    ck_assert_str_eq(trace->parent_id, "");
}
END_TEST

/* Refused by our checks of the head, and by civetweb's. */
static const char *const malformed[] = {
    "GET /anyones HTTP/1.1\r\n" REQUEST_ID TRACEPARENT "\r\n", /* no Host */
    "GET /anyones HTTP/1.1\r\n" HOST REQUEST_ID TRACEPARENT "X : y\r\n\r\n",
    "GET /anyones HTTP/1.1\r\n" HOST REQUEST_ID TRACEPARENT "Content-Length: 2x\r\n\r\n",
    "GET /anyones HTTP/1.1\r\n" HOST REQUEST_ID TRACEPARENT "Content-Length: -1\r\n\r\n",
    "GET /anyones HTTP/9.9\r\n" HOST REQUEST_ID TRACEPARENT "\r\n",
    "FOO /anyones HTTP/1.1\r\n" HOST REQUEST_ID TRACEPARENT "\r\n",
};
enum { MALFORMED_COUNT = sizeof malformed / sizeof malformed[0] };

START_TEST(test_nothing_of_a_malformed_request_is_believed)
{
    test_subject = malformed[_i];
    ask_with("GET /anyones", REQUEST_ID TRACEPARENT, "\r\n"); /* leaves it in civetweb's buffer */
    ask(malformed[_i]);
    ck_assert_int_ge(reply.status, 400);
    ck_assert_str_ne(own_id(), CALLER_ID);
    const struct observed *note = observed_await(1);
    ck_assert_str_eq(note->id, own_id());
    ck_assert_uint_eq(strlen(note->trace.trace_id), TRACE_ID_SIZE - 1);
    ck_assert_uint_eq(strlen(note->trace.span_id), TRACE_SPAN_SIZE - 1);
    ck_assert_str_ne(note->trace.trace_id, TRACE_ID);
    ck_assert_str_eq(note->trace.parent_id, "");
    ck_assert_int_eq(note->user_id, 0);
}
END_TEST

static void set_up(void)
{
    raw_port = guarded_port;
    observed_reset();
    open_raw();
}

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, close_raw);
    tcase_add_test(tc, test_token_proves_its_user);
    tcase_add_loop_test(tc, test_anything_else_proves_nobody, 0, REFUSED_COUNT);
    tcase_add_test(tc, test_token_is_judged_by_the_clock_on_the_wall);
    tcase_add_test(tc, test_route_that_wants_no_user_asks_for_no_token);
    tcase_add_test(tc, test_each_request_has_its_own_proof);
    tcase_add_test(tc, test_token_is_asked_for_after_the_path_and_before_the_body);
    tcase_add_test(tc, test_refusal_before_the_body_was_read_closes);
    tcase_add_test(tc, test_expect_gets_401_instead_of_100);
    tcase_add_test(tc, test_body_is_read_for_whoever_proved_himself);
    tcase_add_test(tc, test_server_without_a_secret_asks_nobody);
    tcase_add_loop_test(tc, test_caller_s_request_id_is_kept_in_lower_case, 0, TAKEN_COUNT);
    tcase_add_loop_test(tc, test_other_request_id_is_replaced, 0, NOT_TAKEN_COUNT);
    tcase_add_test(tc, test_caller_s_trace_is_continued);
    tcase_add_loop_test(tc, test_other_traces_are_begun, 0, UNTRACED_COUNT);
    tcase_add_loop_test(tc, test_nothing_of_a_malformed_request_is_believed, 0, MALFORMED_COUNT);
}

int main(void)
{
    struct http_server *guarded = NULL, *open = NULL;
    char error[HTTP_ERROR_SIZE] = "";
    test_watchdog_start();
    auth = auth_new("a secret of the tests");
    guarded_port = free_port();
    open_port = free_port();
    if (start(guarded_port, auth, &guarded, error) != ST_OK ||
        start(open_port, NULL, &open, error) != ST_OK) {
        fprintf(stderr, "http_auth: %s\n", error);
        return EXIT_FAILURE;
    }
    int exit_status = test_main("http_auth", add_tests);
    if (http_stop(open) != ST_OK || http_stop(guarded) != ST_OK || handler_faults > 0) {
        fprintf(stderr, "http_auth: not stopped, or %d faults in handlers\n", handler_faults);
        exit_status = EXIT_FAILURE;
    }
    auth_free(auth);
    return exit_status;
}
