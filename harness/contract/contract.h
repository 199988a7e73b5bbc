/* contract: what every file of the black-box suite knows about the target.
 *
 * Set once by main before the first test and only read afterwards; the suite has one thread. */
#ifndef FLASHDEAL_CONTRACT_H
#define FLASHDEAL_CONTRACT_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>

enum {
    CONTRACT_HOST_SIZE = 256,
    CONTRACT_PORT_SIZE = 8,
    CONTRACT_PHASE_MAX = 8,
    CONTRACT_PATIENCE_MS = 10000, /* a reply that takes longer will not come */
    CONTRACT_SLACK_MS = 1000,     /* a busy machine's allowance on top of a deadline */
};

/* Sales that the suite inserts through --database; without one only the seed's sale 1 exists. */
enum {
    SALE_SEEDED = 1,
    SALE_BAD_INPUT = 1000, /* every bad row aims here: its stock must not move */
    SALE_OPEN = 1001,
    SALE_NOT_OPEN = 1002,
    SALE_ENDED = 1003,
    SALE_LAST_UNITS = 1004, /* three units, at most three each */
    SALE_LOCKED = 1005,     /* the suite holds its row's lock */
    SALE_LIMITED = 1006,    /* at most two each */
    SALE_EMPTIED = 1007,    /* another session sells it out meanwhile */
    SALE_CROWDED = 1008,    /* at most two each; one user's orders, all at once */
    SALE_UNKNOWN = 999999999,
};

struct contract {
    char host[CONTRACT_HOST_SIZE];
    char port[CONTRACT_PORT_SIZE];
    char authority[CONTRACT_HOST_SIZE + CONTRACT_PORT_SIZE]; /* host:port, as Host says it */
    int phase;
    const char *database;  /* libpq URI, or NULL: rows that need one are not added */
    long pid;              /* the server's, or 0: its life is judged by its replies only */
    const char *exchanges; /* JSON lines file, or NULL */
    int read_timeout_ms;   /* the server's READ_TIMEOUT_MS */
};

extern struct contract contract;

/* A test of its own Check case, in the phases from <= phase < until (until 0: for ever). */
struct contract_test {
    const char *name;
    const TTest *test;
    int from, until;
    bool needs_database;
};

/* Whether a row or test of these phases is about the target. */
bool contract_applies(int from, int until);

/* Adds the tests that apply, each as a case of its own name. */
void contract_add_tests(Suite *suite, const struct contract_test *tests, size_t count);

/* Adds one case, with the fixtures that every case has (watchdog, sockets closed afterwards). */
TCase *contract_add_case(Suite *suite, const char *name);

/* One per file of tests; called by main in this order. */
void good_paths_add(Suite *suite);
void good_orders_add(Suite *suite);
void good_races_add(Suite *suite);
void good_wire_add(Suite *suite);
void before_rows_add(Suite *suite);
void rows_add(Suite *suite);
void afterwards_add(Suite *suite);

/* Remembers pid's start time. Exits with a message if the target cannot be reached. */
void afterwards_remember(void);

#endif
