/* Tests of common/uuid: the form of what is made, its randomness as far as a test can tell, and the
 * strictness of the check. */
#include "common/uuid.h"

#include <pthread.h>

#include "common/tests/harness.h"

enum { THREADS = 4, IDS_EACH = 5000, IDS = THREADS * IDS_EACH };

static char ids[IDS][UUID_TEXT_SIZE];
static pthread_barrier_t start;

START_TEST(test_uuid_random_is_version_4_in_lower_case)
{
    for (int i = 0; i < 1000; i++) {
        char id[UUID_TEXT_SIZE];
        memset(id, 'x', sizeof(id));
        uuid_random(id);
        ck_assert_uint_eq(strlen(id), UUID_TEXT_SIZE - 1);
        ck_assert_uint_eq(strspn(id, "0123456789abcdef-"), UUID_TEXT_SIZE - 1);
        ck_assert(uuid_is_valid(id));
        ck_assert_int_eq(id[14], '4');
        ck_assert_ptr_nonnull(strchr("89ab", id[19]));
    }
}
END_TEST

static void *make_ids(void *from)
{
    char(*mine)[UUID_TEXT_SIZE] = from;
    pthread_barrier_wait(&start);
    for (int i = 0; i < IDS_EACH; i++) {
        uuid_random(mine[i]);
    }
    return NULL;
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp(a, b);
}

START_TEST(test_uuid_random_gives_no_id_twice_to_threads_at_once)
{
    pthread_t threads[THREADS];
    pthread_barrier_init(&start, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, make_ids, ids[i * IDS_EACH]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_barrier_destroy(&start);
    qsort(ids, IDS, sizeof(ids[0]), compare_ids);
    for (int i = 1; i < IDS; i++) {
        ck_assert_str_ne(ids[i - 1], ids[i]);
    }
}
END_TEST

/* Each free hex digit takes each value: a digit that is stuck would be a bug in the formatting.
 * Of 2000 ids, one value missing at one of 30 places by chance: less than 1e-50. */
START_TEST(test_uuid_random_varies_every_free_digit)
{
    static const char digits[] = "0123456789abcdef";
    unsigned int seen[UUID_TEXT_SIZE - 1] = {0};
    for (int i = 0; i < 2000; i++) {
        char id[UUID_TEXT_SIZE];
        uuid_random(id);
        for (int at = 0; at < UUID_TEXT_SIZE - 1; at++) {
            const char *digit = strchr(digits, id[at]);
            seen[at] |= digit ? 1U << (digit - digits) : 0;
        }
    }
    for (int at = 0; at < UUID_TEXT_SIZE - 1; at++) {
        bool is_dash = at == 8 || at == 13 || at == 18 || at == 23;
        unsigned int expected = is_dash ? 0 : at == 14 ? 1U << 4 : at == 19 ? 0xf00U : 0xffffU;
        ck_assert_uint_eq(seen[at], expected);
    }
}
END_TEST

/* The first is RFC 9562's own (appendix A.4); the others are Python's uuid.uuid5. */
static const struct {
    const char *space;
    const char *name;
    size_t length;
    const char *id;
} named[] = {
    {"6ba7b810-9dad-11d1-80b4-00c04fd430c8", "www.example.com", 15,
     "2ed6657d-e927-568b-95e1-2665a8aea6a2"},
    {"6ba7b811-9dad-11d1-80b4-00c04fd430c8", "https://www.example.com/", 24,
     "3d3ed9d2-aa3d-5fa6-90e8-ed662e90f559"},
    {"6BA7B810-9DAD-11D1-80B4-00C04FD430C8", "www.example.com", 15,
     "2ed6657d-e927-568b-95e1-2665a8aea6a2"},
    {"f81d4fae-7dec-41d0-a765-00a0c91e6bf6", "", 0, "2e090527-6d62-5adf-97ca-d3bd2ed8736e"},
    {"6ba7b810-9dad-11d1-80b4-00c04fd430c8", "a\0b", 3, "0a63f66b-e02f-5d2d-9fd4-aad819cf5352"},
    {"6ba7b810-9dad-11d1-80b4-00c04fd430c8", "a\0b", 1, "4f3f2898-69e3-5a0d-820a-c4e87987dbce"},
};
enum { NAMED_COUNT = sizeof(named) / sizeof(named[0]) };

START_TEST(test_uuid_v5_is_what_others_make_of_the_name)
{
    char id[UUID_TEXT_SIZE];
    uuid_v5(named[_i].space, named[_i].name, named[_i].length, id);
    ck_assert_str_eq(id, named[_i].id);
    ck_assert(uuid_is_valid(id));
}
END_TEST

/* A name of one block of SHA-1 and more: nothing of it is dropped. */
START_TEST(test_uuid_v5_takes_long_names_whole)
{
    char name[1000], one[UUID_TEXT_SIZE], other[UUID_TEXT_SIZE];
    memset(name, 'k', sizeof(name));
    uuid_v5(named[0].space, name, sizeof(name), one);
    name[sizeof(name) - 1] = 'l';
    uuid_v5(named[0].space, name, sizeof(name), other);
    ck_assert_str_ne(one, other);
    uuid_v5(named[1].space, name, sizeof(name), one);
    ck_assert_str_ne(one, other);
}
END_TEST

static void *name_ids(void *unused)
{
    bool all_right = true;
    (void)unused;
    pthread_barrier_wait(&start);
    for (int i = 0; i < IDS_EACH; i++) {
        char id[UUID_TEXT_SIZE];
        uuid_v5(named[i % NAMED_COUNT].space, named[i % NAMED_COUNT].name,
                named[i % NAMED_COUNT].length, id);
        all_right = all_right && strcmp(id, named[i % NAMED_COUNT].id) == 0;
    }
    return all_right ? &start : NULL; /* anything but NULL */
}

START_TEST(test_uuid_v5_is_right_on_threads_at_once)
{
    pthread_t threads[THREADS];
    pthread_barrier_init(&start, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, name_ids, NULL), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *all_right = NULL;
        pthread_join(threads[i], &all_right);
        ck_assert_ptr_nonnull(all_right);
    }
    pthread_barrier_destroy(&start);
}
END_TEST

START_TEST(test_uuid_is_valid_takes_the_canonical_form_of_either_case)
{
    ck_assert(uuid_is_valid("f81d4fae-7dec-41d0-a765-00a0c91e6bf6"));
    ck_assert(uuid_is_valid("F81D4FAE-7DEC-41D0-A765-00A0C91E6BF6"));
    ck_assert(uuid_is_valid("00000000-0000-0000-0000-000000000000"));
}
END_TEST

START_TEST(test_uuid_is_valid_refuses_every_other_form)
{
    static const char *const bad[] = {
        "",
        "f81d4fae",
        "f81d4fae-7dec-41d0-a765-00a0c91e6bf",
        "f81d4fae-7dec-41d0-a765-00a0c91e6bf66",
        "f81d4fae-7dec-41d0-a765-00a0c91e6bf6 ",
        " f81d4fae-7dec-41d0-a765-00a0c91e6bf6",
        "f81d4fae-7dec-41d0-a765-00a0c91e6bf6\n",
        "{f81d4fae-7dec-41d0-a765-00a0c91e6bf6}",
        "f81d4fae7dec41d0a76500a0c91e6bf6",
        "f81d4fae07dec041d00a765000a0c91e6bf6",
        "f81d4fae-7dec-41d0-a765-00a0c91e6bfg",
        "-81d4fae-7dec-41d0-a765-00a0c91e6bf6",
        "f81d4fae-7dec-41d0-a765-00a0c91e6b\xc3\xa9",
        "f81d4faef-7de-41d0-a765-00a0c91e6bf6",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(!uuid_is_valid(bad[i]), "taken: %s", bad[i]);
    }
    ck_assert(!uuid_is_valid(NULL));
}
END_TEST

/* Every byte at every place: only hex digits, and only dashes in place. */
START_TEST(test_uuid_is_valid_refuses_every_wrong_byte)
{
    for (int at = 0; at < UUID_TEXT_SIZE - 1; at++) {
        for (int byte = 0; byte < 256; byte++) {
            char id[UUID_TEXT_SIZE] = "f81d4fae-7dec-41d0-a765-00a0c91e6bf6";
            bool was_dash = id[at] == '-';
            id[at] = (char)byte;
            bool is_hex = byte != 0 && strchr("0123456789abcdefABCDEF", byte) != NULL;
            ck_assert_int_eq(uuid_is_valid(id), was_dash ? byte == '-' : is_hex);
        }
    }
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_test(tc, test_uuid_random_is_version_4_in_lower_case);
    tcase_add_test(tc, test_uuid_random_gives_no_id_twice_to_threads_at_once);
    tcase_add_test(tc, test_uuid_random_varies_every_free_digit);
    tcase_add_test(tc, test_uuid_v5_is_right_on_threads_at_once); /* first: they fetch SHA-1 */
    tcase_add_loop_test(tc, test_uuid_v5_is_what_others_make_of_the_name, 0, NAMED_COUNT);
    tcase_add_test(tc, test_uuid_v5_takes_long_names_whole);
    tcase_add_test(tc, test_uuid_is_valid_takes_the_canonical_form_of_either_case);
    tcase_add_test(tc, test_uuid_is_valid_refuses_every_other_form);
    tcase_add_test(tc, test_uuid_is_valid_refuses_every_wrong_byte);
}

int main(void)
{
    return test_main("uuid", add_tests);
}
