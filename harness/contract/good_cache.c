/* good_cache: sales from the target's memory (from phase 4): they may be a little old, and no
 * older.
 *
 * The first test runs before all others of a group: the suite has just put its sales into the
 * database, and goes on when the target has seen them. */
#include <check.h>

#include "common/clock.h"
#include "harness/contract/client.h"
#include "harness/contract/contract.h"
#include "harness/contract/judge.h"
#include "harness/contract/outcome.h"
#include "harness/contract/store.h"

enum { POLL_MS = 5, PRICE = 4711 };

/* Waits until GET /sales/{id} has that status, and where it is 200, the figure that value. */
static void await_sale(long sale, int status, const char *name, long long value)
{
    int64_t deadline_ns = clock_deadline_ns(CONTRACT_PATIENCE_MS);
    for (;;) {
        const struct reply *reply = client_get_sale(sale);
        bool is_there = reply->status == status;
        if (is_there && status == 200) {
            cJSON *object = judge_object(reply, 200);
            is_there = judge_number(object, name) == value;
            cJSON_Delete(object);
        }
        if (is_there) {
            return;
        }
        ck_assert_msg(clock_now_ns() < deadline_ns, "sale %ld is not seen as it is", sale);
        clock_sleep_until(clock_deadline_ns(POLL_MS));
    }
}

START_TEST(the_suites_sales_are_seen)
{
    await_sale(SALE_MARK, 200, "stock_left", store_stock(SALE_MARK));
}
END_TEST

START_TEST(a_sale_is_known_after_a_refresh)
{
    char id[UUID_TEXT_SIZE];
    judge_problem(client_get_sale(SALE_LATER), 404, "sale_not_found");
    judge_problem(client_order(SALE_LATER, client_new_user(), 1), 404, "sale_not_found");
    store_run(
        "INSERT INTO sales (id, name, price_cents, stock_total, stock_left, per_user_limit, "
        "starts_at, ends_at) VALUES (1015, 'later', 100, 10, 10, 2, now() - interval '1 day', "
        "now() + interval '1 day')");
    await_sale(SALE_LATER, 200, "stock_left", 10);
    outcome_buy(SALE_LATER, client_new_user(), 1, id);
    await_sale(SALE_LATER, 200, "stock_left", 9);
    store_run("UPDATE sales SET price_cents = 4711 WHERE id = 1015");
    await_sale(SALE_LATER, 200, "price_cents", PRICE);
    store_run("DELETE FROM orders WHERE sale_id = 1015");
    store_run("DELETE FROM sales WHERE id = 1015");
    await_sale(SALE_LATER, 404, "", 0);
    judge_problem(client_order(SALE_LATER, client_new_user(), 1), 404, "sale_not_found");
    ck_assert_int_eq(store_orders(SALE_LATER), 0);
}
END_TEST

void good_cache_add(Suite *suite)
{
    const struct contract_test tests[] = {
        {"the suite's sales are seen", the_suites_sales_are_seen, 4, 0, NEEDS_DATABASE},
        {"a sale is known after a refresh", a_sale_is_known_after_a_refresh, 4, 0, NEEDS_DATABASE},
    };
    contract_add_tests(suite, tests, contract.group == GROUP_WHOLE ? 2 : 1);
}
