/* Takes an order from the queue, has it decided, tells its ticket.
 *
 * What was accepted is decided. A fault of the database is no fault of the order's, so it is tried
 * again for as long as the fault lasts; between two tries the worker sleeps, longer from try to try
 * and never as long as the next (full jitter), so that a database that comes back is not met by all
 * at once. Only an order that fails by itself, every time, is failed: one that breaks a constraint,
 * or that the database refuses DB_TRIES_MAX times for a reason that has nothing to do with load,
 * but not its failure's row: where it refuses that as well, it may be the database, and both are
 * tried ROUNDS_MAX times before the order is failed without a row.
 *
 * A try may be repeated after an unknown COMMIT or by a worker that replaces this one: decide()
 * gives the same order the same outcome. The ticket is finished before the order is acknowledged:
 * at no moment does neither know it. */
#include "order_worker.h"

#include <stdio.h>

#include "common/clock.h"
#include "common/random.h"
#include "common/stages.h"
#include "order_rows.h"

enum {
    /* Waited for a connection beyond the bound of an attempt to make one: the database that takes
     * all of that bound would else be reached by no worker. */
    ACQUIRE_MARGIN_MS = 500,
    BACKOFF_MIN_MS = 20,
    BACKOFF_MAX_MS = 1000,
    DB_TRIES_MAX = 3, /* of an order that the database refuses and says not why */
    ROUNDS_MAX = 8,   /* of deciding it and of failing it, in all some 20 s */
    NS_PER_US = 1000,
    DB_STAGES = 4,
};

/* The stages of a try; what is in none of them is a part as well. */
static const enum stage db_stages[DB_STAGES] = {STAGE_POOL_WAIT, STAGE_LOCK_WAIT, STAGE_STATEMENTS,
                                                STAGE_COMMIT};

/* An order on its way, each worker's own copy. */
struct piece {
    struct order order;
    enum order_outcome outcome;
    bool is_stored; /* its row is there, or there can be none: the ticket need not remember it */
};

struct order_worker {
    struct order_work work;
    struct metrics_histogram *confirmed, *rejected, *failed; /* from accept to final */
    struct metrics_histogram *parts[DB_STAGES + 1];
    struct metrics_counter *retries;
};

/* ------------------------------------------------------------------------------------- one try */

static void book(struct order_worker *self, const struct stages *stages, int64_t began_ns)
{
    for (int i = 0; i < DB_STAGES; i++) {
        metrics_observe(self->parts[i], stages->spent_ns[db_stages[i]]);
    }
    metrics_observe(self->parts[DB_STAGES], stages_other_ns(stages, clock_now_ns() - began_ns));
}

static int64_t acquire_ms(int64_t connect_ms)
{
    return connect_ms + ACQUIRE_MARGIN_MS;
}

int64_t order_worker_try_ms(const struct inventory *inventory, int64_t connect_ms,
                            int64_t answer_ms)
{
    return acquire_ms(connect_ms) + inventory->answers_max * answer_ms;
}

static enum status acquire(struct order_worker *self, struct stages *stages, struct pg **out)
{
    int64_t deadline_ns = clock_deadline_ns(acquire_ms(self->work.connect_ms));
    return dbpool_acquire(self->work.pool, deadline_ns, stages, out);
}

static enum status decide(struct order_worker *self, struct piece *piece)
{
    struct pg *pg = NULL;
    struct stages stages = {0};
    int64_t began_ns = clock_now_ns();
    enum status status = acquire(self, &stages, &pg);
    if (status == ST_OK) {
        status = self->work.inventory->decide(pg, &piece->order, &piece->outcome);
    }
    dbpool_release(self->work.pool, pg);
    book(self, &stages, began_ns);
    return status;
}

/* Whether it is the order that is wrong, not the database or the moment. */
static bool is_poison(enum status status, int *refusals)
{
    switch (status) {
    case ST_CONSTRAINT:
        return true;
    case ST_DB:
        return ++*refusals >= DB_TRIES_MAX;
    case ST_OK:
    case ST_NOT_FOUND:
    case ST_INVALID:
    case ST_BUSY:
    case ST_CLOSED:
    case ST_TIMEOUT:
    case ST_RETRY:
    case ST_UNKNOWN:
    case ST_SCHEMA:
    case ST_SYSTEM:
        return false;
    }
    return false;
}

/* Fails the order, unless it turns out to be decided. ST_OK also where even that row breaks a
 * constraint: then only the ticket knows, for as long as it lives. */
static enum status fail(struct order_worker *self, struct piece *piece)
{
    struct pg *pg = NULL;
    enum status status = acquire(self, NULL, &pg);
    piece->outcome = ORDER_FAILED;
    if (status == ST_OK) {
        status = order_rows_fail(pg, &piece->order, &piece->outcome);
    }
    dbpool_release(self->work.pool, pg);
    return status == ST_CONSTRAINT ? ST_OK : status;
}

/* ------------------------------------------------------------------------------------- its duties
 */

static int64_t backoff_ms(int tries)
{
    int64_t longest_ms = BACKOFF_MIN_MS;
    while (tries-- > 1 && longest_ms < BACKOFF_MAX_MS) {
        longest_ms *= 2;
    }
    longest_ms = longest_ms < BACKOFF_MAX_MS ? longest_ms : BACKOFF_MAX_MS;
    return 1 + (int64_t)random_below((uint32_t)longest_ms);
}

static enum status take(void *data, void *context)
{
    const struct order_worker *self = context;
    struct piece *piece = data;
    *piece = (struct piece){.outcome = ORDER_PENDING, .is_stored = true};
    return self->work.queue_kind->take(self->work.queue, CLOCK_NEVER, &piece->order);
}

static enum status work(struct worker *worker, void *data, void *context)
{
    struct order_worker *self = context;
    struct piece *piece = data;
    bool is_failing = false;
    int refusals = 0, rounds = 0;
    for (int tries = 1;; tries++) {
        worker_beat(worker);
        enum status status = is_failing ? fail(self, piece) : decide(self, piece);
        if (status == ST_OK) {
            return ST_OK;
        }
        metrics_add(self->retries, 1);
        if (is_poison(status, &refusals)) {
            rounds += is_failing;
            is_failing = !is_failing;
            refusals = 0;
        }
        if (rounds == ROUNDS_MAX) {
            piece->is_stored = false;
            return ST_OK;
        }
        if (!worker_pause(worker, clock_deadline_ns(backoff_ms(tries)))) {
            return ST_CLOSED;
        }
    }
}

static struct metrics_histogram *histogram_of(const struct order_worker *self,
                                              enum order_outcome outcome)
{
    switch (outcome) {
    case ORDER_CONFIRMED:
        return self->confirmed;
    case ORDER_SALE_NOT_OPEN:
    case ORDER_SALE_ENDED:
    case ORDER_SOLD_OUT:
    case ORDER_LIMIT_EXCEEDED:
        return self->rejected;
    case ORDER_PENDING:
    case ORDER_SALE_NOT_FOUND:
    case ORDER_FAILED:
        break;
    }
    return self->failed;
}

static void finish(const void *data, void *context)
{
    struct order_worker *self = context;
    const struct piece *piece = data;
    tickets_finish(self->work.tickets, &piece->order, piece->outcome, piece->is_stored);
    self->work.queue_kind->ack(self->work.queue, &piece->order);
    metrics_observe(histogram_of(self, piece->outcome),
                    (clock_unix_us() - piece->order.accepted_us) * NS_PER_US);
}

/* ------------------------------------------------------------------------------- what is published
 */

static struct order_queue_stats stats_of(void *context)
{
    const struct order_worker *self = context;
    struct order_queue_stats stats;
    self->work.queue_kind->read_stats(self->work.queue, &stats);
    return stats;
}

static double read_length(void *context)
{
    return (double)stats_of(context).length;
}

static double read_max(void *context)
{
    return (double)stats_of(context).max;
}

static double read_unacked(void *context)
{
    return (double)stats_of(context).unacked;
}

static double read_age(void *context)
{
    return (double)stats_of(context).age_ns / (double)CLOCK_NS_PER_S;
}

static double read_refused(void *context)
{
    return (double)stats_of(context).refused;
}

static struct metrics_histogram *final_histogram(const struct order_worker *self,
                                                 enum order_outcome outcome)
{
    char labels[METRICS_LABELS_MAX];
    snprintf(labels, sizeof labels, "status=\"%s\"", order_status(outcome));
    return metrics_histogram(self->work.metrics, "flashdeal_order_final_seconds",
                             "Time from an order's acceptance to its final state.", labels);
}

static void publish(struct order_worker *self)
{
    struct metrics *metrics = self->work.metrics;
    self->confirmed = final_histogram(self, ORDER_CONFIRMED);
    self->rejected = final_histogram(self, ORDER_SOLD_OUT);
    self->failed = final_histogram(self, ORDER_FAILED);
    self->retries = metrics_counter(metrics, "flashdeal_order_retries_total",
                                    "Tries to decide an order that have to be repeated.", "");
    for (int i = 0; i <= DB_STAGES; i++) {
        char labels[METRICS_LABELS_MAX];
        snprintf(labels, sizeof labels, "stage=\"%s\"",
                 i < DB_STAGES ? stages_name(db_stages[i]) : "other");
        self->parts[i] = metrics_histogram(metrics, "flashdeal_order_stage_seconds",
                                           "Part of a try to decide an order.", labels);
    }
    metrics_gauge(metrics, "flashdeal_order_queue_length", "Accepted orders in line.", "",
                  read_length, self);
    metrics_gauge(metrics, "flashdeal_order_queue_max", "Accepted orders in line at most.", "",
                  read_max, self);
    metrics_gauge(metrics, "flashdeal_order_queue_unacked", "Orders that workers have.", "",
                  read_unacked, self);
    metrics_gauge(metrics, "flashdeal_order_queue_age_seconds",
                  "How long the first in line has waited.", "", read_age, self);
    metrics_sampled_counter(metrics, "flashdeal_order_queue_refused_total",
                            "Orders that found the line full.", "", read_refused, self);
}

struct workers *order_worker_start(const struct order_work *parts, int count, int64_t stuck_ms)
{
    static struct order_worker the_one; /* a worker that is stuck may outlive all else */
    struct order_worker *self = &the_one;
    self->work = *parts;
    publish(self);
    struct workers *workers = workers_start(count, stuck_ms,
                                            &(struct workers_duties){
                                                .piece_size = sizeof(struct piece),
                                                .take = take,
                                                .work = work,
                                                .finish = finish,
                                                .context = self,
                                            });
    workers_publish(workers, parts->metrics);
    return workers;
}
