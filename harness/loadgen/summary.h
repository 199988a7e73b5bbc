/* summary: the run's figures as one JSON object; harness/README.md has its fields. */
#ifndef FLASHDEAL_LOADGEN_SUMMARY_H
#define FLASHDEAL_LOADGEN_SUMMARY_H

#include "stats.h"

#include <stdio.h>

struct summary {
    uint64_t seed;
    const char *mode; /* "open" or "closed" */
    const char *url;
    int64_t start_epoch_ms; /* the wall clock's time of the load's start */
    double warmup_s, window_s;
    int64_t planned, sent;
    double cpu_s, wall_s;
    struct net_counts net;
    const struct stats *stats;
    bool interrupted;
    int64_t journal_dropped, overflowed;
};

/* ST_SYSTEM when writing fails. */
MUST_USE enum status summary_write(const struct summary *summary, FILE *file);

#endif
