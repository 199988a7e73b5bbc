/* The stop: requests in flight get their replies, new ones a refusal, and nothing stays open.
 *
 * Each test has a server of its own. What a stop waits for is a handler at the gate, so that the
 * test, not a sleep, decides when it is in flight and when it ends. */
#include "common/tests/http_server.h"

enum {
    THREADS = 8,
    READ_TIMEOUT_MS = 20000,
    DRAIN_MS = 20000,
    SHORT_DRAIN_MS = 100,
    STOP_MS = 3500, /* of an idle server: civetweb's 2 s, and what a busy machine adds */
    ADMIN_THREADS = 2,
    RESTARTS = 3,
};

static struct raw other;

struct stopper {
    pthread_t thread;
    struct http_server *server;
    enum status status;
};

static void *stopper_main(void *argument)
{
    struct stopper *stopper = argument;
    stopper->status = http_stop(stopper->server);
    return NULL;
}

static void start_stopping(struct stopper *stopper, struct http_server *server)
{
    stopper->server = server;
    ck_assert_int_eq(pthread_create(&stopper->thread, NULL, stopper_main, stopper), 0);
}

/* Asks /health on new connections until the server says that it is stopping; leaves that reply. */
static void await_draining(void)
{
    int64_t give_up_ns = clock_deadline_ns(RAW_WAIT_MS);
    do {
        ck_assert_int_lt(clock_now_ns(), give_up_ns);
        raw_close(&other);
        raw_open(&other, raw_port);
        raw_send(&other, GET_HEALTH);
        raw_receive(&other, &reply);
    } while (reply.status == 200);
}

static void open_slow(void)
{
    gate_set(false);
    raw_open(&raw, raw_port);
    raw_send(&raw, GET("/slow"));
    gate_await_waiters(1);
}

static void assert_stops_soon(struct http_server *server)
{
    int64_t start_ns = clock_now_ns();
    ck_assert_int_eq(http_stop(server), ST_OK);
    ck_assert_int_lt((clock_now_ns() - start_ns) / CLOCK_NS_PER_MS, STOP_MS);
}

static void assert_answer(struct raw *client, const char *request, int status)
{
    raw_send(client, request);
    raw_receive(client, &reply);
    ck_assert_int_eq(reply.status, status);
}

START_TEST(test_stop_waits_for_a_request_in_flight_and_refuses_new_ones)
{
    struct stopper stopper;
    struct http_server *server = server_start(raw_port, THREADS, READ_TIMEOUT_MS, DRAIN_MS);
    open_slow();
    ck_assert_int_eq(http_in_flight(server), 1);
    start_stopping(&stopper, server);
    await_draining();
    assert_problem(503, "overloaded");
    assert_header("Retry-After", "1");
    assert_header("Connection", "close");
    ck_assert(raw_ends(&other));
    gate_set(true);
    raw_receive(&raw, &reply);
    ck_assert_int_eq(reply.status, 200);
    ck_assert_str_eq(reply.body, "{\"slow\":true}");
    assert_closed();
    int64_t idle_ns = clock_now_ns();
    pthread_join(stopper.thread, NULL);
    ck_assert_int_eq(stopper.status, ST_OK);
    /* It was woken, not left to its deadline. */
    ck_assert_int_lt((clock_now_ns() - idle_ns) / CLOCK_NS_PER_MS, DRAIN_MS / 2);
}
END_TEST

START_TEST(test_stop_refuses_the_next_request_of_an_open_connection)
{
    static struct raw kept;
    struct stopper stopper;
    struct http_server *server = server_start(raw_port, THREADS, READ_TIMEOUT_MS, DRAIN_MS);
    open_slow();
    raw_open(&kept, raw_port);
    raw_send(&kept, GET_HEALTH);
    raw_receive(&kept, &reply);
    ck_assert_int_eq(reply.status, 200);
    start_stopping(&stopper, server);
    await_draining();
    raw_send(&kept, "FOO /");
    raw_send(&kept, " HTTP/1.1\r\n\r\n"); /* draining comes before any other check */
    raw_receive(&kept, &reply);
    assert_problem(503, "overloaded");
    ck_assert(raw_ends(&kept));
    raw_close(&kept);
    gate_set(true);
    pthread_join(stopper.thread, NULL);
    ck_assert_int_eq(stopper.status, ST_OK);
}
END_TEST

START_TEST(test_stop_gives_up_on_a_stuck_handler_and_can_be_called_again)
{
    struct http_server *server = server_start(raw_port, THREADS, READ_TIMEOUT_MS, SHORT_DRAIN_MS);
    open_slow();
    ck_assert_int_eq(http_stop(server), ST_TIMEOUT);
    ck_assert_int_eq(http_in_flight(server), 1);
    gate_set(true);
    raw_receive(&raw, &reply);
    ck_assert_int_eq(reply.status, 200);
    ck_assert_int_eq(http_stop(server), ST_OK);
}
END_TEST

START_TEST(test_stop_does_not_wait_for_idle_and_half_sent_connections)
{
    struct http_server *server = server_start(raw_port, THREADS, READ_TIMEOUT_MS, DRAIN_MS);
    raw_open(&raw, raw_port);
    assert_serves();
    raw_open(&other, raw_port);
    raw_send(&other, GET_HEALTH);
    raw_receive(&other, &reply); /* a worker has it */
    raw_send(&other, "GET /health HTTP/1.1\r\nHo");
    assert_stops_soon(server);
    ck_assert(raw_ends(&raw));
    ck_assert(raw_ends(&other));
}
END_TEST

/* A drained server has nothing in flight and goes on refusing: its sockets close with the stop. */
START_TEST(test_drain_leaves_a_server_that_refuses)
{
    struct http_server *server = server_start(raw_port, THREADS, READ_TIMEOUT_MS, SHORT_DRAIN_MS);
    open_slow();
    ck_assert_int_eq(http_drain(server), ST_TIMEOUT);
    ck_assert_int_eq(http_in_flight(server), 1);
    gate_set(true);
    raw_receive(&raw, &reply);
    ck_assert_int_eq(reply.status, 200);
    ck_assert_int_eq(http_drain(server), ST_OK);
    ck_assert_int_eq(http_in_flight(server), 0);
    raw_open(&other, raw_port);
    raw_send(&other, GET_HEALTH);
    raw_receive(&other, &reply);
    assert_problem(503, "overloaded");
    ck_assert(raw_ends(&other));
    assert_stops_soon(server);
}
END_TEST

/* A client that left before its reply: the write fails, SIGPIPE does not end the process. */
START_TEST(test_client_that_left_does_no_harm)
{
    struct http_server *server = server_start(raw_port, THREADS, READ_TIMEOUT_MS, DRAIN_MS);
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};
    open_slow();
    ck_assert_int_eq(setsockopt(raw.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
    raw_close(&raw);
    gate_set(true);
    raw_open(&raw, raw_port);
    assert_serves();
    ck_assert_int_eq(http_stop(server), ST_OK);
}
END_TEST

START_TEST(test_server_starts_again_on_its_port)
{
    int files = open_files();
    for (int i = 0; i < RESTARTS; i++) {
        struct http_server *server = server_start(raw_port, THREADS, READ_TIMEOUT_MS, DRAIN_MS);
        raw_open(&raw, raw_port);
        assert_serves();
        ck_assert_int_eq(http_stop(server), ST_OK);
        raw_close(&raw);
    }
    ck_assert_int_eq(open_files(), files);
}
END_TEST

/* A public listener and one for the operators, with two threads, in one process: each serves its
 * own routes, to the last, and each can be the first to stop. An idle connection costs a stop at
 * most one of civetweb's waits. */
START_TEST(test_two_servers_stop_one_after_the_other)
{
    static const struct http_route routes[] = {
        {"GET", "/debug", health_get, NULL, false, false},
    };
    const int ports[] = {free_port(), free_port()};
    struct http_options options =
        server_options(ports[1], ADMIN_THREADS, READ_TIMEOUT_MS, DRAIN_MS);
    options.routes = routes;
    options.route_count = 1;
    struct http_server *servers[] = {server_start(ports[0], THREADS, READ_TIMEOUT_MS, DRAIN_MS),
                                     server_start_with(&options)};
    const char *const own[] = {GET_HEALTH, GET("/debug")};
    struct raw *const clients[] = {&raw, &other};
    for (int i = 0; i < 2; i++) {
        raw_open(clients[i], ports[i]);
        assert_answer(clients[i], own[1 - i], 404);
        assert_answer(clients[i], own[i], 200);
    }
    const int first = _i, last = 1 - _i;
    assert_stops_soon(servers[first]);
    ck_assert(raw_ends(clients[first]));
    assert_answer(clients[last], own[last], 200);
    assert_stops_soon(servers[last]);
    ck_assert(raw_ends(clients[last]));
}
END_TEST

static void set_up(void)
{
    raw.fd = -1;
    other.fd = -1;
}

static void tear_down(void)
{
    raw_close(&raw);
    raw_close(&other);
}

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_stop_waits_for_a_request_in_flight_and_refuses_new_ones);
    tcase_add_test(tc, test_stop_refuses_the_next_request_of_an_open_connection);
    tcase_add_test(tc, test_stop_gives_up_on_a_stuck_handler_and_can_be_called_again);
    tcase_add_test(tc, test_stop_does_not_wait_for_idle_and_half_sent_connections);
    tcase_add_test(tc, test_drain_leaves_a_server_that_refuses);
    tcase_add_test(tc, test_client_that_left_does_no_harm);
    tcase_add_test(tc, test_server_starts_again_on_its_port);
    tcase_add_loop_test(tc, test_two_servers_stop_one_after_the_other, 0, 2);
}

int main(void)
{
    raw_port = free_port();
    return test_main("http_stop", add_tests);
}
