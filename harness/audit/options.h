/* options: what the audit was asked to do. */
#ifndef AUDIT_OPTIONS_H
#define AUDIT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    OPTIONS_JOURNALS_MAX = 16,
    OPTIONS_SALES_MAX = 256,
    OPTIONS_SETTLE_MS_DEFAULT = 10000,
    OPTIONS_SETTLE_MS_MAX = 600000,
    OPTIONS_USAGE_STATUS = 64, /* exit status of a usage error */
};

struct options {
    const char *database;                       /* libpq URI; never NULL */
    const char *journals[OPTIONS_JOURNALS_MAX]; /* in the order given */
    size_t journal_count;
    int64_t sales[OPTIONS_SALES_MAX]; /* judge these sales only */
    size_t sale_count;                /* 0: all */
    bool idempotent;                  /* one order per (user, key) is promised */
    bool allow_lost;                  /* acknowledged orders may be missing (phases 4-6, crash) */
    int64_t settle_ms;
    const char *json; /* file to write, NULL: none */
};

/* Reads the command line; the texts stay the caller's argv. Prints help or what is wrong. Returns
 * -1 to go on, else the status to exit with. */
int options_read(int argc, char **argv, struct options *out);

/* Whether a sale is to be judged. */
bool options_has_sale(const struct options *options, int64_t sale_id);

/* Reads a decimal number from minimum to maximum: digits only, no sign but '-', nothing after it.
 */
bool options_number(const char *text, int64_t minimum, int64_t maximum, int64_t *out);

#endif
