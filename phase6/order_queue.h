/* order_queue: where accepted orders wait for a worker. First used by phase 4.
 *
 * A table of functions, so that a setting can choose the queue. Whatever the queue: it is bounded,
 * and so is each sale's part of it; of one sale, what was put in first is taken first; several are
 * taken at once, all of one sale, and the sales take turns; and orders that were taken are the
 * taker's until they are finished. All of it is safe from any thread. */
#ifndef ORDER_QUEUE_H
#define ORDER_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/metrics.h"
#include "common/status.h"
#include "order.h"

struct order_queue; /* an open queue; opaque */

struct order_queue_options {
    int max;          /* orders in line or taken, from 1 */
    int sale_max;     /* of one sale, from 1 */
    int sale_workers; /* takers that have orders of one sale at once, from 1 */
};

struct order_queue_stats {
    int64_t max;          /* orders in line or taken at most */
    int64_t length;       /* orders in line now */
    int64_t unacked;      /* taken and not finished */
    int64_t age_ns;       /* how long the first in line has waited; 0: nobody is in line */
    int64_t sales;        /* with an order in line */
    int64_t resting;      /* of those, of which nobody takes now */
    int64_t put, refused; /* since it was opened */
    int64_t sale_refused; /* of the refused, those for whose sale alone it was full */
    int64_t interval_ns;  /* between two orders of one sale done lately, while orders were in line;
                             0: not known yet. position x interval_ns is when an order is due */
};

struct order_queue_kind {
    const char *name; /* a value of ORDER_QUEUE; and what a 202 says of its durability */

    /* Aborts when memory runs out. */
    struct order_queue *(*open)(const struct order_queue_options *options);

    /* Puts a copy of the order at the end of its sale's line. *place: its number there, for
     * position. ST_BUSY: the queue is full, or the sale's part of it; ST_CLOSED: it is closed; in
     * both cases nothing happened. Blocks only for the queue's own lock. */
    MUST_USE enum status (*put)(struct order_queue *queue, const struct order *order,
                                int64_t *place);

    /* Takes the first max orders in line of one sale, or as many as there are. Blocks until there
     * is one or deadline_ns (CLOCK_NEVER: without bound). *tries: how often in a row orders of that
     * sale have been given back. ST_TIMEOUT: the deadline passed; ST_CLOSED: closed, and nothing
     * is left in line or the close's deadline has passed. */
    MUST_USE enum status (*take)(struct order_queue *queue, int64_t deadline_ns, struct order *out,
                                 int max, int *count, int *tries);

    /* All count orders of a take, of that sale, in its order, once for each take. Of those that are
     * done the state is where it outlives this process, or they have none that could. The others go
     * back to the front of the sale's line, and of that sale nobody takes before until_ns. */
    void (*finish)(struct order_queue *queue, int64_t sale_id, const struct order *orders,
                   int count, const bool *is_done, int64_t until_ns);

    /* How many of its sale stand before the order of that place; 0: it is the next, or has been
     * taken, or was overtaken. */
    int64_t (*position)(struct order_queue *queue, const struct order *order, int64_t place);

    void (*read_stats)(struct order_queue *queue, struct order_queue_stats *out);

    /* No put succeeds from now on; takes go on until the line is empty or deadline_ns, then get
     * ST_CLOSED. A sale that rests goes on resting. */
    void (*close)(struct order_queue *queue, int64_t deadline_ns);

    /* Frees it, with what is left in line. Nobody may be in a call. Accepts NULL. */
    void (*free)(struct order_queue *queue);
};

/* In this process's memory: what was accepted is lost when it is killed. */
extern const struct order_queue_kind order_queue_lanes;

#endif
