/* Tests of common/auth: a known token, time, one spelling, every wrong byte.
 *
 * Tokens with a right mac and a wrong content are signed here by libcrypto's one-shot HMAC(), so
 * that the form is refused for its own sake. */
#include "common/auth.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "common/tests/harness.h"

#define SECRET "a secret that the tests know"

/* printf %s 7.2000000000 | openssl dgst -sha256 -hmac 'a secret that the tests know' */
#define KNOWN_USER 7
#define KNOWN_EXPIRY INT64_C(2000000000)
#define KNOWN_TOKEN "7.2000000000.dd62ce780a060cd028f22fb19c529d3d7aa82553d48a6284ec1b3d5714a96951"
#define BEARER "Bearer "

/* The same of 9007199254740991.9223372036854775807: the largest numbers. */
#define LARGEST_USER INT64_C(9007199254740991)
#define LARGEST_TOKEN                                                                              \
    "9007199254740991.9223372036854775807."                                                        \
    "90843a3fee26e2804f45c2ee2762a44d2557afa1fb1d1eae25a7977960b04214"

enum { FIELD_SIZE = 512, UNTOUCHED = -77, THREADS = 8, ROUNDS_EACH = 500 };

static struct auth *auth;
static pthread_barrier_t start;

static void set_up(void)
{
    auth = auth_new(SECRET);
}

static void tear_down(void)
{
    auth_free(auth);
    auth = NULL;
}

/* The user that the field proves at that time, or UNTOUCHED. */
static int64_t user_at(const char *authorization, int64_t now_s)
{
    int64_t user_id = UNTOUCHED;
    bool proven = auth_verify(auth, authorization, now_s, &user_id);
    ck_assert_msg(proven == (user_id != UNTOUCHED), "%s", authorization);
    return user_id;
}

static int64_t user_of(const char *authorization)
{
    return user_at(authorization, KNOWN_EXPIRY);
}

/* "Bearer <text>.<mac>" with the right mac of the text, whatever it is. */
static void sign_text(const char *text, char out[FIELD_SIZE])
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned int mac_length = 0;
    ck_assert_ptr_nonnull(HMAC(EVP_sha256(), SECRET, (int)strlen(SECRET),
                               (const unsigned char *)text, strlen(text), mac, &mac_length));
    int used = snprintf(out, FIELD_SIZE, BEARER "%s.", text);
    for (unsigned int i = 0; i < mac_length; i++) {
        used += snprintf(out + used, FIELD_SIZE - (size_t)used, "%02x", mac[i]);
    }
}

static int64_t user_of_text(const char *text)
{
    char field[FIELD_SIZE];
    sign_text(text, field);
    return user_of(field);
}

/* ------------------------------------------------------------------------------- what is good */

START_TEST(test_auth_takes_a_known_token)
{
    ck_assert_int_eq(user_of(BEARER KNOWN_TOKEN), KNOWN_USER);
    ck_assert(user_of(BEARER LARGEST_TOKEN) == LARGEST_USER);
}
END_TEST

START_TEST(test_auth_signs_what_openssl_signs)
{
    char token[AUTH_TOKEN_SIZE];
    memset(token, 'x', sizeof(token));
    auth_sign(auth, KNOWN_USER, KNOWN_EXPIRY, token);
    ck_assert_str_eq(token, KNOWN_TOKEN);
    auth_sign(auth, LARGEST_USER, INT64_MAX, token);
    ck_assert_str_eq(token, LARGEST_TOKEN);
    auth_sign(auth, INT64_MIN, INT64_MIN, token); /* the longest fits, and is good for nothing */
    ck_assert_uint_lt(strlen(token), AUTH_TOKEN_SIZE);
}
END_TEST

START_TEST(test_auth_token_is_good_until_the_skew_after_its_expiry)
{
    ck_assert_int_eq(user_at(BEARER KNOWN_TOKEN, 0), KNOWN_USER);
    ck_assert_int_eq(user_at(BEARER KNOWN_TOKEN, KNOWN_EXPIRY - 1), KNOWN_USER);
    ck_assert_int_eq(user_at(BEARER KNOWN_TOKEN, KNOWN_EXPIRY), KNOWN_USER);
    ck_assert_int_eq(user_at(BEARER KNOWN_TOKEN, KNOWN_EXPIRY + AUTH_SKEW_S), KNOWN_USER);
    ck_assert_int_eq(user_at(BEARER KNOWN_TOKEN, KNOWN_EXPIRY + AUTH_SKEW_S + 1), UNTOUCHED);
    ck_assert_int_eq(user_at(BEARER KNOWN_TOKEN, INT64_MAX), UNTOUCHED);
    ck_assert(user_at(BEARER LARGEST_TOKEN, INT64_MAX) == LARGEST_USER);
}
END_TEST

START_TEST(test_auth_takes_the_scheme_in_any_case_and_with_more_spaces)
{
    ck_assert_int_eq(user_of("bearer " KNOWN_TOKEN), KNOWN_USER);
    ck_assert_int_eq(user_of("BEARER " KNOWN_TOKEN), KNOWN_USER);
    ck_assert_int_eq(user_of("bEaReR  " KNOWN_TOKEN), KNOWN_USER);
    ck_assert_int_eq(user_of("Bearer     " KNOWN_TOKEN), KNOWN_USER);
}
END_TEST

/* -------------------------------------------------------------------------------- what is not */

START_TEST(test_auth_refuses_other_schemes_and_forms)
{
    static const char *const bad[] = {
        "",
        " ",
        "Bearer",
        "Bearer ",
        "Bearer  ",
        KNOWN_TOKEN,
        " Bearer " KNOWN_TOKEN,
        "Bearer\t" KNOWN_TOKEN,
        "Bearer \t" KNOWN_TOKEN,
        "Bearer" KNOWN_TOKEN,
        "Bearer:" KNOWN_TOKEN,
        "Bearers " KNOWN_TOKEN,
        "Basic " KNOWN_TOKEN,
        "Digest " KNOWN_TOKEN,
        "Bearer " KNOWN_TOKEN " ",
        "Bearer " KNOWN_TOKEN "\t",
        "Bearer " KNOWN_TOKEN ",Bearer " KNOWN_TOKEN,
        "Bearer " KNOWN_TOKEN ", realm=x",
        "Bearer \"" KNOWN_TOKEN "\"",
        "Bearer token=" KNOWN_TOKEN,
        "Bearer " KNOWN_TOKEN "." KNOWN_TOKEN,
        "Bearer Bearer " KNOWN_TOKEN,
        "Bearer .",
        "Bearer ..",
        "Bearer 7.2000000000.",
        "Bearer 7.2000000000",
        "Bearer dd62ce780a060cd028f22fb19c529d3d7aa82553d48a6284ec1b3d5714a96951",
        "Bearer .dd62ce780a060cd028f22fb19c529d3d7aa82553d48a6284ec1b3d5714a96951",
        "Bearer 7.2000000000.DD62CE780A060CD028F22FB19C529D3D7AA82553D48A6284EC1B3D5714A96951",
        "Bearer 7.2000000000.Dd62ce780a060cd028f22fb19c529d3d7aa82553d48a6284ec1b3d5714a96951",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(user_of(bad[i]) == UNTOUCHED, "taken: %s", bad[i]);
    }
    ck_assert_int_eq(user_of(NULL), UNTOUCHED);
}
END_TEST

/* Signed by the secret's owner, and yet no token: each number has one spelling. */
START_TEST(test_auth_refuses_every_other_spelling_of_the_numbers)
{
    static const char *const bad[] = {
        "07.2000000000",
        "007.2000000000",
        "+7.2000000000",
        "-7.2000000000",
        "7.02000000000",
        "7.+2000000000",
        "7.-2000000000",
        " 7.2000000000",
        "7 .2000000000",
        "7. 2000000000",
        "7.2000000000 ",
        "7.2000000000\n",
        "7\t.2000000000",
        "7.2000000000.1",
        "7.2000000000.",
        "7..2000000000",
        ".7.2000000000",
        ".2000000000",
        "7.",
        "7",
        ".",
        "",
        "7,2000000000",
        "7:2000000000",
        "0x7.2000000000",
        "7.2e9",
        "7.0x77359400",
        "a.2000000000",
        "7.a",
        "7a.2000000000",
        "7.2000000000a",
        "\xef\xbc\x97.2000000000",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(user_of_text(bad[i]) == UNTOUCHED, "taken: %s", bad[i]);
    }
    ck_assert_int_eq(user_of_text("7.2000000000"), KNOWN_USER); /* so that the signing is right */
}
END_TEST

START_TEST(test_auth_users_are_from_1_to_what_json_can_carry)
{
    ck_assert_int_eq(user_of_text("1.2000000000"), 1);
    ck_assert(user_of_text("9007199254740991.2000000000") == LARGEST_USER);
    ck_assert_int_eq(user_of_text("0.2000000000"), UNTOUCHED);
    ck_assert_int_eq(user_of_text("9007199254740992.2000000000"), UNTOUCHED);
    ck_assert_int_eq(user_of_text("9223372036854775807.2000000000"), UNTOUCHED);
    ck_assert_int_eq(user_of_text("9223372036854775808.2000000000"), UNTOUCHED);
    ck_assert_int_eq(user_of_text("18446744073709551623.2000000000"), UNTOUCHED); /* 2^64 + 7 */
}
END_TEST

START_TEST(test_auth_expiry_fits_in_64_bits)
{
    char field[FIELD_SIZE];
    sign_text("7.0", field); /* "0" is the one spelling of it, and it was in 1970 */
    ck_assert_int_eq(user_at(field, AUTH_SKEW_S), 7);
    ck_assert_int_eq(user_at(field, AUTH_SKEW_S + 1), UNTOUCHED);
    sign_text("7.", field);
    ck_assert_int_eq(user_at(field, 0), UNTOUCHED);
    sign_text("7.00", field);
    ck_assert_int_eq(user_at(field, 0), UNTOUCHED);
    ck_assert_int_eq(user_of_text("7.9223372036854775807"), 7);
    ck_assert_int_eq(user_of_text("7.9223372036854775808"), UNTOUCHED);
    ck_assert_int_eq(user_of_text("7.18446744075709551616"), UNTOUCHED); /* 2^64 + 2,000,000,000 */
}
END_TEST

START_TEST(test_auth_refuses_what_is_over_long)
{
    char text[FIELD_SIZE / 2], field[FIELD_SIZE];
    for (int digits = 17; digits < 100; digits++) {
        snprintf(text, sizeof(text), "7.2%0*d", digits, 0);
        sign_text(text, field);
        ck_assert_msg(user_of(field) == (digits < 19 ? 7 : UNTOUCHED), "%s", field);
    }
    memset(field, '7', sizeof(field));
    memcpy(field, BEARER, strlen(BEARER));
    field[sizeof(field) - 1] = '\0';
    ck_assert_int_eq(user_of(field), UNTOUCHED);
}
END_TEST

static const char GOOD[] = BEARER KNOWN_TOKEN;
enum { FROM = sizeof(BEARER) - 1, LENGTH = sizeof(GOOD) - 1 }; /* where the token begins and ends */

START_TEST(test_auth_refuses_a_good_token_with_any_byte_replaced)
{
    for (size_t at = FROM; at < LENGTH; at++) {
        char field[FIELD_SIZE];
        memcpy(field, GOOD, sizeof(GOOD));
        for (int byte = 0; byte < 256; byte++) {
            field[at] = (char)byte;
            int64_t expected = (char)byte == GOOD[at] ? KNOWN_USER : UNTOUCHED;
            ck_assert_msg(user_of(field) == expected, "byte %d at %zu", byte, at);
        }
    }
}
END_TEST

START_TEST(test_auth_refuses_a_good_token_without_any_byte)
{
    for (size_t at = FROM; at < LENGTH; at++) {
        char field[FIELD_SIZE];
        memcpy(field, GOOD, at);
        memcpy(field + at, GOOD + at + 1, LENGTH - at);
        ck_assert_msg(user_of(field) == UNTOUCHED, "taken: %s", field);
    }
}
END_TEST

START_TEST(test_auth_refuses_a_good_token_with_any_byte_more)
{
    for (size_t at = FROM; at <= LENGTH; at++) {
        char field[FIELD_SIZE];
        memcpy(field, GOOD, at);
        memcpy(field + at + 1, GOOD + at, sizeof(GOOD) - at);
        for (int byte = 1; byte < 256; byte++) {
            field[at] = (char)byte;
            bool is_one_more_space = at == FROM && byte == ' ';
            int64_t expected = is_one_more_space ? KNOWN_USER : UNTOUCHED;
            ck_assert_msg(user_of(field) == expected, "byte %d at %zu", byte, at);
        }
    }
}
END_TEST

START_TEST(test_auth_refuses_a_token_of_another_secret)
{
    char token[AUTH_TOKEN_SIZE], field[FIELD_SIZE];
    static const char *const secrets[] = {"a secret that the tests kno", SECRET " ", "x"};
    for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
        struct auth *other = auth_new(secrets[i]);
        auth_sign(other, KNOWN_USER, KNOWN_EXPIRY, token);
        auth_free(other);
        snprintf(field, sizeof(field), BEARER "%s", token);
        ck_assert_int_eq(user_of(field), UNTOUCHED);
    }
}
END_TEST

START_TEST(test_auth_copies_the_secret)
{
    char secret[] = SECRET;
    struct auth *other = auth_new(secret);
    memset(secret, 'x', sizeof(secret) - 1);
    int64_t user_id = 0;
    ck_assert(auth_verify(other, BEARER KNOWN_TOKEN, KNOWN_EXPIRY, &user_id));
    auth_free(other);
    auth_free(NULL);
}
END_TEST

/* -------------------------------------------------------------------------------- many threads */

struct verifier {
    pthread_t thread;
    int64_t first_user;
    int wrong;
};

static void *verifier_main(void *arg)
{
    struct verifier *self = arg;
    pthread_barrier_wait(&start);
    for (int64_t user = self->first_user; user < self->first_user + ROUNDS_EACH; user++) {
        char token[AUTH_TOKEN_SIZE], field[AUTH_TOKEN_SIZE + sizeof(BEARER)];
        int64_t proven = 0;
        auth_sign(auth, user, KNOWN_EXPIRY, token);
        snprintf(field, sizeof(field), BEARER "%s", token);
        self->wrong += !auth_verify(auth, field, KNOWN_EXPIRY, &proven) || proven != user;
        field[strlen(BEARER)] = field[strlen(BEARER)] == '9' ? '8' : '9';
        self->wrong += auth_verify(auth, field, KNOWN_EXPIRY, &proven);
    }
    return NULL;
}

START_TEST(test_auth_serves_many_threads_at_once)
{
    struct verifier verifiers[THREADS];
    pthread_barrier_init(&start, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        struct verifier *verifier = &verifiers[i];
        *verifier = (struct verifier){.first_user = 1 + i * ROUNDS_EACH};
        ck_assert_int_eq(pthread_create(&verifier->thread, NULL, verifier_main, verifier), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(verifiers[i].thread, NULL);
        ck_assert_int_eq(verifiers[i].wrong, 0);
    }
    pthread_barrier_destroy(&start);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_auth_takes_a_known_token);
    tcase_add_test(tc, test_auth_signs_what_openssl_signs);
    tcase_add_test(tc, test_auth_token_is_good_until_the_skew_after_its_expiry);
    tcase_add_test(tc, test_auth_takes_the_scheme_in_any_case_and_with_more_spaces);
    tcase_add_test(tc, test_auth_refuses_other_schemes_and_forms);
    tcase_add_test(tc, test_auth_refuses_every_other_spelling_of_the_numbers);
    tcase_add_test(tc, test_auth_users_are_from_1_to_what_json_can_carry);
    tcase_add_test(tc, test_auth_expiry_fits_in_64_bits);
    tcase_add_test(tc, test_auth_refuses_what_is_over_long);
    tcase_add_test(tc, test_auth_refuses_a_good_token_with_any_byte_replaced);
    tcase_add_test(tc, test_auth_refuses_a_good_token_without_any_byte);
    tcase_add_test(tc, test_auth_refuses_a_good_token_with_any_byte_more);
    tcase_add_test(tc, test_auth_refuses_a_token_of_another_secret);
    tcase_add_test(tc, test_auth_copies_the_secret);
    tcase_add_test(tc, test_auth_serves_many_threads_at_once);
}

int main(void)
{
    return test_main("auth", add_tests);
}
