/* good_async: an order between its acceptance and its final state (from phase 4): what the 202
 * says, what GET says meanwhile, and that only the moment of acceptance counts.
 *
 * Another session holds the sale's row for as long as an order is to stay undecided. */
#include <check.h>
#include <ctype.h>
#include <stdio.h>
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
#include "harness/contract/timing.h"

enum { ID_PATH_SIZE = 64, ORDERS = 5, HELD_MS = 200, WAIT_MS = 5000, REASON_COUNT = 4 };

static const char FINAL_COUNT[] = "flashdeal_order_final_seconds_count";
static const char STAGE_SUM[] = "flashdeal_order_stage_seconds_sum";
static const char HTTP_STAGE_SUM[] = "flashdeal_http_stage_duration_seconds_sum";

/* Orders, expects it accepted, and writes its id. */
static void place(long sale, long long user, int quantity, char id[UUID_TEXT_SIZE])
{
    cJSON *order = judge_object(client_order(sale, user, quantity), 202);
    ck_assert_str_eq(judge_text(order, "status"), "pending");
    ck_assert_msg(uuid_is_valid(judge_text(order, "order_id")), "order_id is not a UUID");
    memcpy(id, judge_text(order, "order_id"), UUID_TEXT_SIZE);
    cJSON_Delete(order);
}

/* The same while the row is held, until a worker has it. */
static void place_held(long sale, long long user, int quantity, char id[UUID_TEXT_SIZE])
{
    line_settle();
    store_lock(sale);
    place(sale, user, quantity, id);
    ck_assert_msg(store_await_waiters(1, CONTRACT_PATIENCE_MS), "no order waits for the row");
}

static void expect_final(const char *id, long long user, const char *state, const char *reason)
{
    struct outcome outcome;
    outcome_await(id, user, &outcome);
    ck_assert_str_eq(outcome.state, state);
    ck_assert_str_eq(outcome.reason, reason);
}

START_TEST(order_is_accepted_and_located)
{
    char path[ID_PATH_SIZE];
    const struct reply *reply =
        client_order(contract.database != NULL ? SALE_OPEN : SALE_SEEDED, client_new_user(), 1);
    cJSON *order = judge_object(reply, 202);
    ck_assert_int_eq(cJSON_GetArraySize(order), 4);
    ck_assert_str_eq(judge_text(order, "status"), "pending");
    if (contract.phase < 7) {
        ck_assert_str_eq(judge_text(order, "durability"), "memory");
    }
    snprintf(path, sizeof(path), "/orders/%s", judge_text(order, "order_id"));
    ck_assert_str_eq(judge_text(order, "status_url"), path);
    ck_assert_msg(reply_header(reply, "Location") != NULL, "202 without Location");
    ck_assert_str_eq(reply_header(reply, "Location"), path);
    cJSON_Delete(order);
}
END_TEST

START_TEST(order_is_pending_until_it_is_decided)
{
    char id[UUID_TEXT_SIZE];
    long long user = client_new_user();
    place_held(SALE_LINE, user, 2, id);
    cJSON *order = judge_object(client_get_order(id, user), 200);
    ck_assert_int_eq(cJSON_GetArraySize(order), 8);
    ck_assert_str_eq(judge_text(order, "order_id"), id);
    ck_assert_int_eq(judge_number(order, "sale_id"), SALE_LINE);
    ck_assert_int_eq(judge_number(order, "user_id"), user);
    ck_assert_int_eq(judge_number(order, "quantity"), 2);
    ck_assert_str_eq(judge_text(order, "status"), "pending");
    ck_assert(cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(order, "reason")));
    ck_assert_int_eq(judge_number(order, "position"), 0);
    ck_assert_int_ge(judge_number(order, "eta_ms"), 0);
    cJSON_Delete(order);
    store_unlock();
    expect_final(id, user, "confirmed", "");
}
END_TEST

/* A client that is quick must not be told that there is no such order. */
START_TEST(order_can_be_asked_for_at_once)
{
    char id[UUID_TEXT_SIZE];
    for (int i = 0; i < ORDERS; i++) {
        long long user = client_new_user();
        place(SALE_LINE, user, 1, id);
        ck_assert_int_eq(client_get_order(id, user)->status, 200);
        expect_final(id, user, "confirmed", "");
    }
}
END_TEST

START_TEST(pending_order_is_found_by_its_id_in_capitals)
{
    char id[UUID_TEXT_SIZE], capitals[UUID_TEXT_SIZE];
    long long user = client_new_user();
    place_held(SALE_LINE, user, 1, id);
    for (size_t i = 0; i < UUID_TEXT_SIZE; i++) {
        capitals[i] = (char)toupper((unsigned char)id[i]);
    }
    int now = client_get_order(capitals, user)->status;
    int later = client_wait_order(capitals, user, 1)->status;
    store_unlock();
    ck_assert_int_eq(now, 200);
    ck_assert_int_eq(later, 200);
    expect_final(id, user, "confirmed", "");
}
END_TEST

/* A 404's stages by name, and whether the database was asked. */
static void read_stages(const char *id, long long user, struct timing *out)
{
    const struct reply *reply = client_get_order(id, user);
    judge_problem(reply, 404, "order_not_found");
    ck_assert(timing_read(reply_header(reply, "Server-Timing"), out));
}

/* How long a stage takes is chance; which there are is not. */
static void expect_stages_of_nobodys(const char *id, long long user)
{
    struct timing others, nobodys;
    read_stages(id, user, &others);
    read_stages("0f8fad5b-d9cb-469f-a165-70867728950e", user, &nobodys);
    ck_assert_int_eq(others.count, nobodys.count);
    for (int i = 0; i < others.count; i++) {
        ck_assert_str_eq(others.parts[i].name, nobodys.parts[i].name);
    }
    ck_assert_int_eq(timing_ms(&others, "statements") > 0, timing_ms(&nobodys, "statements") > 0);
}

/* Nothing tells it from one that is not there, and nobody waits for it. */
START_TEST(another_users_pending_order_is_not_there)
{
    char id[UUID_TEXT_SIZE];
    long long owner = client_new_user();
    long long other = client_new_user();
    place_held(SALE_LINE, owner, 1, id);
    judge_problem(client_get_order(id, other), 404, "order_not_found");
    int64_t started_ns = clock_now_ns();
    judge_problem(client_wait_order(id, other, WAIT_MS), 404, "order_not_found");
    ck_assert_int_lt((clock_now_ns() - started_ns) / CLOCK_NS_PER_MS, WAIT_MS);
    judge_problem(client_get_order(id, 0), 401, "unauthorized");
    expect_stages_of_nobodys(id, other);
    store_unlock();
    expect_final(id, owner, "confirmed", "");
    judge_problem(client_get_order(id, other), 404, "order_not_found");
}
END_TEST

/* What phases 1 to 3 replied is the row's reason now. */
START_TEST(each_refusal_is_a_final_state_with_a_row)
{
    static const struct {
        long sale;
        int quantity;
        const char *reason;
    } refusals[REASON_COUNT] = {
        {SALE_NOT_OPEN, 1, "sale_not_open"},
        {SALE_ENDED, 1, "sale_ended"},
        {SALE_LIMITED, 3, "limit_exceeded"},
        {SALE_LAST_UNITS, 3, "sold_out"}, /* good_orders has sold them */
    };
    for (int i = 0; i < REASON_COUNT; i++) {
        char id[UUID_TEXT_SIZE];
        long sale = refusals[i].sale;
        long long user = client_new_user();
        long long rows = store_count(sale, "rejected", refusals[i].reason);
        long long stock = store_stock(sale);
        place(sale, user, refusals[i].quantity, id);
        expect_final(id, user, "rejected", refusals[i].reason);
        ck_assert_int_eq(store_count(sale, "rejected", refusals[i].reason), rows + 1);
        ck_assert_int_eq(store_stock(sale), stock);
        cJSON *order = judge_object(client_get_order(id, user), 200);
        ck_assert_int_eq(cJSON_GetArraySize(order), 6);
        ck_assert_int_eq(judge_number(order, "quantity"), refusals[i].quantity);
        cJSON_Delete(order);
    }
}
END_TEST

/* Waits until the database's clock has passed the window's edge. */
static void pass(const char *edge)
{
    char sql[160];
    snprintf(sql, sizeof(sql),
             "SELECT pg_sleep(extract(epoch FROM %s - clock_timestamp()) + 0.05) FROM sales "
             "WHERE id = 1011",
             edge);
    store_run(sql);
}

/* No worker is free until the edge of the sale's window has passed: who came before is not judged
 * by when he is served. */
static void judge_window(const char *sql, const char *edge, const char *early_reason,
                         const char *late_reason)
{
    char early[UUID_TEXT_SIZE], late[UUID_TEXT_SIZE];
    long long user = client_new_user();
    line_occupy();
    store_run(sql);
    place(SALE_WINDOW, user, 1, early);
    pass(edge);
    place(SALE_WINDOW, user, 1, late);
    line_empty();
    expect_final(early, user, early_reason[0] == '\0' ? "confirmed" : "rejected", early_reason);
    expect_final(late, user, late_reason[0] == '\0' ? "confirmed" : "rejected", late_reason);
}

START_TEST(window_is_judged_by_the_acceptance)
{
    if (contract.db_workers == 0) {
        return; /* the setting is not known */
    }
    judge_window("UPDATE sales SET starts_at = now() - interval '1 day', "
                 "ends_at = clock_timestamp() + interval '0.7 s' WHERE id = 1011",
                 "ends_at", "", "sale_ended");
    judge_window("UPDATE sales SET starts_at = clock_timestamp() + interval '0.7 s', "
                 "ends_at = now() + interval '1 day' WHERE id = 1011",
                 "starts_at", "sale_not_open", "");
}
END_TEST

/* ------------------------------------------------------------------------------- what is measured
 */

START_TEST(accepting_and_asking_touch_no_database)
{
    static const char *const stages[] = {"pool_wait", "lock_wait", "statements", "commit"};
    struct timing timing;
    char id[UUID_TEXT_SIZE], labels[96];
    long long user = client_new_user();
    struct exposition *before = admin_scrape();
    const struct reply *reply = client_order(SALE_LINE, user, 1);
    ck_assert(timing_read(reply_header(reply, "Server-Timing"), &timing));
    cJSON *order = judge_object(reply, 202);
    memcpy(id, judge_text(order, "order_id"), UUID_TEXT_SIZE);
    cJSON_Delete(order);
    expect_final(id, user, "confirmed", "");
    struct exposition *after = admin_scrape();
    for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
        ck_assert_msg(timing_ms(&timing, stages[i]) <= 0, "a POST spends time in %s", stages[i]);
        snprintf(labels, sizeof(labels), "method=\"POST\",path=\"/orders\",stage=\"%s\"",
                 stages[i]);
        double rise = exposition_sum(after, HTTP_STAGE_SUM, labels) -
                      exposition_sum(before, HTTP_STAGE_SUM, labels);
        ck_assert_msg(rise <= 0, "POST /orders spends time in %s", stages[i]);
    }
    exposition_free(before);
    exposition_free(after);
    ck_assert(timing_read(reply_header(client_get_order(id, user), "Server-Timing"), &timing));
    ck_assert(timing_ms(&timing, "statements") <= 0);
    ck_assert(timing_read(reply_header(client_get_sale(SALE_LINE), "Server-Timing"), &timing));
    ck_assert(timing_ms(&timing, "statements") <= 0);
}
END_TEST

START_TEST(every_final_state_is_counted_once)
{
    char id[UUID_TEXT_SIZE];
    double confirmed = admin_metric(FINAL_COUNT, "status=\"confirmed\"");
    double rejected = admin_metric(FINAL_COUNT, "status=\"rejected\"");
    for (int i = 0; i < ORDERS; i++) {
        outcome_buy(SALE_LINE, client_new_user(), 1, id);
    }
    outcome_refuse(SALE_NOT_OPEN, client_new_user(), 1, "sale_not_open");
    ck_assert_double_eq(admin_await_metric(FINAL_COUNT, "status=\"confirmed\"", confirmed + ORDERS),
                        confirmed + ORDERS);
    ck_assert_double_eq(admin_await_metric(FINAL_COUNT, "status=\"rejected\"", rejected + 1),
                        rejected + 1);
    ck_assert_double_eq(admin_metric("flashdeal_tickets", "state=\"pending\""), 0);
    ck_assert_double_ge(admin_metric("flashdeal_tickets", "state=\"final\""), ORDERS + 1);
}
END_TEST

/* Where the time went is the worker's to say now. */
START_TEST(the_wait_for_a_row_is_the_workers)
{
    static const char waits[] = "stage=\"lock_wait\"";
    static const char final_sum[] = "flashdeal_order_final_seconds_sum";
    char id[UUID_TEXT_SIZE];
    long long user = client_new_user();
    double waited_s = admin_metric(STAGE_SUM, waits), final_s = admin_metric(final_sum, "");
    place_held(SALE_LINE, user, 1, id);
    clock_sleep_until(clock_deadline_ns(HELD_MS));
    if (contract.db_workers != 0) {
        ck_assert_int_eq((int)admin_metric("flashdeal_workers", ""), contract.db_workers);
    }
    ck_assert_int_eq((int)admin_metric("flashdeal_workers_busy", ""), 1);
    ck_assert_int_eq((int)admin_metric("flashdeal_order_queue_unacked", ""), 1);
    ck_assert_int_eq((int)admin_metric("flashdeal_tickets", "state=\"pending\""), 1);
    store_unlock();
    expect_final(id, user, "confirmed", "");
    double least_s = HELD_MS / 1000.0;
    ck_assert(admin_await_metric(STAGE_SUM, waits, waited_s + least_s) >= waited_s + least_s);
    ck_assert(admin_await_metric(final_sum, "", final_s + least_s) >= final_s + least_s);
    ck_assert_int_eq((int)admin_metric("flashdeal_workers_replaced_total", ""), 0);
}
END_TEST

void good_async_add(Suite *suite)
{
    const struct contract_test tests[] = {
        {"an order is accepted and located", order_is_accepted_and_located, 4, 0, NEEDS_NOTHING},
        {"an order is pending until it is decided", order_is_pending_until_it_is_decided, 4, 0,
         NEEDS_DATABASE},
        {"an order can be asked for at once", order_can_be_asked_for_at_once, 4, 0, NEEDS_DATABASE},
        {"a pending order is found by its id in capitals",
         pending_order_is_found_by_its_id_in_capitals, 4, 0, NEEDS_DATABASE},
        {"another user's pending order is not there", another_users_pending_order_is_not_there, 4,
         0, NEEDS_DATABASE | NEEDS_SECRET},
        {"each refusal is a final state with a row", each_refusal_is_a_final_state_with_a_row, 4, 0,
         NEEDS_DATABASE},
        {"a sale's window is judged by the acceptance", window_is_judged_by_the_acceptance, 4, 0,
         NEEDS_DATABASE},
        {"accepting and asking touch no database", accepting_and_asking_touch_no_database, 4, 0,
         NEEDS_DATABASE | NEEDS_ADMIN},
        {"every final state is counted once", every_final_state_is_counted_once, 4, 0,
         NEEDS_DATABASE | NEEDS_ADMIN},
        {"the wait for a row is the worker's", the_wait_for_a_row_is_the_workers, 4, 0,
         NEEDS_DATABASE | NEEDS_ADMIN},
    };
    contract_add_tests(suite, tests, sizeof(tests) / sizeof(tests[0]));
}
