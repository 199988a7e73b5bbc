/* Tests of common/json_scan, as json_read_object uses it: every text that RFC 8259 does not allow
 * is refused, every other is not, and the depth is bounded. */
#include "common/json_scan.h"

#include "common/tests/json_bodies.h"

/* ---------------------------------------------------------------------------- not one text */

START_TEST(test_json_refuses_texts_that_are_not_json)
{
    static const char *const texts[] = {
        "",
        " ",
        "\n",
        "x",
        "{",
        "}",
        "[",
        "]",
        "{]",
        "[}",
        ",",
        ":",
        "\"",
        "\"a",
        "'a'",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\" 1}",
        "{\"a\":1,}",
        "{,}",
        "{\"a\":1 \"b\":2}",
        "{a:1}",
        "{1:1}",
        "{\"a\":1;}",
        "{'a':1}",
        "{\"a\"::1}",
        "{\"a\":1",
        "{\"a\":[1}",
        "{\"a\":{]}",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1,,2]",
        "[1",
        "tru",
        "True",
        "nul",
        "NaN",
        "Infinity",
        "truee",
        "+1",
        ".5",
        "0x10",
        "[-]",
        "[01]",
        "[1.]",
        "[1e]",
        "[1e+]",
        "[.5]",
        "[-.5]",
        "[--1]",
        "[1.5.5]",
        "[1e5e5]",
        "{\"a\":+1}",
        "{\"a\":.5}",
        "{\"a\":0x10}",
        "{\"a\":[007]}",
        "{\"a\":{\"b\":007}}",
        "007",
        "1.",
        "/**/{}",
        "{}//",
        "{\"a\":undefined}",
    };
    EXPECT_ALL(JSON_INVALID, texts);
    ck_assert_int_eq(json_read_object(NULL, 0, fields, FIELDS, &bad), JSON_INVALID);
}
END_TEST

START_TEST(test_json_refuses_what_follows_the_document)
{
    static const char *const texts[] = {
        "{}{}",
        "{} {}",
        "{}x",
        "{},",
        "{}]",
        "{}}",
        "1 2",
        "[][]",
        "null,",
        "{}\v",
        "{}\f",
        "{\"sale_id\":1,\"user_id\":7,\"quantity\":1}{\"sale_id\":1,\"user_id\":7,\"quantity\":1}",
        "{\"sale_id\":1,\"user_id\":7,\"quantity\":1}trailing",
    };
    EXPECT_ALL(JSON_INVALID, texts);
}
END_TEST

START_TEST(test_json_refuses_a_byte_order_mark)
{
    ck_assert_int_eq(read_text("\xef\xbb\xbf{}"), JSON_INVALID);
    ck_assert_int_eq(read_bytes("\xfe\xff\0{\0}", 6), JSON_INVALID);
    ck_assert_int_eq(read_bytes("\xff\xfe{\0}\0", 6), JSON_INVALID);
}
END_TEST

START_TEST(test_json_refuses_nul_anywhere)
{
    static const char text[] = "{\"sale_id\":1,\"user_id\":7,\"quantity\":1}";
    size_t length = sizeof(text) - 1;
    for (size_t at = 0; at <= length; at++) {
        char with_nul[sizeof(text)];
        memcpy(with_nul, text, at);
        with_nul[at] = '\0';
        memcpy(with_nul + at + 1, text + at, length - at);
        ck_assert_int_eq(read_bytes(with_nul, length + 1), JSON_INVALID);
    }
    ck_assert_int_eq(read_bytes("\0", 1), JSON_INVALID);
}
END_TEST

START_TEST(test_json_refuses_raw_control_bytes_in_strings)
{
    for (int byte = 0; byte < 0x20; byte++) {
        char in_key[] = "{\"a_b\":1}";
        char in_value[] = "{\"a\":\"_\"}";
        in_key[3] = (char)byte;
        in_value[6] = (char)byte;
        ck_assert_int_eq(read_bytes(in_key, sizeof(in_key) - 1), JSON_INVALID);
        ck_assert_int_eq(read_bytes(in_value, sizeof(in_value) - 1), JSON_INVALID);
    }
    ck_assert_int_eq(read_text("{\"a\":\"\x7f\"}"), JSON_UNKNOWN_FIELD); /* DEL is no control */
}
END_TEST

START_TEST(test_json_refuses_invalid_utf8)
{
    static const char *const texts[] = {
        "{\"a\":\"\xc0\x80\"}",                 /* overlong NUL */
        "{\"a\":\"\xc0\xaf\"}",                 /* overlong '/' */
        "{\"a\":\"\xe0\x80\xaf\"}",             /* in three bytes */
        "{\"a\":\"\xf0\x80\x80\xaf\"}",         /* in four */
        "{\"a\":\"\xc1\xbf\"}",                 /* overlong DEL */
        "{\"a\":\"\xed\xa0\x80\"}",             /* a raw surrogate */
        "{\"a\":\"\xed\xa0\xbd\xed\xb8\x80\"}", /* a raw pair of them (CESU-8) */
        "{\"a\":\"\xf4\x90\x80\x80\"}",         /* above U+10FFFF */
        "{\"a\":\"\xf8\x88\x80\x80\x80\"}",
        "{\"a\":\"\x80\"}",
        "{\"a\":\"\xff\"}",
        "{\"a\":\"\xc3\"}",
        "{\"a\":\"\xe2\x82\"}",
        "{\"a\":\"\xc3",
        "{\"\xff\":1}",
        "{\xff\"a\":1}",
        "\xff",
        "{}\x80",
    };
    EXPECT_ALL(JSON_INVALID, texts);
}
END_TEST

START_TEST(test_json_refuses_bad_escapes_and_lone_surrogates)
{
    static const char *const texts[] = {
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\\udbffx\"}",
        "{\"a\":\"\\udc00\"}",
        "{\"a\":\"\\ud800\\ud800\"}",
        "{\"a\":\"\\ud800\\u0041\"}",
        "{\"a\":\"\\ud800\\n\"}",
        "{\"a\":\"\\udc00\\ud800\"}",
        "{\"a\":\"\\udc00\\udc00\"}",
        "{\"a\":\"\\ud83d\\ude0\"}",
        "{\"\\ud800\":1}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":\"\\u123g\"}",
        "{\"a\":\"\\u 123\"}",
        "{\"a\":\"\\U1234\"}",
        "{\"a\":\"\\x41\"}",
        "{\"a\":\"\\a\"}",
        "{\"a\":\"\\'\"}",
        "{\"a\":\"\\\"}",
        "{\"a\":\"\\",
        "{\"a\":\"\\u",
        "{\"a\":\"\\ud800\\",
        "{\"a\":\"\\ud800\\u",
    };
    EXPECT_ALL(JSON_INVALID, texts);
}
END_TEST

/* The other side of the tests above: what is valid is not refused as a text. */
START_TEST(test_json_passes_every_valid_construct)
{
    static const char *const texts[] = {
        "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uABCD\\ud83d\\ude00\"}",
        "{\"a\":\"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf\"}",
        "{\"\":\"\"}",
        "{\"a\":[]}",
        "{\"a\":{}}",
        "{\"a\":[ ]}",
        "{\"a\":{ }}",
        "{\"a\":[1,-1,0,-0,1.5,1e5,1E-5,1.25e+30,true,false,null,\"x\",[[]],{\"b\":{}}]}",
        "{\"a\":1e400}",
        "{\"a\":-1e-400}",
        "{\"a\":[1e400,9007199254740993]}",
    };
    EXPECT_ALL(JSON_UNKNOWN_FIELD, texts);
}
END_TEST

/* ---------------------------------------------------------------------------------- depth */

/* depth times open, then close as often; a scalar inside if it is not NULL. */
static enum json_result read_nested(const char *open, const char *inside, const char *close,
                                    int depth)
{
    static char text[16 * BODY_MAX];
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < depth; i++) {
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s", open);
    }
    used += (size_t)snprintf(text + used, sizeof(text) - used, "%s", inside);
    for (int i = 0; i < depth; i++) {
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s", close);
    }
    ck_assert_uint_lt(used, sizeof(text));
    return read_bytes(text, used);
}

START_TEST(test_json_takes_sixteen_levels_and_refuses_seventeen)
{
    ck_assert_int_eq(read_nested("[", "", "]", JSON_DEPTH_MAX), JSON_NOT_AN_OBJECT);
    ck_assert_int_eq(read_nested("[", "", "]", JSON_DEPTH_MAX + 1), JSON_TOO_DEEP);
    ck_assert_int_eq(read_nested("[", "1", "]", JSON_DEPTH_MAX), JSON_NOT_AN_OBJECT);
    ck_assert_int_eq(read_nested("{\"a\":", "1", "}", JSON_DEPTH_MAX), JSON_UNKNOWN_FIELD);
    ck_assert_int_eq(read_nested("{\"a\":", "1", "}", JSON_DEPTH_MAX + 1), JSON_TOO_DEEP);
    ck_assert_int_eq(read_nested("{\"a\":[", "", "]}", JSON_DEPTH_MAX / 2), JSON_UNKNOWN_FIELD);
    ck_assert_int_eq(read_nested("{\"a\":[", "[]", "]}", JSON_DEPTH_MAX / 2), JSON_TOO_DEEP);
}
END_TEST

START_TEST(test_json_refuses_900_open_brackets_as_too_deep)
{
    ck_assert_int_eq(read_nested("[", "", "", 900), JSON_TOO_DEEP);
    ck_assert_int_eq(read_nested("{\"a\":", "", "", 900), JSON_TOO_DEEP);
    ck_assert_int_eq(read_nested("[", "", "]", 900), JSON_TOO_DEEP);
    ck_assert_int_eq(read_nested("{\"a\":", "1", "}", 900), JSON_TOO_DEEP);
    ck_assert_int_eq(read_nested("[", "", "", 16 * BODY_MAX - 1), JSON_TOO_DEEP);
}
END_TEST

START_TEST(test_json_depth_is_what_is_open_and_not_what_was)
{
    ck_assert_int_eq(read_nested("[],[{}],", "1", "", 900), JSON_INVALID); /* no bracket around */
    char text[BODY_MAX];
    size_t used = (size_t)snprintf(text, sizeof(text), "{\"a\":[");
    for (int i = 0; i < 300; i++) {
        used += (size_t)snprintf(text + used, sizeof(text) - used, "[{}],");
    }
    snprintf(text + used, sizeof(text) - used, "1]}");
    ck_assert_int_eq(read_text(text), JSON_UNKNOWN_FIELD);
}
END_TEST

START_TEST(test_json_tells_the_first_met_of_invalid_and_too_deep)
{
    ck_assert_int_eq(read_nested("[", "\xff", "", JSON_DEPTH_MAX), JSON_INVALID);
    ck_assert_int_eq(read_nested("[", "\xff", "", JSON_DEPTH_MAX + 1), JSON_TOO_DEEP);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_test(tc, test_json_refuses_texts_that_are_not_json);
    tcase_add_test(tc, test_json_refuses_what_follows_the_document);
    tcase_add_test(tc, test_json_refuses_a_byte_order_mark);
    tcase_add_test(tc, test_json_refuses_nul_anywhere);
    tcase_add_test(tc, test_json_refuses_raw_control_bytes_in_strings);
    tcase_add_test(tc, test_json_refuses_invalid_utf8);
    tcase_add_test(tc, test_json_refuses_bad_escapes_and_lone_surrogates);
    tcase_add_test(tc, test_json_passes_every_valid_construct);
    tcase_add_test(tc, test_json_takes_sixteen_levels_and_refuses_seventeen);
    tcase_add_test(tc, test_json_refuses_900_open_brackets_as_too_deep);
    tcase_add_test(tc, test_json_depth_is_what_is_open_and_not_what_was);
    tcase_add_test(tc, test_json_tells_the_first_met_of_invalid_and_too_deep);
}

int main(void)
{
    return test_main("json_scan", add_tests);
}
