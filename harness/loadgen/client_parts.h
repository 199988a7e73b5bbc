/* client_parts: what client.c, attempt.c and await.c share; nobody else includes it.
 *
 * client.c owns an op's life (begin, timers, give up), attempt.c judges what an attempt came to and
 * whether there is another, await.c polls an accepted order to its final state. */
#ifndef FLASHDEAL_LOADGEN_CLIENT_PARTS_H
#define FLASHDEAL_LOADGEN_CLIENT_PARTS_H

#include "client.h"

/* What a journal line says beside the op; zero values are written as "-". */
struct client_note {
    const char *event;
    int http;
    const char *code, *order_id, *state;
};

/* client.c */

/* Writes a line; only "invoke" has no latency. */
void client_note(struct client *client, const struct op *op, int64_t now_ns,
                 const struct client_note *note);

/* Hands op's next attempt, due at due_ns, to the net. Returns whether it got a connection at once.
 */
bool client_submit(struct client *client, struct op *op, int64_t due_ns);

/* op is over; its closed-loop client, if any, goes on. */
void client_finish(struct client *client, struct op *op);

/* As client_finish, after a moment: a client that cannot connect must not spin. */
void client_finish_later(struct client *client, struct op *op, int64_t now_ns);

/* attempt.c */

/* op's order is about to be written: counts and journals the attempt. */
void attempt_begin(struct client *client, struct op *op, int64_t now_ns);

/* A reply to POST /orders. */
void attempt_replied(struct client *client, struct op *op, const struct reply *reply);

/* No reply to an order, read or probe, for the reason given. */
void attempt_lost(struct client *client, struct op *op, enum loss loss, int64_t now_ns);

/* The time to wait for a connection is over. */
void attempt_unsent(struct client *client, struct op *op);

/* The wait between two attempts ends early: the last result stands. */
void attempt_settle(struct client *client, struct op *op);

/* A poll found no order of that id, though it was acknowledged. Returns whether it is ordered
 * again, under the same key unless --retry-key says otherwise. */
bool attempt_repeat(struct client *client, struct op *op, int64_t now_ns);

/* A reply to a read or a probe. */
void attempt_read(struct client *client, struct op *op, const struct reply *reply);

/* await.c */

/* Whether this order is of the share that is awaited. */
bool await_is_wanted(const struct client *client, const struct op *op);

/* op was accepted; polls until the final state or --await-timeout-ms. */
void await_begin(struct client *client, struct op *op, int64_t now_ns);

/* For how long a poll that is sent at now_ns asks the server to wait; also counts it. */
int64_t await_hold_ns(struct client *client, struct op *op, int64_t now_ns);

/* A reply to a poll; or none. */
void await_replied(struct client *client, struct op *op, const struct reply *reply);
void await_lost(struct client *client, struct op *op, int64_t now_ns);

/* The pause between polls, or a poll's time, is over. */
void await_timer(struct client *client, struct op *op, int64_t now_ns);

/* Counts how an accepted order ended, as seen at now_ns. */
void await_conclude(struct client *client, const struct op *op, enum final final, int64_t now_ns);

/* Ends the wait as unfinished. */
void await_abandon(struct client *client, struct op *op, int64_t now_ns);

#endif
