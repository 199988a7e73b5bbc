/* Tests of common/metrics_text: what was booked is in the text, in Prometheus' format to the
 * letter. */
#include <float.h>
#include <math.h>
#include <stdint.h>

#include "common/clock.h"
#include "common/metrics.h"
#include "common/tests/harness.h"
#include "common/tests/metrics_scrape.h"

START_TEST(test_metrics_text_is_the_format_to_the_letter)
{
    struct metrics *metrics = metrics_new();
    double size = 64;
    metrics_add(metrics_counter(metrics, "orders_total", "Orders taken.", "sale=\"1\""), 7);
    metrics_gauge(metrics, "pool_size", "Connections.", "", scrape_read, &size);
    metrics_add(metrics_counter(metrics, "orders_total", "Orders taken.", "sale=\"2\",ok=\"no\""),
                1);
    char *text = metrics_text(metrics);
    ck_assert_str_eq(text, "# HELP orders_total Orders taken.\n"
                           "# TYPE orders_total counter\n"
                           "orders_total{sale=\"1\"} 7\n"
                           "orders_total{sale=\"2\",ok=\"no\"} 1\n"
                           "# HELP pool_size Connections.\n"
                           "# TYPE pool_size gauge\n"
                           "pool_size 64\n"
                           "# HELP flashdeal_metrics_refused_total Series that the registry had no "
                           "room for.\n"
                           "# TYPE flashdeal_metrics_refused_total counter\n"
                           "flashdeal_metrics_refused_total 0\n");
    free(text);
    metrics_free(metrics);
}
END_TEST

START_TEST(test_metrics_histogram_text_is_the_format_to_the_letter)
{
    struct metrics *metrics = metrics_new();
    struct metrics_histogram *histogram =
        metrics_histogram(metrics, "wait_seconds", "Time in line.", "pool=\"all\"");
    metrics_observe(histogram, 1500 * CLOCK_NS_PER_MS);
    metrics_observe(histogram, 250000);
    char *text = metrics_text(metrics);
    const char *line = strstr(text, "# TYPE wait_seconds histogram\n");
    ck_assert_ptr_nonnull(line);
    for (size_t i = 0; i < SCRAPE_LES; i++) {
        char expected[128];
        line = strchr(line, '\n') + 1;
        int count = i < 2 ? 0 : i < 19 ? 1 : 2;
        snprintf(expected, sizeof expected, "wait_seconds_bucket{pool=\"all\",le=\"%s\"} %d\n",
                 scrape_les[i], count);
        ck_assert_int_eq(strncmp(line, expected, strlen(expected)), 0);
    }
    line = strchr(line, '\n') + 1;
    static const char rest[] = "wait_seconds_sum{pool=\"all\"} 1.500250000\n"
                               "wait_seconds_count{pool=\"all\"} 2\n"
                               "# HELP ";
    ck_assert_int_eq(strncmp(line, rest, strlen(rest)), 0);
    ck_assert_int_eq(scrape_count(text, "wait_seconds histogram"), 1);
    free(text);
    metrics_free(metrics);
}
END_TEST

START_TEST(test_metrics_without_labels_have_no_empty_braces)
{
    struct metrics *metrics = metrics_new();
    metrics_observe(metrics_histogram(metrics, "wait_seconds", "Time.", ""), 1);
    char *text = metrics_text(metrics);
    ck_assert(scrape_value(text, "wait_seconds_bucket{le=\"0.0001\"}") == 1);
    ck_assert(scrape_value(text, "wait_seconds_sum") == 1e-9);
    ck_assert(scrape_value(text, "wait_seconds_count") == 1);
    ck_assert_ptr_null(strstr(text, "{}"));
    ck_assert_ptr_null(strstr(text, "{,"));
    free(text);
    metrics_free(metrics);
}
END_TEST

/* How many of the buckets hold one duration of duration_ns. */
static int buckets_of(int64_t duration_ns)
{
    struct metrics *metrics = metrics_new();
    metrics_observe(metrics_histogram(metrics, "d_seconds", "D.", ""), duration_ns);
    char *text = metrics_text(metrics);
    int count = scrape_count(text, "\"} 1\n");
    ck_assert_int_eq(count + scrape_count(text, "\"} 0\n"), SCRAPE_LES);
    free(text);
    metrics_free(metrics);
    return count;
}

START_TEST(test_metrics_bucket_holds_its_upper_end)
{
    for (int i = 0; i < SCRAPE_LES - 1; i++) {
        int64_t upper_ns = (int64_t)llround(strtod(scrape_les[i], NULL) * 1e9);
        ck_assert_int_eq(buckets_of(upper_ns), SCRAPE_LES - i);
        ck_assert_int_eq(buckets_of(upper_ns + 1), SCRAPE_LES - i - 1);
    }
    ck_assert_int_eq(buckets_of(0), SCRAPE_LES);
    ck_assert_int_eq(buckets_of(INT64_MAX), 1);
}
END_TEST

START_TEST(test_metrics_observe_below_zero_counts_as_zero)
{
    struct metrics *metrics = metrics_new();
    struct metrics_histogram *histogram = metrics_histogram(metrics, "d_seconds", "D.", "");
    metrics_observe(histogram, -5 * CLOCK_NS_PER_S);
    metrics_observe(histogram, INT64_MIN);
    ck_assert(scrape_one(metrics, "d_seconds_bucket{le=\"0.0001\"}") == 2);
    ck_assert(scrape_one(metrics, "d_seconds_sum") == 0);
    metrics_free(metrics);
}
END_TEST

START_TEST(test_metrics_loses_nothing_to_rounding)
{
    struct metrics *metrics = metrics_new();
    struct metrics_counter *counter = metrics_counter(metrics, "n_total", "N.", "");
    struct metrics_histogram *histogram = metrics_histogram(metrics, "d_seconds", "D.", "");
    metrics_add(counter, INT64_MAX - 1);
    metrics_add(counter, 1);
    metrics_observe(histogram, INT64_C(9007199254740993));
    metrics_observe(histogram, 2);
    char *text = metrics_text(metrics);
    ck_assert_ptr_nonnull(strstr(text, "\nn_total 9223372036854775807\n"));
    ck_assert_ptr_nonnull(strstr(text, "\nd_seconds_sum 9007199.254740995\n"));
    free(text);
    metrics_free(metrics);
}
END_TEST

/* What a gauge of that value is written as; the caller frees the text that it points into. */
static void expect_real(double value, const char *expected)
{
    struct metrics *metrics = metrics_new();
    metrics_gauge(metrics, "real", "R.", "", scrape_read, &value);
    char *text = metrics_text(metrics);
    const char *got = scrape_find(text, "real");
    ck_assert_ptr_nonnull(got);
    ck_assert_msg(strncmp(got, expected, strlen(expected)) == 0 && got[strlen(expected)] == '\n',
                  "%.17g is written as %.40s", value, got);
    free(text);
    metrics_free(metrics);
}

START_TEST(test_metrics_writes_reals_so_that_they_read_back)
{
    expect_real(0, "0");
    expect_real(0.1, "0.1");
    expect_real(-2.5, "-2.5");
    expect_real(1795373217.64, "1795373217.64");
    expect_real(1.0 / 3, "0.33333333333333331");
    expect_real(9007199254740991, "9007199254740991");
    expect_real(DBL_MAX, "1.7976931348623157e+308");
    expect_real((double)INFINITY, "+Inf");
    expect_real(-(double)INFINITY, "-Inf");
    expect_real((double)NAN, "NaN");
}
END_TEST

START_TEST(test_metrics_sampled_counter_is_read_at_each_scrape)
{
    struct metrics *metrics = metrics_new();
    double count = 3;
    metrics_sampled_counter(metrics, "seen_total", "Seen.", "", scrape_read, &count);
    char *text = metrics_text(metrics);
    ck_assert_ptr_nonnull(strstr(text, "# TYPE seen_total counter\nseen_total 3\n"));
    free(text);
    count = 4;
    ck_assert(scrape_one(metrics, "seen_total") == 4);
    metrics_free(metrics);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_test(tc, test_metrics_text_is_the_format_to_the_letter);
    tcase_add_test(tc, test_metrics_histogram_text_is_the_format_to_the_letter);
    tcase_add_test(tc, test_metrics_without_labels_have_no_empty_braces);
    tcase_add_test(tc, test_metrics_bucket_holds_its_upper_end);
    tcase_add_test(tc, test_metrics_observe_below_zero_counts_as_zero);
    tcase_add_test(tc, test_metrics_loses_nothing_to_rounding);
    tcase_add_test(tc, test_metrics_writes_reals_so_that_they_read_back);
    tcase_add_test(tc, test_metrics_sampled_counter_is_read_at_each_scrape);
}

int main(void)
{
    return test_main("metrics_text", add_tests);
}
