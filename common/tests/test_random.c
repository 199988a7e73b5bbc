/* Tests of common/random: the range, evenness as far as a test can tell, and a generator of its own
 * for each thread. The bounds are 6 standard deviations and more: by chance, once in 10^8 runs. */
#include "common/random.h"

#include "common/tests/harness.h"

enum {
    DRAWS = 100000,
    DIGITS = 10,
    PER_DIGIT = DRAWS / DIGITS,
    SPREAD = 600, /* 6 sigma of a binomial of 100,000 at 1/10 */
    THREADS = 8,
    DRAWS_EACH = 1000,
};

static pthread_barrier_t start;
static uint64_t drawn[THREADS * DRAWS_EACH];

START_TEST(test_random_below_stays_below_and_reaches_every_number)
{
    for (uint64_t limit = 1; limit <= 65; limit++) {
        bool seen[65] = {false};
        uint64_t missing = limit;
        for (int i = 0; i < DRAWS && missing > 0; i++) {
            uint64_t number = random_below(limit);
            ck_assert_uint_lt(number, limit);
            missing -= !seen[number];
            seen[number] = true;
        }
        ck_assert_uint_eq(missing, 0);
    }
}
END_TEST

START_TEST(test_random_below_1_is_0)
{
    for (int i = 0; i < 100; i++) {
        ck_assert_uint_eq(random_below(1), 0);
    }
}
END_TEST

START_TEST(test_random_below_is_even)
{
    int count[DIGITS] = {0};
    for (int i = 0; i < DRAWS; i++) {
        count[random_below(DIGITS)]++;
    }
    for (int digit = 0; digit < DIGITS; digit++) {
        ck_assert_int_ge(count[digit], PER_DIGIT - SPREAD);
        ck_assert_int_le(count[digit], PER_DIGIT + SPREAD);
    }
}
END_TEST

/* Of three quarters of all 64-bit numbers the lowest third comes up once in three; were the draw
 * only taken modulo the limit, once in two. */
START_TEST(test_random_below_does_not_favour_the_small_numbers)
{
    const uint64_t quarter = UINT64_C(1) << 62;
    int low = 0;
    for (int i = 0; i < DRAWS; i++) {
        low += random_below(3 * quarter) < quarter;
    }
    ck_assert_int_ge(low, DRAWS / 3 - 2 * SPREAD);
    ck_assert_int_le(low, DRAWS / 3 + 2 * SPREAD);
}
END_TEST

/* Every bit is 1 half of the time. */
START_TEST(test_random_below_uses_every_bit)
{
    int ones[64] = {0};
    for (int i = 0; i < DRAWS; i++) {
        uint64_t number = random_below(UINT64_MAX);
        for (int bit = 0; bit < 64; bit++) {
            ones[bit] += (int)(number >> bit & 1);
        }
    }
    for (int bit = 0; bit < 64; bit++) {
        ck_assert_int_ge(ones[bit], DRAWS / 2 - 2 * SPREAD);
        ck_assert_int_le(ones[bit], DRAWS / 2 + 2 * SPREAD);
    }
}
END_TEST

/* Successive draws do not hang together: of 100 pairs of digits each comes up as often. */
START_TEST(test_random_below_gives_even_pairs)
{
    int count[DIGITS][DIGITS] = {{0}};
    for (int i = 0; i < DRAWS; i++) {
        uint64_t first = random_below(DIGITS);
        count[first][random_below(DIGITS)]++;
    }
    for (int i = 0; i < DIGITS * DIGITS; i++) { /* 1000 each, sigma 31 */
        ck_assert_int_ge(count[i / DIGITS][i % DIGITS], 800);
        ck_assert_int_le(count[i / DIGITS][i % DIGITS], 1200);
    }
}
END_TEST

static void *draw(void *arg)
{
    uint64_t *mine = arg;
    pthread_barrier_wait(&start);
    for (int i = 0; i < DRAWS_EACH; i++) {
        mine[i] = random_below(UINT64_MAX);
    }
    return NULL;
}

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

START_TEST(test_random_below_gives_each_thread_numbers_of_its_own)
{
    pthread_t threads[THREADS];
    pthread_barrier_init(&start, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, draw, drawn + i * DRAWS_EACH), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_barrier_destroy(&start);
    qsort(drawn, THREADS * DRAWS_EACH, sizeof(drawn[0]), compare);
    for (int i = 1; i < THREADS * DRAWS_EACH; i++) {
        ck_assert_uint_ne(drawn[i - 1], drawn[i]);
    }
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_test(tc, test_random_below_stays_below_and_reaches_every_number);
    tcase_add_test(tc, test_random_below_1_is_0);
    tcase_add_test(tc, test_random_below_is_even);
    tcase_add_test(tc, test_random_below_does_not_favour_the_small_numbers);
    tcase_add_test(tc, test_random_below_uses_every_bit);
    tcase_add_test(tc, test_random_below_gives_even_pairs);
    tcase_add_test(tc, test_random_below_gives_each_thread_numbers_of_its_own);
}

int main(void)
{
    return test_main("random", add_tests);
}
