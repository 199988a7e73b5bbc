/* pg_fixture: what the tests of pg and dbpool share.
 *
 * The database is TEST_DATABASE_URL: a libpq URI with superuser rights on an empty throwaway
 * database. Without it fixture_require ends the program with one line and status 1: a test that was
 * not run has not passed. Queries of the tests' own go over a plain libpq connection, so that pg is
 * not checked by itself. */
#ifndef FLASHDEAL_TESTS_PG_FIXTURE_H
#define FLASHDEAL_TESTS_PG_FIXTURE_H

#include <libpq-fe.h>
#include <stdio.h>
#include <time.h>

#include "common/clock.h"
#include "common/pg.h"
#include "common/tests/harness.h"

enum { FIXTURE_CONNINFO_SIZE = 2048, FIXTURE_PATIENCE_MS = 20000 };

static inline const char *fixture_url(void)
{
    return getenv("TEST_DATABASE_URL");
}

static inline void fixture_require(const char *program)
{
    if (fixture_url() == NULL || fixture_url()[0] == '\0') {
        fprintf(stderr,
                "%s: TEST_DATABASE_URL is not set: give it a libpq URI with superuser rights on an "
                "empty throwaway database\n",
                program);
        exit(EXIT_FAILURE);
    }
}

static inline void fixture_ignore(void *arg, const char *message)
{
    (void)arg;
    (void)message;
}

static inline PGconn *fixture_open(void)
{
    PGconn *conn = PQconnectdb(fixture_url());
    ck_assert_msg(PQstatus(conn) == CONNECTION_OK, "%s", PQerrorMessage(conn));
    PQsetNoticeProcessor(conn, fixture_ignore, NULL);
    return conn;
}

/* Runs SQL on a connection of its own. */
static inline void fixture_sql(const char *sql)
{
    PGconn *conn = fixture_open();
    PGresult *result = PQexec(conn, sql);
    ExecStatusType kind = PQresultStatus(result);
    ck_assert_msg(kind == PGRES_COMMAND_OK || kind == PGRES_TUPLES_OK, "%s", PQerrorMessage(conn));
    PQclear(result);
    PQfinish(conn);
}

/* The one number that a query gives. */
static inline long fixture_number(const char *sql)
{
    PGconn *conn = fixture_open();
    PGresult *result = PQexec(conn, sql);
    ck_assert_msg(PQresultStatus(result) == PGRES_TUPLES_OK, "%s", PQerrorMessage(conn));
    long number = strtol(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    PQfinish(conn);
    return number;
}

static inline void fixture_nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 5 * CLOCK_NS_PER_MS}, NULL);
}

/* Waits until the query gives the number. */
static inline void fixture_await(const char *sql, long number)
{
    int64_t deadline_ns = clock_deadline_ns(FIXTURE_PATIENCE_MS);
    while (fixture_number(sql) != number) {
        ck_assert_msg(clock_now_ns() < deadline_ns, "still not %ld: %s", number, sql);
        fixture_nap();
    }
}

/* TEST_DATABASE_URL as key=value pairs, with extra ("host='...' port=1") overriding it. */
static inline void fixture_conninfo(char out[FIXTURE_CONNINFO_SIZE], const char *extra)
{
    PQconninfoOption *options = PQconninfoParse(fixture_url(), NULL);
    ck_assert_ptr_nonnull(options);
    size_t used = 0;
    for (PQconninfoOption *option = options; option->keyword != NULL; option++) {
        if (option->val == NULL || strcmp(option->keyword, "hostaddr") == 0) {
            continue;
        }
        used += (size_t)snprintf(out + used, FIXTURE_CONNINFO_SIZE - used, "%s='", option->keyword);
        for (const char *at = option->val; *at != '\0' && used < FIXTURE_CONNINFO_SIZE - 4; at++) {
            if (*at == '\'' || *at == '\\') {
                out[used++] = '\\';
            }
            out[used++] = *at;
        }
        used += (size_t)snprintf(out + used, FIXTURE_CONNINFO_SIZE - used, "' ");
    }
    snprintf(out + used, FIXTURE_CONNINFO_SIZE - used, "%s", extra);
    PQconninfoFree(options);
}

static inline struct pg_options fixture_options(const char *conninfo)
{
    return (struct pg_options){
        .conninfo = conninfo,
        .application = "fd_test",
        .connect_timeout_ms = 10000,
        .lock_timeout_ms = 2000,
        .statement_timeout_ms = 10000,
        .client_grace_ms = 10000,
    };
}

/* Connects or fails the test. */
static inline struct pg *fixture_connect(const struct pg_options *options)
{
    struct pg *pg = NULL;
    char error[PG_ERROR_SIZE];
    enum status status = pg_connect(options, CLOCK_NEVER, &pg, error);
    ck_assert_msg(status == ST_OK, "%s: %s", status_name(status), error);
    return pg;
}

/* Asserts that nothing of the connection is left in the server: ends its backends and waits. */
static inline void fixture_end_backends(const char *application)
{
    char sql[256];
    snprintf(sql, sizeof(sql),
             "SELECT count(pg_terminate_backend(pid, %d)) FROM pg_stat_activity "
             "WHERE datname = current_database() AND application_name = '%s'",
             FIXTURE_PATIENCE_MS, application);
    (void)fixture_number(sql);
}

#define ck_assert_status(got, wanted) ck_assert_str_eq(status_name(got), status_name(wanted))

#endif
