/* Tests of common/dbpool_publish: each figure under its own name, and as it is now. */
#include "common/dbpool_publish.h"

#include "common/tests/dbpool_fixture.h"
#include "common/tests/metrics_scrape.h"

enum { SIZE = 4, TIMEOUTS = 3 };

static double figure(struct metrics *metrics, const char *name)
{
    char series[128];
    snprintf(series, sizeof series, "flashdeal_db_pool_%s{pool=\"all\"}", name);
    return scrape_one(metrics, series);
}

START_TEST(test_dbpool_publish_gives_each_figure_its_name)
{
    struct metrics *metrics = metrics_new();
    struct pg *lent[SIZE];
    make_pool(SIZE);
    dbpool_publish(pool, "all", metrics);
    ck_assert(figure(metrics, "size") == SIZE);
    ck_assert(figure(metrics, "connects_total") == 0);
    lent[0] = acquire();
    ck_assert_status(pg_begin(lent[0]), ST_OK);
    dbpool_release(pool, lent[0]); /* inside a transaction: discarded */
    for (int i = 0; i < SIZE; i++) {
        lent[i] = acquire();
    }
    dbpool_release(pool, lent[0]);
    ck_assert(figure(metrics, "in_use") == SIZE - 1);
    lent[0] = acquire();
    for (int i = 0; i < TIMEOUTS; i++) {
        struct pg *pg = NULL;
        ck_assert_status(dbpool_acquire(pool, clock_deadline_ns(1), NULL, &pg), ST_TIMEOUT);
    }
    struct caller waiter;
    call(&waiter, clock_deadline_ns(FIXTURE_PATIENCE_MS));
    await_waiters(1);
    ck_assert(figure(metrics, "waiters") == 1);
    ck_assert(figure(metrics, "in_use") == SIZE);
    for (int i = 0; i < SIZE; i++) {
        dbpool_release(pool, lent[i]);
    }
    join(&waiter, ST_OK);
    ck_assert(figure(metrics, "waiters") == 0);
    ck_assert(figure(metrics, "in_use") == 0);
    ck_assert(figure(metrics, "size") == SIZE);
    ck_assert(figure(metrics, "discarded_total") == 1);
    ck_assert(figure(metrics, "timeouts_total") == TIMEOUTS);
    ck_assert(figure(metrics, "connects_total") == SIZE + 1);
    ck_assert(figure(metrics, "acquired_total") == SIZE + 3);
    metrics_free(metrics);
}
END_TEST

START_TEST(test_dbpool_publish_keeps_two_pools_apart)
{
    struct metrics *metrics = metrics_new();
    struct dbpool *other = dbpool_new(7, &options);
    make_pool(SIZE);
    dbpool_publish(pool, "orders", metrics);
    dbpool_publish(other, "reads", metrics);
    char *text = metrics_text(metrics);
    ck_assert(scrape_value(text, "flashdeal_db_pool_size{pool=\"orders\"}") == SIZE);
    ck_assert(scrape_value(text, "flashdeal_db_pool_size{pool=\"reads\"}") == 7);
    ck_assert_int_eq(scrape_count(text, "# TYPE flashdeal_db_pool_size gauge\n"), 1);
    ck_assert_int_eq(scrape_count(text, "_total counter\n"), 5);
    ck_assert_int_eq(scrape_count(text, " gauge\n"), 3);
    free(text);
    metrics_free(metrics);
    dbpool_free(other);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_dbpool_publish_gives_each_figure_its_name);
    tcase_add_test(tc, test_dbpool_publish_keeps_two_pools_apart);
}

int main(void)
{
    fixture_require("test_dbpool_publish");
    return test_main("dbpool_publish", add_tests);
}
