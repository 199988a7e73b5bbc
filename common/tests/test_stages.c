/* Tests of common/stages: names and sums. */
#include "common/stages.h"

#include "common/clock.h"
#include "common/tests/harness.h"

START_TEST(test_stages_names_are_distinct)
{
    static const char *const names[] = {"validation", "queue_wait", "pool_wait", "lock_wait",
                                        "statements", "commit",     "reply"};
    ck_assert_uint_eq(sizeof(names) / sizeof(names[0]), STAGE_COUNT);
    for (int stage = 0; stage < STAGE_COUNT; stage++) {
        ck_assert_str_eq(stages_name((enum stage)stage), names[stage]);
    }
    ck_assert_ptr_nonnull(stages_name(STAGE_COUNT));
}
END_TEST

START_TEST(test_stages_add_since_sums_up_in_its_own_stage)
{
    struct stages stages = {{0}};
    int64_t before_ns = clock_now_ns();
    stages_add_since(&stages, STAGE_COMMIT, before_ns - 5 * CLOCK_NS_PER_MS);
    int64_t once_ns = stages.spent_ns[STAGE_COMMIT];
    stages_add_since(&stages, STAGE_COMMIT, before_ns - 7 * CLOCK_NS_PER_MS);
    int64_t after_ns = clock_now_ns();
    ck_assert_int_ge(once_ns, 5 * CLOCK_NS_PER_MS);
    ck_assert_int_ge(stages.spent_ns[STAGE_COMMIT], once_ns + 7 * CLOCK_NS_PER_MS);
    ck_assert_int_le(stages.spent_ns[STAGE_COMMIT],
                     12 * CLOCK_NS_PER_MS + 2 * (after_ns - before_ns));
    for (int stage = 0; stage < STAGE_COUNT; stage++) {
        ck_assert(stage == STAGE_COMMIT || stages.spent_ns[stage] == 0);
    }
}
END_TEST

START_TEST(test_stages_add_since_takes_null)
{
    stages_add_since(NULL, STAGE_REPLY, clock_now_ns());
}
END_TEST

START_TEST(test_stages_other_is_the_total_less_every_stage)
{
    struct stages stages = {{0}};
    int64_t total_ns = 1000;
    int64_t other_ns = total_ns;
    ck_assert_int_eq(stages_other_ns(&stages, total_ns), total_ns);
    for (int stage = 0; stage < STAGE_COUNT; stage++) {
        stages.spent_ns[stage] = stage + 1;
        other_ns -= stage + 1;
        ck_assert_int_eq(stages_other_ns(&stages, total_ns), other_ns);
    }
    ck_assert_int_eq(stages_other_ns(&stages, total_ns - other_ns + 1), 1);
}
END_TEST

START_TEST(test_stages_other_is_not_below_0)
{
    struct stages stages = {{0}};
    stages.spent_ns[STAGE_QUEUE_WAIT] = 1000;
    ck_assert_int_eq(stages_other_ns(&stages, 1000), 0);
    ck_assert_int_eq(stages_other_ns(&stages, 999), 0);
    ck_assert_int_eq(stages_other_ns(&stages, 0), 0);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_test(tc, test_stages_names_are_distinct);
    tcase_add_test(tc, test_stages_add_since_sums_up_in_its_own_stage);
    tcase_add_test(tc, test_stages_add_since_takes_null);
    tcase_add_test(tc, test_stages_other_is_the_total_less_every_stage);
    tcase_add_test(tc, test_stages_other_is_not_below_0);
}

int main(void)
{
    return test_main("stages", add_tests);
}
