/* trace: one strict reading of traceparent, and identifiers of our own.
 *
 * A field that is not valid is as good as none (W3C Trace Context 3.2.2.3: restart the trace), so
 * nothing of it is kept. What is kept is copied character by character after its alphabet was
 * checked: an id can be logged as it is. Identifiers come from random.h's generator of the thread,
 * 64 bits at a time and never 0; they are no secrets, so a request costs no call to the kernel. */
#include "common/trace.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/random.h"

/* Where the parts of "00-<32>-<16>-<2>" begin. */
enum { VERSION_AT = 0, TRACE_AT = 3, SPAN_AT = 36, FLAGS_AT = 53, PARENT_LENGTH = 55 };

enum { VERSION_DIGITS = 2, HALF_DIGITS = 16, FLAGS_DIGITS = 2 };

static const char digits[] = "0123456789abcdef";

/* Writes 64 random bits, not all of them 0, as 16 hex digits without a NUL. */
static void write_random(char out[HALF_DIGITS])
{
    uint64_t bits = random_below(UINT64_MAX) + 1;
    for (int i = HALF_DIGITS - 1; i >= 0; i--) {
        out[i] = digits[bits & 0x0f];
        bits >>= 4;
    }
}

static bool is_hex(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        bool fits = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
        if (!fits) { /* a shorter text ends here, at its NUL */
            return false;
        }
    }
    return true;
}

static bool is_zero(const char *text, size_t length)
{
    return strspn(text, "0") >= length;
}

/* In the order of the bytes, so that none behind the text's end is read. */
static bool is_valid(const char *text)
{
    if (!is_hex(text + VERSION_AT, VERSION_DIGITS) || text[TRACE_AT - 1] != '-' ||
        !is_hex(text + TRACE_AT, TRACE_ID_SIZE - 1) || text[SPAN_AT - 1] != '-' ||
        !is_hex(text + SPAN_AT, TRACE_SPAN_SIZE - 1) || text[FLAGS_AT - 1] != '-' ||
        !is_hex(text + FLAGS_AT, FLAGS_DIGITS)) {
        return false;
    }
    bool is_00 = strncmp(text, "00", VERSION_DIGITS) == 0;
    bool ends = text[PARENT_LENGTH] == '\0' || (!is_00 && text[PARENT_LENGTH] == '-');
    return ends && strncmp(text, "ff", VERSION_DIGITS) != 0 &&
           !is_zero(text + TRACE_AT, TRACE_ID_SIZE - 1) &&
           !is_zero(text + SPAN_AT, TRACE_SPAN_SIZE - 1);
}

/* The lowest bit of the flags; the others mean nothing to version 00. */
static bool is_sampled(const char *text)
{
    const char *digit = strchr(digits, text[FLAGS_AT + 1]);
    return (digit - digits) % 2 == 1;
}

void trace_continue(const char *traceparent, struct trace *out)
{
    if (traceparent && is_valid(traceparent)) {
        memcpy(out->trace_id, traceparent + TRACE_AT, TRACE_ID_SIZE - 1);
        memcpy(out->parent_id, traceparent + SPAN_AT, TRACE_SPAN_SIZE - 1);
        out->parent_id[TRACE_SPAN_SIZE - 1] = '\0';
        out->sampled = is_sampled(traceparent);
    } else {
        write_random(out->trace_id);
        write_random(out->trace_id + HALF_DIGITS);
        out->parent_id[0] = '\0';
        out->sampled = false;
    }
    out->trace_id[TRACE_ID_SIZE - 1] = '\0';
    write_random(out->span_id);
    out->span_id[TRACE_SPAN_SIZE - 1] = '\0';
}
