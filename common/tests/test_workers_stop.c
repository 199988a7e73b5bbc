/* Tests of common/workers at the end: a stop that drains, gives up at its deadline and counts. */
#include "common/log.h"
#include "common/tests/workers_rig.h"

enum {
    PLACES = 4,
    NEVER_STUCK_MS = 60000,
    STUCK_MS = 200, /* where somebody is to be stuck */
};

/* Deaths and retries belong to the drain. */
static enum status die_then_pause(struct worker *worker, void *piece, void *context)
{
    (void)context;
    if (rig_begin(piece) == 1) {
        pthread_exit(NULL);
    }
    rig_note_fault(!rig_pause(worker, clock_deadline_ns(2 * LOOK_MS)));
    return rig_end(piece);
}

START_TEST(test_workers_stop_drains)
{
    rig_start(PLACES, NEVER_STUCK_MS, die_then_pause);
    rig_put(2 * PLACES);
    ck_assert_int_eq(rig_stop(PATIENCE_MS), 0);
    rig_expect_each_finished_once(2 * PLACES);
    ck_assert_int_eq(rig_stats().dead, 2 * PLACES);
    ck_assert_int_eq(rig_get(&rig.pauses_cut), 0);
}
END_TEST

static enum status try_for_ever(struct worker *worker, void *piece, void *context)
{
    (void)context;
    (void)rig_begin(piece);
    return rig_pause(worker, CLOCK_NEVER) ? rig_end(piece) : ST_CLOSED;
}

/* Who pauses wakes at once; what was not taken stays where it is. */
START_TEST(test_workers_stop_gives_up_at_its_deadline_and_counts)
{
    for (int ms = 0; ms <= STUCK_MS; ms += STUCK_MS) {
        int64_t before_ns = clock_now_ns();
        rig_start(PLACES, NEVER_STUCK_MS, try_for_ever);
        rig_put(PLACES + 2);
        rig_await(&rig.taken, PLACES);
        ck_assert_int_eq(rig_stop(ms), PLACES);
        ck_assert_int_ge(clock_now_ns() - before_ns, ms * CLOCK_NS_PER_MS);
        ck_assert_int_lt(clock_now_ns() - before_ns, NEVER_STUCK_MS * CLOCK_NS_PER_MS / 2);
        ck_assert_int_eq(rig_get(&rig.pauses_cut), PLACES);
        ck_assert_int_eq(rig_get(&rig.taken), PLACES);
        ck_assert_int_eq(rig_get(&rig.finished), 0);
        ck_assert_int_eq(rig_stats().busy, 0);
        rig_tear_down();
        rig_set_up();
    }
}
END_TEST

static enum status die_when_told(struct worker *worker, void *piece, void *context)
{
    (void)context;
    (void)rig_begin(piece);
    (void)rig_pause(worker, CLOCK_NEVER);
    pthread_exit(NULL);
}

START_TEST(test_workers_stop_that_gives_up_replaces_nobody)
{
    rig_start(PLACES, NEVER_STUCK_MS, die_when_told);
    rig_put(PLACES);
    rig_await(&rig.taken, PLACES);
    ck_assert_int_eq(rig_stop(0), PLACES);
    ck_assert_int_eq(rig_stats().dead, 0);
    ck_assert_int_eq(rig_get(&rig.pauses_cut), PLACES);
    ck_assert_int_eq(rig_get(&rig.finished), 0);
}
END_TEST

/* What was being done when the stop gave up and is done in time counts as done. */
static enum status end_when_told(struct worker *worker, void *piece, void *context)
{
    (void)context;
    (void)rig_begin(piece);
    (void)rig_pause(worker, CLOCK_NEVER);
    return rig_end(piece);
}

START_TEST(test_workers_stop_counts_no_piece_that_is_done_after_all)
{
    rig_start(PLACES, NEVER_STUCK_MS, end_when_told);
    rig_put(PLACES + 2);
    rig_await(&rig.taken, PLACES);
    ck_assert_int_eq(rig_stop(0), 0);
    rig_expect_each_finished_once(PLACES);
    ck_assert_int_eq(rig_get(&rig.taken), PLACES);
}
END_TEST

static struct workers *volatile left_behind; /* so that it is no leak */

/* It is left behind, and finishes nothing when it comes back after all. */
START_TEST(test_workers_stop_leaves_who_hangs_and_counts_his_piece)
{
    rig_start(2, STUCK_MS, rig_do_behind_the_gate);
    rig_put(1);
    rig_await(&rig.at_gate, 1);
    ck_assert_int_eq(rig_stop(0), 1);
    int hanging = rig_stats().hanging; /* more than one, if the test was slow */
    ck_assert_int_ge(hanging, 1);
    workers_free(workers); /* keeps what the threads need */
    left_behind = workers;
    workers = NULL;
    rig_open_gate();
    rig_await(&rig.ended, hanging);
    ck_assert_int_eq(rig_get(&rig.finished), 0);
}
END_TEST

/* However long a try may take, a stop has a bound of its own. */
START_TEST(test_workers_stop_is_patient_for_so_long_with_who_does_not_give_up)
{
    rig_start(2, NEVER_STUCK_MS, rig_do_behind_the_gate);
    rig_put(1);
    rig_await(&rig.at_gate, 1);
    int64_t before_ns = clock_now_ns();
    ck_assert_int_eq(rig_stop(0), 1);
    ck_assert_int_ge(clock_now_ns() - before_ns, WORKERS_GIVE_UP_MS * CLOCK_NS_PER_MS);
    ck_assert_int_lt(clock_now_ns() - before_ns, NEVER_STUCK_MS * CLOCK_NS_PER_MS / 4);
    ck_assert_int_eq(rig_stats().hanging, 1);
    rig_open_gate();
    rig_await(&rig.ended, 1);
}
END_TEST

static enum status hang_the_first_time(struct worker *worker, void *piece, void *context)
{
    (void)worker;
    (void)context;
    if (rig_begin(piece) == 1) {
        rig_tell_end();
        rig_pass_gate();
    }
    return rig_end(piece);
}

/* Its piece is finished, and yet what it uses must not be freed. */
START_TEST(test_workers_stop_that_loses_nothing_says_who_hangs)
{
    rig_start(1, STUCK_MS, hang_the_first_time);
    rig_put(1);
    rig_await(&rig.finished, 1);
    ck_assert_int_eq(rig_stop(PATIENCE_MS), 0);
    ck_assert_int_eq(rig_stats().hanging, 1);
    rig_open_gate();
    rig_await(&rig.ended, 1);
}
END_TEST

START_TEST(test_workers_stop_of_idle_ones_and_free_of_none)
{
    rig_start(PLACES, NEVER_STUCK_MS, rig_do_at_once);
    ck_assert_int_eq(rig_stop(PATIENCE_MS), 0);
    workers_free(NULL);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, rig_set_up, rig_tear_down);
    tcase_add_test(tc, test_workers_stop_drains);
    tcase_add_test(tc, test_workers_stop_gives_up_at_its_deadline_and_counts);
    tcase_add_test(tc, test_workers_stop_that_gives_up_replaces_nobody);
    tcase_add_test(tc, test_workers_stop_counts_no_piece_that_is_done_after_all);
    tcase_add_test(tc, test_workers_stop_leaves_who_hangs_and_counts_his_piece);
    tcase_add_test(tc, test_workers_stop_is_patient_for_so_long_with_who_does_not_give_up);
    tcase_add_test(tc, test_workers_stop_that_loses_nothing_says_who_hangs);
    tcase_add_test(tc, test_workers_stop_of_idle_ones_and_free_of_none);
}

int main(void)
{
    log_set_level(LOG_ERROR);
    pthread_key_create(&end_key, rig_note_end);
    return test_main("workers_stop", add_tests);
}
