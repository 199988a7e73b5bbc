/* http_client_gone: a client that has closed, reset or half-closed is gone, any other is there.
 *
 * GET /watch waits until the gate opens and then asks once; GET /await asks until the client is
 * gone. The question is put by the request's own thread, by another, or by both. A server with one
 * thread serves one connection after the other in the same place. */
#include <sched.h>

#include "common/tests/http_server.h"

enum {
    READ_TIMEOUT_MS = 20000,
    GONE_WITHIN_MS = 10000,
    CROWD = 40,           /* other connections while one is looked for */
    THREADS = CROWD + 10, /* and what civetweb has not yet closed */
};

enum asker { BY_ITSELF, BY_ANOTHER, BY_BOTH, ASKER_COUNT };

static int common_port; /* of the server that most tests share */
static struct raw other;
static atomic_int asker;  /* who asks */
static atomic_int answer; /* of the last handler: 0 there, 1 gone */
static atomic_int answers;

/* --------------------------------------------------------------------------------- the handlers */

static bool ask_until_gone(const struct http_request *request)
{
    int64_t give_up_ns = clock_deadline_ns(GONE_WITHIN_MS);
    while (!http_client_gone(request)) {
        if (clock_now_ns() > give_up_ns) {
            return false;
        }
        sched_yield();
    }
    return true;
}

struct question {
    const struct http_request *request;
    bool (*put)(const struct http_request *request);
    bool gone;
};

static void *question_main(void *argument)
{
    struct question *question = argument;
    question->gone = question->put(question->request);
    return NULL;
}

/* The reply is written while another thread may still be asking: only then is it waited for. */
static void put(struct http_request *request, bool (*put_once)(const struct http_request *request))
{
    struct question own = {request, put_once, false}, another = own;
    pthread_t thread;
    int who = asker;
    if (who != BY_ITSELF && pthread_create(&thread, NULL, question_main, &another) != 0) {
        handler_faults++;
        return;
    }
    if (who != BY_ANOTHER) {
        question_main(&own);
    }
    if (who == BY_ANOTHER) {
        pthread_join(thread, NULL);
    }
    http_reply(request, 200, "{}");
    if (who == BY_BOTH) {
        pthread_join(thread, NULL);
        handler_faults += own.gone != another.gone;
    }
    answer = who == BY_ANOTHER ? another.gone : own.gone;
    answers++;
}

static void watch_get(struct http_request *request, void *context)
{
    (void)context;
    gate_pass();
    put(request, http_client_gone);
}

static void await_get(struct http_request *request, void *context)
{
    (void)context;
    put(request, ask_until_gone);
}

static enum status try_start(const char *bind_to, int port, int threads,
                             struct http_server **server, char error[HTTP_ERROR_SIZE])
{
    static const struct http_route routes[] = {
        {"GET", "/health", http_health, NULL, false, false},
        {"GET", "/watch", watch_get, NULL, false, false},
        {"GET", "/await", await_get, NULL, false, false},
    };
    struct http_options options = server_options(port, threads, READ_TIMEOUT_MS, HTTP_DRAIN_MS);
    options.bind = bind_to;
    options.routes = routes;
    options.route_count = sizeof routes / sizeof routes[0];
    return http_start(&options, server, error);
}

static struct http_server *start(const char *bind_to, int port, int threads)
{
    struct http_server *server = NULL;
    char error[HTTP_ERROR_SIZE] = "";
    ck_assert_msg(try_start(bind_to, port, threads, &server, error) == ST_OK, "%s", error);
    return server;
}

/* ----------------------------------------------------------------------------------- the client */

static void await_answer(int count)
{
    int64_t give_up_ns = clock_deadline_ns(2 * GONE_WITHIN_MS);
    while (answers < count) {
        ck_assert_int_lt(clock_now_ns(), give_up_ns);
        sched_yield();
    }
}

/* Asks with the gate open: whether whoever waits for this reply is there. */
static void assert_there(struct raw *client)
{
    int before = answers;
    raw_send(client, GET("/watch"));
    raw_receive(client, &reply);
    ck_assert_int_eq(reply.status, 200);
    await_answer(before + 1);
    ck_assert_int_eq(answer, 0);
}

enum leave { CLOSE, RESET, HALF_CLOSE, LEAVE_COUNT };

static void leave(struct raw *client, enum leave how)
{
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};
    switch (how) {
    case RESET:
        ck_assert_int_eq(setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
        raw_close(client);
        return;
    case CLOSE:
        raw_close(client);
        return;
    case HALF_CLOSE:
        shutdown(client->fd, SHUT_WR);
        return;
    case LEAVE_COUNT:
        return;
    }
}

static void assert_seen_to_leave(struct raw *client, enum leave how)
{
    int before = answers;
    raw_send(client, GET("/await"));
    leave(client, how);
    await_answer(before + 1);
    ck_assert_int_eq(answer, 1);
}

/* A client of the server on address and port, itself bound to an address and port of its own
 * (0: any). */
static void open_from(struct raw *client, const char *address, int port, int own_port)
{
    const int on = 1;
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons((uint16_t)own_port)};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    ck_assert_int_eq(inet_pton(AF_INET, "127.0.0.1", &own.sin_addr), 1);
    ck_assert_int_eq(inet_pton(AF_INET, address, &to.sin_addr), 1);
    client->used = 0;
    client->ended = false;
    client->fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(setsockopt(client->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
    ck_assert_int_eq(bind(client->fd, (const struct sockaddr *)&own, sizeof own), 0);
    ck_assert_int_eq(connect(client->fd, (const struct sockaddr *)&to, sizeof to), 0);
}

/* ------------------------------------------------------------------------------------- the tests
 */

START_TEST(test_client_that_waits_is_there)
{
    asker = _i;
    open_raw();
    assert_there(&raw);
    assert_there(&raw); /* its socket is known by now */
    close_raw();
}
END_TEST

START_TEST(test_client_that_leaves_is_gone)
{
    asker = _i % ASKER_COUNT;
    enum leave how = (enum leave)(_i / ASKER_COUNT);
    open_raw();
    assert_seen_to_leave(&raw, how);
    raw_close(&raw);
    open_raw();
    assert_there(&raw); /* so its socket is known when it leaves */
    assert_seen_to_leave(&raw, how);
    raw_close(&raw);
}
END_TEST

/* Opens the crowd, with raw in its midst, and waits until all are accepted. */
static void open_crowd(struct raw crowd[CROWD])
{
    for (int i = 0; i < CROWD; i++) {
        raw_open(&crowd[i], raw_port);
        if (i == CROWD / 2) {
            open_raw();
        }
    }
    for (int i = 0; i < CROWD; i++) {
        raw_send(&crowd[i], GET_HEALTH);
        raw_receive(&crowd[i], &reply);
        ck_assert_int_eq(reply.status, 200);
    }
}

START_TEST(test_client_is_told_from_others)
{
    static struct raw crowd[CROWD];
    bool others_leave = _i == 0;
    asker = BY_ANOTHER;
    open_crowd(crowd);
    gate_set(false);
    raw_send(&raw, GET("/watch"));
    gate_await_waiters(1);
    for (int i = 0; i < CROWD && others_leave; i++) {
        raw_close(&crowd[i]);
    }
    if (!others_leave) {
        leave(&raw, HALF_CLOSE);
    }
    gate_set(true);
    raw_receive(&raw, &reply);
    await_answer(1);
    ck_assert_int_eq(answer, others_leave ? 0 : 1);
    for (int i = 0; i < CROWD; i++) {
        raw_close(&crowd[i]);
    }
    close_raw();
}
END_TEST

/* The next connection of a thread has another descriptor, and the old one has a new owner, whose
 * peer has hung up. */
START_TEST(test_what_was_found_ends_with_its_connection)
{
    raw_port = free_port();
    struct http_server *server = start("127.0.0.1", raw_port, 1);
    int pair[2];
    asker = BY_ITSELF;
    open_raw();
    assert_there(&raw);
    close_raw();
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    close(pair[1]);
    int blocked = dup(pair[0]); /* the descriptors that were the first connection's */
    open_raw();
    assert_there(&raw);
    assert_seen_to_leave(&raw, CLOSE);
    close(blocked);
    close(pair[0]);
    ck_assert_int_eq(http_stop(server), ST_OK);
}
END_TEST

/* One client address and port at two listeners. */
START_TEST(test_connection_to_another_listener_is_told_apart)
{
    int second_port = free_port(), own_port = free_port();
    struct http_server *second = start("127.0.0.1", second_port, THREADS);
    asker = BY_ANOTHER;
    open_from(&other, "127.0.0.1", second_port, own_port);
    open_from(&raw, "127.0.0.1", raw_port, own_port);
    gate_set(false);
    raw_send(&raw, GET("/watch"));
    gate_await_waiters(1);
    shutdown(other.fd, SHUT_WR);
    gate_set(true);
    raw_receive(&raw, &reply);
    await_answer(1);
    ck_assert_int_eq(answer, 0);
    assert_seen_to_leave(&raw, CLOSE);
    raw_close(&other);
    ck_assert_int_eq(http_stop(second), ST_OK);
}
END_TEST

/* One client address and port at two of our addresses, also when the first has been asked about
 * before the second came. */
START_TEST(test_connections_that_look_alike_are_told_apart)
{
    raw_port = free_port();
    struct http_server *server = start("0.0.0.0", raw_port, THREADS);
    asker = BY_ITSELF;
    for (int known = 0; known < 2; known++) {
        int own_port = free_port();
        open_from(&raw, "127.0.0.1", raw_port, own_port);
        if (known) {
            assert_there(&raw);
        }
        open_from(&other, "127.0.0.2", raw_port, own_port);
        raw_send(&other, GET_HEALTH);
        raw_receive(&other, &reply); /* so that it was accepted */
        int before = answers;
        gate_set(false);
        raw_send(&raw, GET("/watch"));
        gate_await_waiters(1);
        leave(&raw, HALF_CLOSE);
        gate_set(true);
        await_answer(before + 1);
        ck_assert_int_eq(answer, 1);
        assert_there(&other);
        raw_close(&other);
        raw_close(&raw);
    }
    ck_assert_int_eq(http_stop(server), ST_OK);
}
END_TEST

static void set_up(void)
{
    raw_port = common_port;
    raw.fd = -1;
    other.fd = -1;
    answers = 0;
    gate_set(true);
}

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, NULL);
    tcase_add_loop_test(tc, test_client_that_waits_is_there, 0, ASKER_COUNT);
    tcase_add_loop_test(tc, test_client_that_leaves_is_gone, 0, ASKER_COUNT * LEAVE_COUNT);
    tcase_add_loop_test(tc, test_client_is_told_from_others, 0, 2);
    tcase_add_test(tc, test_what_was_found_ends_with_its_connection);
    tcase_add_test(tc, test_connection_to_another_listener_is_told_apart);
    tcase_add_test(tc, test_connections_that_look_alike_are_told_apart);
}

int main(void)
{
    struct http_server *server = NULL;
    char error[HTTP_ERROR_SIZE] = "";
    test_watchdog_start();
    int files = open_files();
    common_port = free_port();
    if (try_start("127.0.0.1", common_port, THREADS, &server, error) != ST_OK) {
        fprintf(stderr, "http_gone: %s\n", error);
        return EXIT_FAILURE;
    }
    int exit_status = test_main("http_gone", add_tests);
    if (http_stop(server) != ST_OK || handler_faults > 0 || open_files() != files) {
        fprintf(stderr, "http_gone: %d faults in handlers; %d open files, not %d\n", handler_faults,
                open_files(), files);
        return EXIT_FAILURE;
    }
    return exit_status;
}
