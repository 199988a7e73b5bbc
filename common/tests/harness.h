/* harness: what every Check program of this repository shares.
 *
 *     static void add_tests(TCase *tc) { tcase_add_test(tc, test_x); }
 *     int main(void) { return test_main("clock", add_tests); }
 *
 * Check runs without fork, so that the sanitizers and the threads of a test see one process. Its
 * own timeout needs fork, and without it kills the whole process group, silently. Instead a
 * watchdog names the test that takes more than TEST_WATCHDOG_S (with its fixtures) and ends the
 * process. A test may call alarm(2) itself to ask for more time. */
#ifndef FLASHDEAL_TESTS_HARNESS_H
#define FLASHDEAL_TESTS_HARNESS_H

#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEST_WATCHDOG_S = 45, TEST_WATCHDOG_EXIT = 124 };

/* What the test of that name is about, when the name does not tell (a row of a table); borrowed. */
static const char *_Atomic test_subject;

/* Check's name of the test before; it has none between two tests. */
static const char *_Atomic test_before;

static inline void test_watchdog_say(const char *text)
{
    if (write(STDERR_FILENO, text, strlen(text)) < 0) {
        _exit(TEST_WATCHDOG_EXIT + 1);
    }
}

/* A thread of its own: a signal handler may have to wait for the hung thread (TSan's do). Says it
 * without stdio, whose locks the hung test may hold. */
static inline void *test_watchdog_main(void *arg)
{
    const sigset_t *signals = (const sigset_t *)arg;
    int number = 0;
    sigwait(signals, &number);
    const char *name = tcase_name();
    const char *subject = test_subject;
    test_watchdog_say("watchdog: a test ran too long: ");
    test_watchdog_say(name == NULL ? "the first test's fixture" : name);
    if (name != NULL && name == test_before) {
        test_watchdog_say(", again, or the fixture of the test after it");
    }
    if (subject != NULL) {
        test_watchdog_say(": ");
        test_watchdog_say(subject);
    }
    test_watchdog_say("; the process ends\n");
    _exit(TEST_WATCHDOG_EXIT);
}

/* Once, before any other thread starts: they inherit that SIGALRM is blocked. Main's thread calls
 * it, at the latest through test_main. */
static inline void test_watchdog_start(void)
{
    static sigset_t signals;
    static bool started;
    pthread_t thread;
    if (started) {
        return;
    }
    started = true;
    sigemptyset(&signals);
    sigaddset(&signals, SIGALRM);
    if (pthread_sigmask(SIG_BLOCK, &signals, NULL) != 0 ||
        pthread_create(&thread, NULL, test_watchdog_main, &signals) != 0) {
        fputs("the watchdog cannot be started\n", stderr);
        exit(EXIT_FAILURE);
    }
    pthread_detach(thread);
}

static inline void test_watchdog_arm(void)
{
    test_before = tcase_name();
    test_subject = NULL;
    alarm(TEST_WATCHDOG_S);
}

static inline void test_watchdog_disarm(void)
{
    alarm(0);
}

/* Standard error into a file, from start to stop. Keep the stretch short and without assertions:
 * a failed one would leave standard error redirected. */
struct test_capture {
    FILE *file;
    int standard_error; /* the real one */
};

static inline void test_capture_start(struct test_capture *capture)
{
    capture->file = tmpfile();
    ck_assert_ptr_nonnull(capture->file);
    int fd = fileno(capture->file);
    ck_assert_int_eq(fcntl(fd, F_SETFL, O_APPEND), 0); /* as a log file is opened */
    capture->standard_error = dup(STDERR_FILENO);
    ck_assert_int_ge(capture->standard_error, 0);
    ck_assert_int_ge(dup2(fd, STDERR_FILENO), 0);
}

/* Puts standard error back and returns what was written, terminated by NUL; the caller frees. */
static inline char *test_capture_stop(struct test_capture *capture)
{
    ck_assert_int_ge(dup2(capture->standard_error, STDERR_FILENO), 0);
    close(capture->standard_error);
    ck_assert_int_eq(fseek(capture->file, 0, SEEK_END), 0);
    long size = ftell(capture->file);
    ck_assert_int_ge(size, 0);
    rewind(capture->file);
    char *text = calloc((size_t)size + 1, 1);
    ck_assert_ptr_nonnull(text);
    ck_assert_uint_eq(fread(text, 1, (size_t)size, capture->file), (size_t)size);
    fclose(capture->file);
    return text;
}

/* Runs the tests that add() adds, in one process; returns main's exit status: 0 if all passed. */
static inline int test_main(const char *suite_name, void (*add)(TCase *tc))
{
    test_watchdog_start();
    Suite *suite = suite_create(suite_name);
    TCase *tc = tcase_create(suite_name);
    tcase_add_checked_fixture(tc, test_watchdog_arm, test_watchdog_disarm);
    add(tc);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_ENV);
    int run = srunner_ntests_run(runner);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return run > 0 && failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
