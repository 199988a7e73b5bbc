/* random: jitter. First used by phase 0 (the pool's backoff), phase 3 (Retry-After).
 *
 * So that many who were told to come back do not come back together. Not for secrets: those are
 * uuid.h's and libcrypto's. Each thread has a generator of its own, seeded by the kernel. */
#ifndef FLASHDEAL_RANDOM_H
#define FLASHDEAL_RANDOM_H

#include <stdint.h>

/* A number from 0 to limit - 1, evenly; limit from 1. Safe from any thread; does not block. */
uint64_t random_below(uint64_t limit);

#endif
