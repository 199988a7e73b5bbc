/* Tests of common/queue as one thread sees it: order, bounds, deadlines, the close, what is booked
 * and counted. test_queue_threads.c has the rest. */
#include "common/queue.h"

#include "common/clock.h"
#include "common/tests/harness.h"

enum { MAX = 4, SHORT_MS = 30 /* a wait that a test sees through to its end */ };

#define ck_assert_status(status_, expected_)                                                       \
    ck_assert_str_eq(status_name(status_), status_name(expected_))

/* An item that is not at the start of its structure, as QUEUE_OWNER allows. */
struct work {
    int number;
    struct queue_item item;
    struct stages stages;
};

static struct queue *queue;
static struct work works[MAX + 1];

static void set_up(void)
{
    queue = queue_new(MAX);
    memset(works, 0, sizeof(works));
    for (int i = 0; i < MAX + 1; i++) {
        works[i].number = i;
    }
}

static void tear_down(void)
{
    struct queue_item *item = NULL;
    for (int i = 0; i < 2 * MAX && queue_pop(queue, 0, &item) == ST_OK; i++) {
        /* what a test that failed has left, so that it is its failure that is told */
    }
    queue_free(queue);
    queue = NULL;
}

static enum status push(int number)
{
    return queue_push(queue, &works[number].item, &works[number].stages);
}

static void fill(int count)
{
    for (int i = 0; i < count; i++) {
        ck_assert_status(push(i), ST_OK);
    }
}

/* The number of the work in front; a pop that fails is -1. */
static int pop(void)
{
    struct queue_item *item = NULL;
    enum status status = queue_pop(queue, 0, &item);
    ck_assert_int_eq(status == ST_OK, item != NULL);
    return item != NULL ? QUEUE_OWNER(item, struct work, item)->number : -1;
}

static struct queue_stats read_stats(void)
{
    struct queue_stats stats;
    memset(&stats, 0xff, sizeof(stats));
    queue_read_stats(queue, &stats);
    return stats;
}

START_TEST(test_queue_gives_back_in_the_order_of_arrival)
{
    for (int round = 0; round < 3; round++) {
        fill(MAX);
        for (int i = 0; i < MAX; i++) {
            ck_assert_int_eq(pop(), i);
        }
        ck_assert_int_eq(pop(), -1);
    }
}
END_TEST

START_TEST(test_queue_push_refuses_at_once_when_full)
{
    fill(MAX);
    ck_assert_status(push(MAX), ST_BUSY);
    ck_assert_int_eq(works[MAX].stages.spent_ns[STAGE_QUEUE_WAIT], 0);
    ck_assert(!queue_remove(queue, &works[MAX].item));
    ck_assert_int_eq(pop(), 0);
    ck_assert_status(push(MAX), ST_OK);
    for (int i = 1; i <= MAX; i++) {
        ck_assert_int_eq(pop(), i);
    }
}
END_TEST

START_TEST(test_queue_of_one_holds_one)
{
    queue_free(queue);
    queue = queue_new(1);
    ck_assert_status(push(0), ST_OK);
    ck_assert_status(push(1), ST_BUSY);
    ck_assert_int_eq(pop(), 0);
    ck_assert_status(push(1), ST_OK);
    ck_assert_int_eq(pop(), 1);
}
END_TEST

/* The one in front, one in the middle, the last: the others keep their order. */
START_TEST(test_queue_remove_gives_the_place_back)
{
    for (int gone = 0; gone < MAX; gone++) {
        fill(MAX);
        ck_assert(queue_remove(queue, &works[gone].item));
        ck_assert(!queue_remove(queue, &works[gone].item));
        ck_assert_int_eq(read_stats().length, MAX - 1);
        ck_assert_status(push(MAX), ST_OK);
        ck_assert_status(push(gone), ST_BUSY);
        for (int i = 0; i <= MAX; i++) {
            if (i != gone) {
                ck_assert_int_eq(pop(), i);
            }
        }
        ck_assert_int_eq(pop(), -1);
    }
}
END_TEST

START_TEST(test_queue_emptied_by_remove_goes_on)
{
    fill(1);
    ck_assert(queue_remove(queue, &works[0].item));
    ck_assert_int_eq(pop(), -1);
    fill(2);
    ck_assert_int_eq(pop(), 0);
    ck_assert_int_eq(pop(), 1);
}
END_TEST

START_TEST(test_queue_remove_says_no_after_the_pop)
{
    fill(2);
    ck_assert_int_eq(pop(), 0);
    ck_assert(!queue_remove(queue, &works[0].item));
    ck_assert_int_eq(read_stats().length, 1);
    ck_assert_int_eq(read_stats().withdrawn, 0);
    ck_assert_int_eq(pop(), 1);
}
END_TEST

static void expect_booked(const struct work *work, int64_t least_ns, int64_t most_ns)
{
    for (int stage = 0; stage < STAGE_COUNT; stage++) {
        int64_t spent_ns = work->stages.spent_ns[stage];
        ck_assert_int_ge(spent_ns, stage == STAGE_QUEUE_WAIT ? least_ns : 0);
        ck_assert_int_le(spent_ns, stage == STAGE_QUEUE_WAIT ? most_ns : 0);
    }
}

START_TEST(test_queue_books_the_time_in_line)
{
    int64_t before_ns = clock_now_ns();
    fill(2);
    int64_t pushed_ns = clock_now_ns();
    ck_assert_int_ge(works[0].item.entered_ns, before_ns);
    ck_assert_int_le(works[0].item.entered_ns, works[1].item.entered_ns);
    ck_assert_int_le(works[1].item.entered_ns, pushed_ns);
    clock_sleep_until(pushed_ns + 2 * CLOCK_NS_PER_MS); /* time is what is measured */
    expect_booked(&works[0], 0, 0);                     /* not before it leaves */
    ck_assert_int_eq(pop(), 0);
    ck_assert(queue_remove(queue, &works[1].item));
    int64_t most_ns = clock_now_ns() - before_ns;
    expect_booked(&works[0], 2 * CLOCK_NS_PER_MS, most_ns);
    expect_booked(&works[1], 2 * CLOCK_NS_PER_MS, most_ns);
    ck_assert(!queue_remove(queue, &works[1].item));
    expect_booked(&works[1], 2 * CLOCK_NS_PER_MS, most_ns);
}
END_TEST

START_TEST(test_queue_takes_work_on_nobody_s_account)
{
    ck_assert_status(queue_push(queue, &works[0].item, NULL), ST_OK);
    ck_assert_status(queue_push(queue, &works[1].item, NULL), ST_OK);
    ck_assert_int_eq(pop(), 0);
    ck_assert(queue_remove(queue, &works[1].item));
}
END_TEST

/* What this thread has computed so far. */
static int64_t cpu_ns(void)
{
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return used.tv_sec * CLOCK_NS_PER_S + used.tv_nsec;
}

START_TEST(test_queue_pop_waits_until_its_deadline)
{
    struct queue_item *item = &works[0].item;
    int64_t used_ns = cpu_ns();
    int64_t deadline_ns = clock_deadline_ns(SHORT_MS);
    ck_assert_status(queue_pop(queue, deadline_ns, &item), ST_TIMEOUT);
    ck_assert_ptr_null(item);
    ck_assert_int_ge(clock_now_ns(), deadline_ns);
    ck_assert_int_lt(cpu_ns() - used_ns, SHORT_MS * CLOCK_NS_PER_MS / 10); /* it slept */
    ck_assert_status(queue_pop(queue, 0, &item), ST_TIMEOUT);
}
END_TEST

START_TEST(test_queue_pop_takes_what_is_there_also_when_late)
{
    fill(1);
    struct queue_item *item = NULL;
    ck_assert_status(queue_pop(queue, clock_now_ns() - 1, &item), ST_OK);
    ck_assert_ptr_eq(item, &works[0].item);
}
END_TEST

START_TEST(test_queue_close_drains_and_then_says_closed)
{
    struct queue_item *item = &works[0].item;
    fill(3);
    queue_close(queue);
    ck_assert_status(push(3), ST_CLOSED);
    ck_assert_int_eq(read_stats().refused, 0);
    ck_assert_int_eq(pop(), 0);
    ck_assert(queue_remove(queue, &works[1].item));
    ck_assert_int_eq(pop(), 2);
    ck_assert_status(queue_pop(queue, CLOCK_NEVER, &item), ST_CLOSED);
    ck_assert_ptr_null(item);
    ck_assert_status(queue_pop(queue, 0, &item), ST_CLOSED);
    queue_close(queue); /* a second time is no harm */
    ck_assert_status(push(0), ST_CLOSED);
}
END_TEST

START_TEST(test_queue_full_and_closed_says_closed)
{
    fill(MAX);
    queue_close(queue);
    ck_assert_status(push(MAX), ST_CLOSED);
    for (int i = 0; i < MAX; i++) {
        ck_assert_int_eq(pop(), i);
    }
}
END_TEST

START_TEST(test_queue_stats_tell_what_happened)
{
    struct queue_stats stats = read_stats();
    ck_assert_int_eq(stats.max, MAX);
    ck_assert_int_eq(stats.length + stats.age_ns + stats.pushed, 0);
    ck_assert_int_eq(stats.refused + stats.withdrawn, 0);
    int64_t before_ns = clock_now_ns();
    fill(MAX);
    ck_assert_status(push(MAX), ST_BUSY);
    ck_assert_status(push(MAX), ST_BUSY);
    ck_assert(queue_remove(queue, &works[3].item));
    clock_sleep_until(clock_now_ns() + CLOCK_NS_PER_MS);
    stats = read_stats();
    ck_assert_int_ge(stats.age_ns, CLOCK_NS_PER_MS);
    ck_assert_int_le(stats.age_ns, clock_now_ns() - before_ns);
    ck_assert_int_eq(stats.length, 3);
    ck_assert_int_eq(stats.pushed, MAX);
    ck_assert_int_eq(stats.refused, 2);
    ck_assert_int_eq(stats.withdrawn, 1);
    ck_assert_int_eq(pop(), 0);
    int64_t most_ns = clock_now_ns() - works[1].item.entered_ns;
    ck_assert_int_ge(read_stats().age_ns, most_ns); /* of the one that is in front now */
    ck_assert_int_eq(pop(), 1);
    ck_assert_int_eq(pop(), 2);
    ck_assert_int_eq(read_stats().age_ns, 0);
    ck_assert_int_eq(read_stats().pushed, MAX);
}
END_TEST

START_TEST(test_queue_free_accepts_null)
{
    queue_free(NULL);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_queue_gives_back_in_the_order_of_arrival);
    tcase_add_test(tc, test_queue_push_refuses_at_once_when_full);
    tcase_add_test(tc, test_queue_of_one_holds_one);
    tcase_add_test(tc, test_queue_remove_gives_the_place_back);
    tcase_add_test(tc, test_queue_emptied_by_remove_goes_on);
    tcase_add_test(tc, test_queue_remove_says_no_after_the_pop);
    tcase_add_test(tc, test_queue_books_the_time_in_line);
    tcase_add_test(tc, test_queue_takes_work_on_nobody_s_account);
    tcase_add_test(tc, test_queue_pop_waits_until_its_deadline);
    tcase_add_test(tc, test_queue_pop_takes_what_is_there_also_when_late);
    tcase_add_test(tc, test_queue_close_drains_and_then_says_closed);
    tcase_add_test(tc, test_queue_full_and_closed_says_closed);
    tcase_add_test(tc, test_queue_stats_tell_what_happened);
    tcase_add_test(tc, test_queue_free_accepts_null);
}

int main(void)
{
    return test_main("queue", add_tests);
}
