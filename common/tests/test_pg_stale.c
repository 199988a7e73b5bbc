/* Tests of pg when what a connection has prepared no longer fits the database: after a change of a
 * table, or when the server has forgotten it. Another connection mends that, and only that. */
#include "common/pg.h"

#include "common/tests/harness.h"
#include "common/tests/pg_fixture.h"

static const struct pg_statement READ_ITEMS = {
    "items_read", "SELECT id, note FROM items ORDER BY id", 0, STAGE_STATEMENTS};

static struct pg_options options;
static struct pg *pg;

static void set_up(void)
{
    fixture_sql("DROP TABLE IF EXISTS items; CREATE TABLE items (id int PRIMARY KEY, note text)");
    options = fixture_options(fixture_url());
    pg = fixture_connect(&options);
}

static void tear_down(void)
{
    pg_close(pg);
    pg = NULL;
}

static void reconnect(void)
{
    pg_close(pg);
    pg = fixture_connect(&options);
}

START_TEST(test_changed_result_type_is_retry_on_another_connection)
{
    static const char *const notes[] = {"varchar(9)", "text"};
    for (int in_transaction = 0; in_transaction < 2; in_transaction++) {
        char sql[64];
        ck_assert_status(pg_run(pg, &READ_ITEMS, NULL, NULL), ST_OK);
        snprintf(sql, sizeof(sql), "ALTER TABLE items ALTER note TYPE %s", notes[in_transaction]);
        fixture_sql(sql);
        ck_assert(!in_transaction || pg_begin(pg) == ST_OK);
        ck_assert_status(pg_run(pg, &READ_ITEMS, NULL, NULL), ST_RETRY);
        ck_assert_str_eq(pg_sqlstate(pg), "0A000");
        ck_assert(!pg_is_usable(pg));
        reconnect();
        ck_assert_status(pg_run(pg, &READ_ITEMS, NULL, NULL), ST_OK);
    }
}
END_TEST

START_TEST(test_new_column_that_is_not_read_changes_nothing)
{
    ck_assert_status(pg_run(pg, &READ_ITEMS, NULL, NULL), ST_OK);
    fixture_sql("ALTER TABLE items ADD price int");
    ck_assert_status(pg_run(pg, &READ_ITEMS, NULL, NULL), ST_OK);
    ck_assert(pg_is_usable(pg));
}
END_TEST

START_TEST(test_unsupported_feature_is_a_fault)
{
    static const struct pg_statement count_locked = {
        "count_locked", "SELECT count(*) FROM items FOR UPDATE", 0, STAGE_STATEMENTS};
    ck_assert_status(pg_run(pg, &count_locked, NULL, NULL), ST_DB);
    ck_assert_str_eq(pg_sqlstate(pg), "0A000");
}
END_TEST

START_TEST(test_prepared_statement_that_is_gone_is_retry_on_another_connection)
{
    static const struct pg_statement forget = {"forget", "DEALLOCATE ALL", 0, STAGE_STATEMENTS};
    ck_assert_status(pg_run(pg, &READ_ITEMS, NULL, NULL), ST_OK);
    ck_assert_status(pg_run(pg, &forget, NULL, NULL), ST_OK);
    ck_assert_status(pg_run(pg, &READ_ITEMS, NULL, NULL), ST_RETRY);
    ck_assert_str_eq(pg_sqlstate(pg), "26000");
    ck_assert(!pg_is_usable(pg));
    reconnect();
    ck_assert_status(pg_run(pg, &READ_ITEMS, NULL, NULL), ST_OK);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_changed_result_type_is_retry_on_another_connection);
    tcase_add_test(tc, test_new_column_that_is_not_read_changes_nothing);
    tcase_add_test(tc, test_unsupported_feature_is_a_fault);
    tcase_add_test(tc, test_prepared_statement_that_is_gone_is_retry_on_another_connection);
}

int main(void)
{
    fixture_require("test_pg_stale");
    return test_main("pg_stale", add_tests);
}
