/* Tests of common/latch: deadlines, what is booked, and thousands of latches that live only as long
 * as their waiter waits. */
#include "common/latch.h"

#include <stdatomic.h>

#include "common/clock.h"
#include "common/queue.h"
#include "common/tests/harness.h"
#include "common/xalloc.h"

enum {
    SHORT_MS = 30, /* a wait that a test sees through to its end */
    WAITERS = 4,
    OPENERS = 3,
    ROUNDS_EACH = 3000,
    JUNK = 0x5a,
};

#define ck_assert_status(status_, expected_)                                                       \
    ck_assert_str_eq(status_name(status_), status_name(expected_))

/* What a waiter asks of an opener: add one to the question. */
struct job {
    struct queue_item item;
    struct latch latch;
    int question, answer;
};

static struct queue *jobs;
static pthread_barrier_t start;
static atomic_int wrong;

/* ------------------------------------------------------------------------------ one thread */

/* What this thread has computed so far. */
static int64_t cpu_ns(void)
{
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return used.tv_sec * CLOCK_NS_PER_S + used.tv_nsec;
}

START_TEST(test_latch_wait_ends_at_its_deadline)
{
    struct stages stages = {{0}};
    struct latch latch;
    latch_init(&latch);
    int64_t used_ns = cpu_ns();
    int64_t deadline_ns = clock_deadline_ns(SHORT_MS);
    ck_assert_status(latch_wait(&latch, deadline_ns, &stages), ST_TIMEOUT);
    ck_assert_int_ge(clock_now_ns(), deadline_ns);
    ck_assert_int_lt(cpu_ns() - used_ns, SHORT_MS * CLOCK_NS_PER_MS / 10); /* it slept */
    ck_assert_status(latch_wait(&latch, 0, &stages), ST_TIMEOUT);
    for (int stage = 0; stage < STAGE_COUNT; stage++) {
        ck_assert_int_eq(stages.spent_ns[stage], 0);
    }
    latch_open(&latch); /* who gave up may come again */
    ck_assert_status(latch_wait(&latch, CLOCK_NEVER, &stages), ST_OK);
    latch_destroy(&latch);
}
END_TEST

START_TEST(test_latch_that_is_open_does_not_wait)
{
    struct latch latch;
    latch_init(&latch);
    latch_open(&latch);
    ck_assert_status(latch_wait(&latch, CLOCK_NEVER, NULL), ST_OK);
    ck_assert_status(latch_wait(&latch, 0, NULL), ST_OK); /* late, and yet it is there */
    latch_destroy(&latch);
}
END_TEST

START_TEST(test_latch_books_the_way_of_the_result)
{
    struct stages stages = {{0}};
    struct latch latch;
    latch_init(&latch);
    int64_t before_ns = clock_now_ns();
    latch_open(&latch);
    clock_sleep_until(clock_now_ns() + 2 * CLOCK_NS_PER_MS); /* time is what is measured */
    ck_assert_status(latch_wait(&latch, CLOCK_NEVER, &stages), ST_OK);
    int64_t most_ns = clock_now_ns() - before_ns;
    for (int stage = 0; stage < STAGE_COUNT; stage++) {
        int64_t least_ns = stage == STAGE_REPLY ? 2 * CLOCK_NS_PER_MS : 0;
        ck_assert_int_ge(stages.spent_ns[stage], least_ns);
        ck_assert_int_le(stages.spent_ns[stage], stage == STAGE_REPLY ? most_ns : 0);
    }
    latch_destroy(&latch);
}
END_TEST

/* --------------------------------------------------------------------------- many threads */

static void *opener_main(void *arg)
{
    struct queue_item *item = NULL;
    (void)arg;
    while (queue_pop(jobs, CLOCK_NEVER, &item) == ST_OK) {
        struct job *job = QUEUE_OWNER(item, struct job, item);
        job->answer = job->question + 1;
        latch_open(&job->latch);
        /* Here the job may be gone. */
    }
    return NULL;
}

/* The opener's touch after the waiter's return would be one of freed memory (asan), a race with who
 * writes there next (tsan), or a broken latch in the next round (either). */
static void ask(struct job *job, int question)
{
    memset(job, 0, sizeof(*job));
    job->question = question;
    latch_init(&job->latch);
    while (queue_push(jobs, &job->item, NULL) != ST_OK) {
    }
    bool is_open = latch_wait(&job->latch, CLOCK_NEVER, NULL) == ST_OK;
    atomic_fetch_add(&wrong, !is_open || job->answer != question + 1);
    latch_destroy(&job->latch);
    memset(job, JUNK, sizeof(*job));
}

static void *waiter_main(void *arg)
{
    (void)arg;
    pthread_barrier_wait(&start);
    for (int i = 0; i < ROUNDS_EACH; i++) {
        struct job on_stack;
        struct job *on_heap = xcalloc(1, sizeof(*on_heap));
        ask(&on_stack, 2 * i);
        ask(on_heap, 2 * i + 1);
        free(on_heap);
    }
    return NULL;
}

START_TEST(test_latch_is_not_touched_after_its_waiter_returned)
{
    pthread_t waiters[WAITERS], openers[OPENERS];
    jobs = queue_new(WAITERS);
    wrong = 0;
    pthread_barrier_init(&start, NULL, WAITERS);
    for (int i = 0; i < OPENERS; i++) {
        ck_assert_int_eq(pthread_create(&openers[i], NULL, opener_main, NULL), 0);
    }
    for (int i = 0; i < WAITERS; i++) {
        ck_assert_int_eq(pthread_create(&waiters[i], NULL, waiter_main, NULL), 0);
    }
    for (int i = 0; i < WAITERS; i++) {
        pthread_join(waiters[i], NULL);
    }
    queue_close(jobs);
    for (int i = 0; i < OPENERS; i++) {
        pthread_join(openers[i], NULL);
    }
    pthread_barrier_destroy(&start);
    queue_free(jobs);
    ck_assert_int_eq(wrong, 0);
}
END_TEST

/* The waiter's deadline passes about when the opener opens: he has the answer, or he withdrew. */
START_TEST(test_latch_opened_at_the_deadline_is_open_or_withdrawn)
{
    pthread_t opener;
    jobs = queue_new(1);
    ck_assert_int_eq(pthread_create(&opener, NULL, opener_main, NULL), 0);
    for (int i = 0; i < ROUNDS_EACH; i++) {
        struct job job = {.question = i};
        latch_init(&job.latch);
        ck_assert_status(queue_push(jobs, &job.item, NULL), ST_OK);
        int64_t deadline_ns = clock_now_ns() + i % 64 * (CLOCK_NS_PER_MS / 1000);
        bool is_open = latch_wait(&job.latch, deadline_ns, NULL) == ST_OK;
        bool is_withdrawn = !is_open && queue_remove(jobs, &job.item);
        if (!is_open && !is_withdrawn) { /* the opener has it: he will say so */
            ck_assert_status(latch_wait(&job.latch, CLOCK_NEVER, NULL), ST_OK);
        }
        ck_assert_int_eq(job.answer, is_withdrawn ? 0 : i + 1);
        latch_destroy(&job.latch);
    }
    queue_close(jobs);
    pthread_join(opener, NULL);
    queue_free(jobs);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_test(tc, test_latch_wait_ends_at_its_deadline);
    tcase_add_test(tc, test_latch_that_is_open_does_not_wait);
    tcase_add_test(tc, test_latch_books_the_way_of_the_result);
    tcase_add_test(tc, test_latch_is_not_touched_after_its_waiter_returned);
    tcase_add_test(tc, test_latch_opened_at_the_deadline_is_open_or_withdrawn);
}

int main(void)
{
    return test_main("latch", add_tests);
}
