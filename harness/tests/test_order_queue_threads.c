/* Tests of phase 4's queue of orders in memory between threads: who waits is woken, and every order
 * leaves once. */
#include "phase4/order_queue.h"

#include <sched.h>
#include <stdatomic.h>

#include "harness/tests/order_queue_fixture.h"

enum {
    PATIENCE_MS = 20000, /* for what must happen */
    PRODUCERS = 4,
    TAKERS = 4,
    ORDERS_EACH = 3000,
    PING_ROUNDS = 3000,
    CLOSE_ROUNDS = 300,
};

static pthread_barrier_t start;

static void *closed_main(void *arg)
{
    struct order order;
    int64_t deadline_ns = arg == NULL ? CLOCK_NEVER : clock_deadline_ns(PATIENCE_MS);
    pthread_barrier_wait(&start);
    return kind->take(queue, deadline_ns, &order) == ST_CLOSED ? NULL : queue;
}

START_TEST(test_order_queue_close_wakes_everybody_who_waits)
{
    for (int round = 0; round < CLOSE_ROUNDS; round++) {
        pthread_t takers[TAKERS];
        pthread_barrier_init(&start, NULL, TAKERS + 1);
        for (int i = 0; i < TAKERS; i++) {
            void *arg = i % 2 == 0 ? NULL : queue;
            ck_assert_int_eq(pthread_create(&takers[i], NULL, closed_main, arg), 0);
        }
        pthread_barrier_wait(&start);
        for (int yields = 0; yields < round % TAKERS; yields++) {
            sched_yield();
        }
        kind->close(queue);
        for (int i = 0; i < TAKERS; i++) {
            void *wrong = queue;
            pthread_join(takers[i], &wrong);
            ck_assert_ptr_null(wrong);
        }
        pthread_barrier_destroy(&start);
        tear_down();
        set_up();
    }
}
END_TEST

static struct order_queue *echoes;

static void *echo_main(void *arg)
{
    struct order order;
    int64_t place;
    (void)arg;
    while (kind->take(queue, CLOCK_NEVER, &order) == ST_OK) {
        if (kind->put(echoes, &order, &place) != ST_OK) {
            break;
        }
    }
    return NULL;
}

START_TEST(test_order_queue_put_wakes_who_waits)
{
    pthread_t echo;
    struct order order;
    echoes = open_queue(1);
    ck_assert_int_eq(pthread_create(&echo, NULL, echo_main, NULL), 0);
    for (int round = 0; round < PING_ROUNDS; round++) {
        ck_assert_int_eq(put(round), round);
        ck_assert_status(kind->take(echoes, clock_deadline_ns(PATIENCE_MS), &order), ST_OK);
        ck_assert_int_eq(order.sale_id, round + 1);
    }
    kind->close(queue);
    pthread_join(echo, NULL);
    kind->free(echoes);
}
END_TEST

static atomic_int seen[PRODUCERS * ORDERS_EACH];
static atomic_int out_of_order, out_of_bounds;

static void *producer_main(void *arg)
{
    int first = *(const int *)arg * ORDERS_EACH;
    int64_t last = -1, place = -1;
    pthread_barrier_wait(&start);
    for (int number = first; number < first + ORDERS_EACH; number++) {
        struct order order = order_of(number);
        while (kind->put(queue, &order, &place) != ST_OK) {
            sched_yield();
        }
        int64_t position = kind->position(queue, place);
        atomic_fetch_add(&out_of_bounds, position < 0 || position >= MAX);
        atomic_fetch_add(&out_of_order, place <= last);
        last = place;
    }
    return NULL;
}

static void *taker_main(void *arg)
{
    int64_t last[PRODUCERS] = {0};
    struct order order;
    enum status status = ST_OK;
    pthread_barrier_wait(&start);
    while (status != ST_CLOSED) {
        int64_t deadline_ns = arg == NULL ? CLOCK_NEVER : clock_now_ns() + CLOCK_NS_PER_MS / 20;
        status = kind->take(queue, deadline_ns, &order);
        if (status == ST_OK) {
            int64_t number = order.sale_id - 1;
            atomic_fetch_add(&seen[number], 1);
            atomic_fetch_add(&out_of_order, order.sale_id <= last[number / ORDERS_EACH]);
            last[number / ORDERS_EACH] = order.sale_id;
            struct order_queue_stats stats = read_stats();
            atomic_fetch_add(&out_of_bounds, stats.length < 0 || stats.length > MAX ||
                                                 stats.unacked < 1 || stats.unacked > TAKERS);
            kind->ack(queue, &order);
        }
    }
    return NULL;
}

START_TEST(test_order_queue_gives_every_order_once_under_concurrency)
{
    pthread_t producers[PRODUCERS], takers[TAKERS];
    int numbers[PRODUCERS];
    pthread_barrier_init(&start, NULL, PRODUCERS + TAKERS);
    for (int i = 0; i < PRODUCERS; i++) {
        numbers[i] = i;
        ck_assert_int_eq(pthread_create(&producers[i], NULL, producer_main, &numbers[i]), 0);
    }
    for (int i = 0; i < TAKERS; i++) {
        void *arg = i % 2 == 0 ? NULL : queue;
        ck_assert_int_eq(pthread_create(&takers[i], NULL, taker_main, arg), 0);
    }
    for (int i = 0; i < PRODUCERS; i++) {
        pthread_join(producers[i], NULL);
    }
    kind->close(queue);
    for (int i = 0; i < TAKERS; i++) {
        pthread_join(takers[i], NULL);
    }
    pthread_barrier_destroy(&start);
    for (int i = 0; i < PRODUCERS * ORDERS_EACH; i++) {
        ck_assert_int_eq(seen[i], 1);
    }
    ck_assert_int_eq(out_of_order, 0);
    ck_assert_int_eq(out_of_bounds, 0);
    ck_assert_int_eq(read_stats().length + read_stats().unacked, 0);
    ck_assert_int_eq(read_stats().put, PRODUCERS * ORDERS_EACH);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_order_queue_close_wakes_everybody_who_waits);
    tcase_add_test(tc, test_order_queue_put_wakes_who_waits);
    tcase_add_test(tc, test_order_queue_gives_every_order_once_under_concurrency);
}

int main(void)
{
    return test_main("order_queue_threads", add_tests);
}
