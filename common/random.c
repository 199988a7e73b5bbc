/* random: xoshiro256**, one per thread, seeded by getrandom(2) at the thread's first call.
 *
 * Source: Blackman and Vigna, Scrambled Linear Pseudorandom Number Generators, 2021. Its 256 bits
 * of state must not all be 0, which the kernel gives once in 2^256 tries.
 *
 * A remainder would favour small numbers where limit does not divide 2^64. So the lowest 2^64 mod
 * limit draws, those of the last, incomplete round, are drawn again: less than half of them, so two
 * draws are the most to expect. A child made by fork(2) would draw what its parent draws. */
#include "common/random.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/random.h>

#include "common/log.h"

enum { SEED_TRIES_MAX = 100 }; /* a signal may interrupt, while the kernel still boots */

static _Thread_local uint64_t state[4];
static _Thread_local bool is_seeded;

static void seed(void)
{
    for (int tries = 0; tries < SEED_TRIES_MAX; tries++) {
        if (getrandom(state, sizeof(state), 0) == (ssize_t)sizeof(state)) {
            is_seeded = true;
            return;
        }
    }
    log_event(LOG_ERROR, "no_randomness", LOG_NUMBER("errno", errno));
    abort();
}

static uint64_t rotate(uint64_t value, int bits)
{
    return value << bits | value >> (64 - bits);
}

static uint64_t next(void)
{
    uint64_t result = rotate(state[1] * 5, 7) * 9;
    uint64_t shifted = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotate(state[3], 45);
    return result;
}

uint64_t random_below(uint64_t limit)
{
    assert(limit >= 1);
    if (!is_seeded) {
        seed();
    }
    uint64_t incomplete = (0 - limit) % limit; /* 2^64 mod limit */
    uint64_t drawn = next();
    while (drawn < incomplete) {
        drawn = next();
    }
    return drawn % limit;
}
