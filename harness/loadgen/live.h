/* live: the line on the terminal while the load runs. */
#ifndef FLASHDEAL_LOADGEN_LIVE_H
#define FLASHDEAL_LOADGEN_LIVE_H

#include "stats.h"

/* Draws the last second over the line before: rate, replies by code, p50 and p99, in flight, time
 * left (below 0: waiting for the last replies). Standard error. */
void live_draw(const struct stats *stats, int64_t in_flight, double left_s);

/* Ends the line, if one was drawn. */
void live_end(void);

#endif
