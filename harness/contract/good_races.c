/* good_races: orders that must wait for one another, or for another session, to be decided right.
 *
 * Another session's lock on the sale's row holds the target's work at the one point where the order
 * of things matters. A target that gave up waiting (503, before phase 4) has done nothing wrong. */
#include <check.h>
#include <string.h>

#include "harness/contract/client.h"
#include "harness/contract/contract.h"
#include "harness/contract/crowd.h"
#include "harness/contract/outcome.h"
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
    struct outcome outcome = {.status = 503};
    for (int i = 0; i < TRIES && outcome.status == 503; i++) {
        long long user = client_new_user();
        store_lock(SALE_EMPTIED);
        store_set_stock(SALE_EMPTIED, 0);
        crowd_send(&order, SALE_EMPTIED, user);
        ck_assert_msg(store_await_waiters(1, CONTRACT_PATIENCE_MS), "no order waits for the row");
        store_commit();
        outcome_read(crowd_receive(&order), user, &outcome);
        store_set_stock(SALE_EMPTIED, EMPTIED_STOCK);
    }
    ck_assert_str_eq(outcome.state, "rejected");
    ck_assert_str_eq(outcome.reason, "sold_out");
    ck_assert_int_eq(store_orders(SALE_EMPTIED), outcome_rows(0, 1));
}
END_TEST

/* All begin before any is decided. */
START_TEST(limit_holds_for_orders_of_one_user_at_once)
{
    static struct crowd_order orders[CROWD];
    long long user = client_new_user();
    struct outcome outcome;
    int bought = 0, refused = 0;
    store_lock(SALE_CROWDED);
    for (int i = 0; i < CROWD; i++) {
        crowd_send(&orders[i], SALE_CROWDED, user);
    }
    store_await_waiters(CROWD_WAITERS, CROWD_GATHERING_MS);
    store_unlock();
    for (int i = 0; i < CROWD; i++) {
        outcome_read(crowd_receive(&orders[i]), user, &outcome);
        if (strcmp(outcome.state, "confirmed") == 0) {
            bought++;
        } else if (outcome.status != 503) {
            ck_assert_str_eq(outcome.reason, "limit_exceeded");
            refused++;
        }
    }
    ck_assert_int_le(bought, CROWD_LIMIT);
    for (; bought < CROWD_LIMIT; bought++) { /* those that were told to come again */
        outcome_buy(SALE_CROWDED, user, 1, outcome.id);
    }
    outcome_refuse(SALE_CROWDED, user, 1, "limit_exceeded");
    ck_assert_int_eq(store_orders(SALE_CROWDED), outcome_rows(CROWD_LIMIT, refused + 1));
    ck_assert_int_eq(store_stock(SALE_CROWDED), 100 - CROWD_LIMIT);
}
END_TEST

void good_races_add(Suite *suite)
{
    const struct contract_test tests[] = {
        {"an order is decided by what stands once it has the row",
         order_is_decided_by_what_stands_once_it_has_the_row, 1, 0, NEEDS_DATABASE},
        {"the limit holds for one user's orders at once",
         limit_holds_for_orders_of_one_user_at_once, 1, 0, NEEDS_DATABASE},
    };
    contract_add_tests(suite, tests, sizeof(tests) / sizeof(tests[0]));
}
