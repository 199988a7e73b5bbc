/* Tests of pg when the server vanishes, freezes, or answers a COMMIT oddly: what is known then, and
 * that every wait ends. The faults come from a proxy between pg and the test database. */
#include "common/pg.h"

#include "common/tests/harness.h"
#include "common/tests/pg_fixture.h"
#include "common/tests/pg_proxy.h"

static const struct pg_statement ADD_ITEM = {"item_add", "INSERT INTO items VALUES ($1)", 1,
                                             STAGE_STATEMENTS};
static const struct pg_statement READ_ITEMS = {"items_read", "SELECT id FROM items", 0,
                                               STAGE_STATEMENTS};
static const char *const ITEM_1[] = {"1"};
static const char *const ITEM_2[] = {"2"};

enum { SHORT_MS = 150 }; /* a bound that a test waits for in full */

static struct proxy *proxy;
static struct pg_options options;
static struct pg *pg;

static void reconnect(void)
{
    pg_close(pg);
    pg = fixture_connect(&options);
}

static void set_up(void)
{
    fixture_sql("DROP TABLE IF EXISTS items; CREATE TABLE items (id int)");
    proxy = proxy_start();
    options = fixture_options(proxy->conninfo);
    pg = fixture_connect(&options);
}

static void tear_down(void)
{
    pg_close(pg);
    pg = NULL;
    proxy_stop(proxy);
}

static void fault(enum proxy_fault kind, const char *word)
{
    proxy_set(proxy, kind, word, NULL, 0);
}

/* A transaction with one row, ready to be committed. */
static void begin_with_row(void)
{
    ck_assert_status(pg_begin(pg), ST_OK);
    ck_assert_status(pg_run(pg, &ADD_ITEM, ITEM_1, NULL), ST_OK);
}

/* Waits until no session of ours is left, so that what it did is decided; then counts. */
static void assert_rows(long count)
{
    fixture_await("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
                  "application_name = 'fd_test'",
                  0);
    ck_assert_int_eq(fixture_number("SELECT count(*) FROM items"), count);
}

static void shorten_bounds(void)
{
    options.statement_timeout_ms = SHORT_MS;
    options.client_grace_ms = SHORT_MS;
    reconnect();
}

/* ----------------------------------------------------------------------- before COMMIT is sent */

START_TEST(test_lost_before_commit_was_sent_is_retry)
{
    begin_with_row();
    proxy_cut(proxy);
    ck_assert_status(pg_commit(pg), ST_RETRY);
    ck_assert(!pg_is_usable(pg));
    assert_rows(0);
}
END_TEST

START_TEST(test_backend_terminated_before_commit_is_retry)
{
    options.conninfo = fixture_url(); /* no proxy: its last words are there when it has ended */
    reconnect();
    begin_with_row();
    fixture_end_backends("fd_test");
    ck_assert_status(pg_commit(pg), ST_RETRY);
    ck_assert_str_eq(pg_sqlstate(pg), "57P01");
    ck_assert_status(pg_rollback(pg), ST_RETRY);
    assert_rows(0);
}
END_TEST

START_TEST(test_lost_connection_fails_every_call_with_retry)
{
    proxy_cut(proxy);
    ck_assert_status(pg_begin(pg), ST_RETRY);
    ck_assert_status(pg_begin(pg), ST_RETRY);
    ck_assert_status(pg_run(pg, &READ_ITEMS, NULL, NULL), ST_RETRY);
    ck_assert_status(pg_commit(pg), ST_RETRY);
    ck_assert_status(pg_rollback(pg), ST_RETRY);
    ck_assert(pg_error(pg)[0] != '\0');
    ck_assert(!pg_is_usable(pg));
}
END_TEST

START_TEST(test_statement_lost_in_transaction_is_retry)
{
    begin_with_row();
    fault(PROXY_LOSE_REQUEST, "item_add");
    ck_assert_status(pg_run(pg, &ADD_ITEM, ITEM_2, NULL), ST_RETRY);
    ck_assert_status(pg_commit(pg), ST_RETRY);
    assert_rows(0);
}
END_TEST

/* ------------------------------------------------------------------------ after COMMIT was sent */

START_TEST(test_commit_is_unknown_when_the_request_was_lost)
{
    begin_with_row();
    fault(PROXY_LOSE_REQUEST, "COMMIT");
    ck_assert_status(pg_commit(pg), ST_UNKNOWN);
    ck_assert(!pg_is_usable(pg));
    assert_rows(0);
}
END_TEST

START_TEST(test_commit_is_unknown_when_the_answer_was_lost)
{
    begin_with_row();
    fault(PROXY_LOSE_ANSWER, "COMMIT");
    ck_assert_status(pg_commit(pg), ST_UNKNOWN);
    ck_assert(!pg_is_usable(pg));
    assert_rows(1); /* the same status, and it did happen */
}
END_TEST

START_TEST(test_commit_is_unknown_when_a_pooler_lost_the_server)
{
    char message[PROXY_MESSAGE_SIZE];
    size_t length = proxy_message(message, 'E', "FATAL", "08P01", "server conn crashed?", NULL);
    begin_with_row();
    proxy_set(proxy, PROXY_REPLACE, "COMMIT", message, length);
    ck_assert_status(pg_commit(pg), ST_UNKNOWN);
    assert_rows(1);
}
END_TEST

START_TEST(test_commit_is_ok_when_only_its_tag_came)
{
    begin_with_row();
    fault(PROXY_CUT_READY, "COMMIT");
    ck_assert_status(pg_commit(pg), ST_OK);
    ck_assert(!pg_is_usable(pg));
    assert_rows(1);
}
END_TEST

START_TEST(test_commit_is_unknown_when_the_server_freezes)
{
    struct stages stages = {{0}};
    shorten_bounds();
    begin_with_row();
    pg_book_to(pg, &stages);
    fault(PROXY_FREEZE_ANSWER, "COMMIT");
    ck_assert_status(pg_commit(pg), ST_UNKNOWN);
    ck_assert_int_ge(stages.spent_ns[STAGE_COMMIT], 2 * SHORT_MS * CLOCK_NS_PER_MS);
    ck_assert(!pg_is_usable(pg));
    fault(PROXY_PASS, NULL);
}
END_TEST

/* What the server says when the wait for a standby is cancelled; its SQLSTATE is 01000. */
static size_t standby_notice(char out[PROXY_MESSAGE_SIZE], const char *routine)
{
    return proxy_message(out, 'N', "WARNING", "01000",
                         "canceling wait for synchronous replication due to user request", routine);
}

START_TEST(test_commit_is_unknown_when_the_wait_for_a_standby_was_cancelled)
{
    char message[PROXY_MESSAGE_SIZE];
    static const char *const routines[] = {"SyncRepWaitForLSN", NULL};
    for (int i = 0; i < 2; i++) {
        begin_with_row();
        size_t length = standby_notice(message, routines[i]);
        proxy_set(proxy, PROXY_INSERT, "COMMIT", message, length);
        ck_assert_status(pg_commit(pg), ST_UNKNOWN);
        ck_assert(pg_is_usable(pg));
        fault(PROXY_PASS, NULL);
        begin_with_row();
        ck_assert_status(pg_commit(pg), ST_OK); /* said of that commit, not of the next */
    }
}
END_TEST

START_TEST(test_commit_is_ok_when_a_trigger_warns)
{
    fixture_sql("CREATE OR REPLACE FUNCTION fd_warn() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE WARNING 'canceling wait'; RETURN NULL; END $$; "
                "CREATE CONSTRAINT TRIGGER warn AFTER INSERT ON items DEFERRABLE INITIALLY "
                "DEFERRED FOR EACH ROW EXECUTE FUNCTION fd_warn()");
    begin_with_row();
    ck_assert_status(pg_commit(pg), ST_OK);
}
END_TEST

/* ---------------------------------------------------------------------------- lone statements */

START_TEST(test_lone_write_is_unknown_when_its_answer_was_lost)
{
    ck_assert_status(pg_run(pg, &ADD_ITEM, ITEM_1, NULL), ST_OK); /* prepares it */
    fault(PROXY_LOSE_ANSWER, "item_add");
    ck_assert_status(pg_run(pg, &ADD_ITEM, ITEM_2, NULL), ST_UNKNOWN);
    assert_rows(2);
}
END_TEST

START_TEST(test_lone_write_is_unknown_when_only_its_tag_came)
{
    ck_assert_status(pg_run(pg, &ADD_ITEM, ITEM_1, NULL), ST_OK);
    fault(PROXY_CUT_READY, "item_add");
    ck_assert_status(pg_run(pg, &ADD_ITEM, ITEM_2, NULL), ST_UNKNOWN);
}
END_TEST

START_TEST(test_lone_write_is_unknown_when_the_wait_for_a_standby_was_cancelled)
{
    char message[PROXY_MESSAGE_SIZE];
    ck_assert_status(pg_run(pg, &ADD_ITEM, ITEM_1, NULL), ST_OK);
    proxy_set(proxy, PROXY_INSERT, "item_add", message,
              standby_notice(message, "SyncRepWaitForLSN"));
    ck_assert_status(pg_run(pg, &ADD_ITEM, ITEM_2, NULL), ST_UNKNOWN);
}
END_TEST

START_TEST(test_lone_write_is_retry_when_lost_before_it_was_sent)
{
    ck_assert_status(pg_run(pg, &ADD_ITEM, ITEM_1, NULL), ST_OK);
    proxy_cut(proxy);
    ck_assert_status(pg_run(pg, &ADD_ITEM, ITEM_2, NULL), ST_RETRY);
    assert_rows(1);
}
END_TEST

START_TEST(test_lone_write_is_retry_when_lost_while_prepared)
{
    fault(PROXY_LOSE_ANSWER, "item_add");
    ck_assert_status(pg_run(pg, &ADD_ITEM, ITEM_1, NULL), ST_RETRY);
    assert_rows(0);
}
END_TEST

START_TEST(test_lone_read_is_retry_when_its_answer_was_lost)
{
    ck_assert_status(pg_run(pg, &READ_ITEMS, NULL, NULL), ST_OK);
    fault(PROXY_LOSE_ANSWER, "items_read");
    ck_assert_status(pg_run(pg, &READ_ITEMS, NULL, NULL), ST_RETRY);
}
END_TEST

/* -------------------------------------------------------------------------------- frozen server */

START_TEST(test_frozen_server_ends_in_timeout_at_the_client_bound)
{
    shorten_bounds();
    begin_with_row();
    fault(PROXY_FREEZE, NULL);
    int64_t since_ns = clock_now_ns();
    PGresult *result = (PGresult *)&options; /* must be overwritten */
    ck_assert_status(pg_run(pg, &ADD_ITEM, ITEM_2, &result), ST_TIMEOUT);
    ck_assert_ptr_null(result);
    ck_assert_int_ge(clock_now_ns() - since_ns, 2 * SHORT_MS * CLOCK_NS_PER_MS);
    ck_assert(!pg_is_usable(pg));
    since_ns = clock_now_ns();
    ck_assert_status(pg_rollback(pg), ST_RETRY); /* at once: no second bound */
    ck_assert_status(pg_commit(pg), ST_RETRY);
    ck_assert_int_lt(clock_now_ns() - since_ns, 2 * SHORT_MS * CLOCK_NS_PER_MS);
    fault(PROXY_PASS, NULL);
    pg_close(pg);
    pg = NULL;
    assert_rows(0);
}
END_TEST

START_TEST(test_rollback_without_transaction_makes_no_round_trip)
{
    fault(PROXY_FREEZE, NULL); /* a round trip would take the bound of 20 s, and fail */
    ck_assert_status(pg_rollback(pg), ST_OK);
    ck_assert(pg_is_usable(pg));
    fault(PROXY_PASS, NULL);
}
END_TEST

START_TEST(test_no_statement_timeout_means_no_client_bound)
{
    static const struct pg_statement sleep = {"sleep", "SELECT pg_sleep(0.3)", 0, STAGE_STATEMENTS};
    options.statement_timeout_ms = 0;
    options.client_grace_ms = 1;
    reconnect();
    ck_assert_status(pg_run(pg, &sleep, NULL, NULL), ST_OK);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_lost_before_commit_was_sent_is_retry);
    tcase_add_test(tc, test_backend_terminated_before_commit_is_retry);
    tcase_add_test(tc, test_lost_connection_fails_every_call_with_retry);
    tcase_add_test(tc, test_statement_lost_in_transaction_is_retry);
    tcase_add_test(tc, test_commit_is_unknown_when_the_request_was_lost);
    tcase_add_test(tc, test_commit_is_unknown_when_the_answer_was_lost);
    tcase_add_test(tc, test_commit_is_unknown_when_a_pooler_lost_the_server);
    tcase_add_test(tc, test_commit_is_ok_when_only_its_tag_came);
    tcase_add_test(tc, test_commit_is_unknown_when_the_server_freezes);
    tcase_add_test(tc, test_commit_is_unknown_when_the_wait_for_a_standby_was_cancelled);
    tcase_add_test(tc, test_commit_is_ok_when_a_trigger_warns);
    tcase_add_test(tc, test_lone_write_is_unknown_when_its_answer_was_lost);
    tcase_add_test(tc, test_lone_write_is_unknown_when_only_its_tag_came);
    tcase_add_test(tc, test_lone_write_is_unknown_when_the_wait_for_a_standby_was_cancelled);
    tcase_add_test(tc, test_lone_write_is_retry_when_lost_before_it_was_sent);
    tcase_add_test(tc, test_lone_write_is_retry_when_lost_while_prepared);
    tcase_add_test(tc, test_lone_read_is_retry_when_its_answer_was_lost);
    tcase_add_test(tc, test_frozen_server_ends_in_timeout_at_the_client_bound);
    tcase_add_test(tc, test_rollback_without_transaction_makes_no_round_trip);
    tcase_add_test(tc, test_no_statement_timeout_means_no_client_bound);
}

int main(void)
{
    fixture_require("test_pg_faults");
    return test_main("pg_faults", add_tests);
}
