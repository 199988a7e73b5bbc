/* crowd: orders that are under way at the same time.
 *
 * The suite has one thread: it sends on many connections before it receives on any. */
#include "harness/contract/crowd.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "harness/contract/contract.h"
#include "harness/contract/judge.h"
#include "harness/contract/key.h"
#include "harness/contract/token.h"

static const char *line_end(const char *line)
{
    return line[0] != '\0' ? "\r\n" : "";
}

static void send_request(struct crowd_order *order)
{
    order->wire = wire_open(PUBLIC);
    order->sent_ns = clock_now_ns();
    ck_assert(wire_send(order->wire, order->request, strlen(order->request)));
}

static void send_order(struct crowd_order *order, const char *key, long sale, long long user,
                       int quantity)
{
    char body[128], token[TOKEN_LINE_SIZE];
    token_field(user, token);
    snprintf(body, sizeof(body), "{\"sale_id\":%ld,\"user_id\":%lld,\"quantity\":%d}", sale, user,
             quantity);
    snprintf(order->request, sizeof(order->request),
             "POST /orders HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"
             "%s%s%s%sContent-Length: %zu\r\n\r\n%s",
             contract.at[PUBLIC].authority, token, line_end(token), key, line_end(key),
             strlen(body), body);
    send_request(order);
}

void crowd_send(struct crowd_order *order, long sale, long long user)
{
    char key[KEY_LINE_SIZE];
    key_field(key);
    send_order(order, key, sale, user, 1);
}

void crowd_send_with(struct crowd_order *order, const char *key, long sale, long long user,
                     int quantity)
{
    char field[KEY_LINE_SIZE];
    key_field_of(key, field);
    send_order(order, field, sale, user, quantity);
}

void crowd_ask(struct crowd_order *order, const char *id, long long user, int wait_ms)
{
    char token[TOKEN_LINE_SIZE];
    token_field(user, token);
    snprintf(order->request, sizeof(order->request),
             "GET /orders/%s?wait_ms=%d HTTP/1.1\r\nHost: %s\r\n%s%s\r\n", id, wait_ms,
             contract.at[PUBLIC].authority, token, line_end(token));
    send_request(order);
}

const struct reply *crowd_try_receive(struct crowd_order *order, int64_t deadline_ns)
{
    static struct reply reply;
    enum wire_result result = wire_receive(order->wire, false, deadline_ns, &reply);
    if (result == WIRE_TIMEOUT) {
        return NULL;
    }
    ck_assert_msg(result == WIRE_REPLY, "%s", wire_result_name(result));
    size_t head_length = (size_t)(strstr(order->request, "\r\n\r\n") + 4 - order->request);
    judge_reply("crowd", order->request, head_length, &reply);
    crowd_abandon(order);
    return &reply;
}

const struct reply *crowd_receive(struct crowd_order *order)
{
    const struct reply *reply = crowd_try_receive(order, clock_deadline_ns(CONTRACT_PATIENCE_MS));
    ck_assert_msg(reply != NULL, "no reply in time");
    return reply;
}

void crowd_abandon(struct crowd_order *order)
{
    wire_close(order->wire);
    order->wire = NULL;
}
