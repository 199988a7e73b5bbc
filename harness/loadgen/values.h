/* values: the texts of single options to numbers. Every function refuses a bad value with one line
 * and OPTIONS_EXIT_USAGE (options_refuse); name is the option's, for that line. */
#ifndef FLASHDEAL_LOADGEN_VALUES_H
#define FLASHDEAL_LOADGEN_VALUES_H

#include "options.h"

/* Ids that JSON can carry exactly. */
#define VALUES_ID_MAX (INT64_C(1) << 53)

/* A whole number from least to most. */
int64_t values_whole(const char *name, const char *text, int64_t least, int64_t most);

/* A decimal number from least to most. */
double values_real(const char *name, const char *text, double least, double most);

/* A rate per second: 0 to a million. */
double values_rate(const char *name, const char *text);

uint64_t values_seed(const char *name, const char *text);

/* Milliseconds, 1 to an hour, as nanoseconds. */
int64_t values_timeout_ns(const char *name, const char *text);

/* The place of text in choices, which ends with NULL. */
int values_choice(const char *name, const char *text, const char *const *choices);

/* "R:S,R:S" */
void values_steps(const char *text, struct plan_spec *plan);

/* "PEAK:BASE:S" */
void values_flash(const char *text, struct plan_spec *plan);

/* "A-B" or "A,B,C" */
void values_sales(const char *text, struct plan_mix *mix);

/* "A-B" or "A" */
void values_quantity(const char *text, struct plan_mix *mix);

/* "O,R,P" */
void values_connections(const char *text, int connections[NET_POOLS]);

/* "none", "all" or a share. */
double values_await(const char *text);

/* "/..." without spaces or control characters. */
void values_path(const char *text, char out[PLAN_PATH_MAX]);

/* "http://host:port" into host, port and host_header. */
void values_url(const char *text, struct options *options);

#endif
