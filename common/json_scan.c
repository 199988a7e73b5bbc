/* json_scan: RFC 8259, token by token.
 *
 * Every take_ function moves s->at over what it names and returns true, or returns false and leaves
 * s->at somewhere inside: a text that failed once is done with. Invariants: at <= end, and
 * 0 <= depth <= JSON_DEPTH_MAX; is_object[0 .. depth-1] tells what is open. Open arrays and objects
 * are an array of flags, not frames of the stack: 900 times '[' costs 16 steps.
 * It does not decode strings, compare keys or compute numbers. */
#include "common/json_scan.h"

#include <string.h>

#include "common/utf8.h"

/* cJSON up to 1.7.18 fails on a longer number (CVE-2023-26819); some distributions have the fix. */
enum { NUMBER_LENGTH_MAX = 63 };

static const char NUMBER_CHARACTERS[] = "0123456789+-.eE";

/* --------------------------------------------------------------------------------- tokens */

bool json_scan_is_at(const struct json_scan *s, const char *characters)
{
    /* The text may hold NUL, which strchr finds at the end of every string. */
    return s->at < s->end && *s->at != '\0' && strchr(characters, *s->at) != NULL;
}

static bool take(struct json_scan *s, char c)
{
    if (s->at < s->end && *s->at == c) {
        s->at++;
        return true;
    }
    return false;
}

void json_scan_blanks(struct json_scan *s)
{
    while (json_scan_is_at(s, " \t\n\r")) {
        s->at++;
    }
}

static bool take_digits(struct json_scan *s)
{
    const char *start = s->at;
    while (json_scan_is_at(s, "0123456789")) {
        s->at++;
    }
    return s->at > start;
}

/* -?(0|[1-9][0-9]*), the whole of s. */
bool json_scan_integer(struct json_scan *s)
{
    take(s, '-');
    return take(s, '0') || take_digits(s);
}

/* Whether the bytes from start to end are a number of RFC 8259. */
static bool is_number(const char *start, const char *end)
{
    struct json_scan s = {.at = start, .end = end};
    if (!json_scan_integer(&s)) {
        return false;
    }
    if (take(&s, '.') && !take_digits(&s)) {
        return false;
    }
    if (take(&s, 'e') || take(&s, 'E')) {
        if (!take(&s, '+')) {
            take(&s, '-');
        }
        if (!take_digits(&s)) {
            return false;
        }
    }
    return s.at == s.end;
}

/* Takes all that could belong to a number; whether it is odd. */
bool json_scan_number_is_odd(struct json_scan *s)
{
    const char *start = s->at;
    while (json_scan_is_at(s, NUMBER_CHARACTERS)) {
        s->at++;
    }
    return s->at - start > NUMBER_LENGTH_MAX || !is_number(start, s->at);
}

static bool take_number(struct json_scan *s)
{
    const char *start = s->at;
    if (json_scan_number_is_odd(s)) {
        s->has_odd_numbers = true;
        bool is_member = s->depth == 1 && s->is_object[0];
        return is_member || is_number(start, s->at);
    }
    return true;
}

static bool take_word(struct json_scan *s, const char *word)
{
    size_t length = strlen(word);
    if ((size_t)(s->end - s->at) < length || memcmp(s->at, word, length) != 0) {
        return false;
    }
    s->at += length;
    return true;
}

/* -------------------------------------------------------------------------------- strings */

static bool take_hex4(struct json_scan *s, unsigned int *code)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    *code = 0;
    for (int i = 0; i < 4; i++) {
        if (!json_scan_is_at(s, digits)) {
            return false;
        }
        unsigned int digit = (unsigned int)(strchr(digits, *s->at) - digits);
        *code = *code * 16 + (digit < 16 ? digit : digit - 6);
        s->at++;
    }
    return true;
}

/* What follows "\u": a code unit, and its other half if it is a high surrogate. */
static bool take_code_point(struct json_scan *s)
{
    unsigned int code = 0;
    unsigned int low = 0;
    if (!take_hex4(s, &code)) {
        return false;
    }
    if (code == 0) {
        s->has_nul = true;
    }
    if (code < 0xd800 || code > 0xdfff) {
        return true;
    }
    return code < 0xdc00 && take_word(s, "\\u") && take_hex4(s, &low) && low >= 0xdc00 &&
           low <= 0xdfff;
}

static bool take_escape(struct json_scan *s)
{
    if (take(s, 'u')) {
        return take_code_point(s);
    }
    if (!json_scan_is_at(s, "\"\\/bfnrt")) {
        return false;
    }
    s->at++;
    return true;
}

bool json_scan_string(struct json_scan *s)
{
    if (!take(s, '"')) {
        return false;
    }
    while (!take(s, '"')) {
        size_t length = utf8_length(s->at, (size_t)(s->end - s->at));
        if (length == 0 || (unsigned char)*s->at < 0x20) {
            return false; /* the end of the text, not UTF-8, or a raw control byte */
        }
        bool escaped = *s->at == '\\';
        s->at += length;
        if (escaped && !take_escape(s)) {
            return false;
        }
    }
    return true;
}

/* -------------------------------------------------------------------------------- grammar */

static bool take_scalar(struct json_scan *s)
{
    if (json_scan_is_at(s, "\"")) {
        return json_scan_string(s);
    }
    if (json_scan_is_at(s, "-0123456789")) {
        return take_number(s);
    }
    return take_word(s, "true") || take_word(s, "false") || take_word(s, "null");
}

/* A key and its colon, where the innermost open is an object; nothing where it is an array. */
bool json_scan_key(struct json_scan *s)
{
    json_scan_blanks(s);
    if (!s->is_object[s->depth - 1]) {
        return true;
    }
    if (!json_scan_string(s)) {
        return false;
    }
    json_scan_blanks(s);
    if (!take(s, ':')) {
        return false;
    }
    json_scan_blanks(s);
    return true;
}

static bool take_close(struct json_scan *s)
{
    if (!take(s, s->is_object[s->depth - 1] ? '}' : ']')) {
        return false;
    }
    s->depth--;
    return true;
}

/* Opens the array or object here; *complete when it is empty, else its first value is next. */
static enum json_result take_open(struct json_scan *s, bool *complete)
{
    if (s->depth == JSON_DEPTH_MAX) {
        return JSON_TOO_DEEP;
    }
    s->is_object[s->depth++] = *s->at++ == '{';
    json_scan_blanks(s);
    *complete = take_close(s);
    return *complete || json_scan_key(s) ? JSON_OK : JSON_INVALID;
}

/* After a value: closes what ends here, down to depth base (*complete), or passes the comma. */
static enum json_result take_after_value(struct json_scan *s, int base, bool *complete)
{
    while (s->depth > base) {
        json_scan_blanks(s);
        if (take(s, ',')) {
            *complete = false;
            return json_scan_key(s) ? JSON_OK : JSON_INVALID;
        }
        if (!take_close(s)) {
            return JSON_INVALID;
        }
    }
    *complete = true;
    return JSON_OK;
}

/* Takes one value, with all that is inside it. */
enum json_result json_scan_value(struct json_scan *s)
{
    int base = s->depth;
    bool complete = false;
    enum json_result result = JSON_OK;
    while (result == JSON_OK && !complete) { /* each round takes at least one byte, or fails */
        if (json_scan_is_at(s, "[{")) {
            result = take_open(s, &complete);
        } else {
            complete = take_scalar(s);
            result = complete ? JSON_OK : JSON_INVALID;
        }
        if (result == JSON_OK && complete) {
            result = take_after_value(s, base, &complete);
        }
    }
    return result;
}

enum json_result json_scan_document(struct json_scan *s)
{
    json_scan_blanks(s);
    enum json_result result = json_scan_value(s);
    json_scan_blanks(s);
    return result == JSON_OK && s->at < s->end ? JSON_INVALID : result;
}
