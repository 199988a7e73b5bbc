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
    tcase_add_test(tc, test_uuid_is_valid_takes_the_canonical_form_of_either_case);
    tcase_add_test(tc, test_uuid_is_valid_refuses_every_other_form);
    tcase_add_test(tc, test_uuid_is_valid_refuses_every_wrong_byte);
}

int main(void)
{
    return test_main("uuid", add_tests);
}
