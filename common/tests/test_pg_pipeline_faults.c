/* Tests of pg's round trips of several statements when the server vanishes, freezes, or answers
 * oddly: what is known then of the COMMIT, and that every wait ends. */
#include "common/tests/pg_pipeline_rig.h"

/* -------------------------------------------------------------------------- the server is lost */

START_TEST(test_lost_before_anything_was_sent_is_retry)
{
    begin_prepared();
    proxy_cut(proxy);
    ck_assert_status(commit_with_item(ITEM_2), ST_RETRY);
    ck_assert_status(commit_with_item(ITEM_2), ST_RETRY);
    ck_assert_status(begin_with_lock(), ST_RETRY);
    ck_assert_status(pg_rollback(pg), ST_RETRY);
    ck_assert(!pg_is_usable(pg));
    assert_items(1);
}
END_TEST

START_TEST(test_backend_terminated_before_anything_was_sent_is_retry)
{
    options.conninfo = fixture_url(); /* no proxy: its last words are there when it has ended */
    reconnect();
    begin_prepared();
    fixture_end_backends("fd_test");
    ck_assert_status(commit_with_item(ITEM_2), ST_RETRY);
    ck_assert_str_eq(pg_sqlstate(pg), "57P01");
    assert_items(1);
}
END_TEST

/* Its last words are an error of the call that it ran: COMMIT was not reached. */
START_TEST(test_backend_terminated_in_a_call_is_retry)
{
    const char *const long_s[] = {"30"};
    options.statement_timeout_ms = 40000;
    reconnect();
    begin_prepared();
    struct pg_call calls[] = {call_of(&ADD_ITEM, ITEM_2), call_of(&SLEEP, long_s)};
    struct runner runner = {.run = pg_commit_with, .calls = calls, .count = 2};
    start(&runner);
    fixture_await("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
                  "application_name = 'fd_test' AND wait_event = 'PgSleep'",
                  1);
    fixture_end_backends("fd_test");
    ck_assert_status(join(&runner), ST_RETRY);
    ck_assert_str_eq(pg_sqlstate(pg), "57P01");
    assert_no_results(calls, 2);
    ck_assert(!pg_is_usable(pg));
    assert_items(1);
}
END_TEST

START_TEST(test_lost_while_preparing_is_retry)
{
    ck_assert_status(begin_with_lock(), ST_OK);
    fault(PROXY_LOSE_ANSWER, "item_add");
    ck_assert_status(commit_with_item(ITEM_1), ST_RETRY);
    assert_items(0);
}
END_TEST

START_TEST(test_begin_with_is_retry_when_its_answer_was_lost)
{
    begin_prepared();
    ck_assert_status(commit_with_item(ITEM_2), ST_OK);
    fault(PROXY_LOSE_ANSWER, "stock_lock");
    ck_assert_status(begin_with_lock(), ST_RETRY);
    ck_assert(!pg_is_usable(pg));
    ck_assert_status(pg_rollback(pg), ST_RETRY);
}
END_TEST

START_TEST(test_commit_is_unknown_when_the_request_was_lost)
{
    begin_prepared();
    fault(PROXY_LOSE_REQUEST, "COMMIT");
    ck_assert_status(commit_with_item(ITEM_2), ST_UNKNOWN);
    ck_assert(!pg_is_usable(pg));
    assert_items(1);
}
END_TEST

START_TEST(test_commit_is_unknown_when_the_answer_was_lost)
{
    begin_prepared();
    fault(PROXY_LOSE_ANSWER, "COMMIT");
    ck_assert_status(commit_with_item(ITEM_2), ST_UNKNOWN);
    ck_assert(!pg_is_usable(pg));
    assert_items(2); /* the same status, and it did happen */
}
END_TEST

START_TEST(test_commit_is_unknown_when_a_pooler_lost_the_server)
{
    char message[PROXY_MESSAGE_SIZE];
    size_t length = proxy_message(message, 'E', "FATAL", "08P01", "server conn crashed?", NULL);
    begin_prepared();
    proxy_set(proxy, PROXY_REPLACE, "COMMIT", message, length);
    ck_assert_status(commit_with_item(ITEM_2), ST_UNKNOWN);
    assert_items(2);
}
END_TEST

START_TEST(test_commit_is_ok_when_all_but_readiness_came)
{
    begin_prepared();
    fault(PROXY_CUT_READY, "COMMIT");
    struct pg_call calls[] = {call_of(&ADD_ITEM, ITEM_2), call_of(&TAKE_STOCK, STOCK_1_LESS_3)};
    ck_assert_status(pg_commit_with(pg, calls, 2), ST_OK);
    ck_assert_str_eq(PQcmdTuples(calls[0].result), "1");
    ck_assert_str_eq(PQcmdTuples(calls[1].result), "1");
    clear(calls, 2);
    ck_assert(!pg_is_usable(pg));
    assert_items(2);
}
END_TEST

START_TEST(test_error_that_came_before_the_loss_decides)
{
    char message[PROXY_MESSAGE_SIZE];
    size_t length = proxy_message(message, 'E', "ERROR", "23505", "duplicate key", NULL);
    begin_prepared();
    proxy_set(proxy, PROXY_REPLACE, "COMMIT", message, length);
    ck_assert_status(commit_with_item(ITEM_1), ST_CONSTRAINT);
    ck_assert_str_eq(pg_sqlstate(pg), "23505");
    ck_assert(!pg_is_usable(pg));
    assert_items(1);
}
END_TEST

/* The answers of the calls came, COMMIT's did not. */
START_TEST(test_commit_is_unknown_when_only_the_calls_were_answered)
{
    static const char two_inserts[] = "2\0\0\0\4"
                                      "n\0\0\0\4"
                                      "C\0\0\0\x0fINSERT 0 1\0"
                                      "2\0\0\0\4"
                                      "n\0\0\0\4"
                                      "C\0\0\0\x0dUPDATE 1\0";
    begin_prepared();
    proxy_set(proxy, PROXY_REPLACE, "COMMIT", two_inserts, sizeof(two_inserts) - 1);
    ck_assert_status(commit_with_item(ITEM_2), ST_UNKNOWN);
    ck_assert(!pg_is_usable(pg));
    assert_items(2);
}
END_TEST

START_TEST(test_commit_is_unknown_when_the_wait_for_a_standby_was_cancelled)
{
    char message[PROXY_MESSAGE_SIZE];
    size_t length = proxy_message(message, 'N', "WARNING", "01000",
                                  "canceling wait for synchronous replication due to user request",
                                  "SyncRepWaitForLSN");
    begin_prepared();
    proxy_set(proxy, PROXY_INSERT, "COMMIT", message, length);
    ck_assert_status(commit_with_item(ITEM_2), ST_UNKNOWN);
    fault(PROXY_PASS, NULL);
    assert_works();
}
END_TEST

START_TEST(test_frozen_server_ends_in_the_bound_of_all_statements)
{
    const int64_t bound_ns = 4 * SHORT_MS * CLOCK_NS_PER_MS; /* two calls, COMMIT, the grace */
    options.statement_timeout_ms = SHORT_MS;
    options.client_grace_ms = SHORT_MS;
    reconnect();
    begin_prepared();
    fault(PROXY_FREEZE_ANSWER, "COMMIT");
    int64_t since_ns = clock_now_ns();
    ck_assert_status(commit_with_item(ITEM_2), ST_UNKNOWN);
    ck_assert_int_ge(clock_now_ns() - since_ns, bound_ns);
    ck_assert_int_lt(clock_now_ns() - since_ns, 20 * bound_ns);
    ck_assert(!pg_is_usable(pg));
    fault(PROXY_PASS, NULL);
    reconnect();
    ck_assert_status(begin_with_lock(), ST_OK);
    ck_assert_status(pg_rollback(pg), ST_OK);
    fault(PROXY_FREEZE_ANSWER, "BEGIN");
    ck_assert_status(begin_with_lock(), ST_TIMEOUT);
    ck_assert(!pg_is_usable(pg));
    fault(PROXY_PASS, NULL);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_lost_before_anything_was_sent_is_retry);
    tcase_add_test(tc, test_backend_terminated_before_anything_was_sent_is_retry);
    tcase_add_test(tc, test_backend_terminated_in_a_call_is_retry);
    tcase_add_test(tc, test_lost_while_preparing_is_retry);
    tcase_add_test(tc, test_begin_with_is_retry_when_its_answer_was_lost);
    tcase_add_test(tc, test_commit_is_unknown_when_the_request_was_lost);
    tcase_add_test(tc, test_commit_is_unknown_when_the_answer_was_lost);
    tcase_add_test(tc, test_commit_is_unknown_when_a_pooler_lost_the_server);
    tcase_add_test(tc, test_commit_is_ok_when_all_but_readiness_came);
    tcase_add_test(tc, test_error_that_came_before_the_loss_decides);
    tcase_add_test(tc, test_commit_is_unknown_when_only_the_calls_were_answered);
    tcase_add_test(tc, test_commit_is_unknown_when_the_wait_for_a_standby_was_cancelled);
    tcase_add_test(tc, test_frozen_server_ends_in_the_bound_of_all_statements);
}

int main(void)
{
    fixture_require("test_pg_pipeline_faults");
    return test_main("pg_pipeline_faults", add_tests);
}
