/* await: polls GET /orders/{id} until an accepted order is final: first after 20 ms, then waiting
 * twice as long each time up to 250 ms, for at most --await-timeout-ms after the acceptance. So the
 * completion times are late by the pause between two polls at most, and polling costs what ordering
 * costs: for a big load await a small share. A poll that is refused or lost is no news; a 404 for
 * an acknowledged id is: the order is lost. Polls go over the orders' connections. */
#include "client_parts.h"

#include "common/clock.h"

enum { POLL_FIRST_MS = 20, POLL_MAX_MS = 250, GOODPUT_MS = 1000 };

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

static void pause_before_poll(struct client *client, struct op *op, int64_t now_ns)
{
    int64_t due_ns = now_ns + op->poll_wait_ns;
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
    pause_before_poll(client, op, now_ns);
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
        pause_before_poll(client, op, now_ns);
    }
}

void await_lost(struct client *client, struct op *op, int64_t now_ns)
{
    pause_before_poll(client, op, now_ns);
}

void await_replied(struct client *client, struct op *op, const struct reply *reply)
{
    const int64_t now_ns = clock_now_ns();
    struct answer answer;
    if (reply->http == 404) {
        end(client, op, FINAL_LOST, NULL, now_ns);
        return;
    }
    if (reply->http != 200) {
        pause_before_poll(client, op, now_ns);
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
        pause_before_poll(client, op, now_ns);
        break;
    }
}
