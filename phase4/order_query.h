/* order_query: GET /orders/{id}, what became of an order. First used by phase 4 as a file of its
 * own: the request half of an order is orders.c, the worker half order_worker.c. */
#ifndef ORDER_QUERY_H
#define ORDER_QUERY_H

#include <stdint.h>

#include "common/dbpool.h"
#include "common/http.h"
#include "order_queue.h"
#include "tickets.h"

enum {
    ORDER_READS_MAX = 32
}; /* requests that look for a row at once, with or without a connection */

/* The handler's context; all of it is borrowed. */
struct order_query {
    const struct order_queue_kind *queue_kind;
    struct order_queue *queue;  /* how many stand before it */
    struct tickets *tickets;    /* what became of recent orders */
    struct dbpool *reads;       /* for the others */
    int64_t acquire_timeout_ms; /* how long a read may wait in line for a connection */
};

/* The http_handler of GET /orders/{id}?wait_ms=. 200 with the order, which may be pending; 400
 * invalid_order_id, invalid_wait_ms; 404 order_not_found, also for another user's; 503 overloaded,
 * also for those beyond ORDER_READS_MAX.
 * Blocks for wait_ms at most while the order is pending; as the pool and the database do if its
 * ticket is gone. */
void order_query_get(struct http_request *request, void *context);

#endif
