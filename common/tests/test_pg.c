/* Tests of pg against a real server: statements, transactions, errors, stages. Connecting is in
 * test_pg_connect.c; what happens when the server vanishes or freezes, in test_pg_faults.c. */
#include "common/pg.h"

#include "common/clock.h"
#include "common/tests/harness.h"
#include "common/tests/pg_fixture.h"

static const struct pg_statement ADD_ITEM = {
    "item_add", "INSERT INTO items (id, note) VALUES ($1, $2)", 2, STAGE_STATEMENTS};
static const struct pg_statement READ_ITEMS = {
    "items_read", "SELECT id, note FROM items ORDER BY id", 0, STAGE_STATEMENTS};
static const struct pg_statement LOCK_ITEM = {
    "item_lock", "SELECT id FROM items WHERE id = $1 FOR UPDATE", 1, STAGE_LOCK_WAIT};
static const struct pg_statement SLEEP = {"sleep", "SELECT pg_sleep($1)", 1, STAGE_LOCK_WAIT};
static const struct pg_statement BAD_TABLE = {"bad_table", "SELECT 1 FROM nowhere", 0,
                                              STAGE_STATEMENTS};
static const struct pg_statement COUNT_PREPARED = {"prepared_count",
                                                   "SELECT count(*) FROM pg_prepared_statements "
                                                   "WHERE name <> 'prepared_count'",
                                                   0, STAGE_STATEMENTS};
static struct pg_options options;
static struct pg *pg;

static void set_up(void)
{
    fixture_sql("DROP TABLE IF EXISTS items; DROP TABLE IF EXISTS things;"
                "CREATE TABLE items (id int PRIMARY KEY, note text);"
                "CREATE TABLE things (id int, "
                "CONSTRAINT things_once UNIQUE (id) DEFERRABLE INITIALLY DEFERRED);");
    options = fixture_options(fixture_url());
    pg = fixture_connect(&options);
}

static void tear_down(void)
{
    pg_close(pg);
    pg = NULL;
}

static const char *const ITEM_1[] = {"1", "first"};

static void reconnect(void)
{
    pg_close(pg);
    pg = fixture_connect(&options);
}

START_TEST(test_status_of_maps_every_listed_code)
{
    static const struct {
        const char *sqlstate;
        enum status status;
    } rows[] = {
        {"55P03", ST_TIMEOUT},    {"57014", ST_TIMEOUT}, {"40001", ST_RETRY},
        {"40P01", ST_RETRY},      {"08006", ST_RETRY},   {"08P01", ST_RETRY},
        {"57P01", ST_RETRY},      {"57P02", ST_RETRY},   {"57P03", ST_RETRY},
        {"53300", ST_BUSY},       {"53100", ST_BUSY},    {"23505", ST_CONSTRAINT},
        {"23514", ST_CONSTRAINT}, {"28P01", ST_SCHEMA},  {"28000", ST_SCHEMA},
        {"3D000", ST_SCHEMA},     {"3F000", ST_SCHEMA},  {"42P01", ST_SCHEMA},
        {"42703", ST_SCHEMA},     {"42501", ST_SCHEMA},  {"42601", ST_DB},
        {"22P02", ST_DB},         {"57P04", ST_DB},      {"40002", ST_DB},
        {"XX000", ST_DB},         {"", ST_DB},           {"25006", ST_RETRY},
        {"25001", ST_DB},         {"57P05", ST_RETRY},   {"58030", ST_RETRY},
        {"58P01", ST_RETRY},      {"54000", ST_BUSY},    {"26000", ST_RETRY},
        {"0A000", ST_DB},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_msg(pg_status_of(rows[i].sqlstate) == rows[i].status, "%s", rows[i].sqlstate);
    }
}
END_TEST

START_TEST(test_run_returns_rows_and_nulls)
{
    const char *const with_null[] = {"2", NULL};
    PGresult *result = NULL;
    ck_assert_status(pg_run(pg, &ADD_ITEM, ITEM_1, NULL), ST_OK);
    ck_assert_status(pg_run(pg, &ADD_ITEM, with_null, NULL), ST_OK);
    ck_assert_status(pg_run(pg, &READ_ITEMS, NULL, &result), ST_OK);
    ck_assert_int_eq(PQntuples(result), 2);
    ck_assert_str_eq(PQgetvalue(result, 0, 1), "first");
    ck_assert(PQgetisnull(result, 1, 1));
    PQclear(result);
}
END_TEST

START_TEST(test_run_count_counts_rows_returned_or_changed)
{
    static const struct pg_statement add_many = {
        "items_add", "INSERT INTO items SELECT generate_series(1, 7)", 0, STAGE_STATEMENTS};
    static const struct pg_statement change = {
        "items_change", "UPDATE items SET note = 'x' WHERE id > $1 RETURNING id", 1,
        STAGE_STATEMENTS};
    static const struct pg_statement drop = {"items_drop", "DELETE FROM items WHERE id = $1", 1,
                                             STAGE_STATEMENTS};
    const char *const five[] = {"5"};
    int64_t count = -1;
    ck_assert_status(pg_run_count(pg, &add_many, NULL, &count), ST_OK);
    ck_assert_int_eq(count, 7);
    ck_assert_status(pg_run_count(pg, &change, five, &count), ST_OK);
    ck_assert_int_eq(count, 2);
    ck_assert_status(pg_run_count(pg, &drop, five, &count), ST_OK);
    ck_assert_int_eq(count, 1);
    ck_assert_status(pg_run_count(pg, &drop, five, &count), ST_OK);
    ck_assert_int_eq(count, 0);
    ck_assert_status(pg_run_count(pg, &READ_ITEMS, NULL, &count), ST_OK);
    ck_assert_int_eq(count, 6);
    ck_assert_status(pg_run_count(pg, &BAD_TABLE, NULL, &count), ST_SCHEMA);
    ck_assert_int_eq(count, 0);
}
END_TEST

static void assert_prepared(const char *count)
{
    PGresult *result = NULL;
    ck_assert_status(pg_run(pg, &COUNT_PREPARED, NULL, &result), ST_OK);
    ck_assert_str_eq(PQgetvalue(result, 0, 0), count);
    PQclear(result);
}

START_TEST(test_run_prepares_each_statement_once)
{
    for (int i = 0; i < 3; i++) {
        const char *const values[] = {i == 0 ? "1" : i == 1 ? "2" : "3", "x"};
        ck_assert_status(pg_begin(pg), ST_OK);
        ck_assert_status(pg_run(pg, &ADD_ITEM, values, NULL), ST_OK);
        ck_assert_status(pg_rollback(pg), ST_OK); /* the prepared statement survives it */
        ck_assert_status(pg_run(pg, &READ_ITEMS, NULL, NULL), ST_OK);
        assert_prepared("2"); /* a second PREPARE of a name would be an error, 42P05 */
    }
    ck_assert_status(pg_run(pg, &BAD_TABLE, NULL, NULL), ST_SCHEMA);
    ck_assert_status(pg_run(pg, &BAD_TABLE, NULL, NULL), ST_SCHEMA); /* tried anew each time */
    assert_prepared("2");
}
END_TEST

START_TEST(test_commit_keeps_and_rollback_drops)
{
    const char *const item_2[] = {"2", "second"};
    ck_assert_status(pg_begin(pg), ST_OK);
    ck_assert(!pg_is_usable(pg));
    ck_assert_status(pg_run(pg, &ADD_ITEM, ITEM_1, NULL), ST_OK);
    ck_assert_status(pg_commit(pg), ST_OK);
    ck_assert(pg_is_usable(pg));
    ck_assert_status(pg_begin(pg), ST_OK);
    ck_assert_status(pg_run(pg, &ADD_ITEM, item_2, NULL), ST_OK);
    ck_assert_status(pg_rollback(pg), ST_OK);
    ck_assert(pg_is_usable(pg));
    ck_assert_int_eq(fixture_number("SELECT count(*) FROM items"), 1);
}
END_TEST

START_TEST(test_rollback_accepts_null_and_no_transaction)
{
    ck_assert_status(pg_rollback(NULL), ST_OK);
    ck_assert_status(pg_rollback(pg), ST_OK);
    ck_assert(pg_is_usable(pg));
}
END_TEST

START_TEST(test_failed_statement_leaves_transaction_to_be_rolled_back)
{
    ck_assert_status(pg_run(pg, &ADD_ITEM, ITEM_1, NULL), ST_OK);
    ck_assert_status(pg_begin(pg), ST_OK);
    PGresult *result = (PGresult *)&options; /* must be overwritten */
    ck_assert_status(pg_run(pg, &ADD_ITEM, ITEM_1, &result), ST_CONSTRAINT);
    ck_assert_ptr_null(result);
    ck_assert_str_eq(pg_sqlstate(pg), "23505");
    ck_assert(!pg_is_usable(pg));
    ck_assert_status(pg_run(pg, &READ_ITEMS, NULL, NULL), ST_DB); /* 25P02: in a failed one */
    ck_assert_status(pg_rollback(pg), ST_OK);
    ck_assert(pg_is_usable(pg));
    ck_assert_status(pg_run(pg, &READ_ITEMS, NULL, NULL), ST_OK);
    ck_assert_str_eq(pg_sqlstate(pg), "");
}
END_TEST

START_TEST(test_commit_answered_by_rollback_is_retry)
{
    const char *const item_2[] = {"2", "second"};
    ck_assert_status(pg_begin(pg), ST_OK);
    ck_assert_status(pg_run(pg, &ADD_ITEM, item_2, NULL), ST_OK);
    ck_assert_status(pg_run(pg, &BAD_TABLE, NULL, NULL), ST_SCHEMA);
    ck_assert_status(pg_commit(pg), ST_RETRY);
    ck_assert(pg_is_usable(pg));
    ck_assert_int_eq(fixture_number("SELECT count(*) FROM items"), 0);
}
END_TEST

START_TEST(test_deferred_constraint_fails_the_commit)
{
    static const struct pg_statement add = {"thing_add", "INSERT INTO things VALUES (1)", 0,
                                            STAGE_STATEMENTS};
    static const struct pg_statement add_two = {
        "thing_add_two", "INSERT INTO things VALUES (5), (5)", 0, STAGE_STATEMENTS};
    ck_assert_status(pg_begin(pg), ST_OK);
    ck_assert_status(pg_run(pg, &add, NULL, NULL), ST_OK);
    ck_assert_status(pg_run(pg, &add, NULL, NULL), ST_OK);
    ck_assert_status(pg_commit(pg), ST_CONSTRAINT);
    ck_assert(pg_is_usable(pg));
    /* Alone: the statement itself succeeds, its command tag comes, and then its commit fails. */
    ck_assert_status(pg_run(pg, &add_two, NULL, NULL), ST_CONSTRAINT);
    ck_assert(pg_is_usable(pg));
    ck_assert_int_eq(fixture_number("SELECT count(*) FROM things"), 0);
}
END_TEST

START_TEST(test_lock_timeout_and_statement_timeout_end_a_wait)
{
    const char *const id[] = {"1"};
    const char *const long_s[] = {"30"};
    options.lock_timeout_ms = 50;
    options.statement_timeout_ms = 5000;
    reconnect();
    ck_assert_status(pg_run(pg, &ADD_ITEM, ITEM_1, NULL), ST_OK);
    PGconn *holder = fixture_open();
    PQclear(PQexec(holder, "BEGIN"));
    PQclear(PQexec(holder, "SELECT * FROM items FOR UPDATE"));
    ck_assert_status(pg_begin(pg), ST_OK);
    ck_assert_status(pg_run(pg, &LOCK_ITEM, id, NULL), ST_TIMEOUT);
    ck_assert_str_eq(pg_sqlstate(pg), "55P03");
    ck_assert_status(pg_rollback(pg), ST_OK);
    options.statement_timeout_ms = 60;
    reconnect();
    ck_assert_status(pg_run(pg, &SLEEP, long_s, NULL), ST_TIMEOUT);
    ck_assert_str_eq(pg_sqlstate(pg), "57014");
    ck_assert(pg_is_usable(pg));
    PQfinish(holder);
}
END_TEST

START_TEST(test_update_conflict_of_repeatable_read_is_retry)
{
    static const struct pg_statement isolate = {
        "isolate", "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", 0, STAGE_STATEMENTS};
    static const struct pg_statement change = {"item_change", "UPDATE items SET note = 'y'", 0,
                                               STAGE_STATEMENTS};
    ck_assert_status(pg_run(pg, &ADD_ITEM, ITEM_1, NULL), ST_OK);
    ck_assert_status(pg_begin(pg), ST_OK);
    ck_assert_status(pg_run(pg, &isolate, NULL, NULL), ST_OK);
    ck_assert_status(pg_run(pg, &READ_ITEMS, NULL, NULL), ST_OK);
    fixture_sql("UPDATE items SET note = 'z'");
    ck_assert_status(pg_run(pg, &change, NULL, NULL), ST_RETRY);
    ck_assert_str_eq(pg_sqlstate(pg), "40001");
    ck_assert_status(pg_rollback(pg), ST_OK);
}
END_TEST

START_TEST(test_errors_never_quote_a_value)
{
    const char *const not_a_number[] = {"s3cret", "x"};
    const char *const too_large[] = {"99999999999", "x"};
    const char *const item_1[] = {"1", "s3cret"};
    ck_assert_status(pg_run(pg, &ADD_ITEM, not_a_number, NULL), ST_DB);
    ck_assert_str_eq(pg_sqlstate(pg), "22P02");
    ck_assert_ptr_null(strstr(pg_error(pg), "s3cret"));
    ck_assert_status(pg_run(pg, &ADD_ITEM, too_large, NULL), ST_DB);
    ck_assert_ptr_null(strstr(pg_error(pg), "9999"));
    ck_assert_status(pg_run(pg, &ADD_ITEM, item_1, NULL), ST_OK);
    ck_assert_status(pg_run(pg, &ADD_ITEM, item_1, NULL), ST_CONSTRAINT);
    ck_assert_ptr_nonnull(strstr(pg_error(pg), "items_pkey"));
    ck_assert_ptr_null(strstr(pg_error(pg), "s3cret"));
}
END_TEST

START_TEST(test_read_only_server_breaks_the_connection)
{
    static const struct pg_statement freeze = {
        "freeze", "SELECT set_config('default_transaction_read_only', 'on', false)", 0,
        STAGE_STATEMENTS};
    ck_assert_status(pg_run(pg, &freeze, NULL, NULL), ST_OK);
    ck_assert_status(pg_run(pg, &READ_ITEMS, NULL, NULL), ST_OK);
    ck_assert_status(pg_run(pg, &ADD_ITEM, ITEM_1, NULL), ST_RETRY);
    ck_assert_str_eq(pg_sqlstate(pg), "25006");
    ck_assert(!pg_is_usable(pg));
    reconnect();
    ck_assert_status(pg_run(pg, &ADD_ITEM, ITEM_1, NULL), ST_OK);
}
END_TEST

START_TEST(test_unasked_notification_and_setting_leave_it_usable)
{
    static const struct pg_statement listen = {"listen", "LISTEN fd_news", 0, STAGE_STATEMENTS};
    ck_assert_status(pg_run(pg, &listen, NULL, NULL), ST_OK);
    for (int i = 0; i < 20; i++) {
        fixture_sql("NOTIFY fd_news, 'x'");
        ck_assert(pg_is_usable(pg));
    }
    ck_assert_status(pg_run(pg, &READ_ITEMS, NULL, NULL), ST_OK);
}
END_TEST

START_TEST(test_notices_are_not_printed)
{
    static const struct pg_statement noise = {"noise", "DO $$ BEGIN RAISE WARNING 'loud'; END $$",
                                              0, STAGE_STATEMENTS};
    struct test_capture capture;
    test_capture_start(&capture);
    enum status status = pg_run(pg, &noise, NULL, NULL);
    char *text = test_capture_stop(&capture);
    ck_assert_status(status, ST_OK);
    ck_assert_str_eq(text, "");
    free(text);
}
END_TEST

/* What the server said of a statement that failed, once a second; contention is no news. */
START_TEST(test_fault_is_logged_once_a_second_and_a_lock_timeout_is_not)
{
    static const struct pg_statement divide = {"divide", "SELECT 1 / 0", 0, STAGE_STATEMENTS};
    static const struct pg_statement busy = {
        "busy", "DO $$ BEGIN RAISE EXCEPTION 'held' USING ERRCODE = '55P03'; END $$", 0,
        STAGE_STATEMENTS};
    clock_sleep_until(clock_deadline_ns(1000)); /* other tests' faults were logged before */
    struct test_capture capture;
    test_capture_start(&capture);
    enum status busy_status = pg_run(pg, &busy, NULL, NULL);
    enum status first = pg_run(pg, &divide, NULL, NULL);
    enum status second = pg_run(pg, &divide, NULL, NULL);
    char *text = test_capture_stop(&capture);
    ck_assert_status(busy_status, ST_TIMEOUT);
    ck_assert_status(first, ST_DB);
    ck_assert_status(second, ST_DB);
    char *line = strstr(text, "\"event\":\"db_error\",\"sqlstate\":\"22012\"");
    ck_assert_msg(line && !strstr(strstr(line, "22012"), "db_error"), "%s", text);
    ck_assert_ptr_null(strstr(text, "55P03"));
    free(text);
}
END_TEST

START_TEST(test_time_is_booked_to_the_statements_stage)
{
    const char *const short_s[] = {"0.08"};
    const int64_t slept_ns = 80 * CLOCK_NS_PER_MS;
    struct stages stages = {{0}};
    pg_book_to(pg, &stages);
    ck_assert_status(pg_run(pg, &SLEEP, short_s, NULL), ST_OK);
    ck_assert_int_ge(stages.spent_ns[STAGE_LOCK_WAIT], slept_ns);
    ck_assert_int_eq(stages.spent_ns[STAGE_STATEMENTS], 0);
    ck_assert_status(pg_begin(pg), ST_OK);
    int64_t begin_ns = stages.spent_ns[STAGE_STATEMENTS];
    ck_assert_int_gt(begin_ns, 0);
    ck_assert_status(pg_run(pg, &READ_ITEMS, NULL, NULL), ST_OK);
    ck_assert_int_gt(stages.spent_ns[STAGE_STATEMENTS], begin_ns);
    ck_assert_int_eq(stages.spent_ns[STAGE_COMMIT], 0);
    ck_assert_status(pg_commit(pg), ST_OK);
    ck_assert_int_gt(stages.spent_ns[STAGE_COMMIT], 0);
    struct stages before = stages;
    pg_book_to(pg, NULL);
    ck_assert_status(pg_run(pg, &READ_ITEMS, NULL, NULL), ST_OK);
    ck_assert_mem_eq(&before, &stages, sizeof(stages));
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_status_of_maps_every_listed_code);
    tcase_add_test(tc, test_run_returns_rows_and_nulls);
    tcase_add_test(tc, test_run_count_counts_rows_returned_or_changed);
    tcase_add_test(tc, test_run_prepares_each_statement_once);
    tcase_add_test(tc, test_commit_keeps_and_rollback_drops);
    tcase_add_test(tc, test_rollback_accepts_null_and_no_transaction);
    tcase_add_test(tc, test_failed_statement_leaves_transaction_to_be_rolled_back);
    tcase_add_test(tc, test_commit_answered_by_rollback_is_retry);
    tcase_add_test(tc, test_deferred_constraint_fails_the_commit);
    tcase_add_test(tc, test_lock_timeout_and_statement_timeout_end_a_wait);
    tcase_add_test(tc, test_update_conflict_of_repeatable_read_is_retry);
    tcase_add_test(tc, test_errors_never_quote_a_value);
    tcase_add_test(tc, test_read_only_server_breaks_the_connection);
    tcase_add_test(tc, test_unasked_notification_and_setting_leave_it_usable);
    tcase_add_test(tc, test_notices_are_not_printed);
    tcase_add_test(tc, test_fault_is_logged_once_a_second_and_a_lock_timeout_is_not);
    tcase_add_test(tc, test_time_is_booked_to_the_statements_stage);
}

int main(void)
{
    fixture_require("test_pg");
    return test_main("pg", add_tests);
}
