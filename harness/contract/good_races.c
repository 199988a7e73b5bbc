/* good_races: orders that must wait for one another, or for another session, to be decided right.
 *
 * Another session's lock on the sale's row holds the target's work at the one point where the order
 * of things matters. A target that gave up waiting (503) has done nothing wrong. */
#include <check.h>

#include "harness/contract/client.h"
#include "harness/contract/contract.h"
#include "harness/contract/crowd.h"
#include "harness/contract/judge.h"
#include "harness/contract/store.h"

enum {
    CROWD = 16,
    CROWD_LIMIT = 2,
    CROWD_WAITERS = 4,        /* of the crowd, enough to break a limit that was read too early */
    CROWD_GATHERING_MS = 200, /* less than a target's time-out of locks */
    EMPTIED_STOCK = 10,
    TRIES = 5,
};

/* What an order reads before it has the row to itself is old: the last unit goes meanwhile. */
START_TEST(order_is_decided_by_what_stands_once_it_has_the_row)
{
    struct crowd_order order;
    int status = 503;
    for (int i = 0; i < TRIES && status == 503; i++) {
        store_lock(SALE_EMPTIED);
        store_set_stock(SALE_EMPTIED, 0);
        crowd_send(&order, SALE_EMPTIED, client_new_user());
        ck_assert_msg(store_await_waiters(1, CONTRACT_PATIENCE_MS), "no order waits for the row");
        store_commit();
        const struct reply *reply = crowd_receive(&order);
        status = reply->status;
        if (status != 503) {
            judge_problem(reply, 409, "sold_out");
        }
        store_set_stock(SALE_EMPTIED, EMPTIED_STOCK);
    }
    ck_assert_int_eq(status, 409);
    ck_assert_int_eq(store_orders(SALE_EMPTIED), 0);
}
END_TEST

/* All begin before any is decided. */
START_TEST(limit_holds_for_orders_of_one_user_at_once)
{
    static struct crowd_order orders[CROWD];
    long long user = client_new_user();
    int bought = 0;
    store_lock(SALE_CROWDED);
    for (int i = 0; i < CROWD; i++) {
        crowd_send(&orders[i], SALE_CROWDED, user);
    }
    store_await_waiters(CROWD_WAITERS, CROWD_GATHERING_MS);
    store_unlock();
    for (int i = 0; i < CROWD; i++) {
        const struct reply *reply = crowd_receive(&orders[i]);
        bought += reply->status == 201;
        if (reply->status != 201 && reply->status != 503) {
            judge_problem(reply, 422, "limit_exceeded");
        }
    }
    ck_assert_int_le(bought, CROWD_LIMIT);
    for (; bought < CROWD_LIMIT; bought++) { /* those that were told to come again */
        ck_assert_int_eq(client_order(SALE_CROWDED, user, 1)->status, 201);
    }
    judge_problem(client_order(SALE_CROWDED, user, 1), 422, "limit_exceeded");
    ck_assert_int_eq(store_orders(SALE_CROWDED), CROWD_LIMIT);
    ck_assert_int_eq(store_stock(SALE_CROWDED), 100 - CROWD_LIMIT);
}
END_TEST

void good_races_add(Suite *suite)
{
    const struct contract_test tests[] = {
        {"an order is decided by what stands once it has the row",
         order_is_decided_by_what_stands_once_it_has_the_row, 1, 4, NEEDS_DATABASE},
        {"the limit holds for one user's orders at once",
         limit_holds_for_orders_of_one_user_at_once, 1, 4, NEEDS_DATABASE},
    };
    contract_add_tests(suite, tests, sizeof(tests) / sizeof(tests[0]));
}
