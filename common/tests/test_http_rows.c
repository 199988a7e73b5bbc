/* The listener against every HTTP row of the contract, byte by byte.
 *
 * One server with the deadlines of production serves all rows; each row is sent twice, as the first
 * request of a connection and after an honest one, and after a reply that keeps the connection the
 * same connection must serve again. Nothing of the input ("canary") may come back. Deadlines and
 * stopping have programs of their own. */
#include "common/tests/http_server.h"

enum { THREADS = 16, READ_TIMEOUT_MS = 20000 };

struct row {
    const char *request; /* up to length; 0: to its NUL */
    size_t length;
    int status, or_status; /* 0: closed without a reply; or_status 0: no other */
    const char *code;      /* of status */
    bool closes;
};

#define BYTES(literal_) (literal_), sizeof(literal_) - 1
#define TEXT(literal_) (literal_), 0

static const struct row rows[] = {
    /* length */
    {TEXT(POST_HEAD "\r\n"), 411, 0, "length_required", true},
    {TEXT(POST_HEAD "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"), 411, 0,
     "length_required", true},
    {TEXT(POST_HEAD "Transfer-Encoding: identity\r\n\r\n"), 411, 0, "length_required", true},
    {TEXT(POST_HEAD "Transfer-Encoding: xchunked\r\n\r\n"), 400, 411, "bad_request", true},
    {TEXT("GET /health HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 411, 0,
     "length_required", true},
    {TEXT(POST_LENGTH("4097")), 413, 0, "body_too_large", true},
    {TEXT(POST_LENGTH("18446744073709551616")), 413, 0, "body_too_large", true},
    {TEXT(POST_LENGTH("99999999999999999999999999999999")), 413, 0, "body_too_large", true},
    {TEXT("GET /health HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n{}"), 413, 0, "body_too_large",
     true},
    {TEXT(POST_LENGTH("-1")), 400, 0, "bad_content_length", true},
    {TEXT(POST_LENGTH("canary")), 400, 0, "bad_content_length", true},
    {TEXT(POST_LENGTH("")), 400, 0, "bad_content_length", true},
    {TEXT(POST_LENGTH("2canary")), 400, 0, "bad_content_length", true},
    {TEXT(POST_LENGTH("+2")), 400, 0, "bad_content_length", true},
    {TEXT(POST_LENGTH("2, 2")), 400, 0, "bad_content_length", true},
    {TEXT(POST_LENGTH("2 2")), 400, 0, "bad_content_length", true},
    {TEXT(POST_LENGTH("0x2")), 400, 0, "bad_content_length", true},
    {TEXT(POST_HEAD "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}"), 400, 0,
     "bad_content_length", true},
    {TEXT(POST_HEAD "Content-Length: 2\r\ncontent-length: 0\r\n\r\n{}"), 400, 0,
     "bad_content_length", true},
    {TEXT(POST_HEAD "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400, 0,
     "bad_content_length", true},
    {TEXT("GET /health HTTP/1.1\r\n" HOST "Content-Length: 2x\r\n\r\n{}"), 400, 0,
     "bad_content_length", true},
    /* header lines */
    {BYTES("GET /health HTTP/1.1\r\n" HOST "X: can\0ary\r\n\r\n"), 400, 0, "bad_request", true},
    {TEXT("GET /health HTTP/1.1\r\n" HOST "X: \001canary\r\n\r\n"), 400, 0, "bad_request", true},
    {TEXT("GET /health HTTP/1.1\r\n" HOST "X: \177canary\r\n\r\n"), 400, 0, "bad_request", true},
    {TEXT("GET /health HTTP/1.1\r\n" HOST "X: \033[31mcanary\r\n\r\n"), 400, 0, "bad_request",
     true},
    {TEXT("GET /health HTTP/1.1\r\n" HOST "canary : x\r\n\r\n"), 400, 0, "bad_request", true},
    {TEXT("GET /health HTTP/1.1\r\n" HOST "canary  :x\r\n\r\n"), 400, 0, "bad_request", true},
    {TEXT("GET /health HTTP/1.1\r\n" HOST "canary\t: x\r\n\r\n"), 400, 0, "bad_request", true},
    {TEXT("GET /health HTTP/1.1\r\nHost : localhost\r\n\r\n"), 400, 0, "bad_request", true},
    {TEXT("GET /health HTTP/1.1\r\n" HOST "canary\r\n\r\n"), 400, 0, "bad_request", true},
    {TEXT("GET /health HTTP/1.1\r\n" HOST ": canary\r\n\r\n"), 400, 0, "bad_request", true},
    {TEXT("GET /health HTTP/1.1\r\n" HOST ": x\r\nContent-Length: 5\r\n\r\n"), 400, 0,
     "bad_request", true},
    {TEXT("GET /health HTTP/1.1\r\n: x\r\n" HOST "\r\n"), 400, 0, "bad_request", true},
    {TEXT("GET /health HTTP/1.1\r\n" HOST "(canary): x\r\n\r\n"), 400, 0, "bad_request", true},
    {TEXT("GET /health HTTP/1.1\r\n" HOST "X: a\r\n canary\r\n\r\n"), 400, 0, "bad_request", true},
    {TEXT("GET /health HTTP/1.1\r\n" HOST "X: a\r\n canary: b\r\nY: c\r\n\r\n"), 400, 0,
     "bad_request", true},
    {TEXT("GET /health HTTP/1.1\r\n " HOST "\r\n"), 400, 0, "bad_request", true},
    {TEXT("GET /health HTTP/1.1\r\n \r\n" HOST "\r\n"), 400, 0, "bad_request", true},
    {TEXT("GET /health HTTP/1.1\n" HOST "\r\n"), 400, 0, "bad_request", true},
    {TEXT("GET /health HTTP/1.1\r\nHost: localhost\nX: canary\r\n\r\n"), 400, 0, "bad_request",
     true},
    {TEXT("GET /health HTTP/1.1\r\nHost: localhost\n\n"), 400, 0, "bad_request", true},
    {BYTES("GET /health HTTP/1.1\r\nHost: localhost\n\n\r\0"), 400, 0, "bad_request", true},
    {TEXT("GET /health HTTP/1.1\r\nHost: localhost\r\n\n"), 400, 0, "bad_request", true},
    {TEXT("GET /health HTTP/1.1\r\nHost: localhost\n\rX: canary\r\n\r\n"), 400, 0, "bad_request",
     true},
    {TEXT("GET /health HTTP/1.1\r\nHost: localhost\rX: canary\r\n\r\n"), 400, 0, "bad_request",
     true},
    /* request line */
    {TEXT(" " GET_HEALTH), 400, 0, "bad_request", true},
    {TEXT("\r\n" GET_HEALTH), 400, 0, "bad_request", true},
    {TEXT("\n" GET_HEALTH), 400, 0, "bad_request", true},
    {TEXT("\t" GET_HEALTH), 400, 0, "bad_request", true},
    {TEXT("\r\n\r\n" GET_HEALTH), 400, 0, "bad_request", true},
    {TEXT("GET  /health HTTP/1.1\r\n" HOST "\r\n"), 400, 0, "bad_request", true},
    {TEXT("GET /health  HTTP/1.1\r\n" HOST "\r\n"), 400, 0, "bad_request", true},
    {TEXT("GET /health?a=1  HTTP/1.1\r\n" HOST "\r\n"), 400, 0, "bad_request", true},
    {TEXT("GET /health HTTP/1.1 \r\n" HOST "\r\n"), 400, 0, "bad_request", true},
    {TEXT("GET /health\r\n" HOST "\r\n"), 400, 0, "bad_request", true},
    {TEXT("GET canary HTTP/1.1\r\n" HOST "\r\n"), 400, 0, "bad_request", true},
    {TEXT("GET /caf\303\251 HTTP/1.1\r\n" HOST "\r\n"), 400, 0, "bad_request", true},
    {TEXT("canary\r\n\r\n"), 400, 0, "bad_request", true},
    {BYTES("\377\376\375\0\1\2canary"), 400, 0, "bad_request", true},
    {BYTES("\26\3\1\0\245\1\0\0\241\3\3canary"), 400, 0, "bad_request", true},
    {TEXT("GET /health HTTP/9.9\r\n" HOST "\r\n"), 505, 0, "http_version_not_supported", true},
    {TEXT("GET /health HTTP/2.0\r\n" HOST "\r\n"), 505, 0, "http_version_not_supported", true},
    {TEXT("GET /health HTTP/1.1x\r\n" HOST "\r\n"), 505, 0, "http_version_not_supported", true},
    {TEXT("OPTIONS * HTTP/1.1\r\n" HOST "\r\n"), 0, 0, NULL, true},
    {TEXT(GET("http://canary.example/health")), 0, 0, NULL, true},
    /* Host */
    {TEXT("GET /health HTTP/1.1\r\n\r\n"), 400, 0, "bad_request", true},
    {TEXT("GET /health HTTP/1.1\r\n" HOST HOST "\r\n"), 400, 0, "bad_request", true},
    {TEXT("GET /health HTTP/1.1\r\n" HOST "host: canary\r\n\r\n"), 400, 0, "bad_request", true},
    {TEXT("GET /health HTTP/1.0\r\n" HOST HOST "\r\n"), 400, 0, "bad_request", true},
    /* methods */
    {TEXT("PUT /things HTTP/1.1\r\n" HOST "\r\n"), 405, 0, "method_not_allowed", false},
    {TEXT("GET /things HTTP/1.1\r\n" HOST "\r\n"), 405, 0, "method_not_allowed", false},
    {TEXT("PROPFIND /things HTTP/1.1\r\n" HOST "\r\n"), 405, 0, "method_not_allowed", false},
    {TEXT("OPTIONS /things HTTP/1.1\r\n" HOST "\r\n"), 405, 0, "method_not_allowed", false},
    {TEXT("DELETE /things/7 HTTP/1.1\r\n" HOST "\r\n"), 405, 0, "method_not_allowed", false},
    {TEXT("PUT /things HTTP/1.1\r\n" HOST "Content-Length: 6\r\n\r\ncanary"), 405, 0,
     "method_not_allowed", true},
    {TEXT("FOO /things HTTP/1.1\r\n" HOST "\r\n"), 400, 405, "bad_request", true},
    {TEXT("TRACE /health HTTP/1.1\r\n" HOST "\r\n"), 400, 405, "bad_request", true},
    {TEXT("post /things HTTP/1.1\r\n" HOST "\r\n"), 400, 405, "bad_request", true},
    /* paths */
    {TEXT(GET("/")), 404, 0, "not_found", false},
    {TEXT(GET("/thingsXYZ")), 404, 0, "not_found", false},
    {TEXT(GET("/things/")), 404, 0, "not_found", false},
    {TEXT(GET("//things")), 404, 0, "not_found", false},
    {TEXT(GET("/things%00")), 404, 0, "not_found", false},
    {TEXT(GET("/things/1%00")), 404, 0, "not_found", false},
    {TEXT(GET("/%2e%2e/health")), 404, 0, "not_found", false},
    {TEXT(GET("/things/%2e%2e")), 404, 0, "not_found", false},
    {TEXT(GET("/things/../health")), 404, 0, "not_found", false},
    {TEXT(GET("/./health")), 404, 0, "not_found", false},
    {TEXT(GET("/things/1/canary")), 404, 0, "not_found", false},
    {TEXT(GET("/HEALTH")), 404, 0, "not_found", false},
    {TEXT(GET("/health;canary")), 404, 0, "not_found", false},
    {TEXT(GET("/metrics")), 404, 0, "not_found", false},
    {TEXT("POST /nothing HTTP/1.1\r\n" HOST "Content-Length: 6\r\n\r\ncanary"), 404, 0, "not_found",
     true},
    {TEXT("POST /nothing HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 404, 0,
     "not_found", true},
    /* content type, in this order: path, method, type, length */
    {TEXT("POST /things HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n{}"), 415, 0,
     "unsupported_media_type", true},
    {TEXT("POST /things HTTP/1.1\r\n" HOST "\r\n"), 415, 0, "unsupported_media_type", false},
    {TEXT("POST /things HTTP/1.1\r\n" HOST
          "Content-Type: text/canary\r\nContent-Length: 9999\r\n\r\n"),
     415, 0, "unsupported_media_type", true},
    {TEXT("POST /things HTTP/1.1\r\n" HOST
          "Content-Type: application/jsonx\r\nContent-Length: 0\r\n\r\n"),
     415, 0, "unsupported_media_type", false},
    {TEXT(POST_HEAD "Content-Type: application/json\r\nContent-Length: 0\r\n\r\n"), 415, 0,
     "unsupported_media_type", false},
    {TEXT(POST_HEAD "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}"), 415, 0,
     "unsupported_media_type", true},
};
enum { ROW_COUNT = sizeof rows / sizeof rows[0] };

static void check_row(const struct row *row)
{
    raw_send_bytes(&raw, row->request, row->length > 0 ? row->length : strlen(row->request));
    raw_receive(&raw, &reply);
    if (row->status == 0) {
        ck_assert_int_eq(reply.status, 0);
        ck_assert(raw_ends(&raw));
        return;
    }
    if (row->or_status != 0 && reply.status == row->or_status) {
        assert_closed();
        return;
    }
    assert_problem(row->status, row->code);
    if (row->closes) {
        assert_closed();
    } else {
        assert_header("Connection", "keep-alive");
        assert_serves();
    }
}

START_TEST(test_bad_row_as_first_request)
{
    check_row(&rows[_i]);
}
END_TEST

START_TEST(test_bad_row_after_a_good_request)
{
    assert_serves();
    check_row(&rows[_i]);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, open_raw, close_raw);
    tcase_add_loop_test(tc, test_bad_row_as_first_request, 0, ROW_COUNT);
    tcase_add_loop_test(tc, test_bad_row_after_a_good_request, 0, ROW_COUNT);
}

int main(void)
{
    return run_with_server("http_rows", add_tests, 0, THREADS, READ_TIMEOUT_MS);
}
