/* good_line: orders in line, when there are more than the workers can work on (from phase 4).
 *
 * Another session holds the sale's row, so that every worker keeps the order that it has, and the
 * next ones stand in line until the suite lets go. Every order is another user's, but for the one
 * that asks what a refusal costs. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/uuid.h"
#include "harness/contract/admin.h"
#include "harness/contract/client.h"
#include "harness/contract/contract.h"
#include "harness/contract/judge.h"
#include "harness/contract/line.h"
#include "harness/contract/outcome.h"
#include "harness/contract/store.h"

enum {
    REFUSED = 30, /* so many draw no single Retry-After by chance */
    RETRY_AFTER_MAX_S = 10,
    FIRST_KEPT_PLACES = 6, /* whose places those keep that workers have */
};

static const char QUEUE_REFUSED[] = "flashdeal_order_queue_refused_total";

static int figure(const struct exposition *e, const char *name, const char *labels)
{
    return (int)exposition_sum(e, name, labels);
}

/* What /metrics says while the line is full and nothing moves. */
static void judge_figures(double refused)
{
    const int all = contract.queue_max + contract.db_workers;
    struct exposition *e = admin_scrape();
    ck_assert_int_eq(figure(e, "flashdeal_order_queue_length", ""), contract.queue_max);
    ck_assert_int_eq(figure(e, "flashdeal_order_queue_max", ""),
                     contract.phase >= FIRST_KEPT_PLACES ? all : contract.queue_max);
    ck_assert_int_eq(figure(e, "flashdeal_order_queue_unacked", ""), contract.db_workers);
    ck_assert_int_eq(figure(e, "flashdeal_workers", ""), contract.db_workers);
    ck_assert_int_eq(figure(e, "flashdeal_workers_busy", ""), contract.db_workers);
    ck_assert_int_eq(figure(e, "flashdeal_tickets", "state=\"pending\""), all);
    ck_assert_double_eq(exposition_sum(e, QUEUE_REFUSED, ""), refused);
    double age_s = exposition_sum(e, "flashdeal_order_queue_age_seconds", "");
    ck_assert_msg(age_s > 0 && age_s * 1000 < CONTRACT_PATIENCE_MS + CONTRACT_SLACK_MS,
                  "the first in line has waited %g s", age_s);
    exposition_free(e);
}

/* At once, with another moment to come back for each. */
static void judge_refusals(void)
{
    int others = 0, first_s = 0;
    for (int i = 0; i < REFUSED; i++) {
        const struct reply *reply = client_order(SALE_LINE, client_new_user(), 1);
        judge_problem(reply, 503, "queue_full");
        int retry_after_s = atoi(reply_header(reply, "Retry-After"));
        ck_assert_int_le(retry_after_s, RETRY_AFTER_MAX_S);
        first_s = i == 0 ? retry_after_s : first_s;
        others += retry_after_s != first_s;
    }
    ck_assert_msg(others > 0, "%d refusals, each with Retry-After: %d", REFUSED, first_s);
}

START_TEST(a_full_line_refuses_the_others)
{
    long long rows = store_orders(SALE_LINE);
    double refused = admin_metric(QUEUE_REFUSED, "");
    line_fill();
    judge_refusals();
    judge_figures(refused + REFUSED);
    ck_assert_int_eq(client_get_sale(SALE_LINE)->status, 200); /* reads go on */
    ck_assert_int_eq(store_waiters(), contract.db_workers); /* the others are not in the database */
    line_empty();
    ck_assert_int_eq(store_orders(SALE_LINE),
                     rows + (long long)contract.queue_max + contract.db_workers);
}
END_TEST

/* The longer the line before him, the later his turn. */
START_TEST(each_has_his_place_in_line)
{
    long long eta_ms = 0;
    line_fill();
    for (int i = 0; i < line_length(); i++) {
        cJSON *order = judge_object(client_get_order(line_id(i), line_user(i)), 200);
        int before = i < contract.db_workers ? 0 : i - contract.db_workers;
        ck_assert_str_eq(judge_text(order, "status"), "pending");
        ck_assert_int_eq(judge_number(order, "position"), before);
        ck_assert_int_ge(judge_number(order, "eta_ms"), eta_ms);
        eta_ms = judge_number(order, "eta_ms");
        cJSON_Delete(order);
    }
    line_empty();
}
END_TEST

/* It is not he who is too much: all are told 503, none 429, and his rate is as it was. */
START_TEST(a_full_line_costs_a_user_nothing_of_his_rate)
{
    long long user = client_new_user();
    line_fill();
    for (int i = 0; i < 2 * contract.rate_limit; i++) {
        judge_problem(client_order(SALE_LINE, user, 1), 503, "queue_full");
    }
    line_empty();
    for (int i = 0; i < contract.rate_limit; i++) {
        ck_assert_int_eq(client_order(SALE_OPEN, user, 1)->status, 202);
    }
}
END_TEST

/* A blocked sale holds every worker, and with them everybody: that is what phase 6 ends. */
START_TEST(whoever_is_accepted_is_decided_however_late)
{
    struct outcome outcome;
    char id[UUID_TEXT_SIZE];
    long long user = client_new_user();
    line_occupy();
    cJSON *order = judge_object(client_order(SALE_OPEN, user, 1), 202);
    memcpy(id, judge_text(order, "order_id"), UUID_TEXT_SIZE);
    cJSON_Delete(order);
    line_empty();
    outcome_await(id, user, &outcome);
    ck_assert_str_eq(outcome.state, "confirmed");
    ck_assert_int_eq((int)admin_await_metric("flashdeal_workers", "", contract.db_workers),
                     contract.db_workers);
    ck_assert_int_eq((int)admin_metric("flashdeal_order_queue_length", ""), 0);
    ck_assert_int_eq((int)admin_metric("flashdeal_workers_replaced_total", ""), 0);
}
END_TEST

void good_line_add(Suite *suite)
{
    const struct contract_test tests[] = {
        {"a full line refuses the others", a_full_line_refuses_the_others, 4, 0,
         NEEDS_DATABASE | NEEDS_ADMIN},
        {"each has his place in line", each_has_his_place_in_line, 4, 6, NEEDS_DATABASE},
        {"a full line costs a user nothing of his rate",
         a_full_line_costs_a_user_nothing_of_his_rate, 4, 0, NEEDS_DATABASE},
        {"whoever is accepted is decided, however late",
         whoever_is_accepted_is_decided_however_late, 4, 6, NEEDS_DATABASE | NEEDS_ADMIN},
    };
    contract_add_tests(suite, tests, sizeof(tests) / sizeof(tests[0]));
}
