/* dbpool: slots, a line of callers, and a backoff that all of them share.
 *
 * A slot is idle (its connection on a stack, the most recently used on top), lent, connecting, or
 * free (no connection). Callers stand in one line ordered by ticket, each on a condition variable
 * of its own on its own stack. A connection that comes back goes straight to the first in line, so
 * nobody who arrives later can take it from him. A free slot is only the first in line's to use: he
 * leaves the line, connects outside the lock, and if that fails returns with his old ticket to his
 * old place, where he may just as well be handed a connection that came back in the meantime.
 *
 * Invariants: idle + lent + connecting <= size; nobody stands in line while a connection is idle;
 * the lock is held across no SQL, no connect, no close and no log line.
 *
 * Idle connections are checked when they are lent (one poll, no round trip): after a restart of the
 * server each is found dead and replaced, and no caller sees it. A connection that dies between
 * that check and its use fails its user's statement.
 *
 * It does not keep a minimum of connections, does not close idle ones, and does not end a connect
 * that is under way when it is shut: connect_timeout_ms bounds that. */
#include "common/dbpool.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/dbpool_private.h"
#include "common/log.h"
#include "common/xalloc.h"

/* One caller in line; lives on his stack. Guarded by the pool's lock but for his own use of wake.
 */
struct waiter {
    pthread_cond_t wake;
    uint64_t ticket;    /* the order of arrival, kept when he comes back to the line */
    struct pg *granted; /* not NULL: handed to him, and he is out of the line */
    struct waiter *ahead, *behind;
};

struct dbpool {
    int size;
    struct pg_options options;
    pthread_mutex_t lock;

    /* Guarded by lock: */
    bool shut;
    int lent, connecting, idle_count;
    struct pg **idle; /* size entries, idle_count in use */
    struct waiter *first, *last;
    int waiters;
    uint64_t tickets;            /* drawn so far */
    struct dbpool_backoff delay; /* of the attempts to connect */
    bool refused;                /* the last attempt showed that waiting will not help */
    int64_t acquired, timed_out, connects, discarded;
};

/* What a caller in line comes away with. */
enum turn {
    TURN_LENT,    /* waiter.granted is his */
    TURN_CONNECT, /* a slot is his to connect; settle_connect ends that */
    TURN_TIMEOUT,
    TURN_REFUSED, /* the last attempt to connect was refused for good, a moment ago */
    TURN_SHUT,
};

/* --------------------------------------------------------------------------------------- line */

static bool has_free_slot_locked(const struct dbpool *pool)
{
    return pool->lent + pool->connecting + pool->idle_count < pool->size;
}

/* The first in line looks again, if there is anything for him. */
static void wake_first_locked(struct dbpool *pool)
{
    if (pool->first != NULL && (pool->idle_count > 0 || has_free_slot_locked(pool))) {
        pthread_cond_signal(&pool->first->wake);
    }
}

/* By ticket: whoever is new goes to the end, whoever comes back finds his place near the front. */
static void join_line_locked(struct dbpool *pool, struct waiter *self)
{
    struct waiter *ahead = pool->last;
    while (ahead != NULL && ahead->ticket > self->ticket) {
        ahead = ahead->ahead;
    }
    self->ahead = ahead;
    self->behind = ahead != NULL ? ahead->behind : pool->first;
    *(self->ahead != NULL ? &self->ahead->behind : &pool->first) = self;
    *(self->behind != NULL ? &self->behind->ahead : &pool->last) = self;
    pool->waiters++;
}

static void leave_line_locked(struct dbpool *pool, struct waiter *self)
{
    *(self->ahead != NULL ? &self->ahead->behind : &pool->first) = self->behind;
    *(self->behind != NULL ? &self->behind->ahead : &pool->last) = self->ahead;
    pool->waiters--;
    wake_first_locked(pool);
}

static void lend_locked(struct dbpool *pool, struct waiter *to, struct pg *pg)
{
    pool->lent++;
    to->granted = pg;
    leave_line_locked(pool, to);
}

/* A connection without a user: the first in line has it, else it is idle. */
static void hand_on_locked(struct dbpool *pool, struct pg *pg)
{
    struct waiter *first = pool->first;
    if (first == NULL) {
        pool->idle[pool->idle_count++] = pg;
        return;
    }
    lend_locked(pool, first, pg);
    pthread_cond_signal(&first->wake);
}

/* Whether self, first in line, can go, and with what; if not, *until_ns is the earliest time at
 * which that can change by itself. */
static bool try_turn_locked(struct dbpool *pool, struct waiter *self, int64_t *until_ns,
                            enum turn *turn)
{
    if (pool->idle_count > 0) {
        lend_locked(pool, self, pool->idle[--pool->idle_count]);
        *turn = TURN_LENT;
        return true;
    }
    if (!has_free_slot_locked(pool)) {
        return false;
    }
    int64_t now_ns = clock_now_ns();
    if (now_ns >= pool->delay.next_ns) {
        pool->connecting++;
        pool->refused = false;
        dbpool_backoff_claim(&pool->delay, now_ns);
        *turn = TURN_CONNECT;
    } else if (pool->refused) {
        *turn = TURN_REFUSED;
    } else {
        *until_ns = pool->delay.next_ns < *until_ns ? pool->delay.next_ns : *until_ns;
        return false;
    }
    leave_line_locked(pool, self);
    return true;
}

/* Stands in line until there is something for self. What was handed over wins over a deadline that
 * passed at the same moment. */
static enum turn await_turn_locked(struct dbpool *pool, struct waiter *self, int64_t deadline_ns)
{
    enum turn turn = TURN_SHUT;
    join_line_locked(pool, self);
    for (;;) {
        int64_t until_ns = deadline_ns;
        if (self->granted != NULL) {
            return TURN_LENT;
        }
        if (pool->shut) {
            break;
        }
        if (pool->first == self && try_turn_locked(pool, self, &until_ns, &turn)) {
            return turn;
        }
        if (clock_now_ns() >= deadline_ns) {
            turn = TURN_TIMEOUT;
            break;
        }
        clock_cond_wait(&self->wake, &pool->lock, until_ns);
    }
    leave_line_locked(pool, self);
    return turn;
}

/* ------------------------------------------------------------------------------------ acquire */

static void drop_lent_locked(struct dbpool *pool)
{
    pool->lent--;
    wake_first_locked(pool);
}

/* Whether a connection that lay idle still lives; if not, it is closed and its slot free. Gives the
 * lock up meanwhile. */
static bool check_lent_locked(struct dbpool *pool, struct pg *pg)
{
    pthread_mutex_unlock(&pool->lock);
    bool usable = pg_is_usable(pg);
    if (!usable) {
        pg_close(pg);
    }
    pthread_mutex_lock(&pool->lock);
    if (!usable) {
        drop_lent_locked(pool);
    }
    return usable;
}

/* Ends an attempt to connect. A failure that only the caller's own short
 * deadline caused says nothing about the database. */
static void settle_connect_locked(struct dbpool *pool, enum status status, uint64_t round,
                                  bool own_deadline)
{
    pool->connecting--;
    if (status == ST_OK) {
        pool->lent++;
        pool->connects++;
        dbpool_backoff_reset(&pool->delay);
    } else if (!own_deadline) {
        dbpool_backoff_fail(&pool->delay, round, clock_now_ns());
        pool->refused = status == ST_SCHEMA;
    }
    wake_first_locked(pool);
}

/* Uses the slot that is the caller's to connect. Called with the lock held, which it gives up for
 * the time of the attempt. */
static enum status connect_slot_locked(struct dbpool *pool, int64_t deadline_ns, struct pg **out)
{
    char error[PG_ERROR_SIZE];
    int64_t at_least_ns = clock_deadline_ns(DBPOOL_CONNECT_MIN_MS);
    int64_t until_ns = deadline_ns > at_least_ns ? deadline_ns : at_least_ns;
    uint64_t round = pool->delay.round;
    int failures = pool->delay.failures;
    pthread_mutex_unlock(&pool->lock);
    enum status status = pg_connect(&pool->options, until_ns, out, error);
    bool own_deadline = status == ST_TIMEOUT && clock_now_ns() >= until_ns;
    if (status != ST_OK && !own_deadline) {
        log_event(LOG_WARN, "db_connect_failed", LOG_TEXT("status", status_name(status)),
                  LOG_TEXT("error", error));
    } else if (status == ST_OK && failures > 0) {
        log_event(LOG_INFO, "db_connected", LOG_NUMBER("failed_rounds", failures));
    }
    pthread_mutex_lock(&pool->lock);
    settle_connect_locked(pool, status, round, own_deadline);
    return status;
}

/* Called and returns with the lock held; gives it up for whatever takes time. */
static enum status acquire_locked(struct dbpool *pool, struct waiter *self, int64_t deadline_ns,
                                  struct pg **out)
{
    for (;;) {
        self->granted = NULL;
        switch (await_turn_locked(pool, self, deadline_ns)) {
        case TURN_LENT:
            if (check_lent_locked(pool, self->granted)) {
                *out = self->granted;
                return ST_OK;
            }
            break;
        case TURN_CONNECT: {
            enum status status = connect_slot_locked(pool, deadline_ns, out);
            bool late = status == ST_TIMEOUT && clock_now_ns() >= deadline_ns;
            if (status == ST_OK || status == ST_SCHEMA || late) {
                return status; /* late without a backoff: he would try for ever */
            }
            break;
        }
        case TURN_TIMEOUT:
            return ST_TIMEOUT;
        case TURN_REFUSED:
            return ST_SCHEMA;
        case TURN_SHUT:
            return ST_CLOSED;
        }
    }
}

static void init_waiter(struct waiter *waiter)
{
    *waiter = (struct waiter){0};
    clock_cond_init(&waiter->wake);
}

enum status dbpool_acquire(struct dbpool *pool, int64_t deadline_ns, struct stages *stages,
                           struct pg **out)
{
    int64_t since_ns = clock_now_ns();
    struct waiter self;
    init_waiter(&self);
    *out = NULL;
    pthread_mutex_lock(&pool->lock);
    self.ticket = pool->tickets++;
    enum status status = acquire_locked(pool, &self, deadline_ns, out);
    pool->acquired += status == ST_OK;
    pool->timed_out += status == ST_TIMEOUT;
    pthread_mutex_unlock(&pool->lock);
    pthread_cond_destroy(&self.wake);
    if (status == ST_OK) {
        pg_book_to(*out, stages);
    }
    stages_add_since(stages, STAGE_POOL_WAIT, since_ns);
    return status;
}

/* ------------------------------------------------------------------------------------ the rest */

void dbpool_release(struct dbpool *pool, struct pg *pg)
{
    if (pg == NULL) {
        return;
    }
    pg_book_to(pg, NULL);
    bool usable = pg_is_usable(pg);
    if (!usable) {
        pg_close(pg);
    }
    pthread_mutex_lock(&pool->lock);
    assert(pool->lent > 0);
    if (usable) {
        pool->lent--;
        hand_on_locked(pool, pg);
    } else {
        pool->discarded++;
        drop_lent_locked(pool);
    }
    pthread_mutex_unlock(&pool->lock);
}

struct dbpool *dbpool_new(int size, const struct pg_options *options)
{
    assert(size >= 1);
    struct dbpool *pool = xcalloc(1, sizeof(*pool));
    pool->size = size;
    pool->options = *options;
    pool->idle = xcalloc((size_t)size, sizeof(struct pg *));
    pthread_mutex_init(&pool->lock, NULL);
    return pool;
}

void dbpool_read_stats(struct dbpool *pool, struct dbpool_stats *out)
{
    pthread_mutex_lock(&pool->lock);
    *out = (struct dbpool_stats){
        .size = pool->size,
        .in_use = pool->lent,
        .waiters = pool->waiters,
        .acquired = pool->acquired,
        .timed_out = pool->timed_out,
        .connects = pool->connects,
        .discarded = pool->discarded,
    };
    pthread_mutex_unlock(&pool->lock);
}

void dbpool_shut(struct dbpool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->shut = true;
    for (struct waiter *waiter = pool->first; waiter != NULL; waiter = waiter->behind) {
        pthread_cond_signal(&waiter->wake);
    }
    pthread_mutex_unlock(&pool->lock);
}

void dbpool_free(struct dbpool *pool)
{
    if (pool == NULL) {
        return;
    }
    assert(pool->lent == 0 && pool->connecting == 0 && pool->waiters == 0);
    for (int i = 0; i < pool->idle_count; i++) {
        pg_close(pool->idle[i]);
    }
    pthread_mutex_destroy(&pool->lock);
    free(pool->idle);
    free(pool);
}
