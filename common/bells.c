/* bells: an array of condition variables, each with a count of who waits, so that ringing where
 * nobody does is no more than a look at the count. */
#include "common/bells.h"

#include <assert.h>

#include "common/clock.h"

void bells_init(struct bells *bells)
{
    for (int i = 0; i < BELLS_COUNT; i++) {
        clock_cond_init(&bells->each[i].rings);
        bells->each[i].sleepers = 0;
    }
}

void bells_destroy(struct bells *bells)
{
    for (int i = 0; i < BELLS_COUNT; i++) {
        assert(bells->each[i].sleepers == 0);
        pthread_cond_destroy(&bells->each[i].rings);
    }
}

void bells_wait(struct bells *bells, uint64_t hash, pthread_mutex_t *lock, int64_t deadline_ns)
{
    struct bell *bell = &bells->each[hash % BELLS_COUNT];
    bell->sleepers++;
    clock_cond_wait(&bell->rings, lock, deadline_ns);
    bell->sleepers--;
}

static void ring(struct bell *bell)
{
    if (bell->sleepers > 0) {
        pthread_cond_broadcast(&bell->rings);
    }
}

void bells_ring(struct bells *bells, uint64_t hash)
{
    ring(&bells->each[hash % BELLS_COUNT]);
}

void bells_ring_all(struct bells *bells)
{
    for (int i = 0; i < BELLS_COUNT; i++) {
        ring(&bells->each[i]);
    }
}
