/* libpq, used without its blocking calls once connected: poll(2) with a deadline around each
 * statement, because a frozen server ends no wait and an audit that hangs says nothing.
 *
 * REPEATABLE READ, READ ONLY: all checks judge one moment, and the judge changes nothing. Rows are
 * streamed in libpq's single-row mode. It does not reconnect: a lost connection is a lost audit. */
#include "harness/audit/database.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/xalloc.h"

struct database {
    PGconn *conn;
    char error[DATABASE_ERROR_SIZE];
};

static const char SQL_BEGIN[] = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
static const char SQL_COMMIT[] = "COMMIT";

/* The first line of libpq's text, which has up to five. */
static void first_line(char error[DATABASE_ERROR_SIZE], const char *text)
{
    snprintf(error, DATABASE_ERROR_SIZE, "%.*s", (int)strcspn(text, "\n"), text);
}

static PGconn *connect_to(const char *uri)
{
    char connect_s[16], options[64];
    snprintf(connect_s, sizeof connect_s, "%d", DATABASE_CONNECT_S);
    snprintf(options, sizeof options, "-c statement_timeout=%d", DATABASE_STATEMENT_MS);
    const char *const names[] = {"connect_timeout", "options",         "fallback_application_name",
                                 "dbname",          "client_encoding", NULL};
    const char *const values[] = {connect_s, options, "audit", uri, "UTF8", NULL};
    return PQconnectdbParams(names, values, 1);
}

enum status database_open(const char *uri, struct database **out, char error[DATABASE_ERROR_SIZE])
{
    *out = NULL;
    PQconninfoOption *parsed = PQconninfoParse(uri, NULL);
    if (!parsed) {
        /* libpq's own text would repeat parts of it, a password perhaps. */
        snprintf(error, DATABASE_ERROR_SIZE, "--database is not a libpq URI");
        return ST_INVALID;
    }
    PQconninfoFree(parsed);
    PGconn *conn = connect_to(uri);
    if (PQstatus(conn) != CONNECTION_OK) {
        first_line(error, PQerrorMessage(conn));
        PQfinish(conn);
        return ST_DB;
    }
    struct database *database = xcalloc(1, sizeof *database);
    database->conn = conn;
    *out = database;
    return ST_OK;
}

void database_close(struct database *database)
{
    if (database) {
        PQfinish(database->conn);
        free(database);
    }
}

const char *database_error(const struct database *database)
{
    return database->error;
}

static enum status fail(struct database *database, const char *text)
{
    first_line(database->error, text);
    return ST_DB;
}

/* Waits until PQgetResult will not block. */
static enum status await_result(struct database *database, int64_t deadline_ns)
{
    while (PQisBusy(database->conn)) {
        struct pollfd ready = {.fd = PQsocket(database->conn), .events = POLLIN};
        if (poll(&ready, 1, clock_left_ms(deadline_ns)) == 0) {
            return fail(database, "the database did not answer in time");
        }
        if (PQconsumeInput(database->conn) == 0) {
            return fail(database, PQerrorMessage(database->conn));
        }
    }
    return ST_OK;
}

static enum status send(struct database *database, const char *sql, const char *parameter)
{
    int count = strstr(sql, "$1") ? 1 : 0;
    return PQsendQueryParams(database->conn, sql, count, NULL, &parameter, NULL, NULL, 0) == 1
               ? ST_OK
               : fail(database, PQerrorMessage(database->conn));
}

static int64_t statement_deadline_ns(void)
{
    return clock_deadline_ns((int64_t)DATABASE_STATEMENT_MS + DATABASE_GRACE_MS);
}

static bool is_good(const PGresult *result)
{
    ExecStatusType kind = PQresultStatus(result);
    return kind == PGRES_TUPLES_OK || kind == PGRES_COMMAND_OK || kind == PGRES_SINGLE_TUPLE;
}

/* Reads results until the statement is over. With each_row, rows go there; else *out is the last.
 */
static enum status collect(struct database *database, int64_t deadline_ns,
                           void (*each_row)(const PGresult *, void *), void *context,
                           PGresult **out)
{
    enum status status = ST_OK;
    for (;;) {
        if (await_result(database, deadline_ns) != ST_OK) {
            return ST_DB;
        }
        PGresult *result = PQgetResult(database->conn);
        if (!result) {
            return status;
        }
        if (!is_good(result)) {
            status = fail(database, PQresultErrorMessage(result));
        } else if (each_row && PQntuples(result) == 1) {
            each_row(result, context);
        } else if (out) {
            PQclear(*out);
            *out = result;
            continue;
        }
        PQclear(result);
    }
}

enum status database_query(struct database *database, const char *sql, const char *parameter,
                           PGresult **out)
{
    PGresult *result = NULL;
    enum status status = send(database, sql, parameter);
    if (status == ST_OK) {
        status = collect(database, statement_deadline_ns(), NULL, NULL, &result);
    }
    if (status != ST_OK || !out) {
        PQclear(result);
        result = NULL;
    }
    if (out) {
        *out = result;
    }
    return status;
}

enum status database_stream(struct database *database, const char *sql, const char *parameter,
                            void (*each_row)(const PGresult *result, void *context), void *context)
{
    enum status status = send(database, sql, parameter);
    if (status != ST_OK) {
        return status;
    }
    if (PQsetSingleRowMode(database->conn) != 1) {
        return fail(database, "single-row mode was refused");
    }
    return collect(database, statement_deadline_ns(), each_row, context, NULL);
}

enum status database_begin(struct database *database)
{
    return database_query(database, SQL_BEGIN, NULL, NULL);
}

enum status database_end(struct database *database)
{
    return database_query(database, SQL_COMMIT, NULL, NULL);
}
