/* test_inventory: phase 4's decisions: what each leaves in the database, and by which time an order
 * is judged. */
#include "phase4/inventory.h"
#include "phase4/order_rows.h"

#define SCHEMA "phase4/schema.sql"

static void name_order(struct order *order)
{
    uuid_random(order->id);
}

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
    assert_decided(huge, 1, ORDER_SOLD_OUT);
    ck_assert_int_eq(rows_saying(&early, ORDER_SALE_NOT_OPEN), 1);
    ck_assert_int_eq(rows_saying(&late, ORDER_SALE_ENDED), 1);
    ck_assert_int_eq(rows_saying(&greedy, ORDER_LIMIT_EXCEEDED), 1);
    ck_assert_int_eq(rows_saying(&huge, ORDER_SOLD_OUT), 1);
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
    ck_assert_status(inventory_pessimistic.decide(impatient, &order, &outcome), ST_TIMEOUT);
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

static void *fail_main(void *arg)
{
    assert_failed(*(struct order *)arg, ORDER_SOLD_OUT);
    return NULL;
}

/* Both want the sale's row first, or each would wait for what the other has. */
START_TEST(test_fail_waits_for_a_decision_under_way)
{
    char sql[SQL_SIZE];
    PGconn *holder = hold_sale();
    struct order order = an_order(OPEN, 7, 1, NOW_US);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, fail_main, &order), 0);
    fixture_await(OURS_WAIT_FOR_A_LOCK, 1);
    snprintf(sql, sizeof sql,
             "INSERT INTO orders (id, sale_id, user_id, quantity, status, reason) "
             "VALUES ('%s', 1, 7, 1, 'rejected', 'sold_out'); COMMIT",
             order.id);
    PGresult *result = PQexec(holder, sql);
    ck_assert_msg(PQresultStatus(result) == PGRES_COMMAND_OK, "%s", PQerrorMessage(holder));
    PQclear(result);
    PQfinish(holder);
    pthread_join(thread, NULL);
    ck_assert_int_eq(fixture_number("SELECT count(*) FROM orders WHERE reason = 'sold_out'"), 1);
    ck_assert_int_eq(rows(), 1);
}
END_TEST

static void add_tests(TCase *tc)
{
    fixture_require("test_inventory");
    tcase_add_checked_fixture(tc, set_up, tear_down);
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
    tcase_add_test(tc, test_fail_waits_for_a_decision_under_way);
}

int main(void)
{
    return test_main("inventory", add_tests);
}
