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
    SALE_QUEUED = 1009,     /* its orders have to stand in line */
    SALE_LINE = 1010,       /* the same, from phase 4: what stands in line is sold */
    SALE_WINDOW = 1011,     /* its window opens and closes while orders wait */
    SALE_REFUSED = 1012,    /* the database refuses orders of it, as a trigger says */
    SALE_GONE = 1013,       /* it is deleted while an order waits */
    SALE_MARK = 1014,       /* inserted last, its stock another one in every run */
    SALE_LATER = 1015,      /* it is there once a test has inserted it */
    SALE_UNKNOWN = 999999999,
};

/* The target's listeners; the second is there from phase 2. */
enum listener { PUBLIC, ADMIN, LISTENER_COUNT };

struct address {
    char host[CONTRACT_HOST_SIZE];
    char port[CONTRACT_PORT_SIZE];
    char authority[CONTRACT_HOST_SIZE + CONTRACT_PORT_SIZE]; /* host:port, as Host says it */
};

/* Which tests are run: what the target's settings allow to be seen. */
enum group {
    GROUP_WHOLE,     /* everything that the usual settings show */
    GROUP_ADMISSION, /* few workers, a short queue, a low rate */
    GROUP_TRUSTING,  /* no AUTH_SECRET: the body's user is believed */
    GROUP_FORGETFUL, /* from phase 4: few tickets, so that orders are soon forgotten */
};

struct contract {
    struct address at[LISTENER_COUNT]; /* ADMIN: host "" if it is not known */
    int phase;
    enum group group;
    const char *database;  /* libpq URI, or NULL: rows that need one are not added */
    const char *secret;    /* the server's AUTH_SECRET, or NULL: it has none, or we do not know */
    const char *log;       /* the file that it logs to, or NULL */
    long pid;              /* the server's, or 0: its life is judged by its replies only */
    const char *exchanges; /* JSON lines file, or NULL */
    /* The server's settings of the same names. */
    int read_timeout_ms, threads;
    int db_pool, db_workers, queue_max, order_deadline_ms, rate_limit;
    int longpoll_max, tickets_max;
    int untimed_percent; /* of a request's time, that may be in no stage */
};

extern struct contract contract;

/* What a row or test cannot do without; several may be or'ed. */
enum {
    NEEDS_NOTHING = 0,
    NEEDS_DATABASE = 1, /* --database */
    NEEDS_ADMIN = 2,    /* --admin-url */
    NEEDS_SECRET = 4,   /* --secret */
    NEEDS_LOG = 8,      /* --log */
};

/* A test of its own Check case, in the phases from <= phase < until (until 0: for ever). */
struct contract_test {
    const char *name;
    const TTest *test;
    int from, until;
    int needs;
};

/* Whether a row or test of these phases is about the target, and what it needs is there. */
bool contract_applies(int from, int until, int needs);

/* Adds the tests that apply, each as a case of its own name. */
void contract_add_tests(Suite *suite, const struct contract_test *tests, size_t count);

/* Adds one case, with the fixtures that every case has (watchdog, sockets closed afterwards). */
TCase *contract_add_case(Suite *suite, const char *name);

/* One per file of tests; called by main in this order. */
void good_paths_add(Suite *suite);
void good_orders_add(Suite *suite);
void good_races_add(Suite *suite);
void good_wire_add(Suite *suite);
void good_auth_add(Suite *suite);
void good_trusting_add(Suite *suite);
void good_queue_add(Suite *suite);
void good_rate_add(Suite *suite);
void good_cache_add(Suite *suite);
void good_async_add(Suite *suite);
void good_wait_add(Suite *suite);
void good_refusals_add(Suite *suite);
void good_line_add(Suite *suite);
void good_tickets_add(Suite *suite);
void good_keys_add(Suite *suite);
void good_keys_line_add(Suite *suite);
void good_admin_add(Suite *suite);
void good_metrics_add(Suite *suite);
void good_trace_add(Suite *suite);
void before_rows_add(Suite *suite);
void rows_add(Suite *suite);
void afterwards_add(Suite *suite);

/* Remembers pid's start time. Exits with a message if the target cannot be reached. */
void afterwards_remember(void);

#endif
