/* harness: what every Check program of this repository shares.
 *
 *     static void add_tests(TCase *tc) { tcase_add_test(tc, test_x); }
 *     int main(void) { return test_main("clock", add_tests); }
 *
 * Check runs without fork, so that the sanitizers and the threads of a test see one process. Its
 * own timeout needs fork; instead a watchdog ends the process when one test (or its fixtures) takes
 * more than TEST_WATCHDOG_S. A test may call alarm(2) itself to ask for more time. */
#ifndef FLASHDEAL_TESTS_HARNESS_H
#define FLASHDEAL_TESTS_HARNESS_H

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEST_WATCHDOG_S = 60, TEST_WATCHDOG_EXIT = 124 };

static inline void test_watchdog_bark(int signal_number)
{
    static const char message[] = "watchdog: a test ran too long; the process ends\n";
    (void)signal_number;
    if (write(STDERR_FILENO, message, sizeof(message) - 1) < 0) {
        _exit(TEST_WATCHDOG_EXIT + 1);
    }
    _exit(TEST_WATCHDOG_EXIT);
}

static inline void test_watchdog_arm(void)
{
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
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = test_watchdog_bark;
    if (sigaction(SIGALRM, &action, NULL) != 0) {
        return EXIT_FAILURE;
    }
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
