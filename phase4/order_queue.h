/* order_queue: where accepted orders wait for a worker. First used by phase 4.
 *
 * A table of functions, so that a setting can choose the queue. Whatever the queue: it is bounded,
 * what was put in first is taken first, and an order that was taken is the taker's until it is
 * acknowledged. All of it is safe from any thread. */
#ifndef ORDER_QUEUE_H
#define ORDER_QUEUE_H

#include <stdint.h>

#include "common/metrics.h"
#include "common/status.h"
#include "order.h"

struct order_queue; /* an open queue; opaque */

struct order_queue_options {
    int max; /* orders in line, from 1 */
};

struct order_queue_stats {
    int64_t max;          /* orders in line at most */
    int64_t length;       /* orders in line now */
    int64_t unacked;      /* taken and not acknowledged */
    int64_t age_ns;       /* how long the first in line has waited; 0: nobody is in line */
    int64_t put, refused; /* since it was opened */
    int64_t interval_ns;  /* between two acknowledgements lately, while orders were in line; 0: not
                             known yet. position x interval_ns is when an order is due */
};

struct order_queue_kind {
    const char *name; /* a value of ORDER_QUEUE; and what a 202 says of its durability */

    /* Aborts when memory runs out. */
    struct order_queue *(*open)(const struct order_queue_options *options);

    /* Puts a copy of the order at the end of the line. *place: its number in line, counted from
     * the queue's opening. ST_BUSY: the queue is full; ST_CLOSED: it is closed; in both cases
     * nothing happened. Blocks only for the queue's own lock. */
    MUST_USE enum status (*put)(struct order_queue *queue, const struct order *order,
                                int64_t *place);

    /* Takes the first in line. Blocks until there is one or deadline_ns (CLOCK_NEVER: without
     * bound). ST_TIMEOUT: the deadline passed; ST_CLOSED: closed, and nothing is left in line. */
    MUST_USE enum status (*take)(struct order_queue *queue, int64_t deadline_ns, struct order *out);

    /* An order that was taken is done: its state is where it outlives this process, or it has
     * none that could. Once for each. */
    void (*ack)(struct order_queue *queue, const struct order *order);

    /* How many stand before the order of that place; 0: it is the next, or has been taken. */
    int64_t (*position)(struct order_queue *queue, int64_t place);

    void (*read_stats)(struct order_queue *queue, struct order_queue_stats *out);

    /* No put succeeds from now on; takes go on until the line is empty, then get ST_CLOSED. */
    void (*close)(struct order_queue *queue);

    /* Frees it, with what is left in line. Nobody may be in a call. Accepts NULL. */
    void (*free)(struct order_queue *queue);
};

/* In this process's memory: what was accepted is lost when it is killed. */
extern const struct order_queue_kind order_queue_memory;

#endif
