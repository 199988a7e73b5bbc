/* A batch is decided in one transaction. If that fails because of one of its orders, they are
 * decided one by one, so that one bad order costs the others nothing; likewise at every
 * ALONE_EVERYth try of a batch that comes back, since it may be its size that the database does not
 * bear.
 *
 * Only an order that fails by itself, every time, is failed: one that breaks a constraint, or that
 * the database refuses DB_TRIES_MAX times for a reason that has nothing to do with load, but not
 * its failure's row: where it refuses that as well, it is the database, and the order goes back. */
#include "order_batch.h"

#include <string.h>

#include "common/clock.h"
#include "common/random.h"
#include "order_rows.h"

enum {
    BACKOFF_MIN_MS = 20,
    BACKOFF_MAX_MS = 1000,
    DB_TRIES_MAX = 3,     /* of an order that the database refuses and says not why */
    ALONE_EVERY = 3,      /* tries of a batch that comes back */
    MISSES_MAX = 4,       /* in a row, of orders that cannot be decided now: it is not them, then */
    RETRIES_AT_ONCE = 20, /* of a sale whose orders lost a race, or a connection */
};

/* Whether it is the order that is wrong, not the database or the moment. */
static bool is_poison(enum status status)
{
    return status == ST_CONSTRAINT || status == ST_DB;
}

int64_t order_batch_rest_ms(int tries, enum status why)
{
    tries -= why == ST_RETRY ? RETRIES_AT_ONCE : 0;
    if (tries <= 0) {
        return 1;
    }
    int64_t longest_ms = BACKOFF_MIN_MS;
    while (tries-- > 1 && longest_ms < BACKOFF_MAX_MS) {
        longest_ms *= 2;
    }
    longest_ms = longest_ms < BACKOFF_MAX_MS ? longest_ms : BACKOFF_MAX_MS;
    return 1 + (int64_t)random_below((uint32_t)longest_ms);
}

/* How an order is decided, or failed. */
typedef enum status step_function(struct pg *pg, struct order *order, enum order_outcome *outcome);

/* Takes the step, again where the database refuses and says not why. ST_CLOSED: a stop gives up, or
 * another has this worker's place. */
static enum status insist(struct worker *worker, step_function *step, struct pg *pg,
                          struct order *order, enum order_outcome *outcome)
{
    enum status status = ST_DB;
    for (int refusals = 0; status == ST_DB && refusals < DB_TRIES_MAX; refusals++) {
        if (!worker_pause(worker, refusals > 0
                                      ? clock_deadline_ns(order_batch_rest_ms(refusals, ST_DB))
                                      : 0)) {
            return ST_CLOSED;
        }
        status = step(pg, order, outcome);
    }
    return status;
}

/* Decides the order, or fails it, unless it turns out to be decided. ST_OK also where even that row
 * breaks a constraint: then only the ticket knows, for as long as it lives. */
static enum status decide_one(const struct inventory *inventory, struct worker *worker,
                              struct pg *pg, struct order *order, enum order_outcome *outcome)
{
    enum status status = insist(worker, inventory->decide, pg, order, outcome);
    if (is_poison(status)) {
        status = insist(worker, order_rows_fail, pg, order, outcome);
    }
    return status == ST_CONSTRAINT ? ST_OK : status;
}

/* Whether it may be this order alone that cannot be decided now: somebody else has its row, or the
 * database does not like it. */
static bool is_its_own(enum status status)
{
    return status == ST_DB || status == ST_TIMEOUT;
}

/* Moves order i in front of those from `to` on. */
static void bring_forward(struct order *orders, enum order_outcome *outcomes, int to, int i)
{
    const struct order order = orders[i];
    const enum order_outcome outcome = outcomes[i];
    memmove(&orders[to + 1], &orders[to], (size_t)(i - to) * sizeof orders[0]);
    memmove(&outcomes[to + 1], &outcomes[to], (size_t)(i - to) * sizeof outcomes[0]);
    orders[to] = order;
    outcomes[to] = outcome;
}

/* One by one, as far as it comes; who cannot be decided now does not keep the others. */
static int decide_each(const struct inventory *inventory, struct worker *worker, struct pg *pg,
                       struct order *orders, enum order_outcome *outcomes, int count,
                       enum status *why)
{
    int done = 0, misses = 0;
    *why = ST_OK;
    for (int i = 0; i < count && misses < MISSES_MAX; i++) {
        enum status status = decide_one(inventory, worker, pg, &orders[i], &outcomes[i]);
        if (status == ST_OK) {
            bring_forward(orders, outcomes, done++, i);
            misses = 0;
            continue;
        }
        *why = *why == ST_OK ? status : *why;
        misses = is_its_own(status) ? misses + 1 : MISSES_MAX;
    }
    return done;
}

int order_batch_decide(const struct inventory *inventory, struct worker *worker, struct pg *pg,
                       struct order *orders, enum order_outcome *outcomes, int count, int tries,
                       enum status *why)
{
    *why = ST_DB; /* as of a batch that has to be decided one by one */
    if (inventory->decide_batch != NULL && tries % ALONE_EVERY != ALONE_EVERY - 1) {
        *why = inventory->decide_batch(pg, orders, outcomes, count);
    }
    if (is_poison(*why)) {
        return decide_each(inventory, worker, pg, orders, outcomes, count, why);
    }
    return *why == ST_OK ? count : 0;
}
