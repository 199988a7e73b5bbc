/* Tests of pg_connect: what it sets, how long it waits, and what it says when it cannot: one line,
 * without the password. */
#include "common/pg.h"

#include "common/tests/harness.h"
#include "common/tests/pg_fixture.h"
#include "common/tests/pg_proxy.h"

static const struct pg_statement SETTING = {"setting", "SELECT current_setting($1)", 1,
                                            STAGE_STATEMENTS};

enum { SHORT_MS = 150 }; /* a bound that a test waits for in full */

static struct proxy *proxy;
static struct pg_options options;
static struct pg *pg;

static void set_up(void)
{
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

static void reconnect(void)
{
    pg_close(pg);
    pg = fixture_connect(&options);
}

static void assert_setting(const char *name, const char *wanted)
{
    PGresult *result = NULL;
    ck_assert_status(pg_run(pg, &SETTING, &name, &result), ST_OK);
    ck_assert_str_eq(PQgetvalue(result, 0, 0), wanted);
    PQclear(result);
}

START_TEST(test_connect_sets_timeouts_encoding_and_name)
{
    assert_setting("lock_timeout", "2s");
    assert_setting("statement_timeout", "10s");
    assert_setting("client_encoding", "UTF8");
    assert_setting("application_name", "fd_test");
}
END_TEST

START_TEST(test_connect_keeps_options_and_name_of_the_conninfo)
{
    char conninfo[FIXTURE_CONNINFO_SIZE];
    fixture_conninfo(conninfo, "options='-c work_mem=5MB -c lock_timeout=7s "
                               "-c default_transaction_isolation=serializable' "
                               "application_name='chosen' client_encoding='LATIN1'");
    options.conninfo = conninfo;
    options.statement_timeout_ms = 0;
    reconnect();
    assert_setting("work_mem", "5MB");
    assert_setting("application_name", "chosen");
    assert_setting("lock_timeout", "2s");                              /* ours wins */
    assert_setting("client_encoding", "UTF8");                         /* ours wins */
    assert_setting("default_transaction_isolation", "read committed"); /* ours wins */
    assert_setting("statement_timeout", "0"); /* 0: left as the server has it */
}
END_TEST

static void assert_refused(const char *extra, const char *needle)
{
    char conninfo[FIXTURE_CONNINFO_SIZE], error[PG_ERROR_SIZE];
    fixture_conninfo(conninfo, extra);
    options.conninfo = conninfo;
    struct pg *refused = pg;
    ck_assert_status(pg_connect(&options, CLOCK_NEVER, &refused, error), ST_SCHEMA);
    ck_assert_ptr_null(refused);
    ck_assert_msg(strstr(error, needle) != NULL, "%s", error);
    ck_assert_ptr_null(strchr(error, '\n'));
    ck_assert_ptr_null(strstr(error, "s3cret"));
}

START_TEST(test_connect_is_refused_for_good_without_database_or_role)
{
    assert_refused("dbname='no_such_db' password='s3cret'",
                   "database \"no_such_db\" does not exist");
    assert_refused("user='no_such_role' password='s3cret'", "no_such_role");
}
END_TEST

START_TEST(test_connect_does_not_echo_a_bad_conninfo)
{
    static const char *const bad[] = {"postgresql://u:s3cret@h:port:x/%zz", "password s3cret",
                                      "pasword=s3cret"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char error[PG_ERROR_SIZE];
        struct pg *refused = pg;
        options.conninfo = bad[i];
        ck_assert_status(pg_connect(&options, CLOCK_NEVER, &refused, error), ST_SCHEMA);
        ck_assert_ptr_null(refused);
        ck_assert_ptr_null(strstr(error, "s3cret"));
        ck_assert_ptr_nonnull(strstr(error, "DATABASE_URL"));
    }
}
END_TEST

START_TEST(test_connect_is_retry_when_nothing_listens)
{
    char conninfo[FIXTURE_CONNINFO_SIZE], error[PG_ERROR_SIZE];
    static const char *const nobody[] = {"host='/nonexistent' port='15599'",
                                         "host='127.0.0.1' port='15599' password='s3cret'"};
    static const char *const endpoints[] = {"/nonexistent/.s.PGSQL.15599", "127.0.0.1:15599"};
    for (int i = 0; i < 2; i++) {
        struct pg *none = pg;
        fixture_conninfo(conninfo, nobody[i]);
        options.conninfo = conninfo;
        ck_assert_status(pg_connect(&options, CLOCK_NEVER, &none, error), ST_RETRY);
        ck_assert_ptr_null(none);
        ck_assert_msg(strstr(error, endpoints[i]) != NULL, "%s", error);
        ck_assert_ptr_null(strchr(error, '\n'));
        ck_assert_ptr_null(strstr(error, "s3cret"));
    }
}
END_TEST

START_TEST(test_connect_gives_up_on_a_silent_server)
{
    char error[PG_ERROR_SIZE];
    struct pg *none = pg;
    proxy_set(proxy, PROXY_FREEZE, NULL, NULL, 0);
    options.connect_timeout_ms = SHORT_MS;
    int64_t since_ns = clock_now_ns();
    ck_assert_status(pg_connect(&options, CLOCK_NEVER, &none, error), ST_TIMEOUT);
    ck_assert_ptr_null(none);
    ck_assert_int_ge(clock_now_ns() - since_ns, SHORT_MS * CLOCK_NS_PER_MS);
    options.connect_timeout_ms = 3600 * 1000; /* now the caller's deadline is the shorter one */
    since_ns = clock_now_ns();
    ck_assert_status(pg_connect(&options, clock_deadline_ns(SHORT_MS), &none, error), ST_TIMEOUT);
    ck_assert_int_ge(clock_now_ns() - since_ns, SHORT_MS * CLOCK_NS_PER_MS);
}
END_TEST

static void assert_answer(const char *sqlstate, const char *text, enum status wanted,
                          const char *needle)
{
    char message[PROXY_MESSAGE_SIZE], error[PG_ERROR_SIZE];
    size_t length = proxy_message(message, 'E', "FATAL", sqlstate, text, "somewhere");
    struct pg *none = pg;
    proxy_set(proxy, PROXY_REFUSE, NULL, message, length);
    ck_assert_status(pg_connect(&options, CLOCK_NEVER, &none, error), wanted);
    ck_assert_ptr_null(none);
    ck_assert_msg(strstr(error, needle) != NULL, "%s", error);
    ck_assert_ptr_null(strchr(error, '\n'));
}

START_TEST(test_connect_tells_refusals_for_good_from_passing_ones)
{
    assert_answer("28P01", "password authentication failed for user \"x\"", ST_SCHEMA,
                  "password refused");
    assert_answer("28P01", "Passwort-Authentifizierung fehlgeschlagen", ST_SCHEMA,
                  "password refused");
    assert_answer("28000", "no pg_hba.conf entry for host", ST_SCHEMA, "pg_hba.conf");
    assert_answer("57P03", "the database system is starting up", ST_RETRY,
                  "refuses connections: the database system is starting up (57P03)");
    assert_answer("53300", "sorry, too many clients already", ST_BUSY, "too many clients");
    assert_answer("42704", "unrecognized configuration parameter", ST_DB, "unrecognized");
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_connect_sets_timeouts_encoding_and_name);
    tcase_add_test(tc, test_connect_keeps_options_and_name_of_the_conninfo);
    tcase_add_test(tc, test_connect_is_refused_for_good_without_database_or_role);
    tcase_add_test(tc, test_connect_does_not_echo_a_bad_conninfo);
    tcase_add_test(tc, test_connect_is_retry_when_nothing_listens);
    tcase_add_test(tc, test_connect_gives_up_on_a_silent_server);
    tcase_add_test(tc, test_connect_tells_refusals_for_good_from_passing_ones);
}

int main(void)
{
    fixture_require("test_pg_connect");
    return test_main("pg_connect", add_tests);
}
