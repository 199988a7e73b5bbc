/* http_fault: the reply for work that could not be done. First used by phase 0.
 *
 * A fault is a status, not an order's outcome: what a phase decides (queue full, sold out, over the
 * rate) has its own reply in the phase. */
#ifndef FLASHDEAL_HTTP_FAULT_H
#define FLASHDEAL_HTTP_FAULT_H

#include "common/http.h"
#include "common/status.h"

/* Retry-After is drawn from 1 to this many seconds: a pool or a lock that is exhausted frees itself
 * within the first, and who met it together does not come back together. */
enum { HTTP_FAULT_RETRY_AFTER_MAX_S = 3 };

/* Replies to request: ST_BUSY, ST_CLOSED, ST_TIMEOUT, ST_RETRY 503 overloaded; ST_UNKNOWN 503
 * outcome_unknown; all others 500 internal_error, which is logged. status must not be ST_OK. */
void http_fault(struct http_request *request, enum status status);

#endif
