/* options: what the command line asked for. harness/README.md is the manual. */
#ifndef FLASHDEAL_LOADGEN_OPTIONS_H
#define FLASHDEAL_LOADGEN_OPTIONS_H

#include "net.h"
#include "plan.h"

enum { OPTIONS_EXIT_USAGE = 64, OPTIONS_URL_MAX = 320 };

enum retry_policy { RETRY_NONE, RETRY_IMMEDIATE, RETRY_BACKOFF };

struct options {
    const char *url;
    char host[OPTIONS_URL_MAX]; /* without brackets */
    char port[8];
    char host_header[OPTIONS_URL_MAX]; /* host:port as in the URL */
    struct plan_spec plan;
    bool seed_given; /* by --seed, not by $SEED or default: wins over a saved plan's */
    int clients;     /* closed loop */
    int64_t timeout_ns, await_timeout_ns;
    enum retry_policy retry;
    int retry_max;
    double retry_budget; /* retries per order, all together; 0: as many as retry_max allows */
    bool new_key_on_retry;
    bool keys;
    const char *secret; /* NULL: no tokens */
    double lose_replies, hang_up;
    double await; /* the share of accepted orders (202) that is awaited */
    int connections[NET_POOLS];
    bool plan_only; /* --duration 0 with --save-plan */
    const char *save_plan_file, *plan_file, *journal_file, *summary_file, *series_file, *marks_file;
    bool quiet;
};

/* The text of --help. */
extern const char OPTIONS_HELP[];

/* Reads the command line. Prints help and exits 0, or prints one line on standard error and exits
 * OPTIONS_EXIT_USAGE. Texts point into argv or the environment. */
void options_read(int argc, char **argv, struct options *options);

/* Prints "loadgen: ..." and exits OPTIONS_EXIT_USAGE. */
__attribute__((noreturn, format(printf, 1, 2))) void options_refuse(const char *format, ...);

#endif
