/* Tests of token_bucket_give_back: what was admitted and not done is as if it had never been asked
 * for, exactly, and no more than that. */
#include "common/token_bucket.h"

#include "common/clock.h"
#include "common/tests/harness.h"

enum {
    KEYS_MAX = 1024,
    FLOOD = 10 * KEYS_MAX,
    KEY = 7,
    THREADS = 8,
    TAKES_EACH = 2000,
};

static const int64_t NOW_NS =
    INT64_C(86400) * INT64_C(1000000000); /* the machine is up for a day */

static struct token_bucket *table;
static pthread_barrier_t start;

static void make_table(int64_t per_second, int64_t burst)
{
    const struct token_bucket_options options = {
        .per_second = per_second, .burst = burst, .keys_max = KEYS_MAX};
    table = token_bucket_new(&options);
}

static void tear_down(void)
{
    token_bucket_free(table);
    table = NULL;
}

static bool take(int64_t key, int64_t now_ns)
{
    return token_bucket_take(table, key, now_ns, NULL);
}

/* How many of `takes` in a row at one time are admitted. */
static int64_t take_many(int64_t key, int64_t now_ns, int64_t takes)
{
    int64_t admitted = 0;
    for (int64_t i = 0; i < takes; i++) {
        admitted += take(key, now_ns);
    }
    return admitted;
}

START_TEST(test_give_back_undoes_a_take)
{
    struct token_bucket_quota quota;
    make_table(1, 5);
    for (int round = 0; round < 100; round++) {
        ck_assert(take(KEY, NOW_NS));
        token_bucket_give_back(table, KEY);
    }
    ck_assert_int_eq(take_many(KEY, NOW_NS, 10), 5);
    token_bucket_give_back(table, KEY);
    token_bucket_give_back(table, KEY);
    ck_assert_int_eq(take_many(KEY, NOW_NS, 10), 2);
    token_bucket_give_back(table, KEY);
    ck_assert(token_bucket_take(table, KEY, NOW_NS, &quota));
    ck_assert_int_eq(quota.left, 0);
    ck_assert_int_eq(quota.full_in_ns, 5 * CLOCK_NS_PER_S);
}
END_TEST

START_TEST(test_give_back_never_fills_above_the_burst)
{
    struct token_bucket_stats stats;
    make_table(1, 5);
    ck_assert_int_eq(take_many(KEY, NOW_NS, 3), 3);
    for (int i = 0; i < 10; i++) {
        token_bucket_give_back(table, KEY);
    }
    token_bucket_read_stats(table, &stats);
    ck_assert_int_eq(stats.keys, 0);
    ck_assert_int_eq(stats.admitted, 3);
    ck_assert_int_eq(take_many(KEY, NOW_NS, 10), 5);
    /* With half a token in it: the last one given back does not fit as a whole. */
    ck_assert(!take(KEY, NOW_NS + CLOCK_NS_PER_S / 2));
    for (int i = 0; i < 10; i++) {
        token_bucket_give_back(table, KEY);
    }
    ck_assert_int_eq(take_many(KEY, NOW_NS + CLOCK_NS_PER_S / 2, 10), 5);
    ck_assert_int_eq(take_many(KEY, 2 * NOW_NS, 10), 5);
}
END_TEST

/* In an empty table, and in a full one, where the key's places are other keys'. */
START_TEST(test_give_back_to_an_unknown_key_does_nothing)
{
    struct token_bucket_stats before, after;
    make_table(1, 5);
    token_bucket_give_back(table, KEY);
    ck_assert_int_eq(take_many(KEY, NOW_NS, 10), 5);
    for (int64_t key = KEY + 1; key <= KEY + FLOOD; key++) {
        take(key, NOW_NS);
    }
    token_bucket_read_stats(table, &before);
    ck_assert_int_ge(before.keys, KEYS_MAX / 2);
    for (int64_t key = KEY + FLOOD + 1; key <= KEY + 2 * FLOOD; key++) {
        token_bucket_give_back(table, key);
    }
    token_bucket_read_stats(table, &after);
    ck_assert_int_eq(after.keys, before.keys);
    ck_assert(!take(KEY, NOW_NS));
}
END_TEST

START_TEST(test_give_back_works_from_the_start_of_the_clock)
{
    struct token_bucket_stats stats;
    make_table(1, 5);
    ck_assert(take(KEY, 0));
    token_bucket_give_back(table, KEY);
    token_bucket_read_stats(table, &stats);
    ck_assert_int_eq(stats.keys, 0);
    ck_assert_int_eq(take_many(KEY, 0, 10), 5);
}
END_TEST

/* Keeps every other admission; gives the rest back. */
static void *waver_main(void *arg)
{
    int64_t *kept = arg;
    pthread_barrier_wait(&start);
    for (int i = 0; i < TAKES_EACH; i++) {
        bool admitted = take(KEY, NOW_NS);
        if (admitted && i % 2 == 0) {
            token_bucket_give_back(table, KEY);
        } else {
            *kept += admitted;
        }
    }
    return NULL;
}

START_TEST(test_give_back_is_exact_under_threads)
{
    pthread_t threads[THREADS];
    int64_t kept[THREADS] = {0};
    int64_t total = 0;
    make_table(1, THREADS * TAKES_EACH);
    pthread_barrier_init(&start, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, waver_main, &kept[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        total += kept[i];
    }
    pthread_barrier_destroy(&start);
    ck_assert_int_eq(total, THREADS * TAKES_EACH / 2);
    ck_assert_int_eq(take_many(KEY, NOW_NS, 2 * THREADS * TAKES_EACH), THREADS * TAKES_EACH / 2);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, NULL, tear_down);
    tcase_add_test(tc, test_give_back_undoes_a_take);
    tcase_add_test(tc, test_give_back_never_fills_above_the_burst);
    tcase_add_test(tc, test_give_back_to_an_unknown_key_does_nothing);
    tcase_add_test(tc, test_give_back_works_from_the_start_of_the_clock);
    tcase_add_test(tc, test_give_back_is_exact_under_threads);
}

int main(void)
{
    return test_main("token_bucket_give_back", add_tests);
}
