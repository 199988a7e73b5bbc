/* good_keys: Idempotency-Key (from phase 5): however often a purchase is sent under one key, it is
 * one order. Wrong keys are rows; what happens when the line is full, good_keys_line. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "common/uuid.h"
#include "harness/contract/client.h"
#include "harness/contract/contract.h"
#include "harness/contract/crowd.h"
#include "harness/contract/judge.h"
#include "harness/contract/keyed.h"
#include "harness/contract/outcome.h"
#include "harness/contract/store.h"

enum { PARALLEL = 32, REPLAYS = 5, QUOTED_SIZE = UUID_TEXT_SIZE + 2, VERSION_AT = 14 };

START_TEST(a_replay_is_the_same_order)
{
    struct outcome outcome;
    struct keyed first, again;
    char key[UUID_TEXT_SIZE];
    long long user = client_new_user();
    uuid_random(key);
    keyed_order(key, SALE_LINE, user, 2, &first);
    ck_assert(!first.is_replay);
    ck_assert_str_eq(first.state, "pending");
    ck_assert_int_eq(first.id[VERSION_AT], '5'); /* RFC 9562: of a name */
    outcome_await(first.id, user, &outcome);
    ck_assert_str_eq(outcome.state, "confirmed");
    for (int i = 0; i < REPLAYS; i++) {
        keyed_order(key, SALE_LINE, user, 2, &again);
        ck_assert(again.is_replay);
        ck_assert_str_eq(again.id, first.id);
        ck_assert_str_eq(again.state, "confirmed");
    }
    ck_assert_int_eq(store_orders_of(user), 1);
}
END_TEST

START_TEST(a_key_means_the_same_in_quotes)
{
    struct keyed bare, quoted;
    char key[UUID_TEXT_SIZE], in_quotes[QUOTED_SIZE];
    long long user = client_new_user();
    uuid_random(key);
    snprintf(in_quotes, sizeof(in_quotes), "\"%s\"", key);
    keyed_order(key, SALE_LINE, user, 1, &bare);
    keyed_order(in_quotes, SALE_LINE, user, 1, &quoted);
    ck_assert(quoted.is_replay);
    ck_assert_str_eq(bare.id, quoted.id);
    keyed_order("a\\b", SALE_LINE, user, 1, &bare);
    keyed_order("\"a\\\\b\"", SALE_LINE, user, 1, &quoted);
    ck_assert(quoted.is_replay);
    ck_assert_str_eq(bare.id, quoted.id);
}
END_TEST

static const struct reply *send_body(const char *key, long long user, const char *body)
{
    return client_send(
        &(const struct client_request){.path = "/orders", .body = body, .user = user, .key = key});
}

/* The fields count, not how they are written. */
START_TEST(a_key_is_not_for_another_body)
{
    char key[UUID_TEXT_SIZE], body[128];
    struct keyed first;
    long long user = client_new_user();
    struct outcome outcome;
    uuid_random(key);
    keyed_order(key, SALE_LINE, user, 1, &first);
    judge_problem(client_order_with(key, SALE_LINE, user, 2), 422, "idempotency_key_reused");
    judge_problem(client_order_with(key, SALE_OPEN, user, 1), 422, "idempotency_key_reused");
    judge_problem(client_order_with(key, SALE_UNKNOWN, user, 1), 422, "idempotency_key_reused");
    snprintf(body, sizeof(body), " {\"quantity\" : 1,\n \"sale_id\":%d, \"user\\u005fid\":%lld } ",
             SALE_LINE, user);
    keyed_read(send_body(key, user, body), &first);
    ck_assert(first.is_replay);
    judge_problem(send_body(key, user, "{\"quantity\":0}"), 400, "invalid_sale_id");
    outcome_await(first.id, user, &outcome);
    ck_assert_int_eq(store_orders_of(user), 1);
}
END_TEST

START_TEST(another_users_key_is_another_key)
{
    struct keyed his, hers;
    char key[UUID_TEXT_SIZE];
    uuid_random(key);
    keyed_order(key, SALE_LINE, client_new_user(), 1, &his);
    keyed_order(key, SALE_LINE, client_new_user(), 2, &hers);
    ck_assert(!his.is_replay && !hers.is_replay);
    ck_assert_str_ne(his.id, hers.id);
}
END_TEST

START_TEST(keys_in_another_case_are_others)
{
    struct keyed small, capital;
    long long user = client_new_user();
    keyed_order("abc", SALE_LINE, user, 1, &small);
    keyed_order("ABC", SALE_LINE, user, 1, &capital);
    ck_assert_str_ne(small.id, capital.id);
}
END_TEST

/* None of them knows of the others: one is the first, whichever. */
START_TEST(parallel_posts_of_a_key_are_one_order)
{
    static struct crowd_order orders[PARALLEL];
    struct outcome outcome;
    struct keyed keyed;
    char key[UUID_TEXT_SIZE], id[UUID_TEXT_SIZE] = "";
    int firsts = 0;
    long long user = client_new_user();
    uuid_random(key);
    for (int i = 0; i < PARALLEL; i++) {
        crowd_send_with(&orders[i], key, SALE_LINE, user, 1);
    }
    for (int i = 0; i < PARALLEL; i++) {
        keyed_read(crowd_receive(&orders[i]), &keyed);
        firsts += !keyed.is_replay;
        ck_assert(id[0] == '\0' || strcmp(id, keyed.id) == 0);
        memcpy(id, keyed.id, UUID_TEXT_SIZE);
    }
    ck_assert_int_eq(firsts, 1);
    outcome_await(id, user, &outcome);
    ck_assert_str_eq(outcome.state, "confirmed");
    ck_assert_int_eq(store_orders_of(user), 1);
}
END_TEST

START_TEST(a_replay_says_how_it_stands)
{
    struct outcome outcome;
    struct keyed keyed;
    char key[UUID_TEXT_SIZE];
    long long user = client_new_user();
    uuid_random(key);
    store_lock(SALE_LINE);
    keyed_order(key, SALE_LINE, user, 1, &keyed);
    keyed_order(key, SALE_LINE, user, 1, &keyed);
    ck_assert(keyed.is_replay);
    ck_assert_str_eq(keyed.state, "pending");
    store_unlock();
    outcome_await(keyed.id, user, &outcome);
    uuid_random(key);
    keyed_order(key, SALE_NOT_OPEN, user, 1, &keyed);
    outcome_await(keyed.id, user, &outcome);
    keyed_order(key, SALE_NOT_OPEN, user, 1, &keyed);
    ck_assert(keyed.is_replay);
    ck_assert_str_eq(keyed.state, "rejected"); /* a business's answer is final */
}
END_TEST

/* What was no order leaves the key as it was. */
START_TEST(what_is_refused_leaves_the_key_free)
{
    struct keyed keyed;
    char key[UUID_TEXT_SIZE];
    long long user = client_new_user();
    uuid_random(key);
    judge_problem(client_order_with(key, SALE_UNKNOWN, user, 1), 404, "sale_not_found");
    judge_problem(client_order_with(key, SALE_LINE, user, 0), 400, "invalid_quantity");
    keyed_order(key, SALE_LINE, user, 1, &keyed);
    ck_assert(!keyed.is_replay);
}
END_TEST

START_TEST(the_row_has_the_key)
{
    struct outcome outcome;
    struct keyed keyed;
    long long user = client_new_user();
    keyed_order("\"contract-row\"", SALE_LINE, user, 1, &keyed);
    outcome_await(keyed.id, user, &outcome);
    ck_assert_int_eq(store_keys("contract-row", keyed.id), 1);
}
END_TEST

void good_keys_add(Suite *suite)
{
    const struct contract_test tests[] = {
        {"a replay is the same order", a_replay_is_the_same_order, 5, 0, NEEDS_DATABASE},
        {"a key means the same in quotes", a_key_means_the_same_in_quotes, 5, 0, NEEDS_DATABASE},
        {"a key is not for another body", a_key_is_not_for_another_body, 5, 0, NEEDS_DATABASE},
        {"another user's key is another key", another_users_key_is_another_key, 5, 0,
         NEEDS_DATABASE},
        {"keys in another case are others", keys_in_another_case_are_others, 5, 0, NEEDS_DATABASE},
        {"parallel posts of a key are one order", parallel_posts_of_a_key_are_one_order, 5, 0,
         NEEDS_DATABASE},
        {"a replay says how it stands", a_replay_says_how_it_stands, 5, 0, NEEDS_DATABASE},
        {"what is refused leaves the key free", what_is_refused_leaves_the_key_free, 5, 0,
         NEEDS_DATABASE},
        {"the row has the key", the_row_has_the_key, 5, 0, NEEDS_DATABASE},
    };
    contract_add_tests(suite, tests, sizeof(tests) / sizeof(tests[0]));
}
