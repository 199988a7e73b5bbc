/* test_admission: phase 3's line before the database, and each way out of it.
 *
 * One worker, whom a job can hold: what is behind it stays in line for as long as a test wants. The
 * clients are ends of socket pairs, which a test may close. */
#include "phase3/admission.h"

#include <stdatomic.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/http_conn.h"
#include "common/tests/harness.h"
#include "common/tests/metrics_scrape.h"
#include "common/tests/pg_fixture.h"

enum {
    QUEUE_MAX = 2,
    LONG_MS = 20000,
    SHORT_MS = 100,
    RACES = 500,
};

/* A client's request and what becomes of it. */
struct caller {
    struct http_conn conn;
    struct http_request request;
    int ends[2]; /* of its connection: ours, the client's */
    enum admission_result result;
    enum status status;
    pthread_t thread;
};

static struct dbpool *pool;
static struct admission *admission;
static char conninfo[FIXTURE_CONNINFO_SIZE];
static atomic_bool is_held; /* the worker stays with the job that it has */
static atomic_int begun;    /* jobs whose work was called */

static void start(int64_t deadline_ms)
{
    struct pg_options options = fixture_options(conninfo);
    pool = dbpool_new(1, &options);
    admission = admission_start(&(struct admission_options){
        .pool = pool, .workers = 1, .queue_max = QUEUE_MAX, .deadline_ms = deadline_ms});
}

static void set_up(void)
{
    fixture_conninfo(conninfo, "");
    atomic_store(&is_held, false);
    atomic_store(&begun, 0);
}

static void tear_down(void)
{
    atomic_store(&is_held, false);
    admission_close(admission);
    admission_free(admission);
    dbpool_shut(pool);
    dbpool_free(pool);
}

/* A job: asks the database, and says that there was nothing. */
static enum status look(struct pg *pg, void *data)
{
    (void)data;
    atomic_fetch_add(&begun, 1);
    ck_assert(pg_is_usable(pg));
    while (atomic_load(&is_held)) {
        fixture_nap();
    }
    return ST_NOT_FOUND;
}

static void caller_init(struct caller *caller)
{
    *caller = (struct caller){.result = ADMISSION_STOPPING, .status = ST_OK};
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, caller->ends), 0);
    atomic_store(&caller->conn.socket, caller->ends[0] + 1); /* known: it is not searched for */
    caller->request.conn = &caller->conn;
}

static void *call(void *context)
{
    struct caller *caller = context;
    caller->result = admission_run(admission, &caller->request, look, NULL, &caller->status);
    return NULL;
}

static void begin_call(struct caller *caller)
{
    caller_init(caller);
    ck_assert_int_eq(pthread_create(&caller->thread, NULL, call, caller), 0);
}

static void hang_up(struct caller *caller)
{
    close(caller->ends[1]);
    caller->ends[1] = -1;
}

static void caller_free(struct caller *caller)
{
    close(caller->ends[0]);
    if (caller->ends[1] >= 0) {
        close(caller->ends[1]);
    }
}

static void assert_ends(struct caller *caller, enum admission_result result, enum status status)
{
    pthread_join(caller->thread, NULL);
    ck_assert_int_eq(caller->result, result);
    ck_assert_status(caller->status, status);
    caller_free(caller);
}

/* On this thread. */
static enum admission_result run_now(void)
{
    struct caller caller;
    caller_init(&caller);
    call(&caller);
    caller_free(&caller);
    return caller.result;
}

static void await_begun(int count)
{
    int64_t deadline_ns = clock_deadline_ns(FIXTURE_PATIENCE_MS);
    while (atomic_load(&begun) < count) {
        ck_assert_int_lt(clock_now_ns(), deadline_ns);
        fixture_nap();
    }
}

static long published(struct metrics *metrics, const char *series)
{
    char *text = metrics_text(metrics);
    const char *value = scrape_find(text, series);
    ck_assert_msg(value != NULL, "no %s", series);
    long number = strtol(value, NULL, 10);
    free(text);
    return number;
}

static void await_length(struct metrics *metrics, long length)
{
    int64_t deadline_ns = clock_deadline_ns(FIXTURE_PATIENCE_MS);
    while (published(metrics, "flashdeal_queue_length") != length) {
        ck_assert_int_lt(clock_now_ns(), deadline_ns);
        fixture_nap();
    }
}

/* Gives the worker a job that it stays with. */
static void hold_worker(struct caller *holder)
{
    atomic_store(&is_held, true);
    begin_call(holder);
    await_begun(1);
}

/* ----------------------------------------------------------------------------------- the tests */

START_TEST(test_admission_passes_on_what_the_work_returns)
{
    struct caller caller;
    start(LONG_MS);
    begin_call(&caller);
    assert_ends(&caller, ADMISSION_DONE, ST_NOT_FOUND);
    ck_assert_int_eq(atomic_load(&begun), 1);
}
END_TEST

START_TEST(test_admission_full_line_refuses_at_once)
{
    struct metrics *metrics = metrics_new();
    struct caller holder, first, second;
    start(LONG_MS);
    admission_publish(admission, metrics);
    hold_worker(&holder);
    begin_call(&first);
    begin_call(&second);
    await_length(metrics, QUEUE_MAX);
    ck_assert_int_eq(published(metrics, "flashdeal_queue_max"), QUEUE_MAX);
    int64_t before_ns = clock_now_ns();
    ck_assert_int_eq(run_now(), ADMISSION_QUEUE_FULL);
    ck_assert_int_lt(clock_now_ns() - before_ns, LONG_MS / 2 * CLOCK_NS_PER_MS);
    atomic_store(&is_held, false);
    assert_ends(&holder, ADMISSION_DONE, ST_NOT_FOUND);
    assert_ends(&first, ADMISSION_DONE, ST_NOT_FOUND);
    assert_ends(&second, ADMISSION_DONE, ST_NOT_FOUND);
    ck_assert_int_eq(published(metrics, "flashdeal_queue_refused_total"), 1);
    ck_assert_int_eq(published(metrics, "flashdeal_admission_total{result=\"done\"}"), 3);
    metrics_free(metrics);
}
END_TEST

/* Its place is free again although nobody has popped it. */
START_TEST(test_admission_old_job_leaves_the_line)
{
    struct metrics *metrics = metrics_new();
    struct caller holder;
    start(SHORT_MS);
    admission_publish(admission, metrics);
    hold_worker(&holder);
    for (int i = 1; i <= 2 * QUEUE_MAX; i++) {
        ck_assert_int_eq(run_now(), ADMISSION_LATE);
        ck_assert_int_eq(published(metrics, "flashdeal_queue_length"), 0);
        ck_assert_int_eq(published(metrics, "flashdeal_admission_total{result=\"late\"}"), i);
    }
    atomic_store(&is_held, false);
    assert_ends(&holder, ADMISSION_DONE, ST_NOT_FOUND);
    ck_assert_int_eq(atomic_load(&begun), 1);
    metrics_free(metrics);
}
END_TEST

/* Whose turn came, and then there was no connection. */
START_TEST(test_admission_without_a_connection_is_no_work)
{
    struct stages stages = {0};
    struct pg *pg = NULL;
    struct caller caller;
    start(SHORT_MS);
    ck_assert_status(dbpool_acquire(pool, clock_deadline_ns(LONG_MS), &stages, &pg), ST_OK);
    int64_t before_ns = clock_now_ns();
    begin_call(&caller);
    assert_ends(&caller, ADMISSION_DONE, ST_TIMEOUT);
    ck_assert_int_lt(clock_now_ns() - before_ns, LONG_MS / 2 * CLOCK_NS_PER_MS);
    ck_assert_int_eq(atomic_load(&begun), 0);
    dbpool_release(pool, pg);
}
END_TEST

/* Whoever gets it, the worker or who withdraws it: it is too late for work. */
START_TEST(test_admission_no_time_is_no_work)
{
    start(0);
    for (int i = 0; i < RACES; i++) {
        ck_assert_int_eq(run_now(), ADMISSION_LATE);
    }
    ck_assert_int_eq(atomic_load(&begun), 0);
}
END_TEST

START_TEST(test_admission_who_hung_up_costs_no_work)
{
    struct metrics *metrics = metrics_new();
    struct caller holder, gone;
    start(LONG_MS);
    admission_publish(admission, metrics);
    hold_worker(&holder);
    begin_call(&gone);
    await_length(metrics, 1);
    hang_up(&gone);
    atomic_store(&is_held, false);
    assert_ends(&holder, ADMISSION_DONE, ST_NOT_FOUND);
    assert_ends(&gone, ADMISSION_GONE, ST_TIMEOUT);
    ck_assert_int_eq(atomic_load(&begun), 1);
    ck_assert_int_eq(published(metrics, "flashdeal_admission_total{result=\"gone\"}"), 1);
    metrics_free(metrics);
}
END_TEST

START_TEST(test_admission_closed_does_what_is_in_line)
{
    struct metrics *metrics = metrics_new();
    struct caller holder, last;
    start(LONG_MS);
    admission_publish(admission, metrics);
    hold_worker(&holder);
    begin_call(&last);
    await_length(metrics, 1);
    admission_close(admission);
    ck_assert_int_eq(run_now(), ADMISSION_STOPPING);
    atomic_store(&is_held, false);
    assert_ends(&holder, ADMISSION_DONE, ST_NOT_FOUND);
    assert_ends(&last, ADMISSION_DONE, ST_NOT_FOUND);
    metrics_free(metrics);
}
END_TEST

static void add_tests(TCase *tc)
{
    fixture_require("test_admission");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_admission_passes_on_what_the_work_returns);
    tcase_add_test(tc, test_admission_full_line_refuses_at_once);
    tcase_add_test(tc, test_admission_old_job_leaves_the_line);
    tcase_add_test(tc, test_admission_without_a_connection_is_no_work);
    tcase_add_test(tc, test_admission_no_time_is_no_work);
    tcase_add_test(tc, test_admission_who_hung_up_costs_no_work);
    tcase_add_test(tc, test_admission_closed_does_what_is_in_line);
}

int main(void)
{
    return test_main("admission", add_tests);
}
