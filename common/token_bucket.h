/* token_bucket: how often each of many callers may do something. First used by phase 3.
 *
 * Each key has a bucket of `burst` tokens that refills at `per_second`; taking one is admission. A
 * bucket is one number, the time at which it will be full again (GCRA, ITU-T I.371 annex A: the
 * "virtual scheduling algorithm"), so a bucket that is full again is worth nothing and is pruned.
 *
 * Memory is bounded: at most keys_max buckets. Where none is free, the one that will be full first
 * among those looked at makes way, so that who has taken most is forgotten last. The table is split
 * into TOKEN_BUCKET_SHARDS, each with a lock of its own, held for a few dozen instructions. */
#ifndef FLASHDEAL_TOKEN_BUCKET_H
#define FLASHDEAL_TOKEN_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

enum {
    TOKEN_BUCKET_SHARDS = 64,
    TOKEN_BUCKET_WINDOW = 16, /* places that a key's bucket may stand in: four cache lines */
};

struct token_bucket; /* opaque; safe from any thread */

struct token_bucket_options {
    int64_t per_second; /* tokens that come back per second, 1..1,000,000; never more do, and at
                           most 0.1 % fewer (one takes a whole number of nanoseconds) */
    int64_t burst;      /* tokens of a full bucket, 1..1,000,000 */
    int64_t keys_max;   /* buckets at most, from TOKEN_BUCKET_SHARDS; 16 bytes each. Below _SHARDS x
                           _WINDOW a key has fewer places than _WINDOW, and who is over his rate is
                           forgotten sooner */
};

/* What a take came to. */
struct token_bucket_quota {
    bool admitted;
    int64_t left;           /* whole tokens left now */
    int64_t full_in_ns;     /* until the bucket is full again */
    int64_t retry_after_ns; /* until the next token is there; 0 if one is left */
};

struct token_bucket_stats {
    int64_t keys;     /* buckets in use now, some of which may be full again */
    int64_t admitted; /* since the table was made */
    int64_t refused;
    int64_t evicted; /* buckets that made way before they were full again */
};

/* Aborts when memory runs out. */
struct token_bucket *token_bucket_new(const struct token_bucket_options *options);

/* Takes one token of key's bucket at the time now_ns (CLOCK_MONOTONIC, from 0; a caller's clock
 * that lags behind another's is no harm: he is served as of the other's). *out may be NULL. Returns
 * whether it was admitted. Does not block but for its shard's lock. */
bool token_bucket_take(struct token_bucket *table, int64_t key, int64_t now_ns,
                       struct token_bucket_quota *out);

/* Gives back the token of one take, for what was admitted and then not done through no fault of the
 * key's; at most once for each, and soon after it. A bucket never has more than burst: one that is
 * full, or that made way, stays as it is. The take still counts as admitted. Does not block but for
 * its shard's lock. */
void token_bucket_give_back(struct token_bucket *table, int64_t key);

void token_bucket_read_stats(struct token_bucket *table, struct token_bucket_stats *out);

/* Accepts NULL. */
void token_bucket_free(struct token_bucket *table);

#endif
