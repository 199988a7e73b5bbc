/* Tests of phase 4's ticket table between threads: who waits for the final state, how many may, who
 * is woken by what, and all of it at once. test_tickets_arrival.c has who waits for an arrival. */
#include "phase4/tickets.h"

#include <sched.h>
#include <stdatomic.h>

#include "harness/tests/tickets_calls.h"

enum {
    SHORT_MS = 30, /* a wait that a test sees through to its end */
    ROUNDS = 300,
    ROUNDS_MAX = 30000, /* of a race that may be lost every time for long */
    WAITERS = 6,
    CYCLES = 4000,
};

static void set_up(void)
{
    tickets = tickets_new(4 * TICKETS_SHARDS);
    tickets_set_waiters(tickets, WAITERS);
}

static void tear_down(void)
{
    tickets_free(tickets);
    tickets = NULL;
}

static void await_waiters(int count)
{
    int64_t deadline_ns = clock_deadline_ns(PATIENCE_MS);
    while (read_stats(tickets).waiters != count) {
        ck_assert_int_lt(clock_now_ns(), deadline_ns);
        sched_yield();
    }
}

/* -------------------------------------------------------------------------------- the final state
 */

START_TEST(test_tickets_wait_ends_when_the_order_is_final)
{
    make_pending(tickets, 7);
    struct call waiters[WAITERS];
    for (int i = 0; i < WAITERS; i++) {
        start(&waiters[i], wait_main, 7, 0);
    }
    await_waiters(WAITERS);
    finish(tickets, 7, true);
    for (int i = 0; i < WAITERS; i++) {
        join(&waiters[i], ST_OK);
        ck_assert_int_eq(waiters[i].ticket.outcome, ORDER_CONFIRMED);
        ck_assert_int_eq(waiters[i].ticket.order.quantity, order_of(7).quantity);
    }
    ck_assert_int_eq(read_stats(tickets).waiters, 0);
    ck_assert_int_eq(read_stats(tickets).refused, 0);
}
END_TEST

/* Wherever the waiter is when it happens: nobody sleeps through it. */
START_TEST(test_tickets_wait_misses_no_final_state)
{
    for (int round = 0; round < ROUNDS; round++) {
        struct call waiter;
        make_pending(tickets, round % 100);
        start(&waiter, wait_main, round % 100, round);
        finish(tickets, round % 100, true);
        join(&waiter, ST_OK);
        ck_assert_int_eq(waiter.ticket.outcome, ORDER_CONFIRMED);
        if (round % 100 == 99) {
            tear_down();
            set_up();
        }
    }
}
END_TEST

static int64_t cpu_ns(void)
{
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return used.tv_sec * CLOCK_NS_PER_S + used.tv_nsec;
}

START_TEST(test_tickets_wait_ends_at_its_deadline)
{
    struct ticket ticket;
    make_pending(tickets, 7);
    int64_t used_ns = cpu_ns();
    int64_t deadline_ns = clock_deadline_ns(SHORT_MS);
    ck_assert_status(tickets_wait(tickets, order_of(7).id, deadline_ns, &ticket), ST_OK);
    ck_assert_int_ge(clock_now_ns(), deadline_ns);
    ck_assert_int_lt(cpu_ns() - used_ns, SHORT_MS * CLOCK_NS_PER_MS / 10); /* it slept */
    ck_assert_int_eq(ticket.outcome, ORDER_PENDING);
    ck_assert_int_eq(ticket.place, 7);
    ck_assert_int_eq(read_stats(tickets).waiters, 0);
}
END_TEST

START_TEST(test_tickets_wait_does_not_wait_without_need)
{
    struct ticket ticket;
    struct order order = order_of(7);
    tickets_set_waiters(tickets, 0); /* so that a wait would be refused */
    ck_assert_status(tickets_wait(tickets, order.id, CLOCK_NEVER, &ticket), ST_NOT_FOUND);
    ck_assert_status(add(tickets, 7), ST_OK);
    ck_assert_status(tickets_wait(tickets, order.id, CLOCK_NEVER, &ticket), ST_NOT_FOUND);
    accept_at(tickets, 7, 1);
    ck_assert_status(tickets_wait(tickets, order.id, 0, &ticket), ST_OK);
    ck_assert_int_eq(ticket.outcome, ORDER_PENDING);
    ck_assert_status(tickets_wait(tickets, order.id, CLOCK_NEVER, &ticket), ST_BUSY);
    finish(tickets, 7, false);
    ck_assert_status(tickets_wait(tickets, order.id, CLOCK_NEVER, &ticket), ST_OK);
    ck_assert_int_eq(ticket.outcome, ORDER_CONFIRMED);
    ck_assert_int_eq(read_stats(tickets).refused, 1);
}
END_TEST

START_TEST(test_tickets_close_wakes_everybody_and_for_good)
{
    struct call waiters[WAITERS];
    for (int i = 0; i < WAITERS; i++) {
        make_pending(tickets, i);
        start(&waiters[i], wait_main, i, 0);
    }
    await_waiters(WAITERS);
    tickets_close(tickets);
    for (int i = 0; i < WAITERS; i++) {
        join(&waiters[i], ST_OK);
        ck_assert_int_eq(waiters[i].ticket.outcome, ORDER_PENDING);
    }
    struct ticket ticket;
    ck_assert_status(tickets_wait(tickets, order_of(0).id, CLOCK_NEVER, &ticket), ST_OK);
    ck_assert_int_eq(ticket.outcome, ORDER_PENDING);
    finish(tickets, 0, true); /* what was accepted goes on */
    ck_assert_status(tickets_wait(tickets, order_of(0).id, CLOCK_NEVER, &ticket), ST_OK);
    ck_assert_int_eq(ticket.outcome, ORDER_CONFIRMED);
    make_pending(tickets, 50);
}
END_TEST

START_TEST(test_tickets_wait_refuses_one_more_than_may_wait)
{
    struct call waiters[WAITERS];
    struct ticket ticket;
    make_pending(tickets, 7);
    make_pending(tickets, 8);
    for (int i = 0; i < WAITERS; i++) {
        start(&waiters[i], wait_main, 7 + i % 2, 0);
    }
    await_waiters(WAITERS);
    for (int i = 0; i < 3; i++) {
        memset(&ticket, 0xff, sizeof ticket);
        ck_assert_status(tickets_wait(tickets, order_of(7).id, CLOCK_NEVER, &ticket), ST_BUSY);
        ck_assert_int_eq(ticket.outcome, ORDER_PENDING);
        ck_assert_int_eq(ticket.place, 7);
    }
    ck_assert_int_eq(read_stats(tickets).refused, 3);
    finish(tickets, 8, true); /* gives half of the places back */
    await_waiters(WAITERS - WAITERS / 2);
    struct call late;
    start(&late, wait_main, 7, 0);
    await_waiters(WAITERS - WAITERS / 2 + 1);
    finish(tickets, 7, true);
    join(&late, ST_OK);
    for (int i = 0; i < WAITERS; i++) {
        join(&waiters[i], ST_OK);
    }
}
END_TEST

/* The waiter wakes when the ticket has made way already: the database knows then. */
START_TEST(test_tickets_wait_ends_also_when_the_ticket_has_made_way)
{
    int mates[2] = {0, 0};
    tear_down();
    tickets = tickets_new(TICKETS_SHARDS);
    tickets_set_waiters(tickets, 1);
    find_mates(tickets, 1, mates, 2);
    int gone = 0;
    for (int round = 0; round < ROUNDS || (gone == 0 && round < ROUNDS_MAX); round++) {
        struct call waiter;
        make_pending(tickets, mates[0]); /* the other one makes way */
        start(&waiter, wait_main, mates[0], 0);
        await_waiters(1);
        finish(tickets, mates[0], true);
        make_final(tickets, mates[1], true);
        pthread_join(waiter.thread, NULL);
        bool is_gone = waiter.status == ST_NOT_FOUND;
        ck_assert(is_gone || waiter.status == ST_OK);
        ck_assert(is_gone || waiter.ticket.outcome == ORDER_CONFIRMED);
        ck_assert_status(find(tickets, mates[0]), ST_NOT_FOUND);
        gone += is_gone;
    }
    ck_assert_int_gt(gone, 0);
}
END_TEST

/* ------------------------------------------------------------------------------------ all at once
 */

static atomic_bool is_over;
static atomic_int seen, wrong;

static void *maker_main(void *arg)
{
    int first = *(const int *)arg * CYCLES;
    for (int number = first; number < first + CYCLES; number++) {
        if (add(tickets, number) == ST_OK) {
            accept_at(tickets, number, number);
            sched_yield();
            finish(tickets, number, true);
        } else {
            atomic_fetch_add(&wrong, 1); /* at most WAITERS are pending: there is room */
        }
    }
    return NULL;
}

/* Looks for orders that come and go: one that is seen is whole. */
static void *asker_main(void *arg)
{
    unsigned int dice = (unsigned int)*(const int *)arg;
    while (!is_over) {
        dice = dice * 1103515245U + 12345U;
        int number = (int)((dice >> 8) % (WAITERS * CYCLES));
        struct order order = order_of(number);
        struct ticket ticket;
        int64_t deadline_ns = dice >> 31 ? 0 : clock_deadline_ns(1);
        if (tickets_wait(tickets, order.id, deadline_ns, &ticket) == ST_OK) {
            atomic_fetch_add(&seen, 1);
            atomic_fetch_add(&wrong, ticket.place != number ||
                                         ticket.order.quantity != order.quantity ||
                                         strcmp(ticket.order.id, order.id) != 0);
        }
    }
    return NULL;
}

START_TEST(test_tickets_stay_whole_while_many_come_and_go)
{
    pthread_t makers[WAITERS], askers[2];
    int numbers[WAITERS];
    tear_down();
    tickets = tickets_new((int64_t)WAITERS * TICKETS_SHARDS);
    tickets_set_waiters(tickets, 1);
    wrong = seen = 0;
    is_over = false;
    for (int i = 0; i < WAITERS; i++) {
        numbers[i] = i;
        ck_assert_int_eq(pthread_create(&makers[i], NULL, maker_main, &numbers[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(pthread_create(&askers[i], NULL, asker_main, &numbers[i]), 0);
    }
    for (int i = 0; i < WAITERS; i++) {
        pthread_join(makers[i], NULL);
    }
    is_over = true;
    for (int i = 0; i < 2; i++) {
        pthread_join(askers[i], NULL);
    }
    struct tickets_stats stats = read_stats(tickets);
    ck_assert_int_eq(wrong, 0);
    ck_assert_int_gt(seen, 0);
    ck_assert_int_eq(stats.pending, 0);
    ck_assert_int_eq(stats.final + stats.evicted, WAITERS * CYCLES);
    ck_assert_int_eq(stats.waiters, 0);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_tickets_wait_ends_when_the_order_is_final);
    tcase_add_test(tc, test_tickets_wait_misses_no_final_state);
    tcase_add_test(tc, test_tickets_wait_ends_at_its_deadline);
    tcase_add_test(tc, test_tickets_wait_does_not_wait_without_need);
    tcase_add_test(tc, test_tickets_close_wakes_everybody_and_for_good);
    tcase_add_test(tc, test_tickets_wait_refuses_one_more_than_may_wait);
    tcase_add_test(tc, test_tickets_wait_ends_also_when_the_ticket_has_made_way);
    tcase_add_test(tc, test_tickets_stay_whole_while_many_come_and_go);
}

int main(void)
{
    return test_main("tickets_threads", add_tests);
}
