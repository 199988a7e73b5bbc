/* Tests of common/lanes: places, what is counted, ages, the pace. */
#include "common/tests/lanes_fixture.h"

enum { LONG_MS = 60 };

static void rest(int ms)
{
    clock_sleep_until(clock_deadline_ns(ms)); /* time is what is measured */
}

static void take_and_finish(int max, int key, int first, int count)
{
    expect_take(max, key, first, count);
    finish(key, first, count, 0, 0);
}

/* -------------------------------------------------------------------------------------- places */

START_TEST(test_lanes_position_is_who_stands_before_in_the_lane)
{
    int64_t places[LANE_MAX];
    make(2 * LANE_MAX, LANE_MAX, LANE_MAX);
    for (int i = 0; i < LANE_MAX; i++) {
        places[i] = put(1, i);
        put_all(2, i, 1);
    }
    for (int taken = 0; taken < LANE_MAX; taken++) {
        for (int i = 0; i < LANE_MAX; i++) {
            ck_assert_int_eq(lanes_position(lanes, 1, places[i]), i < taken ? 0 : i - taken);
        }
        expect_take(1, 1, taken, 1);
        expect_take(1, 2, taken, 1);
    }
    ck_assert_int_eq(lanes_position(lanes, 1, places[LANE_MAX - 1]), 0);
}
END_TEST

START_TEST(test_lanes_position_stays_right_over_a_give_back)
{
    int64_t places[LANE_MAX + 1];
    for (int i = 0; i < LANE_MAX; i++) {
        places[i] = put(1, i);
    }
    expect_take(3, 1, 0, 3);
    ck_assert_int_eq(lanes_position(lanes, 1, places[2]), 0);
    ck_assert_int_eq(lanes_position(lanes, 1, places[4]), 1);
    finish(1, 0, 1, 2, CLOCK_NEVER); /* 1 2 3 4 are in line */
    places[LANE_MAX] = put(1, LANE_MAX);
    ck_assert_int_eq(lanes_position(lanes, 1, places[0]), 0);
    for (int i = 1; i <= LANE_MAX; i++) {
        ck_assert_int_eq(lanes_position(lanes, 1, places[i]), i - 1);
    }
}
END_TEST

START_TEST(test_lanes_position_of_what_is_not_there_is_0)
{
    ck_assert_int_eq(lanes_position(lanes, 1, 0), 0);
    put_all(1, 0, LANE_MAX);
    ck_assert_int_eq(lanes_position(lanes, 1, INT64_MAX), 0);
    ck_assert_int_eq(lanes_position(lanes, 1, LANE_MAX), 0);
    ck_assert_int_eq(lanes_position(lanes, 1, -1), 0);
    ck_assert_int_eq(lanes_position(lanes, 2, 3), 0);
}
END_TEST

/* A lane that went and came anew: what was put before is done, and what is put stands where it
 * stands. */
START_TEST(test_lanes_position_is_right_in_a_lane_that_came_anew)
{
    int64_t old[LANE_MAX];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < LANE_MAX; i++) {
            int64_t place = put(1, i);
            ck_assert_int_eq(lanes_position(lanes, 1, place), i);
            for (int k = 0; k < LANE_MAX && round > 0; k++) {
                ck_assert_int_ne(place, old[k]);
                ck_assert_int_eq(lanes_position(lanes, 1, old[k]), 0);
            }
            old[i] = round == 0 ? place : old[i];
        }
        take_and_finish(MAX, 1, 0, LANE_MAX);
    }
}
END_TEST

/* ------------------------------------------------------------------------------------- counts */

START_TEST(test_lanes_stats_tell_what_happened)
{
    struct lanes_stats stats = read_stats();
    ck_assert_int_eq(stats.max, MAX);
    ck_assert_int_eq(stats.length + stats.taken + stats.age_ns + stats.put + stats.refused, 0);
    ck_assert_int_eq(stats.lanes + stats.parked + stats.lane_refused + stats.interval_ns, 0);
    put_all(1, 0, 4);
    put_all(2, 0, 2);
    put_all(3, 0, 1);
    ck_assert_int_eq(read_stats().lanes, 3);
    expect_take(3, 1, 0, 3);
    expect_take(MAX, 2, 0, 2);
    stats = read_stats();
    ck_assert_int_eq(stats.length, 2);
    ck_assert_int_eq(stats.taken, 5);
    ck_assert_int_eq(stats.lanes, 2); /* one is with its taker altogether */
    ck_assert_int_eq(stats.put, 7);
    finish(1, 0, 1, 2, CLOCK_NEVER);
    int64_t until_ns = clock_deadline_ns(SHORT_MS);
    finish(2, 0, 0, 2, until_ns);
    stats = read_stats();
    bool is_early = clock_now_ns() < until_ns;
    ck_assert_int_eq(stats.length, 6);
    ck_assert_int_eq(stats.taken, 0);
    ck_assert_int_eq(stats.lanes, 3);
    ck_assert(!is_early || stats.parked == 2);
    ck_assert_int_eq(stats.put, 7);
    rest(SHORT_MS);
    ck_assert_int_eq(read_stats().parked, 1); /* though nobody came for it */
    expect_take(1, 3, 0, 1);
    expect_take(MAX, 2, 0, 2);
}
END_TEST

START_TEST(test_lanes_age_is_that_of_the_oldest_in_line)
{
    put_all(1, 0, 1);
    rest(SHORT_MS);
    int64_t second_ns = clock_now_ns();
    put_all(2, 0, 1);
    ck_assert_int_ge(read_stats().age_ns, SHORT_MS * CLOCK_NS_PER_MS);
    expect_take(1, 1, 0, 1);
    ck_assert_int_le(read_stats().age_ns, clock_now_ns() - second_ns);
    finish(1, 0, 0, 1, 0); /* as old as it was */
    ck_assert_int_ge(read_stats().age_ns, SHORT_MS * CLOCK_NS_PER_MS);
    take_and_finish(1, 2, 0, 1);
    ck_assert_int_ge(read_stats().age_ns, SHORT_MS * CLOCK_NS_PER_MS);
    take_and_finish(1, 1, 0, 1);
    ck_assert_int_eq(read_stats().age_ns, 0);
}
END_TEST

/* The first is overtaken by the second: it is as old as it was. */
START_TEST(test_lanes_age_of_what_is_overtaken)
{
    put_all(1, 0, 1);
    int64_t first_ns = clock_now_ns();
    rest(2);
    put_all(1, 1, 2);
    expect_take(3, 1, 0, 3);
    const struct item items[] = {item_of(1, 0), item_of(1, 1), item_of(1, 2)};
    lanes_finish(lanes, 1, items, 3, (const bool[]){false, true, false}, 0);
    int64_t now_ns = clock_now_ns();
    ck_assert_int_ge(read_stats().age_ns, now_ns - first_ns);
    expect_take(1, 1, 0, 1);
    finish(1, 0, 1, 0, 0);
    expect_take(1, 1, 2, 1);
    ck_assert_int_eq(read_stats().taken, 1);
}
END_TEST

/* What comes back stands among the ages where it was: before younger, behind older. */
START_TEST(test_lanes_age_finds_its_place_again)
{
    put_all(0, 0, 1);
    int64_t first_ns = clock_now_ns();
    rest(2);
    put_all(1, 0, 1);
    put_all(2, 0, 1);
    expect_take(1, 0, 0, 1);
    expect_take(1, 1, 0, 1);
    finish(0, 0, 0, 1, CLOCK_NEVER);
    finish(1, 0, 0, 1, 0);
    int64_t now_ns = clock_now_ns();
    ck_assert_int_ge(read_stats().age_ns, now_ns - first_ns);
    take_and_finish(1, 2, 0, 1);
    take_and_finish(1, 1, 0, 1);
    now_ns = clock_now_ns();
    ck_assert_int_ge(read_stats().age_ns, now_ns - first_ns);
    ck_assert_int_eq(read_stats().length, 1);
}
END_TEST

/* ------------------------------------------------------------------------------------- the pace */

START_TEST(test_lanes_interval_is_between_done_items)
{
    put_all(1, 0, 5);
    put_all(2, 0, 1);
    int64_t began_ns = clock_now_ns();
    take_and_finish(1, 1, 0, 1);
    rest(LONG_MS);
    take_and_finish(1, 2, 0, 1); /* of whatever lane */
    int64_t most_ns = clock_now_ns() - began_ns;
    take_and_finish(MAX, 1, 1, 4); /* the line is empty: the average is all that is read */
    ck_assert_int_ge(read_stats().interval_ns, LONG_MS * CLOCK_NS_PER_MS / 2);
    ck_assert_int_le(read_stats().interval_ns, most_ns);
}
END_TEST

START_TEST(test_lanes_interval_counts_a_batch_as_its_items)
{
    make(MAX, MAX, 1);
    put_all(1, 0, MAX);
    int64_t began_ns = clock_now_ns();
    take_and_finish(1, 1, 0, 1);
    rest(LONG_MS);
    take_and_finish(6, 1, 1, 6);
    int64_t gap_ns = clock_now_ns() - began_ns;
    expect_take(1, 1, 7, 1);
    ck_assert_int_ge(read_stats().interval_ns, LONG_MS * CLOCK_NS_PER_MS / 6);
    ck_assert_int_le(read_stats().interval_ns, gap_ns / 6);
}
END_TEST

START_TEST(test_lanes_interval_is_an_average_by_items)
{
    for (int batch = 1; batch <= 4; batch += 3) {
        make(MAX, MAX, 1);
        put_all(1, 0, MAX);
        take_and_finish(1, 1, 0, 1);
        int64_t began_ns = clock_now_ns();
        take_and_finish(1, 1, 1, 1);                /* a gap of next to nothing */
        int64_t most_ns = read_stats().interval_ns; /* with what has passed since */
        rest(LONG_MS);
        take_and_finish(batch, 1, 2, batch);
        int64_t gap_ns = clock_now_ns() - began_ns;
        expect_take(MAX, 1, 2 + batch, MAX - 2 - batch);
        int64_t interval_ns = read_stats().interval_ns;
        ck_assert_int_ge(interval_ns, LONG_MS * CLOCK_NS_PER_MS / (batch + 15));
        ck_assert_int_le(interval_ns, most_ns + gap_ns / (batch + 15));
    }
}
END_TEST

START_TEST(test_lanes_interval_forgets_gaps_with_an_empty_line)
{
    put_all(1, 0, 4);
    take_and_finish(1, 1, 0, 1);
    take_and_finish(1, 1, 1, 1);
    expect_take(MAX, 1, 2, 2); /* the line is empty; worked on for long */
    int64_t known_ns = read_stats().interval_ns;
    rest(LONG_MS);
    finish(1, 2, 2, 0, 0);
    ck_assert_int_eq(read_stats().interval_ns, known_ns);
    rest(LONG_MS); /* nobody was in line */
    int64_t put_ns = clock_now_ns();
    put_all(1, 4, 1);
    int64_t shown_ns = read_stats().interval_ns;
    ck_assert_int_le(shown_ns, known_ns + (clock_now_ns() - put_ns) / 16);
    take_and_finish(1, 1, 4, 1);
    ck_assert_int_eq(read_stats().interval_ns, known_ns);
    rest(LONG_MS);
    int64_t again_ns = clock_now_ns();
    put_all(1, 5, 2);
    take_and_finish(1, 1, 5, 1); /* and the line is not empty now */
    ck_assert_int_le(read_stats().interval_ns, known_ns + clock_now_ns() - again_ns);
}
END_TEST

START_TEST(test_lanes_interval_shows_that_nothing_is_done)
{
    put_all(1, 0, 4);
    take_and_finish(1, 1, 0, 1);
    take_and_finish(1, 1, 1, 1);
    int64_t before_ns = read_stats().interval_ns;
    expect_take(1, 1, 2, 1);
    rest(LONG_MS);
    ck_assert_int_ge(read_stats().interval_ns - before_ns, LONG_MS * CLOCK_NS_PER_MS / 32);
    finish(1, 2, 0, 1, 0); /* that is nothing done */
    rest(LONG_MS);
    ck_assert_int_ge(read_stats().interval_ns - before_ns, LONG_MS * CLOCK_NS_PER_MS / 16);
}
END_TEST

/* It will have been a batch's as well. */
START_TEST(test_lanes_interval_of_a_gap_that_goes_on_is_for_as_many_as_last_time)
{
    make(MAX, MAX, 1);
    put_all(1, 0, MAX);
    take_and_finish(1, 1, 0, 1);
    int64_t began_ns = clock_now_ns();
    take_and_finish(5, 1, 1, 5); /* a gap of next to nothing */
    expect_take(1, 1, 6, 1);
    rest(LONG_MS);
    int64_t interval_ns = read_stats().interval_ns;
    int64_t gap_ns = clock_now_ns() - began_ns;
    ck_assert_int_ge(interval_ns, LONG_MS * CLOCK_NS_PER_MS / (5 + 15));
    ck_assert_int_le(interval_ns, gap_ns / (5 + 15) + gap_ns / 1000);
}
END_TEST

/* No gap was ever measured: how long the oldest has waited while nothing was done is a pace too. */
START_TEST(test_lanes_interval_never_measured_is_the_wait_so_far)
{
    put_all(1, 0, 1);
    expect_take(1, 1, 0, 1); /* and stands still */
    rest(SHORT_MS);
    int64_t put_ns = clock_now_ns();
    put_all(1, 1, 1);
    rest(LONG_MS);
    ck_assert_int_ge(read_stats().interval_ns, LONG_MS * CLOCK_NS_PER_MS);
    ck_assert_int_le(read_stats().interval_ns, clock_now_ns() - put_ns);
    int64_t finish_ns = clock_now_ns();
    finish(1, 0, 1, 0, 0);
    int64_t shown_ns = read_stats().interval_ns; /* anew */
    ck_assert_int_le(shown_ns, clock_now_ns() - finish_ns);
    take_and_finish(1, 1, 1, 1);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_lanes_position_is_who_stands_before_in_the_lane);
    tcase_add_test(tc, test_lanes_position_stays_right_over_a_give_back);
    tcase_add_test(tc, test_lanes_position_of_what_is_not_there_is_0);
    tcase_add_test(tc, test_lanes_position_is_right_in_a_lane_that_came_anew);
    tcase_add_test(tc, test_lanes_stats_tell_what_happened);
    tcase_add_test(tc, test_lanes_age_is_that_of_the_oldest_in_line);
    tcase_add_test(tc, test_lanes_age_of_what_is_overtaken);
    tcase_add_test(tc, test_lanes_age_finds_its_place_again);
    tcase_add_test(tc, test_lanes_interval_is_between_done_items);
    tcase_add_test(tc, test_lanes_interval_counts_a_batch_as_its_items);
    tcase_add_test(tc, test_lanes_interval_is_an_average_by_items);
    tcase_add_test(tc, test_lanes_interval_forgets_gaps_with_an_empty_line);
    tcase_add_test(tc, test_lanes_interval_shows_that_nothing_is_done);
    tcase_add_test(tc, test_lanes_interval_of_a_gap_that_goes_on_is_for_as_many_as_last_time);
    tcase_add_test(tc, test_lanes_interval_never_measured_is_the_wait_so_far);
}

int main(void)
{
    return test_main("lanes_stats", add_tests);
}
