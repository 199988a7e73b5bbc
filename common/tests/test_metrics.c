/* Tests of common/metrics: one series for a name and its labels, room for so many, and exact totals
 * while several threads book and one scrapes. */
#include "common/metrics.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "common/tests/harness.h"
#include "common/tests/metrics_scrape.h"

enum {
    THREADS = 4,
    ROUNDS = 400000,
    BOOKED = THREADS * ROUNDS,
    LATE_EVERY = 50, /* rounds after which a thread asks for another series */
    LATE_SERIES = 40,
    MEETINGS = 400, /* series that all threads ask for at once */
};

/* --------------------------------------------------------------------------------- the registry */

START_TEST(test_metrics_same_name_and_labels_are_one_series)
{
    struct metrics *metrics = metrics_new();
    char labels[] = "a=\"1\"";
    struct metrics_counter *first = metrics_counter(metrics, "n_total", "N.", labels);
    labels[3] = '2'; /* the caller's text may change: it was copied */
    struct metrics_counter *other = metrics_counter(metrics, "n_total", "N.", labels);
    struct metrics_histogram *histogram = metrics_histogram(metrics, "d_seconds", "D.", "a=\"1\"");
    ck_assert_ptr_ne(first, other);
    ck_assert_ptr_eq(metrics_counter(metrics, "n_total", "N.", "a=\"1\""), first);
    ck_assert_ptr_eq(metrics_counter(metrics, "n_total", "N.", "a=\"2\""), other);
    ck_assert_ptr_eq(metrics_histogram(metrics, "d_seconds", "D.", "a=\"1\""), histogram);
    double value = 1;
    metrics_gauge(metrics, "g", "G.", "", scrape_read, &value);
    metrics_gauge(metrics, "g", "G.", "", scrape_read, &value);
    char *text = metrics_text(metrics);
    ck_assert_int_eq(scrape_count(text, "\ng 1\n"), 1);
    ck_assert_int_eq(scrape_count(text, "n_total{a="), 2);
    free(text);
    metrics_free(metrics);
}
END_TEST

START_TEST(test_metrics_registry_refuses_when_full_and_says_so)
{
    struct metrics *metrics = metrics_new();
    char labels[METRICS_LABELS_MAX];
    for (int i = 0; i < METRICS_SERIES_MAX; i++) {
        snprintf(labels, sizeof labels, "i=\"%d\"", i);
        struct metrics_counter *counter = metrics_counter(metrics, "n_total", "N.", labels);
        ck_assert_ptr_nonnull(counter);
        metrics_add(counter, i);
    }
    double value = 1;
    struct metrics_histogram *histogram = metrics_histogram(metrics, "d_seconds", "D.", "");
    ck_assert_ptr_null(histogram);
    ck_assert_ptr_null(metrics_counter(metrics, "n_total", "N.", "i=\"x\""));
    metrics_gauge(metrics, "g", "G.", "", scrape_read, &value);
    metrics_observe(NULL, 1);
    metrics_add(NULL, 1);
    char *text = metrics_text(metrics);
    ck_assert(scrape_value(text, "flashdeal_metrics_refused_total") == 3);
    ck_assert(scrape_value(text, "n_total{i=\"511\"}") == METRICS_SERIES_MAX - 1);
    ck_assert_ptr_null(strstr(text, "d_seconds"));
    ck_assert_int_eq(scrape_count(text, "\nn_total{"), METRICS_SERIES_MAX);
    ck_assert_ptr_eq(metrics_counter(metrics, "n_total", "N.", "i=\"0\""),
                     metrics_counter(metrics, "n_total", "N.", "i=\"0\""));
    free(text);
    metrics_free(metrics);
}
END_TEST

/* Whether a counter of that name, help and labels is a programmer's error: it ends the process, so
 * it is tried in a child. */
static bool is_refused(const char *name, const char *help, const char *labels)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        const struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        close(STDERR_FILENO); /* assert has nothing to say that we want to read */
        metrics_counter(metrics_new(), name, help, labels);
        _exit(EXIT_SUCCESS);
    }
    ck_assert_int_gt(child, 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

START_TEST(test_metrics_words_that_would_break_the_text_are_refused)
{
    static const char *const bad[] = {
        "a",
        "a=",
        "a=1",
        "a=\"1",
        "a=\"1\",",
        "=\"1\"",
        "1a=\"1\"",
        "a-b=\"1\"",
        ",a=\"1\"",
        "a=\"1\"2",
        "a=\"1\",,b=\"\"",
        "a=\"\"\"",
        "a=\"\\\"",
        "a=\"1\n2\"",
        "a=\"1\" ,b=\"2\"",
        "a=\"1\"} 1\n",
        "a=\"1\r\"",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_msg(is_refused("n_total", "N.", bad[i]), "%s", bad[i]);
    }
    ck_assert(!is_refused("n_total", "N.", ""));
    ck_assert(!is_refused("n:1_total", "N.", "a=\"\",_b2=\"/orders/{} \xc3\xa9=,\""));
    ck_assert(is_refused("n", "N.", ""));
    ck_assert(is_refused("", "N.", ""));
    ck_assert(is_refused("1n_total", "N.", ""));
    ck_assert(is_refused("n _total", "N.", ""));
    ck_assert(is_refused("flashdeal_metrics_refused_total", "N.", ""));
    ck_assert(is_refused("n_total", "N\n", ""));
    ck_assert(is_refused("n_total", "\\N", ""));
    char labels[METRICS_LABELS_MAX + 1] = "a=\"";
    memset(labels + 3, 'x', METRICS_LABELS_MAX - 5);
    labels[METRICS_LABELS_MAX - 2] = '"';
    ck_assert(!is_refused("n_total", "N.", labels));
    memcpy(labels + METRICS_LABELS_MAX - 2, "x\"", sizeof "x\"");
    ck_assert(is_refused("n_total", "N.", labels));
}
END_TEST

START_TEST(test_metrics_free_accepts_null)
{
    metrics_free(NULL);
}
END_TEST

static double read_and_add(void *context)
{
    metrics_add(metrics_counter(context, "late_total", "Late.", ""), 1);
    char *text = metrics_text(context);
    free(text);
    return 1;
}

static double read_with_registry(void *context)
{
    static bool inside;
    if (inside) {
        return 0;
    }
    inside = true;
    double value = read_and_add(context);
    inside = false;
    return value;
}

/* With a lock held this would never end, and the watchdog would say so. */
START_TEST(test_metrics_readers_may_use_the_registry)
{
    struct metrics *metrics = metrics_new();
    metrics_gauge(metrics, "g", "G.", "", read_with_registry, metrics);
    ck_assert(scrape_one(metrics, "g") == 1);
    ck_assert(scrape_one(metrics, "late_total") == 2);
    metrics_free(metrics);
}
END_TEST

/* ------------------------------------------------------------------------------ several threads */

static pthread_barrier_t start;
static struct metrics *shared;
static struct metrics_counter *shared_counter;
static struct metrics_histogram *shared_histogram;
static atomic_int running;

static void *book(void *unused)
{
    (void)unused;
    char labels[METRICS_LABELS_MAX];
    pthread_barrier_wait(&start);
    for (int i = 0; i < ROUNDS; i++) {
        metrics_observe(shared_histogram, (i % 100) * 100000);
        metrics_add(shared_counter, 3);
        if (i % LATE_EVERY == 0) {
            snprintf(labels, sizeof labels, "i=\"%d\"", i / LATE_EVERY % LATE_SERIES);
            metrics_add(metrics_counter(shared, "late_total", "Late.", labels), 1);
        }
    }
    atomic_fetch_sub(&running, 1);
    return NULL;
}

/* Reads the buckets; each holds those below it, the last is the count, none fell since the scrape
 * before, which is in counts. */
static void expect_monotonic(const char *text, double counts[SCRAPE_LES])
{
    double below = 0;
    for (size_t i = 0; i < SCRAPE_LES; i++) {
        char series[64];
        snprintf(series, sizeof series, "d_seconds_bucket{le=\"%s\"}", scrape_les[i]);
        double count = scrape_value(text, series);
        ck_assert_double_ge(count, below);
        ck_assert_double_ge(count, counts[i]);
        below = counts[i] = count;
    }
    ck_assert(scrape_value(text, "d_seconds_count") == below);
}

START_TEST(test_metrics_scrapes_are_monotonic_while_threads_book)
{
    pthread_t threads[THREADS];
    double counts[SCRAPE_LES] = {0};
    int scrapes = 0;
    shared = metrics_new();
    shared_histogram = metrics_histogram(shared, "d_seconds", "D.", "");
    shared_counter = metrics_counter(shared, "n_total", "N.", "");
    pthread_barrier_init(&start, NULL, THREADS + 1);
    atomic_store(&running, THREADS);
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, book, NULL), 0);
    }
    pthread_barrier_wait(&start);
    double sum = 0, total = 0;
    while (atomic_load(&running) > 0) {
        char *text = metrics_text(shared);
        expect_monotonic(text, counts);
        ck_assert_double_ge(scrape_value(text, "d_seconds_sum"), sum);
        ck_assert_double_ge(scrape_value(text, "n_total"), total);
        sum = scrape_value(text, "d_seconds_sum");
        total = scrape_value(text, "n_total");
        ck_assert_int_le(scrape_count(text, "# TYPE late_total"), 1);
        free(text);
        scrapes++;
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_barrier_destroy(&start);
    ck_assert_int_gt(scrapes, 0);
    char *text = metrics_text(shared);
    expect_monotonic(text, counts);
    ck_assert(counts[SCRAPE_LES - 1] == BOOKED);
    ck_assert(counts[0] * 100 == BOOKED * 2);
    ck_assert(scrape_value(text, "n_total") == 3 * BOOKED);
    /* 0, 0.1, .. 9.9 ms: 4.95 ms each */
    ck_assert_double_eq_tol(scrape_value(text, "d_seconds_sum"), BOOKED * 0.00495, 1e-9);
    double late = 0;
    for (int i = 0; i < LATE_SERIES; i++) {
        char series[64];
        snprintf(series, sizeof series, "late_total{i=\"%d\"}", i);
        late += scrape_value(text, series);
    }
    ck_assert(late * LATE_EVERY == BOOKED);
    ck_assert_int_eq(scrape_count(text, "\nlate_total{"), LATE_SERIES);
    free(text);
    metrics_free(shared);
}
END_TEST

static struct metrics_counter *found[MEETINGS][THREADS];
static int numbers[THREADS];
static atomic_int arrived;

static void *meet(void *number)
{
    char labels[METRICS_LABELS_MAX];
    for (int i = 0; i < MEETINGS; i++) {
        snprintf(labels, sizeof labels, "i=\"%d\"", i);
        atomic_fetch_add(&arrived, 1);
        while (atomic_load(&arrived) < (i + 1) * THREADS) {
            sched_yield(); /* a barrier of the library lets them go one by one */
        }
        found[i][*(const int *)number] = metrics_counter(shared, "n_total", "N.", labels);
    }
    return NULL;
}

START_TEST(test_metrics_threads_at_once_find_one_series)
{
    pthread_t threads[THREADS];
    shared = metrics_new();
    atomic_store(&arrived, 0);
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, meet, &numbers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    for (int i = 0; i < MEETINGS; i++) {
        ck_assert_ptr_nonnull(found[i][0]);
        for (int thread = 1; thread < THREADS; thread++) {
            ck_assert_ptr_eq(found[i][thread], found[i][0]);
        }
    }
    char *text = metrics_text(shared);
    ck_assert_int_eq(scrape_count(text, "\nn_total{"), MEETINGS);
    ck_assert(scrape_value(text, "flashdeal_metrics_refused_total") == 0);
    free(text);
    metrics_free(shared);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_test(tc, test_metrics_same_name_and_labels_are_one_series);
    tcase_add_test(tc, test_metrics_registry_refuses_when_full_and_says_so);
    tcase_add_test(tc, test_metrics_words_that_would_break_the_text_are_refused);
    tcase_add_test(tc, test_metrics_free_accepts_null);
    tcase_add_test(tc, test_metrics_readers_may_use_the_registry);
    tcase_add_test(tc, test_metrics_threads_at_once_find_one_series);
    tcase_add_test(tc, test_metrics_scrapes_are_monotonic_while_threads_book);
}

int main(void)
{
    return test_main("metrics", add_tests);
}
