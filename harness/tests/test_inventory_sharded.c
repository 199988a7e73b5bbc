/* test_inventory_sharded: phase 6's decisions over several rows: what all ways have in common, what
 * becomes of the stock when it is in crumbs, and that a user's limit holds across shards. */
#include "phase6/inventory.h"
#include "phase6/order_rows.h"

#include "phase6/idempotency.h"

#define SCHEMA "phase6/schema.sql"
#define INVENTORY inventory_sharded
#define REFUSE_WORD "limit_exceeded" /* a value of the lone statement that refuses */
#define LIMIT_FIRST 1

/* Each order is a purchase of its own. */
static void name_order(struct order *order)
{
    char id[UUID_TEXT_SIZE];
    uuid_random(id);
    snprintf(order->key, sizeof order->key, "a key %s", id);
    idempotency_identify(order);
}

#include "harness/tests/inventory_cases.h"
#include "harness/tests/inventory_crowd.h"
#include "harness/tests/inventory_key_cases.h"

enum { SHARDS = 4 };

static void set_up_sharded(void)
{
    set_up();
    inventory_sharded.set_up(&(struct inventory_options){.shards = SHARDS});
}

static void tear_down_sharded(void)
{
    tear_down();
    end_sessions(); /* and so count what they met */
    ck_assert_int_eq(deadlocks(), 0);
}

/* Each shard of sale 1 has one unit, and the sale's row none. */
static void make_crumbs(void)
{
    fixture_sql("UPDATE sales SET stock_total = 4, stock_left = 0 WHERE id = 1; "
                "INSERT INTO sale_shards SELECT 1, i, 1 FROM generate_series(0, 3) i");
}

static long in_shards(void)
{
    return fixture_number("SELECT coalesce(sum(stock_left), 0) FROM sale_shards");
}

static long units_of(int user)
{
    char sql[SQL_SIZE];
    snprintf(sql, sizeof sql,
             "SELECT coalesce(sum(units), 0) FROM sale_buyers WHERE sale_id = 1 AND user_id = %d",
             user);
    return fixture_number(sql);
}

static PGconn *hold(const char *sql)
{
    PGconn *holder = fixture_open();
    PQclear(PQexec(holder, "BEGIN"));
    PGresult *result = PQexec(holder, sql);
    ck_assert_msg(PQresultStatus(result) == PGRES_TUPLES_OK, "%s", PQerrorMessage(holder));
    PQclear(result);
    return holder;
}

/* ------------------------------------------------------------------------------------- the stock
 */

START_TEST(test_decide_divides_a_sale_with_its_first_order)
{
    offer(400);
    assert_decided(an_order(OPEN, 7, 2, NOW_US), 1, ORDER_CONFIRMED);
    ck_assert_int_eq(fixture_number("SELECT stock_left FROM sales WHERE id = 1"), 0);
    ck_assert_int_eq(
        fixture_number("SELECT count(*) FROM sale_shards WHERE stock_left IN (99, 100)"), SHARDS);
    ck_assert_int_eq(in_shards(), 398);
}
END_TEST

START_TEST(test_decide_divides_little_over_few)
{
    offer(66);
    assert_decided(an_order(OPEN, 7, 1, NOW_US), 1, ORDER_CONFIRMED);
    ck_assert_int_eq(fixture_number("SELECT count(*) FROM sale_shards WHERE stock_left > 0"), 2);
    ck_assert_int_eq(in_shards(), 65);
}
END_TEST

START_TEST(test_decide_puts_crumbs_together)
{
    make_crumbs();
    assert_decided(an_order(OPEN, 7, 3, NOW_US), 2, ORDER_CONFIRMED);
    ck_assert_int_eq(in_shards(), 1);
    assert_decided(an_order(OPEN, 8, 2, NOW_US), 2, ORDER_SOLD_OUT);
    assert_decided(an_order(OPEN, 9, 1, NOW_US), 2, ORDER_CONFIRMED);
    ck_assert_int_eq(in_shards(), 0);
    assert_decided(an_order(OPEN, 10, 1, NOW_US), 2, ORDER_SOLD_OUT);
    assert_balanced();
}
END_TEST

START_TEST(test_decide_sells_what_is_added_to_the_sale)
{
    make_crumbs();
    fixture_sql("UPDATE sales SET stock_total = 9, stock_left = 5 WHERE id = 1");
    assert_decided(an_order(OPEN, 7, 3, NOW_US), 1, ORDER_CONFIRMED);
    assert_decided(an_order(OPEN, 8, 3, NOW_US), 1, ORDER_CONFIRMED);
    assert_decided(an_order(OPEN, 9, 3, NOW_US), 1, ORDER_CONFIRMED);
    assert_decided(an_order(OPEN, 10, 1, NOW_US), 1, ORDER_SOLD_OUT);
    fixture_sql("UPDATE sales SET stock_total = 10, stock_left = 1 WHERE id = 1");
    assert_decided(an_order(OPEN, 11, 1, NOW_US), 1, ORDER_CONFIRMED);
    ck_assert_int_eq(stock_left(OPEN), 0);
    assert_balanced();
}
END_TEST

START_TEST(test_decide_goes_on_with_another_number_of_shards)
{
    offer(400);
    assert_decided(an_order(OPEN, 7, 2, NOW_US), 1, ORDER_CONFIRMED);
    for (int count = 1; count <= 2 * SHARDS; count += 2 * SHARDS - 1) {
        inventory_sharded.set_up(&(struct inventory_options){.shards = count});
        assert_decided(an_order(OPEN, 7 + count, 199, NOW_US), 2, ORDER_CONFIRMED);
    }
    ck_assert_int_eq(stock_left(OPEN), 0);
    assert_balanced();
}
END_TEST

START_TEST(test_decide_counts_probes_that_missed)
{
    make_crumbs();
    int64_t before = inventory_sharded.read_conflicts();
    assert_decided(an_order(OPEN, 7, 1, NOW_US), 1, ORDER_CONFIRMED);
    ck_assert_int_eq(inventory_sharded.read_conflicts(), before);
    assert_decided(an_order(OPEN, 8, 2, NOW_US), 1, ORDER_CONFIRMED);
    ck_assert_int_eq(inventory_sharded.read_conflicts(), before + 2);
}
END_TEST

/* ------------------------------------------------------------------------------------- the buyer
 */

START_TEST(test_decide_counts_units_that_were_sold_in_another_way)
{
    fixture_sql("INSERT INTO orders (id, sale_id, user_id, quantity, status, idempotency_key) "
                "VALUES (gen_random_uuid(), 1, 7, 2, 'confirmed', 'before'); "
                "UPDATE sales SET stock_left = 8 WHERE id = 1");
    assert_decided(an_order(OPEN, 7, 2, NOW_US), 1, ORDER_LIMIT_EXCEEDED);
    ck_assert_int_eq(units_of(7), 0);
    assert_decided(an_order(OPEN, 7, 1, NOW_US), 1, ORDER_CONFIRMED);
    ck_assert_int_eq(units_of(7), 3);
    assert_decided(an_order(OPEN, 8, 1, NOW_US), 1, ORDER_CONFIRMED);
    fixture_sql("INSERT INTO orders (id, sale_id, user_id, quantity, status, idempotency_key) "
                "VALUES (gen_random_uuid(), 1, 8, 1, 'confirmed', 'between'); "
                "UPDATE sale_shards SET stock_left = stock_left - 1 WHERE stock_left > 1");
    assert_decided(an_order(OPEN, 8, 2, NOW_US), 1, ORDER_LIMIT_EXCEEDED);
    assert_decided(an_order(OPEN, 8, 1, NOW_US), 1, ORDER_CONFIRMED);
    ck_assert_int_eq(units_of(8), 3);
    assert_balanced();
}
END_TEST

START_TEST(test_decide_counts_only_what_the_user_got)
{
    make_crumbs();
    assert_decided(an_order(OPEN, 6, 3, NOW_US), 1, ORDER_CONFIRMED);
    assert_decided(an_order(OPEN, 7, 2, NOW_US), 1, ORDER_SOLD_OUT);
    ck_assert_int_eq(units_of(7), 0);
    assert_decided(an_order(OPEN, 7, 1, NOW_US), 2, ORDER_CONFIRMED);
    ck_assert_int_eq(units_of(7), 1);
}
END_TEST

/* ------------------------------------------------------------------------------------- the locks
 */

/* Whatever is held, of what an order needs, he waits no longer than he may and leaves nothing. */
static void assert_nothing_half_done(const char *held)
{
    offer(400);
    assert_decided(an_order(OPEN, 6, 1, NOW_US), 1, ORDER_CONFIRMED);
    options.lock_timeout_ms = 50;
    struct pg *impatient = fixture_connect(&options);
    PGconn *holder = hold(held);
    struct order order = an_order(OPEN, 7, 1, NOW_US);
    enum order_outcome outcome;
    ck_assert_status(inventory_sharded.decide(impatient, &order, &outcome), ST_TIMEOUT);
    ck_assert(pg_is_usable(impatient));
    PQfinish(holder);
    pg_close(impatient);
    ck_assert_int_eq(rows(), 1);
    ck_assert_int_eq(units_of(7), 0);
    ck_assert_int_eq(stock_left(OPEN), 399);
}

START_TEST(test_decide_leaves_nothing_when_the_shard_is_held)
{
    assert_nothing_half_done("SELECT FROM sale_shards FOR UPDATE");
}
END_TEST

START_TEST(test_decide_leaves_nothing_when_all_shards_are_too_small_and_one_is_held)
{
    make_crumbs();
    options.lock_timeout_ms = 50;
    struct pg *impatient = fixture_connect(&options);
    PGconn *holder = hold("SELECT FROM sale_shards WHERE shard = 2 FOR UPDATE");
    struct order order = an_order(OPEN, 7, 2, NOW_US);
    enum order_outcome outcome;
    ck_assert_status(inventory_sharded.decide(impatient, &order, &outcome), ST_TIMEOUT);
    PQfinish(holder);
    ck_assert_int_eq(rows() + units_of(7), 0);
    ck_assert_int_eq(fixture_number("SELECT count(*) FROM sale_shards WHERE stock_left = 1"), 4);
    ck_assert_status(inventory_sharded.decide(impatient, &order, &outcome), ST_OK);
    ck_assert_int_eq(outcome, ORDER_CONFIRMED);
    pg_close(impatient);
}
END_TEST

/* While one is in a shard, with its key-share lock on the sale, another adds all of them up. */
START_TEST(test_decide_locks_the_sale_beside_orders_under_way)
{
    make_crumbs();
    PGconn *holder = hold("SELECT FROM sales WHERE id = 1 FOR KEY SHARE");
    assert_decided(an_order(OPEN, 7, 2, NOW_US), 1, ORDER_CONFIRMED);
    assert_failed(an_order(OPEN, 8, 1, NOW_US), ORDER_FAILED);
    PQfinish(holder);
}
END_TEST

/* Who has a low shard and goes up meets nobody who has a higher one and waits for his. */
START_TEST(test_decide_locks_shards_ascending)
{
    make_crumbs();
    PGconn *holder = hold("SELECT FROM sale_shards WHERE shard = 0 FOR UPDATE");
    struct order order = an_order(OPEN, 7, 2, NOW_US);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, decide_main, &order), 0);
    fixture_await(OURS_WAIT_FOR_A_LOCK, 1);
    PGresult *result = PQexec(holder, "SELECT FROM sale_shards WHERE shard > 0 FOR UPDATE NOWAIT");
    bool are_free = PQresultStatus(result) == PGRES_TUPLES_OK;
    PQclear(result);
    PQfinish(holder);
    pthread_join(thread, NULL);
    ck_assert(are_free);
}
END_TEST

/* Few units and users, so that all kinds of locks are waited for at once: none in a ring. */
START_TEST(test_decide_never_waits_in_a_ring)
{
    struct decider deciders[THREADS] = {0};
    for (int round = 0; round < ROUNDS; round++) {
        fixture_sql("UPDATE sales SET stock_total = stock_total + 3, stock_left = stock_left + 3, "
                    "per_user_limit = 1000 WHERE id = 1");
        for (int i = 0; i < THREADS; i++) {
            deciders[i].order = an_order(OPEN, 7 + i % 2, 1 + (round + i) % 3, NOW_US);
        }
        race(deciders);
    }
    assert_balanced();
    close_all(deciders);
}
END_TEST

static void add_tests(TCase *tc)
{
    fixture_require("test_inventory_sharded");
    tcase_add_checked_fixture(tc, set_up_sharded, tear_down_sharded);
    add_inventory_cases(tc);
    add_inventory_key_cases(tc);
    add_inventory_crowd(tc);
    tcase_add_test(tc, test_decide_divides_a_sale_with_its_first_order);
    tcase_add_test(tc, test_decide_divides_little_over_few);
    tcase_add_test(tc, test_decide_puts_crumbs_together);
    tcase_add_test(tc, test_decide_sells_what_is_added_to_the_sale);
    tcase_add_test(tc, test_decide_goes_on_with_another_number_of_shards);
    tcase_add_test(tc, test_decide_counts_probes_that_missed);
    tcase_add_test(tc, test_decide_counts_units_that_were_sold_in_another_way);
    tcase_add_test(tc, test_decide_counts_only_what_the_user_got);
    tcase_add_test(tc, test_decide_leaves_nothing_when_the_shard_is_held);
    tcase_add_test(tc, test_decide_leaves_nothing_when_all_shards_are_too_small_and_one_is_held);
    tcase_add_test(tc, test_decide_locks_the_sale_beside_orders_under_way);
    tcase_add_test(tc, test_decide_locks_shards_ascending);
    tcase_add_test(tc, test_decide_never_waits_in_a_ring);
}

int main(void)
{
    return test_main("inventory_sharded", add_tests);
}
