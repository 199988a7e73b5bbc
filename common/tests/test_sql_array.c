/* Tests of sql_array: the literals as text, and what a real server reads in them. */
#include "common/sql_array.h"

#include "common/pg.h"
#include "common/tests/harness.h"
#include "common/tests/pg_fixture.h"

static struct sql_array array;

static void tear_down(void)
{
    sql_array_free(&array);
}

/* --------------------------------------------------------------------------------- as text */

START_TEST(test_empty_array_is_braces)
{
    ck_assert_str_eq(sql_array_text(&array), "{}");
    ck_assert_str_eq(sql_array_text(&array), "{}");
    sql_array_free(&array);
    ck_assert_str_eq(sql_array_text(&array), "{}");
}
END_TEST

START_TEST(test_ints_stand_bare)
{
    sql_array_add_int(&array, 0);
    sql_array_add_int(&array, -7);
    sql_array_add_int(&array, INT64_MAX);
    sql_array_add_int(&array, INT64_MIN);
    ck_assert_str_eq(sql_array_text(&array), "{0,-7,9223372036854775807,-9223372036854775808}");
}
END_TEST

START_TEST(test_text_is_quoted_and_null_is_not)
{
    sql_array_add_text(&array, "a");
    sql_array_add_text(&array, "");
    sql_array_add_text(&array, NULL);
    sql_array_add_text(&array, "NULL");
    sql_array_add_text(&array, "b\"c\\d");
    sql_array_add_text(&array, "{e, f}");
    ck_assert_str_eq(sql_array_text(&array),
                     "{\"a\",\"\",NULL,\"NULL\",\"b\\\"c\\\\d\",\"{e, f}\"}");
}
END_TEST

START_TEST(test_bytes_are_hex_behind_an_escaped_backslash)
{
    sql_array_add_bytea_hex(&array, "\x00\x7f\xff\xa5", 4);
    sql_array_add_bytea_hex(&array, "", 0);
    sql_array_add_bytea_hex(&array, NULL, 0);
    ck_assert_str_eq(sql_array_text(&array), "{\"\\\\x007fffa5\",\"\\\\x\",NULL}");
}
END_TEST

START_TEST(test_free_leaves_an_empty_array)
{
    for (int i = 0; i < 1000; i++) {
        sql_array_add_text(&array, "a key of some length");
    }
    (void)sql_array_text(&array);
    sql_array_free(&array);
    sql_array_free(&array);
    sql_array_add_int(&array, 6);
    ck_assert_str_eq(sql_array_text(&array), "{6}");
}
END_TEST

/* Every length around each size of the buffer; the sanitizer sees one byte too many. */
START_TEST(test_every_length_fits)
{
    char text[1200];
    for (size_t length = 0; length < sizeof(text); length++) {
        memset(text, '"', length);
        text[length] = '\0';
        sql_array_free(&array); /* its smallest size again */
        sql_array_add_text(&array, text);
        ck_assert_uint_eq(strlen(sql_array_text(&array)), 2 * length + 4);
        sql_array_free(&array);
        sql_array_add_bytea_hex(&array, text, length);
        ck_assert_uint_eq(strlen(sql_array_text(&array)), 2 * length + 7);
    }
}
END_TEST

START_TEST(test_every_count_fits)
{
    for (int count = 1; count < 600; count++) {
        sql_array_free(&array);
        for (int i = 0; i < count; i++) {
            sql_array_add_int(&array, 7);
        }
        ck_assert_uint_eq(strlen(sql_array_text(&array)), 2 * (size_t)count + 1);
    }
}
END_TEST

/* ---------------------------------------------------------------------------- as a server reads */

static const struct pg_statement READ_TEXTS = {
    "texts_read", "SELECT v FROM unnest($1::text[]) WITH ORDINALITY AS t(v, n) ORDER BY n", 1,
    STAGE_STATEMENTS};
static const struct pg_statement READ_INTS = {
    "ints_read", "SELECT v FROM unnest($1::bigint[]) WITH ORDINALITY AS t(v, n) ORDER BY n", 1,
    STAGE_STATEMENTS};
static const struct pg_statement READ_BYTES = {
    "bytes_read",
    "SELECT encode(v, 'hex') FROM unnest($1::bytea[]) WITH ORDINALITY AS t(v, n) ORDER BY n", 1,
    STAGE_STATEMENTS};

/* What the server makes of the array; the caller clears it. */
static PGresult *read_back(const struct pg_statement *statement)
{
    const char *const values[] = {sql_array_text(&array)};
    struct pg_options options = fixture_options(fixture_url());
    struct pg *pg = fixture_connect(&options);
    PGresult *result = NULL;
    enum status status = pg_run(pg, statement, values, &result);
    pg_close(pg);
    ck_assert_status(status, ST_OK);
    return result;
}

START_TEST(test_texts_come_back_as_they_were)
{
    static const char *const texts[] = {"plain",
                                        "",
                                        "NULL",
                                        "null",
                                        "\"",
                                        "\\",
                                        "\\\"",
                                        "\"\"",
                                        "a\"b\\c\\\\d\"",
                                        "{",
                                        "}",
                                        "{}",
                                        "{a,b}",
                                        ",",
                                        " a b ",
                                        "\t\n\r\v",
                                        "'",
                                        "';--",
                                        "$1",
                                        "\\x41",
                                        "\\N",
                                        "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
                                        NULL,
                                        "last\\"};
    const int count = sizeof(texts) / sizeof(texts[0]);
    for (int i = 0; i < count; i++) {
        sql_array_add_text(&array, texts[i]);
    }
    PGresult *result = read_back(&READ_TEXTS);
    ck_assert_int_eq(PQntuples(result), count);
    for (int i = 0; i < count; i++) {
        ck_assert_int_eq(PQgetisnull(result, i, 0), texts[i] == NULL);
        ck_assert_str_eq(PQgetvalue(result, i, 0), texts[i] != NULL ? texts[i] : "");
    }
    PQclear(result);
}
END_TEST

/* Every character of ASCII, alone and between others. */
START_TEST(test_every_character_comes_back)
{
    enum { CHARACTERS = 127 };
    for (int i = 1; i <= CHARACTERS; i++) {
        const char text[] = {(char)i, 'x', (char)i, (char)i, '\0'};
        sql_array_add_text(&array, text);
    }
    PGresult *result = read_back(&READ_TEXTS);
    ck_assert_int_eq(PQntuples(result), CHARACTERS);
    for (int i = 1; i <= CHARACTERS; i++) {
        const char text[] = {(char)i, 'x', (char)i, (char)i, '\0'};
        ck_assert_str_eq(PQgetvalue(result, i - 1, 0), text);
    }
    PQclear(result);
}
END_TEST

START_TEST(test_ints_come_back)
{
    sql_array_add_int(&array, INT64_MIN);
    sql_array_add_text(&array, NULL);
    sql_array_add_int(&array, INT64_MAX);
    PGresult *result = read_back(&READ_INTS);
    ck_assert_int_eq(PQntuples(result), 3);
    ck_assert_str_eq(PQgetvalue(result, 0, 0), "-9223372036854775808");
    ck_assert(PQgetisnull(result, 1, 0));
    ck_assert_str_eq(PQgetvalue(result, 2, 0), "9223372036854775807");
    PQclear(result);
}
END_TEST

START_TEST(test_bytes_come_back)
{
    unsigned char bytes[256];
    char hex[2 * sizeof(bytes) + 1];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (unsigned char)i;
        snprintf(hex + 2 * i, 3, "%02x", (unsigned)i);
    }
    sql_array_add_bytea_hex(&array, bytes, sizeof(bytes));
    sql_array_add_bytea_hex(&array, NULL, 0);
    sql_array_add_bytea_hex(&array, bytes, 0);
    PGresult *result = read_back(&READ_BYTES);
    ck_assert_int_eq(PQntuples(result), 3);
    ck_assert_str_eq(PQgetvalue(result, 0, 0), hex);
    ck_assert(PQgetisnull(result, 1, 0));
    ck_assert(!PQgetisnull(result, 2, 0));
    ck_assert_str_eq(PQgetvalue(result, 2, 0), "");
    PQclear(result);
}
END_TEST

START_TEST(test_no_elements_come_back)
{
    PGresult *result = read_back(&READ_TEXTS);
    ck_assert_int_eq(PQntuples(result), 0);
    PQclear(result);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, NULL, tear_down);
    tcase_add_test(tc, test_empty_array_is_braces);
    tcase_add_test(tc, test_ints_stand_bare);
    tcase_add_test(tc, test_text_is_quoted_and_null_is_not);
    tcase_add_test(tc, test_bytes_are_hex_behind_an_escaped_backslash);
    tcase_add_test(tc, test_free_leaves_an_empty_array);
    tcase_add_test(tc, test_every_length_fits);
    tcase_add_test(tc, test_every_count_fits);
    tcase_add_test(tc, test_texts_come_back_as_they_were);
    tcase_add_test(tc, test_every_character_comes_back);
    tcase_add_test(tc, test_ints_come_back);
    tcase_add_test(tc, test_bytes_come_back);
    tcase_add_test(tc, test_no_elements_come_back);
}

int main(void)
{
    fixture_require("test_sql_array");
    return test_main("sql_array", add_tests);
}
