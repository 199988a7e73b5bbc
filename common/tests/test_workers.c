/* Tests of common/workers at work: every piece is finished once, whoever dies or hangs over it. The
 * stop is in test_workers_stop.c. Where nobody may be taken for stuck, stuck_ms is far longer than
 * any step; where somebody is to be, others may be as well on a slow machine, and nothing rests on
 * that they are not. */
#include "common/workers.h"

#include <stddef.h>

#include "common/log.h"
#include "common/tests/metrics_scrape.h"
#include "common/tests/workers_rig.h"

enum {
    PLACES = 4,
    NEVER_STUCK_MS = 60000,
    STUCK_MS = 200, /* where somebody is to be taken for stuck */
    BEATS_STUCK_MS = 500,
    IDLE_MS = 50,
    DEATHS = 3,
    RESPAWN_MS = 250, /* as in workers_supervisor.c */
    MANY = 3000,
    MIXED = 160,
};

/* ------------------------------------------------------------------------------------ good days */

START_TEST(test_workers_finish_each_piece_once)
{
    rig_start(PLACES, NEVER_STUCK_MS, rig_do_at_once);
    rig_put(MANY / 2);
    rig_await(&rig.finished, MANY / 2);
    rig_put(MANY / 2);
    ck_assert_int_eq(rig_stop(PATIENCE_MS), 0);
    rig_expect_each_finished_once(MANY);
    struct workers_stats stats = rig_stats();
    ck_assert_int_eq(stats.count, PLACES);
    ck_assert_int_eq(stats.finished, MANY);
    ck_assert_int_eq(stats.busy + stats.dead + stats.stuck + stats.hanging, 0);
}
END_TEST

START_TEST(test_workers_work_at_the_same_time_and_say_so)
{
    struct metrics *metrics = metrics_new();
    rig_start(PLACES, NEVER_STUCK_MS, rig_do_behind_the_gate);
    workers_publish(workers, metrics);
    rig_put(PLACES - 1);
    rig_await(&rig.at_gate, PLACES - 1);
    ck_assert_int_eq(rig_stats().busy, PLACES - 1);
    ck_assert(scrape_one(metrics, "flashdeal_workers") == PLACES);
    ck_assert(scrape_one(metrics, "flashdeal_workers_busy") == PLACES - 1);
    ck_assert(scrape_one(metrics, "flashdeal_workers_hanging") == 0);
    ck_assert(scrape_one(metrics, "flashdeal_workers_replaced_total{why=\"dead\"}") == 0);
    ck_assert(scrape_one(metrics, "flashdeal_workers_replaced_total{why=\"stuck\"}") == 0);
    rig_open_gate();
    rig_await(&rig.finished, PLACES - 1);
    rig_await_stat(busy, 0);
    ck_assert_int_eq(rig_stop(PATIENCE_MS), 0);
    metrics_free(metrics);
}
END_TEST

/* ------------------------------------------------------------------------------------- the dead */

static enum status die_at_first(struct worker *worker, void *piece, void *context)
{
    struct piece *mine = piece;
    int attempt = rig_begin(mine);
    (void)worker;
    (void)context;
    (void)rig_end(mine);
    if (attempt <= rig_get(&rig.deaths)) {
        pthread_exit(NULL);
    }
    return ST_OK;
}

START_TEST(test_workers_dead_one_is_replaced_and_its_piece_done)
{
    struct test_capture capture;
    struct metrics *metrics = metrics_new();
    rig_set(&rig.deaths, 1);
    rig_start(1, NEVER_STUCK_MS, die_at_first);
    workers_publish(workers, metrics);
    log_set_level(LOG_WARN);
    test_capture_start(&capture);
    rig_put(1);
    int left = rig_stop(PATIENCE_MS);
    char *text = test_capture_stop(&capture);
    log_set_level(LOG_ERROR);
    ck_assert_int_eq(left, 0);
    rig_expect_each_finished_once(1);
    ck_assert_int_eq(rig_get(&rig.attempts[0]), 2);
    ck_assert_msg(strstr(text, "\"level\":\"warn\",\"event\":\"worker_replaced\",\"why\":\"dead\","
                               "\"place\":0,\"had_work\":true}\n") != NULL,
                  "%s", text);
    ck_assert_int_eq(scrape_count(text, "\n"), 1);
    free(text);
    ck_assert_int_eq(rig_stats().dead, 1);
    ck_assert_int_eq(rig_stats().finished, 1);
    ck_assert(scrape_one(metrics, "flashdeal_workers_replaced_total{why=\"dead\"}") == 1);
    metrics_free(metrics);
}
END_TEST

/* It is done in the end, and does not cost a core meanwhile. */
START_TEST(test_workers_piece_that_kills_is_tried_again_but_not_at_once)
{
    int64_t before_ns = clock_now_ns();
    rig_set(&rig.deaths, DEATHS);
    rig_start(1, NEVER_STUCK_MS, die_at_first);
    rig_put(1);
    rig_await(&rig.finished, 1);
    ck_assert_int_ge(clock_now_ns() - before_ns, (DEATHS - 1) * RESPAWN_MS * CLOCK_NS_PER_MS);
    ck_assert_int_eq(rig_stop(PATIENCE_MS), 0);
    rig_expect_each_finished_once(1);
    ck_assert_int_eq(rig_get(&rig.attempts[0]), DEATHS + 1);
    ck_assert_int_eq(rig_stats().dead, DEATHS);
}
END_TEST

static bool die_now(void)
{
    pthread_mutex_lock(&rig.lock);
    bool dies = rig.deaths > 0;
    rig.deaths -= dies;
    pthread_mutex_unlock(&rig.lock);
    return dies;
}

static enum status take_or_die(void *piece, void *context)
{
    if (die_now()) {
        pthread_exit(NULL);
    }
    return rig_take(piece, context);
}

static void finish_and_die(const void *piece, void *context)
{
    rig_finish(piece, context);
    if (die_now()) {
        pthread_exit(NULL);
    }
}

enum { LARGE_INTS = 1000 };

/* A piece of which only as much is in use as its number says, and one more. */
struct large {
    struct piece head;
    int ints[LARGE_INTS];
};

static size_t large_used(const void *piece)
{
    const struct large *large = piece;
    return offsetof(struct large, ints) + (size_t)(large->head.number + 1) * sizeof(int);
}

static enum status take_large(void *piece, void *context)
{
    struct large *large = piece;
    enum status status = rig_take(piece, context);
    for (int i = 0; status == ST_OK && i < LARGE_INTS; i++) {
        large->ints[i] = large->head.number;
    }
    return status;
}

/* The first thread spoils its own copy and dies; the second has the piece as it was taken. */
static enum status spoil_and_die_at_first(struct worker *worker, void *piece, void *context)
{
    struct large *large = piece;
    for (int i = 0; i <= large->head.number; i++) {
        rig_note_fault(large->ints[i] != large->head.number);
        large->ints[i] = -1;
    }
    return die_at_first(worker, piece, context);
}

START_TEST(test_workers_large_piece_is_done_again_from_the_bytes_in_use)
{
    rig_set(&rig.deaths, 1);
    workers = workers_start(1, NEVER_STUCK_MS,
                            &(struct workers_duties){.piece_size = sizeof(struct large),
                                                     .piece_used = large_used,
                                                     .take = take_large,
                                                     .work = spoil_and_die_at_first,
                                                     .finish = rig_finish,
                                                     .context = &rig});
    rig_put(3);
    rig_await(&rig.finished, 3);
    ck_assert_int_eq(rig_stop(PATIENCE_MS), 0);
    rig_expect_each_finished_once(3); /* and nobody has found a fault */
}
END_TEST

/* Neither loses a piece nor finishes one twice. */
START_TEST(test_workers_dead_in_take_or_finish_is_replaced)
{
    struct workers_duties duties = {.piece_size = sizeof(struct piece),
                                    .take = take_or_die,
                                    .work = rig_do_at_once,
                                    .finish = rig_finish,
                                    .context = &rig};
    for (int round = 0; round < 2; round++) {
        rig_tear_down();
        rig_set_up();
        duties.take = round == 0 ? take_or_die : rig_take;
        duties.finish = round == 0 ? rig_finish : finish_and_die;
        rig_set(&rig.deaths, 2);
        workers = workers_start(2, NEVER_STUCK_MS, &duties);
        rig_put(20);
        rig_await(&rig.finished, 20);
        rig_await_stat(dead, 2);
        ck_assert_int_eq(rig_stop(PATIENCE_MS), 0);
        rig_expect_each_finished_once(20);
        ck_assert_int_eq(rig_stats().finished, 20);
    }
}
END_TEST

/* ------------------------------------------------------------------------------------ the stuck */

static enum status hang_at_first(struct worker *worker, void *piece, void *context)
{
    (void)worker;
    (void)context;
    rig_tell_end();
    if (rig_begin(piece) == 1) {
        rig_pass_gate();
    }
    return rig_end(piece);
}

START_TEST(test_workers_stuck_one_is_replaced_and_may_come_back)
{
    struct metrics *metrics = metrics_new();
    rig_start(1, STUCK_MS, hang_at_first);
    workers_publish(workers, metrics);
    int64_t before_ns = clock_now_ns();
    rig_put(1);
    rig_await(&rig.finished, 1);
    ck_assert_int_ge(clock_now_ns() - before_ns, STUCK_MS * CLOCK_NS_PER_MS);
    ck_assert_int_ge(rig_stats().stuck, 1);
    ck_assert_int_ge(rig_stats().hanging, 1);
    ck_assert(scrape_one(metrics, "flashdeal_workers_hanging") >= 1);
    ck_assert(scrape_one(metrics, "flashdeal_workers_replaced_total{why=\"stuck\"}") >= 1);
    rig_put(1);
    rig_await(&rig.at_gate, 2); /* the second piece's first attempt hangs as well */
    rig_await(&rig.finished, 2);
    rig_open_gate();
    rig_await(&rig.ended, 2);
    rig_await_stat(hanging, 0);
    rig_put(1);
    rig_await(&rig.finished, 3); /* the one that has the place goes on */
    ck_assert_int_eq(rig_stop(PATIENCE_MS), 0);
    rig_expect_each_finished_once(3);
    ck_assert_int_eq(rig_stats().dead, 0);
    metrics_free(metrics);
}
END_TEST

static enum status work_long_and_beat(struct worker *worker, void *piece, void *context)
{
    (void)context;
    (void)rig_begin(piece);
    int64_t until_ns = clock_deadline_ns(2 * BEATS_STUCK_MS);
    while (clock_now_ns() < until_ns) {
        worker_beat(worker);
        clock_sleep_until(clock_deadline_ns(1));
    }
    rig_note_fault(!rig_pause(worker, clock_deadline_ns(2 * BEATS_STUCK_MS)));
    return rig_end(piece);
}

/* Working and pausing take twice stuck_ms each. */
START_TEST(test_workers_who_beats_or_pauses_is_not_stuck)
{
    rig_start(1, BEATS_STUCK_MS, work_long_and_beat);
    rig_put(1);
    ck_assert_int_eq(rig_stop(PATIENCE_MS), 0);
    rig_expect_each_finished_once(1);
    ck_assert_int_eq(rig_stats().stuck, 0);
}
END_TEST

/* An idle worker has nothing to beat for. */
START_TEST(test_workers_who_waits_for_work_is_not_stuck)
{
    rig_start(PLACES, 1, rig_do_at_once);
    clock_sleep_until(clock_deadline_ns(IDLE_MS)); /* time is what is tried */
    ck_assert_int_eq(rig_stats().stuck + rig_stats().hanging + rig_stats().busy, 0);
    ck_assert_int_eq(rig_stop(PATIENCE_MS), 0);
}
END_TEST

static enum status hang_then_pause(struct worker *worker, void *piece, void *context)
{
    (void)context;
    rig_tell_end();
    if (rig_begin(piece) == 1) {
        rig_pass_gate();
        rig_note_fault(rig_pause(worker, CLOCK_NEVER));
        return ST_CLOSED;
    }
    return rig_end(piece);
}

START_TEST(test_workers_pause_ends_for_who_has_lost_his_place)
{
    rig_start(1, STUCK_MS, hang_then_pause);
    rig_put(1);
    rig_await(&rig.finished, 1);
    rig_open_gate();
    rig_await(&rig.pauses_cut, 1);
    ck_assert_int_eq(rig_stop(PATIENCE_MS), 0);
    rig_expect_each_finished_once(1);
}
END_TEST

/* Everybody hangs for ever: no more than WORKERS_SPARE are given up on. Then all come back. */
START_TEST(test_workers_abandoned_threads_are_bounded)
{
    enum { CROWD = 40 };
    rig_start(CROWD, STUCK_MS, rig_do_behind_the_gate);
    rig_put(CROWD);
    rig_await(&rig.at_gate, CROWD + WORKERS_SPARE);
    rig_await_stat(hanging, CROWD + WORKERS_SPARE);
    clock_sleep_until(clock_deadline_ns(2 * RESPAWN_MS)); /* nobody is to come: time is tried */
    ck_assert_int_eq(rig_get(&rig.at_gate), CROWD + WORKERS_SPARE);
    ck_assert_int_ge(rig_stats().stuck, WORKERS_SPARE); /* more, where one began too late */
    ck_assert_int_eq(rig_stats().busy, CROWD);
    rig_open_gate();
    rig_await(&rig.finished, CROWD);
    ck_assert_int_eq(rig_stop(PATIENCE_MS), 0);
    rig_expect_each_finished_once(CROWD);
    ck_assert_int_eq(rig_stats().hanging, 0);
}
END_TEST

/* Every 16th piece kills its first thread; the first attempt of every 40th waits for the second,
 * and both end at the same time. */
static enum status do_with_mishaps(struct worker *worker, void *piece, void *context)
{
    struct piece *mine = piece;
    int attempt = rig_begin(mine);
    (void)worker;
    (void)context;
    if (mine->number % 16 == 1 && attempt == 1) {
        pthread_exit(NULL);
    }
    if (mine->number % 40 == 2 && attempt == 1) {
        pthread_mutex_lock(&rig.lock);
        while (rig.attempts[mine->number] < 2) {
            pthread_cond_wait(&rig.changed, &rig.lock);
        }
        pthread_mutex_unlock(&rig.lock);
    }
    return rig_end(mine);
}

START_TEST(test_workers_finish_each_piece_once_also_on_bad_days)
{
    rig_start(PLACES, STUCK_MS, do_with_mishaps);
    rig_put(MIXED);
    rig_await(&rig.finished, MIXED);
    ck_assert_int_eq(rig_stop(PATIENCE_MS), 0);
    rig_expect_each_finished_once(MIXED);
    ck_assert_int_ge(rig_stats().dead, 1);
    ck_assert_int_ge(rig_stats().stuck, MIXED / 40);
    ck_assert_int_eq(rig_stats().finished, MIXED);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, rig_set_up, rig_tear_down);
    tcase_add_test(tc, test_workers_finish_each_piece_once);
    tcase_add_test(tc, test_workers_work_at_the_same_time_and_say_so);
    tcase_add_test(tc, test_workers_dead_one_is_replaced_and_its_piece_done);
    tcase_add_test(tc, test_workers_piece_that_kills_is_tried_again_but_not_at_once);
    tcase_add_test(tc, test_workers_large_piece_is_done_again_from_the_bytes_in_use);
    tcase_add_test(tc, test_workers_dead_in_take_or_finish_is_replaced);
    tcase_add_test(tc, test_workers_stuck_one_is_replaced_and_may_come_back);
    tcase_add_test(tc, test_workers_who_beats_or_pauses_is_not_stuck);
    tcase_add_test(tc, test_workers_who_waits_for_work_is_not_stuck);
    tcase_add_test(tc, test_workers_pause_ends_for_who_has_lost_his_place);
    tcase_add_test(tc, test_workers_abandoned_threads_are_bounded);
    tcase_add_test(tc, test_workers_finish_each_piece_once_also_on_bad_days);
}

int main(void)
{
    log_set_level(LOG_ERROR);
    pthread_key_create(&end_key, rig_note_end);
    return test_main("workers", add_tests);
}
