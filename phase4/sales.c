/* GET /sales/{id}: one search in the list of sales that sales_cache.c keeps, and no connection.
 *
 * The row becomes JSON in the database (one column, text), so that times and quoting are
 * PostgreSQL's business and a reply is one copy. Reading takes no lock: it never waits for orders,
 * nor, any more, for a connection. */
#include "sales_cache.h"

#define RFC3339 "'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'"

/* No lock. A row for each sale, up to $1. The columns stand in the order of the reply. */
static const char SQL_SALES[] =
    "SELECT id, row_to_json(sale) FROM (SELECT id, name, price_cents, stock_total, stock_left, "
    "per_user_limit, to_char(starts_at AT TIME ZONE 'UTC', " RFC3339 ") AS starts_at, "
    "to_char(ends_at AT TIME ZONE 'UTC', " RFC3339 ") AS ends_at FROM sales) sale "
    "ORDER BY id LIMIT $1";

const struct pg_statement sales_read = {"sales_read", SQL_SALES, 1, STAGE_STATEMENTS};

void sales_get(struct http_request *request, void *context)
{
    int64_t id;
    if (http_param_int(request, 1, HTTP_INT_MAX, &id) != ST_OK) {
        http_problem(request, 400, "invalid_sale_id", "A sale's id is a positive whole number.");
        return;
    }
    struct sales_list *list = sales_hold(context);
    const char *json = sales_find(list, id);
    if (!json) {
        http_problem(request, 404, "sale_not_found", "There is no such sale.");
    } else {
        http_reply(request, 200, json);
    }
    sales_let_go(context, list);
}
