/* client: the life of an operation. It begins when it is due (or when its closed-loop client is
 * free), waits for a connection for at most --timeout-ms, is sent, and from there has --timeout-ms
 * for the reply; attempt.c and await.c say what follows.
 *
 * Invariants: every journalled invoke is followed by exactly one ok, fail or info of the same op
 * and attempt; an op has one timer while it is in progress; nothing is begun after the window's
 * end. An op that never got a connection has no journal line: nothing happened. */
#include "client.h"

#include "client_parts.h"
#include "common/clock.h"

enum {
    PAUSE_MS = 50,          /* of a closed-loop client that could not connect */
    TIMERS_PER_TURN = 256,  /* so that a burst of time-outs does not delay arrivals */
    RETRY_TOKENS_MAX = 100, /* no more are saved up for a storm */
};

void client_note(struct client *client, const struct op *op, int64_t now_ns,
                 const struct client_note *note)
{
    const bool is_invoke = note->event[0] == 'i' && note->event[2] == 'v';
    const struct journal_line line = {
        .t_us = (now_ns - client->times.start_ns) / 1000,
        .event = note->event,
        .op = op,
        .http = note->http,
        .code = note->code,
        .order_id = note->order_id,
        .state = note->state,
        .latency_us = is_invoke ? -1 : (now_ns - op->intended_ns) / 1000,
    };
    journal_add(client->journal, &line);
}

static enum net_pool pool_of(enum plan_kind kind)
{
    switch (kind) {
    case PLAN_ORDER:
        return NET_ORDERS;
    case PLAN_READ:
    case PLAN_PATH:
        return NET_READS;
    case PLAN_PROBE:
        return NET_PROBES;
    }
    return NET_ORDERS;
}

bool client_submit(struct client *client, struct op *op, int64_t due_ns)
{
    op->state = OP_REQUESTING;
    op->due_ns = due_ns;
    op->sent_ns = 0;
    op->hang_up = false;
    /* Before net_submit, which may send at once and then sets the reply's deadline. */
    timers_set(&client->timers, op,
               op->polling ? op->give_up_ns : due_ns + client->options->timeout_ns);
    return net_submit(client->net, pool_of(op->kind), op);
}

static void count_begun(struct client *client, const struct op *op)
{
    if (!op->counted) {
        return;
    }
    if (op->kind == PLAN_ORDER) {
        client->stats->orders.count++;
        client->stats->second.orders++;
    } else {
        stats_route_of(client->stats, op->kind)->count++;
    }
}

static struct op *create_op(struct client *client, const struct plan_arrival *arrival,
                            int64_t intended_ns)
{
    struct op *op = ops_take(&client->ops);
    if (op == NULL) {
        client->overflowed++;
        return NULL;
    }
    op->kind = arrival->kind;
    op->user = arrival->user;
    op->sale = arrival->sale;
    op->quantity = arrival->quantity;
    op->intended_ns = intended_ns;
    op->id = op->kind == PLAN_ORDER ? client->next_order++ : -1;
    op->counted =
        intended_ns >= client->times.window_ns && intended_ns < client->times.window_end_ns;
    if (op->kind == PLAN_ORDER && client->options->keys) {
        uuid_random(op->key);
    }
    if (op->kind == PLAN_ORDER && client->retry_tokens < RETRY_TOKENS_MAX) {
        client->retry_tokens += client->options->retry_budget;
    }
    count_begun(client, op);
    return op;
}

void client_begin(struct client *client, const struct plan_arrival *arrival, int64_t intended_ns)
{
    struct op *op = create_op(client, arrival, intended_ns);
    if (op == NULL) {
        return;
    }
    const int64_t lag_ns = clock_now_ns() - intended_ns;
    const bool counted = op->counted;
    if (client_submit(client, op, intended_ns) && counted) {
        hist_record_ns(client->stats->lag, lag_ns);
    }
}

void client_begin_closed(struct client *client)
{
    const int64_t now_ns = clock_now_ns();
    if (now_ns >= client->times.window_end_ns) {
        return;
    }
    struct plan_arrival arrival = {.kind = PLAN_PATH};
    if (!client->options->plan.reads_only) {
        arrival.kind = PLAN_ORDER;
        plan_draw_order(&client->orders, &arrival);
    }
    struct op *op = create_op(client, &arrival, now_ns);
    if (op != NULL) {
        op->closed = true;
        (void)client_submit(client, op, now_ns);
    }
}

void client_finish(struct client *client, struct op *op)
{
    const bool closed = op->closed;
    timers_cancel(&client->timers, op);
    ops_give(&client->ops, op);
    if (closed) {
        client_begin_closed(client);
    }
}

void client_finish_later(struct client *client, struct op *op, int64_t now_ns)
{
    op->state = OP_PAUSING;
    timers_set(&client->timers, op, now_ns + PAUSE_MS * CLOCK_NS_PER_MS);
}

/* The request, or the wait for a connection, takes too long. */
static void expire(struct client *client, struct op *op, enum loss loss, int64_t now_ns)
{
    const bool connecting = op->conn != NULL && op->sent_ns == 0;
    net_withdraw(client->net, op);
    if (op->polling) {
        await_timer(client, op, now_ns);
    } else if (op->sent_ns != 0) {
        attempt_lost(client, op, loss, now_ns);
    } else if (connecting) {
        attempt_lost(client, op, LOSS_NOT_CONNECTED, now_ns);
    } else {
        attempt_unsent(client, op);
    }
}

static void on_timer(struct client *client, struct op *op, int64_t now_ns)
{
    switch (op->state) {
    case OP_REQUESTING:
        expire(client, op, LOSS_TIMEOUT, now_ns);
        break;
    case OP_BACKING_OFF:
        if (client->options->new_key_on_retry && op->key[0] != '\0') {
            uuid_random(op->key);
        }
        (void)client_submit(client, op, op->timer_ns);
        break;
    case OP_BETWEEN_POLLS:
        await_timer(client, op, now_ns);
        break;
    case OP_PAUSING:
        client_finish(client, op);
        break;
    case OP_FREE:
        break;
    }
}

void client_run_timers(struct client *client, int64_t now_ns)
{
    for (int i = 0; i < TIMERS_PER_TURN; i++) {
        struct op *op = timers_take_due(&client->timers, now_ns);
        if (op == NULL) {
            return;
        }
        on_timer(client, op, now_ns);
    }
}

struct give_up {
    struct client *client;
    enum loss loss;
    bool polls;
    int64_t now_ns;
};

/* First those that wait in a queue, so that no freed connection is given to them. */
static void give_up_unsent(void *context, struct op *op)
{
    const struct give_up *all = context;
    if (op->state == OP_REQUESTING && !op->polling && op->conn == NULL) {
        expire(all->client, op, all->loss, all->now_ns);
    }
}

static void give_up_rest(void *context, struct op *op)
{
    const struct give_up *all = context;
    if (op->polling) {
        if (all->polls) {
            if (op->state == OP_REQUESTING) {
                net_withdraw(all->client->net, op);
            }
            await_abandon(all->client, op, all->now_ns);
        }
        return;
    }
    switch (op->state) {
    case OP_REQUESTING:
        expire(all->client, op, all->loss, all->now_ns);
        break;
    case OP_BACKING_OFF:
        attempt_settle(all->client, op);
        client_finish(all->client, op);
        break;
    case OP_PAUSING:
        client_finish(all->client, op);
        break;
    case OP_BETWEEN_POLLS:
    case OP_FREE:
        break;
    }
}

void client_give_up(struct client *client, enum loss loss, bool polls)
{
    struct give_up all = {client, loss, polls, clock_now_ns()};
    /* From now on nothing begins and nothing is tried again. */
    if (client->times.window_end_ns > all.now_ns) {
        client->times.window_end_ns = all.now_ns;
    }
    if (client->times.give_up_ns > all.now_ns) {
        client->times.give_up_ns = all.now_ns;
    }
    ops_each(&client->ops, give_up_unsent, &all);
    ops_each(&client->ops, give_up_rest, &all);
}

static size_t on_write(void *context, struct op *op, char out[NET_REQUEST_MAX])
{
    struct client *client = context;
    const int64_t now_ns = clock_now_ns();
    int64_t deadline_ns = now_ns + client->options->timeout_ns;
    op->sent_ns = now_ns;
    if (op->polling) {
        op->poll_hold_ns = await_hold_ns(client, op, now_ns);
        deadline_ns = deadline_ns < op->give_up_ns ? deadline_ns : op->give_up_ns;
    }
    timers_set(&client->timers, op, deadline_ns);
    if (op->kind == PLAN_ORDER && !op->polling) {
        attempt_begin(client, op, now_ns);
    }
    return request_write(&client->requests, op, out);
}

static void on_reply(void *context, struct op *op, const struct reply *reply)
{
    struct client *client = context;
    timers_cancel(&client->timers, op);
    if (op->kind != PLAN_ORDER) {
        attempt_read(client, op, reply);
    } else if (op->polling) {
        await_replied(client, op, reply);
    } else {
        attempt_replied(client, op, reply);
    }
}

static void on_loss(void *context, struct op *op, enum loss loss)
{
    struct client *client = context;
    const int64_t now_ns = clock_now_ns();
    timers_cancel(&client->timers, op);
    if (op->polling) {
        await_lost(client, op, now_ns);
    } else {
        attempt_lost(client, op, loss, now_ns);
    }
}

struct net_hooks client_hooks(struct client *client)
{
    return (struct net_hooks){
        .write_request = on_write, .on_reply = on_reply, .on_loss = on_loss, .context = client};
}
