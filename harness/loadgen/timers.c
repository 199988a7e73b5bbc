/* timers: the usual heap in an array, from place 1 (so that the parent of i is i / 2 and place 0
 * can mean "not in the heap"). Each op remembers its place, so that a reply cancels its time-out
 * without a search. Invariant: no op's deadline is before its parent's. */
#include "timers.h"

#include "common/clock.h"
#include "common/xalloc.h"

#include <stdlib.h>
#include <string.h>

static void put(struct timers *timers, size_t place, struct op *op)
{
    timers->heap[place] = op;
    op->timer_place = place;
}

static void sift_up(struct timers *timers, struct op *op, size_t place)
{
    while (place > 1 && timers->heap[place / 2]->timer_ns > op->timer_ns) {
        put(timers, place, timers->heap[place / 2]);
        place /= 2;
    }
    put(timers, place, op);
}

static void sift_down(struct timers *timers, struct op *op, size_t place)
{
    while (2 * place <= timers->count) {
        size_t child = 2 * place;
        if (child < timers->count &&
            timers->heap[child + 1]->timer_ns < timers->heap[child]->timer_ns) {
            child++;
        }
        if (timers->heap[child]->timer_ns >= op->timer_ns) {
            break;
        }
        put(timers, place, timers->heap[child]);
        place = child;
    }
    put(timers, place, op);
}

static void grow(struct timers *timers)
{
    const size_t capacity = timers->capacity == 0 ? 1024 : timers->capacity * 2;
    struct op **heap = xcalloc(capacity, sizeof(struct op *));
    if (timers->count > 0) {
        memcpy(heap, timers->heap, (timers->count + 1) * sizeof(struct op *));
    }
    free(timers->heap);
    timers->heap = heap;
    timers->capacity = capacity;
}

static void settle(struct timers *timers, struct op *op, size_t place)
{
    if (place > 1 && timers->heap[place / 2]->timer_ns > op->timer_ns) {
        sift_up(timers, op, place);
    } else {
        sift_down(timers, op, place);
    }
}

void timers_set(struct timers *timers, struct op *op, int64_t deadline_ns)
{
    op->timer_ns = deadline_ns;
    if (op->timer_place != 0) {
        settle(timers, op, op->timer_place);
        return;
    }
    if (timers->count + 1 >= timers->capacity) {
        grow(timers);
    }
    timers->count++;
    sift_up(timers, op, timers->count);
}

void timers_cancel(struct timers *timers, struct op *op)
{
    const size_t place = op->timer_place;
    if (place == 0) {
        return;
    }
    struct op *last = timers->heap[timers->count];
    timers->count--;
    op->timer_place = 0;
    if (last != op) {
        settle(timers, last, place);
    }
}

struct op *timers_take_due(struct timers *timers, int64_t now_ns)
{
    if (timers->count == 0 || timers->heap[1]->timer_ns > now_ns) {
        return NULL;
    }
    struct op *op = timers->heap[1];
    timers_cancel(timers, op);
    return op;
}

int64_t timers_next_ns(const struct timers *timers)
{
    return timers->count == 0 ? CLOCK_NEVER : timers->heap[1]->timer_ns;
}

void timers_destroy(struct timers *timers)
{
    free(timers->heap);
    memset(timers, 0, sizeof(*timers));
}
