/* good_auth: whose an order is (from phase 3), and what a target does that was given no secret: it
 * believes the body, and says so when it starts.
 *
 * Wrong tokens are rows (rows_auth.c). */
#include <check.h>
#include <string.h>

#include "common/uuid.h"
#include "harness/contract/client.h"
#include "harness/contract/contract.h"
#include "harness/contract/judge.h"
#include "harness/contract/loglines.h"
#include "harness/contract/outcome.h"

static const char UNKNOWN_ORDER[] = "0f8fad5b-d9cb-469f-a165-70867728950e";

static long good_sale(void)
{
    return contract.database != NULL ? SALE_OPEN : SALE_SEEDED;
}

/* The problem without what differs from one to the next. */
static char *problem_text(const struct reply *reply)
{
    cJSON *problem = judge_object(reply, 404);
    cJSON_DeleteItemFromObjectCaseSensitive(problem, "request_id");
    char *text = cJSON_PrintUnformatted(problem);
    cJSON_Delete(problem);
    return text;
}

/* Nothing tells it from an order that is not there. */
START_TEST(another_users_order_is_not_there)
{
    char id[UUID_TEXT_SIZE];
    long long owner = client_new_user();
    long long other = client_new_user();
    outcome_buy(good_sale(), owner, 1, id);
    judge_problem(client_get_order(id, other), 404, "order_not_found");
    char *text = problem_text(client_get_order(id, other));
    char *unknown = problem_text(client_get_order(UNKNOWN_ORDER, other));
    ck_assert_str_eq(text, unknown);
    cJSON_free(text);
    cJSON_free(unknown);
    judge_problem(client_get_order(id, 0), 401, "unauthorized");
    cJSON *order = judge_object(client_get_order(id, owner), 200);
    ck_assert_int_eq(judge_number(order, "user_id"), owner);
    cJSON_Delete(order);
}
END_TEST

START_TEST(order_is_found_by_its_id_in_capitals)
{
    char id[UUID_TEXT_SIZE];
    long long owner = client_new_user();
    outcome_buy(good_sale(), owner, 1, id);
    for (char *at = id; *at != '\0'; at++) {
        *at = (char)(*at >= 'a' && *at <= 'f' ? *at - 'a' + 'A' : *at);
    }
    ck_assert_int_eq(client_get_order(id, owner)->status, 200);
}
END_TEST

void good_auth_add(Suite *suite)
{
    const struct contract_test tests[] = {
        {"another user's order is not there", another_users_order_is_not_there, 3, 0, NEEDS_SECRET},
        {"an order is found by its id in capitals", order_is_found_by_its_id_in_capitals, 1, 0,
         NEEDS_NOTHING},
    };
    contract_add_tests(suite, tests, sizeof(tests) / sizeof(tests[0]));
}

/* ------------------------------------------------------------------------- without a secret */

START_TEST(a_token_is_not_looked_at)
{
    static const char body[] = "{\"sale_id\":999999999,\"user_id\":7,\"quantity\":1}";
    const struct client_request request = {
        .path = "/orders",
        .body = body,
        .fields = {"Authorization: Bearer " CANARY, "Authorization: Basic x"}};
    judge_problem(client_send(&request), 404, "sale_not_found");
}
END_TEST

START_TEST(anyone_may_read_an_order)
{
    char id[UUID_TEXT_SIZE];
    outcome_buy(good_sale(), client_new_user(), 1, id);
    ck_assert_int_eq(client_get_order(id, 0)->status, 200);
    judge_problem(client_get_order(UNKNOWN_ORDER, 0), 404, "order_not_found");
}
END_TEST

START_TEST(the_start_said_so)
{
    ck_assert_int_eq(loglines_count_all("auth_off"), 1);
    cJSON *line = loglines_await("auth_off", "level", "warn");
    cJSON_Delete(line);
}
END_TEST

void good_trusting_add(Suite *suite)
{
    const struct contract_test tests[] = {
        {"without a secret no token is looked at", a_token_is_not_looked_at, 3, 7, NEEDS_NOTHING},
        {"without a secret anyone may read an order", anyone_may_read_an_order, 3, 7,
         NEEDS_NOTHING},
        {"without a secret the start said so", the_start_said_so, 3, 7, NEEDS_LOG},
    };
    contract_add_tests(suite, tests, sizeof(tests) / sizeof(tests[0]));
}
