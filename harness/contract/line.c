/* line: orders of SALE_LINE that wait, with the row in the suite's hands. */
#include "harness/contract/line.h"

#include <check.h>
#include <string.h>

#include "common/clock.h"
#include "common/uuid.h"
#include "harness/contract/admin.h"
#include "harness/contract/client.h"
#include "harness/contract/contract.h"
#include "harness/contract/judge.h"
#include "harness/contract/outcome.h"
#include "harness/contract/store.h"

enum { LENGTH_MAX = 128, POLL_MS = 10, FIRST_ASYNC = 4 };

static struct {
    char id[UUID_TEXT_SIZE];
    long long user;
} line[LENGTH_MAX];
static int length;

static void add(int count)
{
    ck_assert_int_le(length + count, LENGTH_MAX);
    for (int i = 0; i < count; i++, length++) {
        line[length].user = client_new_user();
        cJSON *order = judge_object(client_order(SALE_LINE, line[length].user, 1), 202);
        memcpy(line[length].id, judge_text(order, "order_id"), UUID_TEXT_SIZE);
        cJSON_Delete(order);
    }
}

void line_settle(void)
{
    int64_t deadline_ns = clock_deadline_ns(CONTRACT_PATIENCE_MS);
    if (contract.phase < FIRST_ASYNC || contract.at[ADMIN].host[0] == '\0') {
        return;
    }
    while (admin_metric("flashdeal_order_queue_length", "") +
               admin_metric("flashdeal_order_queue_unacked", "") >
           0) {
        ck_assert_msg(clock_now_ns() < deadline_ns, "the line does not empty");
        clock_sleep_until(clock_deadline_ns(POLL_MS));
    }
}

void line_occupy(void)
{
    line_settle();
    length = 0;
    store_lock(SALE_LINE);
    add(contract.db_workers);
    ck_assert_msg(store_await_waiters(contract.db_workers, CONTRACT_PATIENCE_MS),
                  "not every worker has an order");
}

void line_fill(void)
{
    line_occupy();
    add(contract.queue_max);
}

void line_empty(void)
{
    struct outcome outcome;
    store_unlock();
    for (int i = 0; i < length; i++) {
        outcome_await(line[i].id, line[i].user, &outcome);
        ck_assert_str_eq(outcome.state, "confirmed");
    }
}

int line_length(void)
{
    return length;
}

const char *line_id(int i)
{
    return line[i].id;
}

long long line_user(int i)
{
    return line[i].user;
}
