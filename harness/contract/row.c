/* row: sends the rows of the tables and judges what comes back.
 *
 * Every row is a Check case of its own, named after the row. A row's bytes are made in two steps:
 * body first, because the head may state its length. What the suite adds to each is the same: a
 * reply in time, a connection that does what it said, a server that lives and serves others. */
#include "harness/contract/row.h"

#include <check.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/tests/harness.h"
#include "harness/contract/contract.h"
#include "harness/contract/message.h"
#include "harness/contract/wire.h"

enum {
    PRIMED_MAX = 80,         /* connections that go before a row that asks for it, at most */
    PRIMED_PERCENT = 83,     /* of the server's threads */
    DRIPS_PER_DEADLINE = 20, /* a dripped byte comes this often within READ_TIMEOUT_MS */
    EARLY_MS = 50,           /* clocks and scheduling, at the lower bound of a deadline */
};

/* What each listener always answers. */
static const struct text ALIVE[LISTENER_COUNT] = {
    [PUBLIC] = TEXT("GET /health HTTP/1.1\r\n" HOST "\r\n"),
    [ADMIN] = TEXT("GET /debug/pool HTTP/1.1\r\n" HOST "\r\n"),
};

/* Another client's two requests, sent at once: the first ROW_OTHERS_BYTES long, the second shorter.
 * A server that moves the second to the front of its buffer leaves it whole, its secret in it, at
 * that offset, where blanks of that length lead a careless parser. */
static const char OTHERS_FIRST[] = "GET /health HTTP/1.1\r\n" HOST "X-Pad: <<repeat>>\r\n\r\n";
static const char OTHERS_SECOND[] =
    "GET /health HTTP/1.1\r\n" HOST "Authorization: Bearer " CANARY "\r\n\r\n";

static void send_row(const struct row *row, struct wire *wire, const struct message *head,
                     const struct message *body)
{
    int slow_ms = contract.read_timeout_ms / DRIPS_PER_DEADLINE;
    int64_t give_up_ns = clock_deadline_ns(contract.read_timeout_ms + CONTRACT_SLACK_MS);
    switch (row->pace) {
    case AT_ONCE:
        wire_send(wire, head->bytes, head->length);
        wire_send(wire, body->bytes, body->length);
        return;
    case DRIPPED_HEAD:
        wire_drip(wire, head->bytes, head->length, slow_ms, give_up_ns);
        return;
    case DRIPPED_BODY:
        wire_send(wire, head->bytes, head->length);
        wire_drip(wire, body->bytes, body->length, slow_ms, give_up_ns);
        return;
    case IN_PIECES:
        wire_drip(wire, head->bytes, head->length, 0, give_up_ns);
        wire_drip(wire, body->bytes, body->length, 0, give_up_ns);
        return;
    case AFTER_100_CONTINUE:
        wire_send(wire, head->bytes, head->length);
        ck_assert_msg(wire_await_continue(wire, clock_deadline_ns(CONTRACT_PATIENCE_MS)),
                      "no 100 Continue came");
        wire_send(wire, body->bytes, body->length);
        return;
    case WITHOUT_BODY:
        wire_send(wire, head->bytes, head->length);
        return;
    }
}

/* Writes both requests of another client. */
static void expand_others(struct message *requests)
{
    static const struct text first = TEXT(OTHERS_FIRST), second = TEXT(OTHERS_SECOND);
    static struct message tail;
    struct row pad = {.repeat = "x"};
    message_expand(requests, &pad, first, 0);
    ck_assert_int_lt((int)requests->length, ROW_OTHERS_BYTES);
    pad.times = ROW_OTHERS_BYTES - (int)requests->length;
    message_expand(requests, &pad, first, 0);
    message_expand(&tail, &pad, second, 0);
    ck_assert_int_le((int)tail.length, ROW_OTHERS_BYTES);
    message_append(requests, tail.bytes, tail.length);
}

/* Other clients are served, so many that most of the server's threads have served one. */
static void serve_others(void)
{
    static struct message requests;
    static struct reply reply;
    struct wire *others[PRIMED_MAX];
    int most = contract.threads * PRIMED_PERCENT / 100;
    int count = most < 1 ? 1 : most > PRIMED_MAX ? PRIMED_MAX : most;
    expand_others(&requests);
    for (int i = 0; i < count; i++) {
        others[i] = wire_open(PUBLIC);
    }
    for (int i = 0; i < count; i++) {
        wire_send(others[i], requests.bytes, requests.length);
    }
    for (int i = 0; i < 2 * count; i++) {
        enum wire_result result =
            wire_receive(others[i / 2], false, clock_deadline_ns(CONTRACT_PATIENCE_MS), &reply);
        ck_assert_msg(result == WIRE_REPLY, "another client got %s", wire_result_name(result));
        judge_reply("other client", requests.bytes, requests.length, &reply);
    }
    for (int i = 0; i < count; i++) {
        wire_close(others[i]);
    }
}

static bool is_expected(const struct row *row, int status, const char *code)
{
    for (size_t i = 0; i < ROW_EXPECT_MAX && row->expect[i].status != 0; i++) {
        const struct expectation *expected = &row->expect[i];
        if (expected->status == status &&
            (expected->code == NULL || (code != NULL && strcmp(expected->code, code) == 0))) {
            return true;
        }
    }
    return false;
}

static void judge_expected(const struct row *row, enum wire_result result,
                           const struct reply *reply)
{
    if (result == WIRE_CLOSED) {
        ck_assert_msg(is_expected(row, CLOSED_SILENTLY, NULL), "%s: closed without a reply, not %d",
                      row->name, row->expect[0].status);
        return;
    }
    ck_assert_msg(result == WIRE_REPLY, "%s: %s", row->name, wire_result_name(result));
    cJSON *problem = reply->status >= 400 && !reply->to_head ? cJSON_Parse(reply->body) : NULL;
    const char *code = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(problem, "code"));
    const struct expectation *first = &row->expect[0];
    ck_assert_msg(is_expected(row, reply->status, reply->to_head ? first->code : code),
                  "%s: %d %s, not %d %s", row->name, reply->status, code != NULL ? code : "",
                  first->status, first->code != NULL ? first->code : "");
    cJSON_Delete(problem);
}

static void judge_time(const struct row *row, int64_t started_ns)
{
    int64_t took_ms = (clock_now_ns() - started_ns) / CLOCK_NS_PER_MS;
    int64_t most_ms = contract.read_timeout_ms + CONTRACT_SLACK_MS;
    if (row->at_deadline) {
        ck_assert_msg(took_ms >= contract.read_timeout_ms / 2 - EARLY_MS && took_ms <= most_ms,
                      "%s: the reply took %" PRId64 " ms with READ_TIMEOUT_MS=%d", row->name,
                      took_ms, contract.read_timeout_ms);
    }
}

/* Whether the target may have ended the connection as idle since the row's request was sent. */
static bool may_be_idle(int64_t started_ns)
{
    int64_t since_ms = (clock_now_ns() - started_ns) / CLOCK_NS_PER_MS;
    return since_ms >= contract.read_timeout_ms / 2 - EARLY_MS;
}

static void ask_alive(struct wire *wire, const char *test)
{
    static struct message request;
    static struct reply reply;
    const struct row plain = {.listener = wire->listener};
    message_expand(&request, &plain, ALIVE[wire->listener], 0);
    wire_send(wire, request.bytes, request.length);
    enum wire_result result =
        wire_receive(wire, false, clock_deadline_ns(CONTRACT_PATIENCE_MS), &reply);
    ck_assert_msg(result == WIRE_REPLY && reply.status == 200,
                  "%s: a good request afterwards got %s, status %d", test, wire_result_name(result),
                  reply.status);
    judge_reply(test, request.bytes, request.length, &reply);
}

static void judge_connection(const struct row *row, struct wire *wire, enum wire_result result,
                             const struct reply *reply, int64_t started_ns)
{
    bool announced = result == WIRE_REPLY && reply_announces_close(reply);
    if (row->connection == CLOSES || announced) {
        ck_assert_msg(row->connection != STAYS, "%s: the connection closes", row->name);
        ck_assert_msg(announced || result == WIRE_CLOSED, "%s: no Connection: close in the reply",
                      row->name);
        ck_assert_msg(wire_ends(wire, clock_deadline_ns(CONTRACT_PATIENCE_MS)),
                      "%s: the connection stays open, or more came: %.*s", row->name,
                      (int)wire->used, wire->buffer);
        return;
    }
    /* On a busy machine: the new connection that follows is then the proof that it serves. */
    if (may_be_idle(started_ns) && wire_ends(wire, clock_now_ns())) {
        return;
    }
    ask_alive(wire, row->name);
}

static void run_row(const struct row *row)
{
    static struct message head, body;
    static struct reply reply;
    test_subject = row->name;
    if (row->after_others) {
        serve_others();
    }
    message_expand(&body, row, row->body, 0);
    message_expand(&head, row, row->head, body.length);
    struct wire *wire = wire_open(row->listener);
    int64_t started_ns = clock_now_ns();
    send_row(row, wire, &head, &body);
    int64_t patience_ms = contract.read_timeout_ms + CONTRACT_PATIENCE_MS;
    enum wire_result result =
        wire_receive(wire, row->to_head, clock_deadline_ns(patience_ms), &reply);
    judge_time(row, started_ns);
    if (result == WIRE_REPLY) {
        judge_reply(row->name, head.bytes, head.length, &reply);
    }
    judge_expected(row, result, &reply);
    ck_assert_msg(!row->no_continue || !reply.continued, "%s: 100 Continue came", row->name);
    judge_connection(row, wire, result, &reply, started_ns);
    wire_close(wire);
    wire = wire_open(row->listener);
    ask_alive(wire, row->name);
    wire_close(wire);
}

/* ------------------------------------------------------------------------------------------ */

static const struct row_table *const tables[] = {
    &rows_framing, &rows_slow, &rows_routes, &rows_length, &rows_json,
    &rows_fields,  &rows_auth, &rows_wait,   &rows_key,    &rows_admin};

/* The i-th row of all tables. */
static const struct row *find_row(size_t i)
{
    for (size_t table = 0; table < sizeof(tables) / sizeof(tables[0]); table++) {
        if (i < tables[table]->count) {
            return &tables[table]->rows[i];
        }
        i -= tables[table]->count;
    }
    return NULL;
}

START_TEST(row)
{
    run_row(find_row((size_t)_i));
}
END_TEST

void rows_add(Suite *suite)
{
    const struct row *row_i = NULL;
    for (int i = 0; (row_i = find_row((size_t)i)) != NULL; i++) {
        if (contract_applies(row_i->from, row_i->until, row_i->needs)) {
            tcase_add_loop_test(contract_add_case(suite, row_i->name), row, i, i + 1);
        }
    }
}
