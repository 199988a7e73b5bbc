/* Tests of common/xalloc. Running out of memory ends the process, so it is tried in a child; the
 * sanitizers end such a call in a way of their own, and the test is left out there. */
#include "common/xalloc.h"

#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "common/tests/harness.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

START_TEST(test_xcalloc_gives_zeroed_memory)
{
    unsigned char *memory = xcalloc(1000, 3);
    for (int i = 0; i < 3000; i++) {
        ck_assert_uint_eq(memory[i], 0);
    }
    free(memory);
}
END_TEST

START_TEST(test_xcalloc_of_nothing_is_not_null)
{
    void *no_count = xcalloc(0, 8);
    void *no_size = xcalloc(8, 0);
    ck_assert_ptr_nonnull(no_count);
    ck_assert_ptr_nonnull(no_size);
    free(no_count);
    free(no_size);
}
END_TEST

START_TEST(test_xstrdup_copies)
{
    char text[] = "sale";
    char *copy = xstrdup(text);
    char *empty = xstrdup("");
    text[0] = 'p';
    ck_assert_str_eq(copy, "sale");
    ck_assert_str_eq(empty, "");
    free(copy);
    free(empty);
}
END_TEST

#ifndef SANITIZED
START_TEST(test_xcalloc_logs_and_aborts_when_there_is_no_memory)
{
    volatile size_t count = SIZE_MAX / 2;
    struct test_capture capture;
    test_capture_start(&capture);
    pid_t child = fork();
    if (child == 0) {
        struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        free(xcalloc(count, 1));
        _exit(0);
    }
    int status = 0;
    pid_t waited = waitpid(child, &status, 0);
    char *log = test_capture_stop(&capture);
    ck_assert_int_eq(waited, child);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    ck_assert_ptr_nonnull(strstr(log, "\"event\":\"out_of_memory\""));
    free(log);
}
END_TEST
#endif

static void add_tests(TCase *tc)
{
    tcase_add_test(tc, test_xcalloc_gives_zeroed_memory);
    tcase_add_test(tc, test_xcalloc_of_nothing_is_not_null);
    tcase_add_test(tc, test_xstrdup_copies);
#ifndef SANITIZED
    tcase_add_test(tc, test_xcalloc_logs_and_aborts_when_there_is_no_memory);
#endif
}

int main(void)
{
    return test_main("xalloc", add_tests);
}
