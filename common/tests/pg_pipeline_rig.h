/* pg_pipeline_rig: what the tests of pg's round trips of several statements share: a connection
 * through a proxy, tables, a transaction of the shape of phase 6's, a thread that blocks in a call.
 */
#ifndef FLASHDEAL_TESTS_PG_PIPELINE_RIG_H
#define FLASHDEAL_TESTS_PG_PIPELINE_RIG_H

#include "common/clock.h"
#include "common/pg.h"
#include "common/tests/harness.h"
#include "common/tests/pg_fixture.h"
#include "common/tests/pg_proxy.h"

static const struct pg_statement ADD_ITEM = {
    "item_add", "INSERT INTO items (id, note) VALUES ($1, $2)", 2, STAGE_STATEMENTS};
static const struct pg_statement COUNT_ITEMS = {"items_count", "SELECT count(*) FROM items", 0,
                                                STAGE_STATEMENTS};
static const struct pg_statement LOCK_STOCK = {
    "stock_lock", "SELECT units FROM stock WHERE id = $1 FOR UPDATE", 1, STAGE_LOCK_WAIT};
static const struct pg_statement TAKE_STOCK = {
    "stock_take", "UPDATE stock SET units = units - $2 WHERE id = $1", 2, STAGE_STATEMENTS};
static const struct pg_statement SLEEP = {"sleep", "SELECT pg_sleep($1)", 1, STAGE_STATEMENTS};

static const char *const ITEM_1[] = {"1", "first"};
static const char *const ITEM_2[] = {"2", "second"};
static const char *const STOCK_1[] = {"1"};
static const char *const STOCK_1_LESS_3[] = {"1", "3"};

enum { SHORT_MS = 150, UNITS = 100 };

static struct proxy *proxy;
static struct pg_options options;
static struct pg *pg;

static inline void set_up(void)
{
    fixture_sql("DROP TABLE IF EXISTS items, things, stock;"
                "CREATE TABLE items (id int PRIMARY KEY, note text);"
                "CREATE TABLE stock (id int PRIMARY KEY, units int CHECK (units >= 0));"
                "INSERT INTO stock VALUES (1, 100);"
                "CREATE TABLE things (id int, "
                "CONSTRAINT things_once UNIQUE (id) DEFERRABLE INITIALLY DEFERRED);");
    proxy = proxy_start();
    options = fixture_options(proxy->conninfo);
    pg = fixture_connect(&options);
}

static inline void tear_down(void)
{
    pg_close(pg);
    pg = NULL;
    proxy_stop(proxy);
}

static inline void reconnect(void)
{
    pg_close(pg);
    pg = fixture_connect(&options);
}

static inline void fault(enum proxy_fault kind, const char *word)
{
    proxy_set(proxy, kind, word, NULL, 0);
}

/* A call; its result is one that must be overwritten. */
static inline struct pg_call call_of(const struct pg_statement *statement,
                                     const char *const *values)
{
    return (struct pg_call){statement, values, (PGresult *)&options};
}

static inline void clear(struct pg_call *calls, int count)
{
    for (int i = 0; i < count; i++) {
        PQclear(calls[i].result);
    }
}

static inline void assert_no_results(const struct pg_call *calls, int count)
{
    for (int i = 0; i < count; i++) {
        ck_assert_ptr_null(calls[i].result);
    }
}

static inline enum status begin_with_lock(void)
{
    struct pg_call calls[] = {call_of(&LOCK_STOCK, STOCK_1), call_of(&COUNT_ITEMS, NULL)};
    enum status status = pg_begin_with(pg, calls, 2);
    clear(calls, 2);
    return status;
}

/* Phase 6's second round trip: a row, the stock, COMMIT. */
static inline enum status commit_with_item(const char *const *item)
{
    struct pg_call calls[] = {call_of(&ADD_ITEM, item), call_of(&TAKE_STOCK, STOCK_1_LESS_3)};
    enum status status = pg_commit_with(pg, calls, 2);
    if (status != ST_OK) {
        assert_no_results(calls, 2);
    }
    clear(calls, 2);
    return status;
}

/* So that both statements are prepared before a fault is armed. */
static inline void begin_prepared(void)
{
    ck_assert_status(begin_with_lock(), ST_OK);
    ck_assert_status(commit_with_item(ITEM_1), ST_OK);
    ck_assert_status(begin_with_lock(), ST_OK);
}

/* Waits until no session of ours is left, so that what it did is decided; then counts. */
static inline void assert_items(long count)
{
    fixture_await("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
                  "application_name = 'fd_test'",
                  0);
    ck_assert_int_eq(fixture_number("SELECT count(*) FROM items"), count);
    ck_assert_int_eq(fixture_number("SELECT units FROM stock"), UNITS - 3 * count);
}

/* The connection is as good as new: outside a transaction, and both kinds of calls work. */
static inline void assert_works(void)
{
    static const char *const item[] = {"77", NULL};
    ck_assert(pg_is_usable(pg));
    ck_assert_status(begin_with_lock(), ST_OK);
    ck_assert_status(commit_with_item(item), ST_OK);
    ck_assert(pg_is_usable(pg));
    ck_assert_status(pg_run(pg, &COUNT_ITEMS, NULL, NULL), ST_OK);
    ck_assert_int_eq(fixture_number("SELECT count(*) FROM items WHERE id = 77"), 1);
}

/* ------------------------------------------------------------------------- a thread that blocks */

struct runner {
    pthread_t thread;
    enum status (*run)(struct pg *pg, struct pg_call *calls, int count);
    struct pg_call *calls;
    int count;
    enum status status;
};

static inline void *run_calls(void *arg)
{
    struct runner *runner = arg;
    runner->status = runner->run(pg, runner->calls, runner->count);
    return NULL;
}

static inline void start(struct runner *runner)
{
    ck_assert_int_eq(pthread_create(&runner->thread, NULL, run_calls, runner), 0);
}

static inline enum status join(struct runner *runner)
{
    pthread_join(runner->thread, NULL);
    return runner->status;
}

#endif
