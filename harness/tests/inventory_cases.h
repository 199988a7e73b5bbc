/* inventory_cases: what every way of deciding does alike, from phase 4 on: what a decision leaves
 * in the database, by which time an order is judged, and that it is decided once, however often it
 * comes, whatever has changed since, and however many ask at the same time. What
 * stands before inventory_fixture.h stands before it; add_inventory_cases adds its tests. */
#ifndef HARNESS_TESTS_INVENTORY_CASES_H
#define HARNESS_TESTS_INVENTORY_CASES_H

#include "harness/tests/inventory_fixture.h"

/* ---------------------------------------------------------------------------- what is left of it
 */

START_TEST(test_decide_keeps_a_confirmed_order_and_takes_its_units)
{
    struct order order = an_order(OPEN, 7, 2, NOW_US);
    assert_decided(order, 1, ORDER_CONFIRMED);
    ck_assert_int_eq(rows_saying(&order, ORDER_CONFIRMED), 1);
    ck_assert_int_eq(stock_left(OPEN), STOCK - 2);
    assert_balanced();
}
END_TEST

START_TEST(test_decide_keeps_each_rejected_order_and_takes_nothing)
{
    struct order early = an_order(FUTURE, 7, 1, NOW_US), late = an_order(PAST, 7, 1, NOW_US);
    struct order greedy = an_order(OPEN, 7, LIMIT + 1, NOW_US);
    struct order huge = an_order(OPEN, 7, INT32_MAX, NOW_US);
    assert_decided(early, 1, ORDER_SALE_NOT_OPEN);
    assert_decided(late, 1, ORDER_SALE_ENDED);
    assert_decided(greedy, 1, ORDER_LIMIT_EXCEEDED);
    assert_decided(huge, 1, too_much());
    ck_assert_int_eq(rows_saying(&early, ORDER_SALE_NOT_OPEN), 1);
    ck_assert_int_eq(rows_saying(&late, ORDER_SALE_ENDED), 1);
    ck_assert_int_eq(rows_saying(&greedy, ORDER_LIMIT_EXCEEDED), 1);
    ck_assert_int_eq(rows_saying(&huge, too_much()), 1);
    ck_assert_int_eq(stock_left(OPEN) + stock_left(PAST) + stock_left(FUTURE), 3 * STOCK);
}
END_TEST

START_TEST(test_decide_counts_only_confirmed_units_of_the_same_sale_and_user)
{
    assert_decided(an_order(OPEN, 7, LIMIT + 1, NOW_US), 1, ORDER_LIMIT_EXCEEDED);
    assert_decided(an_order(PAST, 7, LIMIT, START_US), 1, ORDER_CONFIRMED);
    assert_decided(an_order(OPEN, 8, LIMIT, NOW_US), 1, ORDER_CONFIRMED);
    assert_decided(an_order(OPEN, 7, LIMIT - 1, NOW_US), 1, ORDER_CONFIRMED);
    assert_decided(an_order(OPEN, 7, 2, NOW_US), 1, ORDER_LIMIT_EXCEEDED);
    assert_decided(an_order(OPEN, 7, 1, NOW_US), 1, ORDER_CONFIRMED);
    assert_balanced();
}
END_TEST

START_TEST(test_decide_leaves_no_row_without_a_sale)
{
    assert_decided(an_order(99, 7, 1, NOW_US), 2, ORDER_SALE_NOT_FOUND);
    ck_assert_int_eq(rows(), 0);
}
END_TEST

START_TEST(test_decide_writes_nothing_when_it_does_not_get_the_row)
{
    options.lock_timeout_ms = 50;
    struct pg *impatient = fixture_connect(&options);
    PGconn *holder = hold_sale();
    struct order order = an_order(OPEN, 7, 1, NOW_US);
    enum order_outcome outcome;
    ck_assert_status(INVENTORY.decide(impatient, &order, &outcome), ST_TIMEOUT);
    ck_assert(pg_is_usable(impatient));
    PQfinish(holder);
    pg_close(impatient);
    ck_assert_int_eq(rows(), 0);
    ck_assert_int_eq(stock_left(OPEN), STOCK);
}
END_TEST

/* ------------------------------------------------------------------------------------------ times
 */

START_TEST(test_decide_judges_a_sale_that_is_over_by_the_moment_of_acceptance)
{
    assert_decided(an_order(PAST, 1, 1, START_US - 1), 1, ORDER_SALE_NOT_OPEN);
    assert_decided(an_order(PAST, 2, 1, START_US), 1, ORDER_CONFIRMED);
    assert_decided(an_order(PAST, 3, 1, START_US + SECOND_US - 1), 1, ORDER_CONFIRMED);
    assert_decided(an_order(PAST, 4, 1, START_US + SECOND_US), 1, ORDER_SALE_ENDED);
}
END_TEST

START_TEST(test_decide_judges_a_sale_to_come_by_the_moment_of_acceptance)
{
    assert_decided(an_order(FUTURE, 1, 1, FUTURE_US - 1), 1, ORDER_SALE_NOT_OPEN);
    assert_decided(an_order(FUTURE, 2, 1, FUTURE_US), 1, ORDER_CONFIRMED);
    assert_decided(an_order(FUTURE, 3, 1, FUTURE_US + SECOND_US - 1), 1, ORDER_CONFIRMED);
    assert_decided(an_order(FUTURE, 4, 1, FUTURE_US + SECOND_US), 1, ORDER_SALE_ENDED);
}
END_TEST

static void *decide_main(void *arg)
{
    assert_decided(*(struct order *)arg, 1, ORDER_CONFIRMED);
    return NULL;
}

START_TEST(test_decide_dates_an_order_when_it_has_the_row)
{
    PGconn *holder = hold_sale();
    struct order order = an_order(OPEN, 7, 1, NOW_US);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, decide_main, &order), 0);
    fixture_await(OURS_WAIT_FOR_A_LOCK, 1);
    fixture_sql("CREATE TABLE IF NOT EXISTS released (at timestamptz); TRUNCATE released; "
                "INSERT INTO released VALUES (clock_timestamp())");
    PQfinish(holder);
    pthread_join(thread, NULL);
    ck_assert_int_eq(fixture_number("SELECT count(*) FROM orders, released WHERE decided_at > at"),
                     1);
    fixture_sql("DROP TABLE released");
}
END_TEST

/* ----------------------------------------------------------------------------------------- failed
 */

START_TEST(test_fail_leaves_a_row_and_decide_finds_it)
{
    struct order order = an_order(OPEN, 7, 1, NOW_US);
    assert_failed(order, ORDER_FAILED);
    assert_failed(order, ORDER_FAILED);
    ck_assert_int_eq(rows_saying(&order, ORDER_FAILED), 1);
    assert_decided(order, 2, ORDER_FAILED);
    ck_assert_int_eq(stock_left(OPEN), STOCK);
}
END_TEST

START_TEST(test_fail_leaves_a_decided_order_as_it_is)
{
    struct order order = an_order(OPEN, 7, 1, NOW_US);
    assert_decided(order, 1, ORDER_CONFIRMED);
    assert_failed(order, ORDER_CONFIRMED);
    ck_assert_int_eq(rows_saying(&order, ORDER_CONFIRMED), 1);
    ck_assert_int_eq(rows(), 1);
    assert_balanced();
}
END_TEST

START_TEST(test_fail_leaves_no_row_without_a_sale)
{
    assert_failed(an_order(99, 7, 1, NOW_US), ORDER_SALE_NOT_FOUND);
    ck_assert_int_eq(rows(), 0);
}
END_TEST

/* ---------------------------------------------------------------------------------- once for ever
 */

START_TEST(test_decide_confirms_once_when_the_stock_is_gone_since)
{
    struct order order = an_order(OPEN, 7, LIMIT, NOW_US);
    assert_decided(order, 2, ORDER_CONFIRMED); /* the second time his own units fill his limit */
    assert_decided(an_order(OPEN, 8, 3, NOW_US), 1, ORDER_CONFIRMED);
    assert_decided(an_order(OPEN, 9, 3, NOW_US), 1, ORDER_CONFIRMED);
    assert_decided(an_order(OPEN, 10, 1, NOW_US), 1, ORDER_CONFIRMED);
    ck_assert_int_eq(stock_left(OPEN), 0);
    assert_decided(order, 2, ORDER_CONFIRMED);
    fixture_sql("UPDATE sales SET ends_at = '2020-01-02Z' WHERE id = 1");
    assert_decided(order, 2, ORDER_CONFIRMED);
    ck_assert_int_eq(rows(), 4);
    assert_balanced();
}
END_TEST

START_TEST(test_decide_rejects_for_ever_though_the_sale_has_changed)
{
    struct order early = an_order(FUTURE, 7, 1, NOW_US), late = an_order(PAST, 7, 1, NOW_US);
    struct order greedy = an_order(OPEN, 7, LIMIT + 1, NOW_US);
    struct order huge = an_order(OPEN, 7, STOCK + 1, NOW_US);
    for (int i = 0; i < 2; i++) {
        assert_decided(early, 2, ORDER_SALE_NOT_OPEN);
        assert_decided(late, 2, ORDER_SALE_ENDED);
        assert_decided(greedy, 2, ORDER_LIMIT_EXCEEDED);
        assert_decided(huge, 2, too_much());
        fixture_sql("UPDATE sales SET starts_at = '2019-01-01Z', ends_at = '2199-01-01Z', "
                    "stock_total = 1000, stock_left = 1000, per_user_limit = 100");
    }
    ck_assert_int_eq(rows(), 4);
    ck_assert_int_eq(rows_saying(&greedy, ORDER_LIMIT_EXCEEDED), 1);
    ck_assert_int_eq(stock_left(OPEN), 1000);
}
END_TEST

START_TEST(test_decide_resolves_a_commit_without_an_answer)
{
    assert_commit_resolves(PROXY_LOSE_ANSWER, an_order(OPEN, 7, LIMIT, NOW_US), ORDER_CONFIRMED);
    assert_commit_resolves(PROXY_LOSE_REQUEST, an_order(OPEN, 8, LIMIT, NOW_US), ORDER_CONFIRMED);
    assert_commit_resolves(PROXY_LOSE_ANSWER, an_order(OPEN, 9, LIMIT + 1, NOW_US),
                           ORDER_LIMIT_EXCEEDED);
    ck_assert_int_eq(stock_left(OPEN), STOCK - 2 * LIMIT);
}
END_TEST

/* ------------------------------------------------------------------------------------------- races
 */

START_TEST(test_decide_gives_all_who_ask_at_once_the_same_answer)
{
    struct decider deciders[THREADS] = {0};
    fixture_sql("UPDATE sales SET stock_total = 1, stock_left = 1 WHERE id = 1");
    for (int round = 0; round < ROUNDS; round++) {
        struct order order = an_order(OPEN, 7 + round, 1, NOW_US);
        for (int i = 0; i < THREADS; i++) {
            deciders[i].order = order;
        }
        race(deciders);
        enum order_outcome wanted = round == 0 ? ORDER_CONFIRMED : ORDER_SOLD_OUT;
        for (int i = 0; i < THREADS; i++) {
            ck_assert_str_eq(order_status(deciders[i].outcome), order_status(wanted));
        }
        ck_assert_int_eq(rows_saying(&order, wanted), 1);
    }
    ck_assert_int_eq(rows(), ROUNDS);
    assert_balanced();
    close_all(deciders);
}
END_TEST

START_TEST(test_decide_holds_a_users_limit_when_his_orders_come_at_once)
{
    struct decider deciders[THREADS] = {0};
    fixture_sql("UPDATE sales SET stock_total = 1000, stock_left = 1000 WHERE id = 1");
    for (int round = 0; round < ROUNDS; round++) {
        int confirmed = 0;
        for (int i = 0; i < THREADS; i++) {
            deciders[i].order = an_order(OPEN, 7 + round, 1, NOW_US);
        }
        race(deciders);
        for (int i = 0; i < THREADS; i++) {
            confirmed += deciders[i].outcome == ORDER_CONFIRMED;
        }
        ck_assert_int_eq(confirmed, LIMIT);
    }
    ck_assert_int_eq(rows(), ROUNDS * THREADS);
    assert_balanced();
    close_all(deciders);
}
END_TEST

static inline void add_inventory_cases(TCase *tc)
{
    tcase_add_test(tc, test_decide_keeps_a_confirmed_order_and_takes_its_units);
    tcase_add_test(tc, test_decide_keeps_each_rejected_order_and_takes_nothing);
    tcase_add_test(tc, test_decide_counts_only_confirmed_units_of_the_same_sale_and_user);
    tcase_add_test(tc, test_decide_leaves_no_row_without_a_sale);
    tcase_add_test(tc, test_decide_writes_nothing_when_it_does_not_get_the_row);
    tcase_add_test(tc, test_decide_judges_a_sale_that_is_over_by_the_moment_of_acceptance);
    tcase_add_test(tc, test_decide_judges_a_sale_to_come_by_the_moment_of_acceptance);
    tcase_add_test(tc, test_decide_dates_an_order_when_it_has_the_row);
    tcase_add_test(tc, test_fail_leaves_a_row_and_decide_finds_it);
    tcase_add_test(tc, test_fail_leaves_a_decided_order_as_it_is);
    tcase_add_test(tc, test_fail_leaves_no_row_without_a_sale);
    tcase_add_test(tc, test_decide_confirms_once_when_the_stock_is_gone_since);
    tcase_add_test(tc, test_decide_rejects_for_ever_though_the_sale_has_changed);
    tcase_add_test(tc, test_decide_resolves_a_commit_without_an_answer);
    tcase_add_test(tc, test_decide_gives_all_who_ask_at_once_the_same_answer);
    tcase_add_test(tc, test_decide_holds_a_users_limit_when_his_orders_come_at_once);
}

#endif
