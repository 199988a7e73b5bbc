/* rows_slow: requests that stop half-way or crawl. Each is answered 408 between half of
 * READ_TIMEOUT_MS and all of it, and costs nobody else anything. */
#include "harness/contract/row.h"

#define TIMED_OUT .expect = {{408, "request_timeout"}}, .connection = CLOSES, .at_deadline = true

static const struct row rows[] = {
    {"half a request line", .head = TEXT("GET /hea"), TIMED_OUT},
    {"request line without headers", .head = TEXT("GET /health HTTP/1.1\r\n"), TIMED_OUT},
    {"headers without the empty line", .head = TEXT("GET /health HTTP/1.1\r\n" HOST), TIMED_OUT},
    {"headers without the last LF", .head = TEXT("GET /health HTTP/1.1\r\n" HOST "\r"), TIMED_OUT},
    {"half a header after many",
     .head = TEXT("GET /health HTTP/1.1\r\n" HOST "<<repeat>>X-A: " CANARY), .repeat = "X-A: a\r\n",
     .times = 40, TIMED_OUT},
    {"dripped header", .head = TEXT("GET /health HTTP/1.1\r\n" HOST "X-Note: " CANARY "\r\n\r\n"),
     .pace = DRIPPED_HEAD, TIMED_OUT},
    {"no body", .from = 1, .head = TEXT(ORDER_HEAD), .body = TEXT(UNKNOWN_SALE_ORDER),
     .pace = WITHOUT_BODY, TIMED_OUT},
    {"body shorter than announced", .from = 1,
     .head = TEXT("POST /orders HTTP/1.1\r\n" HOST "<<client>>" JSON_TYPE
                  "Content-Length: 100\r\n\r\n"),
     .body = TEXT(UNKNOWN_SALE_ORDER), TIMED_OUT},
    {"body short of one byte", .from = 1,
     .head = TEXT("POST /orders HTTP/1.1\r\n" HOST "<<client>>" JSON_TYPE
                  "Content-Length: 4096\r\n\r\n"),
     .body = TEXT("<<repeat>>"), .repeat = " ", .times = 4095, TIMED_OUT},
    {"dripped body", .from = 1, .head = TEXT(ORDER_HEAD), .body = TEXT(UNKNOWN_SALE_ORDER),
     .pace = DRIPPED_BODY, TIMED_OUT},
    {"body in pieces is fine", .from = 1, .head = TEXT(ORDER_HEAD),
     .body = TEXT(UNKNOWN_SALE_ORDER), .pace = IN_PIECES, .expect = {{404, "sale_not_found"}},
     .connection = STAYS},
    {"dripped body that nobody wants",
     .head = TEXT("POST /nothing HTTP/1.1\r\n" HOST JSON_TYPE "Content-Length: 50\r\n\r\n"),
     .body = TEXT(UNKNOWN_SALE_ORDER), .pace = DRIPPED_BODY, .expect = {{404, "not_found"}},
     .connection = CLOSES},
};

const struct row_table rows_slow = {rows, sizeof(rows) / sizeof(rows[0])};
