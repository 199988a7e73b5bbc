/* database: a read-only connection whose every wait is bounded. It knows nothing of orders. */
#ifndef AUDIT_DATABASE_H
#define AUDIT_DATABASE_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/status.h"

enum {
    DATABASE_ERROR_SIZE = 256,
    DATABASE_CONNECT_S = 10,
    DATABASE_STATEMENT_MS = 120000, /* one statement, inside the server */
    DATABASE_GRACE_MS = 5000,       /* a server that is frozen is given up this much later */
};

struct database; /* opaque; one thread */

/* Connects. ST_OK, ST_INVALID (the URI is none) or ST_DB (out of reach, refused), with one line in
 * error, without the URI. Blocks up to DATABASE_CONNECT_S for each address of the host. */
MUST_USE enum status database_open(const char *uri, struct database **out,
                                   char error[DATABASE_ERROR_SIZE]);

/* Accepts NULL. */
void database_close(struct database *database);

/* Begins a transaction all of whose statements see the database at one moment; and ends it. */
MUST_USE enum status database_begin(struct database *database);
MUST_USE enum status database_end(struct database *database);

/* Runs a statement with one text parameter, which may be NULL. ST_OK: *out is the caller's to
 * PQclear. ST_DB: *out is NULL and database_error says why. */
MUST_USE enum status database_query(struct database *database, const char *sql,
                                    const char *parameter, PGresult **out);

/* As database_query, but hands the rows one by one to each_row (row 0 of result), so that memory
 * does not grow with their number. */
MUST_USE enum status database_stream(struct database *database, const char *sql,
                                     const char *parameter,
                                     void (*each_row)(const PGresult *result, void *context),
                                     void *context);

/* What went wrong last: one line, valid until the next call. */
const char *database_error(const struct database *database);

#endif
