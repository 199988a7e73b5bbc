/* Tests of dbpool while connections cannot be made: the shared backoff, refusals for good, a silent
 * database, and the line of those who wait meanwhile. */
#include "common/dbpool.h"

#include "common/dbpool_private.h"
#include "common/log.h"
#include "common/tests/dbpool_fixture.h"
#include "common/tests/harness.h"

enum {
    SIZE = 4,
    CALLERS = 12,
    OUTAGE_MS = 1500,
    SHORT_ATTEMPTS = 4, /* of DBPOOL_CONNECT_MIN_MS each */
    REFUSALS = 5,
    JITTERS = 1000,
    SHORT_MS = 150, /* a wait that a test sees through to its end */
};

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

static void await_accepted(int count)
{
    int64_t deadline_ns = clock_deadline_ns(FIXTURE_PATIENCE_MS);
    while (proxy->accepted < count) {
        ck_assert_int_lt(clock_now_ns(), deadline_ns);
        fixture_nap();
    }
}

/* Waits until someone has called at the frozen proxy. */
static void await_connect(void)
{
    struct pollfd called = {.fd = proxy->listener, .events = POLLIN};
    ck_assert_int_eq(poll(&called, 1, FIXTURE_PATIENCE_MS), 1);
}

/* Callers are refused for good until the database was asked so many times. */
static void refuse_for_good(int attempts)
{
    struct pg *pg = NULL;
    int64_t deadline_ns = clock_deadline_ns(FIXTURE_PATIENCE_MS);
    refuse_with("28P01");
    while (proxy->accepted < attempts) {
        ck_assert_int_lt(clock_now_ns(), deadline_ns);
        ck_assert_status(dbpool_acquire(pool, CLOCK_NEVER, NULL, &pg), ST_SCHEMA);
        fixture_nap();
    }
}

/* From half of the delay to the whole, and not all at one end: of 1000, each half of that range
 * gets at least 400 but once in 10^9 runs. */
START_TEST(test_delay_is_jittered_between_its_half_and_the_whole)
{
    const int64_t delay_ns = DBPOOL_BACKOFF_MIN_MS * CLOCK_NS_PER_MS;
    int early = 0;
    for (int i = 0; i < JITTERS; i++) {
        struct dbpool_backoff backoff = {0};
        dbpool_backoff_fail(&backoff, backoff.round, 0);
        ck_assert_int_ge(backoff.next_ns, delay_ns / 2);
        ck_assert_int_le(backoff.next_ns, delay_ns);
        early += backoff.next_ns < delay_ns / 4 * 3;
    }
    ck_assert_int_ge(early, JITTERS * 2 / 5);
    ck_assert_int_le(early, JITTERS * 3 / 5);
}
END_TEST

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
    await_accepted(SIZE + 1); /* some attempts have failed */
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

/* A caller whose attempt fails has not lost his place to whoever came while he tried. */
START_TEST(test_failed_attempt_keeps_the_caller_s_place)
{
    struct caller first, second;
    for (int round = 0; round < 3; round++) {
        make_pool(1);
        served = 0;
        proxy_set(proxy, PROXY_FREEZE, NULL, NULL, 0);
        int accepted = proxy->accepted;
        call(&first, CLOCK_NEVER);
        await_connect();
        call(&second, CLOCK_NEVER);
        await_waiters(1);
        refuse_with("57P03");
        await_accepted(accepted + 1);
        let_pass();
        join(&first, ST_OK);
        join(&second, ST_OK);
        ck_assert_int_eq(first.place, 1);
        ck_assert_int_eq(second.place, 2);
    }
}
END_TEST

/* Each attempt ends by its caller's deadline, and the next caller does not wait for a backoff. */
START_TEST(test_short_deadlines_do_not_set_the_backoff)
{
    struct pg *pg = NULL;
    make_pool(1);
    proxy_set(proxy, PROXY_FREEZE, NULL, NULL, 0);
    for (int i = 0; i < SHORT_ATTEMPTS; i++) {
        ck_assert_status(dbpool_acquire(pool, 0, NULL, &pg), ST_TIMEOUT);
    }
    let_pass();
    dbpool_release(pool, acquire());
    /* The proxy serves in the order of arrival: those given up are counted by now. */
    ck_assert_int_eq(proxy->accepted, SHORT_ATTEMPTS + 1);
}
END_TEST

/* Since the refusal another attempt has begun, and nobody knows yet what comes of it. */
START_TEST(test_refusal_is_not_told_once_another_attempt_began)
{
    struct pg *pg = NULL;
    enum status status = ST_OK;
    make_pool(1);
    refuse_for_good(REFUSALS); /* the backoff grows until it outlasts an attempt */
    proxy_set(proxy, PROXY_FREEZE, NULL, NULL, 0);
    int64_t deadline_ns = clock_deadline_ns(FIXTURE_PATIENCE_MS);
    while ((status = dbpool_acquire(pool, 0, NULL, &pg)) == ST_SCHEMA) {
        ck_assert_int_lt(clock_now_ns(), deadline_ns);
        fixture_nap();
    }
    ck_assert_status(status, ST_TIMEOUT); /* that attempt, ended by its caller's deadline */
    ck_assert_status(dbpool_acquire(pool, 0, NULL, &pg), ST_TIMEOUT);
}
END_TEST

START_TEST(test_caller_in_backoff_gets_what_comes_back)
{
    struct caller waiter;
    make_pool(2);
    struct pg *pg = acquire();
    refuse_with("53300"); /* one connection is all that we get */
    call(&waiter, CLOCK_NEVER);
    await_accepted(2);
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
    join(&waiter, ST_CLOSED);
}
END_TEST

static void add_tests(TCase *tc)
{
    log_set_level(LOG_ERROR); /* outages are what is tested */
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_delay_is_jittered_between_its_half_and_the_whole);
    tcase_add_test(tc, test_attempts_are_spaced_while_the_database_refuses);
    tcase_add_test(tc, test_callers_are_served_when_the_database_comes_back);
    tcase_add_test(tc, test_refusal_for_good_is_told_to_everybody_at_once);
    tcase_add_test(tc, test_refusal_for_good_is_told_without_another_attempt);
    tcase_add_test(tc, test_failed_attempt_keeps_the_caller_s_place);
    tcase_add_test(tc, test_short_deadlines_do_not_set_the_backoff);
    tcase_add_test(tc, test_refusal_is_not_told_once_another_attempt_began);
    tcase_add_test(tc, test_caller_in_backoff_gets_what_comes_back);
    tcase_add_test(tc, test_silent_database_is_bounded_by_the_callers_deadline);
    tcase_add_test(tc, test_shut_wakes_a_caller_in_backoff);
}

int main(void)
{
    fixture_require("test_dbpool_backoff");
    return test_main("dbpool_backoff", add_tests);
}
