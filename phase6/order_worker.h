/* order_worker: an order's way from the queue to its final state. First used by phase 4.
 *
 * With orders.c, which is its way from the request into the queue, part of the spine. */
#ifndef ORDER_WORKER_H
#define ORDER_WORKER_H

#include <stdint.h>

#include "common/dbpool.h"
#include "common/metrics.h"
#include "common/workers.h"
#include "inventory.h"
#include "order_queue.h"
#include "tickets.h"

/* What the workers work with; borrowed, as are its parts. */
struct order_work {
    const struct order_queue_kind *queue_kind;
    struct order_queue *queue;
    struct tickets *tickets;
    const struct inventory *inventory;
    struct dbpool *pool; /* as many connections as workers */
    struct metrics *metrics;
    int64_t connect_ms; /* the longest that pool takes to make a connection */
    int batch_max;      /* orders that a worker takes at once, 1 to ORDER_BATCH_MAX */
};

/* How long one try to decide an order may take, in ms, if making a connection may take connect_ms
 * and each answer of the database answer_ms. A worker that is taken for stuck earlier has its order
 * begun anew while it may yet decide it, and so may the next. */
int64_t order_worker_try_ms(const struct inventory *inventory, int64_t connect_ms,
                            int64_t answer_ms);

/* Starts count workers; stuck_ms, more than a try may take: one that has been at one attempt for
 * longer is replaced.
 * Publishes flashdeal_order_final_seconds{status} (from accept to the final state), the stages of
 * deciding flashdeal_order_stage_seconds{stage}, flashdeal_order_retries_total,
 * flashdeal_order_batches_total, flashdeal_order_queue_sales_resting,
 * flashdeal_order_queue_sale_refused_total,
 * flashdeal_order_queue_length, _max, _unacked, _age_seconds (gauges), _refused_total, and the
 * workers' own series. Call it once. */
struct workers *order_worker_start(const struct order_work *work, int count, int64_t stuck_ms);

#endif
