/* good_rate: how many orders of one user are admitted (from phase 3).
 *
 * A burst is sent on many connections before any reply is read. What comes back while it lasts is
 * counted in: so many may be admitted as the burst allows and the time since brought back. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "harness/contract/client.h"
#include "harness/contract/contract.h"
#include "harness/contract/crowd.h"
#include "harness/contract/judge.h"
#include "harness/contract/line.h"
#include "harness/contract/outcome.h"
#include "harness/contract/store.h"

enum {
    BURST_MAX = 64,
    OVER = 10,
    REFUSALS = 30, /* so many draw no single Retry-After by chance */
    WINDOW_S = 1,  /* the rate is so many in that time */
    MANY_READS = 40,
    RETRY_AFTER_MAX_S = 5,
    BODY_SIZE = 160,
    FIELD_SIZE = 64,
};

/* Sends OVER more than the limit allows at once; returns how many were admitted. */
static int burst(long long user)
{
    static struct crowd_order orders[BURST_MAX];
    const int sent = contract.rate_limit + OVER;
    int admitted = 0;
    ck_assert_int_le(sent, BURST_MAX);
    line_settle(); /* who is admitted must have room */
    int64_t started_ns = clock_now_ns();
    for (int i = 0; i < sent; i++) {
        crowd_send(&orders[i], SALE_OPEN, user);
    }
    for (int i = 0; i < sent; i++) {
        const struct reply *reply = crowd_receive(&orders[i]);
        admitted += reply->status == outcome_accepted();
        if (reply->status != outcome_accepted()) {
            judge_problem(reply, 429, "rate_limited");
        }
    }
    int64_t took_ms = (clock_now_ns() - started_ns) / CLOCK_NS_PER_MS;
    int64_t most = contract.rate_limit + took_ms * contract.rate_limit / 1000 + 1;
    ck_assert_msg(admitted >= contract.rate_limit && admitted <= most,
                  "%d of %d admitted in %d ms with RATE_LIMIT=%d", admitted, sent, (int)took_ms,
                  contract.rate_limit);
    return admitted;
}

/* A user who is over his rate now. */
static long long exhausted_user(void)
{
    long long user = client_new_user();
    burst(user);
    return user;
}

/* The same number for both: RateLimit says what is left, RateLimit-Policy what there is. */
static void judge_limited(const struct reply *reply)
{
    char policy[FIELD_SIZE];
    int left = -1, seconds = -1, end = 0;
    judge_problem(reply, 429, "rate_limited");
    ck_assert_int_eq(reply_count_header(reply, "RateLimit"), 1);
    ck_assert_int_eq(reply_count_header(reply, "RateLimit-Policy"), 1);
    const char *value = reply_header(reply, "RateLimit");
    ck_assert_msg(sscanf(value, "\"orders\";r=%d;t=%d%n", &left, &seconds, &end) == 2 &&
                      value[end] == '\0' && left == 0 && seconds >= 1 && seconds <= WINDOW_S,
                  "RateLimit: %s", value);
    snprintf(policy, sizeof(policy), "\"orders\";q=%d;w=%d", contract.rate_limit, WINDOW_S);
    ck_assert_str_eq(reply_header(reply, "RateLimit-Policy"), policy);
    ck_assert_int_le(atoi(reply_header(reply, "Retry-After")), RETRY_AFTER_MAX_S);
}

/* Refusals until one is there: what has come back since the burst is spent first. */
static const struct reply *order_until_limited(long long user)
{
    const struct reply *reply = client_order(SALE_OPEN, user, 1);
    for (int i = 0; reply->status == outcome_accepted() && i < BURST_MAX; i++) {
        reply = client_order(SALE_OPEN, user, 1);
    }
    return reply;
}

START_TEST(a_burst_is_admitted_and_no_more)
{
    long long orders = store_orders(SALE_OPEN);
    long long stock = store_stock(SALE_OPEN);
    int admitted = burst(client_new_user());
    ck_assert_int_eq(store_await_orders(SALE_OPEN, orders + admitted), orders + admitted);
    ck_assert_int_eq(store_stock(SALE_OPEN), stock - admitted);
}
END_TEST

START_TEST(a_refusal_says_when_to_come_again_and_means_it)
{
    long long user = exhausted_user();
    const struct reply *reply = order_until_limited(user);
    judge_limited(reply);
    int retry_after_s = atoi(reply_header(reply, "Retry-After"));
    clock_sleep_until(clock_deadline_ns((int64_t)retry_after_s * 1000));
    ck_assert_int_eq(client_order(SALE_OPEN, user, 1)->status, outcome_accepted());
}
END_TEST

/* Else all who were refused together come again together. */
START_TEST(refusals_do_not_name_one_moment)
{
    long long user = exhausted_user();
    int others = 0, first_s = 0;
    for (int i = 0; i < REFUSALS; i++) {
        const struct reply *reply = order_until_limited(user);
        judge_limited(reply);
        int retry_after_s = atoi(reply_header(reply, "Retry-After"));
        first_s = i == 0 ? retry_after_s : first_s;
        others += retry_after_s != first_s;
    }
    ck_assert_msg(others > 0, "%d refusals, each with Retry-After: %d", REFUSALS, first_s);
}
END_TEST

START_TEST(a_users_rate_is_his_own)
{
    long long user = exhausted_user();
    for (int i = 0; i < contract.rate_limit; i++) {
        ck_assert_int_eq(client_order(SALE_OPEN, client_new_user(), 1)->status, outcome_accepted());
    }
    judge_limited(order_until_limited(user));
    ck_assert_int_eq(client_order(SALE_OPEN, client_new_user(), 1)->status, outcome_accepted());
}
END_TEST

START_TEST(reads_have_no_rate)
{
    for (int i = 0; i < MANY_READS; i++) {
        ck_assert_int_eq(client_get_sale(SALE_OPEN)->status, 200);
    }
}
END_TEST

/* Sends an order for body_user with the token of user. */
static const struct reply *order_as(long long user, long long body_user, long sale, int quantity)
{
    char body[BODY_SIZE];
    snprintf(body, sizeof(body), "{\"sale_id\":%ld,\"user_id\":%lld,\"quantity\":%d}", sale,
             body_user, quantity);
    return client_send(
        &(const struct client_request){.path = "/orders", .body = body, .user = user});
}

/* Neither he nor the user whose name was taken in vain has spent anything. */
START_TEST(what_is_no_order_costs_nothing)
{
    long long user = client_new_user();
    long long other = client_new_user();
    for (int i = 0; i < 2 * contract.rate_limit; i++) {
        judge_problem(order_as(user, user, SALE_OPEN, 0), 400, "invalid_quantity");
        if (contract.secret != NULL) {
            judge_problem(order_as(user, other, SALE_OPEN, 1), 403, "user_mismatch");
        }
    }
    burst(user);
    burst(other);
}
END_TEST

/* 400, 403, then 429, then the sale. */
START_TEST(the_rate_has_its_place_in_the_order_of_checks)
{
    long long user = exhausted_user();
    judge_limited(order_until_limited(user));
    judge_problem(order_as(user, user, SALE_OPEN, 0), 400, "invalid_quantity");
    if (contract.secret != NULL) { /* whoever of the two is over his rate */
        judge_problem(order_as(user, client_new_user(), SALE_OPEN, 1), 403, "user_mismatch");
        order_until_limited(user);
        judge_problem(order_as(client_new_user(), user, SALE_OPEN, 1), 403, "user_mismatch");
    }
    order_until_limited(user);
    judge_limited(order_as(user, user, SALE_UNKNOWN, 1));
}
END_TEST

void good_rate_add(Suite *suite)
{
    const struct contract_test tests[] = {
        {"a burst is admitted, and no more", a_burst_is_admitted_and_no_more, 3, 0, NEEDS_DATABASE},
        {"a refusal says when to come again, and means it",
         a_refusal_says_when_to_come_again_and_means_it, 3, 0, NEEDS_DATABASE},
        {"refusals do not name one moment", refusals_do_not_name_one_moment, 3, 0, NEEDS_DATABASE},
        {"a user's rate is his own", a_users_rate_is_his_own, 3, 0, NEEDS_DATABASE},
        {"reads have no rate", reads_have_no_rate, 3, 0, NEEDS_DATABASE},
        {"what is no order costs nothing", what_is_no_order_costs_nothing, 3, 0, NEEDS_DATABASE},
        {"the rate has its place in the order of checks",
         the_rate_has_its_place_in_the_order_of_checks, 3, 0, NEEDS_DATABASE},
    };
    contract_add_tests(suite, tests, sizeof(tests) / sizeof(tests[0]));
}
