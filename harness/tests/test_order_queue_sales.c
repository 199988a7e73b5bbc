/* Tests of phase 6's queue of orders in memory: a line for each sale, batches of one sale, the
 * shares, what is given back, when an order is due. How lanes work between threads is tested in
 * common/tests/test_lanes_threads.c. */
#include "phase6/order_queue.h"

#include "common/clock.h"
#include "common/tests/harness.h"

enum {
    MAX = 8,
    SALE_MAX = 5,
    SALE_WORKERS = 2,
    BATCH = 4,
    SHORT_MS = 30, /* a wait that a test sees through to its end */
};

#define ck_assert_status(status_, expected_)                                                       \
    ck_assert_str_eq(status_name(status_), status_name(expected_))

static const struct order_queue_kind *const kind = &order_queue_lanes;
static struct order_queue *queue;

static void set_up(void)
{
    queue = kind->open(&(struct order_queue_options){MAX, SALE_MAX, SALE_WORKERS});
}

static void tear_down(void)
{
    kind->free(queue);
    queue = NULL;
}

/* All of it: zeros where a text ends. */
static struct order order_of(int sale, int number)
{
    struct order order = {.sale_id = sale,
                          .user_id = number + 2,
                          .quantity = number + 3,
                          .accepted_us = number + 4,
                          .fingerprint = {(unsigned char)number, 1}};
    snprintf(order.id, sizeof order.id, "%08x-0000-4000-8000-%012x", (unsigned int)number,
             (unsigned int)sale);
    snprintf(order.key, sizeof order.key, "key %d of sale %d", number, sale);
    return order;
}

/* The place it got, or -1. */
static int64_t put(int sale, int number)
{
    struct order order = order_of(sale, number);
    int64_t place = -1;
    ck_assert_str_eq(status_name(kind->put(queue, &order, &place)), place >= 0 ? "ok" : "busy");
    return place;
}

static void put_all(int sale, int first, int count)
{
    for (int i = 0; i < count; i++) {
        ck_assert_int_ge(put(sale, first + i), 0);
    }
}

/* Takes a batch and expects this: that sale's orders from first on. */
static void expect_take(int sale, int first, int count)
{
    struct order orders[BATCH];
    int got = -1, tries = -1;
    memset(orders, 0xff, sizeof orders);
    ck_assert_status(kind->take(queue, 0, orders, BATCH, &got, &tries), ST_OK);
    ck_assert_int_eq(got, count);
    for (int i = 0; i < count; i++) {
        struct order expected = order_of(sale, first + i);
        ck_assert_str_eq(orders[i].id, expected.id);
        ck_assert_str_eq(orders[i].key, expected.key);
        ck_assert_mem_eq(orders[i].fingerprint, expected.fingerprint, ORDER_FINGERPRINT_BYTES);
        ck_assert_int_eq(orders[i].sale_id, sale);
        ck_assert_int_eq(orders[i].user_id, expected.user_id);
        ck_assert_int_eq(orders[i].quantity, expected.quantity);
        ck_assert_int_eq(orders[i].accepted_us, expected.accepted_us);
    }
}

static void expect_no_take(enum status expected)
{
    struct order orders[BATCH];
    int count = -1, tries;
    ck_assert_status(kind->take(queue, 0, orders, BATCH, &count, &tries), expected);
    ck_assert_int_eq(count, 0);
}

static void finish(int sale, int first, int count, int done_count, int64_t until_ns)
{
    struct order orders[BATCH];
    bool is_done[BATCH];
    for (int i = 0; i < count; i++) {
        orders[i] = order_of(sale, first + i);
        is_done[i] = i < done_count;
    }
    kind->finish(queue, sale, orders, count, is_done, until_ns);
}

static struct order_queue_stats read_stats(void)
{
    struct order_queue_stats stats;
    memset(&stats, 0xff, sizeof stats);
    kind->read_stats(queue, &stats);
    return stats;
}

static int64_t position(int sale, int64_t place)
{
    struct order order = order_of(sale, 0);
    return kind->position(queue, &order, place);
}

/* --------------------------------------------------------------------------------------- tests */

START_TEST(test_order_queue_sales_gives_batches_of_one_sale)
{
    put_all(1, 0, 2);
    put_all(2, 0, 1);
    put_all(1, 2, 3);
    expect_take(1, 0, BATCH);
    expect_take(2, 0, 1);
    expect_take(1, BATCH, 1);
    expect_no_take(ST_TIMEOUT);
    ck_assert_str_eq(kind->name, "memory");
}
END_TEST

START_TEST(test_order_queue_sales_has_a_sale_s_workers_and_no_more)
{
    tear_down();
    queue = kind->open(&(struct order_queue_options){3 * BATCH, 3 * BATCH, SALE_WORKERS});
    put_all(1, 0, 3 * BATCH - 1);
    put_all(2, 0, 1);
    expect_take(1, 0, BATCH);
    expect_take(2, 0, 1);
    expect_take(1, BATCH, BATCH);
    expect_no_take(ST_TIMEOUT); /* the third is for another sale */
    finish(1, 0, BATCH, BATCH, 0);
    expect_take(1, 2 * BATCH, BATCH - 1);
}
END_TEST

START_TEST(test_order_queue_sales_put_refuses_a_sale_s_crowd)
{
    put_all(1, 0, SALE_MAX);
    ck_assert_int_eq(put(1, SALE_MAX), -1);
    put_all(2, 0, MAX - SALE_MAX); /* the others' room is theirs */
    ck_assert_int_eq(read_stats().refused, 1);
    ck_assert_int_eq(read_stats().sale_refused, 1);
    ck_assert_int_eq(put(3, 0), -1);
    ck_assert_int_eq(read_stats().refused, 2);
    ck_assert_int_eq(read_stats().sale_refused, 1);
}
END_TEST

START_TEST(test_order_queue_sales_gives_room_when_orders_are_done_not_when_they_are_taken)
{
    put_all(1, 0, SALE_MAX); /* there is room, but for other sales */
    expect_take(1, 0, BATCH);
    ck_assert_int_eq(put(1, SALE_MAX), -1);
    finish(1, 0, BATCH, BATCH, 0);
    put_all(1, SALE_MAX, BATCH);
    ck_assert_int_eq(read_stats().sale_refused, 1);
}
END_TEST

START_TEST(test_order_queue_sales_finish_gives_back_what_is_not_done)
{
    int64_t place = 0;
    for (int i = 0; i < SALE_MAX; i++) {
        place = put(1, i);
    }
    put_all(2, 0, 2);
    ck_assert_int_eq(position(1, place), SALE_MAX - 1);
    expect_take(1, 0, BATCH);
    ck_assert_int_eq(position(1, place), 0);
    ck_assert_int_eq(position(2, place), 0);
    finish(1, 0, BATCH, 1, CLOCK_NEVER);
    ck_assert_int_eq(position(1, place), SALE_MAX - 2);
    ck_assert_int_eq(read_stats().resting, 1);
    ck_assert_int_eq(read_stats().sales, 2);
    expect_take(2, 0, 2); /* a sale that rests keeps nobody */
    finish(2, 0, 2, 2, 0);
    expect_no_take(ST_TIMEOUT);
    ck_assert_int_eq(read_stats().length, SALE_MAX - 1);
    ck_assert_int_eq(read_stats().unacked, 0);
}
END_TEST

START_TEST(test_order_queue_sales_give_back_the_last_ones)
{
    put_all(1, 0, SALE_MAX);
    expect_take(1, 0, BATCH);
    finish(1, 0, BATCH, 2, 0);
    expect_take(1, 2, SALE_MAX - 2);
}
END_TEST

START_TEST(test_order_queue_sales_rest_until_their_time)
{
    struct order orders[BATCH];
    int64_t until_ns = clock_deadline_ns(SHORT_MS);
    int count, tries;
    put_all(1, 0, 1);
    expect_take(1, 0, 1);
    finish(1, 0, 1, 0, until_ns);
    ck_assert_status(kind->take(queue, CLOCK_NEVER, orders, BATCH, &count, &tries), ST_OK);
    ck_assert_int_ge(clock_now_ns(), until_ns);
    ck_assert_int_eq(tries, 1);
    finish(1, 0, 1, 0, 0);
    ck_assert_status(kind->take(queue, CLOCK_NEVER, orders, BATCH, &count, &tries), ST_OK);
    ck_assert_int_eq(tries, 2);
}
END_TEST

START_TEST(test_order_queue_sales_close_has_a_deadline)
{
    struct order order = order_of(1, 9);
    int64_t place;
    put_all(1, 0, 2);
    put_all(2, 0, 1);
    kind->close(queue, CLOCK_NEVER);
    ck_assert_status(kind->put(queue, &order, &place), ST_CLOSED);
    expect_take(1, 0, 2);
    kind->close(queue, clock_now_ns());
    expect_no_take(ST_CLOSED); /* though there is one in line */
    finish(1, 0, 2, 0, 0);
    ck_assert_int_eq(read_stats().length, 3);
}
END_TEST

START_TEST(test_order_queue_sales_close_drains)
{
    put_all(1, 0, 2);
    kind->close(queue, CLOCK_NEVER);
    expect_take(1, 0, 2);
    expect_no_take(ST_CLOSED);
    finish(1, 0, 2, 2, 0);
    expect_no_take(ST_CLOSED);
}
END_TEST

START_TEST(test_order_queue_sales_stats_tell_what_happened)
{
    struct order_queue_stats stats = read_stats();
    ck_assert_int_eq(stats.max, MAX);
    ck_assert_int_eq(stats.length + stats.unacked + stats.age_ns + stats.sales + stats.resting, 0);
    ck_assert_int_eq(stats.put + stats.refused + stats.sale_refused + stats.interval_ns, 0);
    put_all(1, 0, SALE_MAX);
    put_all(2, 0, 1);
    clock_sleep_until(clock_deadline_ns(SHORT_MS));
    expect_take(1, 0, BATCH);
    stats = read_stats();
    ck_assert_int_eq(stats.length, 2);
    ck_assert_int_eq(stats.unacked, BATCH);
    ck_assert_int_eq(stats.put, SALE_MAX + 1);
    ck_assert_int_eq(stats.sales, 2);
    ck_assert_int_ge(stats.age_ns, SHORT_MS * CLOCK_NS_PER_MS);
}
END_TEST

/* An order is due after those of its sale, each of which waits for a turn of every other sale. */
START_TEST(test_order_queue_sales_interval_is_one_sale_s)
{
    int64_t began_ns = clock_now_ns();
    put_all(1, 0, 3);
    put_all(2, 0, 2);
    put_all(3, 0, 2);
    expect_take(1, 0, 3);
    finish(1, 0, 3, 1, 0); /* three sales are in line */
    clock_sleep_until(clock_deadline_ns(SHORT_MS));
    int64_t interval_ns = read_stats().interval_ns;
    int64_t most_ns = 3 * (clock_now_ns() - began_ns);
    ck_assert_int_ge(interval_ns, 3 * SHORT_MS * CLOCK_NS_PER_MS);
    ck_assert_int_le(interval_ns, most_ns);
}
END_TEST

START_TEST(test_order_queue_sales_free_accepts_null_and_what_is_in_line)
{
    kind->free(NULL);
    put_all(1, 0, SALE_MAX); /* asan would tell */
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_order_queue_sales_gives_batches_of_one_sale);
    tcase_add_test(tc, test_order_queue_sales_has_a_sale_s_workers_and_no_more);
    tcase_add_test(tc, test_order_queue_sales_put_refuses_a_sale_s_crowd);
    tcase_add_test(tc,
                   test_order_queue_sales_gives_room_when_orders_are_done_not_when_they_are_taken);
    tcase_add_test(tc, test_order_queue_sales_finish_gives_back_what_is_not_done);
    tcase_add_test(tc, test_order_queue_sales_give_back_the_last_ones);
    tcase_add_test(tc, test_order_queue_sales_rest_until_their_time);
    tcase_add_test(tc, test_order_queue_sales_close_has_a_deadline);
    tcase_add_test(tc, test_order_queue_sales_close_drains);
    tcase_add_test(tc, test_order_queue_sales_stats_tell_what_happened);
    tcase_add_test(tc, test_order_queue_sales_interval_is_one_sale_s);
    tcase_add_test(tc, test_order_queue_sales_free_accepts_null_and_what_is_in_line);
}

int main(void)
{
    return test_main("order_queue_sales", add_tests);
}
