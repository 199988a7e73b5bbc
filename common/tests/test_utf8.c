/* Tests of common/utf8, exhaustive where they can be: every code point, and every sequence of two
 * and of three bytes, against a decoder written the other way round (decode first, then judge). */
#include "common/utf8.h"

#include <stdbool.h>

#include "common/tests/harness.h"

static size_t encode(unsigned int code, unsigned char out[4])
{
    if (code < 0x80) {
        out[0] = (unsigned char)code;
        return 1;
    }
    size_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned int lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = length - 1; i > 0; i--) {
        out[i] = (unsigned char)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    out[0] = (unsigned char)(lead[length] | code);
    return length;
}

/* The reference: a sequence is valid if its code point, encoded anew, gives the same bytes. */
static size_t reference(const unsigned char *bytes, size_t left)
{
    size_t length = bytes[0] < 0x80   ? 1
                    : bytes[0] < 0xc0 ? 0
                    : bytes[0] < 0xe0 ? 2
                    : bytes[0] < 0xf0 ? 3
                    : bytes[0] < 0xf8 ? 4
                                      : 0;
    if (length == 0 || length > left) {
        return 0;
    }
    unsigned int code = length == 1 ? bytes[0] : bytes[0] & (0x7fU >> length);
    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80) {
            return 0;
        }
        code = code << 6 | (bytes[i] & 0x3fU);
    }
    unsigned char again[4];
    bool is_surrogate = code >= 0xd800 && code <= 0xdfff;
    bool same = encode(code, again) == length && memcmp(again, bytes, length) == 0;
    return same && !is_surrogate && code <= 0x10ffff ? length : 0;
}

static size_t length_of(const unsigned char *bytes, size_t left)
{
    return utf8_length((const char *)bytes, left);
}

START_TEST(test_utf8_takes_every_code_point_but_surrogates)
{
    for (unsigned int code = 0; code <= 0x10ffff; code++) {
        unsigned char bytes[4];
        size_t length = encode(code, bytes);
        bool is_surrogate = code >= 0xd800 && code <= 0xdfff;
        size_t got = length_of(bytes, length);
        if (got != (is_surrogate ? 0 : length)) {
            ck_abort_msg("U+%04X: %zu", code, got);
        }
    }
}
END_TEST

START_TEST(test_utf8_agrees_with_the_reference_on_all_short_sequences)
{
    for (unsigned int all = 0; all < 1U << 24; all++) {
        unsigned char bytes[3] = {(unsigned char)(all >> 16), (unsigned char)(all >> 8),
                                  (unsigned char)all};
        if (length_of(bytes, 3) != reference(bytes, 3)) {
            ck_abort_msg("%02x %02x %02x", bytes[0], bytes[1], bytes[2]);
        }
    }
}
END_TEST

START_TEST(test_utf8_agrees_with_the_reference_on_four_byte_edges)
{
    static const unsigned char edges[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0xbf, 0xc0, 0xff};
    for (unsigned int first = 0xee; first <= 0xff; first++) {
        for (unsigned int i = 0; i < 8 * 8 * 8; i++) {
            unsigned char bytes[4] = {(unsigned char)first, edges[i / 64], edges[i / 8 % 8],
                                      edges[i % 8]};
            ck_assert_uint_eq(length_of(bytes, 4), reference(bytes, 4));
        }
    }
}
END_TEST

START_TEST(test_utf8_refuses_a_sequence_that_is_cut)
{
    static const unsigned char bytes[] = {0xf0, 0x9f, 0x98, 0x80};
    for (size_t left = 0; left < 4; left++) {
        ck_assert_uint_eq(length_of(bytes, left), 0);
    }
    ck_assert_uint_eq(length_of(bytes, 4), 4);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_test(tc, test_utf8_takes_every_code_point_but_surrogates);
    tcase_add_test(tc, test_utf8_agrees_with_the_reference_on_all_short_sequences);
    tcase_add_test(tc, test_utf8_agrees_with_the_reference_on_four_byte_edges);
    tcase_add_test(tc, test_utf8_refuses_a_sequence_that_is_cut);
}

int main(void)
{
    return test_main("utf8", add_tests);
}
