/* json_scan: the strict scanner under json. First used by phase 1.
 *
 * Private to json.c and its tests: the phases call json_read_object. Functions move at forward over
 * what they name; where one returns false or a result other than JSON_OK, the scan is over. A scan
 * belongs to one thread; nothing here allocates, blocks or recurses. */
#ifndef FLASHDEAL_JSON_SCAN_H
#define FLASHDEAL_JSON_SCAN_H

#include <stdbool.h>

#include "common/json.h"

/* "Odd" numbers are those that cJSON must not see: over 63 bytes long, an old cJSON's bound, or
 * breaking the grammar of numbers (007, 1.), which json.h calls a bad value where it is the value
 * of a member of the document. */
struct json_scan {
    const char *at, *end;
    bool is_object[JSON_DEPTH_MAX]; /* of what is open at each depth, outermost first */
    int depth;
    bool has_nul; /* "\u0000" was seen in a key or string */
    bool
        has_odd_numbers; /* one was seen; anywhere but in a member of the document only long ones */
};

/* Whether the next byte is one of characters; false at the end. */
bool json_scan_is_at(const struct json_scan *s, const char *characters);

/* Passes blanks, if any. */
void json_scan_blanks(struct json_scan *s);

/* Passes -?(0|[1-9][0-9]*) and stops behind it, whatever follows. */
bool json_scan_integer(struct json_scan *s);

/* Passes all that could belong to a number; returns whether it is odd. */
bool json_scan_number_is_odd(struct json_scan *s);

/* Passes a string, quotes included. */
bool json_scan_string(struct json_scan *s);

/* Passes blanks and, where an object is the innermost open, a key, its colon, and blanks: a value
 * is next. */
bool json_scan_key(struct json_scan *s);

/* Passes one value with all that is inside it. JSON_OK, JSON_INVALID or JSON_TOO_DEEP. */
enum json_result json_scan_value(struct json_scan *s);

/* Passes a whole text: one value, blanks around it, nothing else. Results as json_scan_value. */
enum json_result json_scan_document(struct json_scan *s);

#endif
