/* test_loadgen_hist: the histogram against exact percentiles of the sorted values, the timers
 * against a sort. Seeds are fixed: no run differs. */
#include "common/tests/harness.h"

#include "common/clock.h"
#include "harness/loadgen/hist.h"
#include "harness/loadgen/rng.h"
#include "harness/loadgen/timers.h"

#include <math.h>

enum { VALUES = 100000, TIMER_OPS = 5000 };

/* ------------------------------------------------------------------------------- histogram */

static int compare_values(const void *a, const void *b)
{
    const int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

static int64_t exact_percentile(const int64_t *sorted, size_t count, double percent)
{
    const double rank = ceil(percent / 100.0 * (double)count - 1e-9);
    return sorted[rank < 1.0 ? 0 : (size_t)rank - 1];
}

static void check_percentiles(int64_t *values, size_t count)
{
    static const double percents[] = {0.0, 1.0, 50.0, 90.0, 95.0, 99.0, 99.9, 99.99, 100.0};
    struct hist *hist = hist_create();
    for (size_t i = 0; i < count; i++) {
        hist_record(hist, values[i]);
    }
    qsort(values, count, sizeof(values[0]), compare_values);
    for (size_t i = 0; i < sizeof(percents) / sizeof(percents[0]); i++) {
        const int64_t exact = exact_percentile(values, count, percents[i]);
        const int64_t got = hist_percentile_us(hist, percents[i]);
        /* Never below, never more than one part in a thousand above. */
        ck_assert_int_ge(got, exact);
        ck_assert_int_le(got, exact + exact / 1000 + 1);
    }
    ck_assert_int_eq(hist->count, (int64_t)count);
    ck_assert_int_eq(hist->min_us, values[0]);
    ck_assert_int_eq(hist->max_us, values[count - 1]);
    free(hist);
}

START_TEST(test_hist_percentiles_match_exact_ones_over_the_whole_range)
{
    static int64_t values[VALUES];
    struct rng rng;
    rng_seed(&rng, 7, RNG_ORDER_TIMES);
    for (size_t i = 0; i < VALUES; i++) {
        /* Log-uniform from 1 us to 10 minutes. */
        values[i] = (int64_t)exp(rng_unit(&rng) * log((double)HIST_MAX_US));
    }
    check_percentiles(values, VALUES);
}
END_TEST

START_TEST(test_hist_percentiles_match_exact_ones_of_few_values)
{
    int64_t one[] = {20143};
    int64_t two[] = {5, 100000};
    int64_t hundred[100];
    for (int i = 0; i < 100; i++) {
        hundred[i] = 100 - i;
    }
    check_percentiles(one, 1);
    check_percentiles(two, 2);
    check_percentiles(hundred, 100);
}
END_TEST

START_TEST(test_hist_every_value_lies_in_a_bucket_no_wider_than_a_thousandth)
{
    struct hist *hist = hist_create();
    for (int64_t value = 1; value <= HIST_MAX_US; value += 1 + value / 700) {
        hist_record(hist, HIST_MAX_US); /* so that max_us does not cut the answer */
        hist_record(hist, value);
        const int64_t got = hist_percentile_us(hist, 50.0);
        ck_assert_int_ge(got, value);
        ck_assert_int_le(got - value, value / 1000);
        hist_clear(hist);
    }
    free(hist);
}
END_TEST

START_TEST(test_hist_clamps_what_is_out_of_range)
{
    struct hist *hist = hist_create();
    ck_assert_int_eq(hist_percentile_us(hist, 99.0), 0);
    hist_record(hist, -5);
    hist_record(hist, INT64_MAX);
    ck_assert_int_eq(hist->min_us, 0);
    ck_assert_int_eq(hist_percentile_us(hist, 100.0), HIST_MAX_US);
    hist_clear(hist);
    hist_record_ns(hist, 1499);
    hist_record_ns(hist, 1500);
    ck_assert_int_eq(hist->min_us, 1);
    ck_assert_int_eq(hist->max_us, 2);
    ck_assert_double_eq_tol(hist_mean_us(hist), 1.5, 1e-9);
    free(hist);
}
END_TEST

/* ------------------------------------------------------------------------------- timers */

START_TEST(test_timers_give_back_in_order_whatever_was_moved_and_cancelled)
{
    static struct op ops[TIMER_OPS];
    struct timers timers = {0};
    struct rng rng;
    rng_seed(&rng, 16, RNG_ORDER_TIMES);
    ck_assert_int_eq(timers_next_ns(&timers), CLOCK_NEVER);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < TIMER_OPS; i++) {
            timers_set(&timers, &ops[i], rng_between(&rng, 0, 1000000));
        }
    }
    for (size_t i = 0; i < TIMER_OPS; i += 3) {
        timers_cancel(&timers, &ops[i]);
        timers_cancel(&timers, &ops[i]);
    }
    ck_assert_uint_eq(timers.count, TIMER_OPS - (TIMER_OPS + 2) / 3);
    ck_assert_ptr_null(timers_take_due(&timers, -1));
    size_t taken = 0;
    int64_t last_ns = 0;
    for (struct op *op; (op = timers_take_due(&timers, CLOCK_NEVER)) != NULL; taken++) {
        ck_assert_int_ge(op->timer_ns, last_ns);
        ck_assert_uint_ne((size_t)(op - ops) % 3, 0);
        last_ns = op->timer_ns;
    }
    ck_assert_uint_eq(taken, TIMER_OPS - (TIMER_OPS + 2) / 3);
    timers_destroy(&timers);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_test(tc, test_hist_percentiles_match_exact_ones_over_the_whole_range);
    tcase_add_test(tc, test_hist_percentiles_match_exact_ones_of_few_values);
    tcase_add_test(tc, test_hist_every_value_lies_in_a_bucket_no_wider_than_a_thousandth);
    tcase_add_test(tc, test_hist_clamps_what_is_out_of_range);
    tcase_add_test(tc, test_timers_give_back_in_order_whatever_was_moved_and_cancelled);
}

int main(void)
{
    return test_main("loadgen_hist", add_tests);
}
