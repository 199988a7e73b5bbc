/* dbpool_fixture: one pool, behind a proxy, and threads that call it; for the tests of dbpool. */
#ifndef FLASHDEAL_TESTS_DBPOOL_FIXTURE_H
#define FLASHDEAL_TESTS_DBPOOL_FIXTURE_H

#include <sched.h>

#include "common/dbpool.h"
#include "common/tests/pg_fixture.h"
#include "common/tests/pg_proxy.h"

static const struct pg_statement READ_ONE = {"read_one", "SELECT 1", 0, STAGE_STATEMENTS};

static struct proxy *proxy;
static struct pg_options options;
static struct dbpool *pool;

static inline void make_pool(int size)
{
    dbpool_free(pool);
    pool = dbpool_new(size, &options);
}

static inline void set_up(void)
{
    proxy = proxy_start();
    options = fixture_options(proxy->conninfo);
}

static inline void tear_down(void)
{
    dbpool_free(pool);
    pool = NULL;
    proxy_stop(proxy);
}

static inline struct pg *acquire(void)
{
    struct pg *pg = NULL;
    ck_assert_status(dbpool_acquire(pool, clock_deadline_ns(FIXTURE_PATIENCE_MS), NULL, &pg),
                     ST_OK);
    ck_assert_ptr_nonnull(pg);
    return pg;
}

static inline void await_waiters(int count)
{
    int64_t deadline_ns = clock_deadline_ns(FIXTURE_PATIENCE_MS);
    struct dbpool_stats stats;
    do {
        ck_assert_int_lt(clock_now_ns(), deadline_ns);
        sched_yield();
        dbpool_read_stats(pool, &stats);
    } while (stats.waiters != count);
}

/* A thread that acquires once, notes how that went, and holds what it got until let_go. */
struct caller {
    pthread_t thread;
    int64_t deadline_ns;
    struct pg *pg;
    enum status status;
    int place; /* the order of success, from 1 */
    struct stages stages;
};

static atomic_int served;
static atomic_bool let_go = true;

static inline void *caller_main(void *arg)
{
    struct caller *caller = arg;
    caller->status = dbpool_acquire(pool, caller->deadline_ns, &caller->stages, &caller->pg);
    if (caller->status == ST_OK) {
        caller->place = ++served;
        while (!let_go) {
            sched_yield();
        }
        dbpool_release(pool, caller->pg);
    }
    return NULL;
}

static inline void call(struct caller *caller, int64_t deadline_ns)
{
    *caller = (struct caller){.deadline_ns = deadline_ns};
    ck_assert_int_eq(pthread_create(&caller->thread, NULL, caller_main, caller), 0);
}

static inline void join(struct caller *caller, enum status wanted)
{
    pthread_join(caller->thread, NULL);
    ck_assert_status(caller->status, wanted);
}

#endif
