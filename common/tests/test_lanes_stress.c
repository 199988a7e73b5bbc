/* Tests of common/lanes with all threads at once: every item leaves once, in its lane's order where
 * one taker at a time has it, and no lane has more takers than it may. */
#include <sched.h>
#include <stdatomic.h>

#include "common/random.h"
#include "common/tests/lanes_fixture.h"

enum {
    TAKERS = 4,
    KEYS = 6,
    ITEMS_EACH = 3000,
    SLOTS = 64,
    SHARE = 24,
    BATCH = 5,
};

static pthread_barrier_t start;

struct work {
    int key, number;
};

static int lane_takers;
static int next_number[KEYS]; /* one taker's at a time if a lane has one: tsan would tell */
static atomic_int seen[KEYS][ITEMS_EACH], inside[KEYS], wrong, given_back;

static void *producer_main(void *arg)
{
    const int *keys = arg; /* two lanes each */
    int64_t last[2] = {-1, -1}, place = -1;
    pthread_barrier_wait(&start);
    for (int i = 0; i < 2 * ITEMS_EACH; i++) {
        struct work work = {keys[i % 2], i / 2};
        while (lanes_put(lanes, work.key, &work, &place) != ST_OK) {
            sched_yield();
        }
        int64_t position = lanes_position(lanes, work.key, place);
        atomic_fetch_add(&wrong, position < 0 || position >= SHARE || place <= last[i % 2]);
        last[i % 2] = place;
    }
    return NULL;
}

/* Half of the time a part of the batch, of no or some items, is done: the first ones, or if nobody
 * looks at their order, any. Returns how many. */
static int done_of(const struct work *works, int count, bool *is_done)
{
    int key = works[0].key;
    int first = random_below(2) == 0 ? (int)random_below((uint64_t)count + 1) : count;
    int done = 0;
    for (int i = 0; i < count; i++) {
        is_done[i] = lane_takers == 1 || first == count ? i < first : random_below(2) == 0;
        done += is_done[i];
    }
    for (int i = 0; i < count; i++) {
        atomic_fetch_add(&wrong, works[i].key != key);
        if (lane_takers == 1) {
            atomic_fetch_add(&wrong, works[i].number != next_number[key] + i);
        }
    }
    for (int i = 0; i < count; i++) {
        atomic_fetch_add(&seen[key][works[i].number], is_done[i]);
    }
    if (lane_takers == 1) {
        next_number[key] += done;
    }
    return done;
}

static void *worker_main(void *arg)
{
    struct work works[BATCH];
    int64_t key;
    int count, tries;
    enum status status = ST_OK;
    pthread_barrier_wait(&start);
    while (status != ST_CLOSED) {
        int64_t deadline_ns = arg == NULL ? CLOCK_NEVER : clock_now_ns() + CLOCK_NS_PER_MS / 20;
        status = lanes_take(lanes, deadline_ns, works, BATCH, &key, &count, &tries);
        if (status == ST_OK) {
            atomic_fetch_add(&wrong, atomic_fetch_add(&inside[key], 1) >= lane_takers);
            bool is_done[BATCH];
            int done = done_of(works, count, is_done);
            atomic_fetch_add(&given_back, count - done);
            atomic_fetch_sub(&inside[key], 1);
            int64_t until_ns = clock_now_ns() + (int64_t)random_below(100) * CLOCK_NS_PER_US;
            lanes_finish(lanes, key, works, count, is_done, until_ns);
        }
    }
    return NULL;
}

static void *watcher_main(void *arg)
{
    const atomic_bool *is_over = arg;
    while (!*is_over) {
        struct lanes_stats stats;
        lanes_read_stats(lanes, &stats);
        atomic_fetch_add(&wrong, stats.length < 0 || stats.taken < 0 ||
                                     stats.length + stats.taken > SLOTS || stats.age_ns < 0 ||
                                     stats.taken > TAKERS * BATCH || stats.lanes > KEYS ||
                                     stats.parked > stats.lanes || stats.interval_ns < 0);
        sched_yield();
    }
    return NULL;
}

static void run_stress(void)
{
    static int keys[KEYS] = {0, 1, 2, 3, 4, 5};
    pthread_t producers[KEYS / 2], workers[TAKERS], watcher;
    atomic_bool is_over = false;
    pthread_barrier_init(&start, NULL, KEYS / 2 + TAKERS);
    ck_assert_int_eq(pthread_create(&watcher, NULL, watcher_main, &is_over), 0);
    for (int i = 0; i < KEYS / 2; i++) {
        ck_assert_int_eq(pthread_create(&producers[i], NULL, producer_main, &keys[2 * i]), 0);
    }
    for (int i = 0; i < TAKERS; i++) {
        void *arg = i % 2 == 0 ? NULL : keys;
        ck_assert_int_eq(pthread_create(&workers[i], NULL, worker_main, arg), 0);
    }
    for (int i = 0; i < KEYS / 2; i++) {
        pthread_join(producers[i], NULL);
    }
    lanes_close(lanes, CLOCK_NEVER);
    for (int i = 0; i < TAKERS; i++) {
        pthread_join(workers[i], NULL);
    }
    is_over = true;
    pthread_join(watcher, NULL);
    pthread_barrier_destroy(&start);
}

START_TEST(test_lanes_give_every_item_once_under_concurrency)
{
    lane_takers = _i;
    lanes_free(lanes);
    lanes = lanes_new(&(struct lanes_options){sizeof(struct work), SLOTS, SHARE, lane_takers});
    memset(seen, 0, sizeof seen);
    memset(next_number, 0, sizeof next_number);
    run_stress();
    for (int key = 0; key < KEYS; key++) {
        for (int i = 0; i < ITEMS_EACH; i++) {
            ck_assert_int_eq(seen[key][i], 1);
        }
    }
    struct lanes_stats stats = read_stats();
    ck_assert_int_eq(wrong, 0);
    ck_assert_int_gt(given_back, 0);
    ck_assert_int_eq(stats.put, KEYS * ITEMS_EACH);
    ck_assert_int_eq(stats.length + stats.taken + stats.lanes + stats.parked, 0);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, test_lanes_give_every_item_once_under_concurrency, 1, 4);
}

int main(void)
{
    return test_main("lanes_stress", add_tests);
}
