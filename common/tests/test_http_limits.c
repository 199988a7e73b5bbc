/* The listener's limits, and whitespace that must not be forgiven.
 *
 * What stands just below a limit is served, what stands just above is refused; the rows that need
 * no arithmetic are in test_http_rows.c. */
#include <sys/resource.h>

#include "common/tests/http_server.h"

enum {
    THREADS = 16,
    READ_TIMEOUT_MS = 20000,
    TEXT_SIZE = 80000,
    CIVETWEB_BUFFER_BYTES = 65536,
    LOW_FILE_LIMIT = 64,
};

static char text[TEXT_SIZE];

/* Fills text with head, filler up to `total` bytes in all, and tail. */
static void compose(const char *head, char filler, size_t total, const char *tail)
{
    size_t head_length = strlen(head), tail_length = strlen(tail);
    ck_assert_uint_lt(total, sizeof text);
    ck_assert_uint_ge(total, head_length + tail_length);
    memcpy(text, head, head_length);
    memset(text + head_length, filler, total - head_length - tail_length);
    memcpy(text + total - tail_length, tail, tail_length + 1);
}

/* A GET whose header block has this many fields, Host among them. */
static void compose_fields(int fields)
{
    size_t used = (size_t)snprintf(text, sizeof text, "GET /health HTTP/1.1\r\n" HOST);
    for (int i = 1; i < fields; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "X-%d: %d\r\n", i, i);
    }
    snprintf(text + used, sizeof text - used, "\r\n");
}

/* A GET whose path and query have this many bytes. */
static void compose_uri(const char *start, size_t bytes)
{
    static const char method[] = "GET ";
    static const char rest[] = " HTTP/1.1\r\n" HOST "\r\n";
    char head[64];
    snprintf(head, sizeof head, "%s%s", method, start);
    compose(head, 'a', strlen(method) + bytes + strlen(rest), rest);
}

START_TEST(test_63_fields_are_served_64_are_not)
{
    compose_fields(HTTP_HEADERS_MAX);
    ask(text);
    ck_assert_int_eq(reply.status, 200);
    compose_fields(HTTP_HEADERS_MAX + 1);
    ask(text);
    assert_problem(431, "headers_too_large");
    assert_closed();
}
END_TEST

START_TEST(test_a_dropped_65th_field_is_not_believed)
{
    compose_fields(HTTP_HEADERS_MAX + 1);
    strcpy(text + strlen(text) - strlen("\r\n"), "Content-Length: 5\r\n\r\nGET /");
    ask(text);
    assert_problem(431, "headers_too_large");
    assert_closed();
}
END_TEST

START_TEST(test_header_block_of_16_kib_is_served_one_byte_more_is_not)
{
    static const char head[] = "GET /health HTTP/1.1\r\n" HOST "X: ";
    compose(head, 'a', HTTP_HEADER_BYTES_MAX, "\r\n\r\n");
    ask(text);
    ck_assert_int_eq(reply.status, 200);
    compose(head, 'a', HTTP_HEADER_BYTES_MAX + 1, "\r\n\r\n");
    ask(text);
    assert_problem(431, "headers_too_large");
    assert_closed();
}
END_TEST

START_TEST(test_header_block_over_civetweb_s_buffer_is_refused)
{
    compose("GET /health HTTP/1.1\r\n" HOST "X: ", 'a', CIVETWEB_BUFFER_BYTES + 5000, "\r\n\r\n");
    ask(text);
    ck_assert_msg(reply.status == 400 || reply.status == 431, "%d", reply.status);
    assert_problem(reply.status, reply.status == 400 ? "bad_request" : "headers_too_large");
    assert_closed();
}
END_TEST

START_TEST(test_header_block_that_fills_the_buffer_is_refused)
{
    compose("GET /health HTTP/1.1\r\n" HOST "X: ", 'a', CIVETWEB_BUFFER_BYTES, "\n\n");
    ask(text);
    assert_problem(431, "headers_too_large");
    assert_closed();
}
END_TEST

START_TEST(test_uri_of_1024_bytes_is_served_1025_are_not)
{
    compose_uri("/health?", HTTP_URI_MAX);
    ask(text);
    ck_assert_int_eq(reply.status, 200);
    compose_uri("/", HTTP_URI_MAX);
    ask(text);
    assert_problem(404, "not_found");
    compose_uri("/health?", HTTP_URI_MAX + 1);
    ask(text);
    assert_problem(414, "uri_too_long");
    assert_closed();
}
END_TEST

START_TEST(test_path_of_1025_bytes_is_too_long)
{
    compose_uri("/", HTTP_URI_MAX + 1);
    ask(text);
    assert_problem(414, "uri_too_long");
    assert_closed();
}
END_TEST

START_TEST(test_uri_over_16_kib_is_refused)
{
    compose_uri("/", 20000);
    ask(text);
    ck_assert_msg(reply.status == 400 || reply.status == 414 || reply.status == 431, "%d",
                  reply.status);
    assert_closed();
}
END_TEST

START_TEST(test_parameter_of_127_bytes_matches_128_does_not)
{
    compose_uri("/things/", strlen("/things/") + HTTP_PARAM_SIZE - 1);
    ask(text);
    ck_assert_int_eq(reply.status, 200);
    compose_uri("/things/", strlen("/things/") + HTTP_PARAM_SIZE);
    ask(text);
    assert_problem(404, "not_found");
}
END_TEST

START_TEST(test_parameter_and_query_reach_the_handler)
{
    ask(GET("/things/seven?n=42"));
    ck_assert_str_eq(reply.body, "{\"param\":\"seven\",\"n\":42,\"query\":\"ok\"}");
    ask(GET("/things/7"));
    ck_assert_str_eq(reply.body, "{\"param\":\"7\",\"n\":-1,\"query\":\"not_found\"}");
    ask(GET("/things/7?"));
    ck_assert_str_eq(reply.body, "{\"param\":\"7\",\"n\":-1,\"query\":\"not_found\"}");
    ask(GET("/things/7?n=1&n=1"));
    ck_assert_str_eq(reply.body, "{\"param\":\"7\",\"n\":-1,\"query\":\"invalid\"}");
}
END_TEST

START_TEST(test_body_up_to_the_limit_is_read_one_byte_more_is_not)
{
    char head[256];
    snprintf(head, sizeof head, POST_HEAD "Content-Length: %d\r\n\r\n", HTTP_BODY_MAX);
    compose(head, ' ', strlen(head) + HTTP_BODY_MAX, "{}");
    ask(text);
    ck_assert_int_eq(reply.status, 201);
    ck_assert_str_eq(reply.body, "{\"length\":4096}");
    snprintf(head, sizeof head, POST_HEAD "Content-Length: %d\r\n\r\n", HTTP_BODY_MAX + 1);
    compose(head, ' ', strlen(head) + HTTP_BODY_MAX + 1, "{}");
    ask(text);
    assert_problem(413, "body_too_large");
    assert_closed();
}
END_TEST

/* One worker, so that the second client gets the first one's buffer: whitespace of every length
 * that could reach a request left in it must not bring that request back. */
START_TEST(test_whitespace_never_reaches_another_client_s_request)
{
    static const char secret[] =
        "GET /things/canary HTTP/1.1\r\n" HOST "Authorization: Bearer canary\r\n\r\n";
    const int port = free_port();
    struct http_server *server = server_start(port, 1, READ_TIMEOUT_MS, HTTP_DRAIN_MS);
    raw_close(&raw);
    for (size_t spaces = 0; spaces < sizeof secret; spaces++) {
        raw_open(&raw, port);
        ask(secret);
        ck_assert_int_eq(reply.status, 200);
        raw_close(&raw);
        raw_open(&raw, port);
        memset(text, ' ', spaces);
        strcpy(text + spaces, "\r\n\r\n");
        ask(text);
        assert_problem(400, "bad_request");
        assert_closed();
        raw_close(&raw);
    }
    ck_assert_int_eq(http_stop(server), ST_OK);
}
END_TEST

/* A worker that has served nobody yet knows as well where its buffer starts. */
START_TEST(test_whitespace_is_refused_by_a_fresh_worker)
{
    raw_close(&raw);
    const int port = free_port();
    for (size_t spaces = 16; spaces <= 48; spaces += 32) {
        struct http_server *server = server_start(port, 1, READ_TIMEOUT_MS, HTTP_DRAIN_MS);
        raw_open(&raw, port);
        compose("", ' ', spaces + strlen(GET_HEALTH), GET_HEALTH);
        ask(text);
        assert_problem(400, "bad_request");
        assert_closed();
        raw_close(&raw);
        ck_assert_int_eq(http_stop(server), ST_OK);
    }
}
END_TEST

struct query {
    const char *text;
    enum status status;
    int64_t value;
};

static const struct query queries[] = {
    {"", ST_NOT_FOUND, 0},
    {"x=1", ST_NOT_FOUND, 0},
    {"nn=1", ST_NOT_FOUND, 0},
    {"xn=1", ST_NOT_FOUND, 0},
    {"n", ST_NOT_FOUND, 0},
    {"n=0", ST_OK, 0},
    {"n=100", ST_OK, 100},
    {"a=b&n=7&c", ST_OK, 7},
    {"&&n=7&", ST_OK, 7},
    {"n=", ST_INVALID, 0},
    {"n=101", ST_INVALID, 0},
    {"n=-1", ST_INVALID, 0},
    {"n=+1", ST_INVALID, 0},
    {"n=01", ST_INVALID, 0},
    {"n=1.0", ST_INVALID, 0},
    {"n=1e1", ST_INVALID, 0},
    {"n= 1", ST_INVALID, 0},
    {"n=%31", ST_INVALID, 0},
    {"n=1x", ST_INVALID, 0},
    {"n=0x1", ST_INVALID, 0},
    {"n=18446744073709551617", ST_INVALID, 0},
    {"n=1&n=1", ST_INVALID, 0},
    {"n=1&x=2&n=", ST_INVALID, 0},
};
enum { QUERY_COUNT = sizeof queries / sizeof queries[0] };

START_TEST(test_query_int)
{
    const struct http_request request = {.query = queries[_i].text};
    int64_t value = -7;
    enum status status = http_query_int(&request, "n", 0, 100, &value);
    ck_assert_msg(status == queries[_i].status, "%s: %s", queries[_i].text, status_name(status));
    ck_assert_int_eq(value, status == ST_OK ? queries[_i].value : -7);
}
END_TEST

START_TEST(test_param_int)
{
    int64_t value = -7;
    struct http_request request = {.param = "9007199254740991"};
    ck_assert_int_eq(http_param_int(&request, 1, HTTP_INT_MAX, &value), ST_OK);
    ck_assert_int_eq(value, HTTP_INT_MAX);
    static const char *const bad[] = {"", "0", "9007199254740992", "-1", "1x", "01", "1 "};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        strcpy(request.param, bad[i]);
        ck_assert_int_eq(http_param_int(&request, 1, HTTP_INT_MAX, &value), ST_INVALID);
    }
}
END_TEST

/* A thread without a descriptor is a thread that spins on accept. */
START_TEST(test_start_raises_the_limit_on_open_files)
{
    struct rlimit before, after, low;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    low = before;
    low.rlim_cur = LOW_FILE_LIMIT;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    struct http_server *server = server_start(free_port(), THREADS, READ_TIMEOUT_MS, HTTP_DRAIN_MS);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &after), 0);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    ck_assert_int_eq(http_stop(server), ST_OK);
    ck_assert_uint_gt(after.rlim_cur, LOW_FILE_LIMIT);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, open_raw, close_raw);
    tcase_add_test(tc, test_63_fields_are_served_64_are_not);
    tcase_add_test(tc, test_a_dropped_65th_field_is_not_believed);
    tcase_add_test(tc, test_header_block_of_16_kib_is_served_one_byte_more_is_not);
    tcase_add_test(tc, test_header_block_over_civetweb_s_buffer_is_refused);
    tcase_add_test(tc, test_header_block_that_fills_the_buffer_is_refused);
    tcase_add_test(tc, test_uri_of_1024_bytes_is_served_1025_are_not);
    tcase_add_test(tc, test_path_of_1025_bytes_is_too_long);
    tcase_add_test(tc, test_uri_over_16_kib_is_refused);
    tcase_add_test(tc, test_parameter_of_127_bytes_matches_128_does_not);
    tcase_add_test(tc, test_parameter_and_query_reach_the_handler);
    tcase_add_test(tc, test_body_up_to_the_limit_is_read_one_byte_more_is_not);
    tcase_add_test(tc, test_whitespace_never_reaches_another_client_s_request);
    tcase_add_test(tc, test_whitespace_is_refused_by_a_fresh_worker);
    tcase_add_test(tc, test_start_raises_the_limit_on_open_files);
    tcase_add_loop_test(tc, test_query_int, 0, QUERY_COUNT);
    tcase_add_test(tc, test_param_int);
}

int main(void)
{
    return run_with_server("http_limits", add_tests, 0, THREADS, READ_TIMEOUT_MS);
}
