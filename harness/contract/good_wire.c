/* good_wire: what a well-behaved client may do with a connection: keep it, fill it ahead of the
 * replies, end it, or hold it open and say nothing. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "harness/contract/contract.h"
#include "harness/contract/judge.h"
#include "harness/contract/key.h"
#include "harness/contract/token.h"
#include "harness/contract/wire.h"

enum { REQUEST_SIZE = 2048, KEPT_ALIVE = 50, SILENT = 20, PIPELINED = 30, ORDERING_USER = 7 };

static const char ORDER[] = "{\"sale_id\":999999999,\"user_id\":7,\"quantity\":1}";

/* Appends a request to text, whose size is REQUEST_SIZE. */
static void add_request(char *text, const char *line, const char *headers, const char *body)
{
    size_t used = strlen(text);
    int written = snprintf(text + used, REQUEST_SIZE - used, "%s HTTP/1.1\r\nHost: %s\r\n%s\r\n%s",
                           line, contract.at[PUBLIC].authority, headers, body);
    ck_assert(written > 0 && (size_t)written < REQUEST_SIZE - used);
}

/* Receives a reply, judges it, and expects the status; code NULL: it is no problem. */
static const struct reply *expect(struct wire *wire, const char *line, int status, const char *code)
{
    static struct reply reply;
    char head[REQUEST_SIZE] = "";
    add_request(head, line, "", "");
    bool to_head = strncmp(line, "HEAD ", 5) == 0;
    enum wire_result result =
        wire_receive(wire, to_head, clock_deadline_ns(CONTRACT_PATIENCE_MS), &reply);
    ck_assert_msg(result == WIRE_REPLY, "%s: %s", line, wire_result_name(result));
    judge_reply(line, head, strlen(head), &reply);
    ck_assert_msg(reply.status == status, "%s: %d, not %d", line, reply.status, status);
    if (code != NULL && !to_head) {
        judge_problem(&reply, status, code);
    }
    return &reply;
}

START_TEST(connection_serves_many_requests)
{
    struct wire *wire = wire_open(PUBLIC);
    for (int i = 0; i < KEPT_ALIVE; i++) {
        char request[REQUEST_SIZE] = "";
        add_request(request, "GET /health", "", "");
        ck_assert(wire_send(wire, request, strlen(request)));
        ck_assert(!reply_announces_close(expect(wire, "GET /health", 200, NULL)));
    }
}
END_TEST

START_TEST(pipelined_requests_are_answered_in_order)
{
    char request[REQUEST_SIZE] = "";
    struct wire *wire = wire_open(PUBLIC);
    add_request(request, "GET /health", "", "");
    add_request(request, "GET /sales/1", "", "");
    add_request(request, "GET /nothing", "", "");
    add_request(request, "GET /sales/999999999", "", "");
    add_request(request, "GET /health", "", "");
    ck_assert(wire_send(wire, request, strlen(request)));
    expect(wire, "GET /health", 200, NULL);
    ck_assert(strstr(expect(wire, "GET /sales/1", 200, NULL)->body, "stock_left") != NULL);
    expect(wire, "GET /nothing", 404, "not_found");
    expect(wire, "GET /sales/999999999", 404, "sale_not_found");
    expect(wire, "GET /health", 200, NULL);
}
END_TEST

START_TEST(many_pipelined_requests_are_all_answered)
{
    char request[REQUEST_SIZE] = "";
    struct wire *wire = wire_open(PUBLIC);
    for (int i = 0; i < PIPELINED; i++) {
        add_request(request, i % 2 == 0 ? "GET /health" : "GET /nothing", "", "");
    }
    ck_assert(wire_send(wire, request, strlen(request)));
    for (int i = 0; i < PIPELINED; i++) {
        bool even = i % 2 == 0;
        expect(wire, even ? "GET /health" : "GET /nothing", even ? 200 : 404,
               even ? NULL : "not_found");
    }
}
END_TEST

START_TEST(pipelined_orders_keep_their_bodies)
{
    char headers[REQUEST_SIZE], token[TOKEN_LINE_SIZE], request[REQUEST_SIZE] = "";
    char key[KEY_LINE_SIZE];
    struct wire *wire = wire_open(PUBLIC);
    token_field(ORDERING_USER, token);
    key_field(key);
    snprintf(headers, sizeof(headers),
             "Content-Type: application/json\r\n%s%s%s%sContent-Length: %zu\r\n", token,
             token[0] != '\0' ? "\r\n" : "", key, key[0] != '\0' ? "\r\n" : "", strlen(ORDER));
    add_request(request, "POST /orders", headers, ORDER);
    add_request(request, "GET /health", "", "");
    add_request(request, "POST /orders", headers, ORDER);
    add_request(request, "GET /nothing", "", "");
    ck_assert(wire_send(wire, request, strlen(request)));
    expect(wire, "POST /orders", 404, "sale_not_found");
    expect(wire, "GET /health", 200, NULL);
    expect(wire, "POST /orders", 404, "sale_not_found");
    expect(wire, "GET /nothing", 404, "not_found");
}
END_TEST

/* What follows a refused request on its connection is not a request: it may be the refused body. */
START_TEST(nothing_is_answered_after_a_refused_body)
{
    char request[REQUEST_SIZE] = "";
    struct wire *wire = wire_open(PUBLIC);
    add_request(request, "POST /nothing", "Content-Length: 60\r\n", "");
    add_request(request, "GET /health", "", "");
    wire_send(wire, request, strlen(request));
    ck_assert(reply_announces_close(expect(wire, "POST /nothing", 404, "not_found")));
    ck_assert(wire_ends(wire, clock_deadline_ns(CONTRACT_PATIENCE_MS)));
}
END_TEST

START_TEST(head_has_no_body_and_keeps_the_connection_whole)
{
    char request[REQUEST_SIZE] = "";
    struct wire *wire = wire_open(PUBLIC);
    add_request(request, "HEAD /health", "", "");
    add_request(request, "GET /health", "", "");
    ck_assert(wire_send(wire, request, strlen(request)));
    const struct reply *reply = expect(wire, "HEAD /health", 405, NULL);
    ck_assert_str_eq(reply_header(reply, "Allow"), "GET");
    if (!reply_announces_close(reply)) {
        expect(wire, "GET /health", 200, NULL);
    }
}
END_TEST

START_TEST(connection_close_is_honoured)
{
    char request[REQUEST_SIZE] = "";
    struct wire *wire = wire_open(PUBLIC);
    add_request(request, "GET /health", "Connection: close\r\n", "");
    ck_assert(wire_send(wire, request, strlen(request)));
    ck_assert(reply_announces_close(expect(wire, "GET /health", 200, NULL)));
    ck_assert(wire_ends(wire, clock_deadline_ns(CONTRACT_PATIENCE_MS)));
}
END_TEST

START_TEST(half_closed_client_still_gets_its_reply)
{
    char request[REQUEST_SIZE] = "";
    struct wire *wire = wire_open(PUBLIC);
    add_request(request, "GET /health", "", "");
    ck_assert(wire_send(wire, request, strlen(request)));
    wire_finish(wire);
    expect(wire, "GET /health", 200, NULL);
}
END_TEST

START_TEST(silent_connections_cost_others_nothing)
{
    struct wire *others[SILENT];
    for (size_t i = 0; i < SILENT; i++) {
        others[i] = wire_open(PUBLIC);
        if (i % 2 == 0) {
            wire_send(others[i], "GET /hea", 8);
        }
    }
    struct wire *wire = wire_open(PUBLIC);
    char request[REQUEST_SIZE] = "";
    add_request(request, "GET /health", "", "");
    ck_assert(wire_send(wire, request, strlen(request)));
    int64_t started_ns = clock_now_ns();
    expect(wire, "GET /health", 200, NULL);
    ck_assert_int_lt((clock_now_ns() - started_ns) / CLOCK_NS_PER_MS, contract.read_timeout_ms);
}
END_TEST

void good_wire_add(Suite *suite)
{
    const struct contract_test tests[] = {
        {"a connection serves many requests", connection_serves_many_requests, 0, 0, NEEDS_NOTHING},
        {"pipelined requests are answered in order", pipelined_requests_are_answered_in_order, 0, 0,
         NEEDS_NOTHING},
        {"many pipelined requests are all answered", many_pipelined_requests_are_all_answered, 0, 0,
         NEEDS_NOTHING},
        {"pipelined orders keep their bodies", pipelined_orders_keep_their_bodies, 1, 0,
         NEEDS_NOTHING},
        {"nothing is answered after a refused body", nothing_is_answered_after_a_refused_body, 0, 0,
         NEEDS_NOTHING},
        {"HEAD has no body", head_has_no_body_and_keeps_the_connection_whole, 0, 0, NEEDS_NOTHING},
        {"Connection: close is honoured", connection_close_is_honoured, 0, 0, NEEDS_NOTHING},
        {"a half-closed client gets its reply", half_closed_client_still_gets_its_reply, 0, 0,
         NEEDS_NOTHING},
        {"silent connections cost others nothing", silent_connections_cost_others_nothing, 0, 0,
         NEEDS_NOTHING},
    };
    contract_add_tests(suite, tests, sizeof(tests) / sizeof(tests[0]));
}
