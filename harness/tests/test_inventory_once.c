/* test_inventory_once: phase 4 decides an order once, however often it comes, whatever has changed
 * since, and however many ask at the same time. */
#include "phase4/inventory.h"
#include "phase4/order_rows.h"

#define SCHEMA "phase4/schema.sql"

static void name_order(struct order *order)
{
    uuid_random(order->id);
}

#include "harness/tests/inventory_fixture.h"

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
        assert_decided(huge, 2, ORDER_SOLD_OUT);
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

static void add_tests(TCase *tc)
{
    fixture_require("test_inventory_once");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_decide_confirms_once_when_the_stock_is_gone_since);
    tcase_add_test(tc, test_decide_rejects_for_ever_though_the_sale_has_changed);
    tcase_add_test(tc, test_decide_resolves_a_commit_without_an_answer);
    tcase_add_test(tc, test_decide_gives_all_who_ask_at_once_the_same_answer);
    tcase_add_test(tc, test_decide_holds_a_users_limit_when_his_orders_come_at_once);
}

int main(void)
{
    return test_main("inventory_once", add_tests);
}
