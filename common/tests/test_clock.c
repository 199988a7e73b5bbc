/* Tests of common/clock: saturation, rounding, and that the two clocks are the right ones. No
 * assertion rests on how fast the machine is. */
#include "common/clock.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>

#include "common/tests/harness.h"

enum { READS = 100000, CASES = 1000, SLEEP_MS = 40 };

START_TEST(test_clock_now_never_goes_back)
{
    int64_t last_ns = clock_now_ns();
    for (int i = 0; i < READS; i++) {
        int64_t now_ns = clock_now_ns();
        ck_assert_int_ge(now_ns, last_ns);
        last_ns = now_ns;
    }
}
END_TEST

START_TEST(test_clock_now_is_the_monotonic_clock)
{
    struct timespec now;
    int64_t before_ns = clock_now_ns();
    ck_assert_int_eq(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    int64_t read_ns = now.tv_sec * CLOCK_NS_PER_S + now.tv_nsec;
    ck_assert_int_le(before_ns, read_ns);
    ck_assert_int_le(read_ns, clock_now_ns());
}
END_TEST

START_TEST(test_clock_unix_is_the_wall_clock_in_microseconds)
{
    struct timespec before, after;
    ck_assert_int_eq(clock_gettime(CLOCK_REALTIME, &before), 0);
    int64_t said_us = clock_unix_us();
    ck_assert_int_eq(clock_gettime(CLOCK_REALTIME, &after), 0);
    ck_assert_int_ge(said_us, before.tv_sec * INT64_C(1000000) + before.tv_nsec / 1000);
    ck_assert_int_le(said_us, after.tv_sec * INT64_C(1000000) + after.tv_nsec / 1000);
}
END_TEST

START_TEST(test_clock_deadline_lies_the_timeout_ahead)
{
    int64_t before_ns = clock_now_ns();
    int64_t deadline_ns = clock_deadline_ns(1500);
    int64_t after_ns = clock_now_ns();
    ck_assert_int_ge(deadline_ns, before_ns + 1500 * CLOCK_NS_PER_MS);
    ck_assert_int_le(deadline_ns, after_ns + 1500 * CLOCK_NS_PER_MS);
}
END_TEST

START_TEST(test_clock_deadline_saturates_at_never)
{
    ck_assert(clock_deadline_ns(INT64_MAX) == CLOCK_NEVER);
    ck_assert(clock_deadline_ns(INT64_MAX / CLOCK_NS_PER_MS) == CLOCK_NEVER);
    ck_assert(clock_deadline_ns(INT64_C(86400000)) < CLOCK_NEVER);
}
END_TEST

START_TEST(test_clock_left_is_zero_when_the_deadline_has_passed)
{
    ck_assert_int_eq(clock_left_ms(clock_now_ns()), 0);
    ck_assert_int_eq(clock_left_ms(0), 0);
    ck_assert_int_eq(clock_left_ms(-1), 0);
    ck_assert_int_eq(clock_left_ms(INT64_MIN), 0);
}
END_TEST

START_TEST(test_clock_left_of_never_is_polls_without_bound)
{
    ck_assert_int_eq(clock_left_ms(CLOCK_NEVER), -1);
}
END_TEST

START_TEST(test_clock_left_is_capped_at_int_max)
{
    ck_assert_int_eq(clock_left_ms(CLOCK_NEVER - 1), INT_MAX);
}
END_TEST

/* Rounded up: what is left is never less than the truth, so a wait of it never ends early. */
START_TEST(test_clock_left_is_rounded_up)
{
    for (int i = 0; i < CASES; i++) {
        int64_t deadline_ns = clock_now_ns() + 50 * CLOCK_NS_PER_MS + i * 977;
        int64_t before_ns = clock_now_ns();
        int left_ms = clock_left_ms(deadline_ns);
        int64_t after_ns = clock_now_ns();
        ck_assert_int_ge(left_ms * CLOCK_NS_PER_MS, deadline_ns - after_ns);
        ck_assert_int_lt((left_ms - 1) * CLOCK_NS_PER_MS, deadline_ns - before_ns);
    }
}
END_TEST

START_TEST(test_clock_left_is_one_when_less_than_a_millisecond_is_left)
{
    int64_t deadline_ns = 0;
    int left_ms = 0;
    do { /* until no preemption fell between the two calls */
        deadline_ns = clock_now_ns() + CLOCK_NS_PER_MS / 2;
        left_ms = clock_left_ms(deadline_ns);
    } while (clock_now_ns() >= deadline_ns);
    ck_assert_int_eq(left_ms, 1);
}
END_TEST

START_TEST(test_clock_timespec_has_both_parts)
{
    struct timespec at = clock_to_timespec(7 * CLOCK_NS_PER_S + 123456789);
    ck_assert_int_eq(at.tv_sec, 7);
    ck_assert_int_eq(at.tv_nsec, 123456789);
}
END_TEST

/* A condition variable, and somebody who sets is_set under its lock and wakes who waits. */
struct event {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_set;
};

static void init_event(struct event *event)
{
    *event = (struct event){.lock = PTHREAD_MUTEX_INITIALIZER};
    clock_cond_init(&event->changed);
}

static void destroy_event(struct event *event)
{
    pthread_cond_destroy(&event->changed);
    pthread_mutex_destroy(&event->lock);
}

static void *set_main(void *arg)
{
    struct event *event = arg;
    pthread_mutex_lock(&event->lock);
    event->is_set = true;
    pthread_cond_signal(&event->changed);
    pthread_mutex_unlock(&event->lock);
    return NULL;
}

/* Nobody wakes it: it must end by itself. */
static void wait_in_vain(int64_t deadline_ns)
{
    struct event event;
    init_event(&event);
    pthread_mutex_lock(&event.lock);
    while (clock_cond_wait(&event.changed, &event.lock, deadline_ns)) {
    }
    pthread_mutex_unlock(&event.lock);
    destroy_event(&event);
}

START_TEST(test_clock_cond_wait_ends_at_the_deadline)
{
    int64_t deadline_ns = clock_deadline_ns(20);
    wait_in_vain(deadline_ns);
    ck_assert_int_ge(clock_now_ns(), deadline_ns);
    wait_in_vain(deadline_ns); /* it has passed */
    wait_in_vain(0);
    wait_in_vain(-1);
}
END_TEST

/* The lock is given up meanwhile, else the other could not set it. */
START_TEST(test_clock_cond_wait_is_woken_before_the_deadline)
{
    const int64_t deadlines_ns[] = {clock_deadline_ns(60000), CLOCK_NEVER};
    for (size_t i = 0; i < 2; i++) {
        struct event event;
        pthread_t setter;
        bool in_time = true;
        init_event(&event);
        pthread_mutex_lock(&event.lock);
        ck_assert_int_eq(pthread_create(&setter, NULL, set_main, &event), 0);
        while (in_time && !event.is_set) {
            in_time = clock_cond_wait(&event.changed, &event.lock, deadlines_ns[i]);
        }
        pthread_mutex_unlock(&event.lock);
        pthread_join(setter, NULL);
        ck_assert(in_time);
        ck_assert_int_lt(clock_now_ns(), deadlines_ns[i]);
        destroy_event(&event);
    }
}
END_TEST

START_TEST(test_clock_timespec_of_never_is_valid_and_far)
{
    struct timespec at = clock_to_timespec(CLOCK_NEVER);
    ck_assert_int_ge(at.tv_nsec, 0);
    ck_assert_int_lt(at.tv_nsec, CLOCK_NS_PER_S);
    ck_assert_int_gt(at.tv_sec, INT64_C(9000000000));
}
END_TEST

/* Midnight of a day in UTC, from its Gregorian date: days since 1970-01-01 (H. Hinnant's civil). */
static int64_t unix_seconds(int64_t year, int64_t month, int64_t day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = y / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return (era * 146097 + day_of_era - 719468) * 86400;
}

START_TEST(test_clock_format_now_is_rfc3339_utc_of_now)
{
    char text[CLOCK_RFC3339_SIZE];
    time_t before = time(NULL);
    clock_format_now(text);
    time_t after = time(NULL);
    ck_assert_uint_eq(strlen(text), CLOCK_RFC3339_SIZE - 1);
    int part[7] = {0};
    int end = 0;
    ck_assert_int_eq(sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &part[0], &part[1], &part[2],
                            &part[3], &part[4], &part[5], &part[6], &end),
                     7);
    ck_assert_int_eq(end, CLOCK_RFC3339_SIZE - 1);
    int64_t said =
        unix_seconds(part[0], part[1], part[2]) + part[3] * 3600 + part[4] * 60 + part[5];
    ck_assert_int_ge(said, before - 1); /* time(2) may lag a tick behind clock_gettime */
    ck_assert_int_le(said, after + 1);
}
END_TEST

START_TEST(test_sleep_ends_not_before_the_deadline)
{
    for (int ms = 0; ms <= SLEEP_MS; ms += SLEEP_MS / 4) {
        int64_t deadline_ns = clock_deadline_ns(ms);
        clock_sleep_until(deadline_ns);
        ck_assert_int_ge(clock_now_ns(), deadline_ns);
    }
}
END_TEST

/* If one of them were slept for, the watchdog would say so. */
START_TEST(test_sleep_until_what_has_passed_returns)
{
    const int64_t deadlines_ns[] = {clock_now_ns() - 1, clock_now_ns() - CLOCK_NS_PER_S, 0, -1,
                                    INT64_MIN};
    for (size_t i = 0; i < sizeof deadlines_ns / sizeof deadlines_ns[0]; i++) {
        clock_sleep_until(deadlines_ns[i]);
    }
}
END_TEST

static volatile sig_atomic_t interrupts;

static void count_interrupt(int number)
{
    (void)number;
    interrupts = interrupts + 1;
}

START_TEST(test_sleep_goes_on_after_a_signal)
{
    struct sigaction action, before;
    memset(&action, 0, sizeof action); /* no SA_RESTART; a sleep would not restart anyway */
    action.sa_handler = count_interrupt;
    ck_assert_int_eq(sigaction(SIGUSR1, &action, &before), 0);
    struct sigevent event;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGUSR1;
    timer_t timer;
    ck_assert_int_eq(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    const struct itimerspec often = {{.tv_nsec = CLOCK_NS_PER_MS}, {.tv_nsec = CLOCK_NS_PER_MS}};
    interrupts = 0;
    ck_assert_int_eq(timer_settime(timer, 0, &often, NULL), 0);
    int64_t deadline_ns = clock_deadline_ns(SLEEP_MS);
    clock_sleep_until(deadline_ns);
    int64_t woken_ns = clock_now_ns();
    timer_delete(timer);
    ck_assert_int_eq(sigaction(SIGUSR1, &before, NULL), 0);
    ck_assert_int_ge(woken_ns, deadline_ns);
    ck_assert_int_gt(interrupts, 0);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_test(tc, test_clock_now_never_goes_back);
    tcase_add_test(tc, test_clock_now_is_the_monotonic_clock);
    tcase_add_test(tc, test_clock_unix_is_the_wall_clock_in_microseconds);
    tcase_add_test(tc, test_clock_deadline_lies_the_timeout_ahead);
    tcase_add_test(tc, test_clock_deadline_saturates_at_never);
    tcase_add_test(tc, test_clock_left_is_zero_when_the_deadline_has_passed);
    tcase_add_test(tc, test_clock_left_of_never_is_polls_without_bound);
    tcase_add_test(tc, test_clock_left_is_capped_at_int_max);
    tcase_add_test(tc, test_clock_left_is_rounded_up);
    tcase_add_test(tc, test_clock_left_is_one_when_less_than_a_millisecond_is_left);
    tcase_add_test(tc, test_clock_timespec_has_both_parts);
    tcase_add_test(tc, test_clock_cond_wait_ends_at_the_deadline);
    tcase_add_test(tc, test_clock_cond_wait_is_woken_before_the_deadline);
    tcase_add_test(tc, test_clock_timespec_of_never_is_valid_and_far);
    tcase_add_test(tc, test_sleep_ends_not_before_the_deadline);
    tcase_add_test(tc, test_sleep_until_what_has_passed_returns);
    tcase_add_test(tc, test_sleep_goes_on_after_a_signal);
    tcase_add_test(tc, test_clock_format_now_is_rfc3339_utc_of_now);
}

int main(void)
{
    return test_main("clock", add_tests);
}
