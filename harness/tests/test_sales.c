/* test_sales: phase 4's list of sales in memory, on phase 4's own schema: that it follows the
 * database, does without it, and ends with the process in good order.
 *
 * Run in the checkout's root: it reads phase4/schema.sql. */
#include "phase4/sales_cache.h"

#include "common/tests/harness.h"
#include "common/tests/metrics_scrape.h"
#include "common/tests/pg_fixture.h"
#include "common/tests/pg_proxy.h"

#define SCHEMA "phase4/schema.sql"
#define AGE "flashdeal_sales_age_seconds"
#define COUNT "flashdeal_sales"
#define FAILED "flashdeal_sales_refresh_failed_total"

enum {
    OFTEN_MS = 10,
    NEVER_MS = 3600000, /* longer than any test */
    ACQUIRE_MS = 100,
    SHORT_MS = 150, /* a bound that a test waits for in full */
    FAILURES = 3,   /* in a row */
    THREADS = 4,
    FINDS = 20000, /* of each thread */
    SCHEMA_SIZE = 16384,
};

static struct proxy *proxy;
static struct pg_options options;
static struct dbpool *pool;
static struct sales *sales;
static struct metrics *metrics;

static void apply_schema(void)
{
    char *sql = calloc(SCHEMA_SIZE, 1);
    FILE *file = fopen(SCHEMA, "r");
    ck_assert_msg(sql && file, "%s: run in the root of the checkout", SCHEMA);
    ck_assert_uint_lt(fread(sql, 1, SCHEMA_SIZE, file), SCHEMA_SIZE);
    fclose(file);
    fixture_sql("DROP TABLE IF EXISTS orders, sales, mislaid CASCADE");
    fixture_sql(sql);
    free(sql);
}

static void add_sales(const char *ids)
{
    char sql[256];
    snprintf(sql, sizeof sql,
             "INSERT INTO sales SELECT id, 'a \"sale\"', 100, 10, 9, 3, '2026-01-02 03:04:05Z', "
             "'2027-01-02 03:04:05Z' FROM %s AS s(id)",
             ids);
    fixture_sql(sql);
}

static void set_up(void)
{
    apply_schema();
    add_sales("unnest(ARRAY[7, 1, 3])");
    proxy = proxy_start();
    options = fixture_options(proxy->conninfo);
    options.statement_timeout_ms = SHORT_MS;
    options.client_grace_ms = SHORT_MS;
    pool = dbpool_new(1, &options);
    metrics = metrics_new();
}

static void tear_down(void)
{
    dbpool_shut(pool);
    sales_stop(sales);
    sales = NULL;
    metrics_free(metrics);
    dbpool_free(pool);
    pool = NULL;
    proxy_stop(proxy);
}

static void start(int64_t refresh_ms)
{
    ck_assert_status(sales_start(pool, FIXTURE_PATIENCE_MS, refresh_ms, ACQUIRE_MS, &sales), ST_OK);
    sales_publish(sales, metrics);
}

/* False: it did not happen in time. They may be called while standard error is captured. */
static bool await_sale(int64_t id, bool is_there)
{
    int64_t deadline_ns = clock_deadline_ns(FIXTURE_PATIENCE_MS);
    while (sales_has(sales, id) != is_there && clock_now_ns() < deadline_ns) {
        fixture_nap();
    }
    return sales_has(sales, id) == is_there;
}

static bool await_failures(double count)
{
    int64_t deadline_ns = clock_deadline_ns(FIXTURE_PATIENCE_MS);
    while (scrape_one(metrics, FAILED) < count && clock_now_ns() < deadline_ns) {
        fixture_nap();
    }
    return scrape_one(metrics, FAILED) >= count;
}

static void lose_database(void)
{
    proxy_set(proxy, PROXY_REFUSE, NULL, NULL, 0);
    proxy_cut(proxy);
}

/* ----------------------------------------------------------------------------------- what it has
 */

START_TEST(test_sales_has_each_sale_and_no_other)
{
    start(NEVER_MS);
    ck_assert(sales_has(sales, 1) && sales_has(sales, 3) && sales_has(sales, 7));
    ck_assert(!sales_has(sales, 2) && !sales_has(sales, 8) && !sales_has(sales, INT64_MAX));
    ck_assert_double_eq(scrape_one(metrics, COUNT), 3);
}
END_TEST

START_TEST(test_sales_finds_the_reply_of_the_sale)
{
    start(NEVER_MS);
    struct sales_list *list = sales_hold(sales);
    ck_assert_str_eq(
        sales_find(list, 3),
        "{\"id\":3,\"name\":\"a \\\"sale\\\"\",\"price_cents\":100,"
        "\"stock_total\":10,\"stock_left\":9,\"per_user_limit\":3,"
        "\"starts_at\":\"2026-01-02T03:04:05Z\",\"ends_at\":\"2027-01-02T03:04:05Z\"}");
    ck_assert_ptr_null(sales_find(list, 2));
    sales_let_go(sales, list);
}
END_TEST

START_TEST(test_sales_may_be_none)
{
    fixture_sql("TRUNCATE sales CASCADE");
    start(OFTEN_MS);
    ck_assert(!sales_has(sales, 1));
    add_sales("unnest(ARRAY[1])");
    ck_assert(await_sale(1, true));
}
END_TEST

START_TEST(test_sales_keeps_so_many_and_says_once_that_there_are_more)
{
    struct test_capture capture;
    fixture_sql("TRUNCATE sales CASCADE");
    add_sales("generate_series(1, 10001)");
    options.statement_timeout_ms = FIXTURE_PATIENCE_MS;
    dbpool_free(pool);
    pool = dbpool_new(1, &options);
    test_capture_start(&capture);
    enum status status = sales_start(pool, 0, OFTEN_MS, ACQUIRE_MS, &sales);
    bool has_read_again = false;
    if (status == ST_OK) {
        fixture_sql("UPDATE sales SET id = 20000 WHERE id = 1");
        has_read_again = await_sale(1, false);
    }
    char *said = test_capture_stop(&capture);
    ck_assert_status(status, ST_OK);
    ck_assert(has_read_again);
    sales_publish(sales, metrics);
    ck_assert_int_eq(scrape_count(said, "\"event\":\"sales_cut\""), 1);
    free(said);
    ck_assert_double_eq(scrape_one(metrics, COUNT), SALES_MAX);
    ck_assert(sales_has(sales, SALES_MAX + 1) && !sales_has(sales, 20000));
}
END_TEST

/* ------------------------------------------------------------------------------ as time goes by */

START_TEST(test_sales_follows_the_database)
{
    start(OFTEN_MS);
    add_sales("unnest(ARRAY[2])");
    ck_assert(await_sale(2, true));
    fixture_sql("DELETE FROM sales WHERE id = 1");
    ck_assert(await_sale(1, false));
    ck_assert(sales_has(sales, 2) && sales_has(sales, 7));
}
END_TEST

START_TEST(test_sales_list_stays_for_who_holds_it)
{
    start(OFTEN_MS);
    struct sales_list *list = sales_hold(sales);
    fixture_sql("DELETE FROM sales WHERE id = 1");
    ck_assert(await_sale(1, false));
    ck_assert_str_eq(
        strstr(sales_find(list, 1), "\"stock_left\""),
        "\"stock_left\":9,\"per_user_limit\":3,"
        "\"starts_at\":\"2026-01-02T03:04:05Z\",\"ends_at\":\"2027-01-02T03:04:05Z\"}");
    sales_let_go(sales, list);
}
END_TEST

static void *find_main(void *arg)
{
    atomic_int *missing = arg;
    for (int i = 0; i < FINDS; i++) {
        struct sales_list *list = sales_hold(sales);
        *missing += sales_find(list, 7) == NULL || !sales_has(sales, 3);
        sales_let_go(sales, list);
    }
    return NULL;
}

START_TEST(test_sales_can_be_read_while_it_is_refreshed)
{
    static atomic_int missing;
    pthread_t threads[THREADS];
    start(1);
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, find_main, &missing), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    ck_assert_int_eq(missing, 0);
}
END_TEST

/* ---------------------------------------------------------------------------- without a database
 */

START_TEST(test_sales_serves_on_without_the_database_and_catches_up)
{
    struct test_capture capture;
    start(OFTEN_MS);
    test_capture_start(&capture);
    lose_database();
    bool has_failed = await_failures(FAILURES);
    bool has = sales_has(sales, 1) && sales_has(sales, 7);
    double age = scrape_one(metrics, AGE);
    add_sales("unnest(ARRAY[2])");
    proxy_set(proxy, PROXY_PASS, NULL, NULL, 0);
    bool has_caught_up = await_sale(2, true);
    char *said = test_capture_stop(&capture);
    ck_assert(has_failed && has && has_caught_up);
    ck_assert_double_gt(age, 0.05);
    ck_assert_int_eq(scrape_count(said, "\"event\":\"sales_stale\""), 1);
    ck_assert_int_eq(scrape_count(said, "\"event\":\"sales_fresh\""), 1);
    free(said);
}
END_TEST

START_TEST(test_sales_serves_on_when_the_database_hangs)
{
    start(OFTEN_MS);
    proxy_set(proxy, PROXY_FREEZE, NULL, NULL, 0);
    ck_assert(await_failures(1)); /* it hung for as long as it may */
    ck_assert(sales_has(sales, 1));
    add_sales("unnest(ARRAY[2])");
    proxy_set(proxy, PROXY_PASS, NULL, NULL, 0);
    ck_assert(await_sale(2, true));
}
END_TEST

static void *give_back(void *unused)
{
    (void)unused;
    clock_sleep_until(clock_deadline_ns(3 * ACQUIRE_MS)); /* more than one reading fails */
    proxy_set(proxy, PROXY_PASS, NULL, NULL, 0);
    return NULL;
}

START_TEST(test_sales_start_waits_for_a_database_that_comes_back)
{
    pthread_t thread;
    lose_database();
    ck_assert_int_eq(pthread_create(&thread, NULL, give_back, NULL), 0);
    enum status status = sales_start(pool, FIXTURE_PATIENCE_MS, NEVER_MS, ACQUIRE_MS, &sales);
    pthread_join(thread, NULL);
    ck_assert_status(status, ST_OK);
    ck_assert(sales_has(sales, 1));
}
END_TEST

START_TEST(test_sales_start_waits_no_longer_than_it_may)
{
    int64_t began_ns = clock_now_ns();
    lose_database();
    ck_assert_status(sales_start(pool, 2 * ACQUIRE_MS, NEVER_MS, ACQUIRE_MS, &sales), ST_TIMEOUT);
    ck_assert_int_ge(clock_now_ns() - began_ns, 2 * ACQUIRE_MS * CLOCK_NS_PER_MS);
    ck_assert_int_lt(clock_now_ns() - began_ns, FIXTURE_PATIENCE_MS * CLOCK_NS_PER_MS);
}
END_TEST

START_TEST(test_sales_start_says_why_it_failed)
{
    int64_t began_ns = clock_now_ns();
    fixture_sql("ALTER TABLE sales RENAME TO mislaid");
    ck_assert_status(sales_start(pool, FIXTURE_PATIENCE_MS, NEVER_MS, ACQUIRE_MS, &sales),
                     ST_SCHEMA);
    ck_assert_ptr_null(sales);
    ck_assert_int_lt(clock_now_ns() - began_ns, FIXTURE_PATIENCE_MS * CLOCK_NS_PER_MS / 2);
    fixture_sql("ALTER TABLE mislaid RENAME TO sales");
    lose_database();
    ck_assert_status(sales_start(pool, 0, NEVER_MS, ACQUIRE_MS, &sales), ST_TIMEOUT);
    ck_assert_ptr_null(sales);
}
END_TEST

/* ------------------------------------------------------------------------------------------- stop
 */

static void assert_stops_within(int64_t bound_ms)
{
    int64_t deadline_ns = clock_deadline_ns(bound_ms);
    dbpool_shut(pool);
    sales_stop(sales);
    sales = NULL;
    ck_assert_int_lt(clock_now_ns(), deadline_ns);
}

START_TEST(test_sales_stop_does_not_wait_until_the_next_reading_is_due)
{
    start(NEVER_MS);
    assert_stops_within(FIXTURE_PATIENCE_MS);
}
END_TEST

START_TEST(test_sales_stop_does_not_wait_in_line_for_a_connection)
{
    struct pg *pg = NULL;
    ck_assert_status(sales_start(pool, 0, OFTEN_MS, NEVER_MS, &sales), ST_OK);
    ck_assert_status(dbpool_acquire(pool, CLOCK_NEVER, NULL, &pg), ST_OK);
    int64_t deadline_ns = clock_deadline_ns(FIXTURE_PATIENCE_MS);
    struct dbpool_stats stats = {0};
    while (stats.waiters == 0) {
        ck_assert_int_lt(clock_now_ns(), deadline_ns);
        dbpool_read_stats(pool, &stats);
    }
    assert_stops_within(FIXTURE_PATIENCE_MS);
    dbpool_release(pool, pg);
}
END_TEST

START_TEST(test_sales_stop_waits_for_a_hanging_database_no_longer_than_pg)
{
    start(OFTEN_MS);
    proxy_set(proxy, PROXY_FREEZE, NULL, NULL, 0);
    int64_t deadline_ns = clock_deadline_ns(FIXTURE_PATIENCE_MS);
    struct dbpool_stats stats = {0};
    while (stats.in_use == 0) { /* a reading is under way, and stays so */
        ck_assert_int_lt(clock_now_ns(), deadline_ns);
        dbpool_read_stats(pool, &stats);
    }
    assert_stops_within(FIXTURE_PATIENCE_MS);
    dbpool_read_stats(pool, &stats);
    ck_assert_int_eq(stats.in_use, 0);
}
END_TEST

static void add_tests(TCase *tc)
{
    fixture_require("test_sales");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_sales_has_each_sale_and_no_other);
    tcase_add_test(tc, test_sales_finds_the_reply_of_the_sale);
    tcase_add_test(tc, test_sales_may_be_none);
    tcase_add_test(tc, test_sales_keeps_so_many_and_says_once_that_there_are_more);
    tcase_add_test(tc, test_sales_follows_the_database);
    tcase_add_test(tc, test_sales_list_stays_for_who_holds_it);
    tcase_add_test(tc, test_sales_can_be_read_while_it_is_refreshed);
    tcase_add_test(tc, test_sales_serves_on_without_the_database_and_catches_up);
    tcase_add_test(tc, test_sales_serves_on_when_the_database_hangs);
    tcase_add_test(tc, test_sales_start_waits_for_a_database_that_comes_back);
    tcase_add_test(tc, test_sales_start_waits_no_longer_than_it_may);
    tcase_add_test(tc, test_sales_start_says_why_it_failed);
    tcase_add_test(tc, test_sales_stop_does_not_wait_until_the_next_reading_is_due);
    tcase_add_test(tc, test_sales_stop_does_not_wait_in_line_for_a_connection);
    tcase_add_test(tc, test_sales_stop_waits_for_a_hanging_database_no_longer_than_pg);
}

int main(void)
{
    return test_main("sales", add_tests);
}
