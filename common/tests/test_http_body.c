/* A body as it comes: with its head, after it, in pieces, before the next request. Whether it is
 * read at once or byte by byte shows only in what the listener knows to have arrived. */
#include "common/http_conn.h"
#include "common/tests/http_server.h"

enum { READ_TIMEOUT_MS = 20000, RECORD_SIZE = 256 };

/* Gives back the body, and how much of what follows the head had arrived when it was read. */
static void echo_post(struct http_request *request, void *context)
{
    char json[RECORD_SIZE];
    (void)context;
    handler_faults += strlen(request->body) != request->body_length;
    snprintf(json, sizeof json, "{\"body\":\"%s\",\"arrived\":%zu}", request->body,
             http_raw_arrived());
    http_reply(request, 200, json);
}

static const struct http_route routes[] = {{"POST", "/echo", echo_post, NULL, true, false}};

#define WAITING_HEAD(length_)                                                                      \
    "POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n"                                      \
    "Content-Type: application/json\r\nContent-Length: " length_ "\r\n\r\n"

#define HEAD(length_)                                                                              \
    "POST /echo HTTP/1.1\r\n" HOST "Content-Type: application/json\r\nContent-Length: " length_    \
    "\r\n\r\n"

static struct http_server *server;

static void start(void)
{
    raw_port = free_port();
    struct http_options options = server_options(raw_port, 1, READ_TIMEOUT_MS, HTTP_DRAIN_MS);
    options.routes = routes;
    options.route_count = 1;
    server = server_start_with(&options);
    open_raw();
}

static void stop(void)
{
    close_raw();
    ck_assert_int_eq(http_stop(server), ST_OK);
    ck_assert_int_eq(handler_faults, 0);
}

static void assert_reply(const char *expected)
{
    ck_assert_int_eq(reply.status, 200);
    ck_assert_str_eq(reply.body, expected);
}

/* Returns once the server has read the head, and what came with it: it says so. */
static void send_head(const char *head_and_more)
{
    ask(head_and_more);
    ck_assert_int_eq(reply.status, 100);
}

START_TEST(test_body_with_its_head_has_arrived)
{
    start();
    ask(HEAD("10") "[123456789");
    assert_reply("{\"body\":\"[123456789\",\"arrived\":10}");
    ask(HEAD("0")); /* a head of another length, and nothing of the last body */
    assert_reply("{\"body\":\"\",\"arrived\":0}");
    ask(HEAD("3") "abc");
    assert_reply("{\"body\":\"abc\",\"arrived\":3}");
    stop();
}
END_TEST

START_TEST(test_body_after_its_head_has_not)
{
    start();
    send_head(WAITING_HEAD("6"));
    ask("abcdef");
    assert_reply("{\"body\":\"abcdef\",\"arrived\":0}");
    stop();
}
END_TEST

START_TEST(test_rest_of_a_body_is_waited_for)
{
    start();
    send_head(WAITING_HEAD("6") "ab");
    ask("cdef");
    assert_reply("{\"body\":\"abcdef\",\"arrived\":2}");
    stop();
}
END_TEST

START_TEST(test_next_request_is_no_part_of_a_body)
{
    char expected[RECORD_SIZE];
    start();
    ask(HEAD("3") "abc" HEAD("4") "defg");
    snprintf(expected, sizeof expected, "{\"body\":\"abc\",\"arrived\":%zu}",
             strlen("abc" HEAD("4") "defg"));
    assert_reply(expected);
    raw_receive(&raw, &reply);
    assert_reply("{\"body\":\"defg\",\"arrived\":4}");
    stop();
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_test(tc, test_body_with_its_head_has_arrived);
    tcase_add_test(tc, test_body_after_its_head_has_not);
    tcase_add_test(tc, test_rest_of_a_body_is_waited_for);
    tcase_add_test(tc, test_next_request_is_no_part_of_a_body);
}

int main(void)
{
    test_watchdog_start();
    return test_main("http_body", add_tests);
}
