/* Tests of pg's round trips of several statements: order, what each sees, errors, time-outs,
 * stages. What is known when the server vanishes or freezes is in test_pg_pipeline_faults.c. */
#include "common/tests/pg_pipeline_rig.h"

static const struct pg_statement ADD_THING = {"thing_add", "INSERT INTO things VALUES (1)", 0,
                                              STAGE_STATEMENTS};
static const struct pg_statement DIVIDE = {"divide", "SELECT 1 / $1::int", 1, STAGE_STATEMENTS};
static const struct pg_statement ECHO = {"echo", "SELECT $1::text", 1, STAGE_STATEMENTS};
static const struct pg_statement BAD_TABLE = {"bad_table", "SELECT 1 FROM nowhere", 0,
                                              STAGE_STATEMENTS};

static const char *const ZERO[] = {"0"};

/* --------------------------------------------------------------------------------- good answers */

START_TEST(test_results_arrive_in_order)
{
    const char *const texts[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    struct pg_call calls[PG_CALLS_MAX];
    for (int i = 0; i < PG_CALLS_MAX; i++) {
        calls[i] = call_of(&ECHO, &texts[i]);
    }
    ck_assert_status(pg_begin_with(pg, calls, PG_CALLS_MAX), ST_OK);
    ck_assert(!pg_is_usable(pg)); /* in a transaction */
    for (int i = 0; i < PG_CALLS_MAX; i++) {
        ck_assert_str_eq(PQgetvalue(calls[i].result, 0, 0), texts[i]);
    }
    clear(calls, PG_CALLS_MAX);
    ck_assert_status(pg_commit_with(pg, calls, PG_CALLS_MAX), ST_OK);
    ck_assert(pg_is_usable(pg));
    for (int i = 0; i < PG_CALLS_MAX; i++) {
        ck_assert_str_eq(PQgetvalue(calls[i].result, 0, 0), texts[i]);
    }
    clear(calls, PG_CALLS_MAX);
}
END_TEST

START_TEST(test_counts_are_those_of_each_call)
{
    ck_assert_status(begin_with_lock(), ST_OK);
    struct pg_call calls[] = {call_of(&ADD_ITEM, ITEM_1), call_of(&TAKE_STOCK, STOCK_1_LESS_3),
                              call_of(&COUNT_ITEMS, NULL)};
    ck_assert_status(pg_commit_with(pg, calls, 3), ST_OK);
    ck_assert_str_eq(PQcmdStatus(calls[0].result), "INSERT 0 1");
    ck_assert_str_eq(PQcmdTuples(calls[1].result), "1");
    ck_assert_str_eq(PQgetvalue(calls[2].result, 0, 0), "1"); /* sees the call before it */
    clear(calls, 3);
    pg_close(pg);
    pg = NULL;
    assert_items(1);
}
END_TEST

START_TEST(test_a_transaction_is_two_requests_once_prepared)
{
    begin_prepared();
    ck_assert_status(commit_with_item(ITEM_2), ST_OK);
    int before = proxy->requests;
    const char *const item_3[] = {"3", NULL};
    ck_assert_status(begin_with_lock(), ST_OK);
    ck_assert_int_eq(proxy->requests, before + 1);
    ck_assert_status(commit_with_item(item_3), ST_OK);
    ck_assert_int_eq(proxy->requests, before + 2);
}
END_TEST

/* READ COMMITTED: the snapshot of the read is taken after the lock was waited for. */
START_TEST(test_read_behind_the_lock_sees_what_was_committed_meanwhile)
{
    PGconn *holder = fixture_open();
    PQclear(PQexec(holder, "BEGIN; UPDATE stock SET units = 7; INSERT INTO items VALUES (9)"));
    struct pg_call calls[] = {call_of(&COUNT_ITEMS, NULL), call_of(&LOCK_STOCK, STOCK_1),
                              call_of(&COUNT_ITEMS, NULL)};
    struct runner runner = {.run = pg_begin_with, .calls = calls, .count = 3};
    options.lock_timeout_ms = FIXTURE_PATIENCE_MS;
    options.statement_timeout_ms = FIXTURE_PATIENCE_MS;
    reconnect();
    start(&runner);
    fixture_await("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
                  "application_name = 'fd_test' AND wait_event_type = 'Lock'",
                  1);
    PQclear(PQexec(holder, "COMMIT"));
    ck_assert_status(join(&runner), ST_OK);
    ck_assert_str_eq(PQgetvalue(calls[0].result, 0, 0), "0");
    ck_assert_str_eq(PQgetvalue(calls[1].result, 0, 0), "7");
    ck_assert_str_eq(PQgetvalue(calls[2].result, 0, 0), "1");
    clear(calls, 3);
    PQfinish(holder);
}
END_TEST

/* More than any socket's buffer in both directions at once: the server answers the first call while
 * the second is still being sent. */
START_TEST(test_large_parameters_and_results_do_not_block_each_other)
{
    enum { LARGE = 6 * 1024 * 1024 };
    options.conninfo = fixture_url();
    reconnect();
    char *text = malloc(LARGE + 1);
    ck_assert_ptr_nonnull(text);
    memset(text, 'x', LARGE);
    text[LARGE] = '\0';
    const char *const values[] = {text};
    struct pg_call calls[] = {call_of(&ECHO, values), call_of(&ECHO, values),
                              call_of(&ECHO, values)};
    ck_assert_status(pg_begin_with(pg, calls, 3), ST_OK);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(PQgetlength(calls[i].result, 0, 0), LARGE);
    }
    clear(calls, 3);
    ck_assert_status(pg_commit_with(pg, calls, 3), ST_OK);
    clear(calls, 3);
    free(text);
    assert_works();
}
END_TEST

/* SLEEP's is STAGE_STATEMENTS, wherever it stands; what it takes is not the lock's or COMMIT's. */
START_TEST(test_time_is_booked_to_each_statement)
{
    const char *const short_s[] = {"0.08"};
    const int64_t slept_ns = 80 * CLOCK_NS_PER_MS;
    struct stages stages = {{0}};
    struct pg_call calls[] = {call_of(&SLEEP, short_s), call_of(&LOCK_STOCK, STOCK_1)};
    pg_book_to(pg, &stages);
    ck_assert_status(pg_begin_with(pg, calls, 2), ST_OK);
    clear(calls, 2);
    ck_assert_int_ge(stages.spent_ns[STAGE_STATEMENTS], slept_ns);
    ck_assert_int_gt(stages.spent_ns[STAGE_LOCK_WAIT], 0);
    ck_assert_int_lt(stages.spent_ns[STAGE_LOCK_WAIT], slept_ns);
    ck_assert_int_eq(stages.spent_ns[STAGE_COMMIT], 0);
    ck_assert_status(pg_commit_with(pg, calls, 2), ST_OK);
    clear(calls, 2);
    ck_assert_int_ge(stages.spent_ns[STAGE_STATEMENTS], 2 * slept_ns);
    ck_assert_int_gt(stages.spent_ns[STAGE_COMMIT], 0);
    ck_assert_int_lt(stages.spent_ns[STAGE_COMMIT], slept_ns);
}
END_TEST

/* --------------------------------------------------------------------------------------- errors */

/* The call at place fails, the two others would not. */
static void assert_begin_fails_at(int place)
{
    struct pg_call calls[] = {call_of(&ADD_ITEM, ITEM_1), call_of(&ADD_ITEM, ITEM_2),
                              call_of(&LOCK_STOCK, STOCK_1)};
    calls[place] = call_of(&DIVIDE, ZERO);
    ck_assert_status(pg_begin_with(pg, calls, 3), ST_DB);
    ck_assert_str_eq(pg_sqlstate(pg), "22012");
    assert_no_results(calls, 3);
    ck_assert(!pg_is_usable(pg));
    ck_assert_status(pg_run(pg, &COUNT_ITEMS, NULL, NULL), ST_DB); /* 25P02: in a failed one */
    ck_assert_status(pg_rollback(pg), ST_OK);
    ck_assert(pg_is_usable(pg));
}

START_TEST(test_begin_with_fails_as_its_first_failing_call)
{
    for (int place = 0; place < 3; place++) {
        assert_begin_fails_at(place);
    }
    assert_works();
    ck_assert_int_eq(fixture_number("SELECT count(*) FROM items"), 1);
}
END_TEST

START_TEST(test_first_of_two_errors_decides)
{
    const char *const too_many[] = {"1", "101"};
    ck_assert_status(begin_with_lock(), ST_OK);
    struct pg_call calls[] = {call_of(&TAKE_STOCK, too_many), call_of(&DIVIDE, ZERO)};
    ck_assert_status(pg_commit_with(pg, calls, 2), ST_CONSTRAINT);
    ck_assert_str_eq(pg_sqlstate(pg), "23514");
    assert_no_results(calls, 2);
    ck_assert_status(pg_rollback(pg), ST_OK);
    assert_works();
}
END_TEST

START_TEST(test_constraint_violation_with_commit_behind_it_commits_nothing)
{
    static const char *const taken[] = {"9", NULL};
    fixture_sql("INSERT INTO items VALUES (9)");
    for (int place = 0; place < 3; place++) {
        ck_assert_status(begin_with_lock(), ST_OK);
        struct pg_call calls[] = {call_of(&ADD_ITEM, ITEM_1), call_of(&TAKE_STOCK, STOCK_1_LESS_3),
                                  call_of(&ADD_ITEM, ITEM_2)};
        calls[place] = call_of(&ADD_ITEM, taken);
        ck_assert_status(pg_commit_with(pg, calls, 3), ST_CONSTRAINT);
        ck_assert_str_eq(pg_sqlstate(pg), "23505");
        assert_no_results(calls, 3);
        ck_assert(!pg_is_usable(pg)); /* the transaction is open, and failed */
        ck_assert_status(pg_rollback(pg), ST_OK);
        ck_assert_int_eq(fixture_number("SELECT count(*) FROM items"), 1);
        ck_assert_int_eq(fixture_number("SELECT units FROM stock"), UNITS);
    }
    assert_works();
}
END_TEST

START_TEST(test_deferred_constraint_fails_the_commit)
{
    ck_assert_status(begin_with_lock(), ST_OK);
    struct pg_call calls[] = {call_of(&ADD_THING, NULL), call_of(&ADD_THING, NULL)};
    ck_assert_status(pg_commit_with(pg, calls, 2), ST_CONSTRAINT);
    ck_assert_str_eq(pg_sqlstate(pg), "23505");
    assert_no_results(calls, 2);
    ck_assert_status(pg_rollback(pg), ST_OK);
    ck_assert_int_eq(fixture_number("SELECT count(*) FROM things"), 0);
    assert_works();
}
END_TEST

START_TEST(test_commit_of_a_failed_transaction_commits_nothing)
{
    ck_assert_status(begin_with_lock(), ST_OK);
    ck_assert_status(pg_run(pg, &ADD_ITEM, ITEM_1, NULL), ST_OK);
    ck_assert_status(pg_run(pg, &ADD_ITEM, ITEM_1, NULL), ST_CONSTRAINT);
    struct pg_call calls[] = {call_of(&ADD_ITEM, ITEM_2)};
    ck_assert_status(pg_commit_with(pg, calls, 1), ST_DB); /* 25P02 */
    assert_no_results(calls, 1);
    ck_assert_status(pg_rollback(pg), ST_OK);
    ck_assert_int_eq(fixture_number("SELECT count(*) FROM items"), 0);
}
END_TEST

START_TEST(test_commit_answered_by_rollback_is_retry)
{
    static const char rolled_back[] = "2\0\0\0\4n\0\0\0\4C\0\0\0\x0fINSERT 0 1\0"
                                      "2\0\0\0\4n\0\0\0\4C\0\0\0\x0dUPDATE 1\0"
                                      "1\0\0\0\4"
                                      "2\0\0\0\4n\0\0\0\4C\0\0\0\x0dROLLBACK\0";
    begin_prepared();
    proxy_set(proxy, PROXY_REPLACE, "COMMIT", rolled_back, sizeof(rolled_back) - 1);
    ck_assert_status(commit_with_item(ITEM_2), ST_RETRY);
}
END_TEST

START_TEST(test_statement_that_cannot_be_prepared_begins_nothing)
{
    struct pg_call calls[] = {call_of(&LOCK_STOCK, STOCK_1), call_of(&BAD_TABLE, NULL)};
    ck_assert_status(pg_begin_with(pg, calls, 2), ST_SCHEMA);
    ck_assert_str_eq(pg_sqlstate(pg), "42P01");
    assert_no_results(calls, 2);
    ck_assert(pg_is_usable(pg)); /* without a rollback */
    ck_assert_status(begin_with_lock(), ST_OK);
    ck_assert_status(pg_run(pg, &ADD_ITEM, ITEM_1, NULL), ST_OK);
    ck_assert_status(pg_commit_with(pg, calls, 2), ST_SCHEMA);
    ck_assert_status(pg_rollback(pg), ST_OK);
    ck_assert_int_eq(fixture_number("SELECT count(*) FROM items"), 0);
    assert_works();
}
END_TEST

START_TEST(test_lock_timeout_ends_a_wait)
{
    options.lock_timeout_ms = 50;
    reconnect();
    PGconn *holder = fixture_open();
    PQclear(PQexec(holder, "BEGIN; UPDATE stock SET units = 7"));
    ck_assert_status(begin_with_lock(), ST_TIMEOUT);
    ck_assert_str_eq(pg_sqlstate(pg), "55P03");
    ck_assert_status(pg_rollback(pg), ST_OK);
    PQfinish(holder);
    assert_works();
}
END_TEST

START_TEST(test_statement_timeout_ends_a_call_and_commits_nothing)
{
    const char *const long_s[] = {"30"};
    options.statement_timeout_ms = SHORT_MS;
    reconnect();
    ck_assert_status(begin_with_lock(), ST_OK);
    struct pg_call calls[] = {call_of(&ADD_ITEM, ITEM_1), call_of(&SLEEP, long_s)};
    ck_assert_status(pg_commit_with(pg, calls, 2), ST_TIMEOUT);
    ck_assert_str_eq(pg_sqlstate(pg), "57014");
    assert_no_results(calls, 2);
    ck_assert_status(pg_rollback(pg), ST_OK);
    ck_assert_int_eq(fixture_number("SELECT count(*) FROM items"), 0);
    assert_works();
}
END_TEST

/* The bound must allow for it: each call may take as long as the statement timeout. */
START_TEST(test_every_call_has_a_statement_timeout_of_its_own)
{
    const char *const most_s[] = {"0.3"};
    options.statement_timeout_ms = 400;
    options.client_grace_ms = 200;
    reconnect();
    struct pg_call calls[] = {call_of(&SLEEP, most_s), call_of(&SLEEP, most_s),
                              call_of(&SLEEP, most_s)};
    ck_assert_status(pg_begin_with(pg, calls, 3), ST_OK);
    clear(calls, 3);
    ck_assert_status(pg_commit_with(pg, calls, 3), ST_OK);
    clear(calls, 3);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_results_arrive_in_order);
    tcase_add_test(tc, test_counts_are_those_of_each_call);
    tcase_add_test(tc, test_a_transaction_is_two_requests_once_prepared);
    tcase_add_test(tc, test_read_behind_the_lock_sees_what_was_committed_meanwhile);
    tcase_add_test(tc, test_large_parameters_and_results_do_not_block_each_other);
    tcase_add_test(tc, test_time_is_booked_to_each_statement);
    tcase_add_test(tc, test_begin_with_fails_as_its_first_failing_call);
    tcase_add_test(tc, test_first_of_two_errors_decides);
    tcase_add_test(tc, test_constraint_violation_with_commit_behind_it_commits_nothing);
    tcase_add_test(tc, test_deferred_constraint_fails_the_commit);
    tcase_add_test(tc, test_commit_of_a_failed_transaction_commits_nothing);
    tcase_add_test(tc, test_commit_answered_by_rollback_is_retry);
    tcase_add_test(tc, test_statement_that_cannot_be_prepared_begins_nothing);
    tcase_add_test(tc, test_lock_timeout_ends_a_wait);
    tcase_add_test(tc, test_statement_timeout_ends_a_call_and_commits_nothing);
    tcase_add_test(tc, test_every_call_has_a_statement_timeout_of_its_own);
}

int main(void)
{
    fixture_require("test_pg_pipeline");
    return test_main("pg_pipeline", add_tests);
}
