/* Tests of phase 4's ticket table as one thread sees it: who is seen when, who makes way, the
 * figures. test_tickets_threads.c has the waiting. */
#include "phase4/tickets.h"

#include <ctype.h>

#include "common/tests/metrics_scrape.h"
#include "harness/tests/tickets_fixture.h"

enum {
    EACH = 3, /* places of a shard */
    MAX = EACH * TICKETS_SHARDS,
    MATES = 8,       /* orders of one shard */
    ENOUGH = 100000, /* orders, to find every place of every shard */
    MILLION = 1000000,
    MILLION_BYTES_MAX = 256000000,
};

static struct tickets *tickets;
static int mates[MATES];

static void set_up(void)
{
    tickets = tickets_new(MAX);
    find_mates(tickets, EACH, mates, MATES);
}

static void tear_down(void)
{
    tickets_free(tickets);
    tickets = NULL;
}

static void expect_ticket(int number, enum order_outcome outcome, int64_t place)
{
    struct order order = order_of(number);
    struct ticket ticket;
    memset(&ticket, 0xff, sizeof ticket);
    ck_assert_status(tickets_find(tickets, order.id, &ticket), ST_OK);
    ck_assert_str_eq(ticket.order.id, order.id);
    ck_assert_int_eq(ticket.order.sale_id, order.sale_id);
    ck_assert_int_eq(ticket.order.user_id, order.user_id);
    ck_assert_int_eq(ticket.order.quantity, order.quantity);
    ck_assert_int_eq(ticket.order.accepted_us, order.accepted_us);
    ck_assert_int_eq(ticket.outcome, outcome);
    ck_assert_int_eq(ticket.place, place);
}

static void expect_counts(int64_t pending, int64_t final, int64_t evicted)
{
    struct tickets_stats stats = read_stats(tickets);
    ck_assert_int_eq(stats.pending, pending);
    ck_assert_int_eq(stats.final, final);
    ck_assert_int_eq(stats.evicted, evicted);
}

/* ------------------------------------------------------------------------------ an order's way */

START_TEST(test_tickets_show_an_order_from_accept_to_final)
{
    ck_assert_status(find(tickets, 7), ST_NOT_FOUND);
    ck_assert_status(add(tickets, 7), ST_OK);
    ck_assert_status(find(tickets, 7), ST_NOT_FOUND); /* arriving */
    accept_at(tickets, 7, 42);
    expect_ticket(7, ORDER_PENDING, 42);
    finish(tickets, 7, true);
    expect_ticket(7, ORDER_CONFIRMED, 42);
    ck_assert_status(find(tickets, 8), ST_NOT_FOUND);
}
END_TEST

START_TEST(test_tickets_ids_in_capitals_are_the_same)
{
    struct order order = order_of(7);
    struct ticket ticket;
    make_pending(tickets, 7);
    for (char *at = order.id; *at != '\0'; at++) {
        *at = (char)toupper((unsigned char)*at);
    }
    ck_assert_str_ne(order.id, order_of(7).id);
    ck_assert_status(tickets_find(tickets, order.id, &ticket), ST_OK);
    ck_assert_str_eq(ticket.order.id, order_of(7).id);
}
END_TEST

START_TEST(test_tickets_finished_before_accept_are_final_at_once)
{
    ck_assert_status(add(tickets, 7), ST_OK);
    finish(tickets, 7, true);
    ck_assert_status(find(tickets, 7), ST_NOT_FOUND);
    accept_at(tickets, 7, 42);
    expect_ticket(7, ORDER_CONFIRMED, 42);
    expect_counts(0, 1, 0);
}
END_TEST

START_TEST(test_tickets_dropped_leave_no_trace)
{
    for (int round = 0; round < 3 * EACH; round++) {
        ck_assert_status(add(tickets, mates[0]), ST_OK);
        drop(tickets, mates[0]);
        ck_assert_status(find(tickets, mates[0]), ST_NOT_FOUND);
    }
    expect_counts(0, 0, 0);
    for (int i = 0; i < EACH; i++) {
        make_pending(tickets, mates[i]);
    }
    expect_counts(EACH, 0, 0);
}
END_TEST

/* Also in the middle of a chain: the shard has as many buckets as places, so some share one. */
START_TEST(test_tickets_dropped_take_no_other_with_them)
{
    for (int gone = 0; gone < EACH; gone++) {
        for (int i = 0; i < EACH; i++) {
            ck_assert_status(add(tickets, mates[i]), ST_OK);
        }
        drop(tickets, mates[gone]);
        for (int i = 0; i < EACH; i++) {
            if (i != gone) {
                accept_at(tickets, mates[i], i); /* asserts that it is there */
            }
        }
        tear_down();
        set_up();
    }
}
END_TEST

START_TEST(test_tickets_add_of_a_known_id_gives_its_ticket)
{
    struct order again = order_of(7);
    struct ticket known;
    again.quantity++;
    make_pending(tickets, 7);
    ck_assert_status(tickets_add(tickets, &again, &known), ST_CONSTRAINT);
    ck_assert_int_eq(known.outcome, ORDER_PENDING);
    ck_assert_int_eq(known.place, 7);
    ck_assert_int_eq(known.order.quantity, order_of(7).quantity);
    ck_assert_str_eq(known.order.id, again.id);
    finish(tickets, 7, false);
    ck_assert_status(tickets_add(tickets, &again, &known), ST_CONSTRAINT);
    ck_assert_int_eq(known.outcome, ORDER_CONFIRMED);
    expect_ticket(7, ORDER_CONFIRMED, 7);
    expect_counts(0, 1, 0);
}
END_TEST

START_TEST(test_tickets_finish_shows_the_order_that_the_database_has)
{
    struct order first = order_of(7);
    struct ticket ticket;
    first.quantity = 99;
    make_pending(tickets, 7);
    tickets_finish(tickets, &first, ORDER_SOLD_OUT, true);
    ck_assert_status(tickets_find(tickets, first.id, &ticket), ST_OK);
    ck_assert_int_eq(ticket.outcome, ORDER_SOLD_OUT);
    ck_assert_int_eq(ticket.order.quantity, 99);
}
END_TEST

START_TEST(test_tickets_the_first_outcome_stays)
{
    struct order order = order_of(7);
    make_pending(tickets, 7);
    finish(tickets, 7, true);
    tickets_finish(tickets, &order, ORDER_FAILED, true);
    tickets_finish(tickets, &order, ORDER_FAILED, false);
    expect_ticket(7, ORDER_CONFIRMED, 7);
    expect_counts(0, 1, 0);
}
END_TEST

START_TEST(test_tickets_finish_of_an_unknown_id_does_nothing)
{
    finish(tickets, 7, true);
    ck_assert_status(find(tickets, 7), ST_NOT_FOUND);
    expect_counts(0, 0, 0);
}
END_TEST

/* ------------------------------------------------------------------------------------ the bound */

/* Every place of every shard, and no more; also where they cannot all have as many. */
START_TEST(test_tickets_hold_max_and_no_more)
{
    static const int maxima[] = {TICKETS_SHARDS, TICKETS_SHARDS + 1, MAX + 37};
    for (size_t i = 0; i < sizeof maxima / sizeof maxima[0]; i++) {
        struct tickets *table = tickets_new(maxima[i]);
        int made = 0;
        for (int number = 0; number < ENOUGH; number++) {
            enum status status = add(table, number);
            ck_assert(status == ST_OK || status == ST_BUSY);
            made += status == ST_OK;
        }
        ck_assert_int_eq(made, maxima[i]);
        ck_assert_int_eq(read_stats(table).pending, maxima[i]);
        ck_assert_int_eq(read_stats(table).max, maxima[i]);
        tickets_free(table);
    }
}
END_TEST

START_TEST(test_tickets_full_of_pending_ones_refuse)
{
    for (int i = 0; i < EACH; i++) {
        make_pending(tickets, mates[i]);
    }
    ck_assert_status(add(tickets, mates[EACH]), ST_BUSY);
    ck_assert_status(find(tickets, mates[EACH]), ST_NOT_FOUND);
    expect_counts(EACH, 0, 0);
    for (int i = 0; i < EACH; i++) {
        expect_ticket(mates[i], ORDER_PENDING, mates[i]);
    }
}
END_TEST

/* Finished in another order than they were made. */
START_TEST(test_tickets_that_became_final_first_make_way_first)
{
    static const int order[EACH] = {2, 0, 1};
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < EACH; i++) {
            make_pending(tickets, mates[i]);
        }
        for (int i = 0; i < EACH; i++) {
            finish(tickets, mates[order[i]], true);
        }
        for (int i = 0; i < EACH; i++) {
            ck_assert_status(find(tickets, mates[order[i]]), ST_OK);
            make_pending(tickets, mates[EACH + i]);
            ck_assert_status(find(tickets, mates[order[i]]), ST_NOT_FOUND);
            expect_counts(i + 1, EACH - i - 1, i + 1);
        }
        ck_assert_status(add(tickets, mates[2 * EACH]), ST_BUSY);
        tear_down();
        set_up();
    }
}
END_TEST

START_TEST(test_tickets_finished_twice_make_way_once)
{
    for (int i = 0; i < EACH; i++) {
        make_final(tickets, mates[i], true);
        finish(tickets, mates[0], true);
    }
    for (int i = 0; i < EACH; i++) {
        make_pending(tickets, mates[EACH + i]);
        ck_assert_status(find(tickets, mates[i]), ST_NOT_FOUND);
        expect_counts(i + 1, EACH - i - 1, i + 1);
    }
    ck_assert_status(add(tickets, mates[2 * EACH]), ST_BUSY);
}
END_TEST

START_TEST(test_tickets_that_nobody_else_remembers_do_not_make_way)
{
    make_pending(tickets, mates[0]);
    make_final(tickets, mates[1], false);
    make_final(tickets, mates[2], true);
    make_pending(tickets, mates[3]);
    ck_assert_status(find(tickets, mates[2]), ST_NOT_FOUND);
    ck_assert_status(add(tickets, mates[4]), ST_BUSY);
    expect_ticket(mates[0], ORDER_PENDING, mates[0]);
    expect_ticket(mates[1], ORDER_CONFIRMED, mates[1]);
    finish(tickets, mates[1], true); /* its row is there at last */
    make_pending(tickets, mates[4]);
    ck_assert_status(find(tickets, mates[1]), ST_NOT_FOUND);
    ck_assert_status(add(tickets, mates[5]), ST_BUSY);
    expect_counts(3, 0, 2);
}
END_TEST

/* Its maker still owes the accept, which would find it gone. */
START_TEST(test_tickets_that_arrive_do_not_make_way)
{
    ck_assert_status(add(tickets, mates[0]), ST_OK);
    finish(tickets, mates[0], true);
    make_pending(tickets, mates[1]);
    make_pending(tickets, mates[2]);
    ck_assert_status(add(tickets, mates[3]), ST_BUSY);
    accept_at(tickets, mates[0], 5);
    expect_ticket(mates[0], ORDER_CONFIRMED, 5);
    make_pending(tickets, mates[3]);
    ck_assert_status(find(tickets, mates[0]), ST_NOT_FOUND);
}
END_TEST

/* Ten times as many as there is room for: the last ones are there, whatever chains they were in. */
START_TEST(test_tickets_forget_the_oldest_and_only_those)
{
    const int orders = 10 * MAX;
    for (int i = 0; i < orders; i++) {
        make_final(tickets, i, true);
        expect_ticket(i, ORDER_CONFIRMED, i);
    }
    int there = 0;
    for (int i = 0; i < orders; i++) {
        there += find(tickets, i) == ST_OK;
    }
    struct tickets_stats stats = read_stats(tickets);
    ck_assert_int_eq(there, stats.final);
    ck_assert_int_eq(there, MAX); /* in ten rounds every shard was full */
    ck_assert_int_eq(stats.pending, 0);
    ck_assert_int_eq(stats.evicted, orders - MAX);
}
END_TEST

START_TEST(test_tickets_a_million_fit_256_mb)
{
    ck_assert_int_le((int64_t)TICKETS_EACH_BYTES * MILLION, MILLION_BYTES_MAX);
}
END_TEST

/* ----------------------------------------------------------------------------------- the figures
 */

START_TEST(test_tickets_publish_their_figures)
{
    struct metrics *metrics = metrics_new();
    struct ticket ticket;
    tickets_publish(tickets, metrics);
    make_pending(tickets, mates[0]);
    make_pending(tickets, mates[1]);
    make_final(tickets, mates[2], true);
    ck_assert_int_eq((int)scrape_one(metrics, "flashdeal_tickets{state=\"pending\"}"), 2);
    ck_assert_int_eq((int)scrape_one(metrics, "flashdeal_tickets{state=\"final\"}"), 1);
    make_pending(tickets, mates[3]);
    ck_assert_int_eq((int)scrape_one(metrics, "flashdeal_tickets{state=\"final\"}"), 0);
    ck_assert_int_eq((int)scrape_one(metrics, "flashdeal_tickets_evicted_total"), 1);
    ck_assert_int_eq((int)scrape_one(metrics, "flashdeal_tickets_max"), MAX);
    ck_assert_int_eq((int)scrape_one(metrics, "flashdeal_longpoll_waiters_max"), 0);
    ck_assert_status(tickets_wait(tickets, order_of(mates[0]).id, CLOCK_NEVER, &ticket), ST_BUSY);
    ck_assert_int_eq((int)scrape_one(metrics, "flashdeal_longpoll_refused_total"), 1);
    ck_assert_int_eq((int)scrape_one(metrics, "flashdeal_longpoll_waiters"), 0);
    tickets_set_waiters(tickets, 9);
    ck_assert_int_eq((int)scrape_one(metrics, "flashdeal_longpoll_waiters_max"), 9);
    metrics_free(metrics);
}
END_TEST

START_TEST(test_tickets_free_accepts_null)
{
    tickets_free(NULL);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_tickets_show_an_order_from_accept_to_final);
    tcase_add_test(tc, test_tickets_ids_in_capitals_are_the_same);
    tcase_add_test(tc, test_tickets_finished_before_accept_are_final_at_once);
    tcase_add_test(tc, test_tickets_dropped_leave_no_trace);
    tcase_add_test(tc, test_tickets_dropped_take_no_other_with_them);
    tcase_add_test(tc, test_tickets_add_of_a_known_id_gives_its_ticket);
    tcase_add_test(tc, test_tickets_finish_shows_the_order_that_the_database_has);
    tcase_add_test(tc, test_tickets_the_first_outcome_stays);
    tcase_add_test(tc, test_tickets_finish_of_an_unknown_id_does_nothing);
    tcase_add_test(tc, test_tickets_hold_max_and_no_more);
    tcase_add_test(tc, test_tickets_full_of_pending_ones_refuse);
    tcase_add_test(tc, test_tickets_that_became_final_first_make_way_first);
    tcase_add_test(tc, test_tickets_finished_twice_make_way_once);
    tcase_add_test(tc, test_tickets_that_nobody_else_remembers_do_not_make_way);
    tcase_add_test(tc, test_tickets_that_arrive_do_not_make_way);
    tcase_add_test(tc, test_tickets_forget_the_oldest_and_only_those);
    tcase_add_test(tc, test_tickets_a_million_fit_256_mb);
    tcase_add_test(tc, test_tickets_publish_their_figures);
    tcase_add_test(tc, test_tickets_free_accepts_null);
}

int main(void)
{
    return test_main("tickets", add_tests);
}
