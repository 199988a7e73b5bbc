/* Tests of common/json: keys, values, and the order of the results. */
#include "common/json.h"

#include "common/tests/json_bodies.h"

/* Reads a body whose quantity is written as value. */
static enum json_result read_quantity(const char *value)
{
    char text[BODY_MAX];
    snprintf(text, sizeof(text), "{\"sale_id\":1,\"user_id\":7,\"quantity\":%s}", value);
    return read_text(text);
}

/* ------------------------------------------------------------------------------- accepted */

START_TEST(test_json_reads_the_fields_in_any_order_and_spacing)
{
    static const char *const texts[] = {
        "{\"sale_id\":1,\"user_id\":7,\"quantity\":2}",
        "{\"quantity\":2,\"user_id\":7,\"sale_id\":1}",
        " \t\r\n{ \"user_id\" :\n7 ,\t\"sale_id\":1 , \"quantity\" : 2 } \r\n\t ",
        "{\"\\u0073ale_id\":1,\"user\\u005fid\":7,\"quantit\\u0079\":2}",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        ck_assert_int_eq(read_text(texts[i]), JSON_OK);
        ck_assert_int_eq(fields[0].value, 1);
        ck_assert_int_eq(fields[1].value, 7);
        ck_assert_int_eq(fields[2].value, 2);
    }
}
END_TEST

START_TEST(test_json_numbers_at_their_limits_are_exact)
{
    ck_assert_int_eq(read_text("{\"sale_id\":9007199254740991,\"user_id\":-9007199254740992,"
                               "\"quantity\":2147483647}"),
                     JSON_OK);
    ck_assert(fields[0].value == INT64_C(9007199254740991));
    ck_assert(fields[1].value == -NUMBER_MAX);
    ck_assert(fields[2].value == INT32_MAX);
    ck_assert_int_eq(read_text("{\"sale_id\":9007199254740992,\"user_id\":-0,\"quantity\":1}"),
                     JSON_OK);
    ck_assert(fields[0].value == NUMBER_MAX);
    ck_assert(fields[1].value == 0);
}
END_TEST

START_TEST(test_json_without_fields_takes_only_the_empty_object)
{
    ck_assert_int_eq(json_read_object("{ }", 3, NULL, 0, &bad), JSON_OK);
    ck_assert_int_eq(json_read_object("{\"a\":1}", 7, NULL, 0, &bad), JSON_UNKNOWN_FIELD);
}
END_TEST

/* ----------------------------------------------------------------------- document and keys */

START_TEST(test_json_refuses_documents_that_are_no_object)
{
    static const char *const texts[] = {
        "[]",          "[{\"sale_id\":1,\"user_id\":7,\"quantity\":1}]",
        "1",           "-1.5e3",
        "\"{}\"",      "null",
        "true",        " false ",
        "\"\\u0000\"", "[\"\\u0000\"]",
    };
    EXPECT_ALL(JSON_NOT_AN_OBJECT, texts);
}
END_TEST

START_TEST(test_json_refuses_an_escaped_nul_in_any_string)
{
    static const char *const texts[] = {
        "{\"a\":\"\\u0000\"}",
        "{\"\\u0000\":1}",
        "{\"quantity\\u0000\":1}",
        "{\"sale_id\":1,\"user_id\":7,\"quantity\":\"1\\u0000\"}",
        "{\"a\":{\"b\":[1,\"x\\u0000y\"]}}",
        "{\"a\":[{\"b\\u0000\":1}]}",
        "{\"a\":\"\\\\\\u0000\"}",
    };
    EXPECT_ALL(JSON_INVALID_STRING, texts);
    ck_assert_int_eq(read_text("{\"a\":\"\\\\u0000\"}"), JSON_UNKNOWN_FIELD);
}
END_TEST

START_TEST(test_json_refuses_a_key_twice)
{
    static const char *const texts[] = {
        "{\"sale_id\":1,\"user_id\":7,\"quantity\":1,\"quantity\":1}",
        "{\"sale_id\":1,\"user_id\":7,\"quantity\":1,\"\\u0071uantity\":2}",
        "{\"\\u0071uantity\":1,\"sale_id\":1,\"q\\u0075antity\":2,\"user_id\":7}",
        "{\"a\":1,\"b\":2,\"a\":3}",
        "{\"\":1,\"\":1}",
        "{\"\xc3\xa9\":1,\"\\u00e9\":1}",
        "{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":2}",
        "{\"/\":1,\"\\/\":1}",
        "{\"a\":{\"b\":1,\"b\":2}}",
        "{\"a\":[[{\"b\":1,\"c\":[],\"\\u0062\":2}]]}",
        "{\"quantity\":007,\"quantity\":1}",
    };
    EXPECT_ALL(JSON_DUPLICATE_FIELD, texts);
}
END_TEST

START_TEST(test_json_same_key_in_different_objects_is_no_duplicate)
{
    ck_assert_int_eq(read_text("{\"a\":{\"a\":{\"a\":1}},\"b\":[{\"a\":1},{\"a\":2}]}"),
                     JSON_UNKNOWN_FIELD);
}
END_TEST

START_TEST(test_json_refuses_unknown_keys_with_regard_to_case)
{
    static const char *const texts[] = {
        "{\"sale_id\":1,\"user_id\":7,\"quantity\":1,\"coupon\":\"x\"}",
        "{\"sale_id\":1,\"user_id\":7,\"Quantity\":1}",
        "{\"sale_id\":1,\"user_id\":7,\"quantity\":1,\"QUANTITY\":1}",
        "{\"sale_id\":1,\"user_id\":7,\"quantity \":1}",
        "{\"sale_id\":1,\"user_id\":7,\"quantit\":1}",
        "{\"\":1}",
        "{\"sale_id\":1,\"user_id\":7,\"__proto__\":1}",
        "{\"a\":007}",
        "{\"sale_id\":1,\"user_id\":7,\"quantity\\u200b\":1}",
    };
    EXPECT_ALL(JSON_UNKNOWN_FIELD, texts);
}
END_TEST

/* --------------------------------------------------------------------------------- values */

START_TEST(test_json_refuses_every_quantity_but_a_whole_number_in_range)
{
    static const char *const values[] = {
        "null",
        "\"1\"",
        "\"\"",
        "true",
        "false",
        "[1]",
        "[]",
        "{}",
        "{\"quantity\":1}",
        "0",
        "-0",
        "-1",
        "1.5",
        "1.0",
        "1.",
        "007",
        "00",
        "01",
        "-01",
        "1e0",
        "1E0",
        "1e+0",
        "10e-1",
        "1e400",
        "-1e400",
        "1e",
        "1e+",
        "-",
        "--1",
        "1-",
        "1.e1",
        "1..0",
        "2147483648",
        "4294967297",
        "9007199254740993",
        "-9007199254740993",
        "18446744073709551617",
        "99999999999999999",
        "1000000000000000000000000000000000000000000000000000000000000000000000000000000000",
        "0.0000000000000000000000000000000000000000000000000000000000000000000000000000001",
        "1.00000000000000000000000000000000000000000000000000000000000000000000000000000",
    };
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        enum json_result result = read_quantity(values[i]);
        ck_assert_msg(result == JSON_INVALID_FIELD, "%d for: %s", (int)result, values[i]);
        ck_assert_str_eq(bad->name, "quantity");
    }
}
END_TEST

START_TEST(test_json_tells_2_to_the_53_from_its_successor)
{
    ck_assert_int_eq(read_text("{\"sale_id\":9007199254740993,\"user_id\":7,\"quantity\":1}"),
                     JSON_INVALID_FIELD);
    ck_assert_str_eq(bad->name, "sale_id");
    ck_assert_int_eq(read_text("{\"sale_id\":1,\"user_id\":-9007199254740993,\"quantity\":1}"),
                     JSON_INVALID_FIELD);
    ck_assert_str_eq(bad->name, "user_id");
}
END_TEST

START_TEST(test_json_refuses_a_missing_field)
{
    ck_assert_int_eq(read_text("{\"sale_id\":1,\"user_id\":7}"), JSON_INVALID_FIELD);
    ck_assert_str_eq(bad->name, "quantity");
    ck_assert_int_eq(read_text("{\"user_id\":7,\"quantity\":1}"), JSON_INVALID_FIELD);
    ck_assert_str_eq(bad->name, "sale_id");
}
END_TEST

START_TEST(test_json_bad_is_the_first_of_the_table)
{
    ck_assert_int_eq(read_text("{\"quantity\":0,\"user_id\":\"x\",\"sale_id\":\"' OR 1=1--\"}"),
                     JSON_INVALID_FIELD);
    ck_assert_str_eq(bad->name, "sale_id");
    ck_assert_int_eq(read_text("{\"quantity\":0,\"sale_id\":1}"), JSON_INVALID_FIELD);
    ck_assert_str_eq(bad->name, "user_id");
    ck_assert_int_eq(read_text("{}"), JSON_INVALID_FIELD);
    ck_assert_str_eq(bad->name, "sale_id");
}
END_TEST

/* Numbers that cJSON cannot read stand beside others: the others keep their values. */
START_TEST(test_json_odd_numbers_do_not_disturb_their_neighbours)
{
    char text[BODY_MAX];
    char digits[101];
    memset(digits, '1', sizeof(digits) - 1);
    digits[sizeof(digits) - 1] = '\0';
    snprintf(text, sizeof(text), "{\"sale_id\":%s,\"user_id\":7,\"quantity\":1}", digits);
    ck_assert_int_eq(read_text(text), JSON_INVALID_FIELD);
    ck_assert_str_eq(bad->name, "sale_id");
    snprintf(text, sizeof(text), "{\"sale_id\":1,\"a\":[%s,\"%s\",{\"b\":-%s.5e7}]}", digits,
             digits, digits);
    ck_assert_int_eq(read_text(text), JSON_UNKNOWN_FIELD);
    snprintf(text, sizeof(text), "{\"a\":[%s.]}", digits);
    ck_assert_int_eq(read_text(text), JSON_INVALID);
    snprintf(text, sizeof(text), "{\"%s\":007,\"%s\":1}", digits, digits);
    ck_assert_int_eq(read_text(text), JSON_DUPLICATE_FIELD);
}
END_TEST

/* Each text breaks the rule of its result and every later rule that it can. */
START_TEST(test_json_result_is_the_first_rule_broken)
{
    ck_assert_int_eq(read_text("[{\"a\":\"\\u0000\",\"a\":1}] x"), JSON_INVALID);
    ck_assert_int_eq(read_text("[{\"a\":\"\\u0000\",\"a\":1}]"), JSON_NOT_AN_OBJECT);
    ck_assert_int_eq(read_text("{\"a\":\"\\u0000\",\"a\":1,\"quantity\":0}"), JSON_INVALID_STRING);
    ck_assert_int_eq(read_text("{\"a\":2,\"a\":1,\"quantity\":0}"), JSON_DUPLICATE_FIELD);
    ck_assert_int_eq(read_text("{\"a\":{\"b\":1,\"b\":1},\"quantity\":0}"), JSON_DUPLICATE_FIELD);
    ck_assert_int_eq(read_text("{\"a\":2,\"quantity\":0}"), JSON_UNKNOWN_FIELD);
    ck_assert_int_eq(read_text("{\"quantity\":0}"), JSON_INVALID_FIELD);
}
END_TEST

START_TEST(test_json_result_codes)
{
    ck_assert_ptr_null(json_result_code(JSON_OK));
    ck_assert_str_eq(json_result_code(JSON_INVALID), "invalid_json");
    ck_assert_str_eq(json_result_code(JSON_TOO_DEEP), "json_too_deep");
    ck_assert_str_eq(json_result_code(JSON_NOT_AN_OBJECT), "not_an_object");
    ck_assert_str_eq(json_result_code(JSON_INVALID_STRING), "invalid_string");
    ck_assert_str_eq(json_result_code(JSON_DUPLICATE_FIELD), "duplicate_field");
    ck_assert_str_eq(json_result_code(JSON_UNKNOWN_FIELD), "unknown_field");
    ck_assert_ptr_null(json_result_code(JSON_INVALID_FIELD));
}
END_TEST

/* Writes an object of count keys "k0", "k1", ... and last as a further member. */
static void write_keys(char text[BODY_MAX], int count, const char *last)
{
    size_t used = (size_t)snprintf(text, BODY_MAX, "{");
    for (int key = 0; key < count; key++) {
        used += (size_t)snprintf(text + used, BODY_MAX - used, "\"k%d\":0,", key);
    }
    ck_assert_int_lt(snprintf(text + used, BODY_MAX - used, "%s}", last), (int)(BODY_MAX - used));
}

START_TEST(test_json_looks_for_duplicates_among_the_first_keys)
{
    char text[BODY_MAX];
    write_keys(text, JSON_KEYS_MAX - 1, "\"k0\":0");
    ck_assert_int_eq(read_text(text), JSON_DUPLICATE_FIELD);
    write_keys(text, JSON_KEYS_MAX - 1, "\"k62\":0");
    ck_assert_int_eq(read_text(text), JSON_DUPLICATE_FIELD);
    write_keys(text, JSON_KEYS_MAX, "\"k63\":0"); /* one too far: told by the unknown keys */
    ck_assert_int_eq(read_text(text), JSON_UNKNOWN_FIELD);
    write_keys(text, 400, "\"a\":{\"b\":1,\"b\":1}"); /* an inner object has its own count */
    ck_assert_int_eq(read_text(text), JSON_DUPLICATE_FIELD);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_test(tc, test_json_reads_the_fields_in_any_order_and_spacing);
    tcase_add_test(tc, test_json_numbers_at_their_limits_are_exact);
    tcase_add_test(tc, test_json_without_fields_takes_only_the_empty_object);
    tcase_add_test(tc, test_json_refuses_documents_that_are_no_object);
    tcase_add_test(tc, test_json_refuses_an_escaped_nul_in_any_string);
    tcase_add_test(tc, test_json_refuses_a_key_twice);
    tcase_add_test(tc, test_json_same_key_in_different_objects_is_no_duplicate);
    tcase_add_test(tc, test_json_refuses_unknown_keys_with_regard_to_case);
    tcase_add_test(tc, test_json_refuses_every_quantity_but_a_whole_number_in_range);
    tcase_add_test(tc, test_json_tells_2_to_the_53_from_its_successor);
    tcase_add_test(tc, test_json_refuses_a_missing_field);
    tcase_add_test(tc, test_json_bad_is_the_first_of_the_table);
    tcase_add_test(tc, test_json_odd_numbers_do_not_disturb_their_neighbours);
    tcase_add_test(tc, test_json_result_is_the_first_rule_broken);
    tcase_add_test(tc, test_json_result_codes);
    tcase_add_test(tc, test_json_looks_for_duplicates_among_the_first_keys);
}

int main(void)
{
    return test_main("json", add_tests);
}
