/* Tests of how common/log writes: a line is one write, or gathered with others for a file, and
 * threads at once do not mix theirs. */
#include "common/log.h"

#include <cjson/cJSON.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/tests/harness.h"

enum { LONG_TEXT = 10 * 1024, THREADS = 8, LINES_EACH = 200 };

/* A text of length times 'x'. */
static char *long_text(size_t length)
{
    char *text = calloc(length + 1, 1);
    ck_assert_ptr_nonnull(text);
    memset(text, 'x', length);
    return text;
}

/* A datagram socket keeps the bounds of each write: one line, one write, also the longest. */
START_TEST(test_log_line_is_one_write)
{
    int pair[2];
    char *text = long_text(LONG_TEXT);
    char got[LOG_LINE_MAX + 1];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
    int standard_error = dup(STDERR_FILENO);
    dup2(pair[0], STDERR_FILENO);
    log_event(LOG_INFO, "long", LOG_TEXT("text", text), LOG_NUMBER("after", 1));
    log_event(LOG_INFO, "short", LOG_NUMBER("after", 1));
    dup2(standard_error, STDERR_FILENO);
    close(standard_error);
    for (int i = 0; i < 2; i++) {
        ssize_t length = recv(pair[1], got, sizeof(got), MSG_DONTWAIT);
        ck_assert_int_gt(length, 0);
        ck_assert_int_eq(got[0], '{');
        ck_assert_int_eq(got[length - 1], '\n');
        ck_assert_int_eq(got[length - 2], '}');
    }
    ck_assert_int_lt(recv(pair[1], got, sizeof(got), MSG_DONTWAIT), 0);
    close(pair[0]);
    close(pair[1]);
    free(text);
}
END_TEST

static pthread_barrier_t start;
static int thread_numbers[THREADS];

static void *write_lines(void *number)
{
    char *text = long_text(2 * LOG_LINE_MAX);
    pthread_barrier_wait(&start);
    for (int i = 0; i < LINES_EACH; i++) {
        size_t cut = (size_t)(i * 131) % (2 * LOG_LINE_MAX);
        log_event(LOG_INFO, "line", LOG_TEXT("text", text + cut),
                  LOG_NUMBER("thread", *(const int *)number), LOG_NUMBER("line", i));
    }
    free(text);
    return NULL;
}

static void run_writers(void)
{
    pthread_t threads[THREADS];
    pthread_barrier_init(&start, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        thread_numbers[i] = i;
        if (pthread_create(&threads[i], NULL, write_lines, &thread_numbers[i]) != 0) {
            abort();
        }
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_barrier_destroy(&start);
}

START_TEST(test_log_threads_at_once_write_whole_lines_in_their_order)
{
    struct test_capture capture;
    test_capture_start(&capture);
    run_writers();
    char *all = test_capture_stop(&capture);
    int next[THREADS] = {0};
    char *rest = all;
    for (char *end = strchr(rest, '\n'); end; end = strchr(rest, '\n')) {
        *end = '\0';
        cJSON *line = cJSON_Parse(rest);
        ck_assert_msg(line != NULL, "torn: %s", rest);
        int thread = cJSON_GetObjectItemCaseSensitive(line, "thread")->valueint;
        ck_assert_int_eq(cJSON_GetObjectItemCaseSensitive(line, "line")->valueint, next[thread]++);
        cJSON_Delete(line);
        rest = end + 1;
    }
    ck_assert_str_eq(rest, "");
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(next[i], LINES_EACH);
    }
    free(all);
}
END_TEST

/* The number of lines in what has come through the pipe so far; the last "log_lost" says *lost. */
static int read_lines(int pipe_end, long *lost)
{
    static char bytes[1 << 20];
    ssize_t length = read(pipe_end, bytes, sizeof(bytes) - 1);
    ck_assert_int_gt(length, 0);
    bytes[length] = '\0';
    int lines = 0;
    for (char *line = bytes, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        const char *notice = strstr(line, "\"log_lost\",\"lines\":");
        if (notice && notice < end) {
            *lost = strtol(notice + strlen("\"log_lost\",\"lines\":"), NULL, 10);
        } else {
            lines++;
        }
    }
    return lines;
}

/* The watchdog would end a test that waits for the reader. */
START_TEST(test_log_goes_on_when_nobody_reads_and_tells_what_was_lost)
{
    enum { WRITTEN = 2000 }; /* more than a pipe holds */
    int ends[2];
    long lost = 0;
    ck_assert_int_eq(pipe(ends), 0);
    int standard_error = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    char *text = long_text(500);
    for (int i = 0; i < WRITTEN; i++) {
        log_event(LOG_INFO, "line", LOG_TEXT("text", text));
    }
    int before = read_lines(ends[0], &lost);
    ck_assert_int_lt(before, WRITTEN);
    ck_assert_int_eq(lost, 0);
    log_event(LOG_INFO, "again", LOG_NUMBER("number", 1));
    ck_assert_int_eq(read_lines(ends[0], &lost), 1);
    ck_assert_int_eq(lost, WRITTEN - before);
    dup2(standard_error, STDERR_FILENO);
    close(standard_error);
    close(ends[0]);
    close(ends[1]);
    free(text);
}
END_TEST

/* ----------------------------------------------------------------------------- gathered lines */

/* The lines in text, which must all be whole. */
static int count_lines(const char *text)
{
    int lines = 0;
    for (const char *end; (end = strchr(text, '\n')) != NULL; text = end + 1) {
        ck_assert_int_eq(text[0], '{');
        ck_assert_int_eq(end[-1], '}');
        lines++;
    }
    ck_assert_int_eq(*text, '\0');
    return lines;
}

/* Size of the file that standard error is. */
static off_t size_of_log(void)
{
    struct stat log;
    return fstat(STDERR_FILENO, &log) == 0 ? log.st_size : -1;
}

/* Waits until the log is longer than size, at most a second. */
static bool grows_beyond(off_t size)
{
    int64_t deadline_ns = clock_deadline_ns(1000);
    while (size_of_log() <= size && clock_left_ms(deadline_ns) > 0) {
        clock_sleep_until(clock_deadline_ns(2));
    }
    return size_of_log() > size;
}

extern char **environ; /* POSIX has it in no header */

/* Runs this program anew to do the task, since log_start is called once in a process; its exit
 * status must be 0. */
static void run_task(char *task)
{
    pid_t child = 0;
    int status = -1;
    char *const arguments[] = {(char[]){"test_log_write"}, task, NULL};
    if (posix_spawn(&child, "/proc/self/exe", NULL, NULL, arguments, environ) == 0) {
        waitpid(child, &status, 0);
    }
    ck_assert_int_eq(status, 0);
}

/* What the task logs to a file; the caller frees. */
static char *log_of(char *task)
{
    struct test_capture capture;
    test_capture_start(&capture);
    run_task(task);
    return test_capture_stop(&capture);
}

static void log_number(enum log_level level, int number)
{
    log_event(level, "line", LOG_NUMBER("number", number));
}

/* Not at once, but soon, and the second time as well; ends without exit's help. */
static void log_and_wait(void)
{
    for (int i = 1; i <= 2; i++) {
        off_t before = size_of_log();
        log_number(LOG_INFO, i);
        if (size_of_log() != before || !grows_beyond(before)) {
            _exit(EXIT_FAILURE);
        }
    }
    _exit(EXIT_SUCCESS);
}

START_TEST(test_log_gathers_lines_and_writes_them_soon)
{
    char *text = log_of((char[]){"wait"});
    ck_assert_int_eq(count_lines(text), 2);
    free(text);
}
END_TEST

static void log_and_warn(void)
{
    log_number(LOG_INFO, 1);
    log_number(LOG_WARN, 2);
    _exit(EXIT_SUCCESS);
}

START_TEST(test_log_writes_a_warning_at_once_behind_what_was_gathered)
{
    char *text = log_of((char[]){"warn"});
    ck_assert_int_eq(count_lines(text), 2);
    ck_assert(strstr(text, "\"number\":1}") < strstr(text, "\"number\":2}"));
    free(text);
}
END_TEST

enum { MANY = 2000 }; /* lines: more than the buffer holds */

static void log_many(void)
{
    for (int i = 0; i < MANY; i++) {
        log_number(LOG_INFO, i);
    }
}

START_TEST(test_log_loses_no_gathered_line_by_an_exit)
{
    char *text = log_of((char[]){"many"});
    ck_assert_int_eq(count_lines(text), MANY);
    free(text);
}
END_TEST

static void log_and_leave(void)
{
    log_number(LOG_INFO, 1);
    log_exit(EXIT_SUCCESS);
}

START_TEST(test_log_exit_writes_what_was_gathered)
{
    char *text = log_of((char[]){"leave"});
    ck_assert_int_eq(count_lines(text), 1);
    free(text);
}
END_TEST

static void log_one(void)
{
    log_number(LOG_INFO, 1);
    _exit(EXIT_SUCCESS);
}

/* A pipe has a reader who may wait for the line. */
START_TEST(test_log_gathers_nothing_for_a_pipe)
{
    int ends[2];
    long lost = 0;
    ck_assert_int_eq(pipe(ends), 0);
    int standard_error = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    run_task((char[]){"one"});
    dup2(standard_error, STDERR_FILENO);
    close(standard_error);
    ck_assert_int_eq(read_lines(ends[0], &lost), 1);
    close(ends[0]);
    close(ends[1]);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_test(tc, test_log_goes_on_when_nobody_reads_and_tells_what_was_lost);
    tcase_add_test(tc, test_log_gathers_lines_and_writes_them_soon);
    tcase_add_test(tc, test_log_gathers_nothing_for_a_pipe);
    tcase_add_test(tc, test_log_line_is_one_write);
    tcase_add_test(tc, test_log_loses_no_gathered_line_by_an_exit);
    tcase_add_test(tc, test_log_exit_writes_what_was_gathered);
    tcase_add_test(tc, test_log_threads_at_once_write_whole_lines_in_their_order);
    tcase_add_test(tc, test_log_writes_a_warning_at_once_behind_what_was_gathered);
}

static int do_task(const char *task)
{
    static const struct {
        const char *name;
        void (*body)(void);
    } tasks[] = {{"wait", log_and_wait},
                 {"warn", log_and_warn},
                 {"many", log_many},
                 {"one", log_one},
                 {"leave", log_and_leave}};
    log_start(LOG_INFO);
    for (size_t i = 0; i < sizeof tasks / sizeof tasks[0]; i++) {
        if (strcmp(task, tasks[i].name) == 0) {
            tasks[i].body();
            return EXIT_SUCCESS;
        }
    }
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    return argc == 2 ? do_task(argv[1]) : test_main("log_write", add_tests);
}
