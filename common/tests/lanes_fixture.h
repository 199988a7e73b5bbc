/* lanes_fixture: what the tests of lanes share. */
#ifndef FLASHDEAL_TESTS_LANES_FIXTURE_H
#define FLASHDEAL_TESTS_LANES_FIXTURE_H

#include "common/clock.h"
#include "common/lanes.h"
#include "common/tests/harness.h"

enum {
    MAX = 8,
    LANE_MAX = 5,
    SHORT_MS = 30,       /* a wait that a test sees through to its end */
    PATIENCE_MS = 20000, /* for what must happen */
};

#define ck_assert_status(status_, expected_)                                                       \
    ck_assert_str_eq(status_name(status_), status_name(expected_))

/* Of a size that no alignment asks for. */
struct item {
    unsigned char key, number, tail;
};

static struct lanes *lanes;

static inline void make(int max, int lane_max, int lane_takers)
{
    lanes_free(lanes);
    lanes = lanes_new(&(struct lanes_options){.item_size = sizeof(struct item),
                                              .max = max,
                                              .lane_max = lane_max,
                                              .lane_takers = lane_takers});
}

static inline void set_up(void)
{
    make(MAX, LANE_MAX, 1);
}

static inline void tear_down(void)
{
    lanes_free(lanes);
    lanes = NULL;
}

static inline struct item item_of(int key, int number)
{
    return (struct item){(unsigned char)key, (unsigned char)number,
                         (unsigned char)(key ^ number ^ 0x5a)};
}

/* The place it got, or -1: busy. */
static inline int64_t put(int key, int number)
{
    struct item item = item_of(key, number);
    int64_t place = -1;
    enum status status = lanes_put(lanes, key, &item, &place);
    ck_assert_str_eq(status_name(status), place >= 0 ? "ok" : "busy");
    return place;
}

static inline void put_all(int key, int first, int count)
{
    for (int i = 0; i < count; i++) {
        ck_assert_int_ge(put(key, first + i), 0);
    }
}

/* Numbers first to first + done - 1 are done, those after it go back. */
static inline void finish(int key, int first, int done, int back, int64_t until_ns)
{
    struct item items[MAX];
    bool is_done[MAX];
    for (int i = 0; i < done + back; i++) {
        items[i] = item_of(key, first + i);
        is_done[i] = i < done;
    }
    lanes_finish(lanes, key, items, done + back, is_done, until_ns);
}

static inline struct lanes_stats read_stats(void)
{
    struct lanes_stats stats;
    memset(&stats, 0xff, sizeof stats);
    lanes_read_stats(lanes, &stats);
    return stats;
}

/* Takes max at most, at once, and expects this: that lane's numbers from first on. */
static inline void expect_take(int max, int key, int first, int count)
{
    struct item items[MAX];
    int64_t got_key = -1;
    int got = -1, tries = -1;
    ck_assert_status(lanes_take(lanes, 0, items, max, &got_key, &got, &tries), ST_OK);
    ck_assert_int_eq(got_key, key);
    ck_assert_int_eq(got, count);
    for (int i = 0; i < count; i++) {
        struct item expected = item_of(key, first + i);
        ck_assert_mem_eq(&items[i], &expected, sizeof expected);
    }
}

static inline void expect_no_take(enum status expected, int64_t deadline_ns)
{
    struct item items[MAX];
    int64_t key;
    int count = -1, tries;
    ck_assert_status(lanes_take(lanes, deadline_ns, items, MAX, &key, &count, &tries), expected);
    ck_assert_int_eq(count, 0);
}

#endif
