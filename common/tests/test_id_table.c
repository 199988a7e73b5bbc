/* Tests of common/id_table: what is under an id, who makes way, and that all memory comes back. */
#include "common/id_table.h"

#include "common/tests/harness.h"
#include "common/uuid.h"

enum {
    MAX = 100, /* with as many buckets: chains of several */
    ROUNDS = 20000,
    NUMBERS = 300, /* ids that a walk is about */
    SPREAD = 4096, /* of ids that differ little */
    BUCKETS = 64,
};

struct value {
    int64_t number;
    int64_t rest[3];
};

static struct id_key secret;
static struct id_table *table;

static void set_up(void)
{
    secret = id_key_secret();
    table = id_table_new(MAX, sizeof(struct value));
}

static void tear_down(void)
{
    id_table_free(table);
    table = NULL;
}

static struct id_key key_of(int number)
{
    char id[ID_TABLE_ID_MAX + 1];
    snprintf(id, sizeof id, "order-%d", number);
    return id_key_of(&secret, id);
}

static struct value *find(int number)
{
    struct id_key key = key_of(number);
    return id_table_find(table, &key);
}

static struct value *add(int number)
{
    static const struct value zero;
    struct id_key key = key_of(number);
    struct value *value = id_table_add(table, &key);
    if (value != NULL) {
        ck_assert_mem_eq(value, &zero, sizeof zero);
        *value = (struct value){.number = number, .rest = {-1, -1, number}};
    }
    return value;
}

static struct id_table_stats read_stats(void)
{
    struct id_table_stats stats;
    memset(&stats, 0xff, sizeof stats);
    id_table_read_stats(table, &stats);
    return stats;
}

static void expect(int number)
{
    const struct value *value = find(number);
    ck_assert_ptr_nonnull(value);
    ck_assert_int_eq(value->number, number);
    ck_assert_int_eq(value->rest[0] + value->rest[1], -2);
    ck_assert_int_eq(value->rest[2], number);
}

START_TEST(test_id_table_holds_max_entries_and_no_more)
{
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < MAX; i++) {
            ck_assert_ptr_null(find(i));
            ck_assert_ptr_nonnull(add(i));
        }
        ck_assert_ptr_null(add(MAX));
        for (int i = 0; i < MAX; i++) {
            expect(i);
        }
        ck_assert_ptr_null(find(MAX));
        ck_assert_int_eq(read_stats().used, MAX);
        for (int i = 0; i < MAX; i++) {
            id_table_remove(table, find(i));
        }
        ck_assert_int_eq(read_stats().used, 0);
    }
}
END_TEST

START_TEST(test_id_table_of_one_holds_one)
{
    tear_down();
    table = id_table_new(1, sizeof(struct value));
    ck_assert_ptr_nonnull(add(1));
    ck_assert_ptr_null(add(2));
    id_table_release(table, find(1));
    ck_assert_ptr_nonnull(add(2));
    ck_assert_ptr_null(find(1));
    expect(2);
    ck_assert_ptr_null(add(3));
}
END_TEST

START_TEST(test_id_table_released_first_makes_way_first)
{
    for (int i = 0; i < MAX; i++) {
        ck_assert_ptr_nonnull(add(i));
    }
    for (int i = 0; i < MAX; i += 2) {
        id_table_release(table, find((i * 7 + 2) % MAX)); /* the even ones, in some order */
    }
    ck_assert_int_eq(read_stats().released, MAX / 2);
    for (int i = 0; i < MAX; i += 2) {
        expect((i * 7 + 2) % MAX);
        ck_assert_ptr_nonnull(add(MAX + i));
        ck_assert_ptr_null(find((i * 7 + 2) % MAX));
    }
    ck_assert_ptr_null(add(2 * MAX));
    for (int i = 1; i < MAX; i += 2) {
        expect(i);
    }
    ck_assert_int_eq(read_stats().used, MAX);
    ck_assert_int_eq(read_stats().released, 0);
    ck_assert_int_eq(read_stats().evicted, MAX / 2);
}
END_TEST

START_TEST(test_id_table_nobody_makes_way_while_there_is_room)
{
    ck_assert_ptr_nonnull(add(0));
    id_table_release(table, find(0));
    for (int i = 1; i < MAX; i++) {
        ck_assert_ptr_nonnull(add(i));
    }
    expect(0);
    ck_assert_int_eq(read_stats().evicted, 0);
    ck_assert_ptr_nonnull(add(MAX));
    ck_assert_ptr_null(find(0));
}
END_TEST

/* A long walk beside a plain list of what must be there. */
START_TEST(test_id_table_agrees_with_a_plain_list)
{
    enum { ABSENT, HELD, RELEASED } state[NUMBERS] = {ABSENT};
    int line[ROUNDS], first = 0, last = 0, used = 0;
    unsigned int dice = 1;
    for (int round = 0; round < ROUNDS; round++) {
        dice = dice * 1103515245U + 12345U;
        int number = (int)((dice >> 8) % NUMBERS);
        if (state[number] == ABSENT) {
            bool has_way = used < MAX || first < last;
            ck_assert_int_eq(add(number) != NULL, has_way);
            if (used == MAX && has_way) {
                state[line[first++]] = ABSENT;
                used--;
            }
            state[number] = has_way ? HELD : ABSENT;
            used += has_way;
        } else if (state[number] == HELD && dice >> 30 != 0) {
            id_table_release(table, find(number));
            line[last++] = number;
            state[number] = RELEASED;
        } else if (state[number] == HELD) {
            id_table_remove(table, find(number));
            state[number] = ABSENT;
            used--;
        }
        ck_assert_int_eq(read_stats().used, used);
        ck_assert_int_eq(read_stats().released, last - first);
    }
    for (int number = 0; number < NUMBERS; number++) {
        ck_assert_int_eq(find(number) != NULL, state[number] != ABSENT);
    }
    ck_assert_int_gt(read_stats().evicted, 0);
}
END_TEST

START_TEST(test_id_table_ids_differ_in_every_byte_but_not_in_case)
{
    char id[ID_TABLE_ID_MAX + 1];
    tear_down();
    table = id_table_new(1, sizeof(struct value)); /* one bucket: the hash tells nothing apart */
    memset(id, 'a', ID_TABLE_ID_MAX);
    id[ID_TABLE_ID_MAX] = '\0';
    struct id_key key = id_key_of(&secret, id);
    ck_assert_ptr_nonnull(id_table_add(table, &key));
    for (int i = 0; i < ID_TABLE_ID_MAX; i++) {
        id[i] = 'A';
        key = id_key_of(&secret, id);
        ck_assert_ptr_nonnull(id_table_find(table, &key));
        id[i] = 'b';
        key = id_key_of(&secret, id);
        ck_assert_ptr_null(id_table_find(table, &key));
        id[i] = 'a';
    }
    id[ID_TABLE_ID_MAX - 1] = '\0';
    key = id_key_of(&secret, id);
    ck_assert_ptr_null(id_table_find(table, &key));
}
END_TEST

/* Ids that differ in one place only land anywhere, in the first bits as in the last ones. */
START_TEST(test_id_table_hash_spreads_what_is_alike)
{
    int high[BUCKETS] = {0}, low[BUCKETS] = {0};
    for (int number = 0; number < SPREAD; number++) {
        struct id_key key = key_of(number);
        high[key.hash >> 58]++;
        low[key.hash % BUCKETS]++;
    }
    for (int i = 0; i < BUCKETS; i++) { /* 64 on average; twice that is 8 standard deviations */
        ck_assert_int_lt(high[i], 2 * SPREAD / BUCKETS);
        ck_assert_int_lt(low[i], 2 * SPREAD / BUCKETS);
    }
}
END_TEST

START_TEST(test_id_table_hash_is_another_under_another_secret)
{
    const struct id_key other = id_key_secret();
    int same = 0;
    for (int number = 0; number < SPREAD; number++) {
        char id[UUID_TEXT_SIZE];
        uuid_random(id);
        uint64_t distance = id_key_of(&secret, id).hash ^ id_key_of(&other, id).hash;
        same += distance >> 58 == 0;
    }
    ck_assert_int_lt(same, 2 * SPREAD / BUCKETS);
}
END_TEST

START_TEST(test_id_table_free_accepts_null)
{
    id_table_free(NULL);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_id_table_holds_max_entries_and_no_more);
    tcase_add_test(tc, test_id_table_of_one_holds_one);
    tcase_add_test(tc, test_id_table_released_first_makes_way_first);
    tcase_add_test(tc, test_id_table_nobody_makes_way_while_there_is_room);
    tcase_add_test(tc, test_id_table_agrees_with_a_plain_list);
    tcase_add_test(tc, test_id_table_ids_differ_in_every_byte_but_not_in_case);
    tcase_add_test(tc, test_id_table_hash_spreads_what_is_alike);
    tcase_add_test(tc, test_id_table_hash_is_another_under_another_secret);
    tcase_add_test(tc, test_id_table_free_accepts_null);
}

int main(void)
{
    return test_main("id_table", add_tests);
}
