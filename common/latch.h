/* latch: one thread waits until another says "done". First used by phase 3.
 *
 * One use: closed when made, opened once. What was written before latch_open is visible after
 * latch_wait. It may live on the waiter's stack: latch_open touches nothing after the waiter can
 * have returned. */
#ifndef FLASHDEAL_LATCH_H
#define FLASHDEAL_LATCH_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/stages.h"
#include "common/status.h"

/* The fields are latch.c's. */
struct latch {
    pthread_mutex_t lock;
    pthread_cond_t opened;
    /* Guarded by lock: */
    bool is_open;
    int64_t opened_ns;
};

void latch_init(struct latch *latch);

/* Call once. */
void latch_open(struct latch *latch);

/* Blocks until it is open (ST_OK) or deadline_ns (ST_TIMEOUT; CLOCK_NEVER: without bound). From the
 * opening to the return the time is booked to stages (may be NULL) as STAGE_REPLY: the result is
 * there, and the thread that replies has to get a processor. */
MUST_USE enum status latch_wait(struct latch *latch, int64_t deadline_ns, struct stages *stages);

/* Nobody may use it any more. */
void latch_destroy(struct latch *latch);

#endif
