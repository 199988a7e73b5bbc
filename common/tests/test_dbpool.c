/* Tests of dbpool: the bound, the line's order, deadlines, stages. Connections that are spoilt or
 * cannot be made are in test_dbpool_faults.c, starting up is in test_dbpool_ready.c. */
#include "common/dbpool.h"

#include "common/tests/dbpool_fixture.h"
#include "common/tests/harness.h"

enum {
    STRESS_THREADS = 32,
    STRESS_ROUNDS = 2000,
    STRESS_SIZE = 4,
    LINE_LENGTH = 12,
    SHORT_MS = 150, /* a wait that a test sees through to its end */
};

/* -------------------------------------------------------------------------------------- bound */

static pthread_barrier_t barrier;
static atomic_int lent, lent_most, failures;

static void *stress_main(void *arg)
{
    (void)arg;
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < STRESS_ROUNDS; i++) {
        struct pg *pg = NULL;
        if (dbpool_acquire(pool, CLOCK_NEVER, NULL, &pg) != ST_OK) {
            failures++;
            continue;
        }
        int now = ++lent;
        for (int most = lent_most; now > most;) {
            if (atomic_compare_exchange_weak(&lent_most, &most, now)) {
                break;
            }
        }
        if (i % 16 == 0) {
            sched_yield();
        }
        lent--;
        dbpool_release(pool, pg);
    }
    return NULL;
}

START_TEST(test_never_more_than_its_size_is_lent)
{
    pthread_t threads[STRESS_THREADS];
    struct dbpool_stats stats;
    make_pool(STRESS_SIZE);
    lent = lent_most = failures = 0;
    pthread_barrier_init(&barrier, NULL, STRESS_THREADS);
    for (int i = 0; i < STRESS_THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, stress_main, NULL), 0);
    }
    for (int i = 0; i < STRESS_THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_barrier_destroy(&barrier);
    dbpool_read_stats(pool, &stats);
    ck_assert_int_eq(failures, 0);
    ck_assert_int_ge(lent_most, 1);
    ck_assert_int_le(lent_most, STRESS_SIZE);
    ck_assert_int_eq(stats.acquired, STRESS_THREADS * STRESS_ROUNDS);
    ck_assert_int_eq(stats.timed_out, 0);
    ck_assert_int_eq(stats.discarded, 0);
    ck_assert_int_eq(stats.in_use, 0);
    ck_assert_int_eq(stats.waiters, 0);
    ck_assert_int_le(stats.connects, STRESS_SIZE);
    ck_assert_int_le(proxy->accepted, STRESS_SIZE);
}
END_TEST

START_TEST(test_connections_are_made_when_first_wanted)
{
    make_pool(4);
    ck_assert_int_eq(proxy->accepted, 0);
    dbpool_release(pool, acquire());
    dbpool_release(pool, acquire());
    dbpool_release(pool, NULL);
    struct dbpool_stats stats;
    dbpool_read_stats(pool, &stats);
    ck_assert_int_eq(stats.size, 4);
    ck_assert_int_eq(stats.connects, 1);
    ck_assert_int_eq(stats.acquired, 2);
}
END_TEST

START_TEST(test_a_short_deadline_still_opens_a_connection)
{
    make_pool(1);
    struct pg *pg = NULL;
    int64_t patience_ns = clock_deadline_ns(FIXTURE_PATIENCE_MS);
    while (dbpool_acquire(pool, clock_deadline_ns(1), NULL, &pg) != ST_OK) {
        ck_assert_int_lt(clock_now_ns(), patience_ns);
    }
    dbpool_release(pool, pg);
}
END_TEST

START_TEST(test_most_recently_used_connection_is_lent_first)
{
    make_pool(3);
    struct pg *a = acquire();
    struct pg *b = acquire();
    struct pg *c = acquire();
    dbpool_release(pool, b);
    dbpool_release(pool, c);
    dbpool_release(pool, a);
    ck_assert_ptr_eq(acquire(), a);
    ck_assert_ptr_eq(acquire(), c);
    ck_assert_ptr_eq(acquire(), b);
    dbpool_release(pool, a);
    dbpool_release(pool, b);
    dbpool_release(pool, c);
}
END_TEST

/* --------------------------------------------------------------------------------------- line */

START_TEST(test_waiters_are_served_first_come_first_served)
{
    struct caller callers[LINE_LENGTH];
    make_pool(1);
    struct pg *pg = acquire();
    served = 0;
    for (int i = 0; i < LINE_LENGTH; i++) {
        /* Deadlines in the opposite order: the line's order must not come from them. */
        call(&callers[i], clock_deadline_ns(FIXTURE_PATIENCE_MS * (LINE_LENGTH - i)));
        await_waiters(i + 1);
    }
    dbpool_release(pool, pg);
    for (int i = 0; i < LINE_LENGTH; i++) {
        join(&callers[i], ST_OK);
        ck_assert_int_eq(callers[i].place, i + 1);
    }
}
END_TEST

START_TEST(test_newcomer_does_not_overtake_the_line)
{
    struct caller waiter;
    make_pool(1);
    for (int i = 0; i < 200; i++) {
        struct pg *stolen = NULL;
        struct pg *mine = acquire();
        let_go = false;
        call(&waiter, CLOCK_NEVER);
        await_waiters(1);
        dbpool_release(pool, mine);
        enum status status = dbpool_acquire(pool, 0, NULL, &stolen);
        let_go = true;
        ck_assert_status(status, ST_TIMEOUT); /* the waiter's from the release on */
        join(&waiter, ST_OK);
    }
}
END_TEST

START_TEST(test_deadline_ends_the_wait_and_not_before)
{
    struct stages stages = {{0}};
    struct dbpool_stats stats;
    struct pg *late = NULL;
    make_pool(1);
    struct pg *pg = acquire();
    int64_t deadline_ns = clock_deadline_ns(SHORT_MS);
    ck_assert_status(dbpool_acquire(pool, deadline_ns, &stages, &late), ST_TIMEOUT);
    ck_assert_int_ge(clock_now_ns(), deadline_ns);
    ck_assert_ptr_null(late);
    ck_assert_int_ge(stages.spent_ns[STAGE_POOL_WAIT], (SHORT_MS - 1) * CLOCK_NS_PER_MS);
    ck_assert_status(dbpool_acquire(pool, 0, NULL, &late), ST_TIMEOUT);
    dbpool_read_stats(pool, &stats);
    ck_assert_int_eq(stats.timed_out, 2);
    ck_assert_int_eq(stats.waiters, 0);
    ck_assert_int_eq(stats.in_use, 1);
    dbpool_release(pool, pg);
    ck_assert_status(dbpool_acquire(pool, 0, NULL, &late), ST_OK); /* free: no wait, no deadline */
    dbpool_release(pool, late);
}
END_TEST

START_TEST(test_leaving_the_line_costs_those_behind_nothing)
{
    struct caller first, second, third;
    make_pool(1);
    struct pg *pg = acquire();
    served = 0;
    call(&first, clock_deadline_ns(SHORT_MS));
    await_waiters(1);
    call(&second, CLOCK_NEVER);
    await_waiters(2);
    call(&third, clock_deadline_ns(0));
    join(&first, ST_TIMEOUT);
    join(&third, ST_TIMEOUT);
    await_waiters(1);
    dbpool_release(pool, pg);
    join(&second, ST_OK);
    ck_assert_int_eq(second.place, 1);
}
END_TEST

START_TEST(test_shut_wakes_the_line_and_refuses_newcomers)
{
    struct caller callers[LINE_LENGTH];
    struct pg *late = NULL;
    make_pool(1);
    struct pg *pg = acquire();
    for (int i = 0; i < LINE_LENGTH; i++) {
        call(&callers[i], CLOCK_NEVER);
    }
    await_waiters(LINE_LENGTH);
    dbpool_shut(pool);
    for (int i = 0; i < LINE_LENGTH; i++) {
        join(&callers[i], ST_CLOSED);
    }
    ck_assert_status(dbpool_acquire(pool, CLOCK_NEVER, NULL, &late), ST_CLOSED);
    ck_assert_status(pg_run(pg, &READ_ONE, NULL, NULL), ST_OK);
    dbpool_release(pool, pg);
    ck_assert_status(dbpool_acquire(pool, CLOCK_NEVER, NULL, &late), ST_CLOSED);
    ck_assert_ptr_null(late);
}
END_TEST

START_TEST(test_statements_are_booked_to_the_borrower_and_only_to_him)
{
    struct stages stages = {{0}};
    struct pg *pg = NULL;
    make_pool(1);
    ck_assert_status(dbpool_acquire(pool, CLOCK_NEVER, &stages, &pg), ST_OK);
    ck_assert_int_gt(stages.spent_ns[STAGE_POOL_WAIT], 0);
    ck_assert_status(pg_run(pg, &READ_ONE, NULL, NULL), ST_OK);
    ck_assert_int_gt(stages.spent_ns[STAGE_STATEMENTS], 0);
    dbpool_release(pool, pg);
    struct stages before = stages;
    pg = acquire();
    ck_assert_status(pg_run(pg, &READ_ONE, NULL, NULL), ST_OK);
    dbpool_release(pool, pg);
    ck_assert_mem_eq(&before, &stages, sizeof(stages));
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_never_more_than_its_size_is_lent);
    tcase_add_test(tc, test_connections_are_made_when_first_wanted);
    tcase_add_test(tc, test_a_short_deadline_still_opens_a_connection);
    tcase_add_test(tc, test_most_recently_used_connection_is_lent_first);
    tcase_add_test(tc, test_waiters_are_served_first_come_first_served);
    tcase_add_test(tc, test_newcomer_does_not_overtake_the_line);
    tcase_add_test(tc, test_deadline_ends_the_wait_and_not_before);
    tcase_add_test(tc, test_leaving_the_line_costs_those_behind_nothing);
    tcase_add_test(tc, test_shut_wakes_the_line_and_refuses_newcomers);
    tcase_add_test(tc, test_statements_are_booked_to_the_borrower_and_only_to_him);
}

int main(void)
{
    fixture_require("test_dbpool");
    return test_main("dbpool", add_tests);
}
