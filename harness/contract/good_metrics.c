/* good_metrics: /metrics counts what was sent, to the request, and its times add up (from phase 2).
 *
 * What a reply stands for is booked when it has been sent, so a figure is awaited from below, and
 * then must be exact. The suite is the only client: nothing else is counted meanwhile. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "harness/contract/admin.h"
#include "harness/contract/client.h"
#include "harness/contract/contract.h"
#include "harness/contract/crowd.h"
#include "harness/contract/judge.h"
#include "harness/contract/store.h"
#include "harness/contract/timing.h"
#include "harness/contract/wire.h"

enum { KINDS = 8, SALES_READ = 3, ORDERS = 20, ROUNDS = 6, HELD_MS = 200, LABELS_SIZE = 256 };

static const char REQUESTS[] = "flashdeal_http_requests_total";
static const char DURATION_COUNT[] = "flashdeal_http_request_duration_seconds_count";
static const char DURATION_SUM[] = "flashdeal_http_request_duration_seconds_sum";
static const char STAGE_SUM[] = "flashdeal_http_stage_duration_seconds_sum";
static const char STAGE_COUNTED[] = "flashdeal_http_stage_duration_seconds_count";

static const double ROUNDING_S = 1e-6; /* of a sum, for each request in it */

/* Requests, and where each is counted. */
static const struct {
    const char *method, *path, *body;
    int times;
    const char *labels;
} sent[KINDS] = {
    {NULL, "/health", NULL, 7, "method=\"GET\",path=\"/health\",status=\"200\",outcome=\"ok\""},
    {NULL, "/sales/1", NULL, SALES_READ,
     "method=\"GET\",path=\"/sales/{}\",status=\"200\",outcome=\"ok\""},
    {NULL, "/sales/999999999", NULL, 2,
     "method=\"GET\",path=\"/sales/{}\",status=\"404\",outcome=\"sale_not_found\""},
    {NULL, "/sales/x", NULL, 1,
     "method=\"GET\",path=\"/sales/{}\",status=\"400\",outcome=\"invalid_sale_id\""},
    {NULL, "/nothing", NULL, 2,
     "method=\"other\",path=\"other\",status=\"404\",outcome=\"not_found\""},
    {"DELETE", "/health", NULL, 1, "status=\"405\",outcome=\"method_not_allowed\""},
    {NULL, "/orders", "{\"sale_id\":0,\"user_id\":7,\"quantity\":1}", 2,
     "method=\"POST\",path=\"/orders\",status=\"400\",outcome=\"invalid_sale_id\""},
    {NULL, "/orders", "{\"sale_id\":999999999,\"user_id\":7,\"quantity\":1}", 1,
     "method=\"POST\",path=\"/orders\",status=\"404\",outcome=\"sale_not_found\""},
};

/* Bytes that are no request at all. */
static void send_junk(void)
{
    static struct reply reply;
    static const char junk[] = "junk\r\n\r\n";
    struct wire *wire = wire_open(PUBLIC);
    ck_assert(wire_send(wire, junk, sizeof(junk) - 1));
    ck_assert(wire_receive(wire, false, clock_deadline_ns(CONTRACT_PATIENCE_MS), &reply) ==
              WIRE_REPLY);
    judge_reply("junk", junk, sizeof(junk) - 1, &reply);
    wire_close(wire);
}

static int send_all(void)
{
    int count = 1;
    for (int i = 0; i < KINDS; i++) {
        for (int j = 0; j < sent[i].times; j++) {
            client_send(&(const struct client_request){.method = sent[i].method,
                                                       .path = sent[i].path,
                                                       .body = sent[i].body,
                                                       .user = sent[i].body != NULL ? 7 : 0});
            count++;
        }
    }
    send_junk();
    return count;
}

/* All that was sent before is booked: counts and histograms agree, and stay. */
static struct exposition *quiet_scrape(void)
{
    int64_t deadline_ns = clock_deadline_ns(CONTRACT_PATIENCE_MS);
    double before = -1;
    for (;;) {
        struct exposition *e = admin_scrape();
        double now = exposition_sum(e, DURATION_COUNT, "");
        if (fabs(now - before) <= 0 && fabs(now - exposition_sum(e, REQUESTS, "")) <= 0) {
            return e;
        }
        before = now;
        exposition_free(e);
        ck_assert_msg(clock_now_ns() < deadline_ns,
                      "requests_total and the histogram's counts do not agree");
        clock_sleep_until(clock_deadline_ns(50));
    }
}

START_TEST(every_request_is_counted_once)
{
    struct exposition *before = quiet_scrape();
    int count = send_all();
    double expected = exposition_sum(before, REQUESTS, "") + count;
    ck_assert_double_eq(admin_await_metric(REQUESTS, "", expected), expected);
    struct exposition *after = quiet_scrape();
    for (int i = 0; i < KINDS; i++) {
        double rise = exposition_sum(after, REQUESTS, sent[i].labels) -
                      exposition_sum(before, REQUESTS, sent[i].labels);
        ck_assert_msg(fabs(rise - sent[i].times) <= 0, "%s rose by %.0f, not %d", sent[i].labels,
                      rise, sent[i].times);
    }
    static const char junk[] =
        "method=\"other\",path=\"other\",status=\"400\",outcome=\"bad_request\"";
    ck_assert_double_eq(exposition_sum(after, REQUESTS, junk),
                        exposition_sum(before, REQUESTS, junk) + 1);
    ck_assert_double_eq(exposition_sum(after, REQUESTS, ""), expected);
    exposition_free(before);
    exposition_free(after);
}
END_TEST

/* Of each route: as many durations as requests, and as many of each stage. */
START_TEST(every_count_of_a_route_is_the_same)
{
    char route[LABELS_SIZE];
    const char *labels = NULL;
    struct exposition *e = quiet_scrape();
    for (int i = 0; (labels = exposition_labels(e, DURATION_COUNT, i)) != NULL; i++) {
        double requests = exposition_sum(e, REQUESTS, labels);
        ck_assert_msg(requests > 0, "%s has no requests", labels);
        ck_assert_msg(fabs(exposition_sum(e, DURATION_COUNT, labels) - requests) <= 0,
                      "%s: %.0f requests, %.0f durations", labels, requests,
                      exposition_sum(e, DURATION_COUNT, labels));
    }
    ck_assert_int_gt(exposition_count(e, STAGE_COUNTED, ""), 0);
    for (int i = 0; (labels = exposition_labels(e, STAGE_COUNTED, i)) != NULL; i++) {
        const char *stage = strstr(labels, ",stage=");
        ck_assert_msg(stage != NULL, "a stage's labels do not end in its name: %s", labels);
        snprintf(route, sizeof(route), "%.*s", (int)(stage - labels), labels);
        ck_assert_msg(fabs(exposition_sum(e, STAGE_COUNTED, labels) -
                           exposition_sum(e, DURATION_COUNT, route)) <= 0,
                      "%s is not counted as often as its requests", labels);
    }
    exposition_free(e);
}
END_TEST

static double rise_of(const struct exposition *before, const struct exposition *after,
                      const char *name, const char *labels)
{
    return exposition_sum(after, name, labels) - exposition_sum(before, name, labels);
}

/* Orders, one after the other. Returns how much of their time is in no stage with a name: 0.02. */
static double untimed_share(void)
{
    static const char orders[] = "method=\"POST\",path=\"/orders\"";
    static const char others[] = "method=\"POST\",path=\"/orders\",stage=\"other\"";
    struct exposition *before = quiet_scrape();
    for (int i = 0; i < ORDERS; i++) {
        ck_assert_int_eq(client_order(SALE_OPEN, client_new_user(), 1)->status, 201);
    }
    double expected = exposition_sum(before, REQUESTS, orders) + ORDERS;
    ck_assert_double_eq(admin_await_metric(REQUESTS, orders, expected), expected);
    struct exposition *after = quiet_scrape();
    double whole_s = rise_of(before, after, DURATION_SUM, orders);
    double parts_s = rise_of(before, after, STAGE_SUM, orders);
    double other_s = rise_of(before, after, STAGE_SUM, others);
    ck_assert_msg(whole_s > 0 && fabs(whole_s - parts_s) <= ORDERS * ROUNDING_S,
                  "%d orders took %.6f s, and their stages %.6f s", ORDERS, whole_s, parts_s);
    exposition_free(before);
    exposition_free(after);
    return other_s / whole_s;
}

/* Where the machine is busy a thread may be stopped between two stages: the best round counts. */
START_TEST(the_stages_add_up_to_the_request)
{
    const double most = contract.untimed_percent / 100.0;
    double least = untimed_share();
    for (int i = 1; i < ROUNDS && least > most; i++) {
        double share = untimed_share();
        least = share < least ? share : least;
    }
    ck_assert_msg(least <= most, "%.1f %% of an order's time is in no stage with a name",
                  100 * least);
}
END_TEST

/* Where the time went is said in the reply and in the metrics, and it is the lock. */
START_TEST(the_wait_for_a_row_is_told_as_such)
{
    static const char waits[] = "method=\"POST\",path=\"/orders\",stage=\"lock_wait\"";
    static struct crowd_order order;
    struct timing timing;
    struct exposition *before = quiet_scrape();
    store_lock(SALE_QUEUED);
    crowd_send(&order, SALE_QUEUED, client_new_user());
    ck_assert_msg(store_await_waiters(1, CONTRACT_PATIENCE_MS), "no order waits for the row");
    clock_sleep_until(clock_deadline_ns(HELD_MS));
    store_unlock();
    const struct reply *reply = crowd_receive(&order);
    ck_assert(timing_read(reply_header(reply, "Server-Timing"), &timing));
    ck_assert_msg(timing_ms(&timing, "lock_wait") >= HELD_MS, "lock_wait is %.3f ms",
                  timing_ms(&timing, "lock_wait"));
    struct exposition *after = quiet_scrape();
    double told_s = rise_of(before, after, STAGE_SUM, waits);
    ck_assert_msg(told_s * 1000 >= HELD_MS, "lock_wait rose by %.3f s", told_s);
    exposition_free(before);
    exposition_free(after);
}
END_TEST

START_TEST(the_process_is_told)
{
    char label[LABELS_SIZE];
    struct exposition *e = admin_scrape();
    snprintf(label, sizeof(label), "phase=\"%d\"", contract.phase);
    ck_assert_double_eq(exposition_sum(e, "flashdeal_build_info", label), 1);
    ck_assert(exposition_sum(e, "process_resident_memory_bytes", "") > 1e5);
    ck_assert(exposition_sum(e, "process_open_fds", "") >= 3);
    ck_assert(exposition_sum(e, "process_cpu_seconds_total", "") > 0);
    ck_assert(exposition_sum(e, "flashdeal_uptime_seconds", "") > 0);
    double started = exposition_sum(e, "process_start_time_seconds", "");
    double uptime = exposition_sum(e, "flashdeal_uptime_seconds", "");
    ck_assert_msg(fabs((double)time(NULL) - uptime - started) < 10, "started %.0f, up for %.0f s",
                  started, uptime);
    exposition_free(e);
}
END_TEST

/* What the reader of this suite must not let pass. */
START_TEST(the_reader_of_metrics_refuses_what_is_none)
{
#define HEAD(kind) "# HELP a_total x\n# TYPE a_total " kind "\n"
#define LADDER "# HELP b x\n# TYPE b histogram\n"
#define STEPS "b_bucket{le=\"1\"} 1\nb_bucket{le=\"+Inf\"} 2\n"
    static const char *const good[] = {
        HEAD("counter") "a_total 1\n", HEAD("counter") "a_total{x=\"1\"} 1\na_total{x=\"2\"} 0.5\n",
        LADDER STEPS "b_sum 3\nb_count 2\n",
        LADDER "b_bucket{x=\"1\",le=\"+Inf\"} 0\nb_sum{x=\"1\"} 0\nb_count{x=\"1\"} 0\n"};
    static const char *const bad[] = {
        "",
        "a 1\n",
        HEAD("counter"),
        HEAD("counter") "a_total 1",
        HEAD("counter") "a_total  1\n",
        HEAD("counter") "a_total one\n",
        HEAD("counter") "a_total -1\n",
        HEAD("counter") "a_total 1 1700000000000\n",
        HEAD("counter") "a_total 1\na_total 2\n",
        HEAD("counter") "b_total 1\n",
        HEAD("counter") "a_total{x=1} 1\n",
        HEAD("counter") "a_total{x=\"1\",} 1\n",
        HEAD("counter") "a_total{} 1\n",
        HEAD("counter") HEAD("counter") "a_total 1\n",
        HEAD("counter") "a_total 1\n" LADDER STEPS
                        "b_sum 3\nb_count 2\n" HEAD("counter") "a_total 1\n",
        HEAD("gauge") "a_total 1\n",
        HEAD("thing") "a_total 1\n",
        "# TYPE a gauge\na 1\n",
        "# HELP a x\na 1\n",
        "# HELP a x\n# TYPE a counter\na 1\n",
        LADDER STEPS "b_sum 3\n",
        LADDER STEPS "b_count 2\n",
        LADDER STEPS "b_sum 3\nb_count 3\n",
        LADDER "b_bucket{le=\"1\"} 1\nb_sum 3\nb_count 1\n",
        LADDER "b_bucket{le=\"1\"} 3\nb_bucket{le=\"+Inf\"} 2\nb_sum 3\nb_count 2\n",
        LADDER "b_bucket{le=\"2\"} 1\nb_bucket{le=\"1\"} 1\nb_bucket{le=\"+Inf\"} 2\nb_sum 3\n"
               "b_count 2\n",
        LADDER "b_bucket 1\nb_sum 3\nb_count 1\n",
        LADDER "b 1\n",
    };
    struct exposition *e = NULL;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        const char *wrong = exposition_read(good[i], &e);
        ck_assert_msg(wrong == NULL, "%s: %s", good[i], wrong);
        exposition_free(e);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(exposition_read(bad[i], &e) != NULL, "taken for metrics: %s", bad[i]);
    }
}
END_TEST

void good_metrics_add(Suite *suite)
{
    const struct contract_test tests[] = {
        {"the reader of metrics refuses what is none", the_reader_of_metrics_refuses_what_is_none,
         2, 0, NEEDS_ADMIN},
        {"every request is counted once", every_request_is_counted_once, 2, 0, NEEDS_ADMIN},
        {"every count of a route is the same", every_count_of_a_route_is_the_same, 2, 0,
         NEEDS_ADMIN},
        {"the stages add up to the request", the_stages_add_up_to_the_request, 2, 4,
         NEEDS_ADMIN | NEEDS_DATABASE},
        {"the wait for a row is told as such", the_wait_for_a_row_is_told_as_such, 2, 4,
         NEEDS_ADMIN | NEEDS_DATABASE},
        {"the process is told", the_process_is_told, 2, 0, NEEDS_ADMIN},
    };
    contract_add_tests(suite, tests, sizeof(tests) / sizeof(tests[0]));
}
