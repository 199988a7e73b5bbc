/* test_inventory_optimistic: phase 6's decisions without a lock: what all ways have in common, and
 * what becomes of an order whose sale changes while it is decided. */
#include "phase6/inventory.h"
#include "phase6/order_rows.h"

#include "phase6/idempotency.h"

#define SCHEMA "phase6/schema.sql"
#define INVENTORY inventory_optimistic
#define CONFIRM_WORD "a key" /* a value of the lone statement that sells, or refuses */
#define REFUSE_WORD "a key"

/* Each order is a purchase of its own. */
static void name_order(struct order *order)
{
    char id[UUID_TEXT_SIZE];
    uuid_random(id);
    snprintf(order->key, sizeof order->key, "a key %s", id);
    idempotency_identify(order);
}

#include "harness/tests/inventory_cases.h"
#include "harness/tests/inventory_crowd.h"
#include "harness/tests/inventory_key_cases.h"

static int64_t conflicts_before;

static void set_tries(int tries)
{
    inventory_optimistic.set_up(&(struct inventory_options){.tries = tries});
}

static void set_up_optimistic(void)
{
    set_up();
    set_tries(10000); /* a race ends with an answer for all */
    conflicts_before = inventory_optimistic.read_conflicts();
}

static int64_t conflicts(void)
{
    return inventory_optimistic.read_conflicts() - conflicts_before;
}

/* Decides the order, which reads the sale as it was before the change and then waits for it to be
 * committed. */
static struct decider decide_during(const char *change, struct order order)
{
    PGconn *other = fixture_open();
    struct decider self = {.pg = pg, .order = order};
    PQclear(PQexec(other, "BEGIN"));
    PGresult *result = PQexec(other, change);
    ck_assert_msg(PQresultStatus(result) == PGRES_COMMAND_OK, "%s", PQerrorMessage(other));
    PQclear(result);
    pthread_barrier_init(&barrier, NULL, 1);
    ck_assert_int_eq(pthread_create(&self.thread, NULL, decider_main, &self), 0);
    fixture_await(OURS_WAIT_FOR_A_LOCK, 1);
    PQclear(PQexec(other, "COMMIT"));
    PQfinish(other);
    pthread_join(self.thread, NULL);
    pthread_barrier_destroy(&barrier);
    return self;
}

START_TEST(test_decide_sees_that_the_stock_was_sold_since_it_read)
{
    struct decider self =
        decide_during("UPDATE sales SET stock_left = 0, stock_total = 0, version = version + 1 "
                      "WHERE id = 1",
                      an_order(OPEN, 7, 1, NOW_US));
    ck_assert_status(self.status, ST_OK);
    ck_assert_int_eq(self.outcome, ORDER_SOLD_OUT);
    ck_assert_int_eq(conflicts(), 1);
    assert_balanced();
}
END_TEST

START_TEST(test_decide_sees_that_the_user_bought_since_it_read)
{
    struct decider self = decide_during(
        "INSERT INTO orders (id, sale_id, user_id, quantity, status, idempotency_key) "
        "VALUES (gen_random_uuid(), 1, 7, 3, 'confirmed', 'other'); "
        "UPDATE sales SET stock_left = stock_left - 3, version = version + 1 WHERE id = 1",
        an_order(OPEN, 7, 1, NOW_US));
    ck_assert_status(self.status, ST_OK);
    ck_assert_int_eq(self.outcome, ORDER_LIMIT_EXCEEDED);
    ck_assert_int_eq(conflicts(), 1);
    assert_balanced();
}
END_TEST

START_TEST(test_decide_keeps_stock_that_was_added_since_it_read)
{
    struct decider self = decide_during(
        "UPDATE sales SET stock_left = 15, stock_total = 15, version = version + 1 WHERE id = 1",
        an_order(OPEN, 7, 1, NOW_US));
    ck_assert_int_eq(self.outcome, ORDER_CONFIRMED);
    ck_assert_int_eq(stock_left(OPEN), 14);
    assert_balanced();
}
END_TEST

START_TEST(test_decide_gives_the_order_back_when_its_tries_are_used_up)
{
    set_tries(1);
    struct order order = an_order(OPEN, 7, 1, NOW_US);
    struct decider self =
        decide_during("UPDATE sales SET version = version + 1 WHERE id = 1", order);
    ck_assert_status(self.status, ST_RETRY);
    ck_assert(pg_is_usable(pg));
    ck_assert_int_eq(conflicts(), 0); /* given back is not repeated */
    ck_assert_int_eq(rows(), 0);
    ck_assert_int_eq(stock_left(OPEN), STOCK);
    assert_decided(order, 1, ORDER_CONFIRMED);
}
END_TEST

/* A sale that has changed whenever it is written: the trigger skips its row. */
START_TEST(test_decide_tries_as_often_as_it_may_and_counts)
{
    fixture_sql(
        "CREATE OR REPLACE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN RETURN NULL; END'; "
        "CREATE TRIGGER changed BEFORE UPDATE ON sales FOR EACH ROW EXECUTE FUNCTION skip()");
    set_tries(4);
    struct order order = an_order(OPEN, 7, 1, NOW_US);
    enum order_outcome outcome;
    ck_assert_status(inventory_optimistic.decide(pg, &order, &outcome), ST_RETRY);
    ck_assert_int_eq(conflicts(), 3);
    ck_assert_int_eq(rows(), 0);
}
END_TEST

static void *bump_main(void *arg)
{
    PQclear(PQexec(arg, "DO 'BEGIN LOOP UPDATE sales SET version = version + 1 WHERE id = 1; "
                        "COMMIT; END LOOP; END'"));
    return NULL;
}

START_TEST(test_decide_gives_an_order_back_while_another_session_keeps_selling)
{
    PGconn *other = fixture_open();
    PQclear(PQexec(other, "SET synchronous_commit = off"));
    PGcancel *cancel = PQgetCancel(other);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, bump_main, other), 0);
    fixture_await("SELECT least(version, 1) FROM sales WHERE id = 1", 1);
    set_tries(2);
    enum status status = ST_OK;
    for (int i = 0; i < 1000 && status == ST_OK; i++) {
        struct order order = an_order(OPEN, 7 + i, 1, NOW_US);
        enum order_outcome outcome;
        status = inventory_optimistic.decide(pg, &order, &outcome);
        fixture_sql("UPDATE sales SET stock_total = stock_total + 1, stock_left = stock_left + 1 "
                    "WHERE id = 1");
    }
    char error[PG_ERROR_SIZE];
    ck_assert_int_eq(PQcancel(cancel, error, sizeof error), 1);
    PQfreeCancel(cancel);
    pthread_join(thread, NULL);
    PQfinish(other);
    ck_assert_status(status, ST_RETRY);
    ck_assert_int_ge(conflicts(), 1);
    assert_balanced();
}
END_TEST

/* The row is being changed, and who is refused anyway does not wait for that. */
START_TEST(test_decide_refuses_without_a_lock)
{
    options.lock_timeout_ms = 50;
    pg_close(pg);
    pg = fixture_connect(&options);
    PGconn *other = fixture_open();
    PQclear(PQexec(other, "BEGIN; UPDATE sales SET stock_left = 0, stock_total = 0 WHERE id = 1"));
    assert_decided(an_order(OPEN, 7, LIMIT + 1, NOW_US), 2, ORDER_LIMIT_EXCEEDED);
    assert_decided(an_order(OPEN, 8, STOCK + 1, NOW_US), 2, ORDER_SOLD_OUT);
    PQfinish(other);
}
END_TEST

START_TEST(test_decide_counts_the_version_up_for_each_confirmed_order)
{
    struct order order = an_order(OPEN, 7, 1, NOW_US);
    assert_decided(order, 2, ORDER_CONFIRMED);
    assert_decided(an_order(OPEN, 8, 2, NOW_US), 1, ORDER_CONFIRMED);
    assert_decided(an_order(OPEN, 9, LIMIT + 1, NOW_US), 1, ORDER_LIMIT_EXCEEDED);
    ck_assert_int_eq(fixture_number("SELECT version FROM sales WHERE id = 1"), 2);
    ck_assert_int_eq(conflicts(), 0);
}
END_TEST

static void add_tests(TCase *tc)
{
    fixture_require("test_inventory_optimistic");
    tcase_add_checked_fixture(tc, set_up_optimistic, tear_down);
    add_inventory_cases(tc);
    add_inventory_key_cases(tc);
    add_inventory_crowd(tc);
    tcase_add_test(tc, test_decide_sees_that_the_stock_was_sold_since_it_read);
    tcase_add_test(tc, test_decide_sees_that_the_user_bought_since_it_read);
    tcase_add_test(tc, test_decide_keeps_stock_that_was_added_since_it_read);
    tcase_add_test(tc, test_decide_gives_the_order_back_when_its_tries_are_used_up);
    tcase_add_test(tc, test_decide_tries_as_often_as_it_may_and_counts);
    tcase_add_test(tc, test_decide_gives_an_order_back_while_another_session_keeps_selling);
    tcase_add_test(tc, test_decide_refuses_without_a_lock);
    tcase_add_test(tc, test_decide_counts_the_version_up_for_each_confirmed_order);
}

int main(void)
{
    return test_main("inventory_optimistic", add_tests);
}
