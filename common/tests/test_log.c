/* Tests of common/log: whatever the fields hold, a line is one valid JSON object that says the
 * same. The judge is cJSON, which did not write it. */
#include "common/log.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>

#include "common/tests/harness.h"
#include "common/utf8.h"

enum { LONG_TEXT = 10 * 1024, MANY_FIELDS = 400 };

/* Captures the lines of one log_fields call; the caller frees. */
static char *capture_fields(enum log_level level, const char *event, const struct log_field *fields,
                            size_t count)
{
    struct test_capture capture;
    test_capture_start(&capture);
    log_fields(level, event, fields, count);
    return test_capture_stop(&capture);
}

/* The one line in text as JSON, after checks of all that holds for every line; frees text. */
static cJSON *parse_line(char *text)
{
    size_t length = strlen(text);
    ck_assert_uint_gt(length, 0);
    ck_assert_uint_le(length, LOG_LINE_MAX);
    ck_assert_ptr_eq(strchr(text, '\n'), text + length - 1);
    for (size_t at = 0; at < length - 1;) { /* an assertion for each byte would take long */
        unsigned char c = (unsigned char)text[at];
        size_t step = utf8_length(text + at, length - at);
        if (step == 0 || c < 0x20 || c == 0x7f) {
            ck_abort_msg("byte %zu of %.300s", at, text);
        }
        at += step;
    }
    const char *end = NULL;
    cJSON *line = cJSON_ParseWithOpts(text, &end, false);
    ck_assert_msg(line != NULL, "not JSON: %.300s", text);
    ck_assert_str_eq(end, "\n");
    free(text);
    return line;
}

static const char *text_of(const cJSON *line, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(line, name));
}

/* Logs text as the field "text" with "after" behind it, and returns the parsed line. */
static cJSON *log_text(const char *text)
{
    const struct log_field fields[] = {LOG_TEXT("text", text), LOG_NUMBER("after", 77)};
    cJSON *line = parse_line(capture_fields(LOG_INFO, "case", fields, 2));
    ck_assert_str_eq(text_of(line, "event"), "case");
    ck_assert_int_eq(cJSON_GetObjectItemCaseSensitive(line, "after")->valueint, 77);
    ck_assert_int_eq(cJSON_GetArraySize(line), 5);
    return line;
}

static void expect_text(const char *text, const char *expected)
{
    cJSON *line = log_text(text);
    ck_assert_str_eq(text_of(line, "text"), expected);
    cJSON_Delete(line);
}

START_TEST(test_log_event_writes_its_parts_in_order)
{
    struct test_capture capture;
    test_capture_start(&capture);
    log_event(LOG_WARN, "listening", LOG_TEXT("bind", "127.0.0.1"), LOG_NUMBER("port", 8001),
              LOG_REAL("ratio", 0.25), LOG_BOOL("ready", true), LOG_BOOL("draining", false),
              LOG_TEXT("user", NULL));
    char *text = test_capture_stop(&capture);
    ck_assert_int_eq(strncmp(text, "{\"time\":\"20", 11), 0);
    ck_assert_str_eq(strstr(text, "\"level\""),
                     "\"level\":\"warn\",\"event\":\"listening\",\"bind\":\"127.0.0.1\","
                     "\"port\":8001,\"ratio\":0.25,\"ready\":true,\"draining\":false,"
                     "\"user\":null}\n");
    cJSON_Delete(parse_line(text));
}
END_TEST

START_TEST(test_log_without_fields_is_a_line)
{
    cJSON *line = parse_line(capture_fields(LOG_ERROR, "stopped", NULL, 0));
    ck_assert_int_eq(cJSON_GetArraySize(line), 3);
    ck_assert_str_eq(text_of(line, "level"), "error");
    cJSON_Delete(line);
}
END_TEST

START_TEST(test_log_numbers_at_their_limits)
{
    const struct log_field fields[] = {
        LOG_NUMBER("least", INT64_MIN), LOG_NUMBER("most", INT64_MAX),
        LOG_REAL("tiny", -DBL_MIN),     LOG_REAL("huge", -DBL_MAX),
        LOG_REAL("nan", (double)NAN),   LOG_REAL("infinite", -(double)INFINITY)};
    char *text = capture_fields(LOG_INFO, "numbers", fields, 6);
    ck_assert_ptr_nonnull(strstr(text, "\"least\":-9223372036854775808,"));
    ck_assert_ptr_nonnull(strstr(text, "\"most\":9223372036854775807,"));
    cJSON *line = parse_line(text);
    ck_assert_double_lt(cJSON_GetObjectItem(line, "huge")->valuedouble, -1e308);
    ck_assert_double_lt(cJSON_GetObjectItem(line, "tiny")->valuedouble, 0);
    ck_assert(cJSON_IsNull(cJSON_GetObjectItem(line, "nan")));
    ck_assert(cJSON_IsNull(cJSON_GetObjectItem(line, "infinite")));
    cJSON_Delete(line);
}
END_TEST

START_TEST(test_log_writes_durations_in_milliseconds_to_the_microsecond)
{
    const struct log_field fields[] = {
        LOG_MS("none", 0),          LOG_MS("below", 999),          LOG_MS("above", -999),
        LOG_MS("us", 1000),         LOG_MS("ms", 1234567),         LOG_MS("ten", 10000000),
        LOG_MS("back", -1020000),   LOG_MS("hour", 3600000000000), LOG_MS("most", INT64_MAX),
        LOG_MS("least", INT64_MIN), LOG_NUMBER("zero", 0),         LOG_NUMBER("minus", -7),
        LOG_NUMBER("ten", 10)};
    char *text = capture_fields(LOG_INFO, "times", fields, sizeof fields / sizeof fields[0]);
    ck_assert_str_eq(strstr(text, "\"none\""),
                     "\"none\":0.000,\"below\":0.000,\"above\":0.000,\"us\":0.001,"
                     "\"ms\":1.234,\"ten\":10.000,\"back\":-1.020,\"hour\":3600000.000,"
                     "\"most\":9223372036854.775,\"least\":-9223372036854.775,\"zero\":0,"
                     "\"minus\":-7,\"ten\":10}\n");
    free(text);
}
END_TEST

START_TEST(test_log_escapes_so_that_no_text_ends_its_field)
{
    expect_text("", "");
    expect_text("a\r\nb\n\n{\"event\":\"forged\"}\r", "a\r\nb\n\n{\"event\":\"forged\"}\r");
    expect_text("\",\"event\":\"forged\",\"x\":\"", "\",\"event\":\"forged\",\"x\":\"");
    expect_text("back\\slash\\", "back\\slash\\");
    expect_text("\t\b\f\v\a\x01\x1f\x7f", "\t\b\f\v\a\x01\x1f\x7f");
    expect_text("\x1b[31mred\x1b]0;title\x07", "\x1b[31mred\x1b]0;title\x07");
    expect_text("\xc2\x9b"
                "31m\xc2\x85",
                "\xc2\x9b"
                "31m\xc2\x85");
    expect_text("%s%n%d", "%s%n%d");
}
END_TEST

START_TEST(test_log_writes_no_character_that_a_terminal_obeys)
{
    const struct log_field field = LOG_TEXT("text", "\x1b[2J \x7f \xc2\x9b"
                                                    "2J \xe2\x80\xa8 \xe2\x80\xa9 \xc3\xa9");
    char *text = capture_fields(LOG_INFO, "ansi", &field, 1);
    ck_assert_ptr_nonnull(
        strstr(text, "\"\\u001b[2J \\u007f \\u009b2J \\u2028 \\u2029 \xc3\xa9\""));
    free(text);
}
END_TEST

START_TEST(test_log_keeps_valid_utf8)
{
    expect_text("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \xef\xbf\xbd",
                "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \xef\xbf\xbd");
}
END_TEST

#define FFFD "\xef\xbf\xbd"

START_TEST(test_log_replaces_invalid_utf8)
{
    expect_text("a\xff"
                "b",
                "a" FFFD "b");
    expect_text("\x80", FFFD);
    expect_text("\xc0\x80", FFFD FFFD);                   /* overlong NUL */
    expect_text("\xed\xa0\x80", FFFD FFFD FFFD);          /* a surrogate */
    expect_text("\xf4\x90\x80\x80", FFFD FFFD FFFD FFFD); /* above U+10FFFF */
    expect_text("cut \xf0\x9f\x98", "cut " FFFD FFFD FFFD);
    expect_text("\xc3", FFFD);
    expect_text("\xc3\"", FFFD "\"");
}
END_TEST

START_TEST(test_log_escapes_the_event_too)
{
    cJSON *line = parse_line(capture_fields(LOG_INFO, "a\"\n\xff", NULL, 0));
    ck_assert_str_eq(text_of(line, "event"), "a\"\n" FFFD);
    cJSON_Delete(line);
}
END_TEST

/* A text of length bytes made of repetitions of unit. */
static char *repeat(const char *unit, size_t length)
{
    char *text = calloc(length + 1, 1);
    ck_assert_ptr_nonnull(text);
    size_t unit_length = strlen(unit);
    for (size_t at = 0; at + unit_length <= length; at += unit_length) {
        memcpy(text + at, unit, unit_length);
    }
    return text;
}

/* What was logged of a long text is its beginning, cut at a character; the line is full. */
static void expect_cut(const char *unit, size_t unit_logged_length)
{
    char *text = repeat(unit, LONG_TEXT);
    const struct log_field fields[] = {LOG_TEXT("text", text), LOG_NUMBER("after", 77)};
    char *raw = capture_fields(LOG_INFO, "long", fields, 2);
    size_t raw_length = strlen(raw);
    cJSON *line = parse_line(raw);
    const char *got = text_of(line, "text");
    ck_assert_uint_lt(strlen(got), LOG_LINE_MAX);
    ck_assert_int_eq(strncmp(text, got, strlen(got)), 0);
    ck_assert_uint_eq(strlen(got) % strlen(unit), 0);
    ck_assert_uint_gt(raw_length + unit_logged_length, LOG_LINE_MAX);
    ck_assert_int_eq(cJSON_GetObjectItemCaseSensitive(line, "after")->valueint, 77);
    cJSON_Delete(line);
    free(text);
}

START_TEST(test_log_cuts_a_long_text_at_a_character)
{
    expect_cut("x", 1);
    expect_cut("\"", 2);
    expect_cut("\x1b", 6);
    expect_cut("\xc3\xa9", 2);
    expect_cut("\xe2\x82\xac", 3);
    expect_cut("\xf0\x9f\x98\x80", 4);
}
END_TEST

START_TEST(test_log_stays_within_its_line_at_every_length)
{
    for (size_t length = LOG_LINE_MAX - 200; length < LOG_LINE_MAX + 8; length++) {
        char *plain = repeat("x", length);
        char *mixed = repeat("\xf0\x9f\x98\x80\n\xff", length);
        cJSON_Delete(log_text(plain));
        cJSON_Delete(log_text(mixed));
        free(mixed);
        free(plain);
    }
}
END_TEST

START_TEST(test_log_long_texts_leave_room_for_every_later_field)
{
    char *text = repeat("x", LONG_TEXT);
    const struct log_field fields[] = {LOG_TEXT("first", text),        LOG_TEXT("second", text),
                                       LOG_NUMBER("n", INT64_MIN),     LOG_REAL("real", -1.0 / 3),
                                       LOG_BOOL("yes", true),          LOG_TEXT("none", NULL),
                                       LOG_TEXT("request_id", "short")};
    cJSON *line = parse_line(capture_fields(LOG_INFO, "long", fields, 7));
    ck_assert_int_eq(cJSON_GetArraySize(line), 10);
    ck_assert_uint_gt(strlen(text_of(line, "first")), LOG_LINE_MAX / 2);
    ck_assert(cJSON_IsTrue(cJSON_GetObjectItem(line, "yes")));
    cJSON_Delete(line);
    free(text);
}
END_TEST

START_TEST(test_log_leaves_out_whole_fields_that_do_not_fit)
{
    static struct log_field fields[MANY_FIELDS];
    for (size_t i = 0; i < MANY_FIELDS; i++) {
        fields[i] = LOG_NUMBER("a_name_of_some_length", (int64_t)i);
    }
    cJSON *line = parse_line(capture_fields(LOG_INFO, "many", fields, MANY_FIELDS));
    int kept = cJSON_GetArraySize(line) - 3;
    ck_assert_int_gt(kept, 100);
    ck_assert_int_lt(kept, MANY_FIELDS);
    for (int i = 0; i < kept; i++) {
        ck_assert_int_eq(cJSON_GetArrayItem(line, i + 3)->valueint, i);
    }
    cJSON_Delete(line);
}
END_TEST

START_TEST(test_log_drops_lines_below_the_level)
{
    static const enum log_level levels[] = {LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR};
    for (size_t least = 0; least < 4; least++) {
        log_set_level(levels[least]);
        for (size_t at = 0; at < 4; at++) {
            char *text = capture_fields(levels[at], "event", NULL, 0);
            ck_assert_int_eq(*text != '\0', at >= least);
            free(text);
        }
    }
    log_set_level(LOG_INFO);
}
END_TEST

START_TEST(test_log_level_default_is_info)
{
    char *debug = capture_fields(LOG_DEBUG, "event", NULL, 0);
    char *info = capture_fields(LOG_INFO, "event", NULL, 0);
    ck_assert_str_eq(debug, "");
    ck_assert_str_ne(info, "");
    free(info);
    free(debug);
}
END_TEST

START_TEST(test_log_level_names)
{
    ck_assert_str_eq(log_level_name(LOG_DEBUG), "debug");
    ck_assert_str_eq(log_level_name(LOG_INFO), "info");
    ck_assert_str_eq(log_level_name(LOG_WARN), "warn");
    ck_assert_str_eq(log_level_name(LOG_ERROR), "error");
    ck_assert_ptr_nonnull(log_level_name((enum log_level)99));
}
END_TEST

START_TEST(test_log_leaves_errno_alone_when_standard_error_is_closed)
{
    int standard_error = dup(STDERR_FILENO);
    close(STDERR_FILENO);
    errno = EPROTO;
    log_event(LOG_ERROR, "lost", LOG_REAL("real", 1e300));
    int after = errno;
    ck_assert_int_ge(dup2(standard_error, STDERR_FILENO), 0);
    close(standard_error);
    ck_assert_int_eq(after, EPROTO);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_test(tc, test_log_event_writes_its_parts_in_order);
    tcase_add_test(tc, test_log_without_fields_is_a_line);
    tcase_add_test(tc, test_log_numbers_at_their_limits);
    tcase_add_test(tc, test_log_writes_durations_in_milliseconds_to_the_microsecond);
    tcase_add_test(tc, test_log_escapes_so_that_no_text_ends_its_field);
    tcase_add_test(tc, test_log_writes_no_character_that_a_terminal_obeys);
    tcase_add_test(tc, test_log_keeps_valid_utf8);
    tcase_add_test(tc, test_log_replaces_invalid_utf8);
    tcase_add_test(tc, test_log_escapes_the_event_too);
    tcase_add_test(tc, test_log_cuts_a_long_text_at_a_character);
    tcase_add_test(tc, test_log_stays_within_its_line_at_every_length);
    tcase_add_test(tc, test_log_long_texts_leave_room_for_every_later_field);
    tcase_add_test(tc, test_log_leaves_out_whole_fields_that_do_not_fit);
    tcase_add_test(tc, test_log_level_default_is_info);
    tcase_add_test(tc, test_log_drops_lines_below_the_level);
    tcase_add_test(tc, test_log_level_names);
    tcase_add_test(tc, test_log_leaves_errno_alone_when_standard_error_is_closed);
}

int main(void)
{
    return test_main("log", add_tests);
}
