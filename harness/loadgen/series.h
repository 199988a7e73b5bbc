/* series: what happened in each second of the window, and while its last replies were awaited. */
#ifndef FLASHDEAL_LOADGEN_SERIES_H
#define FLASHDEAL_LOADGEN_SERIES_H

#include "stats.h"

#include <stdio.h>

struct series;

/* The wall clock's time of the window's start, for marks that are given in it. */
struct series *series_create(int64_t window_epoch_ms);

/* Accepts NULL. */
void series_destroy(struct series *series);

/* Makes the next point of the second's counters, which the caller clears. */
void series_add(struct series *series, const struct stats_second *second, int64_t in_flight);

/* Writes the JSON with the lines of the marks file (NULL or missing: none). ST_SYSTEM when writing
 * fails. */
MUST_USE enum status series_write(const struct series *series, const char *marks_file, FILE *file);

#endif
