/* rows_wait: wait_ms of GET /orders/{id} (from phase 4). The order is not there, so that nothing is
 * waited for. */
#include "harness/contract/row.h"

#define GET_ORDER(id, query)                                                                       \
    TEXT("GET /orders/" id query " HTTP/1.1\r\n" HOST "<<token>>X-Note: " CANARY "\r\n\r\n")
#define AN_ORDER "0f8fad5b-d9cb-469f-a165-70867728950e"
#define WAIT(value) .from = 4, .head = GET_ORDER(AN_ORDER, "?wait_ms=" value)
#define BAD .expect = {{400, "invalid_wait_ms"}}, .connection = STAYS
#define FINE .expect = {{404, "order_not_found"}}, .connection = STAYS

static const struct row rows[] = {
    {"wait_ms empty", WAIT(""), BAD},
    {"wait_ms a word", WAIT(CANARY), BAD},
    {"wait_ms negative", WAIT("-1"), BAD},
    {"wait_ms with a sign", WAIT("+1"), BAD},
    {"wait_ms with a fraction", WAIT("1.5"), BAD},
    {"wait_ms with an exponent", WAIT("1e3"), BAD},
    {"wait_ms in hex", WAIT("0x10"), BAD},
    {"wait_ms with a letter", WAIT("10s"), BAD},
    {"wait_ms with an encoded space", WAIT("%2010"), BAD},
    {"wait_ms too long", WAIT("10001"), BAD},
    {"wait_ms of 2^64", WAIT("18446744073709551616"), BAD},
    {"wait_ms of 100 digits", .repeat = "1234567890", .times = 10, WAIT("<<repeat>>"), BAD},
    {"wait_ms twice", WAIT("1&wait_ms=1"), BAD},
    {"a bad order id and a bad wait_ms", .from = 4, .head = GET_ORDER("1", "?wait_ms=x"),
     .expect = {{400, "invalid_order_id"}, {400, "invalid_wait_ms"}}},
    {"401 comes before a bad wait_ms", .from = 4, .needs = NEEDS_SECRET,
     .head = TEXT("GET /orders/" AN_ORDER "?wait_ms=x HTTP/1.1\r\n" HOST "\r\n"),
     .expect = {{401, "unauthorized"}}},
    {"wait_ms 0 is fine", WAIT("0"), FINE},
    {"wait_ms 10000 is fine, and nothing to wait for", WAIT("10000"), FINE},
    {"another name is fine", .from = 4, .head = GET_ORDER(AN_ORDER, "?xwait_ms=x&wait=1"), FINE},
    {"wait_ms means nothing before phase 4", .from = 1, .until = 4,
     .head = GET_ORDER(AN_ORDER, "?wait_ms=x"), FINE},
};

const struct row_table rows_wait = {rows, sizeof(rows) / sizeof(rows[0])};
