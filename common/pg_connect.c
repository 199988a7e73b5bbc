/* pg_connect: makes a connection within a bound, and says for people why it could not.
 *
 * libpq's non-blocking connect is driven by poll(2) against our own deadline, so a server that
 * accepts and then says nothing holds nobody. Name resolution is the exception: libpq resolves in
 * the call that starts, for as long as the resolver takes; an address or a socket's directory does
 * not meet it. connect_timeout of the conninfo is not used; ours is.
 *
 * libpq does not give the SQLSTATE of a failed connection, but with PQERRORS_VERBOSE it writes it
 * into the message ("FATAL:  28P01: ..."), in every language of the server: it is read from there.
 * Errors name host, port, user and database, and never the password or the conninfo. */
#include "common/pg.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/pg_private.h"

enum {
    OPTIONS_SIZE = 2048, /* the server options, the conninfo's own included */
    ENDPOINT_SIZE = 160, /* "host:port", or the socket's path; longer ones are cut */
    REASON_SIZE = 160,
    SQLSTATE_LENGTH = PG_SQLSTATE_SIZE - 1,
};

#define ADVICE_START "is PostgreSQL running? Start it or correct DATABASE_URL"

static const char SQLSTATE_CHARS[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/* The last "<severity>:  <SQLSTATE>: " of the message: with several hosts, the last one's. */
static void find_sqlstate(const char *message, char out[PG_SQLSTATE_SIZE])
{
    out[0] = '\0';
    for (const char *at = message; (at = strstr(at, ":  ")) != NULL;) {
        at += strlen(":  ");
        if (strspn(at, SQLSTATE_CHARS) == SQLSTATE_LENGTH && at[SQLSTATE_LENGTH] == ':') {
            memcpy(out, at, SQLSTATE_LENGTH);
            out[SQLSTATE_LENGTH] = '\0';
        }
    }
}

/* The reason in libpq's own words: what follows the last " failed: " (there is one for each host
 * and address tried), without severity and SQLSTATE. */
static void find_reason(const char *message, const char *sqlstate, char *out, size_t size)
{
    static const char failed[] = " failed: ";
    const char *reason = message;
    for (const char *at = message; (at = strstr(at, failed)) != NULL;) {
        at += strlen(failed);
        reason = at;
    }
    const char *code = sqlstate[0] != '\0' ? strstr(reason, sqlstate) : NULL;
    if (code != NULL) {
        reason = code + SQLSTATE_LENGTH + strlen(": ");
    }
    pg_copy_line(out, size, reason);
}

/* PQhost is a directory for a unix socket; the file in it is what people can look for. */
static void describe_endpoint(const PGconn *conn, char out[ENDPOINT_SIZE])
{
    const char *host = PQhost(conn);
    const char *port = PQport(conn);
    if (host != NULL && host[0] == '/') {
        snprintf(out, ENDPOINT_SIZE, "%s/.s.PGSQL.%s", host, port != NULL ? port : "?");
    } else {
        snprintf(out, ENDPOINT_SIZE, "%s:%s", host != NULL ? host : "?", port != NULL ? port : "?");
    }
}

static const char *or_none(const char *text)
{
    return text != NULL ? text : "";
}

/* One line: what is wrong and, where an operator must act, what to do. */
static void describe_failure(const PGconn *conn, enum status status, const char *sqlstate,
                             char error[PG_ERROR_SIZE])
{
    char reason[REASON_SIZE], endpoint[ENDPOINT_SIZE];
    find_reason(or_none(PQerrorMessage(conn)), sqlstate, reason, sizeof(reason));
    describe_endpoint(conn, endpoint);
    const char *user = or_none(PQuser(conn));
    const char *database = or_none(PQdb(conn));
    if (strcmp(sqlstate, "3D000") == 0) {
        snprintf(error, PG_ERROR_SIZE,
                 "database \"%s\" does not exist at %s: create it or correct DATABASE_URL",
                 database, endpoint);
    } else if (strcmp(sqlstate, "28P01") == 0) {
        snprintf(error, PG_ERROR_SIZE,
                 "password refused for user \"%s\" at %s: correct it in DATABASE_URL", user,
                 endpoint);
    } else if (PQconnectionNeedsPassword(conn)) {
        snprintf(error, PG_ERROR_SIZE, "user \"%s\" needs a password at %s: add it to DATABASE_URL",
                 user, endpoint);
    } else if (status == ST_SCHEMA) {
        snprintf(error, PG_ERROR_SIZE,
                 "user \"%s\" may not use database \"%s\" at %s (%s): correct DATABASE_URL or the "
                 "server's roles and pg_hba.conf",
                 user, database, endpoint, reason);
    } else if (status == ST_BUSY) {
        snprintf(error, PG_ERROR_SIZE,
                 "no connection free at %s (%s): lower DB_POOL or raise max_connections", endpoint,
                 reason);
    } else if (sqlstate[0] != '\0') {
        snprintf(error, PG_ERROR_SIZE, "the database at %s refuses connections: %s (%s)", endpoint,
                 reason, sqlstate);
    } else {
        snprintf(error, PG_ERROR_SIZE, "nothing answers at %s: %s: " ADVICE_START, endpoint,
                 reason);
    }
}

/* Writes the conninfo's own server options (libpq's default for them: PGOPTIONS) and ours behind
 * them: of two settings of one name the server takes the last. False: the conninfo cannot be read,
 * or out is too small. (The isolation is PostgreSQL's own default, which a server, a database or a
 * role may have set otherwise: then who waited for a row's lock is told to start again.) */
static bool merge_options(const struct pg_options *options, char out[OPTIONS_SIZE])
{
    PQconninfoOption *parsed = PQconninfoParse(options->conninfo, NULL);
    if (parsed == NULL) {
        return false; /* its message may quote the conninfo, password and all: not asked for */
    }
    const char *own = getenv("PGOPTIONS"); /* NOLINT(concurrency-mt-unsafe): nobody sets it */
    for (const PQconninfoOption *option = parsed; option->keyword != NULL; option++) {
        if (strcmp(option->keyword, "options") == 0 && option->val != NULL) {
            own = option->val;
        }
    }
    int used = snprintf(out, OPTIONS_SIZE, "%s -c default_transaction_isolation=read\\ committed",
                        or_none(own));
    if (options->lock_timeout_ms > 0 && used < OPTIONS_SIZE) {
        used += snprintf(out + used, (size_t)(OPTIONS_SIZE - used), " -c lock_timeout=%lldms",
                         (long long)options->lock_timeout_ms);
    }
    if (options->statement_timeout_ms > 0 && used < OPTIONS_SIZE) {
        used += snprintf(out + used, (size_t)(OPTIONS_SIZE - used), " -c statement_timeout=%lldms",
                         (long long)options->statement_timeout_ms);
    }
    PQconninfoFree(parsed);
    return used < OPTIONS_SIZE;
}

/* Drives the connection to its end, good or bad. False: deadline_ns passed first. */
static bool finish_connecting(PGconn *conn, int64_t deadline_ns)
{
    if (PQstatus(conn) == CONNECTION_BAD) {
        return true;
    }
    for (PostgresPollingStatusType step = PGRES_POLLING_WRITING;
         step != PGRES_POLLING_OK && step != PGRES_POLLING_FAILED; step = PQconnectPoll(conn)) {
        if (!pg_await(conn, step == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline_ns)) {
            return false;
        }
    }
    return true;
}

/* Starts the connection; NULL when memory ran out. Nothing of what the server may say on the way
 * is printed. */
static PGconn *start_connecting(const struct pg_options *options, const char *server_options,
                                struct pg *pg)
{
    /* dbname holds the whole conninfo (expand_dbname); what stands behind it overrides it. */
    const char *const keywords[] = {"dbname", "options", "client_encoding",
                                    "fallback_application_name", NULL};
    const char *const values[] = {options->conninfo, server_options, "UTF8", options->application,
                                  NULL};
    PGconn *conn = PQconnectStartParams(keywords, values, 1);
    if (conn != NULL) {
        PQsetNoticeReceiver(conn, pg_notice, pg);
        PQsetErrorVerbosity(conn, PQERRORS_VERBOSE);
    }
    return conn;
}

static enum status judge_failure(const PGconn *conn, char error[PG_ERROR_SIZE])
{
    char sqlstate[PG_SQLSTATE_SIZE];
    find_sqlstate(or_none(PQerrorMessage(conn)), sqlstate);
    enum status status = ST_RETRY; /* refused, no socket, cut off: it may come up yet */
    if (sqlstate[0] != '\0') {
        status = pg_status_of(sqlstate);
    } else if (PQconnectionNeedsPassword(conn)) {
        status = ST_SCHEMA;
    }
    describe_failure(conn, status, sqlstate, error);
    return status;
}

enum status pg_connect(const struct pg_options *options, int64_t deadline_ns, struct pg **out,
                       char error[PG_ERROR_SIZE])
{
    assert(options->connect_timeout_ms >= 1);
    *out = NULL;
    error[0] = '\0';
    char server_options[OPTIONS_SIZE];
    if (!merge_options(options, server_options)) {
        snprintf(error, PG_ERROR_SIZE,
                 "DATABASE_URL is not a connection string: it must look like "
                 "postgresql://user@host:5432/database");
        return ST_SCHEMA;
    }
    int64_t bound_ns = clock_deadline_ns(options->connect_timeout_ms);
    enum status status = ST_SYSTEM;
    struct pg *pg = calloc(1, sizeof(*pg));
    if (pg == NULL || (pg->conn = start_connecting(options, server_options, pg)) == NULL) {
        snprintf(error, PG_ERROR_SIZE, "out of memory");
        goto out;
    }
    pg->statement_timeout_ms = options->statement_timeout_ms;
    pg->client_grace_ms = options->client_grace_ms;
    if (!finish_connecting(pg->conn, deadline_ns < bound_ns ? deadline_ns : bound_ns)) {
        char endpoint[ENDPOINT_SIZE];
        describe_endpoint(pg->conn, endpoint);
        snprintf(error, PG_ERROR_SIZE, "nothing answers at %s: timed out: " ADVICE_START, endpoint);
        status = ST_TIMEOUT;
        goto out;
    }
    if (PQstatus(pg->conn) != CONNECTION_OK) {
        status = judge_failure(pg->conn, error);
        goto out;
    }
    if (PQsetnonblocking(pg->conn, 1) == 0) {
        *out = pg;
        status = ST_OK;
    }
out:
    if (status != ST_OK) {
        pg_close(pg);
    }
    return status;
}
