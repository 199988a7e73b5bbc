/* test_idempotency: phase 5's reading of Idempotency-Key, its ids and its fingerprints.
 *
 * http_header and http_problem are the test's own, so that a request is a field's value and a reply
 * is a code. Keys of one byte are tried for all 255 bytes; ids and fingerprints are held against
 * Python's uuid and hashlib. */
#include "common/tests/harness.h"

#include "phase5/idempotency.h"

enum { LONGEST = ORDER_KEY_SIZE - 1, VALUE_SIZE = 2 * ORDER_KEY_SIZE + 8 };

/* -------------------------------------------------------------------- the request and the reply */

static enum status header_status;
static const char *header_value;
static int reply_status;
static const char *reply_code;

enum status http_header(const struct http_request *request, const char *name, const char **value)
{
    (void)request;
    ck_assert_str_eq(name, "Idempotency-Key");
    if (header_status == ST_OK) {
        *value = header_value;
    }
    return header_status;
}

void http_problem(struct http_request *request, int status, const char *code, const char *detail)
{
    (void)request;
    ck_assert_ptr_null(reply_code); /* one reply */
    ck_assert_str_ne(detail, "");
    reply_status = status;
    reply_code = code;
}

static enum status read_key(enum status status, const char *value, struct order *order)
{
    struct http_request request = {.user_id = 0};
    header_status = status;
    header_value = value;
    reply_status = 0;
    reply_code = NULL;
    return idempotency_read(&request, order);
}

static void refuse(enum status status, const char *value, const char *code)
{
    struct order order = {.sale_id = 1, .user_id = 7, .quantity = 1};
    test_subject = code;
    ck_assert_int_eq(read_key(status, value, &order), ST_INVALID);
    ck_assert_int_eq(reply_status, 400);
    ck_assert_str_eq(reply_code, code);
}

/* ------------------------------------------------------------------------------------- the form */

/* key NULL: it is none. */
struct form {
    const char *value, *key;
};

static const struct form forms[] = {
    /* bare */
    {"k", "k"},
    {"8e03978e-40d5-43e8-bc93-6894a57f9324", "8e03978e-40d5-43e8-bc93-6894a57f9324"},
    {"order:7;item=3/(x)", "order:7;item=3/(x)"},
    {"a\\b", "a\\b"},
    {"'k'", "'k'"},
    {"", NULL},
    {"a b", NULL},
    {"a\tb", NULL},
    {"a\"b", NULL},
    {"k\"", NULL},
    {"a,b", NULL},
    {"a, b", NULL},
    {"\xc3\xa4", NULL},
    {"a\x7f", NULL},
    {"a\x01", NULL},
    /* quoted */
    {"\"k\"", "k"},
    {"\"8e03978e-40d5-43e8-bc93-6894a57f9324\"", "8e03978e-40d5-43e8-bc93-6894a57f9324"},
    {"\"a,b\"", "a,b"},
    {"\"a\\\"b\"", "a\"b"},
    {"\"a\\\\b\"", "a\\b"},
    {"\"\\\\\"", "\\"},
    {"\"\\\"\"", "\""},
    {"\"\\\\\\\"\"", "\\\""},
    {"\"\\\\x\\\\y\"", "\\x\\y"},
    {"\"\"", NULL},
    {"\"", NULL},
    {"\"k", NULL},
    {"\"k\\\"", NULL},   /* its last quote is escaped */
    {"\"k\\", NULL},     /* ends in the middle of an escape */
    {"\"a\\nb\"", NULL}, /* no such escape */
    {"\"a\\ b\"", NULL},
    {"\"a b\"", NULL},
    {"\" k\"", NULL},
    {"\"k\" ", NULL},
    {"\"k\"x", NULL},
    {"\"k\";v=1", NULL}, /* a parameter */
    {"\"a\", \"b\"", NULL},
    {"\"a\",\"b\"", NULL},
    {"\"a\"\"b\"", NULL},
    {"\"a\tb\"", NULL},
    {"\"\xc3\xa4\"", NULL},
    {"\"a\x7f\"", NULL},
};

START_TEST(test_key_of_each_form)
{
    const struct form *form = &forms[_i];
    char key[ORDER_KEY_SIZE] = "left over";
    test_subject = form->value;
    ck_assert_msg(idempotency_parse(form->value, key) == (form->key != NULL), "%s", form->value);
    ck_assert_str_eq(key, form->key ? form->key : "");
}
END_TEST

static bool is_key(const char *value)
{
    char key[ORDER_KEY_SIZE];
    return idempotency_parse(value, key);
}

START_TEST(test_key_of_one_byte_is_visible_ascii)
{
    for (int byte = 1; byte < 256; byte++) {
        const char bare[] = {(char)byte, '\0'}, quoted[] = {'"', (char)byte, '"', '\0'};
        bool visible = byte > 0x20 && byte < 0x7f;
        ck_assert_msg(is_key(bare) == (visible && byte != '"' && byte != ','), "%d", byte);
        ck_assert_msg(is_key(quoted) == (visible && byte != '"' && byte != '\\'), "%d", byte);
    }
}
END_TEST

/* A value of `length` times `unit` between quotes, or bare. */
static const char *value_of(int length, const char *unit, bool is_quoted)
{
    static char value[VALUE_SIZE];
    char *at = value;
    *at = '"';
    at += is_quoted ? 1 : 0;
    for (int i = 0; i < length; i++) {
        at = stpcpy(at, unit);
    }
    *at = '"';
    at += is_quoted ? 1 : 0;
    *at = '\0';
    return value;
}

START_TEST(test_key_limit_counts_the_inner_value)
{
    char key[ORDER_KEY_SIZE];
    ck_assert(idempotency_parse(value_of(LONGEST, "k", false), key));
    ck_assert_uint_eq(strlen(key), LONGEST);
    ck_assert(idempotency_parse(value_of(LONGEST, "k", true), key));
    ck_assert_uint_eq(strlen(key), LONGEST);
    ck_assert(idempotency_parse(value_of(LONGEST, "\\\"", true), key));
    ck_assert_uint_eq(strlen(key), LONGEST);
    ck_assert(!is_key(value_of(LONGEST + 1, "k", false)));
    ck_assert(!is_key(value_of(LONGEST + 1, "k", true)));
    ck_assert(!is_key(value_of(LONGEST + 1, "\\\"", true)));
}
END_TEST

/* ---------------------------------------------------------------------------------- the replies */

START_TEST(test_read_without_the_field_is_missing)
{
    refuse(ST_NOT_FOUND, NULL, "idempotency_key_missing");
}
END_TEST

START_TEST(test_read_of_what_is_no_key_is_invalid)
{
    refuse(ST_OK, "", "idempotency_key_invalid");
    refuse(ST_OK, "\"\"", "idempotency_key_invalid");
    refuse(ST_OK, "a b", "idempotency_key_invalid");
    refuse(ST_OK, value_of(LONGEST + 1, "k", false), "idempotency_key_invalid");
}
END_TEST

START_TEST(test_read_of_two_fields_is_invalid)
{
    refuse(ST_INVALID, NULL, "idempotency_key_invalid");
}
END_TEST

START_TEST(test_read_identifies_the_order_and_does_not_reply)
{
    struct order order = {.sale_id = 1, .user_id = 7, .quantity = 2};
    struct order same = order;
    ck_assert_int_eq(read_key(ST_OK, "\"k-1\"", &order), ST_OK);
    ck_assert_ptr_null(reply_code);
    ck_assert_str_eq(order.key, "k-1");
    memcpy(same.key, "k-1", sizeof "k-1");
    idempotency_identify(&same);
    ck_assert_str_eq(order.id, same.id);
    ck_assert(idempotency_same(&order, &same));
}
END_TEST

/* --------------------------------------------------------------------------- id and fingerprint */

static struct order identified(int64_t sale_id, int64_t user_id, int64_t quantity, const char *key)
{
    struct order order = {.sale_id = sale_id, .user_id = user_id, .quantity = quantity};
    ck_assert_uint_lt(strlen(key), sizeof order.key);
    memcpy(order.key, key, strlen(key) + 1);
    idempotency_identify(&order);
    return order;
}

/* python3 -c 'import uuid; print(uuid.uuid5(uuid.UUID("5c1d6f0e-7f0b-4f6e-9f57-2d3a9a1be6c4"),
 * "7:k-1"))' */
START_TEST(test_id_is_the_uuid5_of_user_and_key)
{
    struct order order = identified(1, 7, 1, "k-1");
    ck_assert_str_eq(order.id, "53b21895-9e70-5975-ae09-dc81193217f7");
    order = identified(1, INT64_C(9007199254740991), 1, value_of(LONGEST, "k", false));
    ck_assert_str_eq(order.id, "ca36f9aa-28b9-58f1-9612-1d5f73afb759");
}
END_TEST

START_TEST(test_id_depends_on_user_and_key_only)
{
    struct order first = identified(1, 7, 1, "k-1");
    struct order other_body = identified(2, 7, 3, "k-1");
    struct order other_user = identified(1, 8, 1, "k-1");
    struct order other_key = identified(1, 7, 1, "k-2");
    struct order other_case = identified(1, 7, 1, "K-1");
    ck_assert_str_eq(first.id, other_body.id);
    ck_assert_str_ne(first.id, other_user.id);
    ck_assert_str_ne(first.id, other_key.id);
    ck_assert_str_ne(first.id, other_case.id);
}
END_TEST

/* User 1 with key "2k" is not user 12 with key "k". */
START_TEST(test_id_tells_where_the_user_ends)
{
    struct order one = identified(1, 1, 1, "2k");
    struct order other = identified(1, 12, 1, "k");
    ck_assert_str_ne(one.id, other.id);
}
END_TEST

/* printf %s 'sale_id=1&quantity=2' | sha256sum */
START_TEST(test_fingerprint_is_the_sha256_of_the_fields)
{
    static const char hex[] = "083fe5806ce3e47b969f2b7fa672ed3820ab9b53f14422c9847909de5b1b5d8b";
    struct order order = identified(1, 7, 2, "k-1");
    for (size_t i = 0; i < sizeof order.fingerprint; i++) {
        char byte[3];
        snprintf(byte, sizeof byte, "%02x", order.fingerprint[i]);
        ck_assert_mem_eq(byte, hex + 2 * i, 2);
    }
}
END_TEST

START_TEST(test_same_is_the_same_sale_and_quantity)
{
    struct order first = identified(1, 7, 2, "k-1");
    struct order again = identified(1, 7, 2, "k-1");
    struct order other_sale = identified(2, 7, 2, "k-1");
    struct order other_quantity = identified(1, 7, 3, "k-1");
    again.accepted_us = 5;
    ck_assert(idempotency_same(&first, &again));
    ck_assert(!idempotency_same(&first, &other_sale));
    ck_assert(!idempotency_same(&other_quantity, &first));
}
END_TEST

/* A ticket's order has fields only. */
START_TEST(test_same_needs_no_fingerprint_and_no_key)
{
    struct order order = identified(1, 7, 2, "k-1");
    struct order ticket = {.sale_id = 1, .user_id = 7, .quantity = 2};
    ck_assert(idempotency_same(&order, &ticket));
    ticket.quantity = 1;
    ck_assert(!idempotency_same(&order, &ticket));
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_loop_test(tc, test_key_of_each_form, 0, (int)(sizeof forms / sizeof forms[0]));
    tcase_add_test(tc, test_key_of_one_byte_is_visible_ascii);
    tcase_add_test(tc, test_key_limit_counts_the_inner_value);
    tcase_add_test(tc, test_read_without_the_field_is_missing);
    tcase_add_test(tc, test_read_of_what_is_no_key_is_invalid);
    tcase_add_test(tc, test_read_of_two_fields_is_invalid);
    tcase_add_test(tc, test_read_identifies_the_order_and_does_not_reply);
    tcase_add_test(tc, test_id_is_the_uuid5_of_user_and_key);
    tcase_add_test(tc, test_id_depends_on_user_and_key_only);
    tcase_add_test(tc, test_id_tells_where_the_user_ends);
    tcase_add_test(tc, test_fingerprint_is_the_sha256_of_the_fields);
    tcase_add_test(tc, test_same_is_the_same_sale_and_quantity);
    tcase_add_test(tc, test_same_needs_no_fingerprint_and_no_key);
}

int main(void)
{
    return test_main("idempotency", add_tests);
}
