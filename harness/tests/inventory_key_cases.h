/* inventory_key_cases: what every way of deciding does alike, from phase 5 on: one purchase is one
 * row, whatever comes again under its key, for which sale and at the same time as whom. What
 * stands before inventory_fixture.h stands before it, and so does "phaseN/idempotency.h";
 * add_inventory_key_cases adds its tests. */
#ifndef HARNESS_TESTS_INVENTORY_KEY_CASES_H
#define HARNESS_TESTS_INVENTORY_KEY_CASES_H

#include "harness/tests/inventory_fixture.h"

static const char *key = "a key"; /* of the next purchases */

/* An order that is one purchase with all others of its user and key. */
static inline struct order a_purchase(int64_t sale_id, int64_t user_id, int64_t quantity,
                                      int64_t accepted_us)
{
    struct order order = an_order(sale_id, user_id, quantity, accepted_us);
    snprintf(order.key, sizeof order.key, "%s", key);
    idempotency_identify(&order);
    return order;
}

/* Decides it; *order is then what the database has. */
static inline void decide(struct order *order, enum order_outcome wanted)
{
    enum order_outcome outcome = ORDER_PENDING;
    ck_assert_status(INVENTORY.decide(pg, order, &outcome), ST_OK);
    ck_assert_msg(outcome == wanted, "%s, %s", order_status(outcome),
                  order_reason(outcome) ? order_reason(outcome) : "-");
    ck_assert(pg_is_usable(pg));
}

static inline void assert_asks(const struct order *order, int64_t sale_id, int64_t user_id,
                               int64_t quantity)
{
    ck_assert_int_eq(order->sale_id, sale_id);
    ck_assert_int_eq(order->user_id, user_id);
    ck_assert_int_eq(order->quantity, quantity);
}

START_TEST(test_decide_keeps_key_and_fingerprint)
{
    key = "!\"'\\~";
    struct order order = a_purchase(OPEN, 7, 2, NOW_US), rejected = a_purchase(PAST, 8, 2, NOW_US);
    decide(&order, ORDER_CONFIRMED);
    decide(&rejected, ORDER_SALE_ENDED);
    ck_assert_int_eq(rows_saying(&order, ORDER_CONFIRMED), 1);
    ck_assert_int_eq(rows_saying(&rejected, ORDER_SALE_ENDED), 1);
    ck_assert_int_eq(fixture_number("SELECT count(*) FROM audit_orders WHERE idempotency_key = "
                                    "E'!\"\\'\\\\~'"),
                     2);
    char sql[SQL_SIZE];
    int used = snprintf(sql, sizeof sql, "SELECT count(*) FROM orders WHERE fingerprint = '\\x");
    for (int i = 0; i < ORDER_FINGERPRINT_BYTES; i++) {
        used += snprintf(sql + used, sizeof sql - (size_t)used, "%02x", order.fingerprint[i]);
    }
    snprintf(sql + used, sizeof sql - (size_t)used, "' AND sale_id = 1");
    ck_assert_int_eq(fixture_number(sql), 1);
    key = "a key";
}
END_TEST

START_TEST(test_decide_gives_a_repeated_key_the_first_order)
{
    struct order first = a_purchase(OPEN, 7, 2, NOW_US), same = a_purchase(OPEN, 7, 2, NOW_US);
    struct order other = a_purchase(PAST, 7, 1, START_US), gone = a_purchase(99, 7, 1, NOW_US);
    decide(&first, ORDER_CONFIRMED);
    decide(&same, ORDER_CONFIRMED);
    decide(&other, ORDER_CONFIRMED);
    decide(&gone, ORDER_CONFIRMED);
    assert_asks(&same, OPEN, 7, 2);
    assert_asks(&other, OPEN, 7, 2);
    assert_asks(&gone, OPEN, 7, 2);
    ck_assert_int_eq(rows(), 1);
    ck_assert_int_eq(rows_saying(&first, ORDER_CONFIRMED), 1);
    ck_assert_int_eq(stock_left(PAST), STOCK);
    assert_balanced();
}
END_TEST

START_TEST(test_decide_gives_a_repeated_key_its_first_rejection)
{
    struct order first = a_purchase(OPEN, 7, LIMIT + 1, NOW_US),
                 other = a_purchase(OPEN, 7, 1, NOW_US);
    decide(&first, ORDER_LIMIT_EXCEEDED);
    decide(&other, ORDER_LIMIT_EXCEEDED);
    assert_asks(&other, OPEN, 7, LIMIT + 1);
    ck_assert_int_eq(rows(), 1);
}
END_TEST

START_TEST(test_decide_knows_a_key_whose_fingerprint_is_purged)
{
    struct order first = a_purchase(OPEN, 7, 2, NOW_US), again = a_purchase(OPEN, 7, 1, NOW_US);
    decide(&first, ORDER_CONFIRMED);
    fixture_sql("UPDATE orders SET fingerprint = NULL");
    decide(&again, ORDER_CONFIRMED);
    assert_asks(&again, OPEN, 7, 2);
    ck_assert_int_eq(rows(), 1);
}
END_TEST

START_TEST(test_decide_lets_users_and_keys_be)
{
    struct order one = a_purchase(OPEN, 7, 1, NOW_US), two = a_purchase(OPEN, 8, 1, NOW_US);
    key = "another key";
    struct order three = a_purchase(OPEN, 7, 1, NOW_US);
    key = "a key";
    decide(&one, ORDER_CONFIRMED);
    decide(&two, ORDER_CONFIRMED);
    decide(&three, ORDER_CONFIRMED);
    ck_assert_int_eq(rows(), 3);
    assert_balanced();
}
END_TEST

START_TEST(test_decide_writes_nothing_for_a_key_that_has_another_id)
{
    struct order order = a_purchase(OPEN, 7, 1, NOW_US);
    fixture_sql("INSERT INTO orders (id, sale_id, user_id, quantity, status, reason, "
                "idempotency_key) VALUES (gen_random_uuid(), 1, 7, 1, 'failed', 'refused', "
                "'a key')");
    enum order_outcome outcome;
    ck_assert_status(INVENTORY.decide(pg, &order, &outcome), ST_CONSTRAINT);
    ck_assert(pg_is_usable(pg));
    ck_assert_int_eq(rows(), 1);
    ck_assert_int_eq(stock_left(OPEN), STOCK);
}
END_TEST

START_TEST(test_decide_resolves_a_commit_of_a_key_without_an_answer)
{
    assert_commit_resolves(PROXY_LOSE_ANSWER, a_purchase(OPEN, 7, LIMIT, NOW_US), ORDER_CONFIRMED);
    assert_commit_resolves(PROXY_LOSE_REQUEST, a_purchase(OPEN, 8, LIMIT, NOW_US), ORDER_CONFIRMED);
    ck_assert_int_eq(stock_left(OPEN), STOCK - 2 * LIMIT);
}
END_TEST

/* ------------------------------------------------------------------------------------------- races
 */

/* Asserts that all were given the same order, and that it is the only row of its user. */
static inline void assert_one_won(const struct decider deciders[THREADS])
{
    const struct order *first = &deciders[0].order;
    for (int i = 1; i < THREADS; i++) {
        ck_assert_str_eq(order_status(deciders[i].outcome), order_status(deciders[0].outcome));
        ck_assert_str_eq(deciders[i].order.id, first->id);
        assert_asks(&deciders[i].order, first->sale_id, first->user_id, first->quantity);
    }
    char sql[SQL_SIZE];
    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM orders WHERE user_id = %" PRId64
             " AND id = '%s' AND sale_id = %" PRId64 " AND quantity = %" PRId64,
             first->user_id, first->id, first->sale_id, first->quantity);
    ck_assert_int_eq(fixture_number(sql), 1);
}

/* Each sale has a row and a lock of its own: here only the primary key decides. */
START_TEST(test_decide_lets_one_of_several_sales_win_a_key)
{
    struct decider deciders[THREADS] = {0};
    fixture_sql("UPDATE sales SET stock_total = 1000, stock_left = 1000, starts_at = '2019-01-01Z',"
                " ends_at = '2199-01-01Z'");
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < THREADS; i++) {
            deciders[i].order = a_purchase(1 + i % 3, 7 + round, 1 + i % 2, NOW_US);
        }
        race(deciders);
        assert_one_won(deciders);
    }
    ck_assert_int_eq(rows(), ROUNDS);
    assert_balanced();
    close_all(deciders);
}
END_TEST

/* The same, without leaving it to chance: the second inserts while the first has not committed. */
START_TEST(test_decide_waits_for_the_same_key_of_another_sale)
{
    PGconn *first = fixture_open();
    struct decider self = {.pg = pg, .order = a_purchase(OPEN, 7, 1, NOW_US)};
    char sql[SQL_SIZE];
    snprintf(sql, sizeof sql,
             "BEGIN; INSERT INTO orders (id, sale_id, user_id, quantity, status, idempotency_key) "
             "VALUES ('%s', 2, 7, 3, 'confirmed', 'a key'); "
             "UPDATE sales SET stock_left = stock_left - 3 WHERE id = 2",
             self.order.id);
    PQclear(PQexec(first, sql));
    pthread_barrier_init(&barrier, NULL, 1);
    ck_assert_int_eq(pthread_create(&self.thread, NULL, decider_main, &self), 0);
    fixture_await(OURS_WAIT_FOR_A_LOCK, 1);
    PQclear(PQexec(first, "COMMIT"));
    PQfinish(first);
    pthread_join(self.thread, NULL);
    pthread_barrier_destroy(&barrier);
    ck_assert_status(self.status, ST_OK);
    ck_assert_int_eq(self.outcome, ORDER_CONFIRMED);
    assert_asks(&self.order, PAST, 7, 3);
    ck_assert_int_eq(rows(), 1);
    ck_assert_int_eq(stock_left(OPEN), STOCK);
    assert_balanced();
}
END_TEST

/* ----------------------------------------------------------------------------------------- failed
 */

START_TEST(test_fail_keeps_the_key)
{
    struct order order = a_purchase(OPEN, 7, 1, NOW_US), other = a_purchase(PAST, 7, 1, START_US);
    assert_failed(order, ORDER_FAILED);
    assert_failed(other, ORDER_FAILED);
    decide(&other, ORDER_FAILED);
    assert_asks(&other, OPEN, 7, 1);
    ck_assert_int_eq(rows(), 1);
    ck_assert_int_eq(fixture_number("SELECT count(*) FROM orders WHERE idempotency_key = 'a key' "
                                    "AND octet_length(fingerprint) = 32"),
                     1);
}
END_TEST

static inline void add_inventory_key_cases(TCase *tc)
{
    tcase_add_test(tc, test_decide_keeps_key_and_fingerprint);
    tcase_add_test(tc, test_decide_gives_a_repeated_key_the_first_order);
    tcase_add_test(tc, test_decide_gives_a_repeated_key_its_first_rejection);
    tcase_add_test(tc, test_decide_knows_a_key_whose_fingerprint_is_purged);
    tcase_add_test(tc, test_decide_lets_users_and_keys_be);
    tcase_add_test(tc, test_decide_writes_nothing_for_a_key_that_has_another_id);
    tcase_add_test(tc, test_decide_resolves_a_commit_of_a_key_without_an_answer);
    tcase_add_test(tc, test_decide_lets_one_of_several_sales_win_a_key);
    tcase_add_test(tc, test_decide_waits_for_the_same_key_of_another_sale);
    tcase_add_test(tc, test_fail_keeps_the_key);
}

#endif
