/* json: reads one flat JSON object, strictly. First used by phase 1.
 *
 * cJSON alone finds keys without regard to case, takes the first of duplicates, accepts trailing
 * garbage, raw control bytes, invalid UTF-8, a BOM, 007 and 1., and recurses as deep as the input
 * says. So the text is checked first (RFC 8259 to the letter, I-JSON's duplicate rule, a bound on
 * the depth) by a scanner that does not recurse; only then does cJSON parse it. One exception in
 * favour of a better message: a member of the document whose value is a number but for its grammar
 * (007, 1., -, 1e) is a bad value, not a bad text. */
#ifndef FLASHDEAL_JSON_H
#define FLASHDEAL_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    JSON_DEPTH_MAX = 16,
    JSON_KEYS_MAX = 64, /* duplicates are looked for among so many first keys of an object */
};

enum json_result {
    JSON_OK,
    JSON_INVALID,        /* not one JSON text: grammar, UTF-8, BOM, lone surrogate, garbage after */
    JSON_TOO_DEEP,       /* more than JSON_DEPTH_MAX arrays and objects inside one another; decided
                            there, so that of this and JSON_INVALID the one met first is told */
    JSON_NOT_AN_OBJECT,  /* a valid text, but an array, string, number, true, false or null */
    JSON_INVALID_STRING, /* a valid text with \u0000 in a key or string */
    JSON_DUPLICATE_FIELD, /* a key twice (compared after unescaping, with regard to case) */
    JSON_UNKNOWN_FIELD,   /* a key that no field of the table names */
    JSON_INVALID_FIELD,   /* a field missing, of another type, out of range; *bad says which */
};

/* One required integer field. Valid: a number written as -?(0|[1-9][0-9]*), minimum to maximum. */
struct json_field {
    const char *name;
    int64_t minimum, maximum; /* inclusive; within +-2^53 */
    int64_t value;            /* out */
};

/* Reads text (length bytes, need not be NUL-terminated, may hold NUL) into the fields. When several
 * rules are broken the result is the first in the enum's order (JSON_INVALID and JSON_TOO_DEEP: the
 * one met first); of several bad fields, *bad is the first in the table's order (NULL for the other
 * results). Without JSON_OK the values mean nothing. Does not block; allocates only what cJSON
 * does, and a copy of a text with odd numbers, and frees it before it returns; stack use is bounded
 * by JSON_DEPTH_MAX. Time is linear in the length: a duplicate behind the first JSON_KEYS_MAX keys
 * of an object gives a later result, never JSON_OK (a table has fewer fields, so that other keys
 * are unknown or values are no integers). Safe from any thread. */
enum json_result json_read_object(const char *text, size_t length, struct json_field *fields,
                                  size_t count, const struct json_field **bad);

/* The problem code of a result: "invalid_json", "json_too_deep", "not_an_object", "invalid_string",
 * "duplicate_field", "unknown_field"; NULL for JSON_OK and JSON_INVALID_FIELD (the caller names
 * the field). */
const char *json_result_code(enum json_result result);

#endif
