/* pg_private: what pg*.c share; nobody else includes it. First used by phase 0. */
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

/* Reads what the server said since the last exchange, without waiting: an end of file or a FATAL
 * breaks the connection. One system call when it said nothing. */
void pg_read_unasked(struct pg *pg);

bool pg_is_broken(const struct pg *pg);

/* For a call on a connection that is broken before it sends anything: nothing happened. ST_RETRY.
 */
enum status pg_refuse(struct pg *pg);

/* Before something is sent: forgets the last exchange. */
void pg_open_exchange(struct pg *pg);

/* From now, when the answer to so many statements must have come; CLOCK_NEVER without a statement
 * timeout. */
int64_t pg_answer_deadline_ns(const struct pg *pg, int statements);

/* Waits until PQgetResult would not block, and sends what is left to send meanwhile. False:
 * deadline_ns passed. */
bool pg_await_result(struct pg *pg, int64_t deadline_ns);

/* As pg_status_of, of an error that has a SQLSTATE; it also tells a plan that has become stale from
 * a feature that is not supported (both 0A000). */
enum status pg_status_of_error(const PGresult *error);

/* A result that is not a success: the server's error, or libpq's own, which has no SQLSTATE. */
enum status pg_judge_error(struct pg *pg, const PGresult *result);

/* Nothing was said by the deadline: ST_TIMEOUT. The connection is gone: ST_RETRY. Both break it and
 * leave the exchange unanswered. */
enum status pg_set_silent(struct pg *pg);
enum status pg_set_lost(struct pg *pg, const char *reason);

/* Prepares the statement where this connection has not yet: an exchange of its own. */
enum status pg_prepare_once(struct pg *pg, const struct pg_statement *statement);

/* What became of the transaction when an exchange that ended in COMMIT came to status; good is
 * COMMIT's own result, NULL if there was none. */
enum status pg_judge_commit(struct pg *pg, enum status status, PGresult *good);

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
