/* Tests of dbpool when connections come back spoilt, die while they lie idle, or cannot be made. */
#include "common/dbpool.h"

#include "common/log.h"
#include "common/tests/dbpool_fixture.h"
#include "common/tests/harness.h"

static const struct pg_statement BACKEND = {"backend", "SELECT pg_backend_pid()", 0,
                                            STAGE_STATEMENTS};

static const char SQL_SESSIONS[] = "SELECT count(*) FROM pg_stat_activity WHERE datname = "
                                   "current_database() AND application_name = 'fd_test'";

enum {
    SIZE = 4,
    CALLERS = 12,
    CHURN_ROUNDS = 60,
    OUTAGE_MS = 1500,
    SHORT_MS = 150, /* a wait that a test sees through to its end */
};

/* -------------------------------------------------------------------------------------- spoilt */

START_TEST(test_connection_in_a_transaction_is_discarded)
{
    struct caller waiter;
    struct dbpool_stats stats;
    make_pool(1);
    struct pg *pg = acquire();
    ck_assert_status(pg_begin(pg), ST_OK);
    ck_assert_status(pg_run(pg, &READ_ONE, NULL, NULL), ST_OK);
    call(&waiter, CLOCK_NEVER);
    await_waiters(1);
    dbpool_release(pool, pg);
    join(&waiter, ST_OK); /* on a new one: the slot was not lost */
    fixture_await("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
                  "application_name = 'fd_test' "
                  "AND state LIKE 'idle in transaction%'",
                  0);
    fixture_await(SQL_SESSIONS, 1);
    dbpool_read_stats(pool, &stats);
    ck_assert_int_eq(stats.discarded, 1);
    ck_assert_int_eq(stats.connects, 2);
    ck_assert_int_eq(stats.in_use, 0);
}
END_TEST

START_TEST(test_newcomer_does_not_take_a_freed_slot_from_the_line)
{
    struct caller waiter;
    for (int i = 0; i < 8; i++) {
        struct pg *stolen = NULL;
        make_pool(1);
        struct pg *pg = acquire();
        ck_assert_status(pg_begin(pg), ST_OK);
        let_go = false;
        call(&waiter, CLOCK_NEVER);
        await_waiters(1);
        dbpool_release(pool, pg); /* discarded: the waiter must connect, and still comes first */
        enum status status = dbpool_acquire(pool, clock_deadline_ns(SHORT_MS), NULL, &stolen);
        let_go = true;
        dbpool_release(pool, stolen);
        join(&waiter, ST_OK);
        ck_assert_status(status, ST_TIMEOUT);
    }
}
END_TEST

START_TEST(test_broken_connection_is_discarded)
{
    struct dbpool_stats stats;
    make_pool(1);
    struct pg *pg = acquire();
    proxy_cut(proxy);
    ck_assert_status(pg_run(pg, &READ_ONE, NULL, NULL), ST_RETRY);
    dbpool_release(pool, pg);
    pg = acquire();
    ck_assert_status(pg_run(pg, &READ_ONE, NULL, NULL), ST_OK);
    dbpool_release(pool, pg);
    dbpool_read_stats(pool, &stats);
    ck_assert_int_eq(stats.discarded, 1);
    ck_assert_int_eq(stats.connects, 2);
}
END_TEST

START_TEST(test_no_caller_sees_connections_that_died_idle)
{
    struct pg *pgs[SIZE];
    struct dbpool_stats stats;
    options.conninfo = fixture_url(); /* no proxy: what the server's end left is there at once */
    make_pool(SIZE);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < SIZE; i++) {
            pgs[i] = acquire();
            ck_assert_status(pg_begin(pgs[i]), ST_OK);
            ck_assert_status(pg_run(pgs[i], &READ_ONE, NULL, NULL), ST_OK);
            ck_assert_status(pg_commit(pgs[i]), ST_OK);
        }
        for (int i = 0; i < SIZE; i++) {
            dbpool_release(pool, pgs[i]);
        }
        fixture_end_backends("fd_test");
    }
    dbpool_read_stats(pool, &stats);
    ck_assert_int_eq(stats.connects, 3 * SIZE);
    ck_assert_int_eq(stats.discarded, 0); /* they did not come back broken */
}
END_TEST

static atomic_bool churn_over;
static atomic_int lent, failures;

static void *churn_main(void *arg)
{
    (void)arg;
    while (!churn_over) {
        struct pg *pg = NULL;
        if (dbpool_acquire(pool, CLOCK_NEVER, NULL, &pg) != ST_OK) {
            failures++;
            return NULL;
        }
        int now = ++lent;
        if (now > SIZE) {
            failures++;
        }
        (void)!pg_run(pg, &BACKEND, NULL, NULL); /* may well fail: its backend is being ended */
        lent--;
        dbpool_release(pool, pg);
    }
    return NULL;
}

START_TEST(test_no_slot_is_lost_while_backends_are_ended)
{
    pthread_t threads[CALLERS];
    struct pg *pgs[SIZE];
    options.conninfo = fixture_url();
    make_pool(SIZE);
    lent = failures = 0;
    churn_over = false;
    for (int i = 0; i < CALLERS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, churn_main, NULL), 0);
    }
    for (int i = 0; i < CHURN_ROUNDS; i++) {
        (void)fixture_number("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                             "WHERE datname = current_database() AND application_name = 'fd_test'");
    }
    churn_over = true;
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(threads[i], NULL);
    }
    ck_assert_int_eq(failures, 0);
    for (int i = 0; i < SIZE; i++) {
        pgs[i] = acquire();
        ck_assert_status(pg_run(pgs[i], &READ_ONE, NULL, NULL), ST_OK);
    }
    fixture_await(SQL_SESSIONS, SIZE);
    for (int i = 0; i < SIZE; i++) {
        dbpool_release(pool, pgs[i]);
    }
}
END_TEST

/* ------------------------------------------------------------------------------------- backoff */

static void refuse_with(const char *sqlstate)
{
    char message[PROXY_MESSAGE_SIZE];
    size_t length = proxy_message(message, 'E', "FATAL", sqlstate, "not now", "somewhere");
    proxy_set(proxy, PROXY_REFUSE, NULL, message, length);
}

static void let_pass(void)
{
    proxy_set(proxy, PROXY_PASS, NULL, NULL, 0);
}

START_TEST(test_attempts_are_spaced_while_the_database_refuses)
{
    struct caller callers[CALLERS];
    struct dbpool_stats stats;
    make_pool(SIZE);
    refuse_with("57P03");
    int64_t deadline_ns = clock_deadline_ns(OUTAGE_MS);
    for (int i = 0; i < CALLERS; i++) {
        call(&callers[i], deadline_ns);
    }
    for (int i = 0; i < CALLERS; i++) {
        join(&callers[i], ST_TIMEOUT);
    }
    ck_assert_int_ge(clock_now_ns(), deadline_ns);
    /* All slots at once, then one at a time after at least 25, 50, 100, 200, 400 and 800 ms: five
     * more would fit. */
    ck_assert_int_ge(proxy->accepted, 2);
    ck_assert_int_le(proxy->accepted, SIZE + 5);
    dbpool_read_stats(pool, &stats);
    ck_assert_int_eq(stats.timed_out, CALLERS);
    ck_assert_int_eq(stats.connects, 0);
    ck_assert_int_eq(stats.in_use, 0);
}
END_TEST

START_TEST(test_callers_are_served_when_the_database_comes_back)
{
    struct caller callers[CALLERS];
    struct pg *pgs[SIZE];
    make_pool(SIZE);
    refuse_with("57P03");
    for (int i = 0; i < CALLERS; i++) {
        call(&callers[i], clock_deadline_ns(FIXTURE_PATIENCE_MS));
    }
    int64_t deadline_ns = clock_deadline_ns(FIXTURE_PATIENCE_MS);
    while (proxy->accepted < SIZE + 1) { /* some attempts have failed */
        ck_assert_int_lt(clock_now_ns(), deadline_ns);
        fixture_nap();
    }
    let_pass();
    for (int i = 0; i < CALLERS; i++) {
        join(&callers[i], ST_OK);
    }
    for (int i = 0; i < SIZE; i++) {
        pgs[i] = acquire(); /* the backoff is over: no slot waits for it */
    }
    for (int i = 0; i < SIZE; i++) {
        dbpool_release(pool, pgs[i]);
    }
}
END_TEST

START_TEST(test_refusal_for_good_is_told_to_everybody_at_once)
{
    struct caller callers[CALLERS];
    make_pool(SIZE);
    refuse_with("28P01");
    for (int i = 0; i < CALLERS; i++) {
        call(&callers[i], CLOCK_NEVER);
    }
    for (int i = 0; i < CALLERS; i++) {
        join(&callers[i], ST_SCHEMA);
    }
    let_pass(); /* the operator has corrected it */
    struct pg *pg = NULL;
    int64_t deadline_ns = clock_deadline_ns(FIXTURE_PATIENCE_MS);
    while (dbpool_acquire(pool, CLOCK_NEVER, NULL, &pg) != ST_OK) {
        ck_assert_int_lt(clock_now_ns(), deadline_ns);
        fixture_nap();
    }
    dbpool_release(pool, pg);
}
END_TEST

START_TEST(test_refusal_for_good_is_told_without_another_attempt)
{
    struct pg *pg = NULL;
    enum status status = ST_OK;
    make_pool(1);
    refuse_with("28P01");
    /* A deadline that has passed leaves no time for an attempt. The backoff may run out between the
     * two calls; it grows with every try, so it cannot do so each time. */
    for (int i = 0; i < 5 && status != ST_SCHEMA; i++) {
        ck_assert_status(dbpool_acquire(pool, CLOCK_NEVER, NULL, &pg), ST_SCHEMA);
        status = dbpool_acquire(pool, 0, NULL, &pg);
    }
    ck_assert_status(status, ST_SCHEMA);
}
END_TEST

START_TEST(test_caller_in_backoff_gets_what_comes_back)
{
    struct caller waiter;
    make_pool(2);
    struct pg *pg = acquire();
    refuse_with("53300"); /* one connection is all that we get */
    call(&waiter, CLOCK_NEVER);
    int64_t deadline_ns = clock_deadline_ns(FIXTURE_PATIENCE_MS);
    while (proxy->accepted < 2) {
        ck_assert_int_lt(clock_now_ns(), deadline_ns);
        fixture_nap();
    }
    await_waiters(1);
    dbpool_release(pool, pg);
    join(&waiter, ST_OK);
}
END_TEST

START_TEST(test_silent_database_is_bounded_by_the_callers_deadline)
{
    struct caller callers[CALLERS];
    struct pg *pgs[SIZE];
    make_pool(SIZE);
    proxy_set(proxy, PROXY_FREEZE, NULL, NULL, 0);
    int64_t deadline_ns = clock_deadline_ns(SHORT_MS);
    for (int i = 0; i < CALLERS; i++) {
        call(&callers[i], deadline_ns);
    }
    for (int i = 0; i < CALLERS; i++) {
        join(&callers[i], ST_TIMEOUT);
    }
    ck_assert_int_ge(clock_now_ns(), deadline_ns);
    let_pass();
    for (int i = 0; i < SIZE; i++) {
        pgs[i] = acquire();
    }
    for (int i = 0; i < SIZE; i++) {
        dbpool_release(pool, pgs[i]);
    }
}
END_TEST

START_TEST(test_shut_wakes_a_caller_in_backoff)
{
    struct caller waiter;
    make_pool(1);
    refuse_with("57P03");
    call(&waiter, CLOCK_NEVER);
    await_waiters(1);
    dbpool_shut(pool);
    join(&waiter, ST_BUSY);
}
END_TEST

static void add_tests(TCase *tc)
{
    log_set_level(LOG_ERROR); /* outages are what is tested */
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_connection_in_a_transaction_is_discarded);
    tcase_add_test(tc, test_newcomer_does_not_take_a_freed_slot_from_the_line);
    tcase_add_test(tc, test_broken_connection_is_discarded);
    tcase_add_test(tc, test_no_caller_sees_connections_that_died_idle);
    tcase_add_test(tc, test_no_slot_is_lost_while_backends_are_ended);
    tcase_add_test(tc, test_attempts_are_spaced_while_the_database_refuses);
    tcase_add_test(tc, test_callers_are_served_when_the_database_comes_back);
    tcase_add_test(tc, test_refusal_for_good_is_told_to_everybody_at_once);
    tcase_add_test(tc, test_refusal_for_good_is_told_without_another_attempt);
    tcase_add_test(tc, test_caller_in_backoff_gets_what_comes_back);
    tcase_add_test(tc, test_silent_database_is_bounded_by_the_callers_deadline);
    tcase_add_test(tc, test_shut_wakes_a_caller_in_backoff);
}

int main(void)
{
    fixture_require("test_dbpool_faults");
    return test_main("dbpool_faults", add_tests);
}
