/* Takes orders of one sale from the queue, has them decided, tells their tickets.
 *
 * Whoever takes orders takes all that have queued up, up to batch_max: what came while the last
 * COMMIT was on its way to the disk is the next batch, and nobody waits for one to fill.
 *
 * What was accepted is decided. A fault of the database is no fault of the order's: what could not
 * be decided goes back to the front of its sale's line, and the sale rests, longer from time to
 * time and never as long as the next (full jitter). The worker does not wait with it: other sales
 * have other rows. (One that can have no row at all is given up in the end: order_batch.h.)
 *
 * A try may be repeated after an unknown COMMIT or by a worker that replaces this one: the same
 * order is given the same outcome. The ticket is finished before the order leaves the queue: at no
 * moment does neither know it. */
#include "order_worker.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/stages.h"
#include "order_batch.h"

enum {
    /* Waited for a connection beyond the bound of an attempt to make one: the database that takes
     * all of that bound would else be reached by no worker. */
    ACQUIRE_MARGIN_MS = 500,
    NS_PER_US = 1000,
    DB_STAGES = 4,
};

/* The stages of a try; what is in none of them is a part as well. */
static const enum stage db_stages[DB_STAGES] = {STAGE_POOL_WAIT, STAGE_LOCK_WAIT, STAGE_STATEMENTS,
                                                STAGE_COMMIT};

/* Orders of one sale on their way, each worker's own copy: those that are not pending are decided,
 * and are then what the database has under their ids, which may be of another sale. */
struct piece {
    int64_t sale_id;
    int count, done, tries;
    enum status why; /* the others are not decided; the first of them */
    enum order_outcome outcomes[ORDER_BATCH_MAX];
    struct order orders[ORDER_BATCH_MAX];
};

struct order_worker {
    struct order_work work;
    struct metrics_histogram *confirmed, *rejected, *failed; /* from accept to final */
    struct metrics_histogram *parts[DB_STAGES + 1];
    struct metrics_counter *retries, *batches;
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

/* ------------------------------------------------------------------------------------- its duties
 */

static size_t piece_used(const void *data)
{
    const struct piece *piece = data;
    return offsetof(struct piece, orders) + (size_t)piece->count * sizeof piece->orders[0];
}

static enum status take(void *data, void *context)
{
    const struct order_worker *self = context;
    struct piece *piece = data;
    enum status status =
        self->work.queue_kind->take(self->work.queue, CLOCK_NEVER, piece->orders,
                                    self->work.batch_max, &piece->count, &piece->tries);
    if (status == ST_OK) {
        piece->sale_id = piece->orders[0].sale_id;
        piece->done = 0;
        memset(piece->outcomes, 0, sizeof piece->outcomes); /* ORDER_PENDING */
    }
    return status;
}

/* ST_OK in any case: what is not done goes back. */
static enum status work(struct worker *worker, void *data, void *context)
{
    struct order_worker *self = context;
    struct piece *piece = data;
    struct pg *pg = NULL;
    struct stages stages = {0};
    int64_t began_ns = clock_now_ns();
    piece->why = acquire(self, &stages, &pg);
    if (piece->why == ST_OK) {
        piece->done = order_batch_decide(self->work.inventory, worker, pg, piece->orders,
                                         piece->outcomes, piece->count, piece->tries, &piece->why);
    }
    dbpool_release(self->work.pool, pg);
    book(self, &stages, began_ns);
    return ST_OK;
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

static void finish_one(const struct order_worker *self, const struct order *order,
                       enum order_outcome outcome)
{
    tickets_finish(self->work.tickets, order, outcome, !order->has_no_row);
    metrics_observe(histogram_of(self, outcome),
                    (clock_unix_us() - order->accepted_us) * NS_PER_US);
}

static void finish(const void *data, void *context)
{
    struct order_worker *self = context;
    const struct piece *piece = data;
    bool is_done[ORDER_BATCH_MAX];
    for (int i = 0; i < piece->count; i++) {
        is_done[i] = piece->outcomes[i] != ORDER_PENDING;
        if (is_done[i]) {
            finish_one(self, &piece->orders[i], piece->outcomes[i]);
        }
    }
    int back = piece->count - piece->done;
    int64_t rest_ms = order_batch_rest_ms(piece->tries, piece->done, piece->why);
    int64_t until_ns = rest_ms > 0 ? clock_deadline_ns(rest_ms) : 0;
    self->work.queue_kind->finish(self->work.queue, piece->sale_id, piece->orders, piece->count,
                                  is_done, until_ns);
    metrics_add(self->batches, piece->done > 0);
    metrics_add(self->retries, back);
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

static double read_resting(void *context)
{
    return (double)stats_of(context).resting;
}

static double read_sale_refused(void *context)
{
    return (double)stats_of(context).sale_refused;
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
    self->batches =
        metrics_counter(metrics, "flashdeal_order_batches_total",
                        "Times that a worker decided orders that it took together.", "");
    for (int i = 0; i <= DB_STAGES; i++) {
        char labels[METRICS_LABELS_MAX];
        snprintf(labels, sizeof labels, "stage=\"%s\"",
                 i < DB_STAGES ? stages_name(db_stages[i]) : "other");
        self->parts[i] = metrics_histogram(metrics, "flashdeal_order_stage_seconds",
                                           "Part of a try to decide a batch of orders.", labels);
    }
    metrics_gauge(metrics, "flashdeal_order_queue_length", "Accepted orders in line.", "",
                  read_length, self);
    metrics_gauge(metrics, "flashdeal_order_queue_max",
                  "Accepted orders in line or with a worker at most.", "", read_max, self);
    metrics_gauge(metrics, "flashdeal_order_queue_unacked", "Orders that workers have.", "",
                  read_unacked, self);
    metrics_gauge(metrics, "flashdeal_order_queue_age_seconds",
                  "How long the first in line has waited.", "", read_age, self);
    metrics_sampled_counter(metrics, "flashdeal_order_queue_refused_total",
                            "Orders that found the line full.", "", read_refused, self);
    metrics_sampled_counter(metrics, "flashdeal_order_queue_sale_refused_total",
                            "Of these, orders that only their sale's part was full for.", "",
                            read_sale_refused, self);
    metrics_gauge(metrics, "flashdeal_order_queue_sales_resting",
                  "Sales with orders in line of which nobody takes now.", "", read_resting, self);
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
                                                .piece_used = piece_used,
                                                .take = take,
                                                .work = work,
                                                .finish = finish,
                                                .context = self,
                                            });
    workers_publish(workers, parts->metrics);
    return workers;
}
