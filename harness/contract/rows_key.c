/* rows_key: Idempotency-Key, missing or wrong in every way, and right (from phase 5). Nothing is
 * wrong with the order that comes with a wrong key: a target that took it would sell. The body was
 * read, so the connection stays. */
#include "harness/contract/row.h"

#define ORDER "{\"sale_id\":<<sale>>,\"user_id\":7,\"quantity\":1}"
#define POST(lines)                                                                                \
    TEXT("POST /orders HTTP/1.1\r\n" HOST "<<token>>" lines JSON_TYPE                              \
         "Content-Length: <<length>>\r\n\r\n")
#define KEY(value) POST("Idempotency-Key: " value "\r\n")
#define CODE(code_) .from = 5, .body = TEXT(ORDER), .expect = {{400, code_}}, .connection = STAYS
#define INVALID CODE("idempotency_key_invalid")
#define FINE                                                                                       \
    .from = 5, .body = TEXT(UNKNOWN_SALE_ORDER), .expect = {{404, "sale_not_found"}},              \
    .connection = STAYS
#define TEN "0123456789"

static const struct row rows[] = {
    {"no key", .head = POST(""), CODE("idempotency_key_missing")},
    {"key in another field", .head = POST("X-Idempotency-Key: a\r\n"),
     CODE("idempotency_key_missing")},
    {"key empty", .head = KEY(""), INVALID},
    {"key without even a space", .head = POST("Idempotency-Key:\r\n"), INVALID},
    {"key of quotes only", .head = KEY("\"\""), INVALID},
    {"key of 256 bytes", .head = KEY("<<repeat>>012345"), .repeat = TEN, .times = 25, INVALID},
    {"key of 256 bytes in quotes", .head = KEY("\"<<repeat>>012345\""), .repeat = TEN, .times = 25,
     INVALID},
    {"key of 10000 bytes", .head = KEY("<<repeat>>"), .repeat = TEN, .times = 1000, INVALID},
    {"key of 256 bytes and its escapes", .head = KEY("\"<<repeat>>\""), .repeat = "\\\\",
     .times = 256, INVALID},
    {"key with a byte of Latin-1", .head = KEY(CANARY "\xe9"), INVALID},
    {"key in UTF-8", .head = KEY("caf\xc3\xa9"), INVALID},
    {"key with 0xff", .head = KEY("\"a\xff\""), INVALID},
    /* Framing refuses control bytes in any field. */
    {"key with NUL", .from = 5, .head = KEY("a\0b"), .body = TEXT(ORDER),
     .expect = {{400, "bad_request"}}, .connection = CLOSES},
    {"key with an escape byte", .from = 5, .head = KEY("a\x1b[31m"), .body = TEXT(ORDER),
     .expect = {{400, "bad_request"}}, .connection = CLOSES},
    {"key with a tab", .from = 5, .head = KEY("a\tb"), .body = TEXT(ORDER),
     .expect = {{400, "idempotency_key_invalid"}, {400, "bad_request"}}},
    {"key with a space", .head = KEY("a b"), INVALID},
    {"key with a space in quotes", .head = KEY("\"a b\""), INVALID},
    {"key with half a quote", .head = KEY("\"a"), INVALID},
    {"key with the other half", .head = KEY("a\""), INVALID},
    {"key with a quote within", .head = KEY("a\"b"), INVALID},
    {"key with two strings", .head = KEY("\"a\"\"b\""), INVALID},
    {"key with another escape", .head = KEY("\"a\\nb\""), INVALID},
    {"key that ends in an escape", .head = KEY("\"a\\\""), INVALID},
    {"key with a parameter", .head = KEY("\"a\";b=1"), INVALID},
    {"two keys", .head = POST("Idempotency-Key: a\r\nIdempotency-Key: b\r\n"), INVALID},
    {"two equal keys", .head = POST("Idempotency-Key: a\r\nIdempotency-Key: a\r\n"), INVALID},
    {"two keys in one field", .head = KEY("a, b"), INVALID},
    {"two keys, one in quotes and one in another case",
     .head = POST("Idempotency-Key: \"a\"\r\nidempotency-key: a\r\n"), INVALID},

    {"a bad field comes before no key", .from = 5, .head = POST(""),
     .body = TEXT("{\"sale_id\":<<sale>>,\"user_id\":7,\"quantity\":0}"),
     .expect = {{400, "invalid_quantity"}}, .connection = STAYS},
    {"403 comes before no key", .from = 5, .needs = NEEDS_SECRET, .head = POST(""),
     .body = TEXT("{\"sale_id\":<<sale>>,\"user_id\":8,\"quantity\":1}"),
     .expect = {{403, "user_mismatch"}}, .connection = STAYS},
    {"no key comes before the sale", .from = 5, .head = POST(""), .body = TEXT(UNKNOWN_SALE_ORDER),
     .expect = {{400, "idempotency_key_missing"}}, .connection = STAYS},

    {"a bare key is fine", .head = KEY(CANARY), FINE},
    {"a key in quotes is fine", .head = KEY("\"" CANARY "\""), FINE},
    {"a key of one byte is fine", .head = KEY("!"), FINE},
    {"a key of 255 bytes is fine", .head = KEY("<<repeat>>01234"), .repeat = TEN, .times = 25,
     FINE},
    {"a key of 255 bytes in quotes is fine", .head = KEY("\"<<repeat>>01234\""), .repeat = TEN,
     .times = 25, FINE},
    {"a key of 255 bytes and its escapes is fine", .head = KEY("\"<<repeat>>\""), .repeat = "\\\\",
     .times = 255, FINE},
    {"a key with signs is fine", .head = KEY("a/b+c=d~e:f;g%h'i<j>"), FINE},
    {"the field's name in any case is fine", .head = POST("IDEMPOTENCY-KEY: a\r\n"), FINE},
    {"spaces around a key are fine", .head = KEY("  a  "), FINE},
    {"a reading minds no key", .from = 5,
     .head = TEXT("GET /sales/1 HTTP/1.1\r\n" HOST "Idempotency-Key: a b\r\n\r\n"),
     .expect = {{200, NULL}}, .connection = STAYS},
    {"before phase 5 no key is looked at", .from = 1, .until = 5,
     .head = POST("Idempotency-Key: a b\r\nIdempotency-Key: \xe9\r\n"),
     .body = TEXT(UNKNOWN_SALE_ORDER), .expect = {{404, "sale_not_found"}}, .connection = STAYS},
};

const struct row_table rows_key = {rows, sizeof(rows) / sizeof(rows[0])};
