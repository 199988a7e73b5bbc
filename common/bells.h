/* bells: who waits for one of many things is woken by that thing, and hardly ever by another's.
 * First used by phase 4 (its tickets).
 *
 * A set of condition variables under one lock, the caller's: a hash says at whose bell one waits.
 * Who shares a bell by chance, one in BELLS_COUNT, pays with a needless wake-up: he looks again and
 * sleeps on. So a wait is a loop around a condition, as always. */
#ifndef FLASHDEAL_BELLS_H
#define FLASHDEAL_BELLS_H

#include <pthread.h>
#include <stdint.h>

enum { BELLS_COUNT = 32 };

struct bell {
    pthread_cond_t rings;
    int sleepers;
};

/* Guarded by the caller's lock, all of it; a value type, but not to be copied. */
struct bells {
    struct bell each[BELLS_COUNT];
};

void bells_init(struct bells *bells);

/* Nobody may wait (assert). */
void bells_destroy(struct bells *bells);

/* Gives lock up and sleeps until the hash's bell rings, deadline_ns (CLOCK_NEVER: without bound),
 * or for no reason at all; has lock again when it returns. */
void bells_wait(struct bells *bells, uint64_t hash, pthread_mutex_t *lock, int64_t deadline_ns);

/* Wakes who waits at that bell, or at any. With the lock held; costs no system call where nobody
 * waits. */
void bells_ring(struct bells *bells, uint64_t hash);
void bells_ring_all(struct bells *bells);

#endif
