/* Tests of common/bells: a bell wakes its own, at once all of them, and not the neighbour's. */
#include "common/bells.h"

#include "common/clock.h"
#include "common/tests/harness.h"

enum { SLEEPERS = 6, PATIENCE_MS = 20000, QUIET_MS = 100 };

static struct bells bells;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Guarded by lock: */
static int wakes[SLEEPERS], asleep;
static bool is_over[SLEEPERS];

/* Waits at bell arg mod 3 until it is told that it is over. */
static void *sleeper_main(void *arg)
{
    int i = *(int *)arg;
    pthread_mutex_lock(&lock);
    asleep++;
    while (!is_over[i]) {
        bells_wait(&bells, (uint64_t)(i % 3), &lock, clock_deadline_ns(PATIENCE_MS));
        wakes[i]++;
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

static int numbers[SLEEPERS];
static pthread_t threads[SLEEPERS];

static void set_up(void)
{
    bells_init(&bells);
    asleep = 0;
    for (int i = 0; i < SLEEPERS; i++) {
        numbers[i] = i;
        wakes[i] = 0;
        is_over[i] = false;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, sleeper_main, &numbers[i]), 0);
    }
    pthread_mutex_lock(&lock);
    while (asleep < SLEEPERS) { /* who counted himself has given the lock up by waiting */
        pthread_mutex_unlock(&lock);
        clock_sleep_until(clock_deadline_ns(1));
        pthread_mutex_lock(&lock);
    }
    pthread_mutex_unlock(&lock);
}

static void tear_down(void)
{
    bells_destroy(&bells);
}

static void join(int first, int step)
{
    for (int i = first; i < SLEEPERS; i += step) {
        pthread_join(threads[i], NULL);
    }
}

START_TEST(test_bells_ring_wakes_all_of_its_own_and_no_other)
{
    pthread_mutex_lock(&lock);
    is_over[1] = is_over[4] = true;
    bells_ring(&bells, 1 + BELLS_COUNT); /* the same bell as 1 */
    pthread_mutex_unlock(&lock);
    join(1, 3);
    clock_sleep_until(clock_deadline_ns(QUIET_MS));
    pthread_mutex_lock(&lock);
    ck_assert_int_eq(wakes[0] + wakes[3] + wakes[2] + wakes[5], 0);
    for (int i = 0; i < SLEEPERS; i++) {
        is_over[i] = true;
    }
    bells_ring_all(&bells);
    pthread_mutex_unlock(&lock);
    join(0, 3);
    join(2, 3);
}
END_TEST

static int at_bell[BELLS_COUNT];

static void *alone_main(void *arg)
{
    int *woken = arg;
    pthread_mutex_lock(&lock);
    asleep++;
    while (!*woken) {
        bells_wait(&bells, (uint64_t)(woken - at_bell), &lock, CLOCK_NEVER);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

/* One at each bell, and none has a neighbour to wake him. */
START_TEST(test_bells_ring_all_rings_every_one)
{
    pthread_t alone[BELLS_COUNT];
    for (int i = 0; i < BELLS_COUNT; i++) {
        at_bell[i] = 0;
        ck_assert_int_eq(pthread_create(&alone[i], NULL, alone_main, &at_bell[i]), 0);
    }
    pthread_mutex_lock(&lock);
    while (asleep < SLEEPERS + BELLS_COUNT) {
        pthread_mutex_unlock(&lock);
        clock_sleep_until(clock_deadline_ns(1));
        pthread_mutex_lock(&lock);
    }
    for (int i = 0; i < BELLS_COUNT; i++) {
        at_bell[i] = 1;
    }
    for (int i = 0; i < SLEEPERS; i++) {
        is_over[i] = true;
    }
    bells_ring_all(&bells);
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < BELLS_COUNT; i++) {
        pthread_join(alone[i], NULL);
    }
    join(0, 1);
}
END_TEST

START_TEST(test_bells_wait_ends_at_its_deadline)
{
    pthread_mutex_lock(&lock);
    for (int i = 0; i < SLEEPERS; i++) {
        is_over[i] = true;
    }
    bells_ring_all(&bells);
    int64_t deadline_ns = clock_deadline_ns(QUIET_MS);
    while (clock_now_ns() < deadline_ns) {
        bells_wait(&bells, 7, &lock, deadline_ns);
    }
    pthread_mutex_unlock(&lock);
    ck_assert_int_lt(clock_now_ns() - deadline_ns, PATIENCE_MS * CLOCK_NS_PER_MS);
    join(0, 1);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_bells_ring_wakes_all_of_its_own_and_no_other);
    tcase_add_test(tc, test_bells_ring_all_rings_every_one);
    tcase_add_test(tc, test_bells_wait_ends_at_its_deadline);
}

int main(void)
{
    return test_main("bells", add_tests);
}
