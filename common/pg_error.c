/* What the database said when something failed: kept for the caller, and logged.
 *
 * A caller gets a status, and whoever called him a 503: neither says that the disk is full. So the
 * server's own words are logged, at a rate that a flood of failures cannot raise. They hold no
 * parameters and no conninfo (pg.c sees to class 22, whose messages quote a value). */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/pg_private.h"

enum { LOG_EVERY_S = 1 };

void pg_copy_line(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%.*s", (int)strcspn(text, "\r\n"), text);
}

void pg_set_error(struct pg *pg, const char *sqlstate, const char *error)
{
    snprintf(pg->sqlstate, sizeof(pg->sqlstate), "%s", sqlstate);
    pg_copy_line(pg->error, sizeof(pg->error), error);
}

void pg_log_error(const struct pg *pg)
{
    static _Atomic int64_t next_ns;
    static atomic_llong left_out;
    int64_t now_ns = clock_now_ns();
    int64_t due_ns = atomic_load(&next_ns);
    if (now_ns < due_ns ||
        !atomic_compare_exchange_strong(&next_ns, &due_ns, now_ns + LOG_EVERY_S * CLOCK_NS_PER_S)) {
        atomic_fetch_add(&left_out, 1);
        return;
    }
    log_event(LOG_WARN, "db_error", LOG_TEXT("sqlstate", pg->sqlstate),
              LOG_TEXT("error", pg->error), LOG_NUMBER("left_out", atomic_exchange(&left_out, 0)));
}
