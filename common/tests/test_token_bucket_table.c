/* Tests of common/token_bucket with many keys: the bound, who makes way, who must not, what nobody
 * can foresee, and the counts. Where keys land is drawn anew for every table; what a test asserts
 * holds for all draws but one in 10^6. */
#include "common/token_bucket.h"

#include <stdatomic.h>

#include "common/clock.h"
#include "common/tests/harness.h"

enum {
    KEYS_MAX = 1024,
    BURST = 5,
    FLOOD = 10 * KEYS_MAX,
    FEW = 100, /* a tenth of the table: 1.6 in a shard of 16 */
    LARGE_MAX = 65536,
    LARGE_USED = LARGE_MAX / 10,
    PAIRS = 6400, /* each shares one of 64 shards with key 0: a hundred of them */
    THREADS = 8,
    TAKES_EACH = 20000,
};

static const int64_t NOW_NS = INT64_C(86400) * INT64_C(1000000000);
static const int64_t FULL_NS = BURST * INT64_C(1000000000); /* at one a second */

static struct token_bucket *table;
static pthread_barrier_t start;

static struct token_bucket *make_table(int64_t keys_max)
{
    const struct token_bucket_options options = {
        .per_second = 1, .burst = BURST, .keys_max = keys_max};
    return token_bucket_new(&options);
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

static int64_t take_many(int64_t key, int64_t takes)
{
    int64_t admitted = 0;
    for (int64_t i = 0; i < takes; i++) {
        admitted += take(key, NOW_NS);
    }
    return admitted;
}

static struct token_bucket_stats read_stats(void)
{
    struct token_bucket_stats stats;
    memset(&stats, 0xff, sizeof(stats));
    token_bucket_read_stats(table, &stats);
    return stats;
}

/* Keys that nobody else uses take one token each. */
static void flood(int64_t first, int64_t count)
{
    for (int64_t key = first; key < first + count; key++) {
        ck_assert(take(key, NOW_NS));
    }
}

/* --------------------------------------------------------------------------------- the bound */

START_TEST(test_token_bucket_keeps_at_most_keys_max)
{
    static const int64_t maxima[] = {TOKEN_BUCKET_SHARDS, TOKEN_BUCKET_SHARDS + 1, 1000, KEYS_MAX};
    for (size_t i = 0; i < sizeof(maxima) / sizeof(maxima[0]); i++) {
        token_bucket_free(table);
        table = make_table(maxima[i]);
        for (int64_t key = 0; key < 10 * maxima[i]; key++) {
            ck_assert(take(key, NOW_NS));
            if (key % 100 == 0) {
                ck_assert_int_le(read_stats().keys, maxima[i]);
            }
        }
        struct token_bucket_stats stats = read_stats();
        ck_assert_int_le(stats.keys, maxima[i]);
        ck_assert_int_ge(stats.keys, maxima[i] / 2);
        ck_assert_int_eq(stats.keys + stats.evicted, 10 * maxima[i]);
        ck_assert_int_eq(stats.admitted, 10 * maxima[i]);
        ck_assert_int_eq(stats.refused, 0);
    }
}
END_TEST

/* Of a table that is full of full buckets nobody makes way. */
START_TEST(test_token_bucket_prunes_what_is_full_again)
{
    table = make_table(KEYS_MAX);
    flood(0, FLOOD);
    int64_t evicted = read_stats().evicted;
    for (int round = 1; round <= 100; round++) {
        for (int64_t key = 0; key < FEW; key++) {
            ck_assert(take(round * KEYS_MAX + key, NOW_NS + round * FULL_NS));
        }
        ck_assert_int_eq(read_stats().evicted, evicted);
    }
    ck_assert_int_ge(read_stats().keys, FEW);
    ck_assert_int_lt(read_stats().keys, KEYS_MAX / 2); /* those who were met are gone */
}
END_TEST

/* A single bucket that is full again leaves the table when its own key comes back: no second. */
START_TEST(test_token_bucket_of_a_key_is_one)
{
    table = make_table(KEYS_MAX);
    for (int64_t round = 0; round < 100; round++) {
        ck_assert(take(7, NOW_NS + round * FULL_NS));
        ck_assert_int_eq(read_stats().keys, 1);
    }
}
END_TEST

/* --------------------------------------------------------------------------- who makes way */

static void drain(int64_t first, int64_t count)
{
    for (int64_t key = first; key < first + count; key++) {
        ck_assert_int_eq(take_many(key, BURST + 1), BURST);
    }
}

START_TEST(test_token_bucket_of_who_took_most_is_forgotten_last)
{
    table = make_table(KEYS_MAX);
    drain(1, FEW);
    flood(1000, FLOOD);
    ck_assert_int_gt(read_stats().evicted, FLOOD - KEYS_MAX - 1);
    for (int64_t key = 1; key <= FEW; key++) {
        ck_assert(!take(key, NOW_NS));
    }
}
END_TEST

/* Two tokens taken outlive one, whichever came first. */
START_TEST(test_token_bucket_evicts_by_what_was_taken_not_by_age)
{
    int64_t kept = 0;
    table = make_table(KEYS_MAX);
    for (int64_t key = 1; key <= FEW; key++) {
        ck_assert_int_eq(take_many(key, 2), 2);
    }
    flood(1000, FLOOD);
    for (int64_t key = 1; key <= FEW; key++) {
        kept += take_many(key, BURST) == BURST - 2;
    }
    ck_assert_int_eq(kept, FEW);
}
END_TEST

/* Whoever is over his rate stays so while others come who are over theirs: no token for free. */
START_TEST(test_token_bucket_evicts_nobody_while_few_keys_are_in_use)
{
    table = make_table(LARGE_MAX);
    for (int turn = 0; turn < BURST; turn++) {
        for (int64_t key = 0; key < LARGE_USED; key++) {
            ck_assert(take(key << 20, NOW_NS)); /* ids that differ in few bits */
        }
    }
    for (int64_t key = 0; key < LARGE_USED; key++) {
        ck_assert(!take(key << 20, NOW_NS));
    }
    struct token_bucket_stats stats = read_stats();
    ck_assert_int_eq(stats.evicted, 0);
    ck_assert_int_eq(stats.keys, LARGE_USED);
    ck_assert_int_eq(stats.admitted, BURST * LARGE_USED);
    ck_assert_int_eq(stats.refused, LARGE_USED);
}
END_TEST

/* --------------------------------------------------------------------------------- the hash */

/* Of a table with one slot per shard: which of the keys step, 2 step, .. evict key 0. */
static int64_t find_companions(int64_t step, bool shares[PAIRS])
{
    int64_t count = 0;
    token_bucket_free(table);
    table = make_table(TOKEN_BUCKET_SHARDS);
    for (int64_t i = 0; i < PAIRS; i++) {
        int64_t now_ns = NOW_NS + i * FULL_NS; /* all that was before is full again */
        int64_t evicted_before = read_stats().evicted;
        ck_assert(take(0, now_ns) && take((i + 1) * step, now_ns));
        shares[i] = read_stats().evicted > evicted_before;
        count += shares[i];
    }
    return count;
}

START_TEST(test_token_bucket_spreads_any_row_of_keys)
{
    static const int64_t steps[] = {1, 2, 64, 65536, 1LL << 32, 1LL << 50, 1000003, -1};
    static bool shares[PAIRS];
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        int64_t count = find_companions(steps[i], shares); /* 100 to expect, sigma 10 */
        ck_assert_int_ge(count, 40);
        ck_assert_int_le(count, 160);
    }
}
END_TEST

/* What an attacker learnt from one process does not help with the next. */
START_TEST(test_token_bucket_places_keys_anew_in_every_table)
{
    static bool first[PAIRS], second[PAIRS];
    int64_t common = 0;
    int64_t of_first = find_companions(1, first);
    find_companions(1, second);
    for (int64_t i = 0; i < PAIRS; i++) {
        common += first[i] && second[i];
    }
    ck_assert_int_lt(common, of_first / 3); /* of 100 one or two are */
}
END_TEST

/* ------------------------------------------------------------------------------ many threads */

static atomic_llong admitted;

/* Keys of all threads overlap; each thread's clock goes its own way, a little to and fro. */
static void *mixed_main(void *arg)
{
    uint64_t dice = *(const uint64_t *)arg;
    pthread_barrier_wait(&start);
    for (int i = 0; i < TAKES_EACH; i++) {
        dice = dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        int64_t key = (int64_t)(dice >> 52);
        int64_t now_ns = NOW_NS + i * (CLOCK_NS_PER_MS / 2) - (int64_t)(dice >> 40 & 0xff);
        struct token_bucket_quota quota;
        bool is_admitted = token_bucket_take(table, key, now_ns, &quota);
        atomic_fetch_add(&admitted, is_admitted);
        bool is_sane = quota.left >= 0 && quota.left <= BURST && quota.full_in_ns >= 0 &&
                       quota.full_in_ns <= FULL_NS && quota.admitted == is_admitted &&
                       (quota.retry_after_ns == 0) == (quota.left > 0);
        if (!is_sane) {
            atomic_fetch_sub(&admitted, 1000000);
        }
    }
    return NULL;
}

START_TEST(test_token_bucket_stats_add_up_under_threads)
{
    pthread_t threads[THREADS];
    uint64_t seeds[THREADS];
    table = make_table(KEYS_MAX);
    admitted = 0;
    pthread_barrier_init(&start, NULL, THREADS);
    for (uint64_t i = 0; i < THREADS; i++) {
        seeds[i] = i;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, mixed_main, &seeds[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_barrier_destroy(&start);
    struct token_bucket_stats stats = read_stats();
    ck_assert_int_eq(stats.admitted, admitted);
    ck_assert_int_eq(stats.admitted + stats.refused, THREADS * TAKES_EACH);
    ck_assert_int_gt(stats.refused, 0);
    ck_assert_int_gt(stats.evicted, 0);
    ck_assert_int_ge(stats.keys, 1);
    ck_assert_int_le(stats.keys, KEYS_MAX);
}
END_TEST

START_TEST(test_token_bucket_free_accepts_null)
{
    token_bucket_free(NULL);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, NULL, tear_down);
    tcase_add_test(tc, test_token_bucket_keeps_at_most_keys_max);
    tcase_add_test(tc, test_token_bucket_prunes_what_is_full_again);
    tcase_add_test(tc, test_token_bucket_of_a_key_is_one);
    tcase_add_test(tc, test_token_bucket_of_who_took_most_is_forgotten_last);
    tcase_add_test(tc, test_token_bucket_evicts_by_what_was_taken_not_by_age);
    tcase_add_test(tc, test_token_bucket_evicts_nobody_while_few_keys_are_in_use);
    tcase_add_test(tc, test_token_bucket_spreads_any_row_of_keys);
    tcase_add_test(tc, test_token_bucket_places_keys_anew_in_every_table);
    tcase_add_test(tc, test_token_bucket_stats_add_up_under_threads);
    tcase_add_test(tc, test_token_bucket_free_accepts_null);
}

int main(void)
{
    return test_main("token_bucket_table", add_tests);
}
