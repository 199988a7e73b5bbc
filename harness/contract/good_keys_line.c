/* good_keys_line: keys when the line is full or the user over his rate (from phase 5): a replay
 * costs nothing, and what was refused can be sent again under the same key. */
#include <check.h>

#include "common/uuid.h"
#include "harness/contract/client.h"
#include "harness/contract/contract.h"
#include "harness/contract/judge.h"
#include "harness/contract/keyed.h"
#include "harness/contract/line.h"
#include "harness/contract/outcome.h"
#include "harness/contract/store.h"

START_TEST(a_full_line_leaves_no_trace_of_a_key)
{
    struct outcome outcome;
    struct keyed keyed;
    char key[UUID_TEXT_SIZE];
    long long user = client_new_user();
    uuid_random(key);
    line_fill();
    judge_problem(client_order_with(key, SALE_LINE, user, 1), 503, "queue_full");
    judge_problem(client_order_with(key, SALE_LINE, user, 2), 503, "queue_full");
    line_empty();
    keyed_order(key, SALE_LINE, user, 1, &keyed); /* tried again, and the first that counts */
    ck_assert(!keyed.is_replay);
    outcome_await(keyed.id, user, &outcome);
    ck_assert_str_eq(outcome.state, "confirmed");
}
END_TEST

START_TEST(a_replay_needs_no_place_in_line)
{
    struct keyed first, again;
    char key[UUID_TEXT_SIZE];
    long long user = client_new_user();
    line_settle();
    uuid_random(key);
    keyed_order(key, SALE_OPEN, user, 1, &first);
    line_fill();
    keyed_order(key, SALE_OPEN, user, 1, &again);
    judge_problem(client_order_with(key, SALE_OPEN, user, 2), 422, "idempotency_key_reused");
    line_empty();
    ck_assert(again.is_replay);
    ck_assert_str_eq(first.id, again.id);
}
END_TEST

START_TEST(a_replay_costs_nothing_of_the_rate)
{
    struct keyed first, again;
    char key[UUID_TEXT_SIZE];
    long long user = client_new_user();
    line_settle();
    uuid_random(key);
    keyed_order(key, SALE_OPEN, user, 1, &first);
    for (int i = 0; i < 4 * contract.rate_limit; i++) {
        keyed_order(key, SALE_OPEN, user, 1, &again);
        ck_assert(again.is_replay);
        judge_problem(client_order_with(key, SALE_OPEN, user, 2), 422, "idempotency_key_reused");
        judge_problem(client_order_with(CLIENT_NO_KEY, SALE_OPEN, user, 1), 400,
                      "idempotency_key_missing");
    }
    for (int i = 1; i < contract.rate_limit; i++) { /* all that is left */
        ck_assert_int_eq(client_order(SALE_OPEN, user, 1)->status, 202);
    }
}
END_TEST

/* Over his rate: his replays are answered, a new key is not, and is free afterwards. */
START_TEST(the_rate_leaves_no_trace_of_a_key)
{
    struct keyed first, again, later;
    char key[UUID_TEXT_SIZE], refused[UUID_TEXT_SIZE];
    long long user = client_new_user();
    line_settle();
    uuid_random(key);
    uuid_random(refused);
    keyed_order(key, SALE_OPEN, user, 1, &first);
    const struct reply *reply = client_order(SALE_OPEN, user, 1);
    for (int i = 0; reply->status == 202 && i < 4 * contract.rate_limit; i++) {
        reply = client_order(SALE_OPEN, user, 1);
    }
    judge_problem(client_order_with(refused, SALE_OPEN, user, 1), 429, "rate_limited");
    keyed_order(key, SALE_OPEN, user, 1, &again);
    ck_assert(again.is_replay);
    do {
        reply = client_order_with(refused, SALE_OPEN, user, 2);
    } while (reply->status == 429);
    keyed_read(reply, &later);
    ck_assert(!later.is_replay);
}
END_TEST

void good_keys_line_add(Suite *suite)
{
    const struct contract_test tests[] = {
        {"a full line leaves no trace of a key", a_full_line_leaves_no_trace_of_a_key, 5, 0,
         NEEDS_DATABASE},
        {"a replay needs no place in line", a_replay_needs_no_place_in_line, 5, 0, NEEDS_DATABASE},
        {"a replay costs nothing of the rate", a_replay_costs_nothing_of_the_rate, 5, 0,
         NEEDS_DATABASE},
        {"the rate leaves no trace of a key", the_rate_leaves_no_trace_of_a_key, 5, 0,
         NEEDS_DATABASE},
    };
    contract_add_tests(suite, tests, sizeof(tests) / sizeof(tests[0]));
}
