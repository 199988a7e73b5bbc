/* queue: a doubly linked list, one mutex, one condition variable for those who pop.
 *
 * Invariants, under the lock: length counts the items from first to last and is at most max; an
 * item has is_queued exactly while it is among them; nobody waits while there is an item, but for
 * whoever has been signalled and is on his way. Each push wakes one who waits. He may find that
 * somebody faster took the item, and waits on; if his deadline has passed as well, he looks once
 * more before he says so, so that no signal is spent on a thread that leaves with nothing.
 *
 * The time in line is booked under the lock: from the moment that queue_remove can say false the
 * item's stages are the popper's, and a request's stages are one thread's at a time.
 *
 * It does not know what the work is, how old is too old, or who waits for the result. */
#include "common/queue.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/xalloc.h"

struct queue {
    int max;
    pthread_mutex_t lock;
    pthread_cond_t filled; /* an item was pushed, or the queue was closed */

    /* Guarded by lock: */
    bool closed;
    int length, waiters;
    struct queue_item *first, *last;
    int64_t pushed, refused, withdrawn;
};

struct queue *queue_new(int max)
{
    assert(max >= 1);
    struct queue *queue = xcalloc(1, sizeof(*queue));
    queue->max = max;
    clock_cond_init(&queue->filled);
    pthread_mutex_init(&queue->lock, NULL);
    return queue;
}

/* --------------------------------------------------------------------------------------- line */

static void join_line_locked(struct queue *queue, struct queue_item *item)
{
    item->ahead = queue->last;
    item->behind = NULL;
    *(queue->last != NULL ? &queue->last->behind : &queue->first) = item;
    queue->last = item;
    item->is_queued = true;
    queue->length++;
}

static void leave_line_locked(struct queue *queue, struct queue_item *item)
{
    *(item->ahead != NULL ? &item->ahead->behind : &queue->first) = item->behind;
    *(item->behind != NULL ? &item->behind->ahead : &queue->last) = item->ahead;
    item->ahead = NULL;
    item->behind = NULL;
    item->is_queued = false;
    queue->length--;
    stages_add_since(item->stages, STAGE_QUEUE_WAIT, item->entered_ns);
}

static void wait_locked(struct queue *queue, int64_t deadline_ns)
{
    queue->waiters++;
    clock_cond_wait(&queue->filled, &queue->lock, deadline_ns);
    queue->waiters--;
}

/* -------------------------------------------------------------------------------- in and out */

enum status queue_push(struct queue *queue, struct queue_item *item, struct stages *stages)
{
    enum status status = ST_OK;
    pthread_mutex_lock(&queue->lock);
    assert(!item->is_queued);
    if (queue->closed) {
        status = ST_CLOSED;
    } else if (queue->length >= queue->max) {
        queue->refused++;
        status = ST_BUSY;
    } else {
        item->stages = stages;
        item->entered_ns = clock_now_ns();
        join_line_locked(queue, item);
        queue->pushed++;
        pthread_cond_signal(&queue->filled);
    }
    pthread_mutex_unlock(&queue->lock);
    return status;
}

enum status queue_pop(struct queue *queue, int64_t deadline_ns, struct queue_item **out)
{
    enum status status = ST_OK;
    pthread_mutex_lock(&queue->lock);
    while (queue->first == NULL && status == ST_OK) {
        if (queue->closed) {
            status = ST_CLOSED;
        } else if (clock_now_ns() >= deadline_ns) {
            status = ST_TIMEOUT;
        } else {
            wait_locked(queue, deadline_ns);
        }
    }
    *out = queue->first;
    if (queue->first != NULL) {
        leave_line_locked(queue, queue->first);
    }
    pthread_mutex_unlock(&queue->lock);
    return status;
}

bool queue_remove(struct queue *queue, struct queue_item *item)
{
    pthread_mutex_lock(&queue->lock);
    bool was_queued = item->is_queued;
    if (was_queued) {
        leave_line_locked(queue, item);
        queue->withdrawn++;
    }
    pthread_mutex_unlock(&queue->lock);
    return was_queued;
}

/* --------------------------------------------------------------------------------- the whole */

void queue_close(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->closed = true;
    pthread_cond_broadcast(&queue->filled);
    pthread_mutex_unlock(&queue->lock);
}

void queue_read_stats(struct queue *queue, struct queue_stats *out)
{
    pthread_mutex_lock(&queue->lock);
    *out = (struct queue_stats){
        .max = queue->max,
        .length = queue->length,
        .age_ns = queue->first != NULL ? clock_now_ns() - queue->first->entered_ns : 0,
        .pushed = queue->pushed,
        .refused = queue->refused,
        .withdrawn = queue->withdrawn,
    };
    pthread_mutex_unlock(&queue->lock);
}

void queue_free(struct queue *queue)
{
    if (queue == NULL) {
        return;
    }
    assert(queue->first == NULL && queue->waiters == 0);
    pthread_cond_destroy(&queue->filled);
    pthread_mutex_destroy(&queue->lock);
    free(queue);
}
