/* good_races: orders that must wait for one another, or for another session, to be decided right.
 *
 * The suite has one thread: it sends on many connections before it receives on any, and another
 * session's lock on the sale's row holds the target's work at the one point where the order of
 * things matters. A target that gave up waiting (503) has done nothing wrong. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "harness/contract/client.h"
#include "harness/contract/contract.h"
#include "harness/contract/judge.h"
#include "harness/contract/store.h"
#include "harness/contract/wire.h"

enum {
    REQUEST_SIZE = 512,
    CROWD = 16,
    CROWD_LIMIT = 2,
    CROWD_WAITERS = 4,        /* of the crowd, enough to break a limit that was read too early */
    CROWD_GATHERING_MS = 200, /* less than a target's time-out of locks */
    EMPTIED_STOCK = 10,
    TRIES = 5,
};

/* Sends the order on a connection of its own and does not wait. */
static struct wire *send_order(long sale, long long user, char request[REQUEST_SIZE])
{
    char body[128];
    snprintf(body, sizeof(body), "{\"sale_id\":%ld,\"user_id\":%lld,\"quantity\":1}", sale, user);
    snprintf(request, REQUEST_SIZE,
             "POST /orders HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"
             "Content-Length: %zu\r\n\r\n%s",
             contract.authority, strlen(body), body);
    struct wire *wire = wire_open();
    ck_assert(wire_send(wire, request, strlen(request)));
    return wire;
}

static const struct reply *receive(struct wire *wire, const char *request)
{
    static struct reply reply;
    enum wire_result result =
        wire_receive(wire, false, clock_deadline_ns(CONTRACT_PATIENCE_MS), &reply);
    ck_assert_msg(result == WIRE_REPLY, "%s", wire_result_name(result));
    judge_reply("race", request, (size_t)(strstr(request, "\r\n\r\n") + 4 - request), &reply);
    wire_close(wire);
    return &reply;
}

/* Waits until so many sessions wait for a lock, at most ms. */
static bool await_waiters(int count, int ms)
{
    int64_t deadline_ns = clock_deadline_ns(ms);
    while (store_waiters() < count) {
        if (clock_now_ns() >= deadline_ns) {
            return false;
        }
        clock_sleep_until(clock_deadline_ns(5));
    }
    return true;
}

/* What an order reads before it has the row to itself is old: the last unit goes meanwhile. */
START_TEST(order_is_decided_by_what_stands_once_it_has_the_row)
{
    char request[REQUEST_SIZE];
    int status = 503;
    for (int i = 0; i < TRIES && status == 503; i++) {
        store_lock(SALE_EMPTIED);
        store_set_stock(SALE_EMPTIED, 0);
        struct wire *wire = send_order(SALE_EMPTIED, client_new_user(), request);
        ck_assert_msg(await_waiters(1, CONTRACT_PATIENCE_MS), "no order waits for the row");
        store_commit();
        const struct reply *reply = receive(wire, request);
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
    static char requests[CROWD][REQUEST_SIZE];
    struct wire *wires[CROWD];
    long long user = client_new_user();
    int bought = 0;
    store_lock(SALE_CROWDED);
    for (int i = 0; i < CROWD; i++) {
        wires[i] = send_order(SALE_CROWDED, user, requests[i]);
    }
    await_waiters(CROWD_WAITERS, CROWD_GATHERING_MS);
    store_unlock();
    for (int i = 0; i < CROWD; i++) {
        const struct reply *reply = receive(wires[i], requests[i]);
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
         order_is_decided_by_what_stands_once_it_has_the_row, 1, 4, true},
        {"the limit holds for one user's orders at once",
         limit_holds_for_orders_of_one_user_at_once, 1, 4, true},
    };
    contract_add_tests(suite, tests, sizeof(tests) / sizeof(tests[0]));
}
