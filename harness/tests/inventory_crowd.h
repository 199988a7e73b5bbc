/* inventory_crowd: many orders at once, by several threads, each on a connection of its own; for
 * the tests of the leaves that do not put all orders of a sale in one line. What stands before
 * inventory_fixture.h stands before it; add_inventory_crowd adds its tests. */
#ifndef HARNESS_TESTS_INVENTORY_CROWD_H
#define HARNESS_TESTS_INVENTORY_CROWD_H

#include "harness/tests/inventory_fixture.h"

/* A thread's orders, one after another: of `each` units, or of 1 to 5 in turn if that is 0. */
struct buyer {
    pthread_t thread;
    struct pg *pg;
    int64_t first_user; /* each order by the next */
    int count, each;
    int confirmed, refused, faults;
    int64_t units;            /* confirmed */
    int64_t smallest_refused; /* of what was sold out; INT64_MAX: none */
};

static inline int64_t quantity_of(const struct buyer *buyer, int index)
{
    return buyer->each ? buyer->each : 1 + index % 5;
}

static inline void *buyer_main(void *arg)
{
    struct buyer *self = arg;
    self->smallest_refused = INT64_MAX;
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < self->count; i++) {
        struct order order = an_order(OPEN, self->first_user + i, quantity_of(self, i), NOW_US);
        enum order_outcome outcome = ORDER_PENDING;
        enum status status = INVENTORY.decide(self->pg, &order, &outcome);
        self->faults += status != ST_OK;
        self->confirmed += outcome == ORDER_CONFIRMED;
        self->units += outcome == ORDER_CONFIRMED ? order.quantity : 0;
        self->refused += outcome == ORDER_SOLD_OUT;
        if (outcome == ORDER_SOLD_OUT && order.quantity < self->smallest_refused) {
            self->smallest_refused = order.quantity;
        }
    }
    return NULL;
}

/* All at once; *all: the sum of what they got. */
static inline void crowd(int count, int each, struct buyer *all)
{
    struct buyer buyers[THREADS] = {0};
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        buyers[i].pg = fixture_connect(&options);
        buyers[i].first_user = 1000 * (i + 1);
        buyers[i].count = count;
        buyers[i].each = each;
        ck_assert_int_eq(pthread_create(&buyers[i].thread, NULL, buyer_main, &buyers[i]), 0);
    }
    *all = (struct buyer){.smallest_refused = INT64_MAX};
    for (int i = 0; i < THREADS; i++) {
        pthread_join(buyers[i].thread, NULL);
        pg_close(buyers[i].pg);
        ck_assert_int_eq(buyers[i].faults, 0);
        ck_assert_int_eq(buyers[i].confirmed + buyers[i].refused, count);
        all->confirmed += buyers[i].confirmed;
        all->refused += buyers[i].refused;
        all->units += buyers[i].units;
        if (buyers[i].smallest_refused < all->smallest_refused) {
            all->smallest_refused = buyers[i].smallest_refused;
        }
    }
    pthread_barrier_destroy(&barrier);
}

/* A sale of that many units, and no limit to speak of. */
static inline void offer(int64_t units)
{
    char sql[SQL_SIZE];
    snprintf(sql, sizeof sql,
             "UPDATE sales SET stock_total = %" PRId64 ", stock_left = %" PRId64
             ", per_user_limit = 1000 WHERE id = 1",
             units, units);
    fixture_sql(sql);
}

/* Of this database, since it was made. A session's count is there when it has ended. */
static inline long deadlocks(void)
{
    return fixture_number(
        "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()");
}

/* ------------------------------------------------------------------------------------------ cases
 */

/* As many are wanted as there are: whoever is refused is refused in error. */
START_TEST(test_crowd_gets_all_when_it_wants_no_more_than_there_is)
{
    struct buyer all;
    offer(THREADS * 40);
    crowd(40, 1, &all);
    ck_assert_int_eq(all.refused, 0);
    ck_assert_int_eq(stock_left(OPEN), 0);
    assert_balanced();
}
END_TEST

START_TEST(test_crowd_gets_all_in_quantities_when_it_wants_no_more_than_there_is)
{
    struct buyer all;
    offer(THREADS * 40 * 3);
    crowd(40, 0, &all);
    ck_assert_int_eq(all.refused, 0);
    ck_assert_int_eq(all.units, THREADS * 40 * 3);
    ck_assert_int_eq(stock_left(OPEN), 0);
    assert_balanced();
}
END_TEST

START_TEST(test_crowd_buys_exactly_the_stock)
{
    struct buyer all;
    offer(97);
    crowd(40, 1, &all);
    ck_assert_int_eq(all.confirmed, 97);
    ck_assert_int_eq(all.refused, THREADS * 40 - 97);
    ck_assert_int_eq(stock_left(OPEN), 0);
    ck_assert_int_eq(rows(), THREADS * 40);
    assert_balanced();
}
END_TEST

/* What is left never grows, so at the end it is less than the least that was refused. */
START_TEST(test_crowd_leaves_less_than_the_least_that_was_refused)
{
    struct buyer all;
    offer(299);
    crowd(40, 0, &all);
    ck_assert_int_lt(stock_left(OPEN), all.smallest_refused);
    ck_assert_int_eq(all.units, 299 - stock_left(OPEN));
    ck_assert_int_eq(all.smallest_refused < INT64_MAX, 1);
    assert_balanced();
}
END_TEST

static inline void add_inventory_crowd(TCase *tc)
{
    tcase_add_test(tc, test_crowd_gets_all_when_it_wants_no_more_than_there_is);
    tcase_add_test(tc, test_crowd_gets_all_in_quantities_when_it_wants_no_more_than_there_is);
    tcase_add_test(tc, test_crowd_buys_exactly_the_stock);
    tcase_add_test(tc, test_crowd_leaves_less_than_the_least_that_was_refused);
}

#endif
