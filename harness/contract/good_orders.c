/* good_orders: what orders come to, one at a time: in the reply (phases 1 to 3) or as the state
 * that they reach afterwards (from phase 4; outcome.h hides which).
 *
 * What holds under concurrency the audits of harness/ judge; here it is what a single client sees:
 * each outcome, and what is left behind of a refused order: nothing, from phase 4 on its row. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "common/uuid.h"
#include "harness/contract/client.h"
#include "harness/contract/contract.h"
#include "harness/contract/judge.h"
#include "harness/contract/outcome.h"
#include "harness/contract/store.h"

enum { ID_PATH_SIZE = 64 };

static long good_sale(void)
{
    return contract.database != NULL ? SALE_OPEN : SALE_SEEDED;
}

START_TEST(order_is_confirmed_and_located)
{
    char path[ID_PATH_SIZE];
    const struct reply *reply = client_order(good_sale(), client_new_user(), 1);
    cJSON *order = judge_object(reply, 201);
    ck_assert_int_eq(cJSON_GetArraySize(order), 3);
    ck_assert_str_eq(judge_text(order, "status"), "confirmed");
    snprintf(path, sizeof(path), "/orders/%s", judge_text(order, "order_id"));
    ck_assert_str_eq(judge_text(order, "status_url"), path);
    ck_assert_msg(reply_header(reply, "Location") != NULL, "201 without Location");
    ck_assert_str_eq(reply_header(reply, "Location"), path);
    cJSON_Delete(order);
}
END_TEST

START_TEST(order_can_be_read)
{
    char id[UUID_TEXT_SIZE];
    long long user = client_new_user();
    outcome_buy(good_sale(), user, 2, id);
    cJSON *order = judge_object(client_get_order(id, user), 200);
    ck_assert_int_eq(cJSON_GetArraySize(order), 6);
    ck_assert_str_eq(judge_text(order, "order_id"), id);
    ck_assert_int_eq(judge_number(order, "sale_id"), good_sale());
    ck_assert_int_eq(judge_number(order, "user_id"), user);
    ck_assert_int_eq(judge_number(order, "quantity"), 2);
    ck_assert_str_eq(judge_text(order, "status"), "confirmed");
    ck_assert(cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(order, "reason")));
    cJSON_Delete(order);
}
END_TEST

START_TEST(order_takes_its_units_from_the_stock)
{
    char id[UUID_TEXT_SIZE];
    long long before = client_fresh_stock(good_sale());
    outcome_buy(good_sale(), client_new_user(), 2, id);
    ck_assert_int_eq(client_fresh_stock(good_sale()), before - 2);
}
END_TEST

START_TEST(equal_orders_are_two_orders)
{
    char first[UUID_TEXT_SIZE], second[UUID_TEXT_SIZE];
    long long user = client_new_user();
    outcome_buy(good_sale(), user, 1, first);
    outcome_buy(good_sale(), user, 1, second);
    ck_assert_str_ne(first, second);
}
END_TEST

START_TEST(user_of_2_to_the_53_is_kept_exactly)
{
    char id[UUID_TEXT_SIZE];
    const long long user = 9007199254740991;
    outcome_buy(SALE_OPEN, user, 1, id);
    const struct reply *reply = client_get_order(id, user);
    ck_assert_int_eq(reply->status, 200);
    ck_assert_msg(strstr(reply->body, "9007199254740991") != NULL, "%s", reply->body);
}
END_TEST

START_TEST(limit_counts_earlier_orders_of_the_user)
{
    char id[UUID_TEXT_SIZE];
    long long user = client_new_user();
    long long other = client_new_user();
    outcome_refuse(SALE_LIMITED, user, 3, "limit_exceeded");
    outcome_buy(SALE_LIMITED, user, 1, id);
    outcome_refuse(SALE_LIMITED, user, 2, "limit_exceeded");
    outcome_buy(SALE_LIMITED, user, 1, id);
    outcome_refuse(SALE_LIMITED, user, 1, "limit_exceeded");
    outcome_buy(SALE_LIMITED, other, 2, id);
    ck_assert_int_eq(store_orders(SALE_LIMITED), outcome_rows(3, 3));
    ck_assert_int_eq(store_stock(SALE_LIMITED), 10 - 4);
}
END_TEST

/* Two are wanted and one is left: sold out for him, and still there for the next one. */
START_TEST(last_unit_is_sold_and_not_twice)
{
    char id[UUID_TEXT_SIZE];
    outcome_buy(SALE_LAST_UNITS, client_new_user(), 2, id);
    outcome_refuse(SALE_LAST_UNITS, client_new_user(), 2, "sold_out");
    outcome_buy(SALE_LAST_UNITS, client_new_user(), 1, id);
    outcome_refuse(SALE_LAST_UNITS, client_new_user(), 1, "sold_out");
    ck_assert_int_eq(client_fresh_stock(SALE_LAST_UNITS), 0);
    ck_assert_int_eq(store_orders(SALE_LAST_UNITS), outcome_rows(2, 2));
}
END_TEST

START_TEST(sale_not_open_refuses)
{
    outcome_refuse(SALE_NOT_OPEN, client_new_user(), 1, "sale_not_open");
    ck_assert_int_eq(store_orders(SALE_NOT_OPEN), outcome_rows(0, 1));
    ck_assert_int_eq(store_stock(SALE_NOT_OPEN), 10);
}
END_TEST

START_TEST(sale_ended_refuses)
{
    outcome_refuse(SALE_ENDED, client_new_user(), 1, "sale_ended");
    ck_assert_int_eq(store_orders(SALE_ENDED), outcome_rows(0, 1));
    ck_assert_int_eq(store_stock(SALE_ENDED), 10);
}
END_TEST

/* Another session holds the row: the wait is bounded, the refusal says when to come again, leaves
 * nothing behind, and the next order goes through. */
START_TEST(locked_row_is_503_and_leaves_nothing)
{
    char id[UUID_TEXT_SIZE];
    store_lock(SALE_LOCKED);
    judge_problem(client_order(SALE_LOCKED, client_new_user(), 1), 503, "overloaded");
    store_unlock();
    ck_assert_int_eq(store_orders(SALE_LOCKED), 0);
    ck_assert_int_eq(store_stock(SALE_LOCKED), 10);
    outcome_buy(SALE_LOCKED, client_new_user(), 1, id);
    ck_assert_int_eq(store_orders(SALE_LOCKED), 1);
}
END_TEST

START_TEST(locked_row_does_not_keep_others_waiting)
{
    char id[UUID_TEXT_SIZE];
    store_lock(SALE_LOCKED);
    outcome_buy(SALE_OPEN, client_new_user(), 1, id);
    ck_assert_int_eq(client_fresh_stock(SALE_LOCKED), store_stock(SALE_LOCKED));
    store_unlock();
}
END_TEST

void good_orders_add(Suite *suite)
{
    const struct contract_test tests[] = {
        {"an order is confirmed and located", order_is_confirmed_and_located, 1, 4, NEEDS_NOTHING},
        {"an order can be read", order_can_be_read, 1, 0, NEEDS_NOTHING},
        {"an order takes its units from the stock", order_takes_its_units_from_the_stock, 1, 0,
         NEEDS_DATABASE},
        {"equal orders are two orders", equal_orders_are_two_orders, 1, 0, NEEDS_NOTHING},
        {"user 2^53 - 1 is kept exactly", user_of_2_to_the_53_is_kept_exactly, 1, 0,
         NEEDS_DATABASE},
        {"the limit counts the user's earlier orders", limit_counts_earlier_orders_of_the_user, 1,
         0, NEEDS_DATABASE},
        {"the last unit is sold, and not twice", last_unit_is_sold_and_not_twice, 1, 0,
         NEEDS_DATABASE},
        {"a sale not yet open refuses", sale_not_open_refuses, 1, 0, NEEDS_DATABASE},
        {"an ended sale refuses", sale_ended_refuses, 1, 0, NEEDS_DATABASE},
        {"a locked row is 503 and leaves nothing", locked_row_is_503_and_leaves_nothing, 1, 4,
         NEEDS_DATABASE},
        {"a locked row does not keep others waiting", locked_row_does_not_keep_others_waiting, 1, 0,
         NEEDS_DATABASE},
    };
    contract_add_tests(suite, tests, sizeof(tests) / sizeof(tests[0]));
}
