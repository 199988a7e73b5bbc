/* outcome: what an order came to, in whatever way the target says so. */
#include "harness/contract/outcome.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "harness/contract/client.h"
#include "harness/contract/contract.h"
#include "harness/contract/judge.h"

enum { FIRST_ASYNC = 4, WAIT_MS = 2000 };

int outcome_accepted(void)
{
    return contract.phase < FIRST_ASYNC ? 201 : 202;
}

static void copy(char out[OUTCOME_TEXT_SIZE], const char *text)
{
    snprintf(out, OUTCOME_TEXT_SIZE, "%s", text);
}

/* A reason is null or text, and a confirmed order has none. */
static void read_state(const cJSON *order, struct outcome *out)
{
    const cJSON *reason = cJSON_GetObjectItemCaseSensitive(order, "reason");
    copy(out->state, judge_text(order, "status"));
    copy(out->reason, cJSON_IsNull(reason) ? "" : judge_text(order, "reason"));
}

void outcome_await(const char *id, long long user, struct outcome *out)
{
    int64_t deadline_ns = clock_deadline_ns(CONTRACT_PATIENCE_MS);
    do {
        cJSON *order = judge_object(client_wait_order(id, user, WAIT_MS), 200);
        ck_assert_str_eq(judge_text(order, "order_id"), id);
        read_state(order, out);
        cJSON_Delete(order);
    } while (strcmp(out->state, "pending") == 0 && clock_now_ns() < deadline_ns);
    ck_assert_msg(strcmp(out->state, "pending") != 0, "the order is never decided");
}

/* Of the phases that decide before they reply. */
static void read_refusal(const struct reply *reply, struct outcome *out)
{
    cJSON *problem = judge_object(reply, reply->status);
    copy(out->reason, judge_text(problem, "code"));
    cJSON_Delete(problem);
    if (reply->status == 409 || (reply->status == 422 && contract.phase < FIRST_ASYNC)) {
        ck_assert_int_lt(contract.phase, FIRST_ASYNC);
        copy(out->state, "rejected");
    }
}

void outcome_read(const struct reply *reply, long long user, struct outcome *out)
{
    *out = (struct outcome){.status = reply->status};
    if (reply->status != outcome_accepted()) {
        ck_assert_int_ge(reply->status, 400);
        read_refusal(reply, out);
        return;
    }
    cJSON *order = judge_object(reply, outcome_accepted());
    const char *id = judge_text(order, "order_id");
    ck_assert_msg(uuid_is_valid(id), "order_id is not a UUID: %s", id);
    memcpy(out->id, id, UUID_TEXT_SIZE);
    copy(out->state, judge_text(order, "status"));
    cJSON_Delete(order);
    if (contract.phase >= FIRST_ASYNC) {
        outcome_await(out->id, user, out);
    } else {
        ck_assert_str_eq(out->state, "confirmed");
    }
}

void outcome_order(long sale, long long user, int quantity, struct outcome *out)
{
    outcome_read(client_order(sale, user, quantity), user, out);
}

void outcome_buy(long sale, long long user, int quantity, char id[UUID_TEXT_SIZE])
{
    struct outcome outcome;
    outcome_order(sale, user, quantity, &outcome);
    ck_assert_msg(strcmp(outcome.state, "confirmed") == 0, "status %d, %s %s", outcome.status,
                  outcome.state, outcome.reason);
    ck_assert_str_eq(outcome.reason, "");
    memcpy(id, outcome.id, UUID_TEXT_SIZE);
}

void outcome_refuse(long sale, long long user, int quantity, const char *reason)
{
    struct outcome outcome;
    outcome_order(sale, user, quantity, &outcome);
    ck_assert_str_eq(outcome.state, "rejected");
    ck_assert_str_eq(outcome.reason, reason);
    if (contract.phase < FIRST_ASYNC) {
        ck_assert_int_eq(outcome.status, strcmp(reason, "limit_exceeded") == 0 ? 422 : 409);
    }
}

long long outcome_rows(long long confirmed, long long refused)
{
    return confirmed + (contract.phase < FIRST_ASYNC ? 0 : refused);
}
