/* rows_fields: the three fields of an order, each wrong in every way that JSON allows, and the
 * orders that a sale refuses whatever its stock. Two of the fields are always right. */
#include "harness/contract/row.h"

#define BODY(code_, text_)                                                                         \
    .from = 1, .head = TEXT(ORDER_HEAD), .body = TEXT(text_), .expect = {{400, code_}},            \
    .connection = STAYS
#define QUANTITY(text_)                                                                            \
    BODY("invalid_quantity", "{\"sale_id\":<<sale>>,\"user_id\":7,\"quantity\":" text_ "}")
#define SALE(text_) BODY("invalid_sale_id", "{\"sale_id\":" text_ ",\"user_id\":7,\"quantity\":1}")
#define USER(text_)                                                                                \
    BODY("invalid_user_id", "{\"sale_id\":<<sale>>,\"user_id\":" text_ ",\"quantity\":1}")
/* 007 and 1. are no JSON at all; which of the two codes is not the contract's business. */
#define NO_NUMBER(text_)                                                                           \
    .from = 1, .head = TEXT(ORDER_HEAD),                                                           \
    .body = TEXT("{\"sale_id\":<<sale>>,\"user_id\":7,\"quantity\":" text_ "}"),                   \
    .expect = {{400, "invalid_quantity"}, {400, "invalid_json"}}, .connection = STAYS

static const struct row rows[] = {
    {"quantity missing", BODY("invalid_quantity", "{\"sale_id\":<<sale>>,\"user_id\":7}")},
    {"quantity null", QUANTITY("null")},
    {"quantity a string", QUANTITY("\"1\"")},
    {"quantity a word", QUANTITY("\"" CANARY "\"")},
    {"quantity empty", QUANTITY("\"\"")},
    {"quantity true", QUANTITY("true")},
    {"quantity an array", QUANTITY("[1]")},
    {"quantity an object", QUANTITY("{}")},
    {"quantity 0", QUANTITY("0")},
    {"quantity -0", QUANTITY("-0")},
    {"quantity -1", QUANTITY("-1")},
    {"quantity 1.5", QUANTITY("1.5")},
    {"quantity 1.0", QUANTITY("1.0")},
    {"quantity 0.9999999999999999999", QUANTITY("0.9999999999999999999")},
    {"quantity 1.", NO_NUMBER("1.")},
    {"quantity .5", NO_NUMBER(".5")},
    {"quantity 007", NO_NUMBER("007")},
    {"quantity +1", NO_NUMBER("+1")},
    {"quantity 0x1", NO_NUMBER("0x1")},
    {"quantity -", NO_NUMBER("-")},
    {"quantity 1e", NO_NUMBER("1e")},
    {"quantity 1e0", QUANTITY("1e0")},
    {"quantity 1E0", QUANTITY("1E0")},
    {"quantity 1e400", QUANTITY("1e400")},
    {"quantity 1e-400", QUANTITY("1e-400")},
    {"quantity 2^31", QUANTITY("2147483648")},
    {"quantity 2^32 + 1", QUANTITY("4294967297")},
    {"quantity 2^53 + 1", QUANTITY("9007199254740993")},
    {"quantity 2^64 + 1", QUANTITY("18446744073709551617")},
    {"quantity of 1000 digits", .repeat = "1234567890", .times = 100, QUANTITY("<<repeat>>")},
    {"quantity -2^63", QUANTITY("-9223372036854775808")},

    {"sale missing", BODY("invalid_sale_id", "{\"user_id\":7,\"quantity\":1}")},
    {"sale null", SALE("null")},
    {"sale a string", SALE("\"1\"")},
    {"sale with SQL", SALE("\"' OR 1=1--\"")},
    {"sale with SQL behind a number", SALE("\"1; DROP TABLE sales\"")},
    {"sale 0", SALE("0")},
    {"sale -1", SALE("-1")},
    {"sale 1.5", SALE("1.5")},
    {"sale 1e3", SALE("1e3")},
    {"sale true", SALE("true")},
    {"sale an array", SALE("[1]")},
    {"sale 2^53 + 1", SALE("9007199254740993")},
    {"sale 2^64 + 1", SALE("18446744073709551617")},

    {"user missing", BODY("invalid_user_id", "{\"sale_id\":<<sale>>,\"quantity\":1}")},
    {"user null", USER("null")},
    {"user a string", USER("\"7\"")},
    {"user 0", USER("0")},
    {"user -7", USER("-7")},
    {"user 7.5", USER("7.5")},
    {"user false", USER("false")},
    {"user an object", USER("{\"" CANARY "\":7}")},
    {"user 2^53 + 1", USER("9007199254740993")},

    {"unknown sale ordered", .from = 1, .head = TEXT(ORDER_HEAD), .body = TEXT(UNKNOWN_SALE_ORDER),
     .expect = {{404, "sale_not_found"}}, .connection = STAYS},
    {"sale 2^53 - 1 ordered", .from = 1, .head = TEXT(ORDER_HEAD),
     .body = TEXT("{\"sale_id\":9007199254740991,\"user_id\":7,\"quantity\":1}"),
     .expect = {{404, "sale_not_found"}}, .connection = STAYS},
    {"quantity over the limit", .from = 1, .until = 4, .head = TEXT(ORDER_HEAD),
     .body = TEXT("{\"sale_id\":<<sale>>,\"user_id\":7,\"quantity\":3}"),
     .expect = {{422, "limit_exceeded"}}, .connection = STAYS},
    {"quantity 2^31 - 1", .from = 1, .until = 4, .head = TEXT(ORDER_HEAD),
     .body = TEXT("{\"sale_id\":<<sale>>,\"user_id\":7,\"quantity\":2147483647}"),
     .expect = {{422, "limit_exceeded"}, {409, "sold_out"}}, .connection = STAYS},
};

const struct row_table rows_fields = {rows, sizeof(rows) / sizeof(rows[0])};
