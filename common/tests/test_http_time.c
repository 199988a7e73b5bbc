/* The read deadlines: a header and a body are each given up between half of read_timeout_ms and all
 * of it, however they come, and an idle connection ends without a word.
 *
 * Lower bounds are exact, because a clock cannot run slow; upper bounds carry the slack of a busy
 * machine. */
#include <time.h>

#include "common/tests/http_server.h"

enum {
    THREADS = 16,
    READ_TIMEOUT_MS = 600,
    SLACK_MS = 5000,
    DRIP_MS = 40,
    EARLY_MS = 5, /* poll's clock is coarser than ours */
};

static void pause_ms(int ms)
{
    struct timespec until = clock_to_timespec(clock_deadline_ns(ms));
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0) {
    }
}

/* Sends byte after byte until there is a reply or the drip must have been cut off. */
static void drip(const char *bytes, size_t count)
{
    struct pollfd readable = {.fd = raw.fd, .events = POLLIN};
    int64_t give_up_ns = clock_deadline_ns(READ_TIMEOUT_MS + SLACK_MS);
    for (size_t i = 0; i < count && clock_now_ns() < give_up_ns; i++) {
        raw_send_bytes(&raw, bytes + i, 1);
        if (poll(&readable, 1, DRIP_MS) > 0) {
            return;
        }
    }
}

static void assert_time_since(int64_t start_ns)
{
    int64_t elapsed_ms = (clock_now_ns() - start_ns) / CLOCK_NS_PER_MS;
    ck_assert_int_ge(elapsed_ms, READ_TIMEOUT_MS / 2 - EARLY_MS);
    ck_assert_int_le(elapsed_ms, READ_TIMEOUT_MS + SLACK_MS);
}

static void assert_408_since(int64_t start_ns)
{
    raw_receive(&raw, &reply);
    assert_time_since(start_ns);
    assert_problem(408, "request_timeout");
    assert_closed();
}

static const char *const partial_heads[] = {
    "G",
    "GET /health HTTP/1.1",
    "GET /health HTTP/1.1\r\nHost: x",
    "GET /health HTTP/1.1\r\n" HOST,
    "GET /health HTTP/1.1\r\n" HOST "\r",
    " ",
};
enum { PARTIAL_HEAD_COUNT = sizeof partial_heads / sizeof partial_heads[0] };

START_TEST(test_partial_header_gets_408)
{
    int64_t start_ns = clock_now_ns();
    raw_send(&raw, partial_heads[_i]);
    assert_408_since(start_ns);
}
END_TEST

START_TEST(test_partial_header_of_a_second_request_gets_408)
{
    assert_serves();
    int64_t start_ns = clock_now_ns();
    raw_send(&raw, partial_heads[_i]);
    assert_408_since(start_ns);
}
END_TEST

START_TEST(test_dripped_header_gets_408)
{
    static char endless[4096];
    memset(endless, 'a', sizeof endless);
    int64_t start_ns = clock_now_ns();
    raw_send(&raw, "GET /health HTTP/1.1\r\n" HOST "X: ");
    drip(endless, sizeof endless);
    assert_408_since(start_ns);
}
END_TEST

START_TEST(test_dripped_header_of_a_second_request_gets_408)
{
    static char endless[4096];
    memset(endless, 'a', sizeof endless);
    assert_serves();
    int64_t start_ns = clock_now_ns();
    raw_send(&raw, "GET /");
    drip(endless, sizeof endless);
    assert_408_since(start_ns);
}
END_TEST

START_TEST(test_short_body_gets_408)
{
    int64_t start_ns = clock_now_ns();
    raw_send(&raw, POST_LENGTH("3"));
    assert_408_since(start_ns);
}
END_TEST

START_TEST(test_absent_body_gets_408)
{
    int64_t start_ns = clock_now_ns();
    raw_send(&raw, POST_HEAD "Content-Length: 2\r\n\r\n");
    assert_408_since(start_ns);
}
END_TEST

static void assert_408_for_dripped_body(const char *head_and_more)
{
    static char endless[4096];
    memset(endless, ' ', sizeof endless);
    int64_t start_ns = clock_now_ns();
    raw_send(&raw, head_and_more);
    drip(endless, sizeof endless);
    assert_408_since(start_ns);
}

START_TEST(test_dripped_body_gets_408)
{
    assert_408_for_dripped_body(POST_HEAD "Content-Length: 4096\r\n\r\n");
}
END_TEST

/* What came with the head must not make us wait for the rest in one go. */
START_TEST(test_dripped_body_that_began_with_its_head_gets_408)
{
    assert_408_for_dripped_body(POST_HEAD "Content-Length: 4096\r\n\r\n ");
}
END_TEST

/* civetweb would read all of it before it closes; the reply must not wait for that either. */
START_TEST(test_dripped_body_of_a_refused_request_does_not_hold_the_reply)
{
    raw_send(&raw, "POST /nothing HTTP/1.1\r\n" HOST "Content-Length: 4096\r\n\r\n ");
    raw_receive(&raw, &reply);
    assert_problem(404, "not_found");
    assert_closed();
}
END_TEST

START_TEST(test_malformed_header_gets_400_not_408)
{
    raw_send(&raw, "GET /health HTTP/1.1\r\n" HOST "X: \001");
    raw_receive(&raw, &reply);
    assert_problem(400, "bad_request");
    assert_closed();
}
END_TEST

START_TEST(test_silent_connection_ends_without_a_word)
{
    int64_t start_ns = clock_now_ns();
    ck_assert(raw_ends(&raw));
    assert_time_since(start_ns);
}
END_TEST

START_TEST(test_idle_connection_ends_without_a_word)
{
    assert_serves();
    int64_t start_ns = clock_now_ns();
    ck_assert(raw_ends(&raw));
    assert_time_since(start_ns);
}
END_TEST

/* Each pause is well within the deadline: the clock starts anew with each request. */
START_TEST(test_pauses_between_requests_do_not_add_up)
{
    int64_t end_ns = clock_deadline_ns(2 * READ_TIMEOUT_MS);
    do {
        assert_serves();
        pause_ms(READ_TIMEOUT_MS / 20);
    } while (clock_now_ns() < end_ns);
}
END_TEST

/* The time in the handler is not the client's: neither for the deadline nor for what is called
 * late. */
START_TEST(test_slow_handler_does_not_eat_the_next_deadline)
{
    gate_set(false);
    raw_send(&raw, GET("/slow"));
    gate_await_waiters(1);
    pause_ms(2 * READ_TIMEOUT_MS);
    gate_set(true);
    raw_receive(&raw, &reply);
    ck_assert_int_eq(reply.status, 200);
    raw_send(&raw, "GET /health");
    pause_ms(READ_TIMEOUT_MS / 20);
    ask(" HTTP/1.1\r\n" HOST "\r\n");
    ck_assert_int_eq(reply.status, 200);
    ask("GET /canary\001"); /* at once, so not late */
    assert_problem(400, "bad_request");
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, open_raw, close_raw);
    tcase_add_loop_test(tc, test_partial_header_gets_408, 0, PARTIAL_HEAD_COUNT);
    tcase_add_loop_test(tc, test_partial_header_of_a_second_request_gets_408, 0,
                        PARTIAL_HEAD_COUNT);
    tcase_add_test(tc, test_dripped_header_gets_408);
    tcase_add_test(tc, test_dripped_header_of_a_second_request_gets_408);
    tcase_add_test(tc, test_short_body_gets_408);
    tcase_add_test(tc, test_absent_body_gets_408);
    tcase_add_test(tc, test_dripped_body_gets_408);
    tcase_add_test(tc, test_dripped_body_that_began_with_its_head_gets_408);
    tcase_add_test(tc, test_dripped_body_of_a_refused_request_does_not_hold_the_reply);
    tcase_add_test(tc, test_malformed_header_gets_400_not_408);
    tcase_add_test(tc, test_silent_connection_ends_without_a_word);
    tcase_add_test(tc, test_idle_connection_ends_without_a_word);
    tcase_add_test(tc, test_pauses_between_requests_do_not_add_up);
    tcase_add_test(tc, test_slow_handler_does_not_eat_the_next_deadline);
}

int main(void)
{
    return run_with_server("http_time", add_tests, 0, THREADS, READ_TIMEOUT_MS);
}
