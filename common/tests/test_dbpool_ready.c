/* Tests of dbpool_wait_ready: what is waited for, what ends the wait at once, and what it says. */
#include "common/dbpool.h"

#include "common/log.h"
#include "common/tests/dbpool_fixture.h"
#include "common/tests/harness.h"

static const struct pg_statement PROBE = {"probe", "SELECT id FROM ready_sales LIMIT 0", 0,
                                          STAGE_STATEMENTS};
static const struct pg_statement PROBE_COLUMN = {
    "probe_column", "SELECT no_such_column FROM ready_sales LIMIT 0", 0, STAGE_STATEMENTS};
static const struct pg_statement PROBE_SYNTAX = {"probe_syntax", "SELEKT 1", 0, STAGE_STATEMENTS};

enum {
    LONG_MS = 3600 * 1000, /* if it were waited for, the watchdog would bark */
    SHORT_MS = 1300,       /* a wait that a test sees through to its end */
};

static char error[PG_ERROR_SIZE];

static void set_up_table(void)
{
    fixture_sql("DROP TABLE IF EXISTS ready_sales; CREATE TABLE ready_sales (id int)");
    set_up();
}

static void refuse_with(const char *sqlstate, const char *text)
{
    char message[PROXY_MESSAGE_SIZE];
    size_t length = proxy_message(message, 'E', "FATAL", sqlstate, text, "somewhere");
    proxy_set(proxy, PROXY_REFUSE, NULL, message, length);
}

static void assert_error(const char *needle)
{
    ck_assert_msg(strstr(error, needle) != NULL, "%s", error);
    ck_assert_ptr_null(strchr(error, '\n'));
    ck_assert_ptr_null(strstr(error, "s3cret"));
}

START_TEST(test_ready_when_database_and_schema_are_there)
{
    ck_assert_status(dbpool_wait_ready(&options, 0, &PROBE, error), ST_OK);
    ck_assert_status(dbpool_wait_ready(&options, LONG_MS, NULL, error), ST_OK);
    fixture_await("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
                  "application_name = 'fd_test'",
                  0);
}
END_TEST

START_TEST(test_missing_schema_ends_the_wait_at_once)
{
    ck_assert_status(dbpool_wait_ready(&options, LONG_MS, &PROBE_COLUMN, error), ST_SCHEMA);
    assert_error("schema.sql");
    fixture_sql("DROP TABLE ready_sales");
    ck_assert_status(dbpool_wait_ready(&options, LONG_MS, &PROBE, error), ST_SCHEMA);
    assert_error("table \"ready_sales\" is missing: apply schema.sql");
    ck_assert_status(dbpool_wait_ready(&options, LONG_MS, &PROBE_SYNTAX, error), ST_DB);
    assert_error("42601");
}
END_TEST

START_TEST(test_refusal_for_good_ends_the_wait_at_once)
{
    char conninfo[FIXTURE_CONNINFO_SIZE];
    fixture_conninfo(conninfo, "dbname='no_such_db' password='s3cret'");
    options.conninfo = conninfo;
    ck_assert_status(dbpool_wait_ready(&options, LONG_MS, &PROBE, error), ST_SCHEMA);
    assert_error("database \"no_such_db\" does not exist");
    assert_error("create it or correct DATABASE_URL");
    options.conninfo = "not a conninfo s3cret";
    ck_assert_status(dbpool_wait_ready(&options, LONG_MS, &PROBE, error), ST_SCHEMA);
    assert_error("DATABASE_URL");
    options.conninfo = proxy->conninfo;
    refuse_with("28P01", "password authentication failed for user \"x\"");
    ck_assert_status(dbpool_wait_ready(&options, LONG_MS, &PROBE, error), ST_SCHEMA);
    assert_error("password refused for user");
    ck_assert_int_eq(proxy->accepted, 1);
}
END_TEST

START_TEST(test_one_attempt_when_there_is_no_time)
{
    refuse_with("57P03", "the database system is starting up");
    ck_assert_status(dbpool_wait_ready(&options, 0, &PROBE, error), ST_RETRY);
    assert_error("starting up");
    ck_assert_int_eq(proxy->accepted, 1);
}
END_TEST

/* Counts the lines of the log that hold the event. */
static int count_events(const char *text, const char *event)
{
    int count = 0;
    for (const char *at = text; (at = strstr(at, event)) != NULL; at++) {
        count++;
    }
    return count;
}

START_TEST(test_wait_ends_when_its_time_is_over)
{
    char conninfo[FIXTURE_CONNINFO_SIZE];
    struct test_capture capture;
    fixture_conninfo(conninfo, "host='127.0.0.1' port='15599' password='s3cret'");
    options.conninfo = conninfo;
    int64_t since_ns = clock_now_ns();
    log_set_level(LOG_INFO);
    test_capture_start(&capture);
    enum status status = dbpool_wait_ready(&options, SHORT_MS, &PROBE, error);
    char *text = test_capture_stop(&capture);
    log_set_level(LOG_ERROR);
    int64_t spent_ns = clock_now_ns() - since_ns;
    int events = count_events(text, "\"event\":\"db_waiting\"");
    bool leaks = strstr(text, "s3cret") != NULL;
    free(text);
    ck_assert_status(status, ST_RETRY);
    ck_assert_int_ge(spent_ns, SHORT_MS * CLOCK_NS_PER_MS);
    assert_error("nothing answers at 127.0.0.1:15599");
    assert_error("is PostgreSQL running?");
    assert_error("waited 1300 ms");
    ck_assert_int_ge(events, 1);
    ck_assert_int_le(events, 1 + (int)(spent_ns / CLOCK_NS_PER_S)); /* once a second */
    ck_assert(!leaks);
}
END_TEST

struct wait {
    pthread_t thread;
    enum status status;
};

static void *wait_main(void *arg)
{
    struct wait *wait = arg;
    wait->status = dbpool_wait_ready(&options, LONG_MS, &PROBE, error);
    return NULL;
}

static void await_attempts(int count)
{
    int64_t deadline_ns = clock_deadline_ns(FIXTURE_PATIENCE_MS);
    while (proxy->accepted < count) {
        ck_assert_int_lt(clock_now_ns(), deadline_ns);
        fixture_nap();
    }
}

START_TEST(test_waits_for_a_database_that_is_starting_up)
{
    struct wait wait;
    refuse_with("57P03", "the database system is starting up");
    ck_assert_int_eq(pthread_create(&wait.thread, NULL, wait_main, &wait), 0);
    await_attempts(3);
    refuse_with("53300", "sorry, too many clients already");
    await_attempts(5);
    proxy_set(proxy, PROXY_REFUSE, NULL, NULL, 0); /* closes without a word */
    await_attempts(6);
    proxy_set(proxy, PROXY_PASS, NULL, NULL, 0);
    pthread_join(wait.thread, NULL);
    ck_assert_status(wait.status, ST_OK);
}
END_TEST

START_TEST(test_waits_for_a_socket_that_is_not_there_yet)
{
    struct wait wait;
    char hidden[128];
    snprintf(hidden, sizeof(hidden), "%s.hidden", proxy->path);
    ck_assert_int_eq(rename(proxy->path, hidden), 0);
    ck_assert_status(dbpool_wait_ready(&options, 0, &PROBE, error), ST_RETRY);
    assert_error(proxy->path);
    ck_assert_int_eq(pthread_create(&wait.thread, NULL, wait_main, &wait), 0);
    fixture_nap();
    ck_assert_int_eq(rename(hidden, proxy->path), 0);
    pthread_join(wait.thread, NULL);
    ck_assert_status(wait.status, ST_OK);
}
END_TEST

START_TEST(test_waits_when_the_probe_is_cut_off)
{
    struct wait wait;
    proxy_set(proxy, PROXY_LOSE_ANSWER, "ready_sales", NULL, 0);
    ck_assert_int_eq(pthread_create(&wait.thread, NULL, wait_main, &wait), 0);
    await_attempts(2);
    proxy_set(proxy, PROXY_PASS, NULL, NULL, 0);
    pthread_join(wait.thread, NULL);
    ck_assert_status(wait.status, ST_OK);
}
END_TEST

START_TEST(test_silent_database_is_waited_for_within_bounds)
{
    proxy_set(proxy, PROXY_FREEZE, NULL, NULL, 0);
    options.connect_timeout_ms = 100;
    ck_assert_status(dbpool_wait_ready(&options, 300, &PROBE, error), ST_TIMEOUT);
    assert_error("timed out");
    assert_error("waited 300 ms");
    proxy_set(proxy, PROXY_PASS, NULL, NULL, 0);
}
END_TEST

static void add_tests(TCase *tc)
{
    log_set_level(LOG_ERROR); /* outages are what is tested */
    tcase_add_checked_fixture(tc, set_up_table, tear_down);
    tcase_add_test(tc, test_ready_when_database_and_schema_are_there);
    tcase_add_test(tc, test_missing_schema_ends_the_wait_at_once);
    tcase_add_test(tc, test_refusal_for_good_ends_the_wait_at_once);
    tcase_add_test(tc, test_one_attempt_when_there_is_no_time);
    tcase_add_test(tc, test_wait_ends_when_its_time_is_over);
    tcase_add_test(tc, test_waits_for_a_database_that_is_starting_up);
    tcase_add_test(tc, test_waits_for_a_socket_that_is_not_there_yet);
    tcase_add_test(tc, test_waits_when_the_probe_is_cut_off);
    tcase_add_test(tc, test_silent_database_is_waited_for_within_bounds);
}

int main(void)
{
    fixture_require("test_dbpool_ready");
    return test_main("dbpool_ready", add_tests);
}
