/* Tests of common/token_bucket: what one key may take, when, and what it is told. The clock is the
 * test's own, so every count is exact. test_token_bucket_table.c has many keys. */
#include "common/token_bucket.h"

#include "common/clock.h"
#include "common/tests/harness.h"

enum {
    KEYS_MAX = 1024,
    KEY = 7,
    TAKES = 20000,
    THREADS = 8,
    TAKES_EACH = 2000,
    HAMMER_BURST = 5000, /* fewer than all threads ask for */
};

static const int64_t NOW_NS =
    INT64_C(86400) * INT64_C(1000000000); /* the machine is up for a day */

static struct token_bucket *table;
static pthread_barrier_t start;

static void make_table(int64_t per_second, int64_t burst)
{
    const struct token_bucket_options options = {
        .per_second = per_second, .burst = burst, .keys_max = KEYS_MAX};
    token_bucket_free(table);
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

static void expect(int64_t now_ns, bool admitted, int64_t left, int64_t full_in_ns,
                   int64_t retry_after_ns)
{
    struct token_bucket_quota quota;
    memset(&quota, 0xff, sizeof(quota));
    ck_assert_int_eq(token_bucket_take(table, KEY, now_ns, &quota), admitted);
    ck_assert_int_eq(quota.admitted, admitted);
    ck_assert_int_eq(quota.left, left);
    ck_assert_int_eq(quota.full_in_ns, full_in_ns);
    ck_assert_int_eq(quota.retry_after_ns, retry_after_ns);
}

/* ------------------------------------------------------------------------------- one bucket */

START_TEST(test_token_bucket_gives_a_burst_and_no_more)
{
    static const int64_t bursts[] = {1, 2, 3, 10, 999};
    for (size_t i = 0; i < sizeof(bursts) / sizeof(bursts[0]); i++) {
        make_table(3, bursts[i]);
        ck_assert_int_eq(take_many(KEY, NOW_NS, bursts[i] + 5), bursts[i]);
        ck_assert(!take(KEY, NOW_NS));
        ck_assert_int_eq(take_many(KEY + 1, NOW_NS, bursts[i] + 5), bursts[i]);
    }
}
END_TEST

START_TEST(test_token_bucket_works_from_the_start_of_the_clock)
{
    make_table(1, 2);
    ck_assert_int_eq(take_many(KEY, 0, 5), 2);
    ck_assert_int_eq(take_many(KEY, CLOCK_NS_PER_S, 5), 1);
}
END_TEST

START_TEST(test_token_bucket_says_what_is_left_and_when_to_come_again)
{
    const int64_t half_ns = CLOCK_NS_PER_S / 2;
    make_table(2, 3); /* a token comes back in half a second */
    expect(NOW_NS, true, 2, half_ns, 0);
    expect(NOW_NS, true, 1, 2 * half_ns, 0);
    expect(NOW_NS, true, 0, 3 * half_ns, half_ns);
    expect(NOW_NS, false, 0, 3 * half_ns, half_ns);
    expect(NOW_NS + 1, false, 0, 3 * half_ns - 1, half_ns - 1);
    expect(NOW_NS + half_ns - 1, false, 0, 2 * half_ns + 1, 1);
    expect(NOW_NS + half_ns, true, 0, 3 * half_ns, half_ns);
    expect(NOW_NS + half_ns, false, 0, 3 * half_ns, half_ns);
    expect(NOW_NS + 3 * half_ns - 1, true, 0, 2 * half_ns + 1, 1);
    expect(NOW_NS + 3 * half_ns, true, 0, 3 * half_ns, half_ns);
    expect(NOW_NS + 60 * half_ns, true, 2, half_ns, 0); /* full, and fuller than full is nothing */
}
END_TEST

START_TEST(test_token_bucket_takes_back_exactly_when_it_said)
{
    static const int64_t rates[] = {1, 3, 7, 1000, 999983, 1000000};
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        struct token_bucket_quota quota = {0};
        int64_t now_ns = NOW_NS;
        make_table(rates[i], 5);
        ck_assert_int_eq(take_many(KEY, now_ns, 6), 5);
        for (int round = 0; round < 1000; round++) {
            ck_assert(!token_bucket_take(table, KEY, now_ns, &quota));
            ck_assert_int_ge(quota.retry_after_ns, 1);
            ck_assert(!take(KEY, now_ns + quota.retry_after_ns - 1));
            now_ns += quota.retry_after_ns;
            ck_assert(take(KEY, now_ns));
        }
    }
}
END_TEST

START_TEST(test_token_bucket_refills_over_time)
{
    const int64_t third_ns = CLOCK_NS_PER_S / 3 + 1; /* a third of a second, rounded up */
    make_table(3, 6);
    ck_assert_int_eq(take_many(KEY, NOW_NS, 10), 6);
    ck_assert_int_eq(take_many(KEY, NOW_NS + third_ns - 1, 10), 0);
    ck_assert_int_eq(take_many(KEY, NOW_NS + third_ns, 10), 1);
    ck_assert_int_eq(take_many(KEY, NOW_NS + 3 * third_ns, 10), 2);
    ck_assert_int_eq(take_many(KEY, NOW_NS + 8 * third_ns + third_ns / 2, 10), 5);
    ck_assert_int_eq(take_many(KEY, NOW_NS + 9 * third_ns - 1, 10), 0); /* the half was kept: */
    ck_assert_int_eq(take_many(KEY, NOW_NS + 9 * third_ns, 10), 1);     /* no longer to wait */
    ck_assert_int_eq(take_many(KEY, NOW_NS + 3600 * CLOCK_NS_PER_S, 10), 6);
}
END_TEST

START_TEST(test_token_bucket_keys_are_independent)
{
    static const int64_t keys[] = {0,         1,  -1,        2,         INT64_MAX,
                                   INT64_MIN, 64, 1LL << 32, 1LL << 58, -(1LL << 6)};
    const size_t count = sizeof(keys) / sizeof(keys[0]);
    make_table(1, 4);
    for (int turn = 0; turn < 4; turn++) {
        for (size_t i = 0; i < count; i++) {
            ck_assert(take(keys[i], NOW_NS));
        }
    }
    for (size_t i = 0; i < count; i++) {
        ck_assert(!take(keys[i], NOW_NS));
    }
}
END_TEST

/* -------------------------------------------------------------------------------- any window */

/* In no window from one admission to another more than burst + per_second * its length. */
static void expect_no_window_over(const int64_t *admitted_ns, size_t count, int64_t per_second,
                                  int64_t burst)
{
    for (size_t from = 0; from < count; from++) {
        for (size_t to = from; to < count; to++) {
            int64_t over = (int64_t)(to - from) + 1 - burst;
            int64_t window_ns = admitted_ns[to] - admitted_ns[from];
            if (over * CLOCK_NS_PER_S > per_second * window_ns) {
                ck_abort_msg("%lld over a burst in %lld ns", (long long)over, (long long)window_ns);
            }
        }
    }
}

/* One who asks at random times, about twice as often as he may, with pauses. */
static size_t ask_at_random(int64_t per_second, int64_t *admitted_ns, size_t max)
{
    const int64_t interval_ns = CLOCK_NS_PER_S / per_second;
    int64_t now_ns = NOW_NS;
    uint64_t dice = 1;
    size_t count = 0;
    for (int i = 0; i < TAKES && count < max; i++) {
        dice = dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        now_ns += (int64_t)((dice >> 33) % (uint64_t)interval_ns);
        now_ns += dice >> 57 == 0 ? 20 * interval_ns : 0;
        if (take(KEY, now_ns)) {
            admitted_ns[count++] = now_ns;
        }
    }
    return count;
}

START_TEST(test_token_bucket_admits_no_more_than_the_rate_in_any_window)
{
    static const int64_t cases[][2] = {{1, 1}, {3, 3}, {7, 5}, {10, 100}, {999, 4}, {1000000, 10}};
    static int64_t admitted_ns[4000];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        make_table(cases[i][0], cases[i][1]);
        size_t count = ask_at_random(cases[i][0], admitted_ns, 4000);
        ck_assert_uint_ge(count, 4000);
        expect_no_window_over(admitted_ns, count, cases[i][0], cases[i][1]);
    }
}
END_TEST

/* And not less, but for the rounding that the header of the .c names: 0.1 % at the most. */
START_TEST(test_token_bucket_gives_all_of_the_rate)
{
    static const int64_t rates[] = {1, 3, 7, 999, 1000, 700001, 999999, 1000000};
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        int64_t step_ns = CLOCK_NS_PER_S / (rates[i] * 10);
        int64_t admitted = 0;
        int64_t asks = 10 * 2000; /* for the time of 2000 tokens, ten times a token */
        make_table(rates[i], 1);
        for (int64_t ask = 0; ask <= asks; ask++) {
            admitted += take(KEY, NOW_NS + ask * step_ns);
        }
        double due = (double)rates[i] * (double)(asks * step_ns) / 1e9;
        /* Who asks ten times a token comes up to a tenth of one late. */
        ck_assert_double_ge((double)admitted, due / 1.1 * 0.999);
        ck_assert_double_le((double)admitted, 1 + due);
    }
}
END_TEST

START_TEST(test_token_bucket_takes_a_late_clock_without_harm)
{
    struct token_bucket_quota quota = {0};
    make_table(1000, 2);
    ck_assert_int_eq(take_many(KEY, NOW_NS, 3), 2);
    ck_assert_int_eq(take_many(KEY, NOW_NS - CLOCK_NS_PER_MS, 3), 0);
    ck_assert_int_eq(take_many(KEY, 0, 3), 0);
    ck_assert(!token_bucket_take(table, KEY, NOW_NS - CLOCK_NS_PER_S, &quota));
    ck_assert_int_eq(quota.left, 0);
    ck_assert_int_eq(quota.retry_after_ns, CLOCK_NS_PER_MS); /* as of the latest time it knows */
    ck_assert_int_eq(quota.full_in_ns, 2 * CLOCK_NS_PER_MS);
    /* Full again at that time, found so and taken by one; the late one gets the rest, not more. */
    ck_assert(take(KEY, NOW_NS + 2 * CLOCK_NS_PER_MS));
    ck_assert_int_eq(take_many(KEY, NOW_NS + 1, 3), 1);
}
END_TEST

/* ------------------------------------------------------------------------------------ limits */

START_TEST(test_token_bucket_the_largest_burst_and_rate)
{
    make_table(1000000, 1000000);
    ck_assert_int_eq(take_many(KEY, NOW_NS, 1000010), 1000000);
    ck_assert_int_eq(take_many(KEY, NOW_NS + 999, 10), 0);
    ck_assert_int_eq(take_many(KEY, NOW_NS + 1000, 10), 1);
    ck_assert_int_eq(take_many(KEY, NOW_NS + 1000 + 5000, 10), 5);
}
END_TEST

/* The largest burst refills for eleven days; the clock is as late as it can be. */
START_TEST(test_token_bucket_the_slowest_and_the_latest)
{
    const int64_t burst = 1000000;
    const int64_t last_ns = INT64_MAX - burst * CLOCK_NS_PER_S;
    make_table(1, burst);
    expect(last_ns, true, burst - 1, CLOCK_NS_PER_S, 0);
    ck_assert_int_eq(take_many(KEY, last_ns, burst), burst - 1);
    expect(last_ns, false, 0, burst * CLOCK_NS_PER_S, CLOCK_NS_PER_S);
}
END_TEST

/* ------------------------------------------------------------------------------ many threads */

static void *hammer_main(void *arg)
{
    int64_t *admitted = arg;
    pthread_barrier_wait(&start);
    *admitted = take_many(KEY, NOW_NS, TAKES_EACH);
    return NULL;
}

START_TEST(test_token_bucket_counts_exactly_under_threads)
{
    pthread_t threads[THREADS];
    int64_t admitted[THREADS];
    int64_t total = 0;
    struct token_bucket_stats stats;
    make_table(1, HAMMER_BURST);
    pthread_barrier_init(&start, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, hammer_main, &admitted[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        total += admitted[i];
    }
    pthread_barrier_destroy(&start);
    token_bucket_read_stats(table, &stats);
    ck_assert_int_eq(total, HAMMER_BURST);
    ck_assert_int_eq(stats.admitted, HAMMER_BURST);
    ck_assert_int_eq(stats.refused, THREADS * TAKES_EACH - HAMMER_BURST);
    ck_assert_int_eq(stats.keys, 1);
    ck_assert_int_eq(stats.evicted, 0);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, NULL, tear_down);
    tcase_add_test(tc, test_token_bucket_gives_a_burst_and_no_more);
    tcase_add_test(tc, test_token_bucket_works_from_the_start_of_the_clock);
    tcase_add_test(tc, test_token_bucket_says_what_is_left_and_when_to_come_again);
    tcase_add_test(tc, test_token_bucket_takes_back_exactly_when_it_said);
    tcase_add_test(tc, test_token_bucket_refills_over_time);
    tcase_add_test(tc, test_token_bucket_keys_are_independent);
    tcase_add_test(tc, test_token_bucket_admits_no_more_than_the_rate_in_any_window);
    tcase_add_test(tc, test_token_bucket_gives_all_of_the_rate);
    tcase_add_test(tc, test_token_bucket_takes_a_late_clock_without_harm);
    tcase_add_test(tc, test_token_bucket_the_largest_burst_and_rate);
    tcase_add_test(tc, test_token_bucket_the_slowest_and_the_latest);
    tcase_add_test(tc, test_token_bucket_counts_exactly_under_threads);
}

int main(void)
{
    return test_main("token_bucket", add_tests);
}
