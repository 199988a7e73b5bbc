/* utf8: well-formed byte sequences, by the table of the Unicode standard (table 3-7, RFC 3629).
 *
 * Only the second byte's range depends on the first: that range is what excludes overlong forms
 * (E0, F0), surrogates (ED) and code points above U+10FFFF (F4). No state, no allocation.
 * It does not decode, normalise or compare. */
#include "common/utf8.h"

#include <stdbool.h>

static bool in_range(unsigned char byte, unsigned char low, unsigned char high)
{
    return byte >= low && byte <= high;
}

static bool second_byte_fits(unsigned char first, unsigned char second)
{
    switch (first) {
    case 0xe0:
        return in_range(second, 0xa0, 0xbf);
    case 0xed:
        return in_range(second, 0x80, 0x9f);
    case 0xf0:
        return in_range(second, 0x90, 0xbf);
    case 0xf4:
        return in_range(second, 0x80, 0x8f);
    default: /* bytes, not an enum of ours */
        return in_range(second, 0x80, 0xbf);
    }
}

static size_t length_by_first(unsigned char first)
{
    if (first < 0x80) {
        return 1;
    }
    if (in_range(first, 0xc2, 0xdf)) { /* C0 and C1 would be overlong */
        return 2;
    }
    if (in_range(first, 0xe0, 0xef)) {
        return 3;
    }
    return in_range(first, 0xf0, 0xf4) ? 4 : 0;
}

size_t utf8_length(const char *text, size_t left)
{
    if (left == 0) {
        return 0;
    }
    const unsigned char *bytes = (const unsigned char *)text;
    size_t length = length_by_first(bytes[0]);
    if (length == 0 || length > left) {
        return 0;
    }
    if (length > 1 && !second_byte_fits(bytes[0], bytes[1])) {
        return 0;
    }
    for (size_t i = 2; i < length; i++) {
        if (!in_range(bytes[i], 0x80, 0xbf)) {
            return 0;
        }
    }
    return length;
}
