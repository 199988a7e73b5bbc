/* timers: a binary min-heap of ops by their next deadline. Setting, moving and cancelling cost
 * O(log n); an op has at most one deadline. Not shared between threads. */
#ifndef FLASHDEAL_LOADGEN_TIMERS_H
#define FLASHDEAL_LOADGEN_TIMERS_H

#include "op.h"

struct timers {
    struct op **heap; /* from place 1; owned, the ops are not */
    size_t count, capacity;
};

/* Sets or moves op's deadline (CLOCK_MONOTONIC nanoseconds). */
void timers_set(struct timers *timers, struct op *op, int64_t deadline_ns);

/* Does nothing when op has none. */
void timers_cancel(struct timers *timers, struct op *op);

/* Takes out and returns an op whose deadline is at or before now_ns, the earliest first; NULL:
 * none.
 */
struct op *timers_take_due(struct timers *timers, int64_t now_ns);

/* The earliest deadline; CLOCK_NEVER when there is none. */
int64_t timers_next_ns(const struct timers *timers);

void timers_destroy(struct timers *timers);

#endif
