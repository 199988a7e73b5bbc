/* lanes_memory: the slots and lanes of lanes.c, taken at once, and the table of lanes by key.
 *
 * There are as many lanes as slots: one that is there holds a slot, so none is missing when a slot
 * is free. Buckets are as many, with chains: a chain is short unless somebody chooses the keys. */
#include "common/lanes_private.h"

#include <assert.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/xalloc.h"

static void init_rings(struct lanes *lanes)
{
    ring_init(&lanes->free_slots);
    ring_init(&lanes->free_lanes);
    ring_init(&lanes->ready);
    ring_init(&lanes->parked);
    ring_init(&lanes->ages);
    for (size_t i = 0; i < (size_t)lanes->options.max; i++) {
        struct slot *slot = (struct slot *)(void *)(lanes->memory + i * lanes->stride);
        link_before(&slot->link, &lanes->free_slots);
        link_before(&lanes->all[i].link, &lanes->free_lanes);
    }
}

struct lanes *lanes_new(const struct lanes_options *options)
{
    assert(options->item_size >= 1 && options->max >= 1);
    assert(options->lane_max >= 1 && options->lane_takers >= 1);
    struct lanes *lanes = xcalloc(1, sizeof(*lanes));
    size_t max = (size_t)options->max, align = _Alignof(struct slot);
    lanes->options = *options;
    lanes->stride = (sizeof(struct slot) + options->item_size + align - 1) / align * align;
    lanes->memory = xcalloc(max, lanes->stride);
    lanes->all = xcalloc(max, sizeof(*lanes->all));
    lanes->buckets = xcalloc(max, sizeof(struct lane *));
    lanes->was_empty = true;
    lanes->close_ns = lanes->watch_ns = CLOCK_NEVER;
    init_rings(lanes);
    clock_cond_init(&lanes->changed);
    pthread_mutex_init(&lanes->lock, NULL);
    return lanes;
}

void lanes_free(struct lanes *lanes)
{
    if (lanes == NULL) {
        return;
    }
    pthread_cond_destroy(&lanes->changed);
    pthread_mutex_destroy(&lanes->lock);
    free(lanes->buckets);
    free(lanes->all);
    free(lanes->memory);
    free(lanes);
}

/* -------------------------------------------------------------------------------- the table */

/* The finalizer of splitmix64 (Steele, Lea, Flood, 2014): a fixed permutation that mixes well. */
static struct lane **bucket_locked(struct lanes *lanes, int64_t key)
{
    uint64_t hash = (uint64_t)key;
    hash = (hash ^ hash >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    hash = (hash ^ hash >> 27) * UINT64_C(0x94d049bb133111eb);
    hash ^= hash >> 31;
    return &lanes->buckets[hash % (uint64_t)lanes->options.max];
}

struct lane *lanes_find_locked(struct lanes *lanes, int64_t key)
{
    struct lane *lane = *bucket_locked(lanes, key);
    while (lane != NULL && lane->key != key) {
        lane = lane->chain;
    }
    return lane;
}

struct lane *lanes_open_lane_locked(struct lanes *lanes, int64_t key)
{
    struct lane **bucket = bucket_locked(lanes, key);
    struct lane *lane = lane_of(lanes->free_lanes.next); /* no more lanes than slots are held */
    link_out(&lane->link);
    *lane = (struct lane){.key = key, .chain = *bucket, .next_place = lanes->put};
    *bucket = lane;
    ring_init(&lane->line);
    ring_init(&lane->out);
    return lane;
}

void lanes_close_lane_locked(struct lanes *lanes, struct lane *lane)
{
    struct lane **at = bucket_locked(lanes, lane->key);
    while (*at != lane) {
        at = &(*at)->chain;
    }
    *at = lane->chain;
    link_before(&lane->link, &lanes->free_lanes);
}
