/* id_table: a bounded table of what belongs to ids. First used by phase 4 (its ticket table).
 *
 * All memory is taken when the table is made. An entry is a value of fixed size under an id; it
 * stays until it is removed, or released: then it may make way for a new one, the one released
 * first before all others.
 *
 * Ids are compared without regard to the case of their letters, and hashed under a secret, so that
 * a client who chooses ids cannot make the table slow. No function blocks, allocates after
 * id_table_new, or is safe from two threads at once: the caller has a lock for each table. */
#ifndef FLASHDEAL_ID_TABLE_H
#define FLASHDEAL_ID_TABLE_H

#include <stddef.h>
#include <stdint.h>

enum {
    ID_TABLE_ID_MAX = 39,    /* bytes of an id, without its NUL: more than a UUID's 36 */
    ID_TABLE_EACH_BYTES = 60 /* what an entry costs besides its value */
};

struct id_table; /* opaque; guarded by the caller */

/* An id made ready for a look-up. */
struct id_key {
    uint64_t words[(ID_TABLE_ID_MAX + 1) / 8]; /* its text, and zeros behind */
    uint64_t hash; /* the first bits choose between tables, the last ones within a table */
};

/* Draws a secret, one for all tables of a set. Aborts if the kernel has no randomness to give. */
struct id_key id_key_secret(void);

/* The key of an id of at most ID_TABLE_ID_MAX bytes (assert): letters, digits and dashes. */
struct id_key id_key_of(const struct id_key *secret, const char *id);

/* A table of at most max entries, from 1, with values of value_size bytes, a multiple of 8. Aborts
 * when memory runs out. */
struct id_table *id_table_new(uint32_t max, size_t value_size);

/* The value under that id, the caller's to read and write until its entry is removed or makes way;
 * NULL: there is none. */
void *id_table_find(struct id_table *table, const struct id_key *key);

/* Makes an entry for an id that has none and returns its value, all zero. If the table is full, the
 * entry that was released first makes way; NULL: none is released. */
void *id_table_add(struct id_table *table, const struct id_key *key);

/* The value may make way from now on. Once for each. */
void id_table_release(struct id_table *table, void *value);

/* Ends the entry of a value that is not released. */
void id_table_remove(struct id_table *table, void *value);

struct id_table_stats {
    int64_t used;     /* entries */
    int64_t released; /* of those */
    int64_t evicted;  /* that made way, since the table was made */
};

void id_table_read_stats(const struct id_table *table, struct id_table_stats *out);

/* Accepts NULL. */
void id_table_free(struct id_table *table);

#endif
