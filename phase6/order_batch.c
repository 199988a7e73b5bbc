/* A batch is decided in one transaction. If that fails because of one of its orders, they are
 * decided one by one, so that one bad order costs the others no more than time; likewise at every
 * ALONE_EVERYth try of a batch that comes back, since it may be its size that the database does not
 * bear.
 *
 * Only an order that fails by itself, every time, is failed: one that breaks a constraint, or that
 * the database refuses DB_TRIES_MAX times for a reason that has nothing to do with load, but not
 * its failure's row: where it refuses that as well, it may be the database, and the order goes
 * back, until it has been so for long. */
#include "order_batch.h"

#include "common/clock.h"
#include "common/random.h"
#include "order_rows.h"

enum {
    BACKOFF_MIN_MS = 20,
    BACKOFF_MAX_MS = 1000,
    DB_TRIES_MAX = 3,     /* of an order that the database refuses and says not why */
    ALONE_EVERY = 3,      /* tries of a batch that comes back */
    MISSES_MAX = 8,       /* in a row, of orders that cannot be decided now: it is not them, then */
    WAITS = 4,            /* misses that one counts for which waited in vain: others wait as well */
    RETRIES_AT_ONCE = 20, /* of a sale whose orders lost a race, or a connection */
};

/* Whether it is the order that is wrong, not the database or the moment. */
static bool is_poison(enum status status)
{
    return status == ST_CONSTRAINT || status == ST_DB;
}

int64_t order_batch_rest_ms(int tries, int done, enum status why)
{
    if (tries == 0 || done > 0) {
        return 0;
    }
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

/* Takes the step, again where the database refuses and says not why; but only once of an order that
 * was refused so before: the others wait meanwhile. ST_CLOSED: a stop gives up, or
 * another has this worker's place. */
static enum status insist(struct worker *worker, step_function *step, struct pg *pg,
                          struct order *order, enum order_outcome *outcome)
{
    const int tries_max = order->refused_ns == 0 ? DB_TRIES_MAX : 1;
    enum status status = ST_DB;
    for (int refusals = 0; status == ST_DB && refusals < tries_max; refusals++) {
        if (!worker_pause(worker, refusals > 0
                                      ? clock_deadline_ns(order_batch_rest_ms(refusals, 0, ST_DB))
                                      : 0)) {
            return ST_CLOSED;
        }
        status = step(pg, order, outcome);
    }
    return status;
}

/* Of an order whose row and whose failure's row are refused: whether that has been so for long. */
static bool give_up(struct order *order)
{
    const int64_t now_ns = clock_now_ns();
    if (order->refused_ns == 0) {
        order->refused_ns = now_ns;
    }
    order->has_no_row = now_ns - order->refused_ns >= ORDER_BATCH_REFUSED_S * CLOCK_NS_PER_S;
    return order->has_no_row;
}

/* Decides the order, or fails it, unless it turns out to be decided. ST_OK also where even that row
 * breaks a constraint, or has been refused for long: then only the ticket knows. */
static enum status decide_one(const struct inventory *inventory, struct worker *worker,
                              struct pg *pg, struct order *order, enum order_outcome *outcome)
{
    enum status status = insist(worker, inventory->decide, pg, order, outcome);
    if (is_poison(status)) {
        status = insist(worker, order_rows_fail, pg, order, outcome);
    }
    return status == ST_CONSTRAINT || (status == ST_DB && give_up(order)) ? ST_OK : status;
}

/* What an order that was not decided says of those behind it. */
static int misses_of(enum status status)
{
    switch (status) {
    case ST_DB: /* it may be the only one that the database does not like, */
        return 1;
    case ST_TIMEOUT: /* or whose row somebody else has, */
    case ST_RETRY:   /* or that always loses, */
    case ST_SCHEMA:  /* or for which a table is missing that the others do not need */
        return WAITS;
    case ST_OK:
    case ST_NOT_FOUND:
    case ST_INVALID:
    case ST_BUSY:
    case ST_CLOSED:
    case ST_UNKNOWN:
    case ST_CONSTRAINT:
    case ST_SYSTEM:
        break;
    }
    return MISSES_MAX;
}

/* What an inventory may change of an order that it has not decided after all: where its id was
 * found to have a row, of another sale perhaps, what is in that row. The user is in the id. */
struct asked {
    int64_t sale_id, quantity;
};

static struct asked asked_of(const struct order *order)
{
    return (struct asked){.sale_id = order->sale_id, .quantity = order->quantity};
}

/* As it came. */
static void forget(struct order *order, enum order_outcome *outcome, struct asked asked)
{
    order->sale_id = asked.sale_id;
    order->quantity = asked.quantity;
    *outcome = ORDER_PENDING;
}

/* One by one, as far as it comes; who cannot be decided now does not keep the others. */
static int decide_each(const struct inventory *inventory, struct worker *worker, struct pg *pg,
                       struct order *orders, enum order_outcome *outcomes, int count,
                       enum status *why)
{
    int done = 0, misses = 0;
    *why = ST_OK;
    for (int i = 0; i < count && misses < MISSES_MAX; i++) {
        const struct asked asked = asked_of(&orders[i]);
        enum status status = decide_one(inventory, worker, pg, &orders[i], &outcomes[i]);
        if (status == ST_OK) {
            done++;
            misses = 0;
        } else {
            forget(&orders[i], &outcomes[i], asked);
            misses += misses_of(status);
            *why = *why == ST_OK ? status : *why;
        }
    }
    return done;
}

int order_batch_decide(const struct inventory *inventory, struct worker *worker, struct pg *pg,
                       struct order *orders, enum order_outcome *outcomes, int count, int tries,
                       enum status *why)
{
    struct asked asked[ORDER_BATCH_MAX];
    for (int i = 0; i < count; i++) {
        asked[i] = asked_of(&orders[i]);
    }
    *why = ST_DB; /* as of a batch that has to be decided one by one */
    if (inventory->decide_batch != NULL && tries % ALONE_EVERY != ALONE_EVERY - 1) {
        *why = inventory->decide_batch(pg, orders, outcomes, count);
    }
    if (*why == ST_OK) {
        return count;
    }
    for (int i = 0; i < count; i++) {
        forget(&orders[i], &outcomes[i], asked[i]);
    }
    return is_poison(*why) ? decide_each(inventory, worker, pg, orders, outcomes, count, why) : 0;
}
