/* What can be said of the database alone is asked of it, a statement for each check; what rests on
 * the journal is decided here, row by row as they stream past.
 *
 * All of it happens in one transaction that sees one moment. While orders are pending, or promises
 * without a row (an accepted order may be in a queue, and not in the database yet), the transaction
 * is ended and a new one looks again, until the time to settle is over. */
#include "harness/audit/snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/xalloc.h"

/* Every statement: no lock; $1 is the array of judged sales, NULL for all. */
#define JUDGED "($1::bigint[] IS NULL OR sale_id = ANY ($1::bigint[]))"
#define NO_REASON_OF_ITS_OWN                                                                       \
    "coalesce(reason, '') NOT IN ('limit_exceeded', 'sale_not_open', 'sale_ended')"

/* One row for each sale that has stock or orders. */
static const char SQL_SALES[] =
    "SELECT sale_id, s.stock_total, s.stock_left, coalesce(o.orders, 0), coalesce(o.confirmed, 0),"
    " coalesce(o.units, 0), coalesce(o.larger_units, 0), coalesce(o.unsettled, 0),"
    " coalesce(o.refused_ones, 0) "
    "FROM (SELECT sale_id, stock_total, stock_left FROM audit_sales WHERE " JUDGED ") s "
    "FULL JOIN (SELECT sale_id, count(*) AS orders,"
    " count(*) FILTER (WHERE status = 'confirmed') AS confirmed,"
    " sum(quantity) FILTER (WHERE status = 'confirmed') AS units,"
    " sum(quantity) FILTER (WHERE status = 'confirmed' AND quantity > 1) AS larger_units,"
    " count(*) FILTER (WHERE coalesce(status, '') NOT IN ('confirmed', 'rejected', 'failed'))"
    " AS unsettled,"
    " count(*) FILTER (WHERE status = 'rejected' AND quantity = 1 AND " NO_REASON_OF_ITS_OWN ")"
    " AS refused_ones"
    " FROM audit_orders WHERE " JUDGED " GROUP BY sale_id) o USING (sale_id) ORDER BY sale_id";

/* Rejected as sold out, though that much is left. Nothing returns stock, so what is left now is the
 * least there ever was. */
static const char SQL_STRANDED[] =
    "SELECT sale_id, order_id::text, user_id, quantity, stock_left, count(*) OVER () "
    "FROM audit_orders JOIN audit_sales USING (sale_id) "
    "WHERE status = 'rejected' AND reason = 'sold_out' AND quantity <= stock_left AND " JUDGED
    " ORDER BY stock_left - quantity DESC, 2 LIMIT 5";

static const char SQL_OVER_LIMIT[] =
    "SELECT sale_id, user_id, units, per_user_limit, count(*) OVER () "
    "FROM (SELECT sale_id, user_id, sum(quantity) AS units FROM audit_orders"
    " WHERE status = 'confirmed' AND " JUDGED " GROUP BY sale_id, user_id) o "
    "JOIN audit_sales USING (sale_id) "
    "WHERE units > per_user_limit ORDER BY units - per_user_limit DESC, 1, 2 LIMIT 5";

static const char SQL_KEY_TWICE[] =
    "SELECT user_id, idempotency_key, count(DISTINCT order_id), count(*) OVER () "
    "FROM audit_orders WHERE idempotency_key IS NOT NULL AND " JUDGED
    " GROUP BY user_id, idempotency_key HAVING count(DISTINCT order_id) > 1"
    " ORDER BY 3 DESC, 1, 2 LIMIT 5";

static const char SQL_ROWS[] =
    "SELECT order_id::text, sale_id, user_id, quantity, status, reason, idempotency_key "
    "FROM audit_orders WHERE " JUDGED;

enum { NAP_MIN_MS = 100, NUMBER_SIZE = 24 };

static int64_t number(const PGresult *result, int row, int column)
{
    return strtoll(PQgetvalue(result, row, column), NULL, 10);
}

/* NULL for SQL's NULL. */
static const char *text(const PGresult *result, int row, int column)
{
    return PQgetisnull(result, row, column) ? NULL : PQgetvalue(result, row, column);
}

/* The judged sales as an array literal; NULL for all. The caller frees it. */
static char *sales_parameter(const struct options *options)
{
    if (options->sale_count == 0) {
        return NULL;
    }
    size_t size = options->sale_count * NUMBER_SIZE + 3, used = 1;
    char *literal = xcalloc(size, 1);
    literal[0] = '{';
    for (size_t i = 0; i < options->sale_count; i++) {
        int length = snprintf(literal + used, size - used, "%s%lld", i > 0 ? "," : "",
                              (long long)options->sales[i]);
        used += (size_t)length;
    }
    literal[used] = '}';
    return literal;
}

static void read_sale(const PGresult *result, int row, struct sale *sale)
{
    sale->sale_id = number(result, row, 0);
    sale->known = text(result, row, 1) && text(result, row, 2);
    sale->stock_total = number(result, row, 1);
    sale->stock_left = number(result, row, 2);
    sale->orders = number(result, row, 3);
    sale->confirmed = number(result, row, 4);
    sale->units = number(result, row, 5);
    sale->larger_units = number(result, row, 6);
    sale->unsettled = number(result, row, 7);
    sale->refused_ones = number(result, row, 8);
}

static void read_sales(const PGresult *result, struct snapshot *out)
{
    out->sale_count = (size_t)PQntuples(result);
    out->sales = xcalloc(out->sale_count, sizeof *out->sales);
    for (size_t i = 0; i < out->sale_count; i++) {
        struct sale *sale = &out->sales[i];
        read_sale(result, (int)i, sale);
        out->orders += sale->orders;
        out->confirmed += sale->confirmed;
        out->unsettled += sale->unsettled;
    }
}

struct row_context {
    struct journal *journal;
    struct snapshot *out;
    bool idempotent;
};

static void match_promise(struct promise *promise, const PGresult *row, bool idempotent)
{
    const char *key = text(row, 0, 6);
    promise->rows++;
    promise->state = text(row, 0, 4) ? journal_state(text(row, 0, 4)) : STATE_OTHER;
    promise->reason = journal_reason(text(row, 0, 5));
    promise->differs = number(row, 0, 1) != promise->ask.sale_id ||
                       number(row, 0, 2) != promise->ask.user_id ||
                       number(row, 0, 3) != promise->ask.quantity;
    promise->key_differs = idempotent && promise->ask.key != (key ? table_hash_text(key) : 0);
}

static void see_row(const PGresult *row, void *context)
{
    struct row_context *to = context;
    struct table_key sale = {0, (uint64_t)number(row, 0, 1)};
    struct table_key user = {0, (uint64_t)number(row, 0, 2)};
    if (table_find(to->journal->sales, sale) && table_find(to->journal->users, user)) {
        to->out->rows++;
    }
    if (to->idempotent && !text(row, 0, 6)) {
        to->out->keyless++;
    }
    struct promise *promise = journal_find(to->journal, PQgetvalue(row, 0, 0));
    if (promise) {
        match_promise(promise, row, to->idempotent);
    }
}

static void count_missing(const struct journal *journal, struct snapshot *out)
{
    for (size_t i = 0; i < journal->promise_count; i++) {
        out->missing += journal->promises[i].rows == 0;
    }
}

/* The transaction's body: no begin, no end. */
static enum status read_all(struct database *database, const struct options *options,
                            const char *sales, struct journal *journal, struct snapshot *out)
{
    PGresult *result = NULL;
    enum status status = database_query(database, SQL_SALES, sales, &result);
    if (status == ST_OK) {
        read_sales(result, out);
        PQclear(result);
        status = database_query(database, SQL_STRANDED, sales, &out->stranded);
    }
    if (status == ST_OK) {
        status = database_query(database, SQL_OVER_LIMIT, sales, &out->over_limit);
    }
    if (status == ST_OK && options->idempotent) {
        status = database_query(database, SQL_KEY_TWICE, sales, &out->key_twice);
    }
    if (status == ST_OK) {
        struct row_context context = {journal, out, options->idempotent};
        status = database_stream(database, SQL_ROWS, sales, see_row, &context);
    }
    count_missing(journal, out);
    return status;
}

static enum status read_once(struct database *database, const struct options *options,
                             const char *sales, struct journal *journal, struct snapshot *out)
{
    *out = (struct snapshot){0};
    journal_forget_rows(journal);
    enum status status = database_begin(database);
    if (status == ST_OK) {
        status = read_all(database, options, sales, journal, out);
    }
    if (status == ST_OK) {
        status = database_end(database);
    }
    if (status != ST_OK) {
        snprintf(out->error, sizeof out->error, "%s", database_error(database));
    }
    return status;
}

/* As long as the last look took, so that looking costs at most half of one backend. */
static void nap(int64_t looked_ns, int64_t deadline_ns)
{
    int64_t until_ns = clock_now_ns() + looked_ns;
    int64_t least_ns = clock_deadline_ns(NAP_MIN_MS);
    until_ns = until_ns < least_ns ? least_ns : until_ns;
    struct timespec until = clock_to_timespec(until_ns < deadline_ns ? until_ns : deadline_ns);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0) {
    }
}

static void read_until_settled(struct database *database, const struct options *options,
                               const char *sales, struct journal *journal, struct snapshot *out)
{
    int64_t began_ns = clock_now_ns();
    int64_t deadline_ns = clock_deadline_ns(options->settle_ms);
    for (;;) {
        int64_t look_ns = clock_now_ns();
        enum status status = read_once(database, options, sales, journal, out);
        out->settled_ms = (look_ns - began_ns) / CLOCK_NS_PER_MS;
        bool settled = out->unsettled == 0 && out->missing == 0;
        if (status != ST_OK || settled || clock_now_ns() >= deadline_ns) {
            return;
        }
        snapshot_free(out);
        nap(clock_now_ns() - look_ns, deadline_ns);
    }
}

void snapshot_take(const struct options *options, struct journal *journal, struct snapshot *out)
{
    *out = (struct snapshot){0};
    struct database *database = NULL;
    if (database_open(options->database, &database, out->error) != ST_OK) {
        return;
    }
    char *sales = sales_parameter(options);
    read_until_settled(database, options, sales, journal, out);
    free(sales);
    database_close(database);
}

void snapshot_free(struct snapshot *snapshot)
{
    free(snapshot->sales);
    PQclear(snapshot->stranded);
    PQclear(snapshot->over_limit);
    PQclear(snapshot->key_twice);
    *snapshot = (struct snapshot){0};
}
