/* orders: POST /orders and GET /orders/{id}, from request to reply. First used by phase 1. */
#ifndef ORDERS_H
#define ORDERS_H

#include <stdint.h>

#include "admission.h"
#include "common/dbpool.h"
#include "common/http.h"
#include "common/token_bucket.h"
#include "inventory.h"

/* Reads nothing and expects no row: succeeds if both tables are there as schema.sql makes
 * them. */
extern const struct pg_statement orders_probe;

/* The context of both handlers. */
struct orders {
    struct admission *admission;       /* borrowed; who has to be let in */
    struct token_bucket *limiter;      /* borrowed; each user's rate */
    int64_t rate_limit;                /* the limiter's, in orders per second */
    const struct inventory *inventory; /* who decides */
    struct dbpool *reads;              /* borrowed; for GET /orders/{id} */
    int64_t acquire_timeout_ms;        /* how long a read may wait in line for a connection */
};

/* The http_handler of POST /orders. 201 with the confirmed order's id; 400 for a bad body; 403
 * user_mismatch; 404 sale_not_found; 409 sold_out, sale_not_open, sale_ended; 422 limit_exceeded;
 * 429 rate_limited; 503 queue_full, deadline_exceeded, overloaded (it did not happen),
 * outcome_unknown (it may have). Blocks as admission_run does. */
void orders_post(struct http_request *request, void *context);

/* The http_handler of GET /orders/{id}. 200 with the order; 400 invalid_order_id; 404
 * order_not_found, also for another user's; 503 overloaded. Blocks as the pool and the database do.
 */
void orders_get(struct http_request *request, void *context);

#endif
