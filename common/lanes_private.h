/* lanes_private: what lanes.c and lanes_memory.c share; only they include it. First used by
 * phase 6.
 *
 * What a lane and a slot can be is told in lanes.c. Guarded by the lanes' lock, all of it. */
#ifndef FLASHDEAL_LANES_PRIVATE_H
#define FLASHDEAL_LANES_PRIVATE_H

#include <pthread.h>
#include <stdbool.h>

#include "common/lanes.h"

/* A neighbour in a ring. The ring itself is one more link, before the first and after the last. */
struct link {
    struct link *prev, *next;
};

#define LANES_OWNER(link_, type_, member_)                                                         \
    ((type_ *)(void *)((char *)(link_)-offsetof(type_, member_)))

struct slot {
    struct link link; /* in line, taken or free */
    struct link age;  /* of those in line */
    int64_t entered_ns;
    unsigned char item[];
};

enum lane_state {
    LANE_HELD,   /* nobody may take: nothing is in line, or it has all its takers */
    LANE_READY,  /* somebody may */
    LANE_PARKED, /* nobody may before until_ns */
};

struct lane {
    int64_t key;
    struct lane *chain;    /* the next of its bucket */
    struct link link;      /* ready, parked or free */
    struct link line, out; /* its slots: in line, and taken, first to last */
    enum lane_state state;
    int length, taken, takers; /* in line; taken; by how many */
    int tries;                 /* give-backs in a row */
    int64_t next_place;
    int64_t until_ns;
};

struct lanes {
    struct lanes_options options;
    size_t stride;         /* bytes of a slot with its item */
    unsigned char *memory; /* the slots */
    struct lane *all;      /* as many */
    struct lane **buckets; /* as many */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a lane is ready, the watch is free, or there is a new deadline */

    /* Guarded by lock, and so is what they lead to: */
    struct link free_slots, free_lanes, ready, parked, ages;
    bool is_closed;
    bool was_empty; /* the line, at some time since an item was done last, or none was */
    int64_t close_ns, watch_ns; /* CLOCK_NEVER: not closed, or without bound; nobody is the watch */
    int64_t length, taken, filled, parked_count, put, refused, lane_refused;
    int64_t done_ns;     /* when an item was done last */
    int last_done;       /* and how many then; 0: none was */
    int64_t interval_ns; /* 0: not known yet */
};

static inline void ring_init(struct link *ring)
{
    ring->prev = ring;
    ring->next = ring;
}

static inline bool ring_is_empty(const struct link *ring)
{
    return ring->next == ring;
}

static inline void link_before(struct link *link, struct link *next)
{
    link->prev = next->prev;
    link->next = next;
    next->prev->next = link;
    next->prev = link;
}

static inline void link_out(struct link *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
}

static inline void link_move(struct link *link, struct link *next)
{
    link_out(link);
    link_before(link, next);
}

static inline struct slot *slot_of(struct link *link)
{
    return LANES_OWNER(link, struct slot, link);
}

static inline struct lane *lane_of(struct link *link)
{
    return LANES_OWNER(link, struct lane, link);
}

static inline struct slot *aged_of(struct link *age)
{
    return LANES_OWNER(age, struct slot, age);
}

/* The lane of that key; NULL: it holds no slot. */
struct lane *lanes_find_locked(struct lanes *lanes, int64_t key);

/* Makes the lane of a key that has none; the caller has a free slot for it. */
struct lane *lanes_open_lane_locked(struct lanes *lanes, int64_t key);

/* Ends a lane that holds no slot any more. */
void lanes_close_lane_locked(struct lanes *lanes, struct lane *lane);

#endif
