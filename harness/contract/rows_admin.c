/* rows_admin: the admin listener (from phase 2) refuses what the public one does, has no route of
 * it, and lives: it has few threads, and nobody may hold them for longer than a deadline. */
#include "harness/contract/row.h"

#define AT_ADMIN .from = 2, .needs = NEEDS_ADMIN, .listener = ADMIN
#define REQUEST(line, lines) TEXT(line " HTTP/1.1\r\n" HOST lines "\r\n")
#define NOT_FOUND AT_ADMIN, .expect = {{404, "not_found"}}
#define WRONG_METHOD AT_ADMIN, .expect = {{405, "method_not_allowed"}}
#define BAD_REQUEST AT_ADMIN, .expect = {{400, "bad_request"}}, .connection = CLOSES
#define TIMED_OUT                                                                                  \
    AT_ADMIN, .expect = {{408, "request_timeout"}}, .connection = CLOSES, .at_deadline = true
#define FINE AT_ADMIN, .expect = {{200, NULL}}, .connection = CLOSES

static const struct row rows[] = {
    {"admin: unknown path", .head = REQUEST("GET /" CANARY, ""), NOT_FOUND},
    {"admin: root", .head = REQUEST("GET /", ""), NOT_FOUND},
    {"admin: health is public", .head = REQUEST("GET /health", ""), NOT_FOUND},
    {"admin: sales are public", .head = REQUEST("GET /sales/1", ""), NOT_FOUND},
    {"admin: orders are public", .head = TEXT(ORDER_HEAD), .body = TEXT(UNKNOWN_SALE_ORDER),
     NOT_FOUND, .connection = CLOSES},
    {"admin: an order is public",
     .head = REQUEST("GET /orders/0f8fad5b-d9cb-469f-a165-70867728950e", ""), NOT_FOUND},
    {"admin: sleep", .head = REQUEST("GET /debug/sleep?ms=0", ""), NOT_FOUND},
    {"admin: debug itself", .head = REQUEST("GET /debug", ""), NOT_FOUND},
    {"admin: metrics with a slash", .head = REQUEST("GET /metrics/", ""), NOT_FOUND},
    {"admin: metrics with two slashes", .head = REQUEST("GET //metrics", ""), NOT_FOUND},
    {"admin: metrics with an encoded letter", .head = REQUEST("GET /metric%73", ""), NOT_FOUND},
    {"admin: dots within a path", .head = REQUEST("GET /debug/../metrics", ""), NOT_FOUND},
    {"admin: POST /metrics", .head = REQUEST("POST /metrics", ""), WRONG_METHOD},
    {"admin: POST /metrics with a body closes",
     .head = REQUEST("POST /metrics", JSON_TYPE "Content-Length: <<length>>\r\n"),
     .body = TEXT("{}"), WRONG_METHOD, .connection = CLOSES},
    {"admin: HEAD /metrics", .head = REQUEST("HEAD /metrics", ""), WRONG_METHOD, .to_head = true},
    {"admin: DELETE /debug/locks", .head = REQUEST("DELETE /debug/locks", ""), WRONG_METHOD},
    {"admin: PUT /debug/pool", .head = REQUEST("PUT /debug/pool", ""), WRONG_METHOD},
    {"admin: GET with a body", .head = REQUEST("GET /debug/pool", "Content-Length: 5\r\n"),
     .body = TEXT("hello"), AT_ADMIN, .expect = {{413, "body_too_large"}}, .connection = CLOSES},
    {"admin: bad length", .head = REQUEST("GET /metrics", "Content-Length: 2x\r\n"), AT_ADMIN,
     .expect = {{400, "bad_content_length"}}, .connection = CLOSES},
    {"admin: no Host", .head = TEXT("GET /metrics HTTP/1.1\r\nX-A: a\r\n\r\n"), BAD_REQUEST},
    {"admin: header with NUL", .head = REQUEST("GET /metrics", "X-A: a\0" CANARY "\r\n"),
     BAD_REQUEST},
    {"admin: folded header", .head = REQUEST("GET /metrics", "X-A: a\r\n b\r\n"), BAD_REQUEST},
    {"admin: binary junk", .head = TEXT("\x80\xff\x00\x01\xfe\x02 " CANARY "\r\n\r\n"),
     BAD_REQUEST},
    {"admin: 64 headers", .head = TEXT("GET /debug/pool HTTP/1.1\r\n" HOST "<<repeat>>\r\n"),
     .repeat = "X-A: a\r\n", .times = 63, AT_ADMIN, .expect = {{431, "headers_too_large"}},
     .connection = CLOSES},
    {"admin: URI of 1100 bytes", .head = TEXT("GET /metrics?<<repeat>> HTTP/1.1\r\n" HOST "\r\n"),
     .repeat = "0123456789", .times = 110, AT_ADMIN, .expect = {{414, "uri_too_long"}},
     .connection = CLOSES},
    {"admin: half a request", .head = TEXT("GET /metr"), TIMED_OUT},
    {"admin: dripped header",
     .head = TEXT("GET /metrics HTTP/1.1\r\n" HOST "X-Note: " CANARY "\r\n\r\n"),
     .pace = DRIPPED_HEAD, TIMED_OUT},

    {"admin: metrics", .head = REQUEST("GET /metrics", ""), FINE},
    {"admin: locks", .head = REQUEST("GET /debug/locks", ""), FINE},
    {"admin: pool", .head = REQUEST("GET /debug/pool", ""), FINE},
    {"admin: a query that nobody reads is fine",
     .head = REQUEST("GET /debug/pool?" CANARY "=1&&=&%00", ""), FINE},
};

const struct row_table rows_admin = {rows, sizeof(rows) / sizeof(rows[0])};
