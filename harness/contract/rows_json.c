/* rows_json: bodies that are not one JSON object with the three fields, each field once. The body
 * was read, so the connection stays. */
#include "harness/contract/row.h"

#define BODY(code_, text_)                                                                         \
    .from = 1, .head = TEXT(ORDER_HEAD), .body = TEXT(text_), .expect = {{400, code_}},            \
    .connection = STAYS
#define SALE "\"sale_id\":<<sale>>"
#define USER "\"user_id\":7"
#define UNITS "\"quantity\":1"
#define FIELDS SALE "," USER "," UNITS
#define FINE(text_)                                                                                \
    .from = 1, .head = TEXT(ORDER_HEAD), .body = TEXT(text_), .expect = {{404, "sale_not_found"}}, \
    .connection = STAYS

static const struct row rows[] = {
    {"body empty", BODY("invalid_json", "")},
    {"body of spaces", BODY("invalid_json", "  \r\n\t ")},
    {"body a word", BODY("invalid_json", CANARY)},
    {"body cut short", BODY("invalid_json", "{" SALE "," USER ",\"quantity\":")},
    {"body without its brace", BODY("invalid_json", "{" FIELDS)},
    {"trailing garbage", BODY("invalid_json", "{" FIELDS "}" CANARY)},
    {"trailing comma", BODY("invalid_json", "{" FIELDS ",}")},
    {"trailing brace", BODY("invalid_json", "{" FIELDS "}}")},
    {"two documents", BODY("invalid_json", "{" FIELDS "}{" FIELDS "}")},
    {"two documents on two lines", BODY("invalid_json", "{" FIELDS "}\n{" FIELDS "}")},
    {"byte order mark", BODY("invalid_json", "\xef\xbb\xbf{" FIELDS "}")},
    {"UTF-16", BODY("invalid_json", "\xff\xfe{\0}\0")},
    {"single quotes", BODY("invalid_json", "{'sale_id':1}")},
    {"comment", BODY("invalid_json", "{/* " CANARY " */" FIELDS "}")},
    {"missing colon", BODY("invalid_json", "{\"sale_id\" 1}")},
    {"missing comma", BODY("invalid_json", "{" SALE " " USER "}")},
    {"key without quotes", BODY("invalid_json", "{sale_id:1}")},
    {"NUL after the document", BODY("invalid_json", "{" FIELDS "}\0")},
    {"NUL before the document", BODY("invalid_json", "\0{" FIELDS "}")},
    {"NUL between fields", BODY("invalid_json", "{" SALE ",\0" USER "," UNITS "}")},
    {"NUL in a string", BODY("invalid_json", "{" FIELDS ",\"x\":\"a\0b\"}")},
    {"raw line break in a string", BODY("invalid_json", "{" FIELDS ",\"x\":\"a\nb\"}")},
    {"raw tab in a string", BODY("invalid_json", "{" FIELDS ",\"x\":\"a\tb\"}")},
    {"raw escape byte in a key", BODY("invalid_json", "{" FIELDS ",\"\x1b[31m\":1}")},
    {"vertical tab between fields", BODY("invalid_json", "{" SALE ",\v" USER "," UNITS "}")},
    {"invalid UTF-8", BODY("invalid_json", "{" FIELDS ",\"x\":\"\xff\"}")},
    {"UTF-8 cut short", BODY("invalid_json", "{" FIELDS ",\"x\":\"\xe2\x82\"}")},
    {"overlong UTF-8", BODY("invalid_json", "{" FIELDS ",\"x\":\"\xc0\xaf\"}")},
    {"overlong NUL", BODY("invalid_json", "{" FIELDS ",\"x\":\"\xc0\x80\"}")},
    {"overlong UTF-8 of three bytes", BODY("invalid_json", "{" FIELDS ",\"x\":\"\xe0\x80\xaf\"}")},
    {"surrogate in UTF-8", BODY("invalid_json", "{" FIELDS ",\"x\":\"\xed\xa0\x80\"}")},
    {"beyond Unicode", BODY("invalid_json", "{" FIELDS ",\"x\":\"\xf4\x90\x80\x80\"}")},
    {"lone high surrogate", BODY("invalid_json", "{" FIELDS ",\"x\":\"\\ud800\"}")},
    {"lone low surrogate", BODY("invalid_json", "{" FIELDS ",\"x\":\"\\udc00\"}")},
    {"surrogates in the wrong order",
     BODY("invalid_json", "{" FIELDS ",\"x\":\"\\udc00\\ud800\"}")},
    {"unknown escape", BODY("invalid_json", "{" FIELDS ",\"x\":\"\\q\"}")},
    {"short unicode escape", BODY("invalid_json", "{" FIELDS ",\"x\":\"\\u12\"}")},
    {"string without its end", BODY("invalid_json", "{" FIELDS ",\"x\":\"" CANARY)},
    {"NaN", BODY("invalid_json", "{" SALE "," USER ",\"quantity\":NaN}")},
    {"Infinity", BODY("invalid_json", "{" SALE "," USER ",\"quantity\":Infinity}")},
    {"True", BODY("invalid_json", "{" SALE "," USER ",\"quantity\":True}")},

    {"an array", BODY("not_an_object", "[1,2,3]")},
    {"an array of an order", BODY("not_an_object", "[{" FIELDS "}]")},
    {"a number", BODY("not_an_object", "1")},
    {"a string", BODY("not_an_object", "\"" CANARY "\"")},
    {"null", BODY("not_an_object", "null")},
    {"true", BODY("not_an_object", "true")},
    {"false", BODY("not_an_object", "false")},

    {"17 arrays", BODY("json_too_deep", "[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]")},
    {"16 arrays are not too deep", BODY("not_an_object", "[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]")},
    {"15 arrays in the object are not too deep",
     BODY("unknown_field", "{" FIELDS ",\"x\":[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]}")},
    {"16 arrays in the object",
     BODY("json_too_deep", "{" FIELDS ",\"x\":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]}")},
    {"900 arrays opened", .repeat = "[", .times = 900, BODY("json_too_deep", "<<repeat>>")},
    {"900 objects opened", .repeat = "{\"a\":", .times = 800, BODY("json_too_deep", "<<repeat>>")},
    {"4096 arrays opened", .repeat = "[", .times = 4096, BODY("json_too_deep", "<<repeat>>")},
    {"many arrays that are not deep", .repeat = "[],", .times = 1000,
     BODY("unknown_field", "{" FIELDS ",\"x\":[<<repeat>>1]}")},

    {"quantity twice", BODY("duplicate_field", "{" FIELDS ",\"quantity\":2}")},
    {"quantity twice, the same", BODY("duplicate_field", "{" FIELDS "," UNITS "}")},
    {"user twice, far apart", BODY("duplicate_field", "{\"user_id\":8," FIELDS "}")},
    {"quantity twice, once escaped", BODY("duplicate_field", "{" FIELDS ",\"\\u0071uantity\":2}")},
    {"unknown field", BODY("unknown_field", "{" FIELDS ",\"" CANARY "\":1}")},
    {"unknown field with an object", BODY("unknown_field", "{" FIELDS ",\"x\":{\"quantity\":1}}")},
    {"empty key", BODY("unknown_field", "{" FIELDS ",\"\":1}")},
    {"Quantity", BODY("unknown_field", "{" SALE "," USER ",\"Quantity\":1}")},
    {"quantity and Quantity", BODY("unknown_field", "{" FIELDS ",\"Quantity\":1}")},
    {"QUANTITY and quantity", BODY("unknown_field", "{\"QUANTITY\":9," FIELDS "}")},
    {"key with a space", BODY("unknown_field", "{" SALE "," USER ",\"quantity \":1}")},
    {"escaped NUL in a string", BODY("invalid_string", "{" FIELDS ",\"x\":\"a\\u0000b\"}")},
    {"escaped NUL in a key",
     BODY("invalid_string", "{" SALE "," USER ",\"quantity\\u0000" CANARY "\":1}")},

    {"spaces everywhere are fine",
     FINE(" {\r\n\t\"sale_id\" : 999999999 ,\n\"user_id\" : 7 , \"quantity\" : 1 } \n")},
    {"fields in another order are fine",
     FINE("{\"quantity\":1,\"user_id\":7,\"sale_id\":999999999}")},
    {"an escaped key is fine", FINE("{\"\\u0073ale_id\":999999999,\"user_id\":7,\"quantity\":1}")},
};

const struct row_table rows_json = {rows, sizeof(rows) / sizeof(rows[0])};
