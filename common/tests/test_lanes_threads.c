/* Tests of common/lanes between threads: who waits is woken. test_lanes_stress.c has the rest. */
#include <sched.h>

#include "common/tests/lanes_fixture.h"

enum {
    TAKERS = 4,
    CLOSE_ROUNDS = 300,
    PING_ROUNDS = 3000,
    PARK_ROUNDS = 200,
};

static pthread_barrier_t start;

struct taker {
    pthread_t thread;
    int64_t deadline_ns;
    enum status status;
    int64_t key;
    int64_t woken_ns;
};

static void *taker_main(void *arg)
{
    struct taker *taker = arg;
    struct item items[1];
    int count, tries;
    pthread_barrier_wait(&start);
    taker->status = lanes_take(lanes, taker->deadline_ns, items, 1, &taker->key, &count, &tries);
    taker->woken_ns = clock_now_ns();
    return NULL;
}

/* Half of them wait without bound, half until a deadline far off. */
static void start_takers(struct taker *takers, int count)
{
    pthread_barrier_init(&start, NULL, (unsigned int)count + 1);
    for (int i = 0; i < count; i++) {
        int64_t deadline_ns = i % 2 == 0 ? CLOCK_NEVER : clock_deadline_ns(PATIENCE_MS);
        takers[i] = (struct taker){.deadline_ns = deadline_ns, .key = -1};
        ck_assert_int_eq(pthread_create(&takers[i].thread, NULL, taker_main, &takers[i]), 0);
    }
    pthread_barrier_wait(&start);
}

static void join_takers(struct taker *takers, int count, enum status expected)
{
    for (int i = 0; i < count; i++) {
        pthread_join(takers[i].thread, NULL);
        ck_assert_status(takers[i].status, expected);
    }
    pthread_barrier_destroy(&start);
}

static void yield(int times)
{
    for (int i = 0; i < times; i++) {
        sched_yield();
    }
}

START_TEST(test_lanes_close_wakes_everybody_who_waits)
{
    for (int round = 0; round < CLOSE_ROUNDS; round++) {
        struct taker takers[TAKERS];
        start_takers(takers, TAKERS);
        yield(round % TAKERS);
        lanes_close(lanes, CLOCK_NEVER);
        join_takers(takers, TAKERS, ST_CLOSED);
        set_up();
    }
}
END_TEST

/* They wait for what is parked for longer. */
START_TEST(test_lanes_close_s_deadline_wakes_everybody_who_waits)
{
    struct taker takers[TAKERS];
    put_all(1, 0, 1);
    expect_take(1, 1, 0, 1);
    finish(1, 0, 0, 1, CLOCK_NEVER);
    start_takers(takers, TAKERS);
    clock_sleep_until(clock_deadline_ns(SHORT_MS)); /* they sleep, most likely */
    int64_t deadline_ns = clock_deadline_ns(SHORT_MS);
    lanes_close(lanes, deadline_ns);
    join_takers(takers, TAKERS, ST_CLOSED);
    for (int i = 0; i < TAKERS; i++) {
        ck_assert_int_ge(takers[i].woken_ns, deadline_ns);
        ck_assert_int_lt(takers[i].woken_ns, deadline_ns + PATIENCE_MS / 2 * CLOCK_NS_PER_MS);
    }
}
END_TEST

/* Whoever takes the last of a closed line tells those who wait with him. */
START_TEST(test_lanes_closed_and_emptied_wakes_everybody_who_waits)
{
    for (int round = 0; round < PARK_ROUNDS; round++) {
        struct taker takers[TAKERS];
        int got = 0;
        put_all(1, 0, 1);
        expect_take(1, 1, 0, 1);
        finish(1, 0, 0, 1, clock_now_ns() + round % 4 * CLOCK_NS_PER_MS / 2);
        lanes_close(lanes, CLOCK_NEVER);
        start_takers(takers, TAKERS);
        for (int i = 0; i < TAKERS; i++) {
            pthread_join(takers[i].thread, NULL);
            got += takers[i].status == ST_OK;
            ck_assert(takers[i].status == ST_OK || takers[i].status == ST_CLOSED);
        }
        ck_assert_int_eq(got, 1);
        pthread_barrier_destroy(&start);
        set_up();
    }
}
END_TEST

static struct lanes *echoes;

static void *echo_main(void *arg)
{
    struct item item;
    int64_t key, place;
    int count, tries;
    (void)arg;
    while (lanes_take(lanes, CLOCK_NEVER, &item, 1, &key, &count, &tries) == ST_OK) {
        lanes_finish(lanes, key, NULL, 1, NULL, 0);
        if (lanes_put(echoes, key, &item, &place) != ST_OK) {
            break;
        }
    }
    return NULL;
}

START_TEST(test_lanes_put_wakes_who_waits)
{
    pthread_t echo;
    struct item item;
    int64_t key;
    int count, tries;
    echoes = lanes_new(&(struct lanes_options){sizeof(struct item), 1, 1, 1});
    ck_assert_int_eq(pthread_create(&echo, NULL, echo_main, NULL), 0);
    for (int round = 0; round < PING_ROUNDS; round++) {
        put_all(round % 200, round, 1);
        int64_t deadline_ns = clock_deadline_ns(PATIENCE_MS);
        ck_assert_status(lanes_take(echoes, deadline_ns, &item, 1, &key, &count, &tries), ST_OK);
        ck_assert_int_eq(item.number, round % 256);
        lanes_finish(echoes, key, NULL, 1, NULL, 0);
    }
    lanes_close(lanes, CLOCK_NEVER);
    pthread_join(echo, NULL);
    lanes_free(echoes);
}
END_TEST

/* One for each lane, whether he sleeps already or is on his way. */
START_TEST(test_lanes_puts_wake_one_for_each_lane)
{
    for (int round = 0; round < PARK_ROUNDS; round++) {
        struct taker takers[TAKERS];
        start_takers(takers, TAKERS);
        yield(round % 20);
        for (int key = 0; key < TAKERS; key++) {
            put_all(key, 0, 1);
        }
        join_takers(takers, TAKERS, ST_OK);
        set_up();
    }
}
END_TEST

/* A batch that is taken leaves the rest to whoever waits as well: nobody puts any more. */
START_TEST(test_lanes_a_take_wakes_the_next_of_its_lane)
{
    for (int round = 0; round < PARK_ROUNDS; round++) {
        struct taker takers[TAKERS];
        make(MAX, MAX, TAKERS);
        start_takers(takers, TAKERS);
        yield(round % 20);
        put_all(1, 0, TAKERS);
        join_takers(takers, TAKERS, ST_OK);
    }
}
END_TEST

START_TEST(test_lanes_finish_wakes_who_waits_for_the_lane)
{
    for (int round = 0; round < PARK_ROUNDS; round++) {
        struct taker taker;
        put_all(1, 0, 2);
        expect_take(1, 1, 0, 1);
        start_takers(&taker, 1);
        yield(round % 20);
        finish(1, 0, round % 2, 1 - round % 2, 0);
        join_takers(&taker, 1, ST_OK);
        set_up();
    }
}
END_TEST

/* All sleep when lanes are parked, the one due first last; each wakes one when it is due, though
 * one who sleeps is called away by a put. */
START_TEST(test_lanes_parked_wake_one_each_when_they_are_due)
{
    for (int round = 0; round < PARK_ROUNDS / 4; round++) {
        struct taker takers[TAKERS];
        int64_t now_ns = clock_now_ns(), due_ns[TAKERS] = {0};
        for (int key = 0; key < TAKERS - 1; key++) {
            put_all(key, 0, 1);
            expect_take(1, key, 0, 1);
        }
        start_takers(takers, TAKERS);
        yield(round % 20);
        for (int key = 0; key < TAKERS - 1; key++) {
            due_ns[key] = now_ns + (10 - 3 * key) * CLOCK_NS_PER_MS;
            finish(key, 0, 0, 1, due_ns[key]);
        }
        put_all(TAKERS - 1, 0, 1);
        join_takers(takers, TAKERS, ST_OK);
        for (int i = 0; i < TAKERS; i++) {
            ck_assert_int_ge(takers[i].woken_ns, due_ns[takers[i].key]);
            ck_assert_int_lt(takers[i].woken_ns, now_ns + PATIENCE_MS / 2 * CLOCK_NS_PER_MS);
        }
        set_up();
    }
}
END_TEST

/* Nobody comes but the one who sleeps for the later time already. */
START_TEST(test_lanes_parked_for_shorter_wake_the_sleeper_earlier)
{
    struct taker taker;
    put_all(1, 0, 1);
    put_all(2, 0, 1);
    expect_take(1, 1, 0, 1);
    expect_take(1, 2, 0, 1);
    finish(1, 0, 0, 1, clock_deadline_ns(PATIENCE_MS));
    start_takers(&taker, 1);
    clock_sleep_until(clock_deadline_ns(SHORT_MS)); /* he sleeps, most likely */
    int64_t due_ns = clock_deadline_ns(SHORT_MS);
    finish(2, 0, 0, 1, due_ns);
    join_takers(&taker, 1, ST_OK);
    ck_assert_int_eq(taker.key, 2);
    ck_assert_int_lt(taker.woken_ns, due_ns + PATIENCE_MS / 2 * CLOCK_NS_PER_MS);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_lanes_close_wakes_everybody_who_waits);
    tcase_add_test(tc, test_lanes_close_s_deadline_wakes_everybody_who_waits);
    tcase_add_test(tc, test_lanes_closed_and_emptied_wakes_everybody_who_waits);
    tcase_add_test(tc, test_lanes_put_wakes_who_waits);
    tcase_add_test(tc, test_lanes_puts_wake_one_for_each_lane);
    tcase_add_test(tc, test_lanes_a_take_wakes_the_next_of_its_lane);
    tcase_add_test(tc, test_lanes_finish_wakes_who_waits_for_the_lane);
    tcase_add_test(tc, test_lanes_parked_wake_one_each_when_they_are_due);
    tcase_add_test(tc, test_lanes_parked_for_shorter_wake_the_sleeper_earlier);
}

int main(void)
{
    return test_main("lanes_threads", add_tests);
}
