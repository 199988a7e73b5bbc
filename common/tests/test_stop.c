/* Tests of common/stop. main blocks before the watchdog's thread starts, as a server's main does:
 * a thread without the block would take a signal to the process, and end it. */
#include "common/stop.h"

#include <signal.h>

#include "common/tests/harness.h"

static const int signals[] = {SIGTERM, SIGINT};
enum { SIGNAL_COUNT = sizeof signals / sizeof signals[0] };

static bool is_pending(int number)
{
    sigset_t pending;
    ck_assert_int_eq(sigpending(&pending), 0);
    return sigismember(&pending, number) == 1;
}

/* What a failed test left pending must not end the process or meet the next test. */
static void take_pending(void)
{
    for (int i = 0; i < SIGNAL_COUNT; i++) {
        if (is_pending(signals[i])) {
            sigset_t one;
            int number = 0;
            sigemptyset(&one);
            sigaddset(&one, signals[i]);
            sigwait(&one, &number);
        }
    }
}

START_TEST(test_stop_block_keeps_the_signal_pending)
{
    ck_assert_int_eq(kill(getpid(), signals[_i]), 0);
    ck_assert(is_pending(signals[_i]));
}
END_TEST

START_TEST(test_stop_block_leaves_other_signals_alone)
{
    sigset_t blocked;
    ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, NULL, &blocked), 0);
    ck_assert_int_eq(sigismember(&blocked, SIGHUP), 0);
    ck_assert_int_eq(sigismember(&blocked, SIGQUIT), 0);
    ck_assert_int_eq(sigismember(&blocked, SIGSEGV), 0);
}
END_TEST

START_TEST(test_stop_wait_returns_the_signal_sent_to_the_process)
{
    ck_assert(!stop_is_due());
    ck_assert_int_eq(kill(getpid(), signals[_i]), 0);
    ck_assert(stop_is_due());
    ck_assert_int_eq(stop_wait(), signals[_i]);
    ck_assert(!is_pending(signals[_i]));
    ck_assert(!stop_is_due());
}
END_TEST

START_TEST(test_stop_wait_returns_the_signal_raised)
{
    ck_assert_int_eq(raise(signals[_i]), 0);
    ck_assert_int_eq(stop_wait(), signals[_i]);
}
END_TEST

static void *stopper_main(void *arg)
{
    kill(getpid(), *(const int *)arg);
    return NULL;
}

START_TEST(test_stop_wait_returns_when_another_thread_sends_the_signal)
{
    pthread_t thread;
    int number = signals[_i];
    ck_assert_int_eq(pthread_create(&thread, NULL, stopper_main, &number), 0);
    ck_assert_int_eq(stop_wait(), number);
    pthread_join(thread, NULL);
}
END_TEST

/* An impatient operator's second one neither ends the process nor is lost. */
START_TEST(test_second_signal_stays_pending)
{
    ck_assert_int_eq(kill(getpid(), signals[_i]), 0);
    ck_assert_int_eq(stop_wait(), signals[_i]);
    ck_assert_int_eq(kill(getpid(), signals[_i]), 0);
    ck_assert(is_pending(signals[_i]));
    ck_assert_int_eq(stop_wait(), signals[_i]);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, NULL, take_pending);
    tcase_add_loop_test(tc, test_stop_block_keeps_the_signal_pending, 0, SIGNAL_COUNT);
    tcase_add_test(tc, test_stop_block_leaves_other_signals_alone);
    tcase_add_loop_test(tc, test_stop_wait_returns_the_signal_sent_to_the_process, 0, SIGNAL_COUNT);
    tcase_add_loop_test(tc, test_stop_wait_returns_the_signal_raised, 0, SIGNAL_COUNT);
    tcase_add_loop_test(tc, test_stop_wait_returns_when_another_thread_sends_the_signal, 0,
                        SIGNAL_COUNT);
    tcase_add_loop_test(tc, test_second_signal_stays_pending, 0, SIGNAL_COUNT);
}

int main(void)
{
    stop_block();
    return test_main("stop", add_tests);
}
