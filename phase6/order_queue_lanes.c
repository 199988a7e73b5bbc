/* order_queue_lanes: a lane for each sale in this process's memory (common/lanes.h).
 *
 * What a sale's orders wait for is its own line only, but the workers are everybody's: with so many
 * sales in line an order of one is done every so many intervals of the whole. That holds while the
 * sales take turns of equal length; one that has few orders is done sooner than said.
 *
 * It keeps nothing: an order that was put and not finished is gone with the process. It does not
 * know who takes, and gives no order twice: whoever took one keeps it until it is done or given
 * back. */
#include "order_queue.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/lanes.h"
#include "common/xalloc.h"

/* Longer than this is "nobody knows": and no product with a place overflows. */
#define INTERVAL_MAX_NS (3600 * CLOCK_NS_PER_S)

struct order_queue {
    struct lanes *lanes;
};

static struct order_queue *open_queue(const struct order_queue_options *options)
{
    struct order_queue *queue = xcalloc(1, sizeof(*queue));
    queue->lanes = lanes_new(&(struct lanes_options){
        .item_size = sizeof(struct order),
        .max = options->max,
        .lane_max = options->sale_max,
        .lane_takers = options->sale_workers,
    });
    return queue;
}

static void free_queue(struct order_queue *queue)
{
    if (queue == NULL) {
        return;
    }
    lanes_free(queue->lanes);
    free(queue);
}

static enum status put(struct order_queue *queue, const struct order *order, int64_t *place)
{
    return lanes_put(queue->lanes, order->sale_id, order, place);
}

static enum status take(struct order_queue *queue, int64_t deadline_ns, struct order *out, int max,
                        int *count, int *tries)
{
    int64_t sale_id;
    return lanes_take(queue->lanes, deadline_ns, out, max, &sale_id, count, tries);
}

static void finish(struct order_queue *queue, int64_t sale_id, const struct order *orders,
                   int count, const bool *is_done, int64_t until_ns)
{
    lanes_finish(queue->lanes, sale_id, orders, count, is_done, until_ns);
}

static int64_t position(struct order_queue *queue, const struct order *order, int64_t place)
{
    return lanes_position(queue->lanes, order->sale_id, place);
}

/* One sale's, from that of all. */
static int64_t interval_ns_of(const struct lanes_stats *stats)
{
    int64_t sales = stats->lanes > 0 ? stats->lanes : 1;
    return stats->interval_ns < INTERVAL_MAX_NS / sales ? stats->interval_ns * sales
                                                        : INTERVAL_MAX_NS;
}

static void read_stats(struct order_queue *queue, struct order_queue_stats *out)
{
    struct lanes_stats stats;
    lanes_read_stats(queue->lanes, &stats);
    *out = (struct order_queue_stats){
        .max = stats.max,
        .length = stats.length,
        .unacked = stats.taken,
        .age_ns = stats.age_ns,
        .sales = stats.lanes,
        .resting = stats.parked,
        .put = stats.put,
        .refused = stats.refused,
        .sale_refused = stats.lane_refused,
        .interval_ns = interval_ns_of(&stats),
    };
}

static void close_queue(struct order_queue *queue, int64_t deadline_ns)
{
    lanes_close(queue->lanes, deadline_ns);
}

const struct order_queue_kind order_queue_lanes = {
    .name = "memory",
    .open = open_queue,
    .put = put,
    .take = take,
    .finish = finish,
    .position = position,
    .read_stats = read_stats,
    .close = close_queue,
    .free = free_queue,
};
