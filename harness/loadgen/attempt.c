/* attempt: what one attempt came to, and whether there is another.
 *
 * ok: 201 or 202 with an order's id. fail: any other reply, or no connection: it did not happen.
 * info: no reply, a withheld one, 201 or 202 without an id, or the server's own "outcome_unknown":
 * it may have happened. After a loss, 429 or 503 the client tries again as --retry says: at once,
 * or after full jitter (uniform between 0 and 50 ms doubling to 2 s; "Exponential Backoff And
 * Jitter", AWS Architecture Blog, 2015) on top of what Retry-After asks. No other reply is worth a
 * retry: 4xx says the same every time. An acknowledged order of which the server says 404 is lost,
 * and ordered again in the same way.
 *
 * With --retry-budget all of a run's clients together have a bucket of tokens: an order brings a
 * share of one, a retry costs one, and without one an order ends with what it has. So a server that
 * refuses everything gets that share of load more, and not --retry-max times as much.
 *
 * Replies and losses are counted for every attempt, ok, fail and info once per order: its last. */
#include "client_parts.h"

#include "common/clock.h"

#include <string.h>

enum { BACKOFF_FIRST_MS = 50, BACKOFF_MAX_MS = 2000, QUICK_READ_MS = 100 };

void attempt_begin(struct client *client, struct op *op, int64_t now_ns)
{
    const struct options *options = client->options;
    op->attempt++;
    op->hang_up = options->hang_up > 0.0 &&
                  rng_of(client->seed, RNG_HANG_UP, op->id, op->attempt) < options->hang_up;
    if (op->counted) {
        client->stats->orders.attempts++;
        client->stats->orders.retries += op->attempt > 1 ? 1 : 0;
    }
    client_note(client, op, now_ns, &(struct client_note){.event = "invoke"});
}

void attempt_settle(struct client *client, struct op *op)
{
    if (op->counted) {
        stats_settle_order(client->stats, op->result);
    }
    if (op->gone) {
        await_conclude(client, op, FINAL_LOST, clock_now_ns());
    }
}

static int64_t retry_wait_ns(const struct client *client, const struct op *op, int retry_after_s)
{
    if (client->options->retry == RETRY_IMMEDIATE) {
        return 0;
    }
    int64_t most_ms = BACKOFF_FIRST_MS;
    for (int i = 1; i < op->attempt && most_ms < BACKOFF_MAX_MS; i++) {
        most_ms *= 2;
    }
    if (most_ms > BACKOFF_MAX_MS) {
        most_ms = BACKOFF_MAX_MS;
    }
    const double jitter = rng_of(client->seed, RNG_BACKOFF, op->id, op->attempt);
    const int64_t asked_ns = retry_after_s > 0 ? retry_after_s * CLOCK_NS_PER_S : 0;
    return asked_ns + (int64_t)(jitter * (double)(most_ms * CLOCK_NS_PER_MS));
}

static bool spend_token(struct client *client, const struct op *op)
{
    if (client->options->retry_budget <= 0.0) {
        return true; /* there is none */
    }
    if (client->retry_tokens < 1.0) {
        client->stats->orders.retries_denied += op->counted ? 1 : 0;
        return false;
    }
    client->retry_tokens -= 1.0;
    return true;
}

/* Whether another attempt follows; it is then on its way. */
static bool try_again(struct client *client, struct op *op, int retry_after_s, int64_t now_ns)
{
    const struct options *options = client->options;
    if (options->retry == RETRY_NONE || op->attempt > options->retry_max) {
        return false;
    }
    const int64_t due_ns = now_ns + retry_wait_ns(client, op, retry_after_s);
    if (due_ns >= client->times.give_up_ns || !spend_token(client, op)) {
        return false;
    }
    op->state = OP_BACKING_OFF;
    timers_set(&client->timers, op, due_ns);
    return true;
}

bool attempt_repeat(struct client *client, struct op *op, int64_t now_ns)
{
    if (!try_again(client, op, -1, now_ns)) {
        return false;
    }
    op->polling = false;
    op->gone = true;
    if (op->counted) {
        client->stats->orders.gone++;
        client->stats->orders.ok--; /* how it ends will say */
    }
    client_note(client, op, now_ns,
                &(struct client_note){.event = "gone", .http = 404, .order_id = op->order_id});
    return true;
}

static void end(struct client *client, struct op *op)
{
    attempt_settle(client, op);
    client_finish(client, op);
}

static void lose_read(struct client *client, struct op *op, enum loss loss, int64_t now_ns)
{
    if (op->counted) {
        stats_route_of(client->stats, op->kind)->outcomes.losses[loss]++;
        *(op->kind == PLAN_PROBE ? &client->stats->second.probes : &client->stats->second.reads) +=
            1;
    }
    if (op->closed && loss == LOSS_NOT_CONNECTED) {
        client_finish_later(client, op, now_ns);
    } else {
        client_finish(client, op);
    }
}

void attempt_lost(struct client *client, struct op *op, enum loss loss, int64_t now_ns)
{
    if (op->kind != PLAN_ORDER) {
        lose_read(client, op, loss, now_ns);
        return;
    }
    const bool nothing_sent = loss == LOSS_NOT_CONNECTED;
    if (nothing_sent) {
        attempt_begin(client, op, now_ns);
    }
    op->result = nothing_sent ? RESULT_FAIL : RESULT_INFO;
    if (op->counted) {
        client->stats->orders.outcomes.losses[loss]++;
    }
    client_note(client, op, now_ns,
                &(struct client_note){.event = nothing_sent ? "fail" : "info",
                                      .code = net_loss_name(loss)});
    if (try_again(client, op, -1, now_ns)) {
        return;
    }
    if (op->closed && nothing_sent) {
        attempt_settle(client, op);
        client_finish_later(client, op, now_ns);
        return;
    }
    end(client, op);
}

void attempt_unsent(struct client *client, struct op *op)
{
    if (op->kind == PLAN_ORDER) {
        end(client, op);
        return;
    }
    lose_read(client, op, LOSS_UNSENT, 0);
}

static void withheld(struct client *client, struct op *op, int http, const struct answer *answer,
                     int64_t now_ns)
{
    op->result = RESULT_INFO;
    if (op->counted) {
        client->stats->orders.outcomes.losses[LOSS_LOST]++;
    }
    client_note(client, op, now_ns,
                &(struct client_note){.event = "info",
                                      .http = http,
                                      .code = net_loss_name(LOSS_LOST),
                                      .order_id = answer->order_id,
                                      .state = answer_state_name(answer->state)});
    if (!try_again(client, op, -1, now_ns)) {
        end(client, op);
    }
}

static void count_accepted(struct client *client, const struct op *op, int http, int64_t now_ns)
{
    struct stats *stats = client->stats;
    const int64_t latency_ns = now_ns - op->intended_ns;
    if (!op->counted) {
        return;
    }
    stats_count_code(&stats->orders.outcomes, http);
    if (op->gone) {
        return; /* its first acceptance counts */
    }
    hist_record_ns(stats->orders.accept, latency_ns);
    hist_record_ns(stats->orders.accept_uncorrected,
                   op->closed ? latency_ns : now_ns - op->sent_ns);
    hist_record_ns(stats->second.accept, latency_ns);
}

static void conclude_at_once(struct client *client, const struct op *op, enum answer_state state,
                             int64_t now_ns)
{
    switch (state) {
    case STATE_CONFIRMED:
        await_conclude(client, op, FINAL_CONFIRMED, now_ns);
        break;
    case STATE_REJECTED:
        await_conclude(client, op, FINAL_REJECTED, now_ns);
        break;
    case STATE_FAILED:
        await_conclude(client, op, FINAL_FAILED, now_ns);
        break;
    case STATE_NONE:
    case STATE_PENDING:
        break;
    }
}

static void accepted(struct client *client, struct op *op, int http, const struct answer *answer,
                     int64_t now_ns)
{
    op->result = RESULT_OK;
    memcpy(op->order_id, answer->order_id, sizeof(op->order_id));
    count_accepted(client, op, http, now_ns);
    op->gone = false;
    client_note(client, op, now_ns,
                &(struct client_note){.event = "ok",
                                      .http = http,
                                      .order_id = answer->order_id,
                                      .state = answer_state_name(answer->state)});
    attempt_settle(client, op);
    if (http == 202 && await_is_wanted(client, op)) {
        await_begin(client, op, now_ns);
        return;
    }
    if (http == 201) {
        conclude_at_once(client, op, answer->state, now_ns);
    }
    client_finish(client, op);
}

static void refused(struct client *client, struct op *op, const struct reply *reply,
                    const struct answer *answer, int64_t now_ns)
{
    const int http = reply->http;
    const int retry_after_s = reply->retry_after_s;
    const bool come_back = http == 429 || http == 503;
    const bool unknown = strcmp(answer->code, "outcome_unknown") == 0;
    op->result = unknown ? RESULT_INFO : RESULT_FAIL;
    if (op->counted) {
        stats_count_code(&client->stats->orders.outcomes, http);
        stats_count_problem(&client->stats->orders, answer->code,
                            come_back ? &retry_after_s : NULL);
        hist_record_ns(client->stats->orders.refused, now_ns - op->due_ns);
    }
    client_note(client, op, now_ns,
                &(struct client_note){.event = unknown ? "info" : "fail",
                                      .http = http,
                                      .code = answer->code,
                                      .order_id = answer->order_id});
    if (!come_back || !try_again(client, op, retry_after_s, now_ns)) {
        end(client, op);
    }
}

void attempt_replied(struct client *client, struct op *op, const struct reply *reply)
{
    const int64_t now_ns = clock_now_ns();
    const double lose = client->options->lose_replies;
    const bool acknowledged = reply->http == 201 || reply->http == 202;
    struct answer answer;
    answer_read(reply->body, reply->body_length, &answer);
    if (acknowledged && answer.order_id[0] == '\0') {
        attempt_lost(client, op, LOSS_BAD_REPLY, now_ns);
    } else if (lose > 0.0 && rng_of(client->seed, RNG_LOSE_REPLY, op->id, op->attempt) < lose) {
        withheld(client, op, reply->http, &answer, now_ns);
    } else if (acknowledged) {
        accepted(client, op, reply->http, &answer, now_ns);
    } else {
        refused(client, op, reply, &answer, now_ns);
    }
}

void attempt_read(struct client *client, struct op *op, const struct reply *reply)
{
    struct stats *stats = client->stats;
    const int64_t latency_ns = clock_now_ns() - op->intended_ns;
    if (op->counted) {
        const bool is_probe = op->kind == PLAN_PROBE;
        struct stats_route *route = stats_route_of(stats, op->kind);
        const bool good = reply->http == 200;
        stats_count_code(&route->outcomes, reply->http);
        hist_record_ns(route->latency, latency_ns);
        hist_record_ns(is_probe ? stats->second.probe : stats->second.read, latency_ns);
        route->ok_within_100ms += good && latency_ns <= QUICK_READ_MS * CLOCK_NS_PER_MS ? 1 : 0;
        if (is_probe) {
            stats->second.probes++;
        } else {
            stats->second.reads++;
            stats->second.reads_ok += good ? 1 : 0;
        }
    }
    client_finish(client, op);
}
