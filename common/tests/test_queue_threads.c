/* Tests of common/queue between threads: who waits is woken, and every item leaves once, through a
 * pop or a removal. */
#include "common/queue.h"

#include <sched.h>
#include <stdatomic.h>

#include "common/clock.h"
#include "common/tests/harness.h"

enum {
    PATIENCE_MS = 20000, /* for what must happen */
    POPPERS = 6,
    CLOSE_ROUNDS = 300,
    PING_ROUNDS = 3000,
    PRODUCERS = 4,
    CONSUMERS = 4,
    ITEMS_EACH = 3000,
    MAX = 16,
    WITHDRAW_ONE_IN = 4,
};

#define ck_assert_status(status_, expected_)                                                       \
    ck_assert_str_eq(status_name(status_), status_name(expected_))

struct work {
    int number;
    int producer;
    struct queue_item item;
    struct stages stages;
    atomic_int seen; /* by pops and by removals that said true */
};

static struct queue *queue;
static pthread_barrier_t start;

static void set_up(void)
{
    queue = queue_new(MAX);
}

static void tear_down(void)
{
    queue_free(queue);
    queue = NULL;
}

/* ---------------------------------------------------------------------------------- waking */

struct popper {
    pthread_t thread;
    int64_t deadline_ns;
    enum status status;
    struct queue_item *item;
};

static void *popper_main(void *arg)
{
    struct popper *popper = arg;
    pthread_barrier_wait(&start);
    popper->status = queue_pop(queue, popper->deadline_ns, &popper->item);
    return NULL;
}

/* Half of them wait without bound, half until a deadline far off: all must hear of it, whether they
 * slept already or are on their way. */
START_TEST(test_queue_close_wakes_everybody_who_waits)
{
    for (int round = 0; round < CLOSE_ROUNDS; round++) {
        struct popper poppers[POPPERS];
        struct queue_item stray;
        pthread_barrier_init(&start, NULL, POPPERS + 1);
        for (int i = 0; i < POPPERS; i++) {
            int64_t deadline_ns = i % 2 == 0 ? CLOCK_NEVER : clock_deadline_ns(PATIENCE_MS);
            poppers[i] = (struct popper){.deadline_ns = deadline_ns, .item = &stray};
            ck_assert_int_eq(pthread_create(&poppers[i].thread, NULL, popper_main, &poppers[i]), 0);
        }
        pthread_barrier_wait(&start);
        for (int yields = 0; yields < round % POPPERS; yields++) {
            sched_yield();
        }
        queue_close(queue);
        for (int i = 0; i < POPPERS; i++) {
            pthread_join(poppers[i].thread, NULL);
            ck_assert_status(poppers[i].status, ST_CLOSED);
            ck_assert_ptr_null(poppers[i].item);
        }
        pthread_barrier_destroy(&start);
        queue_free(queue);
        queue = queue_new(MAX);
    }
}
END_TEST

/* What comes back from the echo is what went to it: a push wakes whoever waits. */
static struct queue *echoes;

static void *echo_main(void *arg)
{
    struct queue_item *item = NULL;
    (void)arg;
    while (queue_pop(queue, CLOCK_NEVER, &item) == ST_OK) {
        if (queue_push(echoes, item, NULL) != ST_OK) {
            break;
        }
    }
    return NULL;
}

START_TEST(test_queue_push_wakes_who_waits)
{
    pthread_t echo;
    struct queue_item ball = {0};
    struct queue_item *item = NULL;
    echoes = queue_new(1);
    ck_assert_int_eq(pthread_create(&echo, NULL, echo_main, NULL), 0);
    for (int round = 0; round < PING_ROUNDS; round++) {
        ck_assert_status(queue_push(queue, &ball, NULL), ST_OK);
        ck_assert_status(queue_pop(echoes, clock_deadline_ns(PATIENCE_MS), &item), ST_OK);
        ck_assert_ptr_eq(item, &ball);
    }
    queue_close(queue);
    pthread_join(echo, NULL);
    queue_free(echoes);
}
END_TEST

/* ---------------------------------------------------------------------------------- stress */

static struct work stress[PRODUCERS][ITEMS_EACH];
static atomic_int refused, withdrawn, out_of_order;
static atomic_bool is_over;

static void withdraw(struct work *work)
{
    if (queue_remove(queue, &work->item)) {
        atomic_fetch_add(&work->seen, 1);
        atomic_fetch_add(&withdrawn, 1);
        /* Nobody else has it any more: its stages are this thread's again. */
        work->stages.spent_ns[STAGE_REPLY]++;
    }
}

/* Pushes its items in order and withdraws one in four, some at once, some a few pushes later. */
static void *producer_main(void *arg)
{
    struct work *mine = arg;
    unsigned int dice = (unsigned int)mine->producer + 1;
    pthread_barrier_wait(&start);
    for (int i = 0; i < ITEMS_EACH; i++) {
        while (queue_push(queue, &mine[i].item, &mine[i].stages) != ST_OK) {
            atomic_fetch_add(&refused, 1);
            sched_yield();
        }
        dice = dice * 1103515245U + 12345U;
        int back = (int)(dice >> 18 & 7);
        if ((dice >> 16) % WITHDRAW_ONE_IN == 0 && back <= i) {
            withdraw(&mine[i - back]);
        }
    }
    return NULL;
}

/* Some wait without bound, some look again and again, so that deadlines and signals meet. */
static void *consumer_main(void *arg)
{
    const bool is_patient = arg != NULL;
    int last[PRODUCERS] = {-1, -1, -1, -1};
    struct queue_item *item = NULL;
    enum status status = ST_OK;
    pthread_barrier_wait(&start);
    while (status != ST_CLOSED) {
        int64_t deadline_ns = is_patient ? CLOCK_NEVER : clock_now_ns() + CLOCK_NS_PER_MS / 20;
        status = queue_pop(queue, deadline_ns, &item);
        if (status == ST_OK) {
            struct work *work = QUEUE_OWNER(item, struct work, item);
            atomic_fetch_add(&work->seen, 1);
            work->stages.spent_ns[STAGE_REPLY]++; /* the popper's now: tsan would tell */
            atomic_fetch_add(&out_of_order, work->number <= last[work->producer]);
            last[work->producer] = work->number;
        }
    }
    return NULL;
}

/* While the others work: never more in line than fit, and the counts agree. */
static void *watcher_main(void *arg)
{
    int *wrong = arg;
    while (!is_over) {
        struct queue_stats stats;
        queue_read_stats(queue, &stats);
        *wrong += stats.length < 0 || stats.length > MAX || stats.age_ns < 0 ||
                  stats.pushed < stats.length + stats.withdrawn;
        sched_yield();
    }
    return NULL;
}

static void make_stress(void)
{
    memset(stress, 0, sizeof(stress));
    for (int p = 0; p < PRODUCERS; p++) {
        for (int i = 0; i < ITEMS_EACH; i++) {
            stress[p][i].producer = p;
            stress[p][i].number = i;
        }
    }
    refused = withdrawn = out_of_order = 0;
    is_over = false;
}

static void expect_each_seen_once(void)
{
    for (int p = 0; p < PRODUCERS; p++) {
        for (int i = 0; i < ITEMS_EACH; i++) {
            const struct work *work = &stress[p][i];
            ck_assert_int_eq(work->seen, 1);
            ck_assert(!work->item.is_queued);
            ck_assert_int_gt(work->stages.spent_ns[STAGE_QUEUE_WAIT], 0);
        }
    }
}

START_TEST(test_queue_gives_every_item_once_under_concurrency)
{
    pthread_t producers[PRODUCERS], consumers[CONSUMERS], watcher;
    static char patient;
    int wrong = 0;
    make_stress();
    pthread_barrier_init(&start, NULL, PRODUCERS + CONSUMERS);
    ck_assert_int_eq(pthread_create(&watcher, NULL, watcher_main, &wrong), 0);
    for (int i = 0; i < PRODUCERS; i++) {
        ck_assert_int_eq(pthread_create(&producers[i], NULL, producer_main, stress[i]), 0);
    }
    for (int i = 0; i < CONSUMERS; i++) {
        void *arg = i % 2 == 0 ? &patient : NULL;
        ck_assert_int_eq(pthread_create(&consumers[i], NULL, consumer_main, arg), 0);
    }
    for (int i = 0; i < PRODUCERS; i++) {
        pthread_join(producers[i], NULL);
    }
    queue_close(queue);
    for (int i = 0; i < CONSUMERS; i++) {
        pthread_join(consumers[i], NULL);
    }
    is_over = true;
    pthread_join(watcher, NULL);
    pthread_barrier_destroy(&start);
    struct queue_stats stats;
    queue_read_stats(queue, &stats);
    ck_assert_int_eq(wrong, 0);
    ck_assert_int_eq(out_of_order, 0);
    ck_assert_int_gt(withdrawn, 0);
    ck_assert_int_eq(stats.length, 0);
    ck_assert_int_eq(stats.pushed, PRODUCERS * ITEMS_EACH);
    ck_assert_int_eq(stats.refused, refused);
    ck_assert_int_eq(stats.withdrawn, withdrawn);
    expect_each_seen_once();
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_queue_close_wakes_everybody_who_waits);
    tcase_add_test(tc, test_queue_push_wakes_who_waits);
    tcase_add_test(tc, test_queue_gives_every_item_once_under_concurrency);
}

int main(void)
{
    return test_main("queue_threads", add_tests);
}
