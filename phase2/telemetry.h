/* telemetry: what every request leaves behind: a line in the log, and its part in the metrics.
 * First used by phase 2.
 *
 * Published (labels in braces; method and path are the route's, "other" where none was found):
 *   flashdeal_http_request_duration_seconds{method,path}      histogram
 *   flashdeal_http_stage_duration_seconds{method,path,stage}  histogram; stages.h's, and "other"
 *   flashdeal_http_requests_total{method,path,status,outcome} counter; outcome: "ok" or the
 *                                                             problem's code
 *   process_*, flashdeal_build_info{phase}, flashdeal_uptime_seconds
 *
 * The line is "request", at info, for one request in `sample`; at warn, with every stage's time,
 * for each one that took slow_ms or longer; at error for each 500. */
#ifndef TELEMETRY_H
#define TELEMETRY_H

#include <stdint.h>

#include "common/http.h"
#include "common/metrics.h"

struct telemetry; /* opaque; safe from any thread */

struct telemetry_options {
    const char *phase; /* "2"; borrowed */
    int64_t slow_ms;   /* from 1 */
    int64_t sample;    /* from 1: every request; n: the first of each n */
};

/* metrics is borrowed, *options copied. Aborts when memory runs out. */
struct telemetry *telemetry_new(struct metrics *metrics, const struct telemetry_options *options);

/* Publishes flashdeal_http_requests_in_flight of server, which must outlive the metrics' last
 * scrape. Call once. */
void telemetry_watch_server(struct telemetry *telemetry, struct http_server *server);

/* The http_observer of the public listener; context is a struct telemetry. */
void telemetry_observe(const struct http_request *request, const struct http_result *result,
                       void *context);

/* Nobody may scrape any more. Accepts NULL. */
void telemetry_free(struct telemetry *telemetry);

#endif
