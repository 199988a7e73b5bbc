/* order_queue_fixture: what the tests of phase 4's queue of orders share. */
#ifndef FLASHDEAL_TESTS_ORDER_QUEUE_FIXTURE_H
#define FLASHDEAL_TESTS_ORDER_QUEUE_FIXTURE_H

#include "common/clock.h"
#include "common/tests/harness.h"
#include "phase4/order_queue.h"

enum { MAX = 4 };

#define ck_assert_status(status_, expected_)                                                       \
    ck_assert_str_eq(status_name(status_), status_name(expected_))

static const struct order_queue_kind *const kind = &order_queue_memory;
static struct order_queue *queue;

static inline struct order_queue *open_queue(int max)
{
    static struct order_queue_options options;
    options.max = max;
    return kind->open(&options);
}

static inline void set_up(void)
{
    queue = open_queue(MAX);
}

static inline void tear_down(void)
{
    kind->free(queue);
    queue = NULL;
}

static inline struct order order_of(int number)
{
    struct order order = {.sale_id = number + 1,
                          .user_id = number + 2,
                          .quantity = number + 3,
                          .accepted_us = number + 4};
    snprintf(order.id, sizeof order.id, "%08x-0000-4000-8000-000000000000", (unsigned int)number);
    return order;
}

/* The place it got, or -1. */
static inline int put(int number)
{
    struct order order = order_of(number);
    int64_t place = -1;
    enum status status = kind->put(queue, &order, &place);
    ck_assert_int_eq(status == ST_OK, place >= 0);
    return (int)place;
}

static inline struct order_queue_stats read_stats(void)
{
    struct order_queue_stats stats;
    memset(&stats, 0xff, sizeof stats);
    kind->read_stats(queue, &stats);
    return stats;
}

#endif
