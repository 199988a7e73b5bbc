/* pg: one connection to PostgreSQL. First used by phase 0.
 *
 * On top of libpq: statements prepared once per connection, SQLSTATE mapped to enum status in one
 * place, every call bounded, time booked to the request's stages. A transaction's begin, commit and
 * rollback are calls of their own, visible in the function that owns it.
 *
 * Bounds. lock_timeout and statement_timeout are set once, when the connection is made, and end a
 * wait inside the server. A server that is frozen or cut off ends no wait, so each call also stops
 * listening client_grace_ms after the last of these could have fired; the connection is then
 * broken (pg_is_usable is false) and the pool throws it away.
 *
 * Transactions are READ COMMITTED, whatever the server, the database or the role has as its
 * default: a statement that waited for a row goes on with what that has become.
 *
 * A connection belongs to one thread at a time. */
#ifndef FLASHDEAL_PG_H
#define FLASHDEAL_PG_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/stages.h"
#include "common/status.h"

enum {
    PG_PARAMS_MAX = 16,     /* parameters of one statement */
    PG_STATEMENTS_MAX = 32, /* different statements prepared on one connection */
    PG_CALLS_MAX = 8,       /* statements of one round trip */
    PG_ERROR_SIZE = 512,
};

struct pg; /* opaque */

struct pg_options {
    const char *conninfo;       /* libpq URI or key=value string; borrowed, must outlive the use */
    const char *application;    /* application_name in pg_stat_activity; may be NULL */
    int64_t connect_timeout_ms; /* from 1 */
    int64_t lock_timeout_ms;    /* 0: the server's default (none) */
    int64_t statement_timeout_ms; /* 0: none, and then no client-side bound either */
    int64_t client_grace_ms;      /* listened this much longer than the server's own bound */
};

/* A statement; declare it static const beside its SQL. Its address identifies it: it is prepared on
 * a connection the first time it runs there. */
struct pg_statement {
    const char *name; /* unique within the program; the prepared statement's name */
    const char *sql;  /* one statement, parameters $1..$n as text */
    int params;       /* 0..PG_PARAMS_MAX */
    enum stage stage; /* STAGE_LOCK_WAIT if it waits for a row's lock, else STAGE_STATEMENTS */
};

/* One of several statements that are sent together. */
struct pg_call {
    const struct pg_statement *statement;
    const char *const *values; /* as for pg_run; borrowed until the call returns */
    PGresult *result;          /* set by the call: the caller's to PQclear, NULL unless ST_OK */
};

/* Connects. Blocks until done or min(connect_timeout_ms, deadline_ns). On anything but ST_OK *out
 * is NULL and error holds one line for people, without the password. ST_SCHEMA: waiting will not
 * help (wrong password, role or database); ST_TIMEOUT, ST_RETRY or ST_BUSY (too many clients; still
 * starting up): it may. The caller owns *out and closes it. */
MUST_USE enum status pg_connect(const struct pg_options *options, int64_t deadline_ns,
                                struct pg **out, char error[PG_ERROR_SIZE]);

/* Closes and frees; accepts NULL. Does not wait for the server. */
void pg_close(struct pg *pg);

/* Books the time of later calls to stages (borrowed; NULL: to nobody). The pool calls it. */
void pg_book_to(struct pg *pg, struct stages *stages);

/* BEGIN, ROLLBACK. ST_OK, or why not. pg_rollback on a connection without a transaction is a no-op
 * (no round trip) and ST_OK, so that an out: label may call it always; one that fails leaves a
 * connection that is not usable. */
MUST_USE enum status pg_begin(struct pg *pg);
enum status pg_rollback(struct pg *pg);

/* COMMIT. ST_OK: durable as far as synchronous_commit promises. ST_UNKNOWN: sent, and the answer
 * did not come, or came with the WARNING that the wait for a standby was cancelled: it may have
 * happened. Anything else: it did not happen (a COMMIT answered by ROLLBACK included: ST_RETRY). */
MUST_USE enum status pg_commit(struct pg *pg);

/* Runs a statement with text parameters (NULL entry: SQL NULL; values NULL when there are none).
 * ST_OK: *result is the caller's to PQclear (result may be NULL: rows are thrown away). Otherwise
 * *result is NULL. A failed statement inside a transaction leaves the transaction to be rolled
 * back. Outside a transaction a statement commits by itself, so there ST_UNKNOWN is possible as for
 * pg_commit, unless its text begins with SELECT, which must then only read. Blocks as said above.
 */
MUST_USE enum status pg_run(struct pg *pg, const struct pg_statement *statement,
                            const char *const *values, PGresult **result);

/* As pg_run, and *count is the number of rows that it returned or changed. */
MUST_USE enum status pg_run_count(struct pg *pg, const struct pg_statement *statement,
                                  const char *const *values, int64_t *count);

/* BEGIN and the calls, or the calls and COMMIT, in one round trip instead of one for each (from
 * phase 6 on). count is 1..PG_CALLS_MAX; no call may be a COPY or end the transaction. Statements
 * that this connection has not prepared are prepared first, each in a round trip of its own; with
 * pg_begin_with, before BEGIN.
 *
 * The server runs the calls in order, and under READ COMMITTED each has a snapshot of its own: a
 * read behind the statement that waits for a lock sees what was committed while it waited, as it
 * would in a round trip of its own. No call can use what an earlier one of the same round trip
 * returned.
 *
 * ST_OK: every call has its result. Otherwise none has: the status is the first error's, as pg_run
 * maps it, and nothing behind that error was run, COMMIT included. After either, pg_rollback ends
 * what may be left of the transaction.
 *
 * pg_commit_with is judged as pg_commit. ST_UNKNOWN: all was sent, and neither COMMIT's answer nor
 * an error of a call before it came (or the wait for a standby was cancelled). Anything but ST_OK
 * and ST_UNKNOWN: it did not happen.
 *
 * Blocks. statement_timeout bounds each statement, and none of their answers need come before the
 * last's, so the client listens for as many statement timeouts as there are calls (and one for
 * COMMIT), and the grace once: a frozen server is noticed that much later than by pg_run.
 *
 * Time is booked to each statement's stage up to its answer, preparing and BEGIN to the first
 * one's, what comes after the last answer to that one's, or to STAGE_COMMIT. */
MUST_USE enum status pg_begin_with(struct pg *pg, struct pg_call *calls, int count);
MUST_USE enum status pg_commit_with(struct pg *pg, struct pg_call *calls, int count);

/* Whether the connection is healthy and outside any transaction, so that another may have it. Reads
 * what the server said unasked, without waiting: a shutdown or an end of file breaks it. */
bool pg_is_usable(struct pg *pg);

/* The last error's SQLSTATE ("" if none or the connection failed) and its first line; valid until
 * the next call on pg. Never contains parameters' values or the conninfo. */
const char *pg_sqlstate(const struct pg *pg);
const char *pg_error(const struct pg *pg);

/* The one map from SQLSTATE to status: 55P03, 57014 ST_TIMEOUT; 40001, 40P01, 25006, 26000, class
 * 08, 57P01-57P03, 57P05, class 58 ST_RETRY; class 53, 54000 ST_BUSY; class 23 ST_CONSTRAINT; class
 * 28, 3D000, 3F000, 42P01, 42703, 42501 ST_SCHEMA; others ST_DB. Source: PostgreSQL manual,
 * appendix A.
 *
 * Calls go by it with one exception, which the code alone does not tell: 0A000 is ST_RETRY where a
 * prepared statement's table was changed under it ("cached plan must not change result type"). That
 * and 26000 break the connection too: the next one prepares anew. */
enum status pg_status_of(const char *sqlstate);

#endif
