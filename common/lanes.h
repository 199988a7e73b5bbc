/* lanes: a bounded line of work between threads, in lanes by a key. First used by phase 6.
 *
 * Many threads put, many take. What has the same key stands in one lane, first in, first out;
 * whoever takes gets several items at once, all of one lane. No lane can have it all: each has at
 * most its share of the slots and of the takers, the lanes take turns, and one whose work cannot go
 * on now is parked: its items wait in line, and no taker with them.
 *
 * A slot is held from the put until the item is done, in line and with a taker: so an item that was
 * accepted can always be given back. A lane is there while it holds a slot; no more lanes than
 * slots can be.
 *
 * Items are values of a fixed size, copied in and out. All memory is taken when it is made. All of
 * it is safe from any thread. Keys are trusted: who could choose millions could make it slow. */
#ifndef FLASHDEAL_LANES_H
#define FLASHDEAL_LANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

struct lanes; /* opaque */

struct lanes_options {
    size_t item_size; /* bytes of an item, from 1 */
    int max;          /* slots: items in line or taken, from 1 */
    int lane_max;     /* of one lane, from 1; max or more: no share of its own */
    int lane_takers;  /* who have items of one lane at once, from 1 */
};

struct lanes_stats {
    int64_t max;          /* slots */
    int64_t length;       /* items in line now */
    int64_t taken;        /* and not finished */
    int64_t lanes;        /* with an item in line */
    int64_t parked;       /* of those, parked now */
    int64_t age_ns;       /* since the oldest of all in line was put; 0: nobody is in line */
    int64_t put;          /* since it was made */
    int64_t refused;      /* puts that found no slot, or their lane's share used up */
    int64_t lane_refused; /* of those, the latter: other lanes could have put */
    int64_t interval_ns;  /* between two items done lately, of whatever lane, while items were in
                             line; or how long nothing has been done, where that says more. 0: not
                             known, and nobody waits */
};

/* Aborts when memory runs out. */
struct lanes *lanes_new(const struct lanes_options *options);

/* Puts a copy of the item at the end of its key's lane. *place: its number there, for
 * lanes_position. ST_BUSY: no slot is free, or its lane has its share; ST_CLOSED: it is closed; in
 * both cases nothing happened. Blocks only for the lanes' own lock. */
MUST_USE enum status lanes_put(struct lanes *lanes, int64_t key, const void *item, int64_t *place);

/* Takes up to max items (from 1), in their order, from the front of one lane: of those that have
 * items, are not parked and have not all their takers, the one that has been so for longest. Blocks
 * until there is one or deadline_ns (CLOCK_NEVER: without bound). *key: the lane's; *tries: how
 * often items were given back to it since last a taker had nothing to give back. The caller is one
 * of the lane's takers until lanes_finish, once for each lanes_take that was ST_OK.
 * ST_TIMEOUT: the deadline passed; ST_CLOSED: closed, and nothing is left in line or the close's
 * deadline has passed; in both cases *count is 0. */
MUST_USE enum status lanes_take(struct lanes *lanes, int64_t deadline_ns, void *items, int max,
                                int64_t *key, int *count, int *tries);

/* A taker's end: of the count items that he took, in the order in which he got them, those are done
 * that is_done says (NULL: all, and items may be NULL then). The others go back, as they are in
 * items: they stand in front of their lane again, in that order, also of a closed one. If there are
 * any, nobody takes of that lane before until_ns (0: at once); the later time holds if it is
 * parked.
 *
 * With more than one taker in a lane order is not kept: what is given back stands before what the
 * others gave back until then, and behind what they have. Which of the takers' items has waited for
 * how long is then known of all together only. */
void lanes_finish(struct lanes *lanes, int64_t key, const void *items, int count,
                  const bool *is_done, int64_t until_ns);

/* How many stand before the item of that place in its lane; 0: it is the next, or has been taken,
 * or is not known. An item that was given back is off by as much as has been done that was put
 * after it, or the lane's other takers have, at most; never negative, never more than there are.
 * O(1). */
int64_t lanes_position(struct lanes *lanes, int64_t key, int64_t place);

/* O(1). */
void lanes_read_stats(struct lanes *lanes, struct lanes_stats *out);

/* No put succeeds from now on; takes go on until nothing is in line or deadline_ns, then get
 * ST_CLOSED. What is parked stays so: if for longer than the deadline, it is left in line. Of
 * several closes the earliest deadline holds. */
void lanes_close(struct lanes *lanes, int64_t deadline_ns);

/* Frees it, with what is left in line. Nobody may be in a call. Accepts NULL. */
void lanes_free(struct lanes *lanes);

#endif
