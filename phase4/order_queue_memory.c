/* order_queue_memory: a ring of orders in this process's memory, taken at the opening.
 *
 * An order's place is how many were put before it, so its slot is place mod max, and how many stand
 * before it is its place less the takes so far. Invariants, under the lock:
 * acked <= taken <= put <= taken + max; the line is what lies from taken to put; nobody waits while
 * somebody is in line, but for whoever has been signalled and is on his way.
 *
 * The interval between acknowledgements is a moving average over those gaps in which the line was
 * never empty: only then did the workers go as fast as they can. A gap that is longer already than
 * the average counts before it ends, so that a database that stands still shows; for that it is
 * enough that somebody is in line now: as long as he has been, or since the last acknowledgement.
 *
 * It keeps nothing: an order that was put and not acknowledged is gone with the process. It does
 * not know who takes, and gives no order twice: whoever took one keeps it until it is done. */
#include "order_queue.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/xalloc.h"

enum { INTERVAL_WEIGHT = 16 /* a gap counts for one in so many */ };

/* Longer than this is "nobody knows": and no product with a place overflows. */
#define INTERVAL_MAX_NS (3600 * CLOCK_NS_PER_S)

struct slot {
    struct order order;
    int64_t entered_ns;
};

struct order_queue {
    int64_t max;
    struct slot *slots; /* max of them */
    pthread_mutex_t lock;
    pthread_cond_t filled; /* an order was put, or the queue was closed */

    /* Guarded by lock, and so are the slots: */
    bool is_closed;
    bool was_empty; /* the line, at some time since the last acknowledgement, or there was none */
    int64_t put, taken, acked, refused;
    int64_t acked_ns;    /* the last acknowledgement */
    int64_t interval_ns; /* 0: not known yet */
};

static struct order_queue *open_queue(const struct order_queue_options *options)
{
    assert(options->max >= 1);
    struct order_queue *queue = xcalloc(1, sizeof(*queue));
    queue->max = options->max;
    queue->slots = xcalloc((size_t)options->max, sizeof(*queue->slots));
    queue->was_empty = true;
    clock_cond_init(&queue->filled);
    pthread_mutex_init(&queue->lock, NULL);
    return queue;
}

static void free_queue(struct order_queue *queue)
{
    if (queue == NULL) {
        return;
    }
    pthread_cond_destroy(&queue->filled);
    pthread_mutex_destroy(&queue->lock);
    free(queue->slots);
    free(queue);
}

static struct slot *slot_locked(struct order_queue *queue, int64_t place)
{
    return &queue->slots[place % queue->max];
}

/* -------------------------------------------------------------------------------- in and out */

static enum status put(struct order_queue *queue, const struct order *order, int64_t *place)
{
    enum status status = ST_OK;
    pthread_mutex_lock(&queue->lock);
    if (queue->is_closed) {
        status = ST_CLOSED;
    } else if (queue->put - queue->taken >= queue->max) {
        queue->refused++;
        status = ST_BUSY;
    } else {
        *slot_locked(queue, queue->put) = (struct slot){*order, clock_now_ns()};
        *place = queue->put++;
        pthread_cond_signal(&queue->filled);
    }
    pthread_mutex_unlock(&queue->lock);
    return status;
}

/* A deadline that passes together with a signal: the line is looked at once more, so that no signal
 * is spent on a thread that leaves with nothing. */
static enum status take(struct order_queue *queue, int64_t deadline_ns, struct order *out)
{
    enum status status = ST_OK;
    pthread_mutex_lock(&queue->lock);
    while (queue->put == queue->taken && status == ST_OK) {
        if (queue->is_closed) {
            status = ST_CLOSED;
        } else if (clock_now_ns() >= deadline_ns) {
            status = ST_TIMEOUT;
        } else {
            clock_cond_wait(&queue->filled, &queue->lock, deadline_ns);
        }
    }
    if (status == ST_OK) {
        *out = slot_locked(queue, queue->taken++)->order;
        queue->was_empty = queue->was_empty || queue->put == queue->taken;
    }
    pthread_mutex_unlock(&queue->lock);
    return status;
}

static int64_t average_locked(const struct order_queue *queue, int64_t gap_ns)
{
    if (queue->interval_ns == 0) {
        return gap_ns;
    }
    return queue->interval_ns + (gap_ns - queue->interval_ns) / INTERVAL_WEIGHT;
}

/* Since when somebody was in line and nobody acknowledged. */
static int64_t gap_begin_locked(struct order_queue *queue)
{
    int64_t entered_ns = slot_locked(queue, queue->taken)->entered_ns;
    return queue->was_empty && entered_ns > queue->acked_ns ? entered_ns : queue->acked_ns;
}

/* The average, with the gap that has not ended if that makes it longer. */
static int64_t interval_locked(struct order_queue *queue, int64_t now_ns)
{
    if (queue->put == queue->taken) {
        return queue->interval_ns;
    }
    int64_t interval_ns = average_locked(queue, now_ns - gap_begin_locked(queue));
    interval_ns = interval_ns > queue->interval_ns ? interval_ns : queue->interval_ns;
    return interval_ns < INTERVAL_MAX_NS ? interval_ns : INTERVAL_MAX_NS;
}

static void ack(struct order_queue *queue, const struct order *order)
{
    (void)order; /* whichever: nothing of it is kept here */
    pthread_mutex_lock(&queue->lock);
    int64_t now_ns = clock_now_ns();
    assert(queue->acked < queue->taken);
    queue->acked++;
    if (!queue->was_empty) {
        queue->interval_ns = average_locked(queue, now_ns - queue->acked_ns);
    }
    queue->acked_ns = now_ns;
    queue->was_empty = queue->put == queue->taken;
    pthread_mutex_unlock(&queue->lock);
}

/* --------------------------------------------------------------------------------- the whole */

static int64_t position(struct order_queue *queue, int64_t place)
{
    pthread_mutex_lock(&queue->lock);
    int64_t before = place - queue->taken;
    pthread_mutex_unlock(&queue->lock);
    return before > 0 ? before : 0;
}

static void read_stats(struct order_queue *queue, struct order_queue_stats *out)
{
    pthread_mutex_lock(&queue->lock);
    int64_t now_ns = clock_now_ns();
    bool is_empty = queue->put == queue->taken;
    *out = (struct order_queue_stats){
        .max = queue->max,
        .length = queue->put - queue->taken,
        .unacked = queue->taken - queue->acked,
        .age_ns = is_empty ? 0 : now_ns - slot_locked(queue, queue->taken)->entered_ns,
        .put = queue->put,
        .refused = queue->refused,
        .interval_ns = interval_locked(queue, now_ns),
    };
    pthread_mutex_unlock(&queue->lock);
}

static void close_queue(struct order_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->is_closed = true;
    pthread_cond_broadcast(&queue->filled);
    pthread_mutex_unlock(&queue->lock);
}

const struct order_queue_kind order_queue_memory = {
    .name = "memory",
    .open = open_queue,
    .put = put,
    .take = take,
    .ack = ack,
    .position = position,
    .read_stats = read_stats,
    .close = close_queue,
    .free = free_queue,
};
