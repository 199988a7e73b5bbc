/* tickets: what became of recent orders, in memory. First used by phase 4.
 *
 * A ticket is an order and its outcome so far. GET /orders/{id} is answered from here, without the
 * database, for as long as the ticket lives; waiting for the final state is waiting here. The table
 * is bounded: TICKETS_SHARDS shards with a lock each, their memory taken at start. When a shard is
 * full, its oldest final ticket that may be forgotten makes way: its row is in the database, or
 * none can follow.
 *
 * A ticket is made before its order is put in the queue, since a worker may be done with it before
 * the put returns; until tickets_accept it is arriving, which others see as "not there yet" and who
 * makes a ticket of the same id waits for. */
#ifndef TICKETS_H
#define TICKETS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/metrics.h"
#include "common/status.h"
#include "order.h"

enum {
    TICKETS_SHARDS = 64,
    TICKETS_EACH_BYTES = 108, /* what a ticket costs: a million of them, 108 MB */
};

struct tickets; /* opaque; safe from any thread */

struct ticket {
    struct order order;         /* its id, sale, user, quantity and accept time; all else is zero */
    enum order_outcome outcome; /* ORDER_PENDING, then final */
    int64_t place;              /* in line, from the queue */
};

/* For max tickets, from TICKETS_SHARDS. Aborts when memory runs out. */
struct tickets *tickets_new(int64_t max);

/* Makes an arriving ticket for the order. ST_OK: it is new, and the caller owes tickets_accept or
 * tickets_drop. ST_CONSTRAINT: there is one of that id, and *known is it (no longer arriving: its
 * arrival is waited for, which takes as long as a put). ST_BUSY: the shard is full of tickets that
 * have to be kept. ST_CLOSED: after tickets_close, and it is arriving. */
MUST_USE enum status tickets_add(struct tickets *tickets, const struct order *order,
                                 struct ticket *known);

/* The order is in the queue at that place. */
void tickets_accept(struct tickets *tickets, const char *id, int64_t place);

/* The order was not put into the queue: no trace remains. */
void tickets_drop(struct tickets *tickets, const char *id);

/* The final outcome; order is what the database has under that id (a repeated id's first order).
 * is_stored: its row is in the database, or no row can follow, so the ticket may be forgotten.
 * Wakes who waits. */
void tickets_finish(struct tickets *tickets, const struct order *order, enum order_outcome outcome,
                    bool is_stored);

/* ST_OK: *out is the ticket, pending or final. ST_NOT_FOUND. Does not block but for a lock that is
 * held for some instructions. */
MUST_USE enum status tickets_find(struct tickets *tickets, const char *id, struct ticket *out);

/* As tickets_find, and if it is pending, waits until it is final, deadline_ns, or tickets_close.
 * ST_BUSY: too many wait already (tickets_set_waiters); *out is the pending ticket. */
MUST_USE enum status tickets_wait(struct tickets *tickets, const char *id, int64_t deadline_ns,
                                  struct ticket *out);

/* How many may be in tickets_wait at once; before that, none. Call at start. */
void tickets_set_waiters(struct tickets *tickets, int max);

/* Wakes all who wait; nobody waits from now on. */
void tickets_close(struct tickets *tickets);

struct tickets_stats {
    int64_t max;            /* tickets */
    int64_t pending, final; /* now; the arriving ones are among the pending */
    int64_t evicted;        /* tickets that made way, since the table was made */
    int64_t waiters, waiters_max;
    int64_t refused; /* waits that found too many there */
};

void tickets_read_stats(struct tickets *tickets, struct tickets_stats *out);

/* Publishes flashdeal_tickets{state="pending|final"}, flashdeal_tickets_max (gauges),
 * flashdeal_tickets_evicted_total, flashdeal_longpoll_waiters, _waiters_max (gauges),
 * flashdeal_longpoll_refused_total. */
void tickets_publish(struct tickets *tickets, struct metrics *metrics);

/* Nobody may be in a call. Accepts NULL. */
void tickets_free(struct tickets *tickets);

#endif
