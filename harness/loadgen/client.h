/* client: how the simulated buyers behave: when an order is given up, tried again, awaited, and
 * what is counted and journalled on the way. All clients of a run are one struct client.
 *
 * One thread, and times are CLOCK_MONOTONIC nanoseconds. */
#ifndef FLASHDEAL_LOADGEN_CLIENT_H
#define FLASHDEAL_LOADGEN_CLIENT_H

#include "journal.h"
#include "net.h"
#include "options.h"
#include "request.h"
#include "stats.h"
#include "timers.h"

/* The run's milestones. */
struct client_times {
    int64_t start_ns;      /* of the warm-up: the journal's 0 */
    int64_t window_ns;     /* of the window */
    int64_t window_end_ns; /* no new operations from here on */
    int64_t give_up_ns;    /* what has no reply by then is info */
};

/* Filled in by the run before the load begins; what pointers name lives as long. */
struct client {
    const struct options *options;
    struct client_times times;
    struct net *net;
    struct journal *journal;
    struct stats *stats;
    struct request_maker requests;
    struct plan_source orders; /* closed loop: where the next order comes from */
    uint64_t seed;
    struct timers timers;
    struct ops ops;
    int64_t next_order;
    double retry_tokens; /* --retry-budget: what is left of it */
    int64_t overflowed;  /* operations not begun because a million were in progress */
};

/* Begins the planned operation, which was due at intended_ns. */
void client_begin(struct client *client, const struct plan_arrival *arrival, int64_t intended_ns);

/* Begins one closed-loop client, which goes on by itself until the window ends. */
void client_begin_closed(struct client *client);

/* Does what is due at now_ns: time-outs, retries, polls. */
void client_run_timers(struct client *client, int64_t now_ns);

/* Ends every attempt and every wait now (LOSS_TIMEOUT, LOSS_INTERRUPTED); with polls also what is
 * being awaited, as unfinished. */
void client_give_up(struct client *client, enum loss loss, bool polls);

/* The hooks to give net_create; context is the client. */
struct net_hooks client_hooks(struct client *client);

#endif
