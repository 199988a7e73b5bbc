/* test_purge: phase 5's purge of fingerprints, on phase 5's own schema.
 *
 * Three sales: one ended long ago, one ended a moment ago, one goes on. What a purge may touch is
 * counted in the rows. Run in the checkout's root: it reads phase5/schema.sql. */
#include "phase5/purge.h"

#include <sys/stat.h>

#include "common/tests/harness.h"
#include "common/tests/metrics_scrape.h"
#include "common/tests/pg_fixture.h"

#define SCHEMA "phase5/schema.sql"

enum {
    OVER = 1,  /* ended two hours ago */
    JUST_OVER, /* ended a minute ago */
    RUNNING,   /* ends in an hour */
    KEEP_S = 3600,
    SELDOM_S = 86400, /* only the first purge, at the start */
    SCHEMA_SIZE = 16384,
    ACQUIRE_MS = 2000,
};

static struct dbpool *pool;
static struct purge *purge;
static char conninfo[FIXTURE_CONNINFO_SIZE];

static void apply_schema(void)
{
    char *sql = calloc(SCHEMA_SIZE, 1);
    FILE *file = fopen(SCHEMA, "r");
    ck_assert_msg(sql && file, "%s: run in the root of the checkout", SCHEMA);
    ck_assert_uint_lt(fread(sql, 1, SCHEMA_SIZE, file), SCHEMA_SIZE);
    fclose(file);
    fixture_sql("DROP TABLE IF EXISTS orders, sales CASCADE");
    fixture_sql(sql);
    free(sql);
}

static void set_up(void)
{
    apply_schema();
    fixture_sql("INSERT INTO sales SELECT id, 'a sale', 100, 1000000, 1000000, 5, "
                "now() - interval '1 day', now() + ends FROM (VALUES "
                "(1, interval '-2 hours'), (2, interval '-1 minute'), (3, interval '1 hour')) "
                "AS s(id, ends)");
    fixture_conninfo(conninfo, "");
    struct pg_options options = fixture_options(conninfo);
    pool = dbpool_new(1, &options);
}

static void tear_down(void)
{
    dbpool_shut(pool);
    purge_stop(purge);
    dbpool_free(pool);
    purge = NULL;
    pool = NULL;
}

static void add_orders(int sale_id, int count)
{
    char sql[512];
    snprintf(sql, sizeof sql,
             "INSERT INTO orders (id, sale_id, user_id, quantity, status, idempotency_key, "
             "fingerprint) SELECT gen_random_uuid(), %d, n, 1, 'confirmed', 'key of sale %d', "
             "sha256('body') FROM generate_series(1 + %d * 1000000, %d + %d * 1000000) n",
             sale_id, sale_id, sale_id, count, sale_id);
    fixture_sql(sql);
}

static long fingerprints(int sale_id)
{
    char sql[128];
    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM orders WHERE sale_id = %d AND fingerprint IS NOT NULL", sale_id);
    return fixture_number(sql);
}

static void await_fingerprints(int sale_id, long count)
{
    int64_t deadline_ns = clock_deadline_ns(FIXTURE_PATIENCE_MS);
    while (fingerprints(sale_id) != count) {
        ck_assert_msg(clock_now_ns() < deadline_ns, "not %ld of sale %d", count, sale_id);
        fixture_nap();
    }
}

static void start_purge(int64_t every_s)
{
    purge = purge_start(&(struct purge_options){
        .pool = pool, .every_s = every_s, .keep_s = KEEP_S, .acquire_timeout_ms = ACQUIRE_MS});
}

START_TEST(test_purge_clears_only_sales_that_are_long_over)
{
    add_orders(OVER, 3);
    add_orders(JUST_OVER, 4);
    add_orders(RUNNING, 5);
    start_purge(SELDOM_S);
    await_fingerprints(OVER, 0);
    ck_assert_int_eq(fingerprints(JUST_OVER), 4);
    ck_assert_int_eq(fingerprints(RUNNING), 5);
}
END_TEST

START_TEST(test_purge_leaves_ids_and_keys_taken)
{
    add_orders(OVER, 3);
    start_purge(SELDOM_S);
    await_fingerprints(OVER, 0);
    ck_assert_int_eq(fixture_number("SELECT count(*) FROM orders WHERE status = 'confirmed' "
                                    "AND idempotency_key = 'key of sale 1'"),
                     3);
}
END_TEST

START_TEST(test_purge_goes_on_batch_after_batch)
{
    add_orders(OVER, 2 * PURGE_BATCH_MAX + 1);
    start_purge(SELDOM_S);
    await_fingerprints(OVER, 0);
}
END_TEST

START_TEST(test_purge_counts_what_it_cleared)
{
    struct metrics *metrics = metrics_new();
    add_orders(OVER, PURGE_BATCH_MAX + 7);
    start_purge(SELDOM_S);
    purge_publish(purge, metrics);
    await_fingerprints(OVER, 0);
    dbpool_shut(pool);
    int64_t deadline_ns = clock_deadline_ns(FIXTURE_PATIENCE_MS);
    long counted = 0;
    while (counted != PURGE_BATCH_MAX + 7) { /* counted a moment after it is to be seen */
        char *text = metrics_text(metrics);
        const char *value = scrape_find(text, "flashdeal_fingerprints_purged_total");
        ck_assert_ptr_nonnull(value);
        counted = strtol(value, NULL, 10);
        free(text);
        ck_assert_msg(clock_now_ns() < deadline_ns, "%ld", counted);
    }
    purge_stop(purge);
    purge = NULL;
    metrics_free(metrics);
}
END_TEST

START_TEST(test_purge_waits_for_no_lock_and_comes_back)
{
    add_orders(OVER, 3);
    PGconn *holder = fixture_open();
    PQclear(PQexec(holder, "BEGIN"));
    PQclear(PQexec(holder, "SELECT id FROM orders LIMIT 1 FOR UPDATE"));
    start_purge(1);
    await_fingerprints(OVER, 1); /* the one that is held */
    PQfinish(holder);
    await_fingerprints(OVER, 0);
}
END_TEST

START_TEST(test_purge_outlives_a_fault)
{
    struct test_capture capture;
    add_orders(OVER, 3);
    fixture_sql("ALTER TABLE orders RENAME COLUMN fingerprint TO mislaid");
    test_capture_start(&capture);
    start_purge(1);
    int64_t deadline_ns = clock_deadline_ns(FIXTURE_PATIENCE_MS);
    struct stat about = {0};
    while (about.st_size == 0 && clock_now_ns() < deadline_ns) { /* until it has said something */
        fstat(fileno(capture.file), &about);
        fixture_nap();
    }
    char *said = test_capture_stop(&capture);
    ck_assert_msg(strstr(said, "\"event\":\"purge_failed\"") != NULL, "%s", said);
    free(said);
    fixture_sql("ALTER TABLE orders RENAME COLUMN mislaid TO fingerprint");
    await_fingerprints(OVER, 0);
}
END_TEST

static void add_tests(TCase *tc)
{
    fixture_require("test_purge");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_purge_clears_only_sales_that_are_long_over);
    tcase_add_test(tc, test_purge_leaves_ids_and_keys_taken);
    tcase_add_test(tc, test_purge_goes_on_batch_after_batch);
    tcase_add_test(tc, test_purge_counts_what_it_cleared);
    tcase_add_test(tc, test_purge_waits_for_no_lock_and_comes_back);
    tcase_add_test(tc, test_purge_outlives_a_fault);
}

int main(void)
{
    return test_main("purge", add_tests);
}
