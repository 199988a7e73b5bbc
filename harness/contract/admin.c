/* admin: what the target's admin listener says.
 *
 * A connection for each question: the listener has two threads, and a connection that is kept holds
 * one of them. */
#include "harness/contract/admin.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "harness/contract/contract.h"
#include "harness/contract/judge.h"
#include "harness/contract/wire.h"

enum { REQUEST_SIZE = 512, POLL_MS = 10 };

const struct reply *admin_get(const char *path)
{
    static struct reply reply;
    char request[REQUEST_SIZE];
    snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
             path, contract.at[ADMIN].authority);
    struct wire *wire = wire_open(ADMIN);
    wire_send(wire, request, strlen(request));
    enum wire_result result =
        wire_receive(wire, false, clock_deadline_ns(CONTRACT_PATIENCE_MS), &reply);
    ck_assert_msg(result == WIRE_REPLY, "%s: %s", path, wire_result_name(result));
    wire_close(wire);
    judge_reply("admin", request, strlen(request), &reply);
    return &reply;
}

cJSON *admin_json(const char *path)
{
    return judge_object(admin_get(path), 200);
}

struct exposition *admin_scrape(void)
{
    struct exposition *exposition = NULL;
    const struct reply *reply = admin_get("/metrics");
    ck_assert_int_eq(reply->status, 200);
    ck_assert_uint_eq(strlen(reply->body), reply->body_length);
    const char *wrong = exposition_read(reply->body, &exposition);
    ck_assert_msg(wrong == NULL, "/metrics: %s", wrong);
    return exposition;
}

double admin_metric(const char *name, const char *labels)
{
    struct exposition *exposition = admin_scrape();
    double sum = exposition_sum(exposition, name, labels);
    exposition_free(exposition);
    return sum;
}

double admin_await_metric(const char *name, const char *labels, double value)
{
    int64_t deadline_ns = clock_deadline_ns(CONTRACT_PATIENCE_MS);
    double sum = admin_metric(name, labels);
    while (sum < value && clock_now_ns() < deadline_ns) {
        clock_sleep_until(clock_deadline_ns(POLL_MS));
        sum = admin_metric(name, labels);
    }
    return sum;
}

long long admin_pool_sum(const char *figure)
{
    long long sum = 0;
    cJSON *reply = admin_json("/debug/pool");
    const cJSON *pool, *pools = cJSON_GetObjectItemCaseSensitive(reply, "pools");
    ck_assert_msg(cJSON_GetArraySize(pools) > 0, "/debug/pool has no pools");
    cJSON_ArrayForEach(pool, pools)
    {
        sum += judge_number(pool, figure);
    }
    cJSON_Delete(reply);
    return sum;
}
