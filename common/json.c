/* json: a strict scanner in front of cJSON.
 *
 * Three steps. json_scan walks the text once: what it passes is RFC 8259, and at most
 * JSON_DEPTH_MAX deep. cJSON then builds the tree, which gives keys and nesting with the escapes
 * resolved; duplicates and unknown keys are found there. The numbers are read from the text again,
 * because a double no longer tells 1 from 1e0 nor 2^53 from 2^53+1. A text with odd numbers (see
 * json_scan.h) is parsed from a copy in which they are blanked.
 *
 * If cJSON finds no memory the result is JSON_INVALID: the caller has no better reply either. */
#include "common/json.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <string.h>

#include "common/json_scan.h"

enum { INTEGER_LENGTH_MAX = 17 }; /* a sign and the 16 digits of 2^53 */

/* ----------------------------------------------------------------------------------- tree */

/* Overwrites each odd number of a scanned text by a 0 and blanks: same length, same grammar. */
static void blank_odd_numbers(char *text, size_t length)
{
    struct json_scan s = {.at = text, .end = text + length};
    while (s.at < s.end) {
        size_t start = (size_t)(s.at - text);
        if (json_scan_is_at(&s, "\"")) {
            bool taken = json_scan_string(&s);
            assert(taken); /* the text was scanned before */
            (void)taken;
        } else if (!json_scan_is_at(&s, "-0123456789")) {
            s.at++;
        } else if (json_scan_number_is_odd(&s)) {
            memset(text + start, ' ', (size_t)(s.at - text) - start);
            text[start] = '0';
        }
    }
}

static cJSON *parse(const struct json_scan *scanned, const char *text, size_t length)
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

/* Whether one of the next siblings, up to most of them, has the key of child. */
static bool is_repeated(const cJSON *child, int most)
{
    const cJSON *other = child->next;
    for (int i = 0; i < most && other; i++, other = other->next) {
        if (strcmp(child->string, other->string) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether a key stands twice in one object, at any depth, among its first JSON_KEYS_MAX: without
 * that bound 4 KiB of keys cost a millisecond. Recurses at most JSON_DEPTH_MAX deep. */
static bool has_duplicates(const cJSON *node)
{
    int later_max = JSON_KEYS_MAX - 1;
    for (const cJSON *child = node->child; child; child = child->next) {
        if (cJSON_IsObject(node) && is_repeated(child, later_max)) {
            return true;
        }
        if (has_duplicates(child)) {
            return true;
        }
        later_max--;
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
    struct json_scan s = {.at = start, .end = end};
    if (end - start > INTEGER_LENGTH_MAX || !json_scan_integer(&s) || s.at != end) {
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
    struct json_scan s = {.at = text, .end = text + length, .depth = 1, .is_object = {true}};
    json_scan_blanks(&s);
    for (const cJSON *child = tree->child; child; child = child->next) {
        s.at++; /* the brace, then the commas */
        bool taken = json_scan_key(&s);
        const char *start = s.at;
        taken = taken && json_scan_value(&s) == JSON_OK;
        assert(taken); /* the text was scanned before */
        (void)taken;
        if (strcmp(child->string, field->name) == 0) {
            return read_integer(start, s.at, field);
        }
        json_scan_blanks(&s);
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
    assert(count < JSON_KEYS_MAX);
    *bad = NULL;
    if (length == 0) {
        return JSON_INVALID; /* text may be NULL */
    }
    struct json_scan s = {.at = text, .end = text + length};
    enum json_result result = json_scan_document(&s);
    if (result != JSON_OK) {
        return result;
    }
    s.at = text;
    json_scan_blanks(&s);
    if (!json_scan_is_at(&s, "{")) {
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
