/* table: a hash table from 128 bits to 64, for millions of entries at 24 bytes each.
 *
 * A key is what the caller makes of its own: an order's UUID is one as it stands, a user's number
 * is one with the other half 0. Not for several threads. Memory that runs out ends the program. */
#ifndef AUDIT_TABLE_H
#define AUDIT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table; /* opaque */

struct table_key {
    uint64_t high, low;
};

struct table *table_new(void);

/* Accepts NULL. */
void table_free(struct table *table);

/* The value under key, NULL if there is none. Valid until the next add or remove. */
uint64_t *table_find(const struct table *table, struct table_key key);

/* The value under key, which is made, as 0, if there is none; *added (may be NULL) says so. Valid
 * until the next add or remove. */
uint64_t *table_add(struct table *table, struct table_key key, bool *added);

/* Whether there was such a key to remove. */
bool table_remove(struct table *table, struct table_key key);

size_t table_count(const struct table *table);

/* A 64-bit hash of a text (FNV-1a); and a key for a text, which is two of them: a million texts
 * share one with a chance of 10^-27. */
uint64_t table_hash_text(const char *text);
struct table_key table_key_of_text(const char *text);

#endif
