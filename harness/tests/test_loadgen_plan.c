/* test_loadgen_plan: the arrivals against what a Poisson process is, plans against themselves (same
 * seed; saved and loaded). Statistical bounds are wide (six standard errors) and the seeds are
 * fixed: no run differs. */
#include "common/tests/harness.h"

#include "common/xalloc.h"
#include "harness/loadgen/plan.h"

#include <math.h>

static struct plan_spec *spec_of(double rate, double duration_s, uint64_t seed)
{
    struct plan_spec *spec = xcalloc(1, sizeof(*spec));
    spec->shape = SHAPE_STEPS;
    spec->steps[0] = (struct plan_step){rate, duration_s};
    spec->step_count = rate > 0.0 ? 1 : 0;
    spec->duration_s = duration_s;
    spec->seed = seed;
    memcpy(spec->path, "/health", sizeof("/health"));
    spec->mix.first_user = 1;
    spec->mix.quantity_min = spec->mix.quantity_max = 1;
    spec->mix.sales[0] = 1;
    spec->mix.sale_count = 1;
    return spec;
}

static struct plan *plan_of(const struct plan_spec *spec)
{
    struct plan *plan = NULL;
    ck_assert_int_eq(plan_create(spec, &plan), ST_OK);
    return plan;
}

static char *text_of(const struct plan *plan)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    ck_assert_int_eq(plan_save(plan, file), ST_OK);
    fclose(file);
    return text;
}

START_TEST(test_plan_gaps_have_the_mean_and_variance_of_a_poisson_process)
{
    const double rate = 2000.0;
    struct plan_spec *spec = spec_of(rate, 60.0, 3);
    struct plan *plan = plan_of(spec);
    double sum = 0.0, squares = 0.0;
    for (size_t i = 1; i < plan->count; i++) {
        const double gap_s =
            (double)(plan->arrivals[i].due_us - plan->arrivals[i - 1].due_us) / 1e6;
        sum += gap_s;
        squares += gap_s * gap_s;
    }
    const double n = (double)plan->count - 1.0;
    const double mean = sum / n;
    const double variance = squares / n - mean * mean;
    /* Exponential gaps: standard error of the mean 1/sqrt(n), of the variance sqrt(8/n). */
    ck_assert_double_eq_tol(mean * rate, 1.0, 6.0 / sqrt(n));
    ck_assert_double_eq_tol(variance * rate * rate, 1.0, 6.0 * sqrt(8.0 / n));
    plan_destroy(plan);
    free(spec);
}
END_TEST

static size_t arrivals_between(const struct plan *plan, double from_s, double to_s)
{
    size_t count = 0;
    for (size_t i = 0; i < plan->count; i++) {
        const double at_s = (double)plan->arrivals[i].due_us / 1e6;
        count += at_s >= from_s && at_s < to_s ? 1 : 0;
    }
    return count;
}

static void check_count(size_t got, double expected)
{
    ck_assert_double_eq_tol((double)got, expected, 6.0 * sqrt(expected) + 1e-9);
}

START_TEST(test_plan_steps_have_their_rates_and_warmup_the_first)
{
    struct plan_spec *spec = spec_of(400.0, 5.0, 4);
    spec->steps[1] = (struct plan_step){0.0, 2.0};
    spec->steps[2] = (struct plan_step){3000.0, 3.0};
    spec->step_count = 3;
    spec->duration_s = 10.0;
    spec->warmup_s = 2.0;
    struct plan *plan = plan_of(spec);
    check_count(arrivals_between(plan, 0.0, 2.0), 800.0);
    check_count(arrivals_between(plan, 2.0, 7.0), 2000.0);
    ck_assert_uint_eq(arrivals_between(plan, 7.0, 9.0), 0);
    check_count(arrivals_between(plan, 9.0, 12.0), 9000.0);
    ck_assert_uint_eq(arrivals_between(plan, 12.0, 1e9), 0);
    plan_destroy(plan);
    free(spec);
}
END_TEST

START_TEST(test_plan_flash_crowd_decays_from_peak_to_base)
{
    struct plan_spec *spec = spec_of(0.0, 10.0, 5);
    spec->shape = SHAPE_FLASH;
    spec->flash_peak = 5000.0;
    spec->flash_base = 100.0;
    spec->flash_decay_s = 1.0;
    struct plan *plan = plan_of(spec);
    /* The integral of base + (peak - base) e^-t. */
    check_count(arrivals_between(plan, 0.0, 1.0), 100.0 + 4900.0 * (1.0 - exp(-1.0)));
    check_count(arrivals_between(plan, 8.0, 10.0), 200.0 + 4900.0 * (exp(-8.0) - exp(-10.0)));
    plan_destroy(plan);
    free(spec);
}
END_TEST

START_TEST(test_plan_is_the_same_for_the_same_seed_and_another_for_another)
{
    struct plan_spec *spec = spec_of(500.0, 4.0, 11);
    spec->read_rate = 50.0;
    spec->mix.users = 10;
    struct plan *plans[] = {plan_of(spec), plan_of(spec), NULL};
    spec->seed = 12;
    plans[2] = plan_of(spec);
    char *texts[3];
    for (int i = 0; i < 3; i++) {
        texts[i] = text_of(plans[i]);
    }
    ck_assert_str_eq(texts[0], texts[1]);
    ck_assert_str_ne(texts[0], texts[2]);
    for (int i = 0; i < 3; i++) {
        free(texts[i]);
        plan_destroy(plans[i]);
    }
    free(spec);
}
END_TEST

START_TEST(test_plan_orders_do_not_depend_on_reads_and_probes)
{
    struct plan_spec *spec = spec_of(300.0, 3.0, 13);
    spec->mix.users = 1000;
    struct plan *alone = plan_of(spec);
    spec->read_rate = 700.0;
    spec->probe_rate = 20.0;
    struct plan *mixed = plan_of(spec);
    size_t orders = 0;
    int64_t last_us = 0;
    for (size_t i = 0; i < mixed->count; i++) {
        ck_assert_int_ge(mixed->arrivals[i].due_us, last_us);
        last_us = mixed->arrivals[i].due_us;
        if (mixed->arrivals[i].kind == PLAN_ORDER) {
            ck_assert_uint_lt(orders, alone->count);
            ck_assert_int_eq(mixed->arrivals[i].due_us, alone->arrivals[orders].due_us);
            ck_assert_int_eq(mixed->arrivals[i].user, alone->arrivals[orders].user);
            orders++;
        }
    }
    ck_assert_uint_eq(orders, alone->count);
    check_count(mixed->count - orders, 720.0 * 3.0);
    plan_destroy(alone);
    plan_destroy(mixed);
    free(spec);
}
END_TEST

START_TEST(test_plan_mix_stays_in_its_ranges_and_uses_all_of_them)
{
    struct plan_spec *spec = spec_of(1000.0, 5.0, 14);
    bool user_seen[5] = {false}, sale_seen[3] = {false}, quantity_seen[4] = {false};
    spec->mix.first_user = 100;
    spec->mix.users = 5;
    spec->mix.quantity_max = 3;
    spec->mix.sales[0] = 4, spec->mix.sales[1] = 5, spec->mix.sales[2] = 6;
    spec->mix.sale_count = 3;
    struct plan *plan = plan_of(spec);
    for (size_t i = 0; i < plan->count; i++) {
        const struct plan_arrival *arrival = &plan->arrivals[i];
        ck_assert(arrival->user >= 100 && arrival->user < 105);
        ck_assert(arrival->sale >= 4 && arrival->sale <= 6);
        ck_assert(arrival->quantity >= 1 && arrival->quantity <= 3);
        user_seen[arrival->user - 100] = sale_seen[arrival->sale - 4] = true;
        quantity_seen[arrival->quantity] = true;
    }
    ck_assert(user_seen[0] && user_seen[1] && user_seen[2] && user_seen[3] && user_seen[4]);
    ck_assert(sale_seen[0] && sale_seen[1] && sale_seen[2]);
    ck_assert(quantity_seen[1] && quantity_seen[2] && quantity_seen[3]);
    plan_destroy(plan);
    free(spec);
}
END_TEST

static enum status load_text(const char *text, struct plan **out, size_t *line)
{
    char copy[1024];
    snprintf(copy, sizeof(copy), "%s", text);
    FILE *file = fmemopen(copy, strlen(copy), "r");
    const enum status status = plan_load(file, out, line);
    fclose(file);
    return status;
}

START_TEST(test_plan_survives_being_saved_and_loaded)
{
    struct plan_spec *spec = spec_of(200.0, 3.0, 15);
    spec->read_rate = 40.0;
    spec->probe_rate = 10.0;
    spec->warmup_s = 1.5;
    struct plan *plan = plan_of(spec);
    char *text = text_of(plan);
    FILE *file = fmemopen(text, strlen(text), "r");
    struct plan *loaded = NULL;
    size_t line = 0;
    ck_assert_int_eq(plan_load(file, &loaded, &line), ST_OK);
    fclose(file);
    char *again = text_of(loaded);
    ck_assert_str_eq(text, again);
    ck_assert_int_eq(loaded->warmup_us, 1500000);
    free(text);
    free(again);
    plan_destroy(plan);
    plan_destroy(loaded);
    free(spec);
}
END_TEST

START_TEST(test_plan_load_names_the_line_that_is_wrong)
{
#define HEAD "#flashdeal-plan 1\n#seed 1 warmup_us 0 window_us 1000000 path /health\n"
    static const struct {
        const char *text;
        size_t line;
    } bad[] = {
        {"#flashdeal-plan 2\n", 1},
        {"#flashdeal-plan 1\n#seed x\n", 2},
        {HEAD, 2},
        {HEAD "5\torder\t1\t1\t1\n4\torder\t1\t1\t1\n", 4},
        {HEAD "5\tordr\t1\t1\t1\n", 3},
        {HEAD "5\torder\t1\t1\n", 3},
        {HEAD "5\torder\t1\t-1\t1\n", 3},
        {HEAD "5\torder\t1\t1\t1", 3},
        {HEAD "5000000\torder\t1\t1\t1\n", 3},
        {HEAD "99999999999999999999\torder\t1\t1\t1\n", 3},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct plan *plan = NULL;
        size_t line = 0;
        ck_assert_int_eq(load_text(bad[i].text, &plan, &line), ST_INVALID);
        ck_assert_uint_eq(line, bad[i].line);
        ck_assert_ptr_null(plan);
    }
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_test(tc, test_plan_gaps_have_the_mean_and_variance_of_a_poisson_process);
    tcase_add_test(tc, test_plan_steps_have_their_rates_and_warmup_the_first);
    tcase_add_test(tc, test_plan_flash_crowd_decays_from_peak_to_base);
    tcase_add_test(tc, test_plan_is_the_same_for_the_same_seed_and_another_for_another);
    tcase_add_test(tc, test_plan_orders_do_not_depend_on_reads_and_probes);
    tcase_add_test(tc, test_plan_mix_stays_in_its_ranges_and_uses_all_of_them);
    tcase_add_test(tc, test_plan_survives_being_saved_and_loaded);
    tcase_add_test(tc, test_plan_load_names_the_line_that_is_wrong);
}

int main(void)
{
    return test_main("loadgen_plan", add_tests);
}
