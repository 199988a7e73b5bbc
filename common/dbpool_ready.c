/* dbpool_ready: the backoff, and the wait for the database at start.
 *
 * Waiting helps against a server that is not there yet, starting up or full; it does not help
 * against an answer: a wrong password, database or table ends the wait at once, with a line that
 * says what to do. Only faults that may pass (ST_RETRY, ST_TIMEOUT, ST_BUSY) are waited for.
 *
 * The delay is jittered from half of it to the whole, so that servers started together do not knock
 * together. It makes one connection at a time and keeps none. */
#include "common/dbpool.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/dbpool_private.h"
#include "common/log.h"
#include "common/random.h"

/* ------------------------------------------------------------------------------------ backoff */

static int64_t jittered_ns(const struct dbpool_backoff *backoff)
{
    int64_t half_ns = backoff->delay_ms * CLOCK_NS_PER_MS / 2;
    return half_ns + (int64_t)random_below((uint64_t)half_ns + 1);
}

void dbpool_backoff_claim(struct dbpool_backoff *backoff, int64_t now_ns)
{
    if (backoff->delay_ms > 0) {
        backoff->next_ns = now_ns + jittered_ns(backoff);
    }
}

void dbpool_backoff_fail(struct dbpool_backoff *backoff, uint64_t round, int64_t now_ns)
{
    if (round != backoff->round) {
        return; /* another attempt of the same time has reported it */
    }
    backoff->round++;
    backoff->failures++;
    backoff->delay_ms *= 2;
    if (backoff->delay_ms < DBPOOL_BACKOFF_MIN_MS) {
        backoff->delay_ms = DBPOOL_BACKOFF_MIN_MS;
    }
    if (backoff->delay_ms > DBPOOL_BACKOFF_MAX_MS) {
        backoff->delay_ms = DBPOOL_BACKOFF_MAX_MS;
    }
    backoff->next_ns = now_ns + jittered_ns(backoff);
}

void dbpool_backoff_reset(struct dbpool_backoff *backoff)
{
    backoff->failures = 0;
    backoff->delay_ms = 0;
    backoff->next_ns = 0;
}

/* --------------------------------------------------------------------------------------- wait */

/* The name that the server quoted in its message, or "". */
static void find_quoted(const char *message, char *out, size_t size)
{
    const char *open = strchr(message, '"');
    const char *close = open != NULL ? strchr(open + 1, '"') : NULL;
    int length = close != NULL ? (int)(close - open - 1) : 0;
    snprintf(out, size, "%.*s", length, open != NULL ? open + 1 : "");
}

static void describe_probe(const struct pg *pg, enum status status, char error[PG_ERROR_SIZE])
{
    char name[128];
    find_quoted(pg_error(pg), name, sizeof(name));
    if (strcmp(pg_sqlstate(pg), "42P01") == 0 && name[0] != '\0') {
        snprintf(error, PG_ERROR_SIZE, "table \"%s\" is missing: apply schema.sql", name);
    } else if (strcmp(pg_sqlstate(pg), "42501") == 0) {
        snprintf(error, PG_ERROR_SIZE, "%s: grant it to the user of DATABASE_URL", pg_error(pg));
    } else if (status == ST_SCHEMA) {
        snprintf(error, PG_ERROR_SIZE, "%s: apply this phase's schema.sql", pg_error(pg));
    } else {
        snprintf(error, PG_ERROR_SIZE, "the database does not answer as it should: %s%s%s",
                 pg_error(pg), pg_sqlstate(pg)[0] != '\0' ? ", SQLSTATE " : "", pg_sqlstate(pg));
    }
}

/* One attempt: connect, and look whether the schema is there. */
static enum status attempt(const struct pg_options *options, const struct pg_statement *probe,
                           char error[PG_ERROR_SIZE])
{
    struct pg *pg = NULL;
    enum status status = pg_connect(options, CLOCK_NEVER, &pg, error);
    if (status == ST_OK && probe != NULL) {
        status = pg_run(pg, probe, NULL, NULL);
        if (status != ST_OK) {
            describe_probe(pg, status, error);
        }
    }
    pg_close(pg);
    return status;
}

static bool may_pass(enum status status)
{
    /* A probe writes nothing: unknown is as good as lost. */
    return status == ST_RETRY || status == ST_TIMEOUT || status == ST_BUSY || status == ST_UNKNOWN;
}

/* Logs at most once a second. */
static void log_waiting(const char *error, int64_t started_ns, int64_t *logged_ns)
{
    int64_t now_ns = clock_now_ns();
    if (*logged_ns != 0 && now_ns - *logged_ns < CLOCK_NS_PER_S) {
        return;
    }
    *logged_ns = now_ns;
    log_event(LOG_INFO, "db_waiting", LOG_TEXT("error", error),
              LOG_NUMBER("waited_ms", (now_ns - started_ns) / CLOCK_NS_PER_MS));
}

/* An attempt is bounded by connect_timeout_ms alone, and the last one starts when wait_ms is over:
 * a database that comes up just then is still found. */
enum status dbpool_wait_ready(const struct pg_options *options, int64_t wait_ms,
                              const struct pg_statement *probe, char error[PG_ERROR_SIZE])
{
    int64_t started_ns = clock_now_ns();
    int64_t deadline_ns = clock_deadline_ns(wait_ms);
    int64_t logged_ns = 0;
    struct dbpool_backoff backoff = {0};
    for (;;) {
        enum status status = attempt(options, probe, error);
        int64_t now_ns = clock_now_ns();
        if (!may_pass(status)) {
            return status;
        }
        if (now_ns >= deadline_ns) {
            size_t used = strlen(error);
            snprintf(error + used, PG_ERROR_SIZE - used, " (waited %lld ms)", (long long)wait_ms);
            return status;
        }
        log_waiting(error, started_ns, &logged_ns);
        dbpool_backoff_fail(&backoff, backoff.round, now_ns);
        clock_sleep_until(backoff.next_ns < deadline_ns ? backoff.next_ns : deadline_ns);
    }
}
