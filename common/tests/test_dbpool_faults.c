/* Tests of dbpool when connections come back spoilt or die while they lie idle. */
#include "common/dbpool.h"

#include "common/log.h"
#include "common/tests/dbpool_fixture.h"
#include "common/tests/harness.h"

static const struct pg_statement BACKEND = {"backend", "SELECT pg_backend_pid()", 0,
                                            STAGE_STATEMENTS};

static const char SQL_SESSIONS[] = "SELECT count(*) FROM pg_stat_activity WHERE datname = "
                                   "current_database() AND application_name = 'fd_test'";

enum { SIZE = 4, CALLERS = 12, CHURN_ROUNDS = 60, SHORT_MS = 150 };

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

static void add_tests(TCase *tc)
{
    log_set_level(LOG_ERROR); /* outages are what is tested */
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_connection_in_a_transaction_is_discarded);
    tcase_add_test(tc, test_newcomer_does_not_take_a_freed_slot_from_the_line);
    tcase_add_test(tc, test_broken_connection_is_discarded);
    tcase_add_test(tc, test_no_caller_sees_connections_that_died_idle);
    tcase_add_test(tc, test_no_slot_is_lost_while_backends_are_ended);
}

int main(void)
{
    fixture_require("test_dbpool_faults");
    return test_main("dbpool_faults", add_tests);
}
