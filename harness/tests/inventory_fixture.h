/* inventory_fixture: a phase's decisions on the phase's own schema; for the tests of the inventory
 * leaves. Three sales, of which two are judged by times long before and long after now.
 *
 * Before it, include "phaseN/inventory.h", define SCHEMA and define name_order, which gives an
 * order its id. What may be defined as well: INVENTORY, the leaf; the words by which the proxy
 * knows what makes an order durable, where that is no COMMIT; LIMIT_FIRST. Run in the checkout's
 * root: it reads the schema. */
#ifndef HARNESS_TESTS_INVENTORY_FIXTURE_H
#define HARNESS_TESTS_INVENTORY_FIXTURE_H

#include <inttypes.h>

#include "common/tests/harness.h"
#include "common/tests/pg_fixture.h"
#include "common/tests/pg_proxy.h"

#ifndef INVENTORY
#define INVENTORY inventory_pessimistic
#endif
#ifndef CONFIRM_WORD
#define CONFIRM_WORD "COMMIT"
#endif
#ifndef REFUSE_WORD
#define REFUSE_WORD "COMMIT"
#endif
#ifndef LIMIT_FIRST
#define LIMIT_FIRST 0 /* 1: too much for the sale and for the user is "limit_exceeded" */
#endif

enum {
    OPEN = 1, /* from 2020 on, for long */
    PAST,     /* one second of 2020, from START_US on */
    FUTURE,   /* one second of 2200 */
    STOCK = 10,
    LIMIT = 3,
    THREADS = 4,
    ROUNDS = 25, /* of a race */
    SCHEMA_SIZE = 16384,
    SQL_SIZE = 512,
};

/* Microseconds that a double of seconds cannot keep. */
#define START_US INT64_C(1577836800123457)  /* 2020-01-01 00:00:00.123457 */
#define NOW_US INT64_C(1767225600654321)    /* 2026 */
#define FUTURE_US INT64_C(7258118400999999) /* 2200-01-01 00:00:00.999999 */
#define SECOND_US INT64_C(1000000)

/* How many of the sessions that decide wait for somebody. */
#define OURS_WAIT_FOR_A_LOCK                                                                       \
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND "                    \
    "application_name = 'fd_test' AND datname = current_database()"

static struct proxy *proxy;
static struct pg_options options;
static struct pg *pg;

/* ------------------------------------------------------------------------------------- the stage
 */

static inline void apply_schema(void)
{
    char *sql = calloc(SCHEMA_SIZE, 1);
    FILE *file = fopen(SCHEMA, "r");
    ck_assert_msg(sql && file, "%s: run in the root of the checkout", SCHEMA);
    ck_assert_uint_lt(fread(sql, 1, SCHEMA_SIZE, file), SCHEMA_SIZE);
    fclose(file);
    fixture_sql("DROP TABLE IF EXISTS orders, sale_buyers, sale_shards, sales CASCADE");
    fixture_sql(sql);
    free(sql);
}

/* Ends the sessions that a failed test has left, with what they hold. */
static inline void end_sessions(void)
{
    (void)fixture_number(
        "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE "
        "datname = current_database() AND backend_type = 'client backend' AND "
        "pid <> pg_backend_pid()");
}

static inline void set_up(void)
{
    end_sessions();
    apply_schema();
    fixture_sql("INSERT INTO sales SELECT id, 'a sale', 100, 10, 10, 3, starts_at, ends_at FROM "
                "(VALUES (1, timestamptz '2020-01-01Z', timestamptz '2199-01-01Z'), "
                "(2, '2020-01-01 00:00:00.123457Z', '2020-01-01 00:00:01.123457Z'), "
                "(3, '2200-01-01 00:00:00.999999Z', '2200-01-01 00:00:01.999999Z')) "
                "AS s(id, starts_at, ends_at)");
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

static inline struct order an_order(int64_t sale_id, int64_t user_id, int64_t quantity,
                                    int64_t accepted_us)
{
    struct order order = {
        .sale_id = sale_id, .user_id = user_id, .quantity = quantity, .accepted_us = accepted_us};
    name_order(&order);
    return order;
}

/* Decides it, as often as asked for; each time it comes to the same. */
static inline void assert_decided(struct order order, int times, enum order_outcome wanted)
{
    for (int i = 0; i < times; i++) {
        enum order_outcome outcome = ORDER_PENDING;
        ck_assert_status(INVENTORY.decide(pg, &order, &outcome), ST_OK);
        ck_assert_msg(outcome == wanted, "time %d: %s, %s", i, order_status(outcome),
                      order_reason(outcome) ? order_reason(outcome) : "-");
        ck_assert(pg_is_usable(pg));
    }
}

/* Fails it, or finds that it was decided. */
static inline void assert_failed(struct order order, enum order_outcome wanted)
{
    enum order_outcome outcome = ORDER_PENDING;
    ck_assert_status(order_rows_fail(pg, &order, &outcome), ST_OK);
    ck_assert_str_eq(order_status(outcome), order_status(wanted));
    ck_assert(order_reason(outcome) == order_reason(wanted));
}

/* Rows that say of this order what the outcome is, with its fields. */
static inline long rows_saying(const struct order *order, enum order_outcome outcome)
{
    char sql[SQL_SIZE];
    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM orders WHERE id = '%s' AND sale_id = %" PRId64
             " AND user_id = %" PRId64 " AND quantity = %" PRId64
             " AND status = '%s' AND coalesce(reason, '') = '%s' "
             "AND extract(epoch FROM accepted_at) * 1000000 = %" PRId64,
             order->id, order->sale_id, order->user_id, order->quantity, order_status(outcome),
             order_reason(outcome) ? order_reason(outcome) : "", order->accepted_us);
    return fixture_number(sql);
}

static inline long rows(void)
{
    return fixture_number("SELECT count(*) FROM orders");
}

static inline long stock_left(int sale_id)
{
    char sql[SQL_SIZE];
    snprintf(sql, sizeof sql, "SELECT stock_left FROM audit_sales WHERE sale_id = %d", sale_id);
    return fixture_number(sql);
}

/* What becomes of an order that is too much for the sale and for the user. */
static inline enum order_outcome too_much(void)
{
    return LIMIT_FIRST ? ORDER_LIMIT_EXCEEDED : ORDER_SOLD_OUT;
}

/* stock_total = stock_left + confirmed units, of every sale. */
static inline void assert_balanced(void)
{
    ck_assert_int_eq(
        fixture_number("SELECT count(*) FROM audit_sales s WHERE stock_total <> stock_left + "
                       "coalesce((SELECT sum(quantity) FROM audit_orders o WHERE o.sale_id = "
                       "s.sale_id AND status = 'confirmed'), 0)"),
        0);
}

/* A session that holds the row of sale 1 until PQfinish. */
static inline PGconn *hold_sale(void)
{
    PGconn *holder = fixture_open();
    PQclear(PQexec(holder, "BEGIN; SELECT FROM sales WHERE id = 1 FOR UPDATE"));
    return holder;
}

/* The answer to what makes it durable is lost, or that itself: the order comes again. */
static inline void assert_commit_resolves(enum proxy_fault fault, struct order order,
                                          enum order_outcome wanted)
{
    enum order_outcome outcome;
    static const char *const words[] = {REFUSE_WORD, CONFIRM_WORD};
    const char *word = words[wanted == ORDER_CONFIRMED];
    proxy_set(proxy, fault, word, NULL, 0);
    ck_assert_status(INVENTORY.decide(pg, &order, &outcome), ST_UNKNOWN);
    proxy_set(proxy, PROXY_PASS, NULL, NULL, 0);
    pg_close(pg);
    pg = fixture_connect(&options);
    assert_decided(order, 2, wanted);
    ck_assert_int_eq(rows_saying(&order, wanted), 1);
    assert_balanced();
}

static pthread_barrier_t barrier;

/* A thread that decides one order on a connection of its own. */
struct decider {
    pthread_t thread;
    struct pg *pg;
    struct order order;
    enum order_outcome outcome;
    enum status status;
};

static inline void *decider_main(void *arg)
{
    struct decider *self = arg;
    pthread_barrier_wait(&barrier);
    self->status = INVENTORY.decide(self->pg, &self->order, &self->outcome);
    return NULL;
}

/* All at once. */
static inline void race(struct decider deciders[THREADS])
{
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        deciders[i].pg = deciders[i].pg ? deciders[i].pg : fixture_connect(&options);
        ck_assert_int_eq(pthread_create(&deciders[i].thread, NULL, decider_main, &deciders[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(deciders[i].thread, NULL);
        ck_assert_status(deciders[i].status, ST_OK);
    }
    pthread_barrier_destroy(&barrier);
}

static inline void close_all(struct decider deciders[THREADS])
{
    for (int i = 0; i < THREADS; i++) {
        pg_close(deciders[i].pg);
    }
}

#endif
