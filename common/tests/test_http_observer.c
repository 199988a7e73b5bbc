/* What an observer is told: every request once, with what it came to and where its time went.
 *
 * Every way to be refused is there: by a check, by civetweb, at a deadline, at a stop. */
#include "common/tests/http_observed.h"

enum {
    THREADS = 4,
    READ_TIMEOUT_MS = 20000,
    SHORT_TIMEOUT_MS = 400,
    DRAIN_MS = 20000,
    SHORT_DRAIN_MS = 100,
};

static int plain_port;             /* of the server that most tests share */
static struct http_server *server; /* a test's own */

static struct http_options observed_options(int port, int read_timeout_ms, int drain_ms)
{
    struct http_options options = server_options(port, THREADS, read_timeout_ms, drain_ms);
    options.observer = observed_note;
    options.observer_context = &observed_count;
    return options;
}

static void start(int read_timeout_ms)
{
    raw_port = free_port();
    const struct http_options options = observed_options(raw_port, read_timeout_ms, DRAIN_MS);
    server = server_start_with(&options);
}

/* Nothing was told beyond `told` requests: the next one is told next. */
static void assert_told_no_more(int told)
{
    close_raw();
    raw_port = plain_port;
    open_raw();
    ask(GET("/both"));
    ck_assert_str_eq(observed_await(told)->result.path, "/both");
    ck_assert_int_eq(observed_so_far(), told + 1);
}

/* ----------------------------------------------------------------------------------- every reply
 */

struct row {
    const char *request;
    int status;
    const char *outcome, *method, *path;
};

static const struct row rows[] = {
    {GET_HEALTH, 200, "ok", "GET", "/health"},
    {GET("/things/7?n=1"), 200, "ok", "GET", "/things/{}"},
    {GET("/big"), 200, "ok", "GET", "/big"},
    {GET("/decorated"), 200, "ok", "GET", "/decorated"},
    {POST_LENGTH("2"), 201, "ok", "POST", "/things"},
    {GET("/busy"), 503, "overloaded", "GET", "/busy"},
    {GET("/nothing"), 404, "not_found", "other", "other"},
    {GET("/things/%00"), 404, "not_found", "other", "other"},
    {"PUT /things HTTP/1.1\r\n" HOST "\r\n", 405, "method_not_allowed", "other", "other"},
    {"HEAD /health HTTP/1.1\r\n" HOST "\r\n", 405, "method_not_allowed", "other", "other"},
    {"POST /things HTTP/1.1\r\n" HOST "\r\n", 415, "unsupported_media_type", "POST", "/things"},
    {POST_HEAD "\r\n", 411, "length_required", "POST", "/things"},
    {POST_LENGTH("5000"), 413, "body_too_large", "POST", "/things"},
    {"GET /health HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n{}", 413, "body_too_large", "GET",
     "/health"},
    {"GET /health HTTP/1.1\r\n\r\n", 400, "bad_request", "other", "other"},
    {"GET /health HTTP/1.1\r\n" HOST "X : y\r\n\r\n", 400, "bad_request", "other", "other"},
    {POST_LENGTH("2x"), 400, "bad_content_length", "other", "other"},
    /* these by civetweb */
    {POST_LENGTH("-1"), 400, "bad_content_length", "other", "other"},
    {"FOO /health HTTP/1.1\r\n" HOST "\r\n", 400, "bad_request", "other", "other"},
    {"junk\r\n\r\n", 400, "bad_request", "other", "other"},
    {"GET /health HTTP/9.9\r\n" HOST "\r\n", 505, "http_version_not_supported", "other", "other"},
};
enum { ROW_COUNT = sizeof rows / sizeof rows[0] };

/* The stages and what is in none add up to the total, and none of it lies outside the exchange. */
static void assert_adds_up(const struct observed *note, int64_t exchange_ns)
{
    ck_assert_int_gt(note->stages.spent_ns[STAGE_VALIDATION], 0);
    ck_assert_int_gt(note->stages.spent_ns[STAGE_REPLY], 0);
    ck_assert_int_ge(note->result.other_ns, 0);
    ck_assert_int_eq(observed_sum_ns(note) + note->result.other_ns, note->result.total_ns);
    ck_assert_int_lt(note->result.total_ns, exchange_ns);
}

static void assert_told(int index, const struct row *row, int64_t since_ns)
{
    const struct observed *note = observed_await(index);
    char id[RAW_VALUE_SIZE];
    ck_assert_int_eq(note->result.status, row->status);
    ck_assert_str_eq(note->result.outcome, row->outcome);
    ck_assert_str_eq(note->result.method, row->method);
    ck_assert_str_eq(note->result.path, row->path);
    ck_assert(raw_header(&reply, "X-Request-Id", id));
    ck_assert_str_eq(note->id, id);
    assert_adds_up(note, clock_now_ns() - since_ns);
}

START_TEST(test_each_reply_is_told_once)
{
    open_raw();
    for (int i = 0; i < ROW_COUNT; i++) {
        test_subject = rows[i].request;
        int64_t since_ns = clock_now_ns();
        ask(rows[i].request);
        ck_assert_msg(reply.status == rows[i].status, "%d to %s", reply.status, rows[i].request);
        assert_told(i, &rows[i], since_ns);
        char connection[RAW_VALUE_SIZE];
        ck_assert(raw_header(&reply, "Connection", connection));
        if (strcmp(connection, "close") == 0) {
            close_raw();
            open_raw();
        }
    }
    assert_told_no_more(ROW_COUNT);
}
END_TEST

START_TEST(test_pipelined_requests_are_told_each)
{
    open_raw();
    raw_send(&raw, GET_HEALTH GET("/nothing") GET_HEALTH);
    for (int i = 0; i < 3; i++) {
        raw_receive(&raw, &reply);
    }
    ck_assert_int_eq(observed_await(0)->result.status, 200);
    ck_assert_int_eq(observed_await(1)->result.status, 404);
    ck_assert_int_eq(observed_await(2)->result.status, 200);
    assert_told_no_more(3);
}
END_TEST

/* A body that does not come: the wait for it is validation. A head that does not come: there was no
 * request whose time could have run. */
START_TEST(test_what_does_not_come_in_time_is_told)
{
    static const struct row body = {NULL, 408, "request_timeout", "POST", "/things"};
    static const struct row head = {NULL, 408, "request_timeout", "other", "other"};
    const int64_t half_ns = SHORT_TIMEOUT_MS / 2 * CLOCK_NS_PER_MS;
    start(SHORT_TIMEOUT_MS);
    open_raw();
    int64_t since_ns = clock_now_ns();
    ask(POST_HEAD "Content-Length: 9\r\n\r\n{}");
    assert_told(0, &body, since_ns);
    ck_assert_int_ge(observed_await(0)->stages.spent_ns[STAGE_VALIDATION], half_ns);
    close_raw();
    open_raw();
    since_ns = clock_now_ns();
    ask("GET /health HTTP/1.1\r\nHo");
    assert_told(1, &head, since_ns);
    ck_assert_int_lt(observed_await(1)->result.total_ns, half_ns);
    close_raw();
    ck_assert_int_eq(http_stop(server), ST_OK);
    ck_assert_int_eq(observed_so_far(), 2);
}
END_TEST

/* ---------------------------------------------------------------------------------------- stops */

static void *stop_main(void *argument)
{
    (void)argument;
    return http_stop(server) == ST_OK ? &observed_count : NULL;
}

/* Refusals of a stop are told as well: one before a handler, one that civetweb gave up on. */
START_TEST(test_refusals_of_a_stop_are_told)
{
    static const struct row refused = {NULL, 503, "overloaded", "other", "other"};
    static struct raw slow;
    static const char *const requests[] = {GET_HEALTH, "FOO / HTTP/1.1\r\n\r\n"};
    pthread_t stopper;
    void *stopped = NULL;
    int told = 0;
    start(READ_TIMEOUT_MS);
    open_raw();
    gate_set(false);
    raw_open(&slow, raw_port);
    raw_send(&slow, GET("/slow"));
    gate_await_waiters(1);
    ck_assert_int_eq(pthread_create(&stopper, NULL, stop_main, NULL), 0);
    do { /* until the stop has begun */
        close_raw();
        open_raw();
        ask(GET_HEALTH);
        observed_await(told++);
    } while (reply.status == 200);
    for (int i = 0; i < 2; i++) {
        close_raw();
        open_raw();
        int64_t since_ns = clock_now_ns();
        ask(requests[i]);
        assert_told(told++, &refused, since_ns);
    }
    gate_set(true);
    raw_receive(&slow, &reply);
    ck_assert_int_eq(reply.status, 200);
    pthread_join(stopper, &stopped);
    ck_assert_ptr_nonnull(stopped);
    ck_assert_int_eq(observed_so_far(), told + 1);
    ck_assert_str_eq(observed_await(told)->result.path, "/slow");
    raw_close(&slow);
    close_raw();
}
END_TEST

static void wait_at_gate(const struct http_request *request, const struct http_result *result,
                         void *context)
{
    (void)request;
    (void)result;
    (void)context;
    gate_pass();
}

/* Whatever the observer uses may be freed once http_stop has returned. */
START_TEST(test_stop_waits_for_the_observer)
{
    raw_port = free_port();
    struct http_options options = observed_options(raw_port, READ_TIMEOUT_MS, SHORT_DRAIN_MS);
    options.observer = wait_at_gate;
    server = server_start_with(&options);
    open_raw();
    gate_set(false);
    ask(GET_HEALTH);
    ck_assert_int_eq(reply.status, 200); /* the reply does not wait for the observer */
    gate_await_waiters(1);
    ck_assert_int_eq(http_in_flight(server), 1);
    ck_assert_int_eq(http_stop(server), ST_TIMEOUT);
    gate_set(true);
    close_raw();
    ck_assert_int_eq(http_stop(server), ST_OK);
}
END_TEST

static void set_up(void)
{
    raw_port = plain_port;
    raw.fd = -1;
    observed_reset();
}

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, close_raw);
    tcase_add_test(tc, test_each_reply_is_told_once);
    tcase_add_test(tc, test_pipelined_requests_are_told_each);
    tcase_add_test(tc, test_what_does_not_come_in_time_is_told);
    tcase_add_test(tc, test_refusals_of_a_stop_are_told);
    tcase_add_test(tc, test_stop_waits_for_the_observer);
}

int main(void)
{
    struct http_server *plain = NULL;
    char error[HTTP_ERROR_SIZE] = "";
    test_watchdog_start();
    plain_port = free_port();
    const struct http_options options = observed_options(plain_port, READ_TIMEOUT_MS, DRAIN_MS);
    if (http_start(&options, &plain, error) != ST_OK) {
        fprintf(stderr, "http_observer: %s\n", error);
        return EXIT_FAILURE;
    }
    int exit_status = test_main("http_observer", add_tests);
    if (http_stop(plain) != ST_OK || handler_faults > 0) {
        fprintf(stderr, "http_observer: not stopped, or %d faults in handlers\n", handler_faults);
        return EXIT_FAILURE;
    }
    return exit_status;
}
