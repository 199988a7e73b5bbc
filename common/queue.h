/* queue: a bounded line of work between threads. First used by phase 3.
 *
 * Many threads put, many take; what went in first comes out first. It never waits for room: a full
 * queue refuses at once, because whoever is refused can still be told so in time. A queued item can
 * be withdrawn by whoever put it, so that work nobody waits for any more gives its place back.
 *
 * An item is a struct queue_item inside the caller's own structure (found again by QUEUE_OWNER), so
 * queueing allocates nothing. From a push that succeeds until the item has been popped or removed
 * it belongs to the queue: the caller keeps it alive and does not touch it. */
#ifndef FLASHDEAL_QUEUE_H
#define FLASHDEAL_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/stages.h"
#include "common/status.h"

struct queue; /* opaque; safe from any thread */

/* Zero it before the first push; the fields are the queue's. */
struct queue_item {
    struct queue_item *ahead, *behind; /* neighbours in line */
    struct stages *stages;             /* whose STAGE_QUEUE_WAIT the time in line is; may be NULL */
    int64_t entered_ns; /* when it was pushed, CLOCK_MONOTONIC; readable after a pop */
    bool is_queued;
};

/* The structure of type_ whose member_ the item is. */
#define QUEUE_OWNER(item_, type_, member_)                                                         \
    ((type_ *)(void *)((char *)(item_)-offsetof(type_, member_)))

struct queue_stats {
    int max;           /* items at most */
    int length;        /* items in line now */
    int64_t age_ns;    /* how long the one in front has been in line; 0: the queue is empty */
    int64_t pushed;    /* since the queue was made */
    int64_t refused;   /* pushes that found it full */
    int64_t withdrawn; /* removed by queue_remove */
};

/* Makes a queue of at most max items, from 1. Aborts when memory runs out. */
struct queue *queue_new(int max);

/* Puts item at the end of the line; its time there is booked to stages (may be NULL) when it
 * leaves. ST_BUSY: the queue is full; ST_CLOSED: it is closed; in both cases nothing happened.
 * Blocks only for the queue's own lock. */
MUST_USE enum status queue_push(struct queue *queue, struct queue_item *item,
                                struct stages *stages);

/* Takes the item in front. Blocks until there is one or deadline_ns (CLOCK_NEVER: without bound).
 * ST_TIMEOUT: the deadline passed; ST_CLOSED: closed, and nothing is left in it. On both *out is
 * NULL. */
MUST_USE enum status queue_pop(struct queue *queue, int64_t deadline_ns, struct queue_item **out);

/* Withdraws item, if it is still in line: true. False: it has been popped already (or is about to
 * be handled by the thread that popped it). O(1). */
bool queue_remove(struct queue *queue, struct queue_item *item);

/* No push succeeds from now on; pops go on until the queue is empty, then get ST_CLOSED. */
void queue_close(struct queue *queue);

void queue_read_stats(struct queue *queue, struct queue_stats *out);

/* Frees it; it must be empty and nobody may wait in it (assert). Accepts NULL. */
void queue_free(struct queue *queue);

#endif
