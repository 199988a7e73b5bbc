/* Tests of common/config: the table in and out, the sentences for bad values, and above all that no
 * spelling of a password reaches a log line or an error. */
#include "common/config.h"

#include <cjson/cJSON.h>

#include "common/tests/harness.h"

enum { SETTINGS = 5 };

/* The word that must never be seen. */
#define SECRET "Zwiebelkuchen"

static struct config_setting table[SETTINGS];
static char error[CONFIG_ERROR_SIZE];

static void set_up(void)
{
    static const struct config_setting fresh[SETTINGS] = {
        {"TEST_NUMBER", CONFIG_INT, 5, NULL, -10, 64, "threads"},
        {"TEST_TEXT", CONFIG_TEXT, 0, "127.0.0.1", 1, 15, NULL},
        {"TEST_SECRET", CONFIG_SECRET, 0, NULL, 8, 20, NULL},
        {"TEST_URI", CONFIG_URI, 0, "postgresql:///flashdeal", 1, 512, NULL},
        {"TEST_CHOICE", CONFIG_CHOICE, 0, "info", 0, 0, "debug|info|warn|error"},
    };
    memcpy(table, fresh, sizeof(table));
    for (size_t i = 0; i < SETTINGS; i++) {
        unsetenv(table[i].name);
    }
}

static enum status load_with(const char *name, const char *value)
{
    set_up();
    ck_assert_int_eq(setenv(name, value, 1), 0);
    memset(error, 'x', sizeof(error));
    enum status status = config_load(table, SETTINGS, error);
    ck_assert_ptr_nonnull(memchr(error, '\0', sizeof(error)));
    return status;
}

/* The "config" line, parsed; no byte of SECRET may be in it as a whole word. */
static cJSON *logged(void)
{
    struct test_capture capture;
    test_capture_start(&capture);
    config_log();
    char *text = test_capture_stop(&capture);
    ck_assert_msg(strstr(text, SECRET) == NULL, "leaked: %s", text);
    cJSON *line = cJSON_Parse(text);
    ck_assert_msg(line != NULL, "not JSON: %s", text);
    ck_assert_str_eq(cJSON_GetStringValue(cJSON_GetObjectItem(line, "event")), "config");
    free(text);
    return line;
}

static void expect_logged(const char *name, const char *expected)
{
    cJSON *line = logged();
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(line, name);
    ck_assert_ptr_nonnull(value);
    if (expected) {
        ck_assert_str_eq(cJSON_GetStringValue(value), expected);
    } else {
        ck_assert(cJSON_IsNull(value));
    }
    cJSON_Delete(line);
}

static void expect_printable_error(void) /* it goes to a terminal */
{
    for (const char *c = error; *c != '\0'; c++) {
        ck_assert(*c >= ' ' && *c <= '~');
    }
}

START_TEST(test_config_keeps_defaults_when_nothing_is_set)
{
    set_up();
    ck_assert_int_eq(config_load(table, SETTINGS, error), ST_OK);
    ck_assert_int_eq(config_int("TEST_NUMBER"), 5);
    ck_assert_str_eq(config_text("TEST_TEXT"), "127.0.0.1");
    ck_assert_ptr_null(config_text("TEST_SECRET"));
    ck_assert_str_eq(config_text("TEST_URI"), "postgresql:///flashdeal");
    ck_assert_str_eq(config_text("TEST_CHOICE"), "info");
}
END_TEST

START_TEST(test_config_keeps_the_default_of_an_empty_variable)
{
    ck_assert_int_eq(load_with("TEST_NUMBER", ""), ST_OK);
    ck_assert_int_eq(config_int("TEST_NUMBER"), 5);
    ck_assert_int_eq(load_with("TEST_TEXT", ""), ST_OK);
    ck_assert_str_eq(config_text("TEST_TEXT"), "127.0.0.1");
}
END_TEST

START_TEST(test_config_refuses_a_secret_that_is_set_and_empty)
{
    ck_assert_int_eq(load_with("TEST_SECRET", ""), ST_INVALID);
    ck_assert_ptr_nonnull(strstr(error, "TEST_SECRET"));
}
END_TEST

START_TEST(test_config_takes_numbers_within_the_bounds)
{
    static const struct {
        const char *text;
        int64_t number;
    } cases[] = {{"-10", -10}, {"64", 64}, {"0", 0}, {"-0", 0}, {"+7", 7}, {"007", 7}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ck_assert_int_eq(load_with("TEST_NUMBER", cases[i].text), ST_OK);
        ck_assert_int_eq(config_int("TEST_NUMBER"), cases[i].number);
    }
}
END_TEST

START_TEST(test_config_takes_the_widest_numbers)
{
    struct config_setting wide = {"TEST_NUMBER", CONFIG_INT, 0, NULL, INT64_MIN, INT64_MAX, NULL};
    setenv("TEST_NUMBER", "-9223372036854775808", 1);
    ck_assert_int_eq(config_load(&wide, 1, error), ST_OK);
    ck_assert(wide.number == INT64_MIN);
    setenv("TEST_NUMBER", "9223372036854775807", 1);
    ck_assert_int_eq(config_load(&wide, 1, error), ST_OK);
    ck_assert(wide.number == INT64_MAX);
    setenv("TEST_NUMBER", "9223372036854775808", 1);
    ck_assert_int_eq(config_load(&wide, 1, error), ST_INVALID);
    setenv("TEST_NUMBER", "-9223372036854775809", 1);
    ck_assert_int_eq(config_load(&wide, 1, error), ST_INVALID);
}
END_TEST

START_TEST(test_config_refuses_numbers_out_of_bounds_or_form)
{
    static const char *const bad[] = {"-11", "65",   "abc", "5x",  " 5",       "5 ",
                                      "5\n", "0x10", "1e1", "5.0", "-",        "+",
                                      "--5", "+-5",  "5,5", "NaN", "\xd9\xa5", "5\x1b[2J"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(load_with("TEST_NUMBER", bad[i]) == ST_INVALID, "taken: %s", bad[i]);
        ck_assert_int_eq(config_int("TEST_NUMBER"), 5);
        ck_assert_ptr_nonnull(strstr(error, "TEST_NUMBER must be a whole number from -10 to 64"));
        ck_assert_ptr_nonnull(strstr(error, "(threads)"));
        expect_printable_error();
    }
}
END_TEST

START_TEST(test_config_error_of_a_number_says_what_it_is)
{
    ck_assert_int_eq(load_with("TEST_NUMBER", "many"), ST_INVALID);
    ck_assert_str_eq(error, "TEST_NUMBER must be a whole number from -10 to 64 (threads), "
                            "and is \"many\"");
}
END_TEST

START_TEST(test_config_bounds_the_length_of_texts)
{
    ck_assert_int_eq(load_with("TEST_TEXT", "1"), ST_OK);
    ck_assert_str_eq(config_text("TEST_TEXT"), "1");
    ck_assert_int_eq(load_with("TEST_TEXT", "123456789012345"), ST_OK);
    ck_assert_int_eq(load_with("TEST_TEXT", "1234567890123456"), ST_INVALID);
    ck_assert_str_eq(error, "TEST_TEXT must have 1 to 15 bytes");
    ck_assert_str_eq(config_text("TEST_TEXT"), "127.0.0.1");
}
END_TEST

START_TEST(test_config_takes_each_word_of_a_choice)
{
    static const char *const words[] = {"debug", "info", "warn", "error"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        ck_assert_int_eq(load_with("TEST_CHOICE", words[i]), ST_OK);
        ck_assert_str_eq(config_text("TEST_CHOICE"), words[i]);
        expect_logged("TEST_CHOICE", words[i]);
    }
}
END_TEST

START_TEST(test_config_refuses_every_other_word_of_a_choice)
{
    static const char *const bad[] = {"warning", "inf",    "nfo",       "INFO",   "info ",
                                      " info",   "|",      "info|warn", "|info",  "error|",
                                      "x",       "debugi", "debug|",    "info\n", "\x1b[2J"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(load_with("TEST_CHOICE", bad[i]) == ST_INVALID, "taken: %s", bad[i]);
        ck_assert_str_eq(config_text("TEST_CHOICE"), "info");
        expect_printable_error();
    }
    ck_assert_int_eq(load_with("TEST_CHOICE", "loud"), ST_INVALID);
    ck_assert_str_eq(error, "TEST_CHOICE must be one of debug|info|warn|error, and is \"loud\"");
}
END_TEST

/* What is asked for and what is logged is of the table that was loaded last. */
START_TEST(test_config_has_one_table)
{
    static struct config_setting lines[] = {
        CONFIG_SET_INT("TEST_NUMBER", 11, 1, 20, "ms"),
        CONFIG_SET_TEXT(CONFIG_TEXT, "TEST_TEXT", "word", 1, 15, NULL),
        CONFIG_SET_CHOICE("TEST_CHOICE", "b", "a|b"),
    };
    const size_t count = sizeof(lines) / sizeof(lines[0]);
    set_up();
    ck_assert_int_eq(config_load(lines, count, error), ST_OK);
    ck_assert_int_eq(config_int("TEST_NUMBER"), 11);
    ck_assert_str_eq(config_text("TEST_TEXT"), "word");
    ck_assert_str_eq(config_text("TEST_CHOICE"), "b");
    cJSON *line = logged();
    ck_assert_int_eq(cJSON_GetArraySize(line), 3 + 3);
    ck_assert_int_eq(cJSON_GetObjectItem(line, "TEST_NUMBER")->valueint, 11);
    cJSON_Delete(line);
    setenv("TEST_NUMBER", "21", 1);
    ck_assert_int_eq(config_load(lines, count, error), ST_INVALID);
    ck_assert_str_eq(error, "TEST_NUMBER must be a whole number from 1 to 20 (ms), and is \"21\"");
    ck_assert_int_eq(config_load(table, SETTINGS, error), ST_OK); /* it lets 21 pass */
    ck_assert_int_eq(config_int("TEST_NUMBER"), 21);
}
END_TEST

START_TEST(test_config_reports_the_first_bad_value_of_the_table)
{
    set_up();
    setenv("TEST_SECRET", "short", 1);
    setenv("TEST_TEXT", "far too long a text", 1);
    ck_assert_int_eq(config_load(table, SETTINGS, error), ST_INVALID);
    ck_assert_ptr_eq(strstr(error, "TEST_TEXT"), error);
}
END_TEST

START_TEST(test_config_secret_is_loaded_and_never_shown)
{
    ck_assert_int_eq(load_with("TEST_SECRET", SECRET), ST_OK);
    ck_assert_str_eq(config_text("TEST_SECRET"), SECRET);
    expect_logged("TEST_SECRET", "set");
    set_up();
    expect_logged("TEST_SECRET", "unset");
}
END_TEST

START_TEST(test_config_error_shows_no_secret_of_a_wrong_length)
{
    ck_assert_int_eq(load_with("TEST_SECRET", SECRET SECRET), ST_INVALID);
    ck_assert_str_eq(error, "TEST_SECRET must have 8 to 20 bytes");
}
END_TEST

/* Every spelling of a password that libpq takes: loaded as it is, logged without it. */
START_TEST(test_config_uri_is_logged_without_its_password)
{
    static const char *const cases[][2] = {
        {"postgresql://bob:" SECRET "@db.example:5433/shop",
         "user=bob host=db.example port=5433 dbname=shop"},
        {"postgres://bob:" SECRET "@db.example/shop", "user=bob host=db.example dbname=shop"},
        {"postgresql://:" SECRET "@db.example/shop", "host=db.example dbname=shop"},
        {"postgresql://bob:" SECRET "%40%2F@db.example/shop",
         "user=bob host=db.example dbname=shop"},
        {"postgresql://bob@db.example/shop?password=" SECRET,
         "user=bob host=db.example dbname=shop"},
        {"postgresql://bob@db.example/shop?sslmode=disable&passw%6Frd=" SECRET "&user=eve",
         "user=eve host=db.example dbname=shop"},
        {"postgresql:///shop?host=/tmp/pg&sslpassword=" SECRET, "host=/tmp/pg dbname=shop"},
        {"postgresql://bob:" SECRET "@[::1]:5432,[::2]:5433/shop",
         "user=bob host=::1,::2 port=5432,5433 dbname=shop"},
        {"host=db.example user=bob password=" SECRET " dbname=shop port=1",
         "user=bob host=db.example port=1 dbname=shop"},
        {"host=db.example password = '" SECRET " it\\'s' user=bob", "user=bob host=db.example"},
        {"password='a b " SECRET "'", ""},
        {"passfile=/etc/" SECRET " host=h", "host=h"},
        {"options='-c x=" SECRET "' application_name=" SECRET " host=h", "host=h"},
        {"postgresql:///flashdeal", "dbname=flashdeal"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ck_assert_msg(load_with("TEST_URI", cases[i][0]) == ST_OK, "%s", cases[i][0]);
        ck_assert_str_eq(config_text("TEST_URI"), cases[i][0]);
        cJSON *line = logged();
        const char *got = cJSON_GetStringValue(cJSON_GetObjectItem(line, "TEST_URI"));
        ck_assert_str_ne(got, "unreadable");
        for (const char *part = cases[i][1]; *part != '\0';) { /* in whatever order libpq has */
            size_t length = strcspn(part, " ");
            char wanted[64] = {0};
            memcpy(wanted, part, length);
            ck_assert_msg(strstr(got, wanted) != NULL, "%s: %s", cases[i][0], got);
            part += length + strspn(part + length, " ");
        }
        ck_assert_uint_eq(strlen(got), strlen(cases[i][1]));
        cJSON_Delete(line);
    }
}
END_TEST

/* A bare '@', '/', ':' or '?' in a password puts half of it into another part of the parse. */
START_TEST(test_config_uri_with_a_misquoted_password_is_logged_as_unreadable)
{
    static const char *const cases[] = {
        "postgresql://bob:pa@" SECRET "@db.example/shop",
        "postgresql://bob:pa/" SECRET "@db.example/shop",
        "postgresql://bob:" SECRET "/pa@db.example/shop",
        "postgresql://bob:12/" SECRET "@db.example/shop",
        "postgresql://bob:pa@" SECRET ":x@db.example/shop",
        "dbname=postgresql://bob:" SECRET "@db.example/shop",
        "dbname='host=h password=" SECRET "'",
        "host=postgresql://bob:" SECRET "@db.example/shop",
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (load_with("TEST_URI", cases[i]) == ST_OK) {
            expect_logged("TEST_URI", "unreadable");
        } else {
            ck_assert_ptr_null(strstr(error, SECRET));
        }
    }
}
END_TEST

START_TEST(test_config_refuses_a_uri_that_libpq_cannot_parse_without_showing_it)
{
    static const char *const bad[] = {
        SECRET,
        "postgresql://bob:" SECRET "@[::1/shop",
        "postgresql://bob:" SECRET "@h/shop?nonsense=1",
        "postgresql://bob:" SECRET "%zz@h/shop",
        "mysql://bob:" SECRET "@h/shop",
        "host=h password='" SECRET,
        "host=h password=a " SECRET,
        "nonsense=1 password=" SECRET,
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(load_with("TEST_URI", bad[i]) == ST_INVALID, "taken: %s", bad[i]);
        ck_assert_ptr_eq(strstr(error, "TEST_URI must be"), error);
        ck_assert_ptr_null(strstr(error, SECRET));
        ck_assert_str_eq(config_text("TEST_URI"), "postgresql:///flashdeal");
    }
}
END_TEST

START_TEST(test_config_uri_of_a_default_that_cannot_be_parsed_is_unreadable)
{
    set_up();
    table[3].text = "host=h password='" SECRET;
    expect_logged("TEST_URI", "unreadable");
    table[3].text = NULL;
    expect_logged("TEST_URI", NULL);
}
END_TEST

START_TEST(test_config_uri_longer_than_what_is_shown_is_unreadable)
{
    static char uri[2000];
    set_up();
    memset(uri, 'h', sizeof(uri) - 1);
    memcpy(uri, "host=", 5);
    table[3].text = uri;
    expect_logged("TEST_URI", "unreadable");
}
END_TEST

START_TEST(test_config_log_shows_every_value_in_effect)
{
    ck_assert_int_eq(load_with("TEST_NUMBER", "33"), ST_OK);
    cJSON *line = logged();
    ck_assert_int_eq(cJSON_GetObjectItem(line, "TEST_NUMBER")->valueint, 33);
    ck_assert_str_eq(cJSON_GetStringValue(cJSON_GetObjectItem(line, "TEST_TEXT")), "127.0.0.1");
    ck_assert_int_eq(cJSON_GetArraySize(line), 3 + SETTINGS);
    cJSON_Delete(line);
    ck_assert_int_eq(load_with("TEST_TEXT", "a\r\n\",\"b\":\"\x1b"), ST_OK);
    expect_logged("TEST_TEXT", "a\r\n\",\"b\":\"\x1b");
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_test(tc, test_config_keeps_defaults_when_nothing_is_set);
    tcase_add_test(tc, test_config_keeps_the_default_of_an_empty_variable);
    tcase_add_test(tc, test_config_refuses_a_secret_that_is_set_and_empty);
    tcase_add_test(tc, test_config_takes_numbers_within_the_bounds);
    tcase_add_test(tc, test_config_takes_the_widest_numbers);
    tcase_add_test(tc, test_config_refuses_numbers_out_of_bounds_or_form);
    tcase_add_test(tc, test_config_error_of_a_number_says_what_it_is);
    tcase_add_test(tc, test_config_bounds_the_length_of_texts);
    tcase_add_test(tc, test_config_takes_each_word_of_a_choice);
    tcase_add_test(tc, test_config_refuses_every_other_word_of_a_choice);
    tcase_add_test(tc, test_config_has_one_table);
    tcase_add_test(tc, test_config_reports_the_first_bad_value_of_the_table);
    tcase_add_test(tc, test_config_secret_is_loaded_and_never_shown);
    tcase_add_test(tc, test_config_error_shows_no_secret_of_a_wrong_length);
    tcase_add_test(tc, test_config_uri_is_logged_without_its_password);
    tcase_add_test(tc, test_config_uri_with_a_misquoted_password_is_logged_as_unreadable);
    tcase_add_test(tc, test_config_refuses_a_uri_that_libpq_cannot_parse_without_showing_it);
    tcase_add_test(tc, test_config_uri_of_a_default_that_cannot_be_parsed_is_unreadable);
    tcase_add_test(tc, test_config_uri_longer_than_what_is_shown_is_unreadable);
    tcase_add_test(tc, test_config_log_shows_every_value_in_effect);
}

int main(void)
{
    return test_main("config", add_tests);
}
