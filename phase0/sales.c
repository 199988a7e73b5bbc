/* GET /sales/{id}: one read, one connection of the pool for as long as it takes.
 *
 * The row becomes JSON in the database (one column, text), so that times and quoting are
 * PostgreSQL's business and a reply is one copy. Reading takes no lock: it never waits for orders,
 * only for a connection - which is what phase 1 shows to be the same thing. */
#include "sales.h"

#include "common/clock.h"
#include "common/http_fault.h"

#define RFC3339 "'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'"

/* No lock. One row, or none. The columns stand in the order of the reply. */
static const char SQL_SALE[] =
    "SELECT row_to_json(sale) FROM (SELECT id, name, price_cents, stock_total, stock_left, "
    "per_user_limit, to_char(starts_at AT TIME ZONE 'UTC', " RFC3339 ") AS starts_at, "
    "to_char(ends_at AT TIME ZONE 'UTC', " RFC3339 ") AS ends_at FROM sales WHERE id = $1) sale";

static const struct pg_statement READ_SALE = {"sales_read", SQL_SALE, 1, STAGE_STATEMENTS};

/* No lock, no row. */
static const char SQL_PROBE[] = "SELECT id, name, price_cents, stock_total, stock_left, "
                                "per_user_limit, starts_at, ends_at FROM sales LIMIT 0";

const struct pg_statement sales_probe = {"sales_probe", SQL_PROBE, 0, STAGE_STATEMENTS};

static enum status read_sale(const struct sales *sales, struct http_request *request,
                             PGresult **result)
{
    struct pg *pg = NULL;
    int64_t deadline_ns = clock_deadline_ns(sales->acquire_timeout_ms);
    enum status status = dbpool_acquire(sales->pool, deadline_ns, &request->stages, &pg);
    if (status == ST_OK) {
        const char *values[] = {request->param};
        status = pg_run(pg, &READ_SALE, values, result);
    }
    dbpool_release(sales->pool, pg);
    return status;
}

void sales_get(struct http_request *request, void *context)
{
    int64_t id;
    if (http_param_int(request, 1, HTTP_INT_MAX, &id) != ST_OK) {
        http_problem(request, 400, "invalid_sale_id", "A sale's id is a positive whole number.");
        return;
    }
    PGresult *result = NULL;
    enum status status = read_sale(context, request, &result);
    if (status != ST_OK) {
        http_fault(request, status);
    } else if (PQntuples(result) == 0) {
        http_problem(request, 404, "sale_not_found", "There is no such sale.");
    } else {
        http_reply(request, 200, PQgetvalue(result, 0, 0));
    }
    PQclear(result);
}
