/* rng: xoshiro256** and splitmix64 (Blackman and Vigna, https://prng.di.unimi.it/, public domain).
 *
 * The period is 2^256 - 1; a stream is another starting point, got by mixing the stream's number
 * into the seed with splitmix64, whose outputs for different inputs are all different. Doubles are
 * made of the upper 53 bits, as the authors advise. Not for secrets: keys and ids come from the
 * kernel (common/uuid). */
#include "rng.h"

#include <math.h>

static uint64_t splitmix64(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t rotate_left(uint64_t x, int bits)
{
    return (x << bits) | (x >> (64 - bits));
}

static double unit_from_bits(uint64_t bits)
{
    return (double)(bits >> 11) * 0x1.0p-53;
}

void rng_seed(struct rng *rng, uint64_t seed, enum rng_stream stream)
{
    uint64_t mixer = seed;
    mixer = splitmix64(&mixer) ^ (uint64_t)stream;
    for (int i = 0; i < 4; i++) {
        rng->state[i] = splitmix64(&mixer);
    }
}

uint64_t rng_next(struct rng *rng)
{
    uint64_t *s = rng->state;
    const uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    const uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

double rng_unit(struct rng *rng)
{
    return unit_from_bits(rng_next(rng));
}

int64_t rng_between(struct rng *rng, int64_t low, int64_t high)
{
    const uint64_t span = (uint64_t)high - (uint64_t)low + 1;
    if (span == 0) {
        return (int64_t)rng_next(rng);
    }
    /* Numbers under 2^64 mod span are drawn again: every value is then equally likely. */
    const uint64_t reject_below = (0 - span) % span;
    uint64_t bits = rng_next(rng);
    while (bits < reject_below) {
        bits = rng_next(rng);
    }
    return (int64_t)((uint64_t)low + bits % span);
}

double rng_exponential(struct rng *rng, double rate)
{
    return -log1p(-rng_unit(rng)) / rate;
}

double rng_of(uint64_t seed, enum rng_stream stream, int64_t op, int attempt)
{
    uint64_t mixer = seed;
    mixer = splitmix64(&mixer) ^ (uint64_t)stream;
    mixer = splitmix64(&mixer) ^ (uint64_t)op;
    mixer = splitmix64(&mixer) ^ (uint64_t)attempt;
    return unit_from_bits(splitmix64(&mixer));
}
