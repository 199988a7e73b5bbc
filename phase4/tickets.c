/* tickets: a common/id_table for each shard, a lock, and who waits in it.
 *
 * Invariants, under a shard's lock: an entry is released exactly when it is final, stored and no
 * longer arriving, and removed only while it is arriving and has no outcome. Who waits does so at
 * his id's bell, which rings at every change that may end his wait: an arrival accepted or dropped,
 * a final outcome, the close. (With one bell for all, every order would wake the
 * whole crowd that waits for others.) A sleeper holds an id, never an
 * entry: when he wakes, the entry may be another's, and what he waited for may have made way (its
 * row is in the database).
 *
 * Of an order it keeps what a reply needs. It does not know the queue or the database, and takes
 * its caller's word for what they have. No lock is held while anything but memory is touched. */
#include "tickets.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/bells.h"
#include "common/clock.h"
#include "common/id_table.h"
#include "common/uuid.h"
#include "common/xalloc.h"

enum { SHARD_BITS = 6 };

_Static_assert(1 << SHARD_BITS == TICKETS_SHARDS, "as many shards as their bits can name");

/* A ticket, less its id and what no reply needs. */
struct entry {
    int64_t sale_id, user_id, quantity, accepted_us, place;
    enum order_outcome outcome;
    bool is_arriving, is_stored;
};

_Static_assert(sizeof(struct entry) + ID_TABLE_EACH_BYTES == TICKETS_EACH_BYTES,
               "what the header says that a ticket costs");

struct shard {
    pthread_mutex_t lock;

    /* Guarded by lock, and so is the table: */
    struct bells bells;
    struct id_table *table;
    int64_t finished; /* outcomes so far; whoever made way had one */
    bool is_closed;
};

struct tickets {
    struct shard shards[TICKETS_SHARDS];
    struct id_key secret;
    int64_t max;
    int waiters_max;
    atomic_int waiters;
    _Atomic int64_t refused; /* waiters */
};

/* Where an id is, or would be; its shard is locked. */
struct spot {
    struct id_key key;
    struct shard *shard;
    struct entry *entry; /* NULL: there is none */
};

/* ---------------------------------------------------------------------------------- set up */

struct tickets *tickets_new(int64_t max)
{
    assert(max >= TICKETS_SHARDS && max <= INT32_MAX);
    struct tickets *tickets = xcalloc(1, sizeof(*tickets));
    tickets->secret = id_key_secret();
    tickets->max = max;
    for (int64_t i = 0; i < TICKETS_SHARDS; i++) {
        struct shard *shard = &tickets->shards[i];
        pthread_mutex_init(&shard->lock, NULL);
        bells_init(&shard->bells);
        shard->table = id_table_new((uint32_t)((max + i) / TICKETS_SHARDS), sizeof(struct entry));
    }
    return tickets;
}

void tickets_set_waiters(struct tickets *tickets, int max)
{
    tickets->waiters_max = max;
}

void tickets_free(struct tickets *tickets)
{
    for (int i = 0; tickets != NULL && i < TICKETS_SHARDS; i++) {
        id_table_free(tickets->shards[i].table);
        bells_destroy(&tickets->shards[i].bells);
        pthread_mutex_destroy(&tickets->shards[i].lock);
    }
    free(tickets);
}

/* ----------------------------------------------------------------------------------- parts */

/* Locks the id's shard. */
static struct spot enter(struct tickets *tickets, const char *id)
{
    struct spot spot = {.key = id_key_of(&tickets->secret, id)};
    spot.shard = &tickets->shards[spot.key.hash >> (64 - SHARD_BITS)];
    pthread_mutex_lock(&spot.shard->lock);
    spot.entry = id_table_find(spot.shard->table, &spot.key);
    return spot;
}

/* Unlocks it, and writes the ticket as others than who makes it see it. */
static enum status leave(const struct spot *spot, struct ticket *out)
{
    struct entry entry = spot->entry ? *spot->entry : (struct entry){.is_arriving = true};
    pthread_mutex_unlock(&spot->shard->lock);
    if (entry.is_arriving) {
        return ST_NOT_FOUND;
    }
    *out = (struct ticket){.outcome = entry.outcome, .place = entry.place};
    memcpy(out->order.id, spot->key.words, UUID_TEXT_SIZE);
    out->order.sale_id = entry.sale_id;
    out->order.user_id = entry.user_id;
    out->order.quantity = entry.quantity;
    out->order.accepted_us = entry.accepted_us;
    return ST_OK;
}

static void keep(struct entry *entry, const struct order *order)
{
    entry->sale_id = order->sale_id;
    entry->user_id = order->user_id;
    entry->quantity = order->quantity;
    entry->accepted_us = order->accepted_us;
}

static void sleep_locked(struct spot *spot, int64_t deadline_ns)
{
    bells_wait(&spot->shard->bells, spot->key.hash, &spot->shard->lock, deadline_ns);
    spot->entry = id_table_find(spot->shard->table, &spot->key);
}

static void wake_locked(const struct spot *spot)
{
    bells_ring(&spot->shard->bells, spot->key.hash);
}

/* ---------------------------------------------------------------------------- an order's way */

enum status tickets_add(struct tickets *tickets, const struct order *order, struct ticket *known)
{
    enum status status = ST_CONSTRAINT;
    struct spot spot = enter(tickets, order->id);
    while (spot.entry != NULL && spot.entry->is_arriving && !spot.shard->is_closed) {
        sleep_locked(&spot, CLOCK_NEVER);
    }
    if (spot.entry == NULL) {
        spot.entry = id_table_add(spot.shard->table, &spot.key);
        status = spot.entry != NULL ? ST_OK : ST_BUSY;
    } else if (spot.entry->is_arriving) {
        status = ST_CLOSED;
    }
    if (status == ST_OK) {
        keep(spot.entry, order);
        spot.entry->is_arriving = true;
    }
    leave(&spot, known); /* writes it if there was one */
    return status;
}

void tickets_accept(struct tickets *tickets, const char *id, int64_t place)
{
    struct spot spot = enter(tickets, id);
    assert(spot.entry != NULL && spot.entry->is_arriving);
    spot.entry->place = place;
    spot.entry->is_arriving = false;
    if (spot.entry->is_stored) { /* a worker was done with it already */
        id_table_release(spot.shard->table, spot.entry);
    }
    wake_locked(&spot);
    pthread_mutex_unlock(&spot.shard->lock);
}

void tickets_drop(struct tickets *tickets, const char *id)
{
    struct spot spot = enter(tickets, id);
    assert(spot.entry != NULL && spot.entry->is_arriving && spot.entry->outcome == ORDER_PENDING);
    id_table_remove(spot.shard->table, spot.entry);
    wake_locked(&spot);
    pthread_mutex_unlock(&spot.shard->lock);
}

/* The first outcome stays; what can still change is that its row gets there. */
static void finish_locked(struct spot *spot, const struct order *order, enum order_outcome outcome,
                          bool is_stored)
{
    struct entry *entry = spot->entry;
    if (entry->outcome == ORDER_PENDING) {
        keep(entry, order);
        entry->outcome = outcome;
        spot->shard->finished++;
    }
    if (is_stored && !entry->is_stored) {
        entry->is_stored = true;
        if (!entry->is_arriving) {
            id_table_release(spot->shard->table, entry);
        }
    }
}

void tickets_finish(struct tickets *tickets, const struct order *order, enum order_outcome outcome,
                    bool is_stored)
{
    assert(outcome != ORDER_PENDING);
    struct spot spot = enter(tickets, order->id);
    if (spot.entry != NULL) {
        finish_locked(&spot, order, outcome, is_stored);
        wake_locked(&spot);
    }
    pthread_mutex_unlock(&spot.shard->lock);
}

/* -------------------------------------------------------------------------------- who asks */

enum status tickets_find(struct tickets *tickets, const char *id, struct ticket *out)
{
    struct spot spot = enter(tickets, id);
    return leave(&spot, out);
}

static bool has_to_wait_locked(const struct spot *spot, int64_t deadline_ns)
{
    const struct entry *entry = spot->entry;
    return entry != NULL && !entry->is_arriving && entry->outcome == ORDER_PENDING &&
           !spot->shard->is_closed && clock_now_ns() < deadline_ns;
}

/* Counts the caller among the waiters; false: there are as many as may be. */
static bool join_waiters(struct tickets *tickets)
{
    int now = atomic_load(&tickets->waiters);
    while (now < tickets->waiters_max) {
        if (atomic_compare_exchange_weak(&tickets->waiters, &now, now + 1)) {
            return true;
        }
    }
    atomic_fetch_add(&tickets->refused, 1);
    return false;
}

enum status tickets_wait(struct tickets *tickets, const char *id, int64_t deadline_ns,
                         struct ticket *out)
{
    struct spot spot = enter(tickets, id);
    if (!has_to_wait_locked(&spot, deadline_ns)) {
        return leave(&spot, out);
    }
    if (!join_waiters(tickets)) {
        leave(&spot, out);
        return ST_BUSY;
    }
    while (has_to_wait_locked(&spot, deadline_ns)) {
        sleep_locked(&spot, deadline_ns);
    }
    atomic_fetch_sub(&tickets->waiters, 1);
    return leave(&spot, out);
}

void tickets_close(struct tickets *tickets)
{
    for (int i = 0; i < TICKETS_SHARDS; i++) {
        struct shard *shard = &tickets->shards[i];
        pthread_mutex_lock(&shard->lock);
        shard->is_closed = true;
        bells_ring_all(&shard->bells);
        pthread_mutex_unlock(&shard->lock);
    }
}

void tickets_read_stats(struct tickets *tickets, struct tickets_stats *out)
{
    *out = (struct tickets_stats){.max = tickets->max,
                                  .waiters = atomic_load(&tickets->waiters),
                                  .waiters_max = tickets->waiters_max,
                                  .refused = atomic_load(&tickets->refused)};
    for (int i = 0; i < TICKETS_SHARDS; i++) {
        struct shard *shard = &tickets->shards[i];
        struct id_table_stats table;
        pthread_mutex_lock(&shard->lock);
        id_table_read_stats(shard->table, &table);
        int64_t final = shard->finished - table.evicted;
        pthread_mutex_unlock(&shard->lock);
        out->final += final;
        out->pending += table.used - final;
        out->evicted += table.evicted;
    }
}
