/* good_refusals: what the database refuses, by itself or for now (from phase 4). An order that
 * fails every time is failed, and the next is served; a fault that passes fails no order.
 *
 * A trigger of the suite's raises the error for one user's orders of one sale. */
#include <check.h>
#include <string.h>

#include "common/clock.h"
#include "common/uuid.h"
#include "harness/contract/admin.h"
#include "harness/contract/client.h"
#include "harness/contract/contract.h"
#include "harness/contract/judge.h"
#include "harness/contract/outcome.h"
#include "harness/contract/store.h"

enum { UNDECIDED_MS = 400 };

static const char RETRIES[] = "flashdeal_order_retries_total";

/* Served while another one's order cannot be. */
static void judge_next(void)
{
    char id[UUID_TEXT_SIZE];
    outcome_buy(SALE_REFUSED, client_new_user(), 1, id);
}

/* is_failed_too: even the row that says so is refused; then only the ticket knows. */
static void judge_poison(const char *sqlstate, bool is_failed_too)
{
    struct outcome outcome;
    long long user = client_new_user();
    long long rows = store_orders(SALE_REFUSED), stock = store_stock(SALE_REFUSED);
    long long failed = store_count(SALE_REFUSED, "failed", "refused");
    store_refuse(user, sqlstate, is_failed_too);
    outcome_order(SALE_REFUSED, user, 1, &outcome);
    ck_assert_str_eq(outcome.state, "failed");
    ck_assert_str_eq(outcome.reason, "refused");
    ck_assert_int_eq(store_orders(SALE_REFUSED), rows + !is_failed_too);
    ck_assert_int_eq(store_count(SALE_REFUSED, "failed", "refused"), failed + !is_failed_too);
    ck_assert_int_eq(store_stock(SALE_REFUSED), stock);
    judge_next();
    store_heed();
    outcome_await(outcome.id, user, &outcome);
    ck_assert_str_eq(outcome.state, "failed"); /* for ever */
}

START_TEST(an_order_that_breaks_a_constraint_fails)
{
    judge_poison("23514", false);
}
END_TEST

START_TEST(an_order_that_is_refused_every_time_fails)
{
    judge_poison("P0001", false);
}
END_TEST

START_TEST(an_order_whose_failure_is_refused_fails)
{
    judge_poison("23514", true);
}
END_TEST

/* Undecided for as long as the database refuses every row of it; *outcome: what it comes to then.
 */
static void judge_undecided(const char *sqlstate, struct outcome *outcome)
{
    long long user = client_new_user();
    long long rows = store_orders(SALE_REFUSED);
    double retries = admin_metric(RETRIES, "");
    store_refuse(user, sqlstate, true);
    cJSON *order = judge_object(client_order(SALE_REFUSED, user, 1), 202);
    char id[UUID_TEXT_SIZE];
    memcpy(id, judge_text(order, "order_id"), UUID_TEXT_SIZE);
    cJSON_Delete(order);
    ck_assert(admin_await_metric(RETRIES, "", retries + 4) >= retries + 4);
    order = judge_object(client_wait_order(id, user, UNDECIDED_MS), 200);
    ck_assert_msg(strcmp(judge_text(order, "status"), "pending") == 0, "%s makes an order %s",
                  sqlstate, judge_text(order, "status"));
    cJSON_Delete(order);
    judge_next();
    store_heed();
    outcome_await(id, user, outcome);
    ck_assert_int_eq(store_orders(SALE_REFUSED), rows + 2);
}

/* And then as if the fault had not been. */
static void judge_transient(const char *sqlstate)
{
    struct outcome outcome;
    judge_undecided(sqlstate, &outcome);
    ck_assert_str_eq(outcome.state, "confirmed");
}

START_TEST(a_fault_that_passes_fails_no_order)
{
    judge_transient("40001"); /* serialization_failure */
    judge_transient("53200"); /* out_of_memory */
    judge_transient("54000"); /* program_limit_exceeded: no transaction ids left */
    judge_transient("42501"); /* insufficient_privilege: a person's mistake, and mended */
}
END_TEST

/* Neither its row nor the one that would say it failed: then it is not final, whatever the reason.
 */
START_TEST(an_order_that_can_leave_no_row_is_not_final)
{
    struct outcome outcome;
    judge_undecided("P0001", &outcome);
    ck_assert_str_ne(outcome.state, "pending");
}
END_TEST

/* It was there when the order was accepted. */
START_TEST(an_order_of_a_deleted_sale_fails_without_a_row)
{
    struct outcome outcome;
    char id[UUID_TEXT_SIZE];
    long long user = client_new_user();
    ck_assert_int_eq(client_get_sale(SALE_GONE)->status, 200);
    store_run_held("BEGIN");
    store_run_held("DELETE FROM sales WHERE id = 1013");
    cJSON *order = judge_object(client_order(SALE_GONE, user, 1), 202);
    memcpy(id, judge_text(order, "order_id"), UUID_TEXT_SIZE);
    cJSON_Delete(order);
    ck_assert_msg(store_await_waiters(1, CONTRACT_PATIENCE_MS), "no order waits for the row");
    store_commit();
    outcome_await(id, user, &outcome);
    ck_assert_str_eq(outcome.state, "failed");
    ck_assert_str_eq(outcome.reason, "sale_not_found");
    ck_assert_int_eq(store_orders(SALE_GONE), 0);
}
END_TEST

void good_refusals_add(Suite *suite)
{
    const struct contract_test tests[] = {
        {"an order that breaks a constraint fails", an_order_that_breaks_a_constraint_fails, 4, 0,
         NEEDS_DATABASE},
        {"an order that is refused every time fails", an_order_that_is_refused_every_time_fails, 4,
         0, NEEDS_DATABASE},
        {"an order whose failure is refused fails", an_order_whose_failure_is_refused_fails, 4, 0,
         NEEDS_DATABASE},
        {"a fault that passes fails no order", a_fault_that_passes_fails_no_order, 4, 0,
         NEEDS_DATABASE | NEEDS_ADMIN},
        {"an order that can leave no row is not final", an_order_that_can_leave_no_row_is_not_final,
         4, 0, NEEDS_DATABASE | NEEDS_ADMIN},
        {"an order of a deleted sale fails without a row",
         an_order_of_a_deleted_sale_fails_without_a_row, 4, 0, NEEDS_DATABASE},
    };
    contract_add_tests(suite, tests, sizeof(tests) / sizeof(tests[0]));
}
