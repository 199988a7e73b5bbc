/* orders: POST /orders and GET /orders/{id}, from request to reply. First used by phase 1. */
#ifndef ORDERS_H
#define ORDERS_H

#include <stdint.h>

#include "common/dbpool.h"
#include "common/http.h"
#include "inventory.h"

/* Reads nothing and expects no row: succeeds if both tables are there as schema.sql makes
 * them. */
extern const struct pg_statement orders_probe;

/* The context of both handlers. */
struct orders {
    struct dbpool *pool;               /* borrowed */
    int64_t acquire_timeout_ms;        /* how long an order may wait in line for a connection */
    const struct inventory *inventory; /* who decides */
};

/* The http_handler of POST /orders. 201 with the confirmed order's id; 400 for a bad body; 404
 * sale_not_found; 409 sold_out, sale_not_open, sale_ended; 422 limit_exceeded; 503 overloaded (it
 * did not happen), outcome_unknown (it may have). Blocks as the pool and the database do. */
void orders_post(struct http_request *request, void *context);

/* The http_handler of GET /orders/{id}. 200 with the order; 400 invalid_order_id; 404
 * order_not_found; 503 overloaded. Blocks likewise. */
void orders_get(struct http_request *request, void *context);

#endif
