/* json: a strict scanner in front of cJSON.
 *
 * Three steps. The scanner walks the text once, with one flag per open array or object and no
 * recursion: what it passes is RFC 8259, and at most JSON_DEPTH_MAX deep. cJSON then builds the
 * tree, which gives keys and nesting with the escapes resolved; duplicates and unknown keys are
 * found there. The numbers are read from the text again, because a double no longer tells 1 from
 * 1e0 nor 2^53 from 2^53+1.
 *
 * "Odd" numbers are those that cJSON must not see: longer than its buffer of 63 bytes, or 007 and
 * the like, which are faults of a field and not of the text (see json.h). They are blanked in a
 * copy, made only for such a text.
 *
 * Cost: linear, but for the search for duplicates, which is quadratic in the keys of one object.
 * If cJSON finds no memory the result is JSON_INVALID: the caller has no better reply either. */
#include "common/json.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <string.h>

#include "common/utf8.h"

enum {
    NUMBER_LENGTH_MAX = 63,  /* what cJSON 1.7 reads of a number; it fails on a longer one */
    INTEGER_LENGTH_MAX = 17, /* a sign and the 16 digits of 2^53 */
};

static const char NUMBER_CHARACTERS[] = "0123456789+-.eE";

struct scan {
    const char *at, *end;
    bool is_object[JSON_DEPTH_MAX]; /* of what is open at each depth, outermost first */
    int depth;
    bool has_nul;         /* "\u0000" was seen in a key or string */
    bool has_odd_numbers; /* see above */
};

/* --------------------------------------------------------------------------------- tokens */

static bool at_any_of(const struct scan *s, const char *characters)
{
    /* memchr, not strchr: the text may hold NUL, which strchr finds in every string. */
    return s->at < s->end && memchr(characters, *s->at, strlen(characters)) != NULL;
}

static bool take(struct scan *s, char c)
{
    if (s->at < s->end && *s->at == c) {
        s->at++;
        return true;
    }
    return false;
}

static void skip_blanks(struct scan *s)
{
    while (at_any_of(s, " \t\n\r")) {
        s->at++;
    }
}

static bool take_digits(struct scan *s)
{
    const char *start = s->at;
    while (at_any_of(s, "0123456789")) {
        s->at++;
    }
    return s->at > start;
}

/* -?(0|[1-9][0-9]*), the whole of s. */
static bool take_integer(struct scan *s)
{
    take(s, '-');
    return take(s, '0') || take_digits(s);
}

/* Whether the bytes from start to end are a number of RFC 8259. */
static bool is_number(const char *start, const char *end)
{
    struct scan s = {.at = start, .end = end};
    if (!take_integer(&s)) {
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
static bool take_number_is_odd(struct scan *s)
{
    const char *start = s->at;
    while (at_any_of(s, NUMBER_CHARACTERS)) {
        s->at++;
    }
    return s->at - start > NUMBER_LENGTH_MAX || !is_number(start, s->at);
}

static bool take_number(struct scan *s)
{
    const char *start = s->at;
    if (take_number_is_odd(s)) {
        s->has_odd_numbers = true;
        bool is_member = s->depth == 1 && s->is_object[0];
        return is_member || is_number(start, s->at);
    }
    return true;
}

static bool take_word(struct scan *s, const char *word)
{
    size_t length = strlen(word);
    if ((size_t)(s->end - s->at) < length || memcmp(s->at, word, length) != 0) {
        return false;
    }
    s->at += length;
    return true;
}

/* -------------------------------------------------------------------------------- strings */

static bool take_hex4(struct scan *s, unsigned int *code)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    *code = 0;
    for (int i = 0; i < 4; i++) {
        if (!at_any_of(s, digits)) {
            return false;
        }
        unsigned int digit = (unsigned int)(strchr(digits, *s->at) - digits);
        *code = *code * 16 + (digit < 16 ? digit : digit - 6);
        s->at++;
    }
    return true;
}

/* What follows "\u": a code unit, and its other half if it is a high surrogate. */
static bool take_code_point(struct scan *s)
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

static bool take_escape(struct scan *s)
{
    if (take(s, 'u')) {
        return take_code_point(s);
    }
    if (!at_any_of(s, "\"\\/bfnrt")) {
        return false;
    }
    s->at++;
    return true;
}

static bool take_string(struct scan *s)
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

static bool take_scalar(struct scan *s)
{
    if (at_any_of(s, "\"")) {
        return take_string(s);
    }
    if (at_any_of(s, "-0123456789")) {
        return take_number(s);
    }
    return take_word(s, "true") || take_word(s, "false") || take_word(s, "null");
}

/* A key and its colon, where the innermost open is an object; nothing where it is an array. */
static bool take_key(struct scan *s)
{
    skip_blanks(s);
    if (!s->is_object[s->depth - 1]) {
        return true;
    }
    if (!take_string(s)) {
        return false;
    }
    skip_blanks(s);
    if (!take(s, ':')) {
        return false;
    }
    skip_blanks(s);
    return true;
}

static bool take_close(struct scan *s)
{
    if (!take(s, s->is_object[s->depth - 1] ? '}' : ']')) {
        return false;
    }
    s->depth--;
    return true;
}

/* Opens the array or object here; *complete when it is empty, else its first value is next. */
static enum json_result take_open(struct scan *s, bool *complete)
{
    if (s->depth == JSON_DEPTH_MAX) {
        return JSON_TOO_DEEP;
    }
    s->is_object[s->depth++] = *s->at++ == '{';
    skip_blanks(s);
    *complete = take_close(s);
    return *complete || take_key(s) ? JSON_OK : JSON_INVALID;
}

/* After a value: closes what ends here, down to depth base (*complete), or passes the comma. */
static enum json_result take_after_value(struct scan *s, int base, bool *complete)
{
    while (s->depth > base) {
        skip_blanks(s);
        if (take(s, ',')) {
            *complete = false;
            return take_key(s) ? JSON_OK : JSON_INVALID;
        }
        if (!take_close(s)) {
            return JSON_INVALID;
        }
    }
    *complete = true;
    return JSON_OK;
}

/* Takes one value, with all that is inside it. */
static enum json_result take_value(struct scan *s)
{
    int base = s->depth;
    bool complete = false;
    enum json_result result = JSON_OK;
    while (result == JSON_OK && !complete) { /* each round takes at least one byte, or fails */
        if (at_any_of(s, "[{")) {
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

static enum json_result take_document(struct scan *s)
{
    skip_blanks(s);
    enum json_result result = take_value(s);
    skip_blanks(s);
    return result == JSON_OK && s->at < s->end ? JSON_INVALID : result;
}

/* ----------------------------------------------------------------------------------- tree */

/* Overwrites each odd number of a scanned text by a 0 and blanks: same length, same grammar. */
static void blank_odd_numbers(char *text, size_t length)
{
    struct scan s = {.at = text, .end = text + length};
    while (s.at < s.end) {
        size_t start = (size_t)(s.at - text);
        if (at_any_of(&s, "\"")) {
            bool taken = take_string(&s);
            assert(taken); /* the text was scanned before */
            (void)taken;
        } else if (!at_any_of(&s, "-0123456789")) {
            s.at++;
        } else if (take_number_is_odd(&s)) {
            memset(text + start, ' ', (size_t)(s.at - text) - start);
            text[start] = '0';
        }
    }
}

static cJSON *parse(const struct scan *scanned, const char *text, size_t length)
{
    if (!scanned->has_odd_numbers) {
        return cJSON_ParseWithLength(text, length);
    }
    char *copy = cJSON_malloc(length);
    if (!copy) {
        return NULL;
    }
    memcpy(copy, text, length);
    blank_odd_numbers(copy, length);
    cJSON *tree = cJSON_ParseWithLength(copy, length);
    cJSON_free(copy);
    return tree;
}

/* Whether a key stands twice in one object, at any depth. Recurses at most JSON_DEPTH_MAX deep. */
static bool has_duplicates(const cJSON *node)
{
    for (const cJSON *child = node->child; child; child = child->next) {
        for (const cJSON *other = child->next; child->string && other; other = other->next) {
            if (strcmp(child->string, other->string) == 0) {
                return true;
            }
        }
        if (has_duplicates(child)) {
            return true;
        }
    }
    return false;
}

static bool is_known(const char *key, const struct json_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(key, fields[i].name) == 0) {
            return true;
        }
    }
    return false;
}

static bool has_unknown(const cJSON *tree, const struct json_field *fields, size_t count)
{
    for (const cJSON *child = tree->child; child; child = child->next) {
        if (!is_known(child->string, fields, count)) {
            return true;
        }
    }
    return false;
}

/* --------------------------------------------------------------------------------- fields */

/* Reads start to end as an integer into the field; false if it is none or out of range. */
static bool read_integer(const char *start, const char *end, struct json_field *field)
{
    struct scan s = {.at = start, .end = end};
    if (end - start > INTEGER_LENGTH_MAX || !take_integer(&s) || s.at != end) {
        return false;
    }
    int64_t value = 0;
    for (const char *c = start + (*start == '-'); c < end; c++) {
        value = value * 10 + (*c - '0');
    }
    field->value = *start == '-' ? -value : value;
    return field->value >= field->minimum && field->value <= field->maximum;
}

/* Finds the field among the members of the scanned text, of which tree is the parse. */
static bool read_field(const char *text, size_t length, const cJSON *tree, struct json_field *field)
{
    struct scan s = {.at = text, .end = text + length, .depth = 1, .is_object = {true}};
    skip_blanks(&s);
    for (const cJSON *child = tree->child; child; child = child->next) {
        s.at++; /* the brace, then the commas */
        bool taken = take_key(&s);
        const char *start = s.at;
        taken = taken && take_value(&s) == JSON_OK;
        assert(taken); /* the text was scanned before */
        (void)taken;
        if (strcmp(child->string, field->name) == 0) {
            return read_integer(start, s.at, field);
        }
        skip_blanks(&s);
    }
    return false;
}

static enum json_result read_tree(const char *text, size_t length, const cJSON *tree,
                                  struct json_field *fields, size_t count,
                                  const struct json_field **bad)
{
    if (has_duplicates(tree)) {
        return JSON_DUPLICATE_FIELD;
    }
    if (has_unknown(tree, fields, count)) {
        return JSON_UNKNOWN_FIELD;
    }
    for (size_t i = 0; i < count; i++) {
        if (!read_field(text, length, tree, &fields[i])) {
            *bad = &fields[i];
            return JSON_INVALID_FIELD;
        }
    }
    return JSON_OK;
}

enum json_result json_read_object(const char *text, size_t length, struct json_field *fields,
                                  size_t count, const struct json_field **bad)
{
    *bad = NULL;
    if (length == 0) {
        return JSON_INVALID; /* text may be NULL */
    }
    struct scan s = {.at = text, .end = text + length};
    enum json_result result = take_document(&s);
    if (result != JSON_OK) {
        return result;
    }
    s.at = text;
    skip_blanks(&s);
    if (!at_any_of(&s, "{")) {
        return JSON_NOT_AN_OBJECT;
    }
    if (s.has_nul) {
        return JSON_INVALID_STRING; /* cJSON would end the string there */
    }
    cJSON *tree = parse(&s, text, length);
    if (!tree) {
        return JSON_INVALID;
    }
    result = read_tree(text, length, tree, fields, count, bad);
    cJSON_Delete(tree);
    return result;
}

const char *json_result_code(enum json_result result)
{
    switch (result) {
    case JSON_OK:
    case JSON_INVALID_FIELD:
        break;
    case JSON_INVALID:
        return "invalid_json";
    case JSON_TOO_DEEP:
        return "json_too_deep";
    case JSON_NOT_AN_OBJECT:
        return "not_an_object";
    case JSON_INVALID_STRING:
        return "invalid_string";
    case JSON_DUPLICATE_FIELD:
        return "duplicate_field";
    case JSON_UNKNOWN_FIELD:
        return "unknown_field";
    }
    return NULL;
}
