/* store: the target's database, for what only it can set up or prove.
 *
 * Sales come and go by the table `sales`, whose columns every phase has; what was sold is read
 * through the audit views, which judge any schema. Two sessions: one asks, one holds a lock. */
#include "harness/contract/store.h"

#include <check.h>
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "harness/contract/contract.h"
#include "harness/contract/judge.h"

enum { EXIT_UNKNOWN = 2, SALE_TEXT_SIZE = 24, SQL_SIZE = 1024, POLL_MS = 5 };

/* Ids 1000 to 1014: contract.h says which is which. */
static const char SQL_FORGET_ORDERS[] = "DELETE FROM orders WHERE sale_id BETWEEN 1000 AND 1099";
static const char SQL_FORGET_SALES[] = "DELETE FROM sales WHERE id BETWEEN 1000 AND 1099";
static const char SQL_INSERT_SALES[] =
    "INSERT INTO sales "
    "(id, name, price_cents, stock_total, stock_left, per_user_limit, starts_at, ends_at) VALUES "
    "(1000, 'bad input', 100, 1000000, 1000000, 2, now() - interval '1 day', now() + interval '1 "
    "day'), "
    "(1001, E'O''Brien \"caf\\u00e9\" \\\\ <b>', 123456789012, 1000, 1000, 1000, "
    "'2026-01-01 02:03:04+02', '2099-12-31 23:59:59-05'), "
    "(1002, 'not open', 100, 10, 10, 2, now() + interval '1 day', now() + interval '2 days'), "
    "(1003, 'ended', 100, 10, 10, 2, now() - interval '2 days', now() - interval '1 day'), "
    "(1004, 'last units', 100, 3, 3, 3, now() - interval '1 day', now() + interval '1 day'), "
    "(1005, 'locked', 100, 10, 10, 2, now() - interval '1 day', now() + interval '1 day'), "
    "(1006, 'limited', 100, 10, 10, 2, now() - interval '1 day', now() + interval '1 day'), "
    "(1007, 'emptied', 100, 10, 10, 2, now() - interval '1 day', now() + interval '1 day'), "
    "(1008, 'crowded', 100, 100, 100, 2, now() - interval '1 day', now() + interval '1 day'), "
    "(1009, 'queued', 100, 100, 100, 2, now() - interval '1 day', now() + interval '1 day'), "
    "(1010, 'line', 100, 1000000, 1000000, 9, now() - interval '1 day', now() + interval '1 "
    "day'), "
    "(1011, 'window', 100, 100, 100, 9, now() - interval '1 day', now() + interval '1 day'), "
    "(1012, 'refused', 100, 100, 100, 9, now() - interval '1 day', now() + interval '1 day'), "
    "(1013, 'gone', 100, 100, 100, 9, now() - interval '1 day', now() + interval '1 day'), "
    "(1014, 'mark', 100, 1000000, (random() * 1000000)::int, 9, now() - interval '1 day', "
    "now() + interval '1 day')";

static const char SQL_STOCK[] = "SELECT stock_left FROM audit_sales WHERE sale_id = $1";
static const char SQL_ORDERS[] = "SELECT count(*) FROM audit_orders WHERE sale_id = $1";
static const char SQL_COUNT[] = "SELECT count(*) FROM audit_orders WHERE sale_id = $1 "
                                "AND status = $2 AND coalesce(reason, '') = $3";
static const char SQL_ORDERS_OF[] = "SELECT count(*) FROM audit_orders WHERE user_id = $1";
static const char SQL_KEYS[] =
    "SELECT count(*) FROM audit_orders WHERE idempotency_key = $1 AND order_id = $2";
/* The mark's stock is no stock. */
static const char SQL_UNBALANCED[] =
    "SELECT count(*) FROM audit_sales s WHERE sale_id <> 1014 AND stock_total <> stock_left + "
    "(SELECT coalesce(sum(quantity), 0) FROM audit_orders o "
    "WHERE o.sale_id = s.sale_id AND status = 'confirmed')";

/* Takes the row's lock until the transaction ends. */
static const char SQL_LOCK[] = "SELECT 1 AS \"\x1b[31m\r\n\" FROM sales "
                               "WHERE id = %ld AND name <> '" CANARY "' FOR UPDATE";

static const char SQL_SET_STOCK[] =
    "UPDATE sales SET stock_left = $2 WHERE id = $1 RETURNING stock_left";
static const char SQL_WAITERS[] = "SELECT count(*) FROM pg_stat_activity WHERE datname = "
                                  "current_database() AND wait_event_type = 'Lock'";

/* The function is one statement for the server, so PQexec may send it. */
static const char SQL_REFUSE[] =
    "CREATE OR REPLACE FUNCTION contract_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    "IF NEW.sale_id = 1012 AND NEW.user_id = %lld AND (%s OR NEW.status <> 'failed') THEN "
    "RAISE EXCEPTION 'refused' USING ERRCODE = '%s'; END IF; RETURN NEW; END $$; "
    "CREATE OR REPLACE TRIGGER contract_refuse BEFORE INSERT ON orders FOR EACH ROW "
    "EXECUTE FUNCTION contract_refuse()";
static const char SQL_HEED[] = "DROP TRIGGER IF EXISTS contract_refuse ON orders; "
                               "DROP FUNCTION IF EXISTS contract_refuse()";

static PGconn *asking;
static PGconn *holding;
static bool is_refusing;

static void end_with(const char *what)
{
    fprintf(stderr, "contract: %s: %s", what, PQerrorMessage(asking));
    exit(EXIT_UNKNOWN);
}

static bool run(PGconn *session, const char *sql)
{
    PGresult *result = PQexec(session, sql);
    ExecStatusType status = PQresultStatus(result);
    PQclear(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

static bool has_orders_table(void)
{
    PGresult *result = PQexec(asking, "SELECT to_regclass('orders') IS NOT NULL");
    bool has = PQresultStatus(result) == PGRES_TUPLES_OK && PQgetvalue(result, 0, 0)[0] == 't';
    PQclear(result);
    return has;
}

void store_open(const char *uri)
{
    if (uri == NULL) {
        return;
    }
    asking = PQconnectdb(uri);
    holding = PQconnectdb(uri);
    if (PQstatus(asking) != CONNECTION_OK || PQstatus(holding) != CONNECTION_OK) {
        end_with("--database cannot be reached");
    }
    if (!run(holding, "SET application_name = '" STORE_HOLDER_NAME "'")) {
        end_with("a session cannot be named");
    }
    if (has_orders_table() && !run(asking, SQL_FORGET_ORDERS)) {
        end_with("an earlier run's orders cannot be deleted");
    }
    if (!run(asking, SQL_FORGET_SALES) || !run(asking, SQL_INSERT_SALES)) {
        end_with("the suite's sales cannot be inserted");
    }
}

void store_close(void)
{
    PQfinish(asking);
    PQfinish(holding);
    asking = NULL;
    holding = NULL;
}

static PGresult *ask(PGconn *session, const char *sql, long sale)
{
    char text[SALE_TEXT_SIZE];
    snprintf(text, sizeof(text), "%ld", sale);
    const char *const values[] = {text};
    PGresult *result = PQexecParams(session, sql, 1, NULL, values, NULL, NULL, 0);
    ck_assert_msg(PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1, "%s: %s",
                  sql, PQerrorMessage(session));
    return result;
}

static long long ask_number(const char *sql, long sale)
{
    PGresult *result = ask(asking, sql, sale);
    long long number = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return number;
}

long long store_stock(long sale)
{
    return ask_number(SQL_STOCK, sale);
}

long long store_orders(long sale)
{
    return ask_number(SQL_ORDERS, sale);
}

static long long count_with(const char *sql, int count, const char *const values[])
{
    PGresult *result = PQexecParams(asking, sql, count, NULL, values, NULL, NULL, 0);
    ck_assert_msg(PQntuples(result) == 1, "%s", PQerrorMessage(asking));
    long long number = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return number;
}

long long store_count(long sale, const char *status, const char *reason)
{
    char text[SALE_TEXT_SIZE];
    snprintf(text, sizeof(text), "%ld", sale);
    return count_with(SQL_COUNT, 3, (const char *const[]){text, status, reason});
}

long long store_orders_of(long long user)
{
    char text[SALE_TEXT_SIZE];
    snprintf(text, sizeof(text), "%lld", user);
    return count_with(SQL_ORDERS_OF, 1, (const char *const[]){text});
}

long long store_keys(const char *key, const char *id)
{
    return count_with(SQL_KEYS, 2, (const char *const[]){key, id});
}

long long store_await_orders(long sale, long long count)
{
    int64_t deadline_ns = clock_deadline_ns(CONTRACT_PATIENCE_MS);
    long long now = store_orders(sale);
    while (now < count && clock_now_ns() < deadline_ns) {
        clock_sleep_until(clock_deadline_ns(POLL_MS));
        now = store_orders(sale);
    }
    return now;
}

int store_unbalanced_sales(void)
{
    PGresult *result = PQexec(asking, SQL_UNBALANCED);
    ck_assert_msg(PQresultStatus(result) == PGRES_TUPLES_OK, "%s", PQerrorMessage(asking));
    int count = atoi(PQgetvalue(result, 0, 0));
    PQclear(result);
    return count;
}

void store_lock(long sale)
{
    char sql[SQL_SIZE];
    snprintf(sql, sizeof(sql), SQL_LOCK, sale);
    ck_assert(run(holding, "BEGIN"));
    ck_assert_msg(run(holding, sql), "%s", PQerrorMessage(holding));
}

int store_holder(void)
{
    return PQbackendPID(holding);
}

void store_set_stock(long sale, int stock)
{
    char sale_text[SALE_TEXT_SIZE], stock_text[SALE_TEXT_SIZE];
    snprintf(sale_text, sizeof(sale_text), "%ld", sale);
    snprintf(stock_text, sizeof(stock_text), "%d", stock);
    const char *const values[] = {sale_text, stock_text};
    PGresult *result = PQexecParams(holding, SQL_SET_STOCK, 2, NULL, values, NULL, NULL, 0);
    ck_assert_msg(PQntuples(result) == 1, "%s", PQerrorMessage(holding));
    PQclear(result);
}

int store_waiters(void)
{
    PGresult *result = PQexec(asking, SQL_WAITERS);
    ck_assert_msg(PQresultStatus(result) == PGRES_TUPLES_OK, "%s", PQerrorMessage(asking));
    int count = atoi(PQgetvalue(result, 0, 0));
    PQclear(result);
    return count;
}

bool store_await_waiters(int count, int ms)
{
    int64_t deadline_ns = clock_deadline_ns(ms);
    while (store_waiters() < count) {
        if (clock_now_ns() >= deadline_ns) {
            return false;
        }
        clock_sleep_until(clock_deadline_ns(POLL_MS));
    }
    return true;
}

void store_commit(void)
{
    ck_assert(run(holding, "COMMIT"));
}

void store_unlock(void)
{
    ck_assert(run(holding, "ROLLBACK"));
}

void store_run(const char *sql)
{
    ck_assert_msg(run(asking, sql), "%s: %s", sql, PQerrorMessage(asking));
}

void store_run_held(const char *sql)
{
    ck_assert_msg(run(holding, sql), "%s: %s", sql, PQerrorMessage(holding));
}

void store_refuse(long long user, const char *sqlstate, bool is_failed_too)
{
    char sql[SQL_SIZE];
    snprintf(sql, sizeof(sql), SQL_REFUSE, user, is_failed_too ? "true" : "false", sqlstate);
    store_run(sql);
    is_refusing = true;
}

void store_heed(void)
{
    is_refusing = false;
    store_run(SQL_HEED);
}

void store_rollback(void)
{
    if (is_refusing) {
        is_refusing = false;
        run(asking, SQL_HEED);
    }
    if (holding != NULL && PQtransactionStatus(holding) != PQTRANS_IDLE) {
        run(holding, "ROLLBACK");
    }
}
