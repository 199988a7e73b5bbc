/* The listener's limits, its good replies, keep-alive, and what a request's bytes must not reach.
 *
 * What stands just below a limit is served, what stands just above is refused; the rows that need
 * no arithmetic are in test_http_rows.c. */
#include "common/tests/http_server.h"

enum {
    THREADS = 16,
    READ_TIMEOUT_MS = 20000,
    CLIENTS = 8,
    REQUESTS_EACH = 200,
    PIPELINED = 10,
};

static void assert_created(size_t length)
{
    char expected[64];
    snprintf(expected, sizeof expected, "{\"length\":%zu}", length);
    ck_assert_msg(reply.status == 201, "%d %s", reply.status, reply.body);
    ck_assert_str_eq(reply.body, expected);
}

START_TEST(test_reply_has_its_headers)
{
    char first[RAW_VALUE_SIZE], second[RAW_VALUE_SIZE];
    ask(GET_HEALTH);
    ck_assert_int_eq(reply.status, 200);
    assert_header("Content-Type", "application/json");
    assert_header("Content-Length", "15");
    assert_header("Connection", "keep-alive");
    assert_header("Cache-Control", "no-store");
    ck_assert(raw_header(&reply, "Date", first));
    ck_assert_uint_eq(strlen(first), strlen("Sun, 06 Nov 1994 08:49:37 GMT"));
    ck_assert(raw_header(&reply, "X-Request-Id", first));
    ck_assert(uuid_is_valid(first));
    ask(GET_HEALTH);
    ck_assert(raw_header(&reply, "X-Request-Id", second));
    ck_assert_str_ne(first, second);
}
END_TEST

START_TEST(test_added_headers_are_sent_and_end_with_the_reply)
{
    char value[RAW_VALUE_SIZE];
    ask(GET("/decorated"));
    ck_assert_int_eq(reply.status, 200);
    assert_header("X-Extra-0", "value 0 of many");
    assert_header("X-Extra-15", "value 15 of many");
    assert_serves();
    ck_assert(!raw_header(&reply, "X-Extra-0", value));
}
END_TEST

START_TEST(test_problem_with_retry_after)
{
    ask(GET("/busy"));
    assert_problem(503, "overloaded");
    assert_header("Retry-After", "7");
    assert_header("Connection", "keep-alive");
    assert_serves();
}
END_TEST

START_TEST(test_reply_larger_than_a_buffer_is_whole)
{
    ask(GET("/big"));
    ck_assert_uint_eq(reply.body_length, BIG_BYTES);
    ck_assert_int_eq(reply.body[0], '[');
    ck_assert_int_eq(reply.body[BIG_BYTES - 1], ']');
    assert_serves();
}
END_TEST

START_TEST(test_head_gets_405_without_a_body)
{
    char value[RAW_VALUE_SIZE];
    ask("HEAD /health HTTP/1.1\r\n" HOST "\r\n");
    ck_assert_int_eq(reply.status, 405);
    assert_header("Allow", "GET");
    ck_assert(!raw_header(&reply, "Content-Length", value));
    assert_serves(); /* a body's bytes would stand before this reply */
    ask("HEAD /nothing HTTP/1.1\r\n" HOST "\r\n");
    ck_assert_int_eq(reply.status, 404);
    assert_serves();
}
END_TEST

START_TEST(test_405_names_the_path_s_methods)
{
    ask("PUT /both HTTP/1.1\r\n" HOST "\r\n");
    assert_problem(405, "method_not_allowed");
    assert_header("Allow", "GET, POST");
    ask("PROPFIND /things HTTP/1.1\r\n" HOST "\r\n");
    assert_header("Allow", "POST");
}
END_TEST

static const char *const good_posts[] = {
    POST_LENGTH("2"),
    POST_LENGTH("2 "),
    POST_LENGTH("0002"),
    "POST /things HTTP/1.1\r\n" HOST
    "content-type:APPLICATION/JSON ; charset=utf-8\r\nCONTENT-LENGTH:2\r\n\r\n{}",
    POST_HEAD "Empty:\r\nContent-Length: 2\r\n\r\n{}",
    POST_HEAD "Spaces:   \r\nContent-Length: 2\r\n\r\n{}",
    POST_HEAD "Latin: \351\r\nContent-Length: 2\r\n\r\n{}",
};
enum { GOOD_POST_COUNT = sizeof good_posts / sizeof good_posts[0] };

START_TEST(test_good_post_is_served_and_the_connection_stays)
{
    ask(good_posts[_i]);
    assert_created(2);
    assert_header("Connection", "keep-alive");
    assert_serves();
}
END_TEST

static void ask_absolute(const char *target_host, const char *host)
{
    char request[256];
    snprintf(request, sizeof request, "GET http://%s:%d/health HTTP/1.1\r\nHost: %s:%d\r\n\r\n",
             target_host, raw_port, host, raw_port);
    ask(request);
}

START_TEST(test_absolute_uri_of_the_host_field_is_served)
{
    ask_absolute("localhost", "LOCALHOST");
    ck_assert_int_eq(reply.status, 200);
    assert_header("Connection", "keep-alive");
    assert_serves();
}
END_TEST

START_TEST(test_absolute_uri_of_another_host_is_refused)
{
    ask_absolute("canary.example", "localhost");
    assert_problem(400, "bad_request");
    assert_closed();
}
END_TEST

START_TEST(test_empty_body_reaches_the_handler)
{
    ask(POST_HEAD "Content-Length: 0\r\n\r\n");
    assert_created(0);
    assert_serves();
}
END_TEST

START_TEST(test_body_in_pieces_is_put_together)
{
    raw_send(&raw, POST_HEAD "Content-Length: 6\r\n");
    raw_send(&raw, "\r\n{");
    for (int i = 0; i < 4; i++) {
        raw_send(&raw, " ");
    }
    ask("}");
    assert_created(6);
    assert_serves();
}
END_TEST

START_TEST(test_expect_gets_100_and_then_the_reply)
{
    ask(POST_HEAD "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    ck_assert_int_eq(reply.status, 100);
    ask("{}");
    assert_created(2);
    assert_serves();
}
END_TEST

START_TEST(test_expect_gets_a_refusal_at_once)
{
    ask(POST_HEAD "Expect: 100-continue\r\nContent-Length: 5000\r\n\r\n");
    assert_problem(413, "body_too_large");
    assert_closed();
}
END_TEST

START_TEST(test_expect_gets_no_100_for_an_unknown_path)
{
    ask("POST /nothing HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    assert_problem(404, "not_found");
    assert_closed();
}
END_TEST

START_TEST(test_pipelined_requests_are_answered_in_order)
{
    char request[256];
    for (int i = 0; i < PIPELINED; i++) {
        snprintf(request, sizeof request,
                 "GET /things/%d HTTP/1.1\r\n" HOST "\r\n" POST_LENGTH("2"), i);
        raw_send(&raw, request);
    }
    for (int i = 0; i < PIPELINED; i++) {
        char expected[64];
        snprintf(expected, sizeof expected, "{\"param\":\"%d\",\"n\":-1,\"query\":\"not_found\"}",
                 i);
        raw_receive(&raw, &reply);
        ck_assert_str_eq(reply.body, expected);
        raw_receive(&raw, &reply);
        assert_created(2);
    }
}
END_TEST

/* In one segment, so that the second request is in civetweb's buffer when the first is served. */
START_TEST(test_requests_of_one_segment_are_answered_in_order)
{
    raw_send(&raw, GET("/things/1") POST_LENGTH("2") GET("/nothing") GET_HEALTH);
    raw_receive(&raw, &reply);
    ck_assert_int_eq(strncmp(reply.body, "{\"param\":\"1\",", 13), 0);
    raw_receive(&raw, &reply);
    assert_created(2);
    raw_receive(&raw, &reply);
    assert_problem(404, "not_found");
    raw_receive(&raw, &reply);
    ck_assert_int_eq(reply.status, 200);
}
END_TEST

START_TEST(test_nothing_is_served_after_a_refused_request)
{
    ask("GET /health HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n{}" GET_HEALTH);
    assert_problem(413, "body_too_large");
    assert_closed();
}
END_TEST

struct persistence {
    const char *request;
    bool stays;
};

static const struct persistence persistences[] = {
    {"GET /health HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", false},
    {"GET /health HTTP/1.1\r\n" HOST "Connection: CLOSE\r\n\r\n", false},
    {"GET /health HTTP/1.1\r\n" HOST "Connection: keep-alive, close\r\n\r\n", false},
    {"GET /health HTTP/1.1\r\n" HOST "Connection: keep-alive\r\nConnection: close\r\n\r\n", false},
    {"GET /health HTTP/1.1\r\n" HOST "Connection: close\r\nConnection: keep-alive\r\n\r\n", false},
    {"GET /health HTTP/1.1\r\n" HOST "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", false},
    {"GET /health HTTP/1.1\r\n" HOST "Connection: Keep-Alive\r\n\r\n", true},
    {"GET /health HTTP/1.0\r\n" HOST "\r\n", false},
    {"GET /health HTTP/1.0\r\n\r\n", false},
    {"GET /health HTTP/1.0\r\n" HOST "Connection: keep-alive\r\n\r\n", true},
};
enum { PERSISTENCE_COUNT = sizeof persistences / sizeof persistences[0] };

START_TEST(test_connection_header_says_what_happens)
{
    ask(persistences[_i].request);
    ck_assert_int_eq(reply.status, 200);
    if (persistences[_i].stays) {
        assert_header("Connection", "keep-alive");
        assert_serves();
    } else {
        assert_closed();
    }
}
END_TEST

struct client {
    pthread_t thread;
    pthread_barrier_t *start;
    int answered; /* as they should be */
};

static void *client_main(void *argument)
{
    struct client *client = argument;
    struct raw *own = calloc(1, sizeof *own);
    struct raw_reply *answer = calloc(1, sizeof *answer);
    raw_open(own, raw_port);
    pthread_barrier_wait(client->start);
    for (int i = 0; i < REQUESTS_EACH; i++) {
        bool post = i % 3 == 0;
        raw_send(own, post ? POST_LENGTH("2") : GET_HEALTH);
        raw_receive(own, answer);
        client->answered += answer->status == (post ? 201 : 200) ? 1 : 0;
    }
    raw_close(own);
    free(own);
    free(answer);
    return NULL;
}

START_TEST(test_many_clients_at_once_are_all_answered)
{
    struct client clients[CLIENTS] = {0};
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, CLIENTS);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i].start = &start;
        ck_assert_int_eq(pthread_create(&clients[i].thread, NULL, client_main, &clients[i]), 0);
    }
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(clients[i].thread, NULL);
    }
    for (int i = 0; i < CLIENTS; i++) {
        ck_assert_int_eq(clients[i].answered, REQUESTS_EACH);
    }
    pthread_barrier_destroy(&start);
}
END_TEST

START_TEST(test_port_in_use_is_said_in_a_sentence)
{
    struct http_server *server = NULL;
    char error[HTTP_ERROR_SIZE] = "", expected[64];
    snprintf(expected, sizeof expected, "port %d is in use", raw_port);
    enum status status = server_try_start(raw_port, 1, READ_TIMEOUT_MS, 0, &server, error);
    ck_assert_int_eq(status, ST_SYSTEM);
    ck_assert_ptr_null(server);
    ck_assert_msg(strstr(error, expected) != NULL, "%s", error);
}
END_TEST

START_TEST(test_bind_to_no_address_of_ours_is_said_in_a_sentence)
{
    static const char *const binds[] = {"192.0.2.1", "canary.example", "::ffff:192.0.2.1"};
    int other_port = free_port();
    for (size_t i = 0; i < sizeof binds / sizeof binds[0]; i++) {
        struct http_server *server = NULL;
        char error[HTTP_ERROR_SIZE] = "";
        const struct http_options options = {
            .bind = binds[i], .port = other_port, .threads = 1, .read_timeout_ms = 1000};
        ck_assert_int_eq(http_start(&options, &server, error), ST_SYSTEM);
        ck_assert_msg(strstr(error, "cannot listen on ") == error, "%s", error);
    }
}
END_TEST

/* civetweb may be built without IPv6, and the machine may have none. */
START_TEST(test_bind_to_ipv6_starts_or_says_why_not)
{
    struct http_server *server = NULL;
    char error[HTTP_ERROR_SIZE] = "";
    const struct http_options options = {
        .bind = "::1", .port = free_port(), .threads = 1, .read_timeout_ms = 1000};
    if (http_start(&options, &server, error) == ST_OK) {
        ck_assert_int_eq(http_stop(server), ST_OK);
    } else {
        ck_assert_msg(strstr(error, "cannot listen on ::1") == error, "%s", error);
    }
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, open_raw, close_raw);
    tcase_add_test(tc, test_reply_has_its_headers);
    tcase_add_test(tc, test_added_headers_are_sent_and_end_with_the_reply);
    tcase_add_test(tc, test_problem_with_retry_after);
    tcase_add_test(tc, test_reply_larger_than_a_buffer_is_whole);
    tcase_add_test(tc, test_head_gets_405_without_a_body);
    tcase_add_test(tc, test_405_names_the_path_s_methods);
    tcase_add_loop_test(tc, test_good_post_is_served_and_the_connection_stays, 0, GOOD_POST_COUNT);
    tcase_add_test(tc, test_absolute_uri_of_the_host_field_is_served);
    tcase_add_test(tc, test_absolute_uri_of_another_host_is_refused);
    tcase_add_test(tc, test_empty_body_reaches_the_handler);
    tcase_add_test(tc, test_body_in_pieces_is_put_together);
    tcase_add_test(tc, test_expect_gets_100_and_then_the_reply);
    tcase_add_test(tc, test_expect_gets_a_refusal_at_once);
    tcase_add_test(tc, test_expect_gets_no_100_for_an_unknown_path);
    tcase_add_test(tc, test_pipelined_requests_are_answered_in_order);
    tcase_add_test(tc, test_requests_of_one_segment_are_answered_in_order);
    tcase_add_test(tc, test_nothing_is_served_after_a_refused_request);
    tcase_add_loop_test(tc, test_connection_header_says_what_happens, 0, PERSISTENCE_COUNT);
    tcase_add_test(tc, test_many_clients_at_once_are_all_answered);
    tcase_add_test(tc, test_port_in_use_is_said_in_a_sentence);
    tcase_add_test(tc, test_bind_to_ipv6_starts_or_says_why_not);
    tcase_add_test(tc, test_bind_to_no_address_of_ours_is_said_in_a_sentence);
}

int main(void)
{
    return run_with_server("http", add_tests, 0, THREADS, READ_TIMEOUT_MS);
}
