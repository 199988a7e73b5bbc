/* sql_array: PostgreSQL array literals.
 *
 * Text is always quoted, so that neither its commas and braces, nor spaces, an empty string or the
 * word NULL are taken for the array's own; inside the quotes a quote and a backslash are escaped by
 * a backslash. bytea's hex form begins with a backslash, which is text to the array: it is escaped
 * as well. Numbers and NULL stand bare.
 *
 * Invariants: length < size once there is memory; the last byte is a comma, but for the brace that
 * opens (nothing added) or closes. What belongs to one element is reserved before it is written. */
#include "common/sql_array.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

enum {
    SIZE_MIN = 256,
    INT_LENGTH_MAX = 20, /* of -9223372036854775808 */
    AROUND_MAX = 8,      /* bytes around an element: brace, quotes, \\x, comma, NUL */
    WORST_FACTOR = 2,    /* a byte becomes two: escaped, or in hex */
};

static const char HEX_DIGITS[] = "0123456789abcdef";

static void grow(struct sql_array *array, size_t size)
{
    char *text = realloc(array->text, size);
    if (text == NULL) {
        log_event(LOG_ERROR, "out_of_memory", LOG_NUMBER("count", size), LOG_NUMBER("size", 1));
        abort();
    }
    array->text = text;
    array->size = size;
}

/* Makes room for an element of length bytes, and opens the array if it is the first. */
static void open_element(struct sql_array *array, size_t length)
{
    assert(!array->closed);
    assert(length < SIZE_MAX / 8); /* so that no sum or doubling below overflows */
    size_t needed = array->length + WORST_FACTOR * length + AROUND_MAX;
    size_t size = array->size > 0 ? array->size : SIZE_MIN;
    while (size < needed) {
        size *= 2;
    }
    if (size > array->size) {
        grow(array, size);
    }
    if (array->length == 0) {
        array->text[array->length++] = '{';
    }
}

static void add_bare(struct sql_array *array, const char *text)
{
    size_t length = strlen(text);
    open_element(array, length);
    memcpy(array->text + array->length, text, length);
    array->length += length;
    array->text[array->length++] = ',';
}

void sql_array_add_int(struct sql_array *array, int64_t number)
{
    char text[INT_LENGTH_MAX + 1];
    snprintf(text, sizeof(text), "%" PRId64, number);
    add_bare(array, text);
}

void sql_array_add_text(struct sql_array *array, const char *text)
{
    if (text == NULL) {
        add_bare(array, "NULL");
        return;
    }
    open_element(array, strlen(text));
    char *out = array->text + array->length;
    *out++ = '"';
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            *out++ = '\\';
        }
        *out++ = *text;
    }
    *out++ = '"';
    *out++ = ',';
    array->length = (size_t)(out - array->text);
}

void sql_array_add_bytea_hex(struct sql_array *array, const void *bytes, size_t length)
{
    static const char prefix[] = "\"\\\\x"; /* a quote, an escaped backslash, x */
    const unsigned char *at = bytes;
    if (at == NULL) {
        add_bare(array, "NULL");
        return;
    }
    open_element(array, length);
    char *out = array->text + array->length;
    memcpy(out, prefix, strlen(prefix));
    out += strlen(prefix);
    for (size_t i = 0; i < length; i++) {
        *out++ = HEX_DIGITS[at[i] >> 4];
        *out++ = HEX_DIGITS[at[i] & 0xf];
    }
    *out++ = '"';
    *out++ = ',';
    array->length = (size_t)(out - array->text);
}

/* The last comma gives way to the brace. */
const char *sql_array_text(struct sql_array *array)
{
    if (!array->closed) {
        if (array->length == 0) {
            open_element(array, 0);
            array->length++;
        }
        array->text[array->length - 1] = '}';
        array->text[array->length] = '\0';
        array->closed = true;
    }
    return array->text;
}

void sql_array_free(struct sql_array *array)
{
    free(array->text);
    *array = (struct sql_array){0};
}
