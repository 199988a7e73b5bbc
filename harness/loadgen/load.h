/* load: one run from its first arrival to its last reply. */
#ifndef FLASHDEAL_LOADGEN_LOAD_H
#define FLASHDEAL_LOADGEN_LOAD_H

#include "options.h"
#include "series.h"
#include "summary.h"

struct load_result {
    struct summary summary; /* points into the options and the result */
    struct stats *stats;
    struct series *series;
    enum status journal;  /* ST_SYSTEM: incomplete */
    const char *obstacle; /* what could not be had, when load_run fails */
};

/* Runs the plan (open loop, or the reads and probes beside a closed loop) against the options' URL.
 * Blocks until the window is over and every operation has ended: its length, plus the time-outs at
 * most. SIGINT and SIGTERM end it early. ST_NOT_FOUND: the host has no address; ST_SYSTEM: no
 * epoll, no libcrypto, or the journal cannot be written (errno). The result is released by
 * load_result_release. */
MUST_USE enum status load_run(const struct options *options, const struct plan *plan,
                              struct load_result *out);

void load_result_release(struct load_result *result);

#endif
