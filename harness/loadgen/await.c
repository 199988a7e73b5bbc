/* await: asks for an accepted order until it is final, for at most --await-timeout-ms after the
 * acceptance, over the orders' connections.
 *
 * The poll is GET /orders/{id}?wait_ms=: the server holds it until the order is final, or half of
 * --timeout-ms has passed. So one poll is enough for most orders, the completion time is not late,
 * and awaiting costs a request per order and a connection for as long as it takes: in a big open
 * load await a small share. A server that says pending sooner than it was asked to (it knows no
 * wait_ms, or too many wait there) is asked again after a pause: 20 ms, doubling to 250 ms, and
 * with a Retry-After that long and a random part of 250 ms on top. A poll that is refused or lost
 * is no news; a 404 for an acknowledged id is: the order is lost. Who tries again (--retry) then
 * orders again, under the same key (attempt.c), and awaits that. */
#include "client_parts.h"

#include "common/clock.h"

enum {
    POLL_FIRST_MS = 20,
    POLL_MAX_MS = 250,
    GOODPUT_MS = 1000,
    HOLD_MAX_MS = 10000, /* more than this no server is asked to wait */
};

static const double HELD = 0.9; /* of what was asked for: so long it waited, and nothing came */

bool await_is_wanted(const struct client *client, const struct op *op)
{
    const double share = client->options->await;
    return share > 0.0 && rng_of(client->seed, RNG_AWAIT, op->id, 0) < share;
}

static const char *final_name(enum final final)
{
    switch (final) {
    case FINAL_CONFIRMED:
        return "confirmed";
    case FINAL_REJECTED:
        return "rejected";
    case FINAL_FAILED:
        return "failed";
    case FINAL_UNFINISHED:
        return "unfinished";
    case FINAL_LOST:
        return "lost";
    case FINALS:
        break;
    }
    return "-";
}

void await_conclude(struct client *client, const struct op *op, enum final final, int64_t now_ns)
{
    if (!op->counted) {
        return;
    }
    struct stats_orders *orders = &client->stats->orders;
    const int64_t latency_ns = now_ns - op->intended_ns;
    orders->finals[final]++;
    if (final != FINAL_UNFINISHED && final != FINAL_LOST) {
        hist_record_ns(orders->complete, latency_ns);
    }
    if (final == FINAL_CONFIRMED && latency_ns <= GOODPUT_MS * CLOCK_NS_PER_MS &&
        now_ns < client->times.window_end_ns) {
        orders->goodput++;
    }
}

static void end(struct client *client, struct op *op, enum final final, const char *reason,
                int64_t now_ns)
{
    const int http = final == FINAL_UNFINISHED ? 0 : final == FINAL_LOST ? 404 : 200;
    client_note(client, op, now_ns,
                &(struct client_note){.event = "final",
                                      .http = http,
                                      .code = reason,
                                      .order_id = op->order_id,
                                      .state = final_name(final)});
    await_conclude(client, op, final, now_ns);
    client_finish(client, op);
}

/* retry_after_s: what the reply asks for, -1: nothing. */
static void pause_before_poll(struct client *client, struct op *op, int retry_after_s,
                              int64_t now_ns)
{
    int64_t due_ns = now_ns + op->poll_wait_ns;
    if (retry_after_s > 0) {
        const double jitter = rng_of(client->seed, RNG_POLL, op->id, op->polls);
        due_ns = now_ns + retry_after_s * CLOCK_NS_PER_S +
                 (int64_t)(jitter * (double)(POLL_MAX_MS * CLOCK_NS_PER_MS));
    }
    if (due_ns > op->give_up_ns) {
        due_ns = op->give_up_ns;
    }
    op->poll_wait_ns *= 2;
    if (op->poll_wait_ns > POLL_MAX_MS * CLOCK_NS_PER_MS) {
        op->poll_wait_ns = POLL_MAX_MS * CLOCK_NS_PER_MS;
    }
    op->state = OP_BETWEEN_POLLS;
    timers_set(&client->timers, op, due_ns);
}

void await_begin(struct client *client, struct op *op, int64_t now_ns)
{
    op->polling = true;
    op->give_up_ns = now_ns + client->options->await_timeout_ns;
    op->poll_wait_ns = POLL_FIRST_MS * CLOCK_NS_PER_MS;
    (void)client_submit(client, op, now_ns);
}

int64_t await_hold_ns(struct client *client, struct op *op, int64_t now_ns)
{
    int64_t hold_ns = client->options->timeout_ns / 2;
    if (hold_ns > HOLD_MAX_MS * CLOCK_NS_PER_MS) {
        hold_ns = HOLD_MAX_MS * CLOCK_NS_PER_MS;
    }
    if (hold_ns > op->give_up_ns - now_ns) {
        hold_ns = op->give_up_ns - now_ns;
    }
    op->polls++;
    client->stats->orders.polls += op->counted ? 1 : 0;
    return hold_ns > 0 ? hold_ns / CLOCK_NS_PER_MS * CLOCK_NS_PER_MS : 0;
}

void await_abandon(struct client *client, struct op *op, int64_t now_ns)
{
    end(client, op, FINAL_UNFINISHED, NULL, now_ns);
}

void await_timer(struct client *client, struct op *op, int64_t now_ns)
{
    if (now_ns >= op->give_up_ns) {
        await_abandon(client, op, now_ns);
    } else if (op->state == OP_BETWEEN_POLLS) {
        (void)client_submit(client, op, now_ns);
    } else {
        pause_before_poll(client, op, -1, now_ns);
    }
}

void await_lost(struct client *client, struct op *op, int64_t now_ns)
{
    pause_before_poll(client, op, -1, now_ns);
}

/* At once, where the server has waited as it was asked to. */
static void poll_again(struct client *client, struct op *op, int retry_after_s, int64_t now_ns)
{
    const bool held =
        op->poll_hold_ns > 0 && (double)(now_ns - op->sent_ns) >= HELD * (double)op->poll_hold_ns;
    if (held && retry_after_s <= 0 && now_ns < op->give_up_ns) {
        (void)client_submit(client, op, now_ns);
    } else {
        pause_before_poll(client, op, retry_after_s, now_ns);
    }
}

void await_replied(struct client *client, struct op *op, const struct reply *reply)
{
    const int64_t now_ns = clock_now_ns();
    const int retry_after_s = reply->retry_after_s;
    struct answer answer;
    if (reply->http == 404) {
        if (!attempt_repeat(client, op, now_ns)) {
            end(client, op, FINAL_LOST, NULL, now_ns);
        }
        return;
    }
    if (reply->http != 200) {
        pause_before_poll(client, op, retry_after_s, now_ns);
        return;
    }
    answer_read(reply->body, reply->body_length, &answer);
    switch (answer.state) {
    case STATE_CONFIRMED:
        end(client, op, FINAL_CONFIRMED, answer.code, now_ns);
        break;
    case STATE_REJECTED:
        end(client, op, FINAL_REJECTED, answer.code, now_ns);
        break;
    case STATE_FAILED:
        end(client, op, FINAL_FAILED, answer.code, now_ns);
        break;
    case STATE_NONE:
    case STATE_PENDING:
        poll_again(client, op, retry_after_s, now_ns);
        break;
    }
}
