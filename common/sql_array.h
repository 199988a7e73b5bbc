/* sql_array: PostgreSQL array literals, to pass many values as one text parameter. First used by
 * phase 6.
 *
 *     struct sql_array keys = {0};
 *     for (int i = 0; i < count; i++) {
 *         sql_array_add_text(&keys, orders[i].key);
 *     }
 *     values[0] = sql_array_text(&keys); // $1::text[], and in SQL: unnest($1::text[])
 *     ...
 *     sql_array_free(&keys);
 *
 * One dimension. The elements of one literal are all added by one of the add functions, or NULL;
 * an array of so many elements is given to one statement however many there are, so its text does
 * not change and it is prepared once. Source: PostgreSQL manual, "Array Input and Output Syntax".
 *
 * The buffer grows by doubling; memory that runs out ends the process, as in xalloc. An array
 * belongs to one thread at a time. */
#ifndef FLASHDEAL_SQL_ARRAY_H
#define FLASHDEAL_SQL_ARRAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Begin with {0}: an empty array, without memory. Read only through the functions. */
struct sql_array {
    char *text;    /* the literal so far; owned; NULL before the first element */
    size_t length; /* bytes of it */
    size_t size;   /* bytes allocated */
    bool closed;   /* its brace is closed: read, and not to be added to */
};

/* Releases its memory; it is then empty, as {0}. */
void sql_array_free(struct sql_array *array);

/* Adds an element: for smallint[], int[] or bigint[]. The array must not be closed (assert). */
void sql_array_add_int(struct sql_array *array, int64_t number);

/* For text[], uuid[] and whatever else has a text form; any bytes but NUL. NULL: SQL's NULL. text
 * is copied. */
void sql_array_add_text(struct sql_array *array, const char *text);

/* For bytea[]: length bytes, copied; NULL: SQL's NULL. */
void sql_array_add_bytea_hex(struct sql_array *array, const void *bytes, size_t length);

/* Closes it and returns the literal ("{}" if nothing was added): the array's own, valid until it is
 * freed. May be called again. */
const char *sql_array_text(struct sql_array *array);

#endif
