/* good_queue: what becomes of orders when there are more than the target can work on (phase 3).
 *
 * Another session holds the sale's row, so that a few orders keep every worker and the next ones
 * stand in line until the suite lets go. Every order is another user's, so nobody's rate is used
 * up, but for the one that asks whether a refusal uses it up. A refusal is judged by its code;
 * times are held against the target's own deadline only. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "harness/contract/admin.h"
#include "harness/contract/client.h"
#include "harness/contract/contract.h"
#include "harness/contract/crowd.h"
#include "harness/contract/judge.h"
#include "harness/contract/store.h"
#include "harness/contract/timing.h"

enum {
    WORKERS_MAX = 16,
    LINE_MAX = 32,
    REFUSED = 30, /* so many draw no single Retry-After by chance */
    RETRY_AFTER_MAX_S = 10,
    RATE_MAX = 16,
    OVER_RATE = 2, /* orders more than a user may have in a second */
    EARLY_MS = 20, /* clocks and scheduling, at the lower bound of a deadline */
    POLL_MS = 5,
    SETTLED_MS = 100, /* an order that is not refused by then stands in line */
};

static const char QUEUE_LENGTH[] = "flashdeal_queue_length";
static const char QUEUE_REFUSED[] = "flashdeal_queue_refused_total";
static const char QUEUE_MAX[] = "flashdeal_queue_max";
static const char QUEUE_AGE[] = "flashdeal_queue_age_seconds";
static const char IN_FLIGHT[] = "flashdeal_http_requests_in_flight";
static const char RESULTS[] = "flashdeal_admission_total";

static struct crowd_order working[WORKERS_MAX], waiting[LINE_MAX + REFUSED];

static bool has_admin(void)
{
    return contract.at[ADMIN].host[0] != '\0';
}

static void send_orders(struct crowd_order *orders, int count)
{
    for (int i = 0; i < count; i++) {
        crowd_send(&orders[i], SALE_QUEUED, client_new_user());
    }
}

/* From here on an order can only stand in line. */
static void occupy_workers(void)
{
    ck_assert_int_le(contract.db_workers, WORKERS_MAX);
    ck_assert_int_le(contract.queue_max, LINE_MAX);
    store_lock(SALE_QUEUED);
    send_orders(working, contract.db_workers);
    ck_assert_msg(store_await_waiters(contract.db_workers, CONTRACT_PATIENCE_MS),
                  "not every worker has an order");
}

/* The row is free: those that the workers have are done. */
static void release_workers(void)
{
    store_unlock();
    for (int i = 0; i < contract.db_workers; i++) {
        ck_assert_int_eq(crowd_receive(&working[i])->status, 201);
    }
}

static int took_ms(const struct crowd_order *order)
{
    return (int)((clock_now_ns() - order->sent_ns) / CLOCK_NS_PER_MS);
}

/* Of all in the list, those who are told so before half the deadline has passed: how many, at most
 * one more than expected, and what each was told in `retry_after`. */
static int receive_refusals(struct crowd_order *orders, int count, int expected, int retry_after[])
{
    int refused = 0;
    int64_t deadline_ns = clock_deadline_ns(contract.order_deadline_ms / 2);
    while (refused < expected && clock_now_ns() < deadline_ns) {
        for (int i = 0; i < count && refused <= expected; i++) {
            const struct reply *reply =
                orders[i].wire != NULL ? crowd_try_receive(&orders[i], clock_now_ns()) : NULL;
            if (reply != NULL) {
                judge_problem(reply, 503, "queue_full");
                retry_after[refused++] = atoi(reply_header(reply, "Retry-After"));
            }
        }
        clock_sleep_until(clock_deadline_ns(POLL_MS));
    }
    return refused;
}

/* Whoever is refused is told when to come again, and not all the same. */
static void judge_retry_after(const int retry_after[], int count)
{
    int others = 0;
    for (int i = 0; i < count; i++) {
        ck_assert_int_ge(retry_after[i], 1);
        ck_assert_int_le(retry_after[i], RETRY_AFTER_MAX_S);
        others += retry_after[i] != retry_after[0];
    }
    ck_assert_msg(others > 0, "%d refusals, each with Retry-After: %d", count, retry_after[0]);
}

/* Told so at his deadline: that nothing was done, and when to come again, which it returns. */
static int judge_late(struct crowd_order *order)
{
    struct timing timing;
    const int deadline_ms = contract.order_deadline_ms;
    const struct reply *reply = crowd_receive(order);
    judge_problem(reply, 503, "deadline_exceeded");
    int ms = took_ms(order);
    ck_assert_msg(ms >= deadline_ms - EARLY_MS && ms <= deadline_ms + CONTRACT_SLACK_MS,
                  "told after %d ms with ORDER_DEADLINE_MS=%d", ms, deadline_ms);
    ck_assert(timing_read(reply_header(reply, "Server-Timing"), &timing));
    ck_assert_msg(timing_ms(&timing, "queue_wait") >= deadline_ms / 2.0,
                  "queue_wait is %.3f ms after %d ms in line", timing_ms(&timing, "queue_wait"),
                  ms);
    return atoi(reply_header(reply, "Retry-After"));
}

/* What /metrics says while the line is full and nothing moves. */
static void judge_full_queue(double refused)
{
    const double longest_s = (contract.order_deadline_ms + CONTRACT_SLACK_MS) / 1000.0;
    struct exposition *e = admin_scrape();
    double age_s = exposition_sum(e, QUEUE_AGE, "");
    ck_assert_double_eq(exposition_sum(e, QUEUE_LENGTH, ""), contract.queue_max);
    ck_assert_double_eq(exposition_sum(e, QUEUE_MAX, ""), contract.queue_max);
    ck_assert_double_eq(exposition_sum(e, QUEUE_REFUSED, ""), refused);
    ck_assert_msg(age_s > 0 && age_s <= longest_s, "the first in line has waited %g s", age_s);
    ck_assert_double_ge(exposition_sum(e, IN_FLIGHT, ""), contract.queue_max + contract.db_workers);
    exposition_free(e);
}

/* What became of those that were in line, since `before`. */
static void judge_results(struct exposition *before, int done, int late)
{
    struct exposition *after = admin_scrape();
    ck_assert_double_eq(exposition_sum(after, RESULTS, "result=\"done\"") -
                            exposition_sum(before, RESULTS, "result=\"done\""),
                        done);
    ck_assert_double_eq(exposition_sum(after, RESULTS, "result=\"late\"") -
                            exposition_sum(before, RESULTS, "result=\"late\""),
                        late);
    exposition_free(after);
}

START_TEST(a_full_queue_refuses_the_others_at_once)
{
    int retry_after[REFUSED + 1], late_retry_after[LINE_MAX + REFUSED];
    int late = 0;
    const int sent = contract.queue_max + REFUSED;
    long long orders = store_orders(SALE_QUEUED);
    struct exposition *before = has_admin() ? admin_scrape() : NULL;
    occupy_workers();
    send_orders(waiting, sent);
    int refused = receive_refusals(waiting, sent, REFUSED, retry_after);
    ck_assert_msg(refused == REFUSED, "%d of %d were refused, and %d may stand in line", refused,
                  sent, contract.queue_max);
    if (has_admin()) {
        judge_full_queue(exposition_sum(before, QUEUE_REFUSED, "") + REFUSED);
    }
    ck_assert_int_eq(client_get_sale(SALE_SEEDED)->status, 200); /* reads go on */
    ck_assert_int_eq(client_get_sale(SALE_QUEUED)->status, 200);
    ck_assert_int_eq(store_waiters(), contract.db_workers); /* the others are not in the database */
    for (int i = 0; i < sent; i++) {
        if (waiting[i].wire != NULL) {
            late_retry_after[late++] = judge_late(&waiting[i]);
        }
    }
    release_workers();
    judge_retry_after(retry_after, refused);
    judge_retry_after(late_retry_after, late);
    if (has_admin()) {
        judge_results(before, contract.db_workers, late);
        exposition_free(before);
    }
    ck_assert_int_eq(store_orders(SALE_QUEUED), orders + contract.db_workers);
}
END_TEST

/* It is not he who is too much: all are told 503, none 429, and his rate is as it was. */
START_TEST(a_full_queue_costs_a_user_nothing_of_his_rate)
{
    static struct crowd_order his[RATE_MAX + OVER_RATE];
    const int sent = contract.rate_limit + OVER_RATE;
    int retry_after[2];
    long long user = client_new_user();
    ck_assert_int_le(contract.rate_limit, RATE_MAX);
    occupy_workers();
    send_orders(waiting, contract.queue_max + 1);
    /* Once one of them is refused, it is full. */
    ck_assert_int_eq(receive_refusals(waiting, contract.queue_max + 1, 1, retry_after), 1);
    for (int i = 0; i < sent; i++) {
        crowd_send(&his[i], SALE_QUEUED, user);
    }
    for (int i = 0; i < sent; i++) {
        judge_problem(crowd_receive(&his[i]), 503, "queue_full");
    }
    release_workers();
    for (int i = 0; i <= contract.queue_max; i++) {
        int status = waiting[i].wire != NULL ? crowd_receive(&waiting[i])->status : 503;
        ck_assert_msg(status == 201 || status == 503, "status %d", status);
    }
    for (int i = 0; i < contract.rate_limit; i++) {
        ck_assert_int_eq(client_order(SALE_OPEN, user, 1)->status, 201);
    }
}
END_TEST

/* The deadline is for the line: what has begun is finished. */
START_TEST(an_order_that_a_worker_has_is_done_after_its_deadline)
{
    occupy_workers();
    clock_sleep_until(clock_deadline_ns(contract.order_deadline_ms + SETTLED_MS));
    release_workers();
}
END_TEST

/* Its turn comes while nobody waits for it any more. */
START_TEST(whoever_hangs_up_in_line_leaves_no_order)
{
    const int gone = contract.queue_max / 2;
    long long orders = store_orders(SALE_QUEUED);
    double before = has_admin() ? admin_metric(RESULTS, "result=\"gone\"") +
                                      admin_metric(RESULTS, "result=\"late\"")
                                : 0;
    occupy_workers();
    send_orders(waiting, gone);
    if (has_admin()) {
        ck_assert_int_eq((int)admin_await_metric(QUEUE_LENGTH, "", gone), gone);
    }
    for (int i = 0; i < gone; i++) {
        crowd_abandon(&waiting[i]);
    }
    release_workers();
    for (int i = 0; i < contract.db_workers; i++) { /* the line is empty when these are done */
        ck_assert_int_eq(client_order(SALE_QUEUED, client_new_user(), 1)->status, 201);
    }
    if (has_admin()) {
        admin_await_metric(RESULTS, "result=\"gone\"", 1);
        ck_assert_double_eq(admin_metric(RESULTS, "result=\"gone\"") +
                                admin_metric(RESULTS, "result=\"late\"") - before,
                            gone);
    }
    ck_assert_int_eq(store_orders(SALE_QUEUED), orders + (long long)2 * contract.db_workers);
}
END_TEST

/* While the workers are still busy, at the latest at its deadline. */
START_TEST(whoever_hangs_up_in_line_frees_his_place)
{
    struct crowd_order next;
    const struct reply *reply = NULL;
    int retry_after[2];
    occupy_workers();
    send_orders(waiting, contract.queue_max + 1);
    ck_assert_int_eq(receive_refusals(waiting, contract.queue_max + 1, 1, retry_after), 1);
    for (int i = 0; i <= contract.queue_max; i++) {
        crowd_abandon(&waiting[i]);
    }
    int64_t deadline_ns = clock_deadline_ns(contract.order_deadline_ms + CONTRACT_SLACK_MS);
    do {
        crowd_send(&next, SALE_QUEUED, client_new_user());
        reply = crowd_try_receive(&next, clock_deadline_ns(SETTLED_MS));
    } while (reply != NULL && clock_now_ns() < deadline_ns);
    ck_assert_msg(reply == NULL, "the places of those who have gone are still taken");
    release_workers();
    int status = crowd_receive(&next)->status;
    ck_assert_msg(status == 201 || status == 503, "status %d", status);
}
END_TEST

START_TEST(all_is_well_again)
{
    for (int i = 0; i < contract.db_workers; i++) {
        ck_assert_int_eq(client_order(SALE_QUEUED, client_new_user(), 1)->status, 201);
    }
    if (has_admin()) {
        ck_assert_int_eq((int)admin_metric(QUEUE_LENGTH, ""), 0);
        ck_assert_int_eq(admin_pool_sum("in_use"), 0);
    }
    ck_assert_int_eq(store_stock(SALE_QUEUED), 100 - store_orders(SALE_QUEUED));
}
END_TEST

void good_queue_add(Suite *suite)
{
    const struct contract_test tests[] = {
        {"a full queue refuses the others at once", a_full_queue_refuses_the_others_at_once, 3, 4,
         NEEDS_DATABASE},
        {"a full queue costs a user nothing of his rate",
         a_full_queue_costs_a_user_nothing_of_his_rate, 3, 4, NEEDS_DATABASE},
        {"an order that a worker has is done after its deadline",
         an_order_that_a_worker_has_is_done_after_its_deadline, 3, 4, NEEDS_DATABASE},
        {"whoever hangs up in line leaves no order", whoever_hangs_up_in_line_leaves_no_order, 3, 4,
         NEEDS_DATABASE},
        {"whoever hangs up in line frees his place", whoever_hangs_up_in_line_frees_his_place, 3, 4,
         NEEDS_DATABASE},
        {"all is well again", all_is_well_again, 3, 4, NEEDS_DATABASE},
    };
    contract_add_tests(suite, tests, sizeof(tests) / sizeof(tests[0]));
}
