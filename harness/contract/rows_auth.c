/* rows_auth: tokens, wrong in every way, and right (from phase 3, where the target has a secret).
 *
 * Nothing is wrong with the order that comes with a wrong token: a target that took it would sell.
 * Most claims below are signed as they stand, so that only their spelling can refuse them. */
#include "harness/contract/row.h"

#define ORDER "{\"sale_id\":<<sale>>,\"user_id\":7,\"quantity\":1}"
#define POST(lines)                                                                                \
    TEXT("POST /orders HTTP/1.1\r\n" HOST lines JSON_TYPE "Content-Length: <<length>>\r\n\r\n")
#define GET(target, lines) TEXT("GET " target " HTTP/1.1\r\n" HOST lines "\r\n")
#define AN_ORDER "/orders/0f8fad5b-d9cb-469f-a165-70867728950e"
#define BEARER(token) "Authorization: Bearer " token "\r\n"
#define FROM_3 .from = 3, .needs = NEEDS_SECRET

/* The body was not read: the connection ends. */
#define REFUSED FROM_3, .body = TEXT(ORDER), .expect = {{401, "unauthorized"}}, .connection = CLOSES
#define LINES(lines) .claims = "7.<<expiry>>", .head = POST(lines), REFUSED
#define SIGNED(text_) .claims = (text_), .head = POST(BEARER("<<signed>>")), REFUSED
#define GET_REFUSED                                                                                \
    FROM_3, .claims = "7.<<expiry>>", .expect = {{401, "unauthorized"}}, .connection = STAYS

/* Another user's token, and what comes of it. */
#define OF_ANOTHER(text_, status_, code_)                                                          \
    FROM_3, .claims = "8.<<expiry>>", .head = POST(BEARER("<<signed>>")), .body = TEXT(text_),     \
            .expect = {{status_, code_}}, .connection = STAYS

#define GOOD(lines)                                                                                \
    FROM_3, .claims = "7.<<expiry>>", .head = POST("<<key>>" lines),                               \
            .body = TEXT(UNKNOWN_SALE_ORDER), .expect = {{404, "sale_not_found"}},                 \
            .connection = STAYS
#define IGNORED(status_, code_) .from = 3, .expect = {{status_, code_}}, .connection = STAYS

static const struct row rows[] = {
    {"no token", LINES("")},
    {"Authorization empty", LINES("Authorization: \r\n")},
    {"scheme without a token", LINES("Authorization: Bearer\r\n")},
    {"scheme and a space", LINES("Authorization: Bearer \r\n")},
    {"token a word", LINES(BEARER(CANARY))},
    {"token without its scheme", LINES("Authorization: <<signed>>\r\n")},
    {"scheme Basic", LINES("Authorization: Basic <<signed>>\r\n")},
    {"scheme with something before it", LINES("Authorization: XBearer <<signed>>\r\n")},
    {"scheme with something after it", LINES("Authorization: Bearerx <<signed>>\r\n")},
    {"no space after the scheme", LINES("Authorization: Bearer<<signed>>\r\n")},
    {"token in quotes", LINES(BEARER("\"<<signed>>\""))},
    {"two tokens", LINES(BEARER("<<signed>>, <<signed>>"))},
    {"two tokens, a space between", LINES(BEARER("<<signed>> <<signed>>"))},
    {"two Authorization fields", LINES(BEARER("<<signed>>") BEARER("<<signed>>"))},
    {"Authorization fields, good and bad", LINES(BEARER("<<signed>>") BEARER(CANARY))},
    {"Authorization fields, bad and good", LINES(BEARER(CANARY) BEARER("<<signed>>"))},
    {"token in another field", LINES("X-Authorization: Bearer <<signed>>\r\n")},
    {"token as a cookie", LINES("Cookie: Authorization=Bearer <<signed>>\r\n")},
    {"token of 1000 bytes", .repeat = CANARY "0", .times = 83, LINES(BEARER("<<repeat>>"))},
    {"token of 12000 bytes", .repeat = CANARY "0", .times = 1000, LINES(BEARER("<<repeat>>"))},
    {"token behind 1000 spaces", .repeat = " ", .times = 1000, LINES(BEARER("<<repeat>>x"))},

    {"no mac", LINES(BEARER("7.<<expiry>>"))},
    {"mac empty", LINES(BEARER("7.<<expiry>>."))},
    {"mac of zeros",
     LINES(
         BEARER("7.<<expiry>>.0000000000000000000000000000000000000000000000000000000000000000"))},
    {"mac in capitals", LINES(BEARER("7.<<expiry>>.<<MAC>>"))},
    {"mac with a digit more", LINES(BEARER("<<signed>>0"))},
    {"mac with a dot after it", LINES(BEARER("<<signed>>."))},
    {"mac with a space before it", LINES(BEARER("7.<<expiry>>. <<mac>>"))},
    {"mac alone", LINES(BEARER("<<mac>>"))},
    {"signed with another secret", LINES(BEARER("<<foreign>>"))},
    {"mac of another user", LINES(BEARER("8.<<expiry>>.<<mac>>"))},
    {"mac of another expiry", LINES(BEARER("7.9999999999.<<mac>>"))},
    {"mac of no expiry", .claims = "7", .head = POST(BEARER("7.<<expiry>>.<<mac>>")), REFUSED},

    {"expired", SIGNED("7.<<past>>")},
    {"expired long ago", SIGNED("7.1")},
    {"expiry 0", SIGNED("7.0")},
    {"expiry missing", SIGNED("7")},
    {"expiry empty", SIGNED("7.")},
    {"expiry a word", SIGNED("7.never")},
    {"expiry negative", SIGNED("7.-<<expiry>>")},
    {"expiry with a sign", SIGNED("7.+<<expiry>>")},
    {"expiry with a leading zero", SIGNED("7.0<<expiry>>")},
    {"expiry with an exponent", SIGNED("7.1e12")},
    {"expiry of 20 digits", SIGNED("7.99999999999999999999")},
    {"expiry and more", SIGNED("7.<<expiry>>.7")},
    {"user missing", SIGNED(".<<expiry>>")},
    {"user 0 in the token", SIGNED("0.<<expiry>>")},
    {"user negative in the token", SIGNED("-7.<<expiry>>")},
    {"user with a sign in the token", SIGNED("+7.<<expiry>>")},
    {"user with a leading zero in the token", SIGNED("07.<<expiry>>")},
    {"user in hex in the token", SIGNED("0x7.<<expiry>>")},
    {"user with a fraction in the token", SIGNED("7.0.<<expiry>>")},
    {"user a word in the token", SIGNED(CANARY ".<<expiry>>")},
    {"user 2^53 in the token", SIGNED("9007199254740992.<<expiry>>")},
    {"user 2^64 + 7 in the token", SIGNED("18446744073709551623.<<expiry>>")},

    {"401 comes before 415",
     .head = TEXT("POST /orders HTTP/1.1\r\n" HOST "Content-Type: text/plain\r\nContent-Length: "
                  "<<length>>\r\n\r\n"),
     REFUSED},
    {"401 comes before 411", FROM_3,
     .head = TEXT("POST /orders HTTP/1.1\r\n" HOST JSON_TYPE "\r\n"),
     .expect = {{401, "unauthorized"}}},
    {"401 comes before 411, chunked", FROM_3,
     .head = TEXT("POST /orders HTTP/1.1\r\n" HOST JSON_TYPE "Transfer-Encoding: chunked\r\n\r\n"),
     .body = TEXT("0\r\n\r\n"), .expect = {{401, "unauthorized"}}, .connection = CLOSES},
    {"401 comes before 413", FROM_3,
     .head = TEXT("POST /orders HTTP/1.1\r\n" HOST JSON_TYPE "Content-Length: 5000\r\n\r\n"),
     .expect = {{401, "unauthorized"}}, .connection = CLOSES},
    {"401 comes before the body", FROM_3, .head = POST(""), .body = TEXT(ORDER),
     .pace = WITHOUT_BODY, .expect = {{401, "unauthorized"}}, .connection = CLOSES},
    {"401 comes before 100 Continue", FROM_3, .head = POST("Expect: 100-continue\r\n"),
     .body = TEXT(ORDER), .pace = WITHOUT_BODY, .expect = {{401, "unauthorized"}},
     .connection = CLOSES, .no_continue = true},
    {"401 comes before what is wrong with the body", FROM_3, .head = POST(""),
     .body = TEXT("{" CANARY), .expect = {{401, "unauthorized"}}, .connection = CLOSES},
    {"a bad length comes before 401", FROM_3,
     .head = TEXT("POST /orders HTTP/1.1\r\n" HOST JSON_TYPE "Content-Length: 2x\r\n\r\n"),
     .body = TEXT(ORDER), .expect = {{400, "bad_content_length"}}, .connection = CLOSES},
    {"405 comes before 401", FROM_3, .head = GET("/orders", ""),
     .expect = {{405, "method_not_allowed"}}, .connection = STAYS},
    {"404 comes before 401", FROM_3, .head = GET(AN_ORDER "/x", ""), .expect = {{404, "not_found"}},
     .connection = STAYS},

    {"an order is asked for without a token", .head = GET(AN_ORDER, ""), GET_REFUSED},
    {"an order is asked for with another secret", .head = GET(AN_ORDER, BEARER("<<foreign>>")),
     GET_REFUSED},
    {"401 comes before a bad order id", .head = GET("/orders/1", ""), GET_REFUSED},
    {"401 comes before a body that GET may not have", FROM_3,
     .head = GET(AN_ORDER, "Content-Length: 5\r\n"), .body = TEXT("hello"),
     .expect = {{401, "unauthorized"}}, .connection = CLOSES},
    {"a token comes before a body that GET may not have", FROM_3, .claims = "7.<<expiry>>",
     .head = GET(AN_ORDER, BEARER("<<signed>>") "Content-Length: 5\r\n"), .body = TEXT("hello"),
     .expect = {{413, "body_too_large"}}, .connection = CLOSES},

    {"another user's body", OF_ANOTHER(ORDER, 403, "user_mismatch")},
    {"403 comes before the sale", OF_ANOTHER(UNKNOWN_SALE_ORDER, 403, "user_mismatch")},
    {"a bad field comes before 403",
     OF_ANOTHER("{\"sale_id\":<<sale>>,\"user_id\":7,\"quantity\":0}", 400, "invalid_quantity")},
    {"bad JSON comes before 403", OF_ANOTHER("{\"user_id\":7", 400, "invalid_json")},
    {"an unknown field comes before 403",
     OF_ANOTHER("{\"sale_id\":<<sale>>,\"user_id\":7,\"quantity\":1,\"x\":1}", 400,
                "unknown_field")},
    {"a bad user comes before 403",
     OF_ANOTHER("{\"sale_id\":<<sale>>,\"user_id\":\"7\",\"quantity\":1}", 400, "invalid_user_id")},
    {"415 comes before 403", FROM_3, .claims = "8.<<expiry>>",
     .head = TEXT("POST /orders HTTP/1.1\r\n" HOST BEARER(
         "<<signed>>") "Content-Type: text/plain\r\nContent-Length: <<length>>\r\n\r\n"),
     .body = TEXT(ORDER), .expect = {{415, "unsupported_media_type"}}, .connection = CLOSES},

    {"a good token is fine", GOOD(BEARER("<<signed>>"))},
    {"the scheme in small letters is fine", GOOD("Authorization: bearer <<signed>>\r\n")},
    {"the scheme in capitals is fine", GOOD("AUTHORIZATION: BEARER <<signed>>\r\n")},
    {"spaces after the scheme are fine", GOOD(BEARER("  <<signed>>"))},
    {"a token of the last user is fine", FROM_3, .claims = "9007199254740991.<<expiry>>",
     .head = POST("<<key>>" BEARER("<<signed>>")),
     .body = TEXT("{\"sale_id\":999999999,\"user_id\":9007199254740991,\"quantity\":1}"),
     .expect = {{404, "sale_not_found"}}, .connection = STAYS},

    {"a sale needs no token", .head = GET("/sales/1", BEARER(CANARY)), IGNORED(200, NULL)},
    {"a sale minds no two tokens", .head = GET("/sales/1", BEARER("x") BEARER("y")),
     IGNORED(200, NULL)},
    {"health needs no token", .head = GET("/health", "Authorization: Basic x\r\n"),
     IGNORED(200, NULL)},
    {"an unknown path minds no token", .head = GET("/nothing", BEARER(CANARY)),
     IGNORED(404, "not_found")},
};

const struct row_table rows_auth = {rows, sizeof(rows) / sizeof(rows[0])};
