/* dbpool_private: the backoff that the pool and the wait at start share; only they and their test
 * include it. First used by phase 0.
 *
 * Rounds: attempts that run at the same time and fail together are one failure, so the delay
 * doubles once for all of them. While the delay is not 0 whoever attempts claims the next slot of
 * time first, so that two callers never attempt at once. Not locked: the owner's lock guards it. */
#ifndef FLASHDEAL_DBPOOL_PRIVATE_H
#define FLASHDEAL_DBPOOL_PRIVATE_H

#include <stdint.h>

/* All zero to begin with. */
struct dbpool_backoff {
    int64_t delay_ms; /* 0: the last attempt succeeded, or there was none */
    int64_t next_ns;  /* no attempt before this */
    uint64_t round;   /* failures since it was made */
    int failures;     /* of them, since the last success */
};

/* An attempt starts now. */
void dbpool_backoff_claim(struct dbpool_backoff *backoff, int64_t now_ns);

/* An attempt that started in round has failed: DBPOOL_BACKOFF_MIN_MS, doubling to _MAX_MS. */
void dbpool_backoff_fail(struct dbpool_backoff *backoff, uint64_t round, int64_t now_ns);

/* An attempt has succeeded. */
void dbpool_backoff_reset(struct dbpool_backoff *backoff);

#endif
