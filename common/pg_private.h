/* pg_private: what pg.c, pg_connect.c and pg_error.c share; nobody else includes it. First used by
 * phase 0. */
#ifndef FLASHDEAL_PG_PRIVATE_H
#define FLASHDEAL_PG_PRIVATE_H

#include "common/pg.h"

enum { PG_SQLSTATE_SIZE = 6 }; /* five characters and NUL */

/* Belongs to one thread at a time, as libpq's connection does: no lock. */
struct pg {
    PGconn *conn;
    struct stages *stages;        /* borrowed; NULL: nobody's account */
    int64_t statement_timeout_ms; /* 0: none */
    int64_t client_grace_ms;
    bool broken;          /* never to be used again: lost, silent past the bound, or out of step */
    bool unanswered;      /* the last exchange was sent and its answer did not come */
    bool standby_skipped; /* in the last exchange the server gave up waiting for a standby */
    int prepared_count;
    const struct pg_statement *prepared[PG_STATEMENTS_MAX];
    char sqlstate[PG_SQLSTATE_SIZE];
    char error[PG_ERROR_SIZE];
};

/* Waits until the connection's socket is ready for events of poll(2), is closed, or has failed:
 * true. False: deadline_ns passed. */
bool pg_await(const PGconn *conn, short events, int64_t deadline_ns);

/* A libpq notice receiver; arg is the struct pg. Prints nothing. */
void pg_notice(void *arg, const PGresult *notice);

/* Keeps what pg_sqlstate and pg_error tell; sqlstate "" if the server gave none. */
void pg_set_error(struct pg *pg, const char *sqlstate, const char *error);

/* Logs that error as "db_error", at most one a second in the whole process; how many were left out
 * since is part of the next. */
void pg_log_error(const struct pg *pg);

/* Copies text's first line, cut to size (NUL included). */
void pg_copy_line(char *out, size_t size, const char *text);

#endif
