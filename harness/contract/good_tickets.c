/* good_tickets: what becomes of an order when the target's memory has forgotten it (from phase 4):
 * the database answers, and nothing in the answer is different. The target has few tickets.
 *
 * That the database answered is seen in the reply's Server-Timing. */
#include <check.h>
#include <ctype.h>
#include <string.h>

#include "common/clock.h"
#include "common/uuid.h"
#include "harness/contract/admin.h"
#include "harness/contract/client.h"
#include "harness/contract/contract.h"
#include "harness/contract/judge.h"
#include "harness/contract/keyed.h"
#include "harness/contract/outcome.h"
#include "harness/contract/store.h"
#include "harness/contract/timing.h"

enum {
    TABLES = 12, /* so many times the table's orders, and it has forgotten any */
    LOOK_EACH = 32,
    LONG_MS = 9000,
    POLL_MS = 5,
};

static bool is_from_database(const struct reply *reply)
{
    struct timing timing;
    ck_assert(timing_read(reply_header(reply, "Server-Timing"), &timing));
    return timing_ms(&timing, "statements") > 0;
}

/* Another user's order, as soon as there is room in line. */
static void order_as_another(void)
{
    const struct reply *reply = client_order(SALE_LINE, client_new_user(), 1);
    for (int i = 0; reply->status == 503 && i < CONTRACT_PATIENCE_MS / POLL_MS; i++) {
        clock_sleep_until(clock_deadline_ns(POLL_MS));
        reply = client_order(SALE_LINE, client_new_user(), 1);
    }
    ck_assert_int_eq(reply->status, 202);
}

/* Others order until the ticket is gone. */
static void forget(const char *id, long long user)
{
    for (int i = 0; i < TABLES * contract.tickets_max; i++) {
        if (i % LOOK_EACH == 0 && is_from_database(client_get_order(id, user))) {
            return;
        }
        order_as_another();
    }
    ck_abort_msg("after %d orders %d tickets still have the first one",
                 TABLES * contract.tickets_max, contract.tickets_max);
}

static void judge_order(const struct reply *reply, const char *id, int quantity, const char *state)
{
    cJSON *order = judge_object(reply, 200);
    ck_assert_int_eq(cJSON_GetArraySize(order), 6);
    ck_assert_str_eq(judge_text(order, "order_id"), id);
    ck_assert_int_eq(judge_number(order, "quantity"), quantity);
    ck_assert_str_eq(judge_text(order, "status"), state);
    cJSON_Delete(order);
}

START_TEST(a_forgotten_order_is_in_the_database)
{
    char id[UUID_TEXT_SIZE], capitals[UUID_TEXT_SIZE];
    long long user = client_new_user();
    outcome_buy(SALE_LINE, user, 2, id);
    ck_assert(!is_from_database(client_get_order(id, user)));
    forget(id, user);
    judge_order(client_get_order(id, user), id, 2, "confirmed");
    int64_t started_ns = clock_now_ns();
    judge_order(client_wait_order(id, user, LONG_MS), id, 2, "confirmed");
    ck_assert_int_lt((clock_now_ns() - started_ns) / CLOCK_NS_PER_MS, LONG_MS / 2);
    for (size_t i = 0; i < UUID_TEXT_SIZE; i++) {
        capitals[i] = (char)toupper((unsigned char)id[i]);
    }
    judge_order(client_get_order(capitals, user), id, 2, "confirmed");
    if (contract.secret != NULL) {
        judge_problem(client_get_order(id, client_new_user()), 404, "order_not_found");
    }
    if (contract.at[ADMIN].host[0] != '\0') {
        ck_assert(admin_metric("flashdeal_tickets_evicted_total", "") >= 1);
        ck_assert(admin_metric("flashdeal_tickets", "") <= contract.tickets_max);
        ck_assert_double_eq(admin_metric("flashdeal_tickets_max", ""), contract.tickets_max);
    }
}
END_TEST

START_TEST(a_forgotten_refusal_keeps_its_reason)
{
    struct outcome outcome;
    long long user = client_new_user();
    outcome_order(SALE_ENDED, user, 1, &outcome);
    forget(outcome.id, user);
    judge_order(client_get_order(outcome.id, user), outcome.id, 1, "rejected");
    outcome_await(outcome.id, user, &outcome);
    ck_assert_str_eq(outcome.reason, "sale_ended");
}
END_TEST

/* Nobody else remembers it. */
START_TEST(a_pending_order_is_never_forgotten)
{
    struct outcome outcome;
    char id[UUID_TEXT_SIZE];
    long long user = client_new_user();
    store_lock(SALE_WINDOW);
    cJSON *order = judge_object(client_order(SALE_WINDOW, user, 1), 202);
    memcpy(id, judge_text(order, "order_id"), UUID_TEXT_SIZE);
    cJSON_Delete(order);
    for (int i = 0; i < 2 * contract.tickets_max; i++) {
        order_as_another();
    }
    order = judge_object(client_get_order(id, user), 200);
    ck_assert_str_eq(judge_text(order, "status"), "pending");
    cJSON_Delete(order);
    store_unlock();
    outcome_await(id, user, &outcome);
    ck_assert_str_eq(outcome.state, "confirmed");
}
END_TEST

/* From phase 5: the id is taken for ever, whatever the body is; who asks sees the first order. */
START_TEST(a_replay_of_a_forgotten_key_shows_the_first_order)
{
    struct outcome outcome;
    struct keyed first, again;
    char key[UUID_TEXT_SIZE];
    long long user = client_new_user();
    uuid_random(key);
    keyed_order(key, SALE_OPEN, user, 2, &first);
    outcome_await(first.id, user, &outcome);
    long long rows = store_orders(SALE_OPEN), stock = store_stock(SALE_OPEN);
    for (int quantity = 2; quantity >= 1; quantity--) {
        forget(first.id, user);
        keyed_order(key, SALE_OPEN, user, quantity, &again);
        ck_assert_str_eq(again.id, first.id);
        outcome_await(again.id, user, &outcome);
        ck_assert_str_eq(outcome.state, "confirmed");
        judge_order(client_get_order(again.id, user), first.id, 2, "confirmed");
    }
    ck_assert_int_eq(store_orders(SALE_OPEN), rows);
    ck_assert_int_eq(store_stock(SALE_OPEN), stock);
}
END_TEST

void good_tickets_add(Suite *suite)
{
    const struct contract_test tests[] = {
        {"a forgotten order is in the database", a_forgotten_order_is_in_the_database, 4, 0,
         NEEDS_DATABASE},
        {"a forgotten refusal keeps its reason", a_forgotten_refusal_keeps_its_reason, 4, 0,
         NEEDS_DATABASE},
        {"a pending order is never forgotten", a_pending_order_is_never_forgotten, 4, 0,
         NEEDS_DATABASE},
        {"a replay of a forgotten key shows the first order",
         a_replay_of_a_forgotten_key_shows_the_first_order, 5, 0, NEEDS_DATABASE},
    };
    contract_add_tests(suite, tests, sizeof(tests) / sizeof(tests[0]));
}
