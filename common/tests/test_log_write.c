/* Tests of how common/log writes: a line is one write, and threads at once do not mix theirs. */
#include "common/log.h"

#include <cjson/cJSON.h>
#include <pthread.h>
#include <sys/socket.h>

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

static void add_tests(TCase *tc)
{
    tcase_add_test(tc, test_log_goes_on_when_nobody_reads_and_tells_what_was_lost);
    tcase_add_test(tc, test_log_line_is_one_write);
    tcase_add_test(tc, test_log_threads_at_once_write_whole_lines_in_their_order);
}

int main(void)
{
    return test_main("log_write", add_tests);
}
