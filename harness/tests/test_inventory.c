/* test_inventory: phase 4's decisions: what they have in common with all later ones, and that who
 * fails an order waits for who decides it. */
#include "phase4/inventory.h"
#include "phase4/order_rows.h"

#define SCHEMA "phase4/schema.sql"

static void name_order(struct order *order)
{
    uuid_random(order->id);
}

#include "harness/tests/inventory_cases.h"

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
    add_inventory_cases(tc);
    tcase_add_test(tc, test_fail_waits_for_a_decision_under_way);
}

int main(void)
{
    return test_main("inventory", add_tests);
}
