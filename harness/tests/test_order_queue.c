/* Tests of phase 4's queue of orders in memory as one thread sees it: the bound, the order, places
 * and positions, the close, the pace of acknowledgements. test_order_queue_threads.c has the rest.
 */
#include "phase4/order_queue.h"

#include "harness/tests/order_queue_fixture.h"

enum {
    SHORT_MS = 30, /* a wait that a test sees through to its end */
    LONG_MS = 60,
};

static void put_all(int first, int count)
{
    for (int i = 0; i < count; i++) {
        ck_assert_int_ge(put(first + i), 0);
    }
}

/* The number of the order that was first in line, which is as it was put; -1: nobody was. */
static int take(void)
{
    struct order order;
    memset(&order, 0xff, sizeof order);
    if (kind->take(queue, 0, &order) != ST_OK) {
        return -1;
    }
    int number = (int)order.sale_id - 1;
    struct order expected = order_of(number);
    ck_assert_str_eq(order.id, expected.id);
    ck_assert_int_eq(order.user_id, expected.user_id);
    ck_assert_int_eq(order.quantity, expected.quantity);
    ck_assert_int_eq(order.accepted_us, expected.accepted_us);
    return number;
}

static void ack(int number)
{
    struct order order = order_of(number);
    kind->ack(queue, &order);
}

static void take_and_ack(int number)
{
    ck_assert_int_eq(take(), number);
    ack(number);
}

static void rest(int ms)
{
    clock_sleep_until(clock_deadline_ns(ms)); /* time is what is measured */
}

/* ------------------------------------------------------------------------------------ the line */

START_TEST(test_order_queue_gives_orders_in_their_order)
{
    int next = 0;
    for (int round = 0; round < 3 * MAX; round++) { /* once around the ring and more */
        put_all(next, 3);
        for (int i = 0; i < 3; i++) {
            take_and_ack(next++);
        }
        ck_assert_int_eq(take(), -1);
    }
    ck_assert_str_eq(kind->name, "memory");
}
END_TEST

START_TEST(test_order_queue_put_refuses_when_full)
{
    put_all(0, MAX);
    ck_assert_int_eq(put(MAX), -1);
    ck_assert_int_eq(read_stats().refused, 1);
    ck_assert_int_eq(take(), 0); /* in line no more, though nobody has acknowledged it */
    ck_assert_int_ge(put(MAX), 0);
    ck_assert_int_eq(put(MAX + 1), -1);
    for (int i = 1; i <= MAX; i++) {
        ck_assert_int_eq(take(), i);
    }
}
END_TEST

START_TEST(test_order_queue_of_one_holds_one)
{
    tear_down();
    queue = open_queue(1);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_ge(put(i), 0);
        ck_assert_int_eq(put(i + 1), -1);
        take_and_ack(i);
    }
}
END_TEST

START_TEST(test_order_queue_position_is_who_stands_before)
{
    int places[3 * MAX];
    for (int i = 0; i < 2; i++) { /* so that the line does not begin where the ring does */
        put_all(90, MAX);
        for (int k = 0; k < MAX; k++) {
            take_and_ack(90 + k);
        }
    }
    for (int i = 0; i < MAX; i++) {
        places[i] = put(i);
    }
    for (int taken = 0; taken <= MAX; taken++) {
        for (int i = 0; i < MAX; i++) {
            ck_assert_int_eq(kind->position(queue, places[i]), i < taken ? 0 : i - taken);
        }
        ck_assert_int_eq(take(), taken < MAX ? taken : -1);
    }
}
END_TEST

START_TEST(test_order_queue_take_waits_until_its_deadline)
{
    struct order order;
    int64_t deadline_ns = clock_deadline_ns(SHORT_MS);
    ck_assert_status(kind->take(queue, deadline_ns, &order), ST_TIMEOUT);
    ck_assert_int_ge(clock_now_ns(), deadline_ns);
    put_all(0, 1);
    ck_assert_status(kind->take(queue, clock_now_ns() - 1, &order), ST_OK); /* late, but there */
}
END_TEST

START_TEST(test_order_queue_close_drains_and_then_says_closed)
{
    struct order order = order_of(9);
    int64_t place;
    put_all(0, MAX);
    kind->close(queue);
    ck_assert_status(kind->put(queue, &order, &place), ST_CLOSED); /* though it is full as well */
    ck_assert_int_eq(read_stats().refused, 0);
    for (int i = 0; i < MAX; i++) {
        take_and_ack(i);
    }
    ck_assert_status(kind->take(queue, CLOCK_NEVER, &order), ST_CLOSED);
    ck_assert_status(kind->put(queue, &order, &place), ST_CLOSED);
    kind->close(queue); /* a second time is no harm */
}
END_TEST

START_TEST(test_order_queue_free_accepts_null_and_what_is_in_line)
{
    kind->free(NULL);
    put_all(0, MAX); /* asan would tell */
}
END_TEST

START_TEST(test_order_queue_stats_tell_what_happened)
{
    struct order_queue_stats stats = read_stats();
    ck_assert_int_eq(stats.max, MAX);
    ck_assert_int_eq(stats.length + stats.unacked + stats.age_ns + stats.put + stats.refused, 0);
    ck_assert_int_eq(stats.interval_ns, 0);
    put_all(0, MAX);
    ck_assert_int_eq(put(MAX), -1);
    ck_assert_int_eq(take(), 0);
    ck_assert_int_eq(take(), 1);
    ack(0);
    stats = read_stats();
    ck_assert_int_eq(stats.length, MAX - 2);
    ck_assert_int_eq(stats.unacked, 1);
    ck_assert_int_eq(stats.put, MAX);
    ck_assert_int_eq(stats.refused, 1);
}
END_TEST

START_TEST(test_order_queue_age_is_that_of_the_first_in_line)
{
    int64_t first_ns = clock_now_ns();
    put_all(0, 1);
    rest(SHORT_MS);
    int64_t second_ns = clock_now_ns();
    put_all(1, 1);
    ck_assert_int_ge(read_stats().age_ns, SHORT_MS * CLOCK_NS_PER_MS);
    ck_assert_int_le(read_stats().age_ns, clock_now_ns() - first_ns);
    ck_assert_int_eq(take(), 0);
    ck_assert_int_le(read_stats().age_ns, clock_now_ns() - second_ns);
    ck_assert_int_eq(take(), 1);
    ck_assert_int_eq(read_stats().age_ns, 0);
}
END_TEST

/* ------------------------------------------------------------------------------------- the pace */

START_TEST(test_order_queue_interval_is_known_after_two_acknowledgements_in_line)
{
    put_all(0, MAX);
    rest(SHORT_MS);
    int64_t began_ns = clock_now_ns(); /* before the first one nothing is known */
    take_and_ack(0);
    ck_assert_int_le(read_stats().interval_ns, clock_now_ns() - began_ns);
    rest(SHORT_MS);
    take_and_ack(1);
    int64_t most_ns = clock_now_ns() - began_ns;
    take_and_ack(2);
    ck_assert_int_eq(take(), 3); /* the line is empty: the average is all that is read */
    ck_assert_int_ge(read_stats().interval_ns, SHORT_MS * CLOCK_NS_PER_MS / 2);
    ck_assert_int_le(read_stats().interval_ns, most_ns);
}
END_TEST

/* Once the interval is known, a gap in which the line was empty at its beginning, its middle or its
 * end changes nothing. */
START_TEST(test_order_queue_interval_forgets_gaps_with_an_empty_line)
{
    put_all(0, MAX);
    take_and_ack(0);
    take_and_ack(1); /* counts: a gap of next to nothing */
    int64_t known_ns = read_stats().interval_ns;
    take_and_ack(2);
    ck_assert_int_eq(take(), 3); /* the line is empty; worked on for long */
    rest(LONG_MS);
    known_ns = known_ns > read_stats().interval_ns ? known_ns : read_stats().interval_ns;
    known_ns +=
        CLOCK_NS_PER_MS; /* what the calls themselves take, and a sixteenth of LONG_MS not */
    ack(3);
    rest(LONG_MS); /* nobody was in line */
    put_all(4, 3);
    ck_assert_int_le(read_stats().interval_ns, known_ns);
    take_and_ack(4);
    ck_assert_int_le(read_stats().interval_ns, known_ns);
    ck_assert_int_eq(take(), 5);
    ck_assert_int_eq(take(), 6); /* empty, and filled again within one gap */
    rest(LONG_MS);
    put_all(7, 2);
    ack(5);
    ck_assert_int_le(read_stats().interval_ns, known_ns);
    ck_assert_int_lt(known_ns, LONG_MS * CLOCK_NS_PER_MS); /* else a gap would not have shown */
}
END_TEST

/* Three orders of magnitude between the gaps: the average is in between, and moves on. */
START_TEST(test_order_queue_interval_is_an_average)
{
    tear_down();
    queue = open_queue(200);
    put_all(0, 200);
    for (int i = 0; i < 20; i++) {
        take_and_ack(i);
    }
    int64_t began_ns = clock_now_ns();
    take_and_ack(20);
    int64_t before_ns = read_stats().interval_ns;
    rest(LONG_MS);
    take_and_ack(21);
    int64_t raised_ns = read_stats().interval_ns;
    int64_t gap_ns = clock_now_ns() - began_ns;
    ck_assert_int_ge(raised_ns - before_ns, LONG_MS * CLOCK_NS_PER_MS / 32);
    ck_assert_int_le(raised_ns - before_ns, gap_ns / 8);
    for (int i = 22; i < 190; i++) {
        take_and_ack(i);
    }
    ck_assert_int_lt(read_stats().interval_ns, raised_ns);
}
END_TEST

START_TEST(test_order_queue_interval_shows_that_nobody_is_served)
{
    put_all(0, MAX);
    take_and_ack(0);
    take_and_ack(1);
    int64_t before_ns = read_stats().interval_ns;
    rest(LONG_MS);
    ck_assert_int_ge(read_stats().interval_ns - before_ns, LONG_MS * CLOCK_NS_PER_MS / 32);
    rest(LONG_MS);
    ck_assert_int_ge(read_stats().interval_ns - before_ns, LONG_MS * CLOCK_NS_PER_MS / 16);
}
END_TEST

/* Whoever is in line shows it, also where the line was empty before, and also before anything was
 * acknowledged. */
START_TEST(test_order_queue_interval_shows_it_whatever_was_before)
{
    put_all(0, 3);
    ck_assert_int_eq(take(), 0);
    rest(LONG_MS);
    ck_assert_int_ge(read_stats().interval_ns, LONG_MS * CLOCK_NS_PER_MS);
    ack(0);
    take_and_ack(1); /* counts: a gap of next to nothing */
    take_and_ack(2);
    int64_t known_ns = read_stats().interval_ns;
    rest(LONG_MS);
    put_all(3, 1);
    ck_assert_int_le(read_stats().interval_ns, known_ns + CLOCK_NS_PER_MS);
    rest(LONG_MS);
    ck_assert_int_ge(read_stats().interval_ns - known_ns, LONG_MS * CLOCK_NS_PER_MS / 32);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_order_queue_gives_orders_in_their_order);
    tcase_add_test(tc, test_order_queue_put_refuses_when_full);
    tcase_add_test(tc, test_order_queue_of_one_holds_one);
    tcase_add_test(tc, test_order_queue_position_is_who_stands_before);
    tcase_add_test(tc, test_order_queue_take_waits_until_its_deadline);
    tcase_add_test(tc, test_order_queue_close_drains_and_then_says_closed);
    tcase_add_test(tc, test_order_queue_free_accepts_null_and_what_is_in_line);
    tcase_add_test(tc, test_order_queue_stats_tell_what_happened);
    tcase_add_test(tc, test_order_queue_age_is_that_of_the_first_in_line);
    tcase_add_test(tc, test_order_queue_interval_is_known_after_two_acknowledgements_in_line);
    tcase_add_test(tc, test_order_queue_interval_forgets_gaps_with_an_empty_line);
    tcase_add_test(tc, test_order_queue_interval_is_an_average);
    tcase_add_test(tc, test_order_queue_interval_shows_that_nobody_is_served);
    tcase_add_test(tc, test_order_queue_interval_shows_it_whatever_was_before);
}

int main(void)
{
    return test_main("order_queue", add_tests);
}
