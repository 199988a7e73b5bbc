/* Tests of common/lanes as one thread sees it: order, turns, shares, what is given back, the close.
 * test_lanes_stats.c has places and what is counted; test_lanes_threads.c and test_lanes_stress.c
 * what is between threads.
 */
#include "common/tests/lanes_fixture.h"

/* ----------------------------------------------------------------------------------- the lines */

START_TEST(test_lanes_give_a_lane_s_items_in_their_order)
{
    for (int round = 0; round < 3 * MAX; round++) {
        put_all(7, round, 3);
        expect_take(2, 7, round, 2);
        finish(7, round, 2, 0, 0);
        expect_take(MAX, 7, round + 2, 1);
        finish(7, round + 2, 1, 0, 0);
        expect_no_take(ST_TIMEOUT, 0);
    }
}
END_TEST

START_TEST(test_lanes_take_is_of_one_lane)
{
    put_all(1, 0, 1);
    put_all(2, 10, 2);
    put_all(1, 1, 2);
    expect_take(MAX, 1, 0, 3);
    expect_take(MAX, 2, 10, 2);
    expect_no_take(ST_TIMEOUT, 0);
}
END_TEST

/* Each has turns as often as the others, however much it has. */
START_TEST(test_lanes_take_turns)
{
    put_all(3, 0, 4);
    put_all(1, 0, 2);
    put_all(2, 0, 2);
    for (int turn = 0; turn < 2; turn++) {
        static const int keys[] = {3, 1, 2};
        for (int i = 0; i < 3; i++) {
            expect_take(1, keys[i], turn, 1);
            finish(keys[i], turn, 1, 0, 0);
        }
    }
    expect_take(MAX, 3, 2, 2);
}
END_TEST

START_TEST(test_lanes_take_turns_while_nobody_finishes)
{
    make(MAX, MAX, 2);
    put_all(1, 0, 2);
    put_all(2, 0, 2);
    expect_take(1, 1, 0, 1);
    expect_take(1, 2, 0, 1);
    expect_take(1, 1, 1, 1);
    expect_take(1, 2, 1, 1);
}
END_TEST

/* The turn is by when a lane could be taken of, not by when its items came. */
START_TEST(test_lanes_free_again_stands_behind_those_ready)
{
    put_all(1, 0, 2);
    expect_take(1, 1, 0, 1);
    put_all(2, 0, 1);
    finish(1, 0, 1, 0, 0);
    expect_take(1, 2, 0, 1);
    expect_take(1, 1, 1, 1);
}
END_TEST

START_TEST(test_lanes_have_their_takers_and_no_more)
{
    for (int takers = 1; takers <= 3; takers++) {
        make(MAX, MAX, takers);
        put_all(1, 0, MAX - 1);
        put_all(2, 0, 1);
        expect_take(1, 1, 0, 1);
        expect_take(1, 2, 0, 1);
        for (int i = 1; i < takers; i++) {
            expect_take(1, 1, i, 1);
        }
        expect_no_take(ST_TIMEOUT, 0);
        finish(1, 0, 1, 0, 0);
        expect_take(1, 1, takers, 1);
        expect_no_take(ST_TIMEOUT, 0);
    }
}
END_TEST

/* Lanes come and go; those with others' buckets, and numbers below 0, too. */
START_TEST(test_lanes_are_found_by_their_keys)
{
    for (int64_t round = 0; round < 50; round++) {
        struct item item = {0}, items[1];
        int64_t place, key;
        int count, tries;
        for (int64_t i = 0; i < MAX; i++) {
            ck_assert_status(lanes_put(lanes, (i - 4) * round * 7919 - i, &item, &place), ST_OK);
        }
        for (int64_t i = 0; i < MAX; i++) {
            ck_assert_status(lanes_take(lanes, 0, items, 1, &key, &count, &tries), ST_OK);
            ck_assert_int_eq(key, (i - 4) * round * 7919 - i);
            lanes_finish(lanes, key, NULL, 1, NULL, 0);
        }
        ck_assert_int_eq(read_stats().length + read_stats().taken + read_stats().lanes, 0);
    }
}
END_TEST

/* ---------------------------------------------------------------------------------- the bounds */

START_TEST(test_lanes_put_refuses_when_no_slot_is_free)
{
    put_all(1, 0, 4);
    put_all(2, 0, 4);
    ck_assert_int_eq(put(3, 0), -1);
    ck_assert_int_eq(read_stats().refused, 1);
    expect_take(3, 1, 0, 3);
    ck_assert_int_eq(put(3, 0), -1); /* a slot is held until its item is done */
    finish(1, 0, 2, 1, 0);
    put_all(3, 0, 2);
    ck_assert_int_eq(put(3, 2), -1);
    ck_assert_int_eq(read_stats().refused, 3);
    ck_assert_int_eq(read_stats().lane_refused, 0);
}
END_TEST

START_TEST(test_lanes_put_refuses_more_than_a_lane_s_share)
{
    put_all(1, 0, LANE_MAX);
    ck_assert_int_eq(put(1, LANE_MAX), -1);
    ck_assert_int_eq(read_stats().lane_refused, 1);
    expect_take(2, 1, 0, 2);
    ck_assert_int_eq(put(1, LANE_MAX), -1); /* taken ones count */
    put_all(2, 0, 1);
    finish(1, 0, 1, 1, 0);
    put_all(1, LANE_MAX, 1);
    ck_assert_int_eq(put(1, LANE_MAX + 1), -1);
    ck_assert_int_eq(read_stats().lane_refused, 3);
    put_all(2, 1, 2); /* all slots are held */
    ck_assert_int_eq(put(1, LANE_MAX + 1), -1);
    ck_assert_int_eq(read_stats().lane_refused, 3); /* that one found no slot either */
    ck_assert_int_eq(read_stats().refused, 4);
}
END_TEST

START_TEST(test_lanes_of_one_hold_one)
{
    make(1, 1, 1);
    for (int i = 0; i < 3; i++) {
        put_all(i, i, 1);
        ck_assert_int_eq(put(i + 1, i), -1);
        expect_take(MAX, i, i, 1);
        finish(i, i, 1, 0, 0);
    }
}
END_TEST

/* ------------------------------------------------------------------------------ what comes back */

/* How often that lane was given back. */
static int take_tries(int64_t deadline_ns)
{
    struct item items[MAX];
    int64_t key;
    int count, tries = -1;
    ck_assert_status(lanes_take(lanes, deadline_ns, items, MAX, &key, &count, &tries), ST_OK);
    return tries;
}

START_TEST(test_lanes_finish_puts_what_is_not_done_in_front)
{
    put_all(1, 0, 5);
    expect_take(4, 1, 0, 4);
    finish(1, 0, 1, 3, 0);
    expect_take(MAX, 1, 1, 4);
    finish(1, 1, 0, 4, 0);
    expect_take(2, 1, 1, 2);
}
END_TEST

START_TEST(test_lanes_parked_are_not_taken_before_their_time)
{
    int64_t until_ns = clock_deadline_ns(SHORT_MS);
    put_all(1, 0, 3);
    expect_take(2, 1, 0, 2);
    finish(1, 0, 0, 2, until_ns);
    put_all(1, 3, 1);
    ck_assert_int_eq(take_tries(CLOCK_NEVER), 1);
    ck_assert_int_ge(clock_now_ns(), until_ns);
    finish(1, 0, 0, 4, CLOCK_NEVER);
    put_all(2, 0, 1);
    expect_take(MAX, 2, 0, 1); /* and do not keep the others */
    expect_no_take(ST_TIMEOUT, 0);
}
END_TEST

START_TEST(test_lanes_parked_are_due_in_the_order_of_their_times)
{
    static const int ms[] = {40, 10, 30, 20}, keys_by_time[] = {1, 3, 2, 0};
    int64_t began_ns = clock_now_ns() - CLOCK_NS_PER_S; /* all are due when somebody looks */
    for (int i = 0; i < 4; i++) {
        put_all(i, 0, 1);
        expect_take(1, i, 0, 1);
    }
    for (int i = 0; i < 4; i++) {
        finish(i, 0, 0, 1, began_ns + ms[i] * CLOCK_NS_PER_MS);
    }
    for (int i = 0; i < 4; i++) {
        expect_take(1, keys_by_time[i], 0, 1);
    }
}
END_TEST

START_TEST(test_lanes_parked_twice_are_so_until_the_later_time)
{
    for (int first = 0; first < 2; first++) {
        make(MAX, MAX, 2);
        int64_t near_ns = clock_now_ns(), far_ns = near_ns + SHORT_MS * CLOCK_NS_PER_MS;
        put_all(1, 0, 3);
        expect_take(1, 1, 0, 1);
        expect_take(1, 1, 1, 1); /* the lane is held, and then ready: */
        finish(1, 1, 0, 1, first == 0 ? near_ns : far_ns);
        finish(1, 0, 0, 1, first == 0 ? far_ns : near_ns);
        ck_assert_int_le(read_stats().parked, 1);
        ck_assert_int_eq(take_tries(CLOCK_NEVER), 2);
        ck_assert_int_ge(clock_now_ns(), far_ns);
        ck_assert_int_eq(read_stats().parked, 0);
    }
}
END_TEST

/* With room for one more taker it is ready when it is parked. */
START_TEST(test_lanes_ready_ones_can_be_parked)
{
    make(MAX, MAX, 3);
    put_all(1, 0, 4);
    put_all(2, 0, 1);
    expect_take(1, 1, 0, 1);
    expect_take(1, 2, 0, 1);
    expect_take(1, 1, 1, 1);
    finish(1, 0, 0, 1, CLOCK_NEVER);
    expect_no_take(ST_TIMEOUT, 0);
    finish(1, 1, 1, 0, 0); /* another's success does not change that */
    expect_no_take(ST_TIMEOUT, 0);
}
END_TEST

START_TEST(test_lanes_tries_count_give_backs_in_a_row)
{
    put_all(1, 0, 2);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(take_tries(0), i);
        finish(1, 0, 0, 2, 0);
    }
    ck_assert_int_eq(take_tries(0), 3);
    put_all(1, 2, 1);
    finish(1, 0, 1, 1, 0); /* a part is none of the whole */
    ck_assert_int_eq(take_tries(0), 4);
    put_all(1, 3, 1); /* so that it is the same lane */
    finish(1, 1, 2, 0, 0);
    ck_assert_int_eq(take_tries(0), 0);
    finish(1, 3, 0, 1, 0);
    ck_assert_int_eq(take_tries(0), 1);
    finish(1, 3, 1, 0, 0);
    put_all(1, 4, 1); /* another lane by the same key */
    ck_assert_int_eq(take_tries(0), 0);
}
END_TEST

/* ----------------------------------------------------------------------------- waits and the end
 */

static int64_t cpu_ns(void)
{
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return used.tv_sec * CLOCK_NS_PER_S + used.tv_nsec;
}

START_TEST(test_lanes_take_sleeps_until_its_deadline)
{
    int64_t used_ns = cpu_ns(), deadline_ns = clock_deadline_ns(SHORT_MS);
    put_all(1, 0, 2);
    expect_take(1, 1, 0, 1); /* of a line that is not empty, too */
    expect_no_take(ST_TIMEOUT, deadline_ns);
    ck_assert_int_ge(clock_now_ns(), deadline_ns);
    ck_assert_int_lt(cpu_ns() - used_ns, SHORT_MS * CLOCK_NS_PER_MS / 5);
    finish(1, 0, 1, 0, 0);
    expect_take(1, 1, 1, 1); /* late, but there */
}
END_TEST

START_TEST(test_lanes_take_sleeps_until_a_parked_lane_is_due)
{
    struct item items[MAX];
    int64_t key, used_ns = cpu_ns(), until_ns = clock_deadline_ns(SHORT_MS);
    int count, tries;
    put_all(1, 0, 1);
    expect_take(1, 1, 0, 1);
    finish(1, 0, 0, 1, until_ns);
    ck_assert_status(lanes_take(lanes, CLOCK_NEVER, items, 1, &key, &count, &tries), ST_OK);
    ck_assert_int_ge(clock_now_ns(), until_ns);
    ck_assert_int_lt(cpu_ns() - used_ns, SHORT_MS * CLOCK_NS_PER_MS / 5);
}
END_TEST

START_TEST(test_lanes_close_drains_and_then_says_closed)
{
    struct item item = item_of(1, 9);
    int64_t place = -1, until_ns = clock_deadline_ns(SHORT_MS);
    put_all(1, 0, LANE_MAX);
    put_all(2, 0, MAX - LANE_MAX);
    lanes_close(lanes, CLOCK_NEVER);
    ck_assert_status(lanes_put(lanes, 1, &item, &place), ST_CLOSED); /* full as well */
    ck_assert_int_eq(read_stats().refused, 0);
    expect_take(MAX, 1, 0, LANE_MAX);
    finish(1, 0, 1, LANE_MAX - 1, until_ns);
    expect_take(MAX, 2, 0, MAX - LANE_MAX);
    ck_assert_int_eq(take_tries(CLOCK_NEVER), 1); /* what is parked is in line */
    ck_assert_int_ge(clock_now_ns(), until_ns);
    expect_no_take(ST_CLOSED, CLOCK_NEVER);
    finish(1, 1, LANE_MAX - 2, 1, 0); /* was accepted before: */
    expect_take(MAX, 1, LANE_MAX - 1, 1);
    expect_no_take(ST_CLOSED, 0);
    lanes_close(lanes, CLOCK_NEVER); /* a second time is no harm */
    ck_assert_status(lanes_put(lanes, 1, &item, &place), ST_CLOSED);
    ck_assert_int_eq(place, -1);
}
END_TEST

START_TEST(test_lanes_close_ends_takes_at_its_deadline)
{
    put_all(1, 0, 2);
    put_all(2, 0, 1);
    expect_take(1, 1, 0, 1);
    finish(1, 0, 0, 1, CLOCK_NEVER);
    expect_take(MAX, 2, 0, 1);
    int64_t deadline_ns = clock_deadline_ns(SHORT_MS);
    lanes_close(lanes, deadline_ns);
    lanes_close(lanes, CLOCK_NEVER); /* the earliest holds */
    expect_no_take(ST_CLOSED, CLOCK_NEVER);
    ck_assert_int_ge(clock_now_ns(), deadline_ns);
    finish(2, 0, 0, 1, 0);
    expect_no_take(ST_CLOSED, CLOCK_NEVER); /* though it is there */
    ck_assert_int_eq(read_stats().length, 3);
}
END_TEST

START_TEST(test_lanes_free_accepts_null_and_what_is_in_line)
{
    lanes_free(NULL);
    put_all(1, 0, LANE_MAX); /* asan would tell */
    expect_take(1, 1, 0, 1);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_lanes_give_a_lane_s_items_in_their_order);
    tcase_add_test(tc, test_lanes_take_is_of_one_lane);
    tcase_add_test(tc, test_lanes_take_turns);
    tcase_add_test(tc, test_lanes_take_turns_while_nobody_finishes);
    tcase_add_test(tc, test_lanes_free_again_stands_behind_those_ready);
    tcase_add_test(tc, test_lanes_have_their_takers_and_no_more);
    tcase_add_test(tc, test_lanes_are_found_by_their_keys);
    tcase_add_test(tc, test_lanes_put_refuses_when_no_slot_is_free);
    tcase_add_test(tc, test_lanes_put_refuses_more_than_a_lane_s_share);
    tcase_add_test(tc, test_lanes_of_one_hold_one);
    tcase_add_test(tc, test_lanes_finish_puts_what_is_not_done_in_front);
    tcase_add_test(tc, test_lanes_parked_are_not_taken_before_their_time);
    tcase_add_test(tc, test_lanes_parked_are_due_in_the_order_of_their_times);
    tcase_add_test(tc, test_lanes_parked_twice_are_so_until_the_later_time);
    tcase_add_test(tc, test_lanes_ready_ones_can_be_parked);
    tcase_add_test(tc, test_lanes_tries_count_give_backs_in_a_row);
    tcase_add_test(tc, test_lanes_take_sleeps_until_its_deadline);
    tcase_add_test(tc, test_lanes_take_sleeps_until_a_parked_lane_is_due);
    tcase_add_test(tc, test_lanes_close_drains_and_then_says_closed);
    tcase_add_test(tc, test_lanes_close_ends_takes_at_its_deadline);
    tcase_add_test(tc, test_lanes_free_accepts_null_and_what_is_in_line);
}

int main(void)
{
    return test_main("lanes", add_tests);
}
