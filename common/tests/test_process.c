/* Tests of common/process: what the kernel says, against what this process does to itself. */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include "common/process.h"

#include <math.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include "common/clock.h"
#include "common/tests/harness.h"
#include "common/tests/metrics_scrape.h"

enum {
    THREADS = 8,
    FILES = 20,
    HIGHEST_FD = 4096, /* this program's are far below */
    BUSY_MS = 60,
    WORK = 20000, /* additions between two looks at the clock */
    MEMORY = 32 * 1024 * 1024,
    CROWD = 16, /* threads that want a processor at once: more than there are */
    CROWD_MS = 30,
    READS = 200,
    FRESH_MS = 1000, /* by then a value that was read before has been read anew */
};

static struct process_stats read_now(void)
{
    struct process_stats stats;
    process_read(&stats);
    return stats;
}

/* Keeps a processor busy until this thread has used it for ms. */
static void burn(int ms)
{
    struct timespec used;
    int64_t until_ns = -1;
    volatile uint64_t work = 0;
    for (;;) {
        for (int i = 0; i < WORK; i++) { /* in user mode, which reading that clock is not */
            work = work + 1;
        }
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
        int64_t now_ns = used.tv_sec * CLOCK_NS_PER_S + used.tv_nsec;
        until_ns = until_ns < 0 ? now_ns + ms * CLOCK_NS_PER_MS : until_ns;
        if (now_ns >= until_ns) {
            return;
        }
    }
}

START_TEST(test_process_cpu_grows_with_work)
{
    double before_s = read_now().cpu_s;
    burn(BUSY_MS);
    double used_s = read_now().cpu_s - before_s;
    ck_assert_double_ge(used_s, BUSY_MS / 1000.0 - 0.02); /* two ticks */
    ck_assert_double_le(used_s, 10);
}
END_TEST

START_TEST(test_process_start_time_is_in_the_recent_past_and_stays)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    double start_s = read_now().start_time_s;
    ck_assert_double_le(start_s, (double)now.tv_sec + 1);
    ck_assert_double_ge(start_s, (double)now.tv_sec - 600); /* the test program is younger */
    ck_assert(read_now().start_time_s == start_s);
}
END_TEST

START_TEST(test_process_memory_grows_with_what_is_touched)
{
    struct process_stats before = read_now();
    void *memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(memory, MAP_FAILED);
    struct process_stats mapped = read_now();
    memset(memory, 1, MEMORY);
    struct process_stats touched = read_now();
    munmap(memory, MEMORY);
    ck_assert_int_ge(mapped.virtual_bytes, before.virtual_bytes + MEMORY);
    ck_assert_int_lt(mapped.resident_bytes, before.resident_bytes + MEMORY / 2);
    ck_assert_int_ge(touched.resident_bytes, before.resident_bytes + MEMORY / 2);
    ck_assert_int_gt(before.resident_bytes, 0);
    ck_assert_int_gt(before.virtual_bytes, before.resident_bytes);
}
END_TEST

/* Asks for each descriptor whether it is open. */
static int64_t count_open_fds(void)
{
    int64_t count = 0;
    for (int fd = 0; fd < HIGHEST_FD; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

START_TEST(test_process_counts_open_fds_exactly)
{
    int files[FILES];
    int64_t before = count_open_fds();
    ck_assert_int_eq(read_now().open_fds, before);
    for (int i = 0; i < FILES; i++) {
        files[i] = dup(STDERR_FILENO);
        ck_assert_int_ge(files[i], 0);
    }
    int64_t opened = read_now().open_fds;
    for (int i = 0; i < FILES; i++) {
        close(files[i]);
    }
    ck_assert_int_eq(opened, before + FILES);
    ck_assert_int_eq(read_now().open_fds, before);
}
END_TEST

START_TEST(test_process_max_fds_is_the_soft_limit)
{
    struct rlimit old;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    struct rlimit less = {old.rlim_cur - 1, old.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &less), 0);
    int64_t got = read_now().max_fds;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
    ck_assert_int_eq(got, (int64_t)less.rlim_cur);
}
END_TEST

static pthread_barrier_t gate;

static void *stay(void *unused)
{
    (void)unused;
    pthread_barrier_wait(&gate); /* all are there */
    pthread_barrier_wait(&gate); /* all may go */
    return NULL;
}

START_TEST(test_process_counts_threads)
{
    pthread_t threads[THREADS];
    int64_t before = read_now().threads;
    pthread_barrier_init(&gate, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, stay, NULL), 0);
    }
    pthread_barrier_wait(&gate);
    int64_t during = read_now().threads;
    pthread_barrier_wait(&gate);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_barrier_destroy(&gate);
    ck_assert_int_ge(before, 1);
    ck_assert_int_eq(during, before + THREADS);
}
END_TEST

static void *want_a_processor(void *unused)
{
    (void)unused;
    pthread_barrier_wait(&gate); /* all are there */
    burn(CROWD_MS);
    pthread_barrier_wait(&gate); /* the reader has seen them, or will */
    return NULL;
}

/* More threads than processors: each waits while others run. They end, and the kernel forgets what
 * they waited; the sum stays. */
START_TEST(test_process_run_delay_grows_with_waiting_and_survives_its_threads)
{
    pthread_t threads[CROWD];
    double before_s = read_now().run_delay_s;
    pthread_barrier_init(&gate, NULL, CROWD);
    for (int i = 0; i < CROWD - 1; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, want_a_processor, NULL), 0);
    }
    pthread_barrier_wait(&gate);
    burn(CROWD_MS);
    double during_s = read_now().run_delay_s;
    pthread_barrier_wait(&gate);
    for (int i = 0; i < CROWD - 1; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_barrier_destroy(&gate);
    double after_s = read_now().run_delay_s;
    if (access("/proc/self/schedstat", R_OK) == 0) { /* a kernel may be built without */
        ck_assert_double_gt(during_s, before_s);
    }
    ck_assert_double_ge(after_s, during_s);
}
END_TEST

static atomic_bool done;

static void *read_often(void *unused)
{
    (void)unused;
    double last_s = 0;
    for (int i = 0; i < READS; i++) {
        double now_s = read_now().run_delay_s;
        if (now_s < last_s) {
            return &done; /* anything but NULL */
        }
        last_s = now_s;
    }
    return NULL;
}

static void *end_at_once(void *unused)
{
    burn(1);
    return unused;
}

static void *start_and_end_threads(void *unused)
{
    while (!atomic_load(&done)) {
        pthread_t threads[THREADS];
        int count = 0;
        while (count < THREADS && pthread_create(&threads[count], NULL, end_at_once, NULL) == 0) {
            count++;
        }
        while (count > 0) {
            pthread_join(threads[--count], NULL);
        }
    }
    return unused;
}

START_TEST(test_process_run_delay_never_falls_while_threads_come_and_go)
{
    pthread_t readers[2];
    pthread_t churn;
    void *fell[2];
    atomic_store(&done, false);
    ck_assert_int_eq(pthread_create(&churn, NULL, start_and_end_threads, NULL), 0);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(pthread_create(&readers[i], NULL, read_often, NULL), 0);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(readers[i], &fell[i]);
    }
    atomic_store(&done, true);
    pthread_join(churn, NULL);
    ck_assert_ptr_null(fell[0]);
    ck_assert_ptr_null(fell[1]);
}
END_TEST

START_TEST(test_process_publishes_what_it_reads)
{
    struct metrics *metrics = metrics_new();
    process_publish(metrics);
    burn(BUSY_MS);
    char *text = metrics_text(metrics);
    struct process_stats stats = read_now();
    ck_assert(scrape_value(text, "process_start_time_seconds") == stats.start_time_s);
    ck_assert(scrape_value(text, "process_max_fds") == (double)stats.max_fds);
    ck_assert(scrape_value(text, "process_open_fds") == (double)stats.open_fds);
    ck_assert(scrape_value(text, "process_threads") == (double)stats.threads);
    ck_assert_double_gt(scrape_value(text, "process_resident_memory_bytes"), 4096);
    ck_assert_double_gt(scrape_value(text, "process_virtual_memory_bytes"), 4096);
    ck_assert_double_gt(scrape_value(text, "process_cpu_seconds_total"), 0);
    ck_assert_double_le(scrape_value(text, "process_cpu_seconds_total"), stats.cpu_s);
    ck_assert_double_le(scrape_value(text, "process_run_delay_seconds_total"), stats.run_delay_s);
    ck_assert_int_eq(scrape_count(text, "_total counter\n"), 3);
    ck_assert_int_eq(scrape_count(text, " gauge\n"), 6);
    free(text);
    metrics_free(metrics);
}
END_TEST

/* Values are kept for a moment, not for good. */
START_TEST(test_process_published_values_are_read_anew)
{
    struct metrics *metrics = metrics_new();
    process_publish(metrics);
    double before = scrape_one(metrics, "process_open_fds");
    int file = dup(STDERR_FILENO);
    int64_t deadline_ns = clock_deadline_ns(FRESH_MS);
    double after = before;
    while (after == before && clock_left_ms(deadline_ns) > 0) {
        after = scrape_one(metrics, "process_open_fds");
    }
    close(file);
    ck_assert(after == before + 1);
    metrics_free(metrics);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_test(tc, test_process_publishes_what_it_reads);
    tcase_add_test(tc, test_process_published_values_are_read_anew);
    tcase_add_test(tc, test_process_cpu_grows_with_work);
    tcase_add_test(tc, test_process_start_time_is_in_the_recent_past_and_stays);
    tcase_add_test(tc, test_process_memory_grows_with_what_is_touched);
    tcase_add_test(tc, test_process_counts_open_fds_exactly);
    tcase_add_test(tc, test_process_max_fds_is_the_soft_limit);
    tcase_add_test(tc, test_process_counts_threads);
    tcase_add_test(tc, test_process_run_delay_grows_with_waiting_and_survives_its_threads);
    tcase_add_test(tc, test_process_run_delay_never_falls_while_threads_come_and_go);
}

int main(void)
{
    return test_main("process", add_tests);
}
