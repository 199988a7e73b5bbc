/* rows_length: how long the body is said to be, how it comes, and what it is said to hold. */
#include "harness/contract/row.h"

#define ORDER(lines) TEXT("POST /orders HTTP/1.1\r\n" HOST "<<client>>" JSON_TYPE lines "\r\n")
#define LENGTH(value) ORDER("Content-Length: " value "\r\n")
#define TYPE(lines)                                                                                \
    TEXT("POST /orders HTTP/1.1\r\n" HOST "<<client>>" lines "Content-Length: <<length>>\r\n\r\n")
#define BODY .body = TEXT(UNKNOWN_SALE_ORDER)
#define BAD_LENGTH .expect = {{400, "bad_content_length"}}, .connection = CLOSES
#define NO_LENGTH .from = 1, .expect = {{411, "length_required"}}, .connection = CLOSES
#define TOO_LARGE .from = 1, .expect = {{413, "body_too_large"}}, .connection = CLOSES
#define WRONG_TYPE .from = 1, .expect = {{415, "unsupported_media_type"}}, .connection = CLOSES
#define READ .from = 1, .expect = {{404, "sale_not_found"}}, .connection = STAYS

static const struct row rows[] = {
    {"length -1", .head = LENGTH("-1"), BODY, BAD_LENGTH},
    {"length abc", .head = LENGTH(CANARY), BODY, BAD_LENGTH},
    {"length empty", .head = LENGTH(""), BODY, BAD_LENGTH},
    {"length 2abc", .head = LENGTH("2abc"), BODY, BAD_LENGTH},
    {"length +2", .head = LENGTH("+2"), BODY, BAD_LENGTH},
    {"length 2, 2", .head = LENGTH("2, 2"), BODY, BAD_LENGTH},
    {"length 0x2", .head = LENGTH("0x2"), BODY, BAD_LENGTH},
    {"length 1.5", .head = LENGTH("1.5"), BODY, BAD_LENGTH},
    {"length 4 5", .head = LENGTH("4 5"), BODY, BAD_LENGTH},
    {"two lengths", .head = ORDER("Content-Length: 2\r\nContent-Length: <<length>>\r\n"), BODY,
     BAD_LENGTH},
    {"two equal lengths",
     .head = ORDER("Content-Length: <<length>>\r\nContent-Length: <<length>>\r\n"), BODY,
     BAD_LENGTH},
    {"length and chunked",
     .head = ORDER("Content-Length: <<length>>\r\nTransfer-Encoding: chunked\r\n"), BODY,
     BAD_LENGTH},
    {"chunked and length",
     .head = ORDER("Transfer-Encoding: chunked\r\nContent-Length: <<length>>\r\n"), BODY,
     BAD_LENGTH},
    {"length and identity",
     .head = ORDER("Content-Length: <<length>>\r\nTransfer-Encoding: identity\r\n"), BODY,
     BAD_LENGTH},
    {"bad length on GET",
     .head = TEXT("GET /health HTTP/1.1\r\n" HOST "Content-Length: 0x\r\n\r\n"), BAD_LENGTH},
    {"bad length on an unknown path",
     .head = TEXT("POST /nothing HTTP/1.1\r\n" HOST "Content-Length: -5\r\n\r\n"), BAD_LENGTH},

    {"no length", .head = ORDER(""), BODY, NO_LENGTH},
    {"chunked", .head = ORDER("Transfer-Encoding: chunked\r\n"), .body = TEXT("0\r\n\r\n"),
     NO_LENGTH},
    {"chunked in capitals", .head = ORDER("Transfer-Encoding: CHUNKED\r\n"),
     .body = TEXT("0\r\n\r\n"), NO_LENGTH},
    {"gzip, chunked", .from = 1, .head = ORDER("Transfer-Encoding: gzip, chunked\r\n"),
     .body = TEXT("0\r\n\r\n"), .expect = {{411, "length_required"}, {400, "bad_request"}},
     .connection = CLOSES},
    {"xchunked", .from = 1, .head = ORDER("Transfer-Encoding: xchunked\r\n"),
     .body = TEXT("0\r\n\r\n"), .expect = {{411, "length_required"}, {400, "bad_request"}},
     .connection = CLOSES},
    {"identity", .from = 1, .head = ORDER("Transfer-Encoding: identity\r\n"), BODY,
     .expect = {{411, "length_required"}, {400, "bad_request"}}, .connection = CLOSES},
    {"415 comes before 411", .from = 1,
     .head = TEXT("POST /orders HTTP/1.1\r\n" HOST "<<client>>Content-Type: text/plain\r\n\r\n"),
     .expect = {{415, "unsupported_media_type"}}, .connection = MAY_CLOSE},

    {"length 4096 is fine", .head = TEXT(ORDER_HEAD), .body = TEXT(UNKNOWN_SALE_ORDER "<<repeat>>"),
     .repeat = " ", .times = 4096 - (int)sizeof(UNKNOWN_SALE_ORDER) + 1, READ},
    {"length with leading zeros is fine", .head = LENGTH("00<<length>>"), BODY, .from = 1,
     .expect = {{404, "sale_not_found"}, {400, "bad_content_length"}}},
    {"length 4097", .head = TEXT(ORDER_HEAD), .body = TEXT(UNKNOWN_SALE_ORDER "<<repeat>>"),
     .repeat = " ", .times = 4096 - (int)sizeof(UNKNOWN_SALE_ORDER) + 2, TOO_LARGE},
    {"length 4097 that never comes", .head = LENGTH("4097"), TOO_LARGE},
    {"length 2^31", .head = LENGTH("2147483648"), TOO_LARGE},
    {"length 2^32 + 2", .head = LENGTH("4294967298"), BODY, TOO_LARGE},
    {"length 2^63 - 1", .head = LENGTH("9223372036854775807"), BODY, TOO_LARGE},
    {"length 2^64", .head = LENGTH("18446744073709551616"), BODY, TOO_LARGE},
    {"length 2^64 + 45", .head = LENGTH("18446744073709551661"), BODY, TOO_LARGE},
    {"length of 100 digits", .head = LENGTH("<<repeat>>"), .repeat = "1234567890", .times = 10,
     TOO_LARGE},
    {"100000 bytes of body", .head = TEXT(ORDER_HEAD), .body = TEXT("<<repeat>>"),
     .repeat = CANARY "     ", .times = 6250, TOO_LARGE},
    {"404 with length 2^64",
     .head = TEXT("POST /nothing HTTP/1.1\r\n" HOST JSON_TYPE
                  "Content-Length: 18446744073709551616\r\n\r\n"),
     .expect = {{404, "not_found"}, {413, "body_too_large"}}, .connection = CLOSES},

    {"GET with a body", .head = TEXT("GET /health HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n"),
     .body = TEXT("hello"), .expect = {{413, "body_too_large"}}, .connection = CLOSES},
    {"GET with a body that never comes",
     .head = TEXT("GET /sales/1 HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n"),
     .expect = {{413, "body_too_large"}}, .connection = CLOSES},
    {"GET with a chunked body",
     .head = TEXT("GET /health HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"),
     .body = TEXT("0\r\n\r\n"), .expect = {{413, "body_too_large"}, {411, "length_required"}},
     .connection = CLOSES},
    {"GET with length 0 is fine",
     .head = TEXT("GET /health HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n"),
     .expect = {{200, NULL}}, .connection = STAYS},

    {"Expect, then the body",
     .head = TEXT("POST /orders HTTP/1.1\r\n" HOST "<<client>>" JSON_TYPE "Expect: 100-continue\r\n"
                  "Content-Length: <<length>>\r\n\r\n"),
     BODY, .pace = AFTER_100_CONTINUE, READ},
    {"Expect, the body at once",
     .head = TEXT("POST /orders HTTP/1.1\r\n" HOST "<<client>>" JSON_TYPE
                  "Expect: 100-continue\r\nContent-Length: <<length>>\r\n\r\n"),
     BODY, READ},
    {"Expect in HTTP/1.0 gets no 100",
     .head = TEXT("POST /orders HTTP/1.0\r\n" HOST "<<client>>" JSON_TYPE
                  "Expect: 100-continue\r\nContent-Length: <<length>>\r\n\r\n"),
     .body = TEXT(UNKNOWN_SALE_ORDER), .from = 1, .expect = {{404, "sale_not_found"}},
     .connection = CLOSES, .no_continue = true},
    {"Expect, refused for its length",
     .head = TEXT("POST /orders HTTP/1.1\r\n" HOST "<<client>>" JSON_TYPE
                  "Expect: 100-continue\r\nContent-Length: 5000\r\n\r\n"),
     .pace = WITHOUT_BODY, TOO_LARGE},
    {"Expect, refused for its type",
     .head = TEXT("POST /orders HTTP/1.1\r\n" HOST "<<client>>Content-Type: text/plain\r\n"
                  "Expect: 100-continue\r\nContent-Length: 10\r\n\r\n"),
     .pace = WITHOUT_BODY, WRONG_TYPE},
    {"Expect, refused for its path",
     .head = TEXT("POST /nothing HTTP/1.1\r\n" HOST JSON_TYPE
                  "Expect: 100-continue\r\nContent-Length: 10\r\n\r\n"),
     .pace = WITHOUT_BODY, .expect = {{404, "not_found"}}, .connection = CLOSES},
    {"Expect, and the body never comes",
     .head = TEXT("POST /orders HTTP/1.1\r\n" HOST "<<client>>" JSON_TYPE
                  "Expect: 100-continue\r\nContent-Length: 10\r\n\r\n"),
     .pace = WITHOUT_BODY, .from = 1, .expect = {{408, "request_timeout"}}, .connection = CLOSES,
     .at_deadline = true},

    {"no type", .head = TYPE(""), BODY, WRONG_TYPE},
    {"type text/plain", .head = TYPE("Content-Type: text/plain\r\n"), BODY, WRONG_TYPE},
    {"type form", .head = TYPE("Content-Type: application/x-www-form-urlencoded\r\n"), BODY,
     WRONG_TYPE},
    {"type of another JSON", .head = TYPE("Content-Type: application/json-patch+json\r\n"), BODY,
     WRONG_TYPE},
    {"type with something after it", .head = TYPE("Content-Type: application/jsonp\r\n"), BODY,
     WRONG_TYPE},
    {"two types", .head = TYPE(JSON_TYPE JSON_TYPE), BODY, WRONG_TYPE},
    {"type echoed", .head = TYPE("Content-Type: " CANARY "/x\r\n"), BODY, WRONG_TYPE},
    {"type in capitals is fine", .head = TYPE("Content-Type: Application/JSON\r\n"), BODY, READ},
    {"type with a charset is fine",
     .head = TYPE("Content-Type: application/json; charset=utf-8\r\n"), BODY, READ},
    {"encoding gzip", .head = TYPE(JSON_TYPE "Content-Encoding: gzip\r\n"), BODY, WRONG_TYPE},
    {"encoding identity", .head = TYPE(JSON_TYPE "Content-Encoding: identity\r\n"), BODY,
     WRONG_TYPE},
};

const struct row_table rows_length = {rows, sizeof(rows) / sizeof(rows[0])};
