/* test_order_batch: orders are decided together, and one by one where one of them is bad or they
 * have come back too often; on phase 6's own schema. */
#include "phase6/idempotency.h"
#include "phase6/order_batch.h"
#include "phase6/order_rows.h"

#define SCHEMA "phase6/schema.sql"
#define INVENTORY inventory_batched

static int keys; /* made so far */

static void name_order(struct order *order)
{
    snprintf(order->key, sizeof order->key, "key %d", ++keys);
    idempotency_identify(order);
}

#include "harness/tests/inventory_fixture.h"

#define INSERT_OF_SALE_2                                                                           \
    "INSERT INTO orders (id, sale_id, user_id, quantity, status, reason, idempotency_key) "        \
    "VALUES ('%s', 2, %d, 1, 'failed', 'refused', 'other')"

enum { COUNT = 5, BAD = 2, LOCK_MS = 200, NEVER_STUCK_MS = 60000, ALONE_TRIES = 2 };

static struct order orders[COUNT];
static enum order_outcome outcomes[COUNT];

/* What the one worker is to do, once, and what came of it. */
static struct job {
    const struct inventory *inventory;
    int tries;
    int done;
    enum status why;
    bool is_taken;
} job;

static enum status take(void *piece, void *context)
{
    (void)piece;
    (void)context;
    enum status status = job.is_taken ? ST_CLOSED : ST_OK;
    job.is_taken = true;
    return status;
}

static enum status work(struct worker *worker, void *piece, void *context)
{
    (void)piece;
    (void)context;
    job.done =
        order_batch_decide(job.inventory, worker, pg, orders, outcomes, COUNT, job.tries, &job.why);
    return ST_OK;
}

static void finish(const void *piece, void *context)
{
    (void)piece;
    (void)context;
}

/* Orders of one unit of sale 1, decided by a worker. Returns how many are done. */
static int decide(const struct inventory *inventory, int tries)
{
    job = (struct job){.inventory = inventory, .tries = tries};
    struct workers *workers = workers_start(
        1, NEVER_STUCK_MS,
        &(struct workers_duties){.piece_size = 1, .take = take, .work = work, .finish = finish});
    ck_assert_int_eq(workers_stop(workers, CLOCK_NEVER), 0);
    workers_free(workers);
    return job.done;
}

static void make_orders(void)
{
    memset(outcomes, 0, sizeof outcomes);
    for (int i = 0; i < COUNT; i++) {
        orders[i] = an_order(OPEN, 7 + i, 1, NOW_US);
    }
}

static long transactions(void)
{
    return fixture_number("SELECT count(DISTINCT xmin::text) FROM orders");
}

START_TEST(test_orders_are_decided_together)
{
    make_orders();
    ck_assert_int_eq(decide(&inventory_batched, 0), COUNT);
    ck_assert_int_eq(transactions(), 1);
    ck_assert_int_eq(stock_left(OPEN), STOCK - COUNT);
    assert_balanced();
}
END_TEST

/* Its key has a row of another id: it cannot be written, not even as failed. */
START_TEST(test_bad_order_costs_the_others_nothing)
{
    make_orders();
    char sql[SQL_SIZE];
    snprintf(sql, sizeof sql,
             "INSERT INTO orders (id, sale_id, user_id, quantity, status, reason, "
             "idempotency_key) VALUES (gen_random_uuid(), 1, %" PRId64 ", 1, 'failed', 'refused', "
             "'%s')",
             orders[BAD].user_id, orders[BAD].key);
    fixture_sql(sql);
    ck_assert_int_eq(decide(&inventory_batched, 0), COUNT);
    for (int i = 0; i < COUNT; i++) {
        enum order_outcome wanted = i == BAD ? ORDER_FAILED : ORDER_CONFIRMED;
        bool is_right = outcomes[i] == wanted || (i == BAD && outcomes[i] != ORDER_CONFIRMED &&
                                                  outcomes[i] != ORDER_PENDING);
        ck_assert_msg(is_right, "order %d: %s", i, order_status(outcomes[i]));
    }
    ck_assert_int_eq(stock_left(OPEN), STOCK - COUNT + 1);
    assert_balanced();
}
END_TEST

START_TEST(test_nothing_is_done_while_the_row_is_held)
{
    make_orders();
    options.lock_timeout_ms = LOCK_MS;
    struct pg *patient = pg;
    pg = fixture_connect(&options);
    PGconn *holder = hold_sale();
    ck_assert_int_eq(decide(&inventory_batched, 0), 0);
    ck_assert_int_eq(job.why, ST_TIMEOUT);
    int64_t began_ns = clock_now_ns();
    ck_assert_int_eq(decide(&inventory_batched, ALONE_TRIES), 0);
    ck_assert_int_lt(clock_now_ns() - began_ns, 4 * LOCK_MS * CLOCK_NS_PER_MS); /* two waited */
    ck_assert_int_eq(decide(&inventory_pessimistic, 0), 0);
    PQfinish(holder);
    ck_assert_int_eq(rows(), 0);
    ck_assert_int_eq(decide(&inventory_batched, 1), COUNT);
    ck_assert_int_eq(stock_left(OPEN), STOCK - COUNT);
    pg_close(pg);
    pg = patient;
}
END_TEST

/* Each of them would be written within the time-out, all together are not. */
START_TEST(test_batch_that_is_too_big_is_decided_one_by_one)
{
    make_orders();
    fixture_sql("CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM "
                "pg_sleep(0.2); RETURN NEW; END'; CREATE TRIGGER slow BEFORE INSERT ON orders FOR "
                "EACH ROW EXECUTE FUNCTION slow()");
    options.statement_timeout_ms = 600;
    struct pg *patient = pg;
    pg = fixture_connect(&options);
    ck_assert_int_eq(decide(&inventory_batched, 0), 0);
    ck_assert_int_eq(decide(&inventory_batched, ALONE_TRIES), COUNT);
    ck_assert_int_eq(stock_left(OPEN), STOCK - COUNT);
    fixture_sql("DROP TRIGGER slow ON orders; DROP FUNCTION slow()");
    pg_close(pg);
    pg = patient;
}
END_TEST

START_TEST(test_batch_that_comes_back_is_decided_one_by_one)
{
    make_orders();
    ck_assert_int_eq(decide(&inventory_batched, ALONE_TRIES), COUNT);
    ck_assert_int_eq(transactions(), COUNT);
    ck_assert_int_eq(stock_left(OPEN), STOCK - COUNT);
}
END_TEST

/* All but the bad one. */
static void assert_others_confirmed(enum order_outcome bad)
{
    for (int i = 0; i < COUNT; i++) {
        ck_assert_int_eq(orders[i].user_id, 7 + i);
        ck_assert_msg(outcomes[i] == (i == BAD ? bad : ORDER_CONFIRMED), "order %d: %s", i,
                      order_status(outcomes[i]));
    }
    ck_assert_int_eq(stock_left(OPEN), STOCK - COUNT + 1);
}

/* Another session has its row, and has not said whether it keeps it. */
START_TEST(test_blocked_order_does_not_keep_the_others)
{
    make_orders();
    options.lock_timeout_ms = 50;
    struct pg *patient = pg;
    pg = fixture_connect(&options);
    char sql[SQL_SIZE];
    snprintf(sql, sizeof sql, INSERT_OF_SALE_2, orders[BAD].id, 1);
    PGconn *holder = fixture_open();
    PQclear(PQexec(holder, "BEGIN"));
    PQclear(PQexec(holder, sql));
    ck_assert_int_eq(decide(&inventory_batched, 0), 0);
    ck_assert_int_eq(decide(&inventory_batched, ALONE_TRIES), COUNT - 1);
    ck_assert_int_eq(job.why, ST_TIMEOUT);
    assert_others_confirmed(ORDER_PENDING);
    PQfinish(holder);
    pg_close(pg);
    pg = patient;
}
END_TEST

/* One of them is of another sale by its row, which was found before another held all of them up. */
START_TEST(test_order_that_comes_back_stands_in_its_own_sale)
{
    make_orders();
    orders[BAD].quantity = 2;
    char sql[SQL_SIZE];
    snprintf(sql, sizeof sql, INSERT_OF_SALE_2, orders[BAD].id, 7 + BAD);
    fixture_sql(sql);
    options.lock_timeout_ms = 50;
    struct pg *patient = pg;
    pg = fixture_connect(&options);
    snprintf(sql, sizeof sql, INSERT_OF_SALE_2, orders[BAD + 1].id, 2);
    PGconn *holder = fixture_open();
    PQclear(PQexec(holder, "BEGIN"));
    PQclear(PQexec(holder, sql));
    ck_assert_int_eq(decide(&inventory_batched, 0), 0);
    ck_assert_int_eq(job.why, ST_TIMEOUT);
    for (int i = 0; i < COUNT; i++) {
        ck_assert_int_eq(outcomes[i], ORDER_PENDING);
        ck_assert_int_eq(orders[i].sale_id, OPEN);
        ck_assert_int_eq(orders[i].quantity, i == BAD ? 2 : 1);
    }
    PQfinish(holder);
    ck_assert_int_eq(decide(&inventory_batched, 1), COUNT);
    ck_assert_int_eq(orders[BAD].sale_id, 2);
    assert_others_confirmed(ORDER_FAILED);
    pg_close(pg);
    pg = patient;
}
END_TEST

/* A sequence counts, which no rollback undoes. */
static void refuse_user_9(const char *condition)
{
    char sql[SQL_SIZE];
    snprintf(sql, sizeof sql,
             "CREATE SEQUENCE refusals; CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql "
             "AS 'BEGIN IF NEW.user_id = 9 THEN PERFORM nextval(''refusals''); RAISE %s; END IF; "
             "RETURN NEW; END'; CREATE TRIGGER refuse BEFORE INSERT ON orders FOR EACH ROW EXECUTE "
             "FUNCTION refuse()",
             condition);
    fixture_sql(sql);
}

static long refusals(void)
{
    return fixture_number("SELECT last_value FROM refusals");
}

static void accept_user_9(void)
{
    fixture_sql("DROP TRIGGER refuse ON orders; DROP FUNCTION refuse(); DROP SEQUENCE refusals");
}

START_TEST(test_order_that_always_loses_does_not_keep_the_others)
{
    static const char *const conditions[] = {"serialization_failure", "undefined_table"};
    for (int i = 0; i < 2; i++) {
        make_orders();
        fixture_sql("DELETE FROM orders; UPDATE sales SET stock_left = stock_total");
        refuse_user_9(conditions[i]);
        ck_assert_int_eq(decide(&inventory_batched, 0), 0);
        ck_assert_int_eq(decide(&inventory_batched, ALONE_TRIES), COUNT - 1);
        assert_others_confirmed(ORDER_PENDING);
        accept_user_9();
    }
}
END_TEST

/* Neither its row nor the one that says it failed, for a reason of the database's own. */
START_TEST(test_order_that_leaves_no_trace_goes_back)
{
    make_orders();
    refuse_user_9("internal_error");
    ck_assert_int_eq(decide(&inventory_batched, 0), COUNT - 1);
    ck_assert_int_eq(job.why, ST_DB);
    assert_others_confirmed(ORDER_PENDING);
    ck_assert_int_eq(refusals(), 1 + 2 * 3); /* of the batch, of its row, of its failure's */
    ck_assert_int_eq(decide(&inventory_batched, 1000), COUNT - 1); /* not for the number of tries */
    ck_assert_int_eq(refusals(), 1 + 2 * 3 + 1 + 2); /* the others wait no longer for it */
    ck_assert(!orders[BAD].has_no_row);
    orders[BAD].refused_ns -= ORDER_BATCH_REFUSED_S * CLOCK_NS_PER_S; /* so long ago */
    ck_assert_int_eq(decide(&inventory_batched, 1), COUNT);
    ck_assert(orders[BAD].has_no_row && !orders[BAD + 1].has_no_row);
    assert_others_confirmed(ORDER_FAILED);
    accept_user_9();
    ck_assert_int_eq(rows(), COUNT - 1);
}
END_TEST

START_TEST(test_inventory_that_knows_no_batches_decides_each)
{
    make_orders();
    ck_assert_int_eq(decide(&inventory_pessimistic, 0), COUNT);
    ck_assert_int_eq(transactions(), COUNT);
    assert_balanced();
}
END_TEST

START_TEST(test_rest_grows_and_ends_at_a_second)
{
    int64_t longest_ms = 0, shortest_ms = 1000, again_ms = 0;
    for (int i = 0; i < 200; i++) {
        ck_assert_int_ge(order_batch_rest_ms(1, 0, ST_TIMEOUT), 1);
        ck_assert_int_le(order_batch_rest_ms(1, 0, ST_TIMEOUT), 20);
        ck_assert_int_le(order_batch_rest_ms(2, 0, ST_TIMEOUT), 40);
        int64_t ms = order_batch_rest_ms(1000, 0, ST_TIMEOUT);
        ck_assert_int_le(ms, 1000);
        longest_ms = ms > longest_ms ? ms : longest_ms;
        shortest_ms = ms < shortest_ms ? ms : shortest_ms;
        ms = order_batch_rest_ms(21, 0, ST_RETRY);
        again_ms = ms > again_ms ? ms : again_ms;
    }
    ck_assert_int_lt(shortest_ms, 800); /* drawn */
    ck_assert_int_gt(again_ms, 1);
    ck_assert_int_eq(order_batch_rest_ms(20, 0, ST_RETRY), 1);
    ck_assert_int_gt(longest_ms, 200); /* of 200 drawn up to a second, one is above a fifth */
}
END_TEST

START_TEST(test_no_rest_where_others_get_through_nor_at_first)
{
    ck_assert_int_eq(order_batch_rest_ms(0, 0, ST_TIMEOUT), 0);
    ck_assert_int_eq(order_batch_rest_ms(1000, 1, ST_DB), 0);
    ck_assert_int_gt(order_batch_rest_ms(1000, 0, ST_DB), 0);
}
END_TEST

/* A server that is a standby now refuses every try, at once. */
START_TEST(test_what_is_refused_for_long_rests_as_well)
{
    int64_t longest_ms = 0;
    for (int i = 0; i < 200; i++) {
        int64_t ms = order_batch_rest_ms(1000, 0, ST_RETRY);
        longest_ms = ms > longest_ms ? ms : longest_ms;
    }
    ck_assert_int_gt(longest_ms, 200);
}
END_TEST

static void add_tests(TCase *tc)
{
    fixture_require("test_order_batch");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_orders_are_decided_together);
    tcase_add_test(tc, test_bad_order_costs_the_others_nothing);
    tcase_add_test(tc, test_nothing_is_done_while_the_row_is_held);
    tcase_add_test(tc, test_batch_that_is_too_big_is_decided_one_by_one);
    tcase_add_test(tc, test_batch_that_comes_back_is_decided_one_by_one);
    tcase_add_test(tc, test_inventory_that_knows_no_batches_decides_each);
    tcase_add_test(tc, test_rest_grows_and_ends_at_a_second);
    tcase_add_test(tc, test_what_is_refused_for_long_rests_as_well);
    tcase_add_test(tc, test_blocked_order_does_not_keep_the_others);
    tcase_add_test(tc, test_order_that_always_loses_does_not_keep_the_others);
    tcase_add_test(tc, test_no_rest_where_others_get_through_nor_at_first);
    tcase_add_test(tc, test_order_that_comes_back_stands_in_its_own_sale);
    tcase_add_test(tc, test_order_that_leaves_no_trace_goes_back);
}

int main(void)
{
    return test_main("order_batch", add_tests);
}
