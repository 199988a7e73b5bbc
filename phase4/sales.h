/* sales: what is for sale, read every so often and kept in memory. First used by phase 0 (which
 * read at every request), so since phase 4.
 *
 * So GET /sales/{id} and the question whether there is such a sale touch no database; the price is
 * that both are up to refresh_ms old, or older while the database does not answer. */
#ifndef SALES_H
#define SALES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/dbpool.h"
#include "common/http.h"
#include "common/metrics.h"

enum { SALES_MAX = 10000 }; /* sales kept; more are not seen, and that is logged */

struct sales; /* opaque; safe from any thread */

/* Reads all sales once and starts a thread that reads them every refresh_ms, with a connection of
 * pool (borrowed) for as long as it takes. ST_OK, or why the first reading failed, which is tried
 * until wait_ms passed or a stop is due, if that may pass; *out is NULL then. A connection is
 * waited for acquire_timeout_ms at most. Aborts when there is no memory or no thread to be had. */
MUST_USE enum status sales_start(struct dbpool *pool, int64_t wait_ms, int64_t refresh_ms,
                                 int64_t acquire_timeout_ms, struct sales **out);

/* Whether there is such a sale. Does not block but for a lock that is held for some instructions.
 */
bool sales_has(struct sales *sales, int64_t id);

/* The http_handler of GET /sales/{id}; context is the struct sales. 200 with the sale; 400
 * invalid_sale_id; 404 sale_not_found. Touches no database. */
void sales_get(struct http_request *request, void *context);

/* Publishes flashdeal_sales_age_seconds (since the last reading that succeeded), flashdeal_sales
 * (gauges), flashdeal_sales_refresh_failed_total. */
void sales_publish(struct sales *sales, struct metrics *metrics);

/* Ends the thread and frees it. Nobody may be in a call. pool must be shut before: the thread then
 * begins no more; a reading that is under way ends by itself or by pg.h's bounds, and is waited
 * for. Accepts NULL. */
void sales_stop(struct sales *sales);

#endif
