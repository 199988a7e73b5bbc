/* orders: POST /orders and GET /orders/{id}, from request to reply. First used by phase 1. */
#ifndef ORDERS_H
#define ORDERS_H

#include <stdint.h>

#include "common/dbpool.h"
#include "common/http.h"
#include "common/token_bucket.h"
#include "order_queue.h"
#include "sales.h"
#include "tickets.h"

/* Reads nothing and expects no row: succeeds if both tables are there as schema.sql makes
 * them. */
extern const struct pg_statement orders_probe;

/* The context of both handlers; all of it is borrowed. */
struct orders {
    struct sales *sales;          /* which sales there are */
    struct token_bucket *limiter; /* each user's rate */
    int64_t rate_limit;           /* the limiter's, in orders per second */
    const struct order_queue_kind *queue_kind;
    struct order_queue *queue;  /* where accepted orders go */
    struct tickets *tickets;    /* what became of them */
    struct dbpool *reads;       /* for GET /orders/{id} without a ticket */
    int64_t acquire_timeout_ms; /* how long a read may wait in line for a connection */
};

/* The http_handler of POST /orders. 202 with the accepted order's id; 400 for a bad body; 403
 * user_mismatch; 404 sale_not_found; 429 rate_limited; 503 queue_full. Touches no database, and
 * blocks only for locks that are held for some instructions. */
void orders_post(struct http_request *request, void *context);

/* The http_handler of GET /orders/{id}?wait_ms=. 200 with the order, which may be pending; 400
 * invalid_order_id, invalid_wait_ms; 404 order_not_found, also for another user's; 503 overloaded.
 * Blocks for wait_ms at most while the order is pending; as the pool and the database do if its
 * ticket is gone. */
void orders_get(struct http_request *request, void *context);

#endif
