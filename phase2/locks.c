/* GET /debug/locks: one statement finds the chains in the database, C masks what they quote.
 *
 * pg_blocking_pids names for each waiter who holds what it wants, and also who stands before it in
 * the queue: of 64 orders on one row the last has 63 "blockers", each of which waits itself. So the
 * walk starts at those who wait for nobody, the roots, and spreads to whoever waits for someone
 * reached. A waiter with two roots stands in both chains. A ring (a deadlock, until PostgreSQL ends
 * it after deadlock_timeout) has no root: its members are counted in "waiting" and stand in no
 * chain. The walk ends because a pair of root and waiter is added once.
 *
 * Moments. The waits are read before the sessions: a blocker that has meanwhile finished, or begun
 * to wait for its next turn, is dropped, and the waiter that has what it waited for is then the
 * root. While the holder changes every millisecond a reply is still a picture of moments close
 * together, not of one: it may show a root that is none any more, or lose some waiters' chain.
 *
 * Cost. With nobody waiting the sessions are not looked at. Otherwise each pg_blocking_pids takes
 * all partitions of the lock table in shared mode, in which nobody can take or release a lock: for
 * 64 waiters 5 us each, 0.3 ms in all, of 6 ms for the reply. Ask when somebody looks, not ten
 * times a second.
 *
 * "ours" compares application_name and role with those of this connection: another node of this
 * phase is ours as well. pid 0 is a prepared transaction, which has no session. */
#include "locks.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/http_fault.h"
#include "common/sql_mask.h"
#include "common/utf8.h"

enum {
    QUERY_READ_MAX = 2000, /* characters of a statement's text that leave the database */
    QUERY_SHOWN_MAX = 200, /* bytes of the masked text that are shown */
    LIMIT_TEXT_SIZE = 12,
};

/* A session as JSON. application_name is what the client says of itself. */
#define SESSION                                                                                    \
    "'ours', ours IS TRUE, 'application', application_name, 'state', state, 'query', query, "      \
    "'fingerprint', query_id::text, 'wait_event_type', wait_event_type, "                          \
    "'wait_event', wait_event, 'age_ms', "

/* A wait that began this moment has no time yet: now() is the statement's start. */
#define TRANSACTION_MS "round(extract(epoch FROM clock_timestamp() - xact_start) * 1000)"
#define WAIT_MS "round(extract(epoch FROM clock_timestamp() - coalesce(since, now())) * 1000)"

/* No lock on a row or table; see above for the lock table's own. One row. $1: chains, $2: waiters
 * of each, $3: characters of a text. A parallel worker is reported as its leader. What the role may
 * not see (it lacks pg_read_all_stats) is NULL, and "<insufficient privilege>" as a text.
 *
 * A waiter's place: those whom the root itself blocks, then who has fewest before him. The time of
 * the wait alone would put the first one last: its wait began anew when it got there. */
static const char SQL_LOCKS[] =
    "SELECT reply FROM (WITH RECURSIVE "
    "waiting AS MATERIALIZED ("
    "SELECT pid, waitstart, pg_blocking_pids(pid) AS blockers FROM pg_locks WHERE NOT granted), "
    "session AS MATERIALIZED ("
    "SELECT pid, coalesce(leader_pid, pid) AS leader, application_name, state, query_id, "
    "wait_event_type, wait_event, xact_start, "
    "CASE WHEN query <> '<insufficient privilege>' THEN left(query, $3::int) END AS query, "
    "application_name = current_setting('application_name') AND usename = session_user AS ours "
    "FROM pg_stat_activity "
    "WHERE datname = current_database() AND EXISTS (SELECT FROM waiting)), "
    "blocked AS MATERIALIZED ("
    "SELECT leader AS pid, waitstart, blockers FROM waiting JOIN session USING (pid) "
    "WHERE wait_event_type = 'Lock' OR state IS NULL), "
    "edge AS MATERIALIZED ("
    "SELECT pid AS waiter, blocker, min(waitstart) AS since "
    "FROM blocked CROSS JOIN unnest(blockers) AS blocker "
    "WHERE blocker <> pid AND blocker NOT IN (SELECT pid FROM session WHERE state = 'idle' "
    "OR (wait_event_type = 'Lock' AND pid NOT IN (SELECT pid FROM blocked))) "
    "GROUP BY pid, blocker), "
    "chain AS ("
    "SELECT blocker AS root, waiter FROM edge WHERE blocker NOT IN (SELECT pid FROM blocked) "
    "UNION "
    "SELECT root, edge.waiter FROM chain JOIN edge ON edge.blocker = chain.waiter), "
    "waiter AS MATERIALIZED ("
    "SELECT waiter AS pid, min(since) AS since, array_agg(blocker ORDER BY blocker) AS blocked_by "
    "FROM edge GROUP BY waiter), "
    "longest AS MATERIALIZED ("
    "SELECT root, count(*) AS waiting FROM chain GROUP BY root ORDER BY 2 DESC, 1 LIMIT $1::int) "
    "SELECT json_build_object('waiting', (SELECT count(DISTINCT pid) FROM blocked), 'chains', "
    "coalesce((SELECT json_agg(json_build_object('waiting', waiting, "
    "'root', json_build_object('pid', root, " SESSION TRANSACTION_MS "), "
    "'waiters', ("
    "SELECT json_agg(json_build_object('pid', pid, " SESSION WAIT_MS ", 'blocked_by', blocked_by) "
    "ORDER BY place) "
    "FROM (SELECT waiter.*, row_number() OVER (ORDER BY root = ANY (blocked_by) DESC, "
    "cardinality(blocked_by), since, pid) AS place "
    "FROM chain JOIN waiter ON waiter.pid = chain.waiter WHERE chain.root = longest.root "
    "ORDER BY place LIMIT $2::int) AS listed JOIN session USING (pid)"
    ")) ORDER BY waiting DESC, root) "
    "FROM longest LEFT JOIN session ON session.pid = root), '[]')) AS reply) AS answer";

static const struct pg_statement READ_LOCKS = {"locks_read", SQL_LOCKS, 3, STAGE_STATEMENTS};

static enum status read_locks(const struct locks *locks, struct http_request *request,
                              PGresult **result)
{
    char chains[LIMIT_TEXT_SIZE], waiters[LIMIT_TEXT_SIZE], characters[LIMIT_TEXT_SIZE];
    snprintf(chains, sizeof chains, "%d", LOCKS_CHAINS_MAX);
    snprintf(waiters, sizeof waiters, "%d", LOCKS_WAITERS_MAX);
    snprintf(characters, sizeof characters, "%d", QUERY_READ_MAX);
    struct pg *pg = NULL;
    int64_t deadline_ns = clock_deadline_ns(locks->acquire_timeout_ms);
    enum status status = dbpool_acquire(locks->pool, deadline_ns, &request->stages, &pg);
    if (status == ST_OK) {
        const char *values[] = {chains, waiters, characters};
        status = pg_run(pg, &READ_LOCKS, values, result);
    }
    dbpool_release(locks->pool, pg);
    return status;
}

/* Ends the text after at most QUERY_SHOWN_MAX bytes, between two characters. */
static void cut(char *text)
{
    const size_t length = strlen(text);
    size_t used = 0;
    while (used < length) {
        size_t step = utf8_length(text + used, length - used);
        if (used + step > QUERY_SHOWN_MAX || step == 0) {
            break;
        }
        used += step;
    }
    text[used] = '\0';
}

/* Masks a session's query in place, and names it if the database did not. False: no memory. */
static bool mask_session(cJSON *session)
{
    char *query = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(session, "query"));
    if (query == NULL) {
        return true;
    }
    sql_mask(query);
    char fingerprint[SQL_FINGERPRINT_SIZE];
    sql_mask_fingerprint(query, fingerprint);
    cut(query);
    if (!cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(session, "fingerprint"))) {
        return true;
    }
    cJSON *name = cJSON_CreateString(fingerprint);
    if (!cJSON_ReplaceItemInObjectCaseSensitive(session, "fingerprint", name)) {
        cJSON_Delete(name);
        return false;
    }
    return true;
}

static bool mask_chains(cJSON *reply)
{
    bool good = cJSON_IsObject(reply);
    const cJSON *chain, *chains = cJSON_GetObjectItemCaseSensitive(reply, "chains");
    cJSON_ArrayForEach(chain, chains)
    {
        good = good && mask_session(cJSON_GetObjectItemCaseSensitive(chain, "root"));
        cJSON *waiter;
        cJSON_ArrayForEach(waiter, cJSON_GetObjectItemCaseSensitive(chain, "waiters"))
        {
            good = good && mask_session(waiter);
        }
    }
    return good;
}

/* The reply's text; the caller frees it. NULL: no memory. */
static char *mask(const char *json)
{
    cJSON *reply = cJSON_Parse(json);
    char *text = mask_chains(reply) ? cJSON_PrintUnformatted(reply) : NULL;
    cJSON_Delete(reply);
    return text;
}

void locks_get(struct http_request *request, void *context)
{
    PGresult *result = NULL;
    enum status status = read_locks(context, request, &result);
    char *text = status == ST_OK ? mask(PQgetvalue(result, 0, 0)) : NULL;
    if (text != NULL) {
        http_reply(request, 200, text);
    } else {
        http_fault(request, status == ST_OK ? ST_SYSTEM : status);
    }
    free(text);
    PQclear(result);
}
