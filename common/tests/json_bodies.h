/* json_bodies: what the tests of common/json share: an order's fields, and reading a text from a
 * heap block of exactly its size, so that AddressSanitizer sees a byte read too far. */
#ifndef FLASHDEAL_TESTS_JSON_BODIES_H
#define FLASHDEAL_TESTS_JSON_BODIES_H

#include "common/json.h"
#include "common/json_scan.h"
#include "common/tests/harness.h"

enum { FIELDS = 3, BODY_MAX = 4096 };

#define NUMBER_MAX INT64_C(9007199254740992) /* 2^53 */

static struct json_field fields[FIELDS];
static const struct json_field *bad;

static inline enum json_result read_bytes(const char *text, size_t length)
{
    static const struct json_field fresh[FIELDS] = {
        {"sale_id", 1, NUMBER_MAX, 0},
        {"user_id", -NUMBER_MAX, NUMBER_MAX, 0},
        {"quantity", 1, INT32_MAX, 0},
    };
    memcpy(fields, fresh, sizeof(fields));
    char *exact = malloc(length > 0 ? length : 1);
    ck_assert_ptr_nonnull(exact);
    memcpy(exact, text, length);
    enum json_result result = json_read_object(exact, length, fields, FIELDS, &bad);
    /* The scanner decides on its own: cJSON, which refuses some texts too, must never need to. */
    struct json_scan scan = {.at = exact, .end = exact + length};
    enum json_result scanned = json_scan_document(&scan);
    free(exact);
    ck_assert_int_eq(scanned, result <= JSON_TOO_DEEP ? result : JSON_OK);
    ck_assert_int_eq(bad != NULL, result == JSON_INVALID_FIELD);
    return result;
}

static inline enum json_result read_text(const char *text)
{
    return read_bytes(text, strlen(text));
}

static inline void expect_all(enum json_result expected, const char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        enum json_result result = read_text(texts[i]);
        ck_assert_msg(result == expected, "%d for: %s", (int)result, texts[i]);
    }
}

#define EXPECT_ALL(expected_, texts_)                                                              \
    expect_all((expected_), (texts_), sizeof(texts_) / sizeof((texts_)[0]))

#endif
