/* test_inventory_batched: many orders in one transaction come to what they would come to one by
 * one, in their order: stock, limits, windows, repetitions, and all or nothing. */
#include "phase6/idempotency.h"
#include "phase6/inventory.h"
#include "phase6/order_rows.h"

#define SCHEMA "phase6/schema.sql"
#define INVENTORY inventory_batched

static int keys; /* made so far */

static void name_order(struct order *order)
{
    snprintf(order->key, sizeof order->key, "key %d \"\\{},NULL", ++keys);
    idempotency_identify(order);
}

#include "harness/tests/inventory_fixture.h"

enum { MANY = 400 };

static struct order orders[ORDER_BATCH_MAX];
static enum order_outcome outcomes[ORDER_BATCH_MAX];

static enum status decide_batch(int count)
{
    memset(outcomes, 0, sizeof outcomes);
    enum status status = inventory_batched.decide_batch(pg, orders, outcomes, count);
    ck_assert(pg_is_usable(pg));
    return status;
}

static void assert_batch(int count, const enum order_outcome *wanted)
{
    ck_assert_status(decide_batch(count), ST_OK);
    for (int i = 0; i < count; i++) {
        ck_assert_msg(outcomes[i] == wanted[i], "order %d: %s, %s", i, order_status(outcomes[i]),
                      order_reason(outcomes[i]) ? order_reason(outcomes[i]) : "-");
        ck_assert_int_eq(rows_saying(&orders[i], wanted[i]), 1);
    }
    assert_balanced();
}

START_TEST(test_batch_fits_in_part_and_in_order)
{
    fixture_sql("UPDATE sales SET stock_total = 4, stock_left = 4 WHERE id = 1");
    const int64_t quantities[] = {2, 3, 1, 2, 1, 1};
    const enum order_outcome wanted[] = {ORDER_CONFIRMED, ORDER_SOLD_OUT,  ORDER_CONFIRMED,
                                         ORDER_SOLD_OUT,  ORDER_CONFIRMED, ORDER_SOLD_OUT};
    for (int i = 0; i < 6; i++) {
        orders[i] = an_order(OPEN, 7 + i, quantities[i], NOW_US);
    }
    assert_batch(6, wanted);
    ck_assert_int_eq(stock_left(OPEN), 0);
}
END_TEST

START_TEST(test_batch_keeps_a_users_limit_within_and_between_batches)
{
    assert_decided(an_order(OPEN, 7, 1, NOW_US), 1, ORDER_CONFIRMED);
    const int64_t users[] = {7, 8, 7, 8, 7, 8}, quantities[] = {1, 2, 2, 2, 1, 1};
    const enum order_outcome wanted[] = {ORDER_CONFIRMED,      ORDER_CONFIRMED,
                                         ORDER_LIMIT_EXCEEDED, ORDER_LIMIT_EXCEEDED,
                                         ORDER_CONFIRMED,      ORDER_CONFIRMED};
    for (int i = 0; i < 6; i++) {
        orders[i] = an_order(OPEN, users[i], quantities[i], NOW_US);
    }
    assert_batch(6, wanted);
    ck_assert_int_eq(stock_left(OPEN), STOCK - 6);
}
END_TEST

START_TEST(test_batch_judges_each_by_its_own_moment)
{
    const int64_t moments[] = {START_US - 1, START_US, START_US + SECOND_US - 1,
                               START_US + SECOND_US};
    const enum order_outcome wanted[] = {ORDER_SALE_NOT_OPEN, ORDER_CONFIRMED, ORDER_CONFIRMED,
                                         ORDER_SALE_ENDED};
    for (int i = 0; i < 4; i++) {
        orders[i] = an_order(PAST, 7 + i, 1, moments[i]);
    }
    assert_batch(4, wanted);
}
END_TEST

START_TEST(test_batch_sells_while_the_window_has_no_end)
{
    const enum order_outcome wanted[] = {ORDER_CONFIRMED};
    fixture_sql("UPDATE sales SET starts_at = '-infinity', ends_at = 'infinity' WHERE id = 1");
    orders[0] = an_order(OPEN, 7, 1, NOW_US);
    assert_batch(1, wanted);
}
END_TEST

START_TEST(test_batch_decides_an_order_that_is_in_it_twice_once)
{
    const enum order_outcome wanted[] = {ORDER_CONFIRMED, ORDER_LIMIT_EXCEEDED, ORDER_CONFIRMED,
                                         ORDER_LIMIT_EXCEEDED};
    orders[0] = orders[2] = an_order(OPEN, 7, LIMIT, NOW_US);
    orders[1] = orders[3] = an_order(OPEN, 8, LIMIT + 1, NOW_US);
    orders[2].quantity = 1; /* the same key for something else: the first order holds */
    assert_batch(4, wanted);
    ck_assert_int_eq(orders[2].quantity, LIMIT);
    ck_assert_int_eq(rows(), 2);
    ck_assert_int_eq(stock_left(OPEN), STOCK - LIMIT);
}
END_TEST

START_TEST(test_batch_gives_a_repeated_order_what_it_came_to_before)
{
    struct order sold = an_order(OPEN, 7, LIMIT, NOW_US), late = an_order(PAST, 8, 1, NOW_US);
    assert_decided(sold, 1, ORDER_CONFIRMED);
    assert_decided(late, 1, ORDER_SALE_ENDED);
    fixture_sql("UPDATE sales SET stock_total = 3, stock_left = 0 WHERE id = 1");
    const enum order_outcome wanted[] = {ORDER_CONFIRMED, ORDER_SALE_ENDED, ORDER_SOLD_OUT};
    orders[0] = sold;
    orders[1] = late;
    orders[1].sale_id = OPEN; /* asked of another sale now */
    orders[2] = an_order(OPEN, 9, 1, NOW_US);
    assert_batch(3, wanted);
    ck_assert_int_eq(orders[1].sale_id, PAST);
    ck_assert_int_eq(rows(), 3);
    const enum order_outcome again[] = {ORDER_CONFIRMED, ORDER_SALE_ENDED, ORDER_SOLD_OUT};
    orders[1].sale_id = OPEN;
    assert_batch(3, again);
    ck_assert_int_eq(rows(), 3);
}
END_TEST

START_TEST(test_batch_leaves_no_row_without_a_sale)
{
    orders[0] = an_order(99, 7, 1, NOW_US);
    orders[1] = an_order(99, 8, 1, NOW_US);
    ck_assert_status(decide_batch(2), ST_OK);
    ck_assert_int_eq(outcomes[0], ORDER_SALE_NOT_FOUND);
    ck_assert_int_eq(outcomes[1], ORDER_SALE_NOT_FOUND);
    ck_assert_int_eq(rows(), 0);
}
END_TEST

START_TEST(test_batch_with_one_bad_order_decides_none)
{
    for (int i = 0; i < 5; i++) {
        orders[i] = an_order(OPEN, 7 + i, 1, NOW_US);
    }
    fixture_sql("INSERT INTO orders (id, sale_id, user_id, quantity, status, reason, "
                "idempotency_key) SELECT gen_random_uuid(), 1, 9, 1, 'failed', 'refused', k "
                "FROM (VALUES ('x')) v (k)");
    char sql[SQL_SIZE];
    snprintf(sql, sizeof sql, "UPDATE orders SET idempotency_key = 'key %d \"\\{},NULL'", keys - 2);
    fixture_sql(sql);
    ck_assert_status(decide_batch(5), ST_CONSTRAINT);
    ck_assert_int_eq(rows(), 1);
    ck_assert_int_eq(stock_left(OPEN), STOCK);
    for (int i = 0; i < 5; i++) { /* by itself, each but the bad one is decided */
        enum status wanted = i == 2 ? ST_CONSTRAINT : ST_OK;
        ck_assert_status(inventory_batched.decide(pg, &orders[i], &outcomes[i]), wanted);
    }
    ck_assert_int_eq(stock_left(OPEN), STOCK - 4);
    assert_balanced();
}
END_TEST

START_TEST(test_batch_writes_nothing_when_it_does_not_get_the_row)
{
    options.lock_timeout_ms = 50;
    struct pg *patient = pg;
    pg = fixture_connect(&options);
    PGconn *holder = hold_sale();
    orders[0] = an_order(OPEN, 7, 1, NOW_US);
    ck_assert_status(decide_batch(1), ST_TIMEOUT);
    PQfinish(holder);
    pg_close(pg);
    pg = patient;
    ck_assert_int_eq(rows(), 0);
    ck_assert_int_eq(stock_left(OPEN), STOCK);
}
END_TEST

static void assert_resolves(enum proxy_fault fault)
{
    for (int i = 0; i < 3; i++) {
        orders[i] = an_order(OPEN, 100 + keys, 1, NOW_US);
    }
    proxy_set(proxy, fault, "COMMIT", NULL, 0);
    ck_assert_status(inventory_batched.decide_batch(pg, orders, outcomes, 3), ST_UNKNOWN);
    proxy_set(proxy, PROXY_PASS, NULL, NULL, 0);
    pg_close(pg);
    pg = fixture_connect(&options);
    const enum order_outcome wanted[] = {ORDER_CONFIRMED, ORDER_CONFIRMED, ORDER_CONFIRMED};
    assert_batch(3, wanted);
}

START_TEST(test_batch_resolves_a_commit_without_an_answer)
{
    assert_resolves(PROXY_LOSE_ANSWER);
    assert_resolves(PROXY_LOSE_REQUEST);
    ck_assert_int_eq(stock_left(OPEN), STOCK - 6);
    ck_assert_int_eq(rows(), 6);
}
END_TEST

START_TEST(test_batch_of_the_most_orders_is_exact)
{
    fixture_sql("UPDATE sales SET stock_total = 700, stock_left = 700 WHERE id = 1");
    for (int i = 0; i < ORDER_BATCH_MAX; i++) {
        orders[i] = an_order(OPEN, 7 + i, 1, NOW_US);
    }
    ck_assert_status(decide_batch(ORDER_BATCH_MAX), ST_OK);
    for (int i = 0; i < ORDER_BATCH_MAX; i++) {
        ck_assert_int_eq(outcomes[i], i < 700 ? ORDER_CONFIRMED : ORDER_SOLD_OUT);
    }
    ck_assert_int_eq(rows(), ORDER_BATCH_MAX);
    ck_assert_int_eq(stock_left(OPEN), 0);
    assert_balanced();
}
END_TEST

/* So it is flushed once, whatever the number of orders. */
START_TEST(test_batch_is_one_transaction)
{
    fixture_sql("UPDATE sales SET stock_total = 1000, stock_left = 1000 WHERE id = 1");
    for (int i = 0; i < MANY; i++) {
        orders[i] = an_order(OPEN, 7 + i, 1, NOW_US);
    }
    ck_assert_status(decide_batch(MANY), ST_OK);
    ck_assert_int_eq(fixture_number("SELECT count(DISTINCT xmin::text) FROM orders"), 1);
}
END_TEST

/* ------------------------------------------------------------------------------------------- races
 */

/* Half of them sell one by one, as another phase's server would, the other half in batches. */
static void *batch_main(void *arg)
{
    struct decider *self = arg;
    struct order batch[4];
    enum order_outcome results[4] = {0};
    for (int i = 0; i < 4; i++) {
        batch[i] = self->order;
        snprintf(batch[i].key, sizeof batch[i].key, "%.200s/%d", self->order.key, i);
        batch[i].user_id += i;
        idempotency_identify(&batch[i]);
    }
    pthread_barrier_wait(&barrier);
    self->status = inventory_batched.decide_batch(self->pg, batch, results, 4);
    self->outcome = results[0];
    return NULL;
}

START_TEST(test_batches_and_single_orders_share_the_stock)
{
    struct decider deciders[THREADS] = {0};
    fixture_sql("UPDATE sales SET stock_total = 100, stock_left = 100 WHERE id = 1");
    for (int round = 0; round < ROUNDS; round++) {
        pthread_barrier_init(&barrier, NULL, THREADS);
        for (int i = 0; i < THREADS; i++) {
            deciders[i].pg = deciders[i].pg ? deciders[i].pg : fixture_connect(&options);
            deciders[i].order = an_order(OPEN, 1000 * (round * THREADS + i) + 1, 1, NOW_US);
            ck_assert_int_eq(pthread_create(&deciders[i].thread, NULL,
                                            i % 2 ? batch_main : decider_main, &deciders[i]),
                             0);
        }
        for (int i = 0; i < THREADS; i++) {
            pthread_join(deciders[i].thread, NULL);
            ck_assert_status(deciders[i].status, ST_OK);
        }
        pthread_barrier_destroy(&barrier);
    }
    ck_assert_int_eq(stock_left(OPEN), 0);
    ck_assert_int_eq(rows(), ROUNDS * (THREADS / 2) * 5);
    assert_balanced();
    close_all(deciders);
}
END_TEST

static void add_tests(TCase *tc)
{
    fixture_require("test_inventory_batched");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_batch_fits_in_part_and_in_order);
    tcase_add_test(tc, test_batch_keeps_a_users_limit_within_and_between_batches);
    tcase_add_test(tc, test_batch_judges_each_by_its_own_moment);
    tcase_add_test(tc, test_batch_sells_while_the_window_has_no_end);
    tcase_add_test(tc, test_batch_decides_an_order_that_is_in_it_twice_once);
    tcase_add_test(tc, test_batch_gives_a_repeated_order_what_it_came_to_before);
    tcase_add_test(tc, test_batch_leaves_no_row_without_a_sale);
    tcase_add_test(tc, test_batch_with_one_bad_order_decides_none);
    tcase_add_test(tc, test_batch_writes_nothing_when_it_does_not_get_the_row);
    tcase_add_test(tc, test_batch_resolves_a_commit_without_an_answer);
    tcase_add_test(tc, test_batch_of_the_most_orders_is_exact);
    tcase_add_test(tc, test_batch_is_one_transaction);
    tcase_add_test(tc, test_batches_and_single_orders_share_the_stock);
}

int main(void)
{
    return test_main("inventory_batched", add_tests);
}
