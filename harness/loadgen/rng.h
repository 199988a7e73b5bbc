/* rng: the seed's random numbers: xoshiro256** 1.0, its state filled by splitmix64, both by David
 * Blackman and Sebastiano Vigna (https://prng.di.unimi.it/, public domain). Not for secrets.
 *
 * A generator belongs to one thread; the same seed and stream give the same numbers everywhere. */
#ifndef FLASHDEAL_LOADGEN_RNG_H
#define FLASHDEAL_LOADGEN_RNG_H

#include <stdint.h>

struct rng {
    uint64_t state[4];
};

/* Streams of one seed are independent, so that a read rate does not change the orders. */
enum rng_stream {
    RNG_ORDER_TIMES = 1,
    RNG_ORDER_MIX,
    RNG_READ_TIMES,
    RNG_READ_MIX,
    RNG_PROBE_TIMES,
    RNG_LOSE_REPLY,
    RNG_HANG_UP,
    RNG_AWAIT,
    RNG_BACKOFF,
    RNG_POLL,
};

void rng_seed(struct rng *rng, uint64_t seed, enum rng_stream stream);

uint64_t rng_next(struct rng *rng);

/* Uniform in [0, 1), 53 bits. */
double rng_unit(struct rng *rng);

/* Uniform whole number from low to high, both included; low <= high. */
int64_t rng_between(struct rng *rng, int64_t low, int64_t high);

/* Exponentially distributed with the given rate (> 0): the gaps of a Poisson process. */
double rng_exponential(struct rng *rng, double rate);

/* A number in [0, 1) that depends on its arguments only, not on what was drawn before: decisions
 * about attempt n of order op fall the same in whatever order the replies come. */
double rng_of(uint64_t seed, enum rng_stream stream, int64_t op, int attempt);

#endif
