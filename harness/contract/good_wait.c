/* good_wait: GET /orders/{id}?wait_ms= (from phase 4): the reply comes when the order is decided,
 * or when the time is over, or at once when too many wait already. Wrong values are rows. */
#include <check.h>
#include <string.h>

#include "common/clock.h"
#include "common/uuid.h"
#include "harness/contract/admin.h"
#include "harness/contract/client.h"
#include "harness/contract/contract.h"
#include "harness/contract/crowd.h"
#include "harness/contract/judge.h"
#include "harness/contract/line.h"
#include "harness/contract/outcome.h"
#include "harness/contract/store.h"

enum { LONG_MS = 9000, SHORT_MS = 300, SILENT_MS = 200, EARLY_MS = 20, WAITERS_MAX = 64 };

static const char WAITERS[] = "flashdeal_longpoll_waiters";
static const char REFUSED[] = "flashdeal_longpoll_refused_total";

static struct crowd_order asking[WAITERS_MAX];

/* An order that a worker has, its row held. */
static void place_held(long long user, char id[UUID_TEXT_SIZE])
{
    line_settle();
    store_lock(SALE_LINE);
    cJSON *order = judge_object(client_order(SALE_LINE, user, 1), 202);
    memcpy(id, judge_text(order, "order_id"), UUID_TEXT_SIZE);
    cJSON_Delete(order);
    ck_assert_msg(store_await_waiters(1, CONTRACT_PATIENCE_MS), "no order waits for the row");
}

static void judge_state(const struct reply *reply, const char *state)
{
    cJSON *order = judge_object(reply, 200);
    ck_assert_str_eq(judge_text(order, "status"), state);
    cJSON_Delete(order);
}

static int ms_since(int64_t started_ns)
{
    return (int)((clock_now_ns() - started_ns) / CLOCK_NS_PER_MS);
}

START_TEST(a_wait_ends_when_the_order_is_decided)
{
    char id[UUID_TEXT_SIZE];
    long long user = client_new_user();
    place_held(user, id);
    crowd_ask(&asking[0], id, user, LONG_MS);
    ck_assert_msg(crowd_try_receive(&asking[0], clock_deadline_ns(SILENT_MS)) == NULL,
                  "a reply came before the order was decided");
    store_unlock();
    judge_state(crowd_receive(&asking[0]), "confirmed");
    ck_assert_int_lt(ms_since(asking[0].sent_ns), LONG_MS);
}
END_TEST

START_TEST(a_wait_ends_when_its_time_is_over)
{
    char id[UUID_TEXT_SIZE];
    struct outcome outcome;
    long long user = client_new_user();
    place_held(user, id);
    int64_t started_ns = clock_now_ns();
    judge_state(client_wait_order(id, user, SHORT_MS), "pending");
    int took_ms = ms_since(started_ns);
    ck_assert_msg(took_ms >= SHORT_MS - EARLY_MS && took_ms <= SHORT_MS + CONTRACT_SLACK_MS,
                  "wait_ms=%d took %d ms", SHORT_MS, took_ms);
    started_ns = clock_now_ns();
    judge_state(client_wait_order(id, user, 0), "pending");
    ck_assert_int_lt(ms_since(started_ns), CONTRACT_SLACK_MS);
    store_unlock();
    outcome_await(id, user, &outcome);
    ck_assert_str_eq(outcome.state, "confirmed");
}
END_TEST

START_TEST(nobody_waits_for_what_is_decided)
{
    char id[UUID_TEXT_SIZE];
    long long user = client_new_user();
    outcome_buy(SALE_LINE, user, 1, id);
    int64_t started_ns = clock_now_ns();
    judge_state(client_wait_order(id, user, LONG_MS), "confirmed");
    ck_assert_int_lt(ms_since(started_ns), LONG_MS / 2);
}
END_TEST

/* Each who waits holds a thread: so many may, and the others are told how it stands. */
START_TEST(the_waiters_are_bounded)
{
    char id[UUID_TEXT_SIZE];
    const int most = contract.longpoll_max;
    long long user = client_new_user();
    if (most == 0 || most > WAITERS_MAX) {
        return; /* the setting is not known */
    }
    double refused = admin_metric(REFUSED, "");
    place_held(user, id);
    for (int i = 0; i < most; i++) {
        crowd_ask(&asking[i], id, user, LONG_MS);
    }
    ck_assert_int_eq((int)admin_await_metric(WAITERS, "", most), most);
    ck_assert_int_eq((int)admin_metric("flashdeal_longpoll_waiters_max", ""), most);
    int64_t started_ns = clock_now_ns();
    const struct reply *reply = client_wait_order(id, user, LONG_MS);
    ck_assert_int_lt(ms_since(started_ns), LONG_MS / 2);
    judge_state(reply, "pending");
    ck_assert_msg(reply_header(reply, "Retry-After") != NULL, "no Retry-After");
    ck_assert_str_eq(reply_header(reply, "Retry-After"), "1");
    ck_assert_double_eq(admin_metric(REFUSED, ""), refused + 1);
    ck_assert_ptr_null(reply_header(client_get_order(id, user), "Retry-After"));
    ck_assert_int_eq(client_get("/health")->status, 200);
    store_unlock();
    for (int i = 0; i < most; i++) {
        judge_state(crowd_receive(&asking[i]), "confirmed");
    }
    ck_assert_int_eq((int)admin_metric(WAITERS, ""), 0);
}
END_TEST

void good_wait_add(Suite *suite)
{
    const struct contract_test tests[] = {
        {"a wait ends when the order is decided", a_wait_ends_when_the_order_is_decided, 4, 0,
         NEEDS_DATABASE},
        {"a wait ends when its time is over", a_wait_ends_when_its_time_is_over, 4, 0,
         NEEDS_DATABASE},
        {"nobody waits for what is decided", nobody_waits_for_what_is_decided, 4, 0,
         NEEDS_DATABASE},
        {"the waiters are bounded", the_waiters_are_bounded, 4, 0, NEEDS_DATABASE | NEEDS_ADMIN},
    };
    contract_add_tests(suite, tests, sizeof(tests) / sizeof(tests[0]));
}
