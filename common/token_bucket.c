/* token_bucket: a hash table of times, in shards.
 *
 * A bucket is the time at which it will be full again. Until then it lacks (full_at - now) /
 * interval tokens, where interval is the time that one token takes; taking one moves full_at by one
 * interval, and is refused when the bucket would lack more than burst. interval is rounded up to
 * whole nanoseconds: a bucket never gives more than per_second, and at most 0.1 % less (just under
 * a million per second; at a thousand, 0.0001 %).
 *
 * A key's bucket stands in one of `window` slots from its hash on; a take looks at all of them. So
 * there are no tombstones: a slot is empty (full_at 0), or full again, hence worth nothing and
 * emptied by whoever meets it, or in use. The one that will be full first makes way; an empty slot
 * is such a one too. A bucket that has been drained is thus evicted only if all of its window have
 * been drained as far, and its owner gains no token by flooding the table with other keys of his.
 *
 * The hash is keyed from the kernel's randomness, so that nobody can choose ids that share a window
 * or a shard. A shard's clock does not go back: a caller whose now_ns is a little old (it was read
 * before the lock) is served as of the shard's, and what was pruned meanwhile was full for him too.
 *
 * Invariants, under a shard's lock: no key has two buckets; used counts the slots with full_at not
 * 0; full_at <= now + burst intervals. It does not read the clock and knows no users. */
#include "common/token_bucket.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/xalloc.h"

enum {
    SHARD_BITS = 6,
    CACHE_LINE = 64,
    RATE_MAX = 1000000,   /* of per_second and burst: their product with a second fits int64_t */
    SEED_TRIES_MAX = 100, /* a signal may interrupt, while the kernel still boots */
};

_Static_assert(1 << SHARD_BITS == TOKEN_BUCKET_SHARDS, "as many shards as their bits can name");

struct slot {
    int64_t key;
    int64_t full_at_ns; /* 0: empty */
};

_Static_assert(sizeof(struct slot) == 16, "what the header says that a bucket costs");

struct shard {
    _Alignas(CACHE_LINE) pthread_mutex_t lock;
    struct slot *slots; /* slots_each of them */

    /* Guarded by lock, and so is what slots points to: */
    int64_t now_ns; /* the latest that a caller brought */
    int64_t used, admitted, refused, evicted;
};

struct token_bucket {
    struct shard shards[TOKEN_BUCKET_SHARDS];
    uint64_t slots_each, window;
    int64_t interval_ns, capacity_ns; /* of one token, of burst tokens */
    uint64_t secrets[2];              /* the hash's key */
    struct slot *slots;               /* of all shards */
};

/* ---------------------------------------------------------------------------------- set up */

static void draw_secrets(uint64_t secrets[2])
{
    const size_t size = 2 * sizeof(secrets[0]);
    for (int tries = 0; tries < SEED_TRIES_MAX; tries++) {
        if (getrandom(secrets, size, 0) == (ssize_t)size) {
            return;
        }
    }
    log_event(LOG_ERROR, "no_randomness", LOG_NUMBER("errno", errno));
    abort();
}

/* xcalloc for a table whose shards must not share a cache line. */
static struct token_bucket *allocate(void)
{
    struct token_bucket *table = aligned_alloc(CACHE_LINE, sizeof(*table));
    if (table == NULL) {
        log_event(LOG_ERROR, "out_of_memory", LOG_NUMBER("size", sizeof(*table)));
        abort();
    }
    memset(table, 0, sizeof(*table));
    return table;
}

struct token_bucket *token_bucket_new(const struct token_bucket_options *options)
{
    assert(options->per_second >= 1 && options->per_second <= RATE_MAX);
    assert(options->burst >= 1 && options->burst <= RATE_MAX);
    assert(options->keys_max >= TOKEN_BUCKET_SHARDS);
    struct token_bucket *table = allocate();
    table->slots_each = (uint64_t)options->keys_max / TOKEN_BUCKET_SHARDS;
    table->window = table->slots_each;
    if (table->window > TOKEN_BUCKET_WINDOW) {
        table->window = TOKEN_BUCKET_WINDOW;
    }
    table->interval_ns = (CLOCK_NS_PER_S + options->per_second - 1) / options->per_second;
    table->capacity_ns = table->interval_ns * options->burst;
    table->slots = xcalloc(table->slots_each * TOKEN_BUCKET_SHARDS, sizeof(*table->slots));
    draw_secrets(table->secrets);
    for (size_t i = 0; i < TOKEN_BUCKET_SHARDS; i++) {
        pthread_mutex_init(&table->shards[i].lock, NULL);
        table->shards[i].slots = table->slots + i * table->slots_each;
    }
    return table;
}

void token_bucket_free(struct token_bucket *table)
{
    if (table == NULL) {
        return;
    }
    for (size_t i = 0; i < TOKEN_BUCKET_SHARDS; i++) {
        pthread_mutex_destroy(&table->shards[i].lock);
    }
    free(table->slots);
    free(table);
}

/* ------------------------------------------------------------------------------------- find */

/* The finalizer of splitmix64 (Steele, Lea, Flood, 2014): a fixed permutation that mixes well. */
static uint64_t mix(uint64_t value)
{
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

/* A secret before each of two permutations, after Even and Mansour (1991): without the secrets
 * nobody knows which keys land together, and no reply shows where one landed. */
static uint64_t hash_key(const struct token_bucket *table, int64_t key)
{
    return mix(mix((uint64_t)key ^ table->secrets[0]) ^ table->secrets[1]);
}

static void empty_locked(struct shard *shard, struct slot *slot)
{
    slot->full_at_ns = 0;
    shard->used--;
}

/* The slot that key stands in or, if in none, the one that it may have; that one's full_at_ns is
 * not 0 if a bucket in use must make way. Empties the full ones on the way. */
static struct slot *find_locked(const struct token_bucket *table, struct shard *shard,
                                uint64_t hash, int64_t key)
{
    uint64_t at = (hash & UINT32_MAX) * table->slots_each >> 32;
    struct slot *first_full = &shard->slots[at];
    for (uint64_t i = 0; i < table->window; i++) {
        struct slot *slot = &shard->slots[at];
        at = at + 1 < table->slots_each ? at + 1 : 0;
        if (slot->full_at_ns != 0 && slot->full_at_ns <= shard->now_ns) {
            empty_locked(shard, slot);
        }
        if (slot->full_at_ns != 0 && slot->key == key) {
            return slot;
        }
        if (slot->full_at_ns < first_full->full_at_ns) {
            first_full = slot;
        }
    }
    return first_full;
}

/* ------------------------------------------------------------------------------------- take */

/* What a bucket that lacks lack_ns worth of tokens has to offer. */
static struct token_bucket_quota quota_of(const struct token_bucket *table, bool admitted,
                                          int64_t lack_ns)
{
    int64_t left = (table->capacity_ns - lack_ns) / table->interval_ns;
    return (struct token_bucket_quota){
        .admitted = admitted,
        .left = left,
        .full_in_ns = lack_ns,
        .retry_after_ns = left > 0 ? 0 : lack_ns + table->interval_ns - table->capacity_ns,
    };
}

static void store_locked(struct shard *shard, struct slot *slot, int64_t key, int64_t full_at_ns)
{
    if (slot->full_at_ns == 0) {
        shard->used++;
    } else if (slot->key != key) {
        shard->evicted++;
    }
    slot->key = key;
    slot->full_at_ns = full_at_ns;
}

static struct token_bucket_quota take_locked(const struct token_bucket *table, struct shard *shard,
                                             uint64_t hash, int64_t key)
{
    struct slot *slot = find_locked(table, shard, hash, key);
    bool is_known = slot->full_at_ns != 0 && slot->key == key;
    int64_t lack_ns = is_known ? slot->full_at_ns - shard->now_ns : 0;
    bool admitted = lack_ns + table->interval_ns <= table->capacity_ns;
    if (admitted) {
        lack_ns += table->interval_ns;
        store_locked(shard, slot, key, shard->now_ns + lack_ns);
        shard->admitted++;
    } else {
        shard->refused++;
    }
    return quota_of(table, admitted, lack_ns);
}

bool token_bucket_take(struct token_bucket *table, int64_t key, int64_t now_ns,
                       struct token_bucket_quota *out)
{
    assert(now_ns >= 0 && now_ns <= CLOCK_NEVER - table->capacity_ns);
    uint64_t hash = hash_key(table, key);
    struct shard *shard = &table->shards[hash >> (64 - SHARD_BITS)];
    pthread_mutex_lock(&shard->lock);
    if (shard->now_ns < now_ns) {
        shard->now_ns = now_ns;
    }
    struct token_bucket_quota quota = take_locked(table, shard, hash, key);
    pthread_mutex_unlock(&shard->lock);
    if (out != NULL) {
        *out = quota;
    }
    return quota.admitted;
}

/* Exact, but for a bucket that was full for a while between the take and this: what did not fit
 * into it then is not taken off. */
static void give_back_locked(const struct token_bucket *table, struct shard *shard, uint64_t hash,
                             int64_t key)
{
    struct slot *slot = find_locked(table, shard, hash, key);
    if (slot->full_at_ns == 0 || slot->key != key) {
        return;
    }
    slot->full_at_ns -= table->interval_ns;
    if (slot->full_at_ns <= shard->now_ns) {
        empty_locked(shard, slot);
    }
}

void token_bucket_give_back(struct token_bucket *table, int64_t key)
{
    uint64_t hash = hash_key(table, key);
    struct shard *shard = &table->shards[hash >> (64 - SHARD_BITS)];
    pthread_mutex_lock(&shard->lock);
    give_back_locked(table, shard, hash, key);
    pthread_mutex_unlock(&shard->lock);
}

void token_bucket_read_stats(struct token_bucket *table, struct token_bucket_stats *out)
{
    *out = (struct token_bucket_stats){0};
    for (size_t i = 0; i < TOKEN_BUCKET_SHARDS; i++) {
        struct shard *shard = &table->shards[i];
        pthread_mutex_lock(&shard->lock);
        out->keys += shard->used;
        out->admitted += shard->admitted;
        out->refused += shard->refused;
        out->evicted += shard->evicted;
        pthread_mutex_unlock(&shard->lock);
    }
}
