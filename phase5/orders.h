/* orders: POST /orders, from request to reply (until phase 3 also GET /orders/{id}). First used by
 * phase 1. */
#ifndef ORDERS_H
#define ORDERS_H

#include <stdint.h>

#include "common/http.h"
#include "common/pg.h"
#include "common/token_bucket.h"
#include "order_queue.h"
#include "sales.h"
#include "tickets.h"

/* Reads nothing and expects no row: succeeds if both tables are there as schema.sql makes
 * them. */
extern const struct pg_statement orders_probe;

/* The context of the handler; all of it is borrowed. */
struct orders {
    struct sales *sales;          /* which sales there are */
    struct token_bucket *limiter; /* each user's rate */
    int64_t rate_limit;           /* the limiter's, in orders per second */
    const struct order_queue_kind *queue_kind;
    struct order_queue *queue; /* where accepted orders go */
    struct tickets *tickets;   /* what became of them */
};

/* The http_handler of POST /orders. 202 with the accepted order's id; 400 for a bad body,
 * idempotency_key_missing, _invalid; 403 user_mismatch; 404 sale_not_found; 422
 * idempotency_key_reused; 429 rate_limited; 503 queue_full. Touches no database, and blocks only
 * for locks that are held for some instructions. */
void orders_post(struct http_request *request, void *context);

#endif
