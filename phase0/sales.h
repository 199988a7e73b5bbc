/* sales: GET /sales/{id}, read from the database at every request. First used by phase 0. */
#ifndef SALES_H
#define SALES_H

#include <stdint.h>

#include "common/dbpool.h"
#include "common/http.h"

/* Reads nothing and expects no row: succeeds if the table is there as schema.sql makes it. */
extern const struct pg_statement sales_probe;

/* The context of sales_get. */
struct sales {
    struct dbpool *pool;        /* borrowed */
    int64_t acquire_timeout_ms; /* how long a request may wait in line for a connection;
                                   INT64_MAX waits without bound */
};

/* The http_handler of GET /sales/{id}; context is a struct sales. 200 with the sale; 400
 * invalid_sale_id; 404 sale_not_found; 503 overloaded. Blocks as the pool and the database do. */
void sales_get(struct http_request *request, void *context);

#endif
