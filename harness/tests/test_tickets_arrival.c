/* Tests of phase 4's ticket table while a ticket arrives: of several who make a ticket of one id,
 * one goes on to the queue and the others wait for what comes of it. */
#include "phase4/tickets.h"

#include "harness/tests/tickets_calls.h"

enum {
    ROUNDS = 300,
    ATTEMPTS = 8, /* threads that post the same orders */
    ORDERS = 400, /* each */
};

static void set_up(void)
{
    tickets = tickets_new(4 * TICKETS_SHARDS);
}

static void tear_down(void)
{
    tickets_free(tickets);
    tickets = NULL;
}

START_TEST(test_tickets_add_waits_for_an_arrival_that_is_accepted)
{
    for (int round = 0; round < ROUNDS; round++) {
        struct call again;
        ck_assert_status(add(tickets, 7), ST_OK);
        start(&again, add_main, 7, round);
        accept_at(tickets, 7, 100 + round);
        join(&again, ST_CONSTRAINT);
        ck_assert_int_eq(again.ticket.place, 100 + round); /* as it was after the arrival */
        ck_assert_int_eq(again.ticket.outcome, ORDER_PENDING);
        tear_down();
        set_up();
    }
}
END_TEST

START_TEST(test_tickets_add_waits_for_an_arrival_that_is_dropped)
{
    for (int round = 0; round < ROUNDS; round++) {
        struct call again;
        ck_assert_status(add(tickets, 7), ST_OK);
        start(&again, add_main, 7, round);
        drop(tickets, 7);
        join(&again, ST_OK); /* it is the new one */
        ck_assert_status(find(tickets, 7), ST_NOT_FOUND);
        accept_at(tickets, 7, 3);
        ck_assert_status(find(tickets, 7), ST_OK);
        tear_down();
        set_up();
    }
}
END_TEST

START_TEST(test_tickets_close_ends_the_wait_for_an_arrival)
{
    for (int round = 0; round < ROUNDS; round++) {
        struct call again;
        ck_assert_status(add(tickets, 7), ST_OK);
        start(&again, add_main, 7, round);
        tickets_close(tickets);
        join(&again, ST_CLOSED);
        accept_at(tickets, 7, 3); /* the first one goes on */
        ck_assert_status(find(tickets, 7), ST_OK);
        tear_down();
        set_up();
    }
}
END_TEST

static pthread_barrier_t barrier;
static atomic_int accepted[ORDERS], dropped, replays;
static atomic_int wrong;

/* Posts every order until somebody's has been accepted; every third attempt finds no room in line.
 */
static void *attempts_main(void *arg)
{
    unsigned int dice = (unsigned int)*(const int *)arg;
    pthread_barrier_wait(&barrier);
    for (int number = 0; number < ORDERS; number++) {
        struct order order = order_of(number);
        struct ticket known;
        enum status status;
        while ((status = tickets_add(tickets, &order, &known)) == ST_OK) {
            dice = dice * 1103515245U + 12345U;
            if ((dice >> 16) % 3 != 0) {
                atomic_fetch_add(&accepted[number], 1);
                tickets_accept(tickets, order.id, number);
                finish(tickets, number, false);
            } else {
                atomic_fetch_add(&dropped, 1);
                tickets_drop(tickets, order.id);
            }
        }
        atomic_fetch_add(&replays, 1);
        atomic_fetch_add(&wrong, status != ST_CONSTRAINT || known.place != number);
    }
    return NULL;
}

START_TEST(test_tickets_of_many_attempts_one_is_accepted)
{
    pthread_t threads[ATTEMPTS];
    int seeds[ATTEMPTS];
    tear_down();
    tickets = tickets_new((int64_t)ORDERS * TICKETS_SHARDS);
    pthread_barrier_init(&barrier, NULL, ATTEMPTS);
    for (int i = 0; i < ATTEMPTS; i++) {
        seeds[i] = i;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, attempts_main, &seeds[i]), 0);
    }
    for (int i = 0; i < ATTEMPTS; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_barrier_destroy(&barrier);
    for (int number = 0; number < ORDERS; number++) {
        ck_assert_int_eq(accepted[number], 1);
    }
    ck_assert_int_eq(wrong, 0);
    ck_assert_int_gt(dropped, 0);
    ck_assert_int_eq(replays, ATTEMPTS * ORDERS);
    ck_assert_int_eq(read_stats(tickets).final, ORDERS);
    ck_assert_int_eq(read_stats(tickets).pending, 0);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_tickets_add_waits_for_an_arrival_that_is_accepted);
    tcase_add_test(tc, test_tickets_add_waits_for_an_arrival_that_is_dropped);
    tcase_add_test(tc, test_tickets_close_ends_the_wait_for_an_arrival);
    tcase_add_test(tc, test_tickets_of_many_attempts_one_is_accepted);
}

int main(void)
{
    return test_main("tickets_arrival", add_tests);
}
