/* good_admin: what the admin listener tells somebody who looks at a target in trouble (from phase
 * 2): who blocks whom, where the connections are; and that it answers then. */
#include <check.h>
#include <string.h>

#include "common/clock.h"
#include "harness/contract/admin.h"
#include "harness/contract/client.h"
#include "harness/contract/contract.h"
#include "harness/contract/crowd.h"
#include "harness/contract/judge.h"
#include "harness/contract/outcome.h"
#include "harness/contract/store.h"
#include "harness/contract/wire.h"

enum {
    TWO = 2,
    READS = 7,
    CROWD_MAX = 64,
    FURTHER = 2, /* orders beyond those that fill the pool */
    TRIES = 5,   /* a busy machine may let a lock's time-out pass before we have looked */
    POLL_MS = 10,
    SPAN_MS = 200,
    ADMIN_THREADS = 2,
    FIRST_CACHED = 4, /* from then on the target reads its sales by itself, so its pools are busy */
};

static struct crowd_order crowd[CROWD_MAX];
static long long crowd_users[CROWD_MAX];

/* Orders of the locked sale, so many at once. */
static void send_crowd(int count)
{
    for (int i = 0; i < count; i++) {
        crowd_users[i] = client_new_user();
        crowd_send(&crowd[i], SALE_LOCKED, crowd_users[i]);
    }
}

/* Any of these may be the answer of one that stood in line for a row that was locked. From phase 4
 * on none of them is in line any more when this returns. */
static void receive_crowd(int count)
{
    struct outcome outcome;
    for (int i = 0; i < count; i++) {
        outcome_read(crowd_receive(&crowd[i]), crowd_users[i], &outcome);
        bool is_refused = outcome.status == 409 || outcome.status == 503;
        ck_assert_msg(outcome.status == outcome_accepted() || is_refused, "status %d",
                      outcome.status);
    }
}

static const cJSON *member(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    ck_assert_msg(item != NULL, "%s is missing", name);
    return item;
}

/* Waits until so many sessions are said to wait; NULL if that does not come to pass. The caller
 * frees it. */
static cJSON *await_locks(int waiting)
{
    int64_t deadline_ns = clock_deadline_ns(SPAN_MS);
    for (;;) {
        cJSON *locks = admin_json("/debug/locks");
        if (judge_number(locks, "waiting") == waiting) {
            return locks;
        }
        cJSON_Delete(locks);
        if (clock_now_ns() >= deadline_ns) {
            return NULL;
        }
        clock_sleep_until(clock_deadline_ns(POLL_MS));
    }
}

/* Locks the row, sends the orders, and reads who waits; the caller frees it and receives them. */
static cJSON *lock_and_look(int orders, int waiting)
{
    for (int i = 0; i < TRIES; i++) {
        store_lock(SALE_LOCKED);
        send_crowd(orders);
        bool gathered = store_await_waiters(waiting, CONTRACT_PATIENCE_MS);
        cJSON *locks = gathered ? await_locks(waiting) : NULL;
        if (locks != NULL) {
            return locks;
        }
        store_unlock();
        receive_crowd(orders);
    }
    ck_abort_msg("%d sessions wait, and /debug/locks does not say so", waiting);
    return NULL;
}

START_TEST(nobody_waits_when_nothing_is_locked)
{
    cJSON *locks = admin_json("/debug/locks");
    ck_assert_int_eq(judge_number(locks, "waiting"), 0);
    ck_assert(cJSON_IsArray(member(locks, "chains")));
    ck_assert_int_eq(cJSON_GetArraySize(member(locks, "chains")), 0);
    cJSON_Delete(locks);
}
END_TEST

static void judge_session(const cJSON *session, bool ours)
{
    ck_assert_msg(cJSON_IsBool(member(session, "ours")) &&
                      cJSON_IsTrue(member(session, "ours")) == ours,
                  "whose session it is");
    ck_assert_int_gt(judge_number(session, "pid"), 0);
    ck_assert_int_ge(judge_number(session, "age_ms"), 0);
    ck_assert_str_ne(judge_text(session, "fingerprint"), "");
    ck_assert_msg(strstr(judge_text(session, "query"), "sales") != NULL, "%s",
                  judge_text(session, "query"));
}

static bool holds_number(const cJSON *array, long long number)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, array)
    {
        if (cJSON_IsNumber(item) && (long long)item->valuedouble == number) {
            return true;
        }
    }
    return false;
}

/* Of two orders one waits for the holder, the other for that one: the root of both is the holder.
 */
START_TEST(the_root_is_found_behind_those_who_wait)
{
    cJSON *locks = lock_and_look(TWO, TWO);
    ck_assert_int_eq(cJSON_GetArraySize(member(locks, "chains")), 1);
    const cJSON *chain = cJSON_GetArrayItem(member(locks, "chains"), 0);
    const cJSON *root = member(chain, "root");
    const cJSON *waiters = member(chain, "waiters");
    judge_session(root, false);
    ck_assert_int_eq(judge_number(root, "pid"), store_holder());
    ck_assert_str_eq(judge_text(root, "application"), STORE_HOLDER_NAME);
    ck_assert_str_eq(judge_text(root, "state"), "idle in transaction");
    ck_assert_ptr_null(strstr(judge_text(root, "query"), "1005")); /* SALE_LOCKED */
    ck_assert_int_eq(judge_number(chain, "waiting"), TWO);
    ck_assert_int_eq(cJSON_GetArraySize(waiters), TWO);
    long long pids[TWO];
    for (int i = 0; i < TWO; i++) {
        const cJSON *waiter = cJSON_GetArrayItem(waiters, i);
        judge_session(waiter, true);
        ck_assert_str_eq(judge_text(waiter, "state"), "active");
        ck_assert_str_eq(judge_text(waiter, "wait_event_type"), "Lock");
        ck_assert_int_gt(cJSON_GetArraySize(member(waiter, "blocked_by")), 0);
        pids[i] = judge_number(waiter, "pid");
        ck_assert_int_ne(pids[i], store_holder());
    }
    ck_assert_int_ne(pids[0], pids[1]);
    const cJSON *first = member(cJSON_GetArrayItem(waiters, 0), "blocked_by");
    const cJSON *second = member(cJSON_GetArrayItem(waiters, 1), "blocked_by");
    ck_assert_msg(holds_number(first, store_holder()),
                  "the first waiter does not wait for the root");
    ck_assert_msg(holds_number(second, pids[0]), "the second does not wait for the first");
    cJSON_Delete(locks);
    store_unlock();
    receive_crowd(TWO);
}
END_TEST

/* The orders that the target works on at once. */
static int orders_at_once(void)
{
    return contract.phase < 3 ? contract.db_pool : contract.db_workers;
}

START_TEST(the_exhausted_pool_can_be_looked_at)
{
    int busy = orders_at_once();
    if (busy == 0 || busy + FURTHER > CROWD_MAX) {
        return; /* the settings are not known */
    }
    cJSON *locks = lock_and_look(busy + FURTHER, busy);
    const cJSON *chain = cJSON_GetArrayItem(member(locks, "chains"), 0);
    ck_assert_int_eq(judge_number(member(chain, "root"), "pid"), store_holder());
    ck_assert_int_eq(judge_number(chain, "waiting"), busy);
    if (contract.phase < FIRST_CACHED) {
        ck_assert_int_eq(admin_pool_sum("in_use"), busy);
        ck_assert_int_eq(admin_pool_sum("waiters"), contract.phase < 3 ? FURTHER : 0);
    }
    const char *pool = contract.phase < FIRST_CACHED ? "" : "pool=\"orders\"";
    ck_assert_int_eq((int)admin_metric("flashdeal_db_pool_in_use", pool), busy);
    cJSON_Delete(locks);
    store_unlock();
    receive_crowd(busy + FURTHER);
}
END_TEST

START_TEST(each_read_is_one_acquisition)
{
    long long before = admin_pool_sum("acquired");
    for (int i = 0; i < READS; i++) {
        ck_assert_int_eq(client_get_sale(SALE_SEEDED)->status, 200);
    }
    ck_assert_int_eq(admin_pool_sum("acquired"), before + READS);
}
END_TEST

START_TEST(the_pools_figures_add_up)
{
    if (contract.db_pool != 0) {
        ck_assert_int_eq(admin_pool_sum("size"), contract.db_pool);
    }
    cJSON *reply = admin_json("/debug/pool");
    const cJSON *pool;
    cJSON_ArrayForEach(pool, member(reply, "pools"))
    {
        long long in_use = judge_number(pool, "in_use");
        ck_assert_str_ne(judge_text(pool, "name"), "");
        ck_assert_int_ge(in_use, 0);
        ck_assert_int_le(in_use, judge_number(pool, "size"));
        ck_assert_int_ge(judge_number(pool, "connects"), in_use);
        ck_assert_int_ge(judge_number(pool, "waiters"), 0);
        ck_assert_int_ge(judge_number(pool, "timed_out"), 0);
        ck_assert_int_le(judge_number(pool, "discarded"), judge_number(pool, "acquired"));
    }
    cJSON_Delete(reply);
}
END_TEST

/* Of a figure, over all pools. */
static long long sum_of(const cJSON *reply, const char *figure)
{
    long long sum = 0;
    const cJSON *pool;
    cJSON_ArrayForEach(pool, member(reply, "pools"))
    {
        sum += judge_number(pool, figure);
    }
    return sum;
}

START_TEST(pool_and_metrics_agree)
{
    static const char *const names[][2] = {
        {"size", "flashdeal_db_pool_size"},
        {"in_use", "flashdeal_db_pool_in_use"},
        {"waiters", "flashdeal_db_pool_waiters"},
        {"acquired", "flashdeal_db_pool_acquired_total"},
        {"timed_out", "flashdeal_db_pool_timeouts_total"},
        {"connects", "flashdeal_db_pool_connects_total"},
        {"discarded", "flashdeal_db_pool_discarded_total"},
    };
    /* From phase 4 on the target reads its sales meanwhile: what is counted lies between. */
    const bool is_quiet = contract.phase < FIRST_CACHED;
    struct exposition *before = admin_scrape();
    cJSON *reply = admin_json("/debug/pool");
    struct exposition *after = is_quiet ? before : admin_scrape();
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        long long figure = sum_of(reply, names[i][0]);
        if (is_quiet || strstr(names[i][1], "_total") != NULL || i == 0) {
            ck_assert_int_ge(figure, (long long)exposition_sum(before, names[i][1], ""));
            ck_assert_int_le(figure, (long long)exposition_sum(after, names[i][1], ""));
        }
    }
    cJSON_Delete(reply);
    exposition_free(before);
    if (!is_quiet) {
        exposition_free(after);
    }
}
END_TEST

/* Whoever holds all threads of the one listener holds none of the other's, and only until the
 * deadline. */
START_TEST(silence_on_the_admin_listener_costs_the_public_one_nothing)
{
    for (int i = 0; i < 2 * ADMIN_THREADS; i++) {
        struct wire *wire = wire_open(ADMIN);
        if (i % 2 == 0) {
            wire_send(wire, "GET /me", 7);
        }
    }
    int64_t started_ns = clock_now_ns();
    ck_assert_int_eq(client_get("/health")->status, 200);
    ck_assert_int_lt((clock_now_ns() - started_ns) / CLOCK_NS_PER_MS, contract.read_timeout_ms);
    ck_assert_int_eq(admin_get("/debug/pool")->status, 200);
}
END_TEST

/* Two scrapers that keep their connections would have all threads for themselves. */
START_TEST(a_scraper_holds_no_thread_between_two_scrapes)
{
    ck_assert(reply_announces_close(admin_get("/metrics")));
    ck_assert(reply_announces_close(admin_get("/debug/locks")));
}
END_TEST

void good_admin_add(Suite *suite)
{
    const struct contract_test tests[] = {
        {"nobody waits when nothing is locked", nobody_waits_when_nothing_is_locked, 2, 0,
         NEEDS_ADMIN},
        {"the root is found behind those who wait", the_root_is_found_behind_those_who_wait, 2, 0,
         NEEDS_ADMIN | NEEDS_DATABASE},
        {"the exhausted pool can be looked at", the_exhausted_pool_can_be_looked_at, 2, 0,
         NEEDS_ADMIN | NEEDS_DATABASE},
        {"each read is one acquisition", each_read_is_one_acquisition, 2, 4, NEEDS_ADMIN},
        {"the pool's figures add up", the_pools_figures_add_up, 2, 0, NEEDS_ADMIN},
        {"/debug/pool and /metrics agree", pool_and_metrics_agree, 2, 0, NEEDS_ADMIN},
        {"a scraper holds no thread between two scrapes",
         a_scraper_holds_no_thread_between_two_scrapes, 2, 0, NEEDS_ADMIN | NEEDS_DATABASE},
        {"silence on the admin listener costs the public one nothing",
         silence_on_the_admin_listener_costs_the_public_one_nothing, 2, 0, NEEDS_ADMIN},
    };
    contract_add_tests(suite, tests, sizeof(tests) / sizeof(tests[0]));
}
