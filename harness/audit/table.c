/* Open addressing with linear probing; removal shifts the run back, so there are no tombstones.
 *
 * Slots are a power of two, at most TABLE_LOAD_MAX in 8 of them used, doubled when it would be
 * more. Whether a slot is used is a bit of its own array: every key is possible, zero too. It does
 * not keep the order of insertion and does not shrink. */
#include "harness/audit/table.h"

#include <stdlib.h>

#include "common/xalloc.h"

enum { TABLE_SLOTS_MIN = 64, TABLE_LOAD_MAX = 5 /* eighths */ };

struct slot {
    struct table_key key;
    uint64_t value;
};

struct table {
    struct slot *slots;
    bool *used;
    size_t size; /* a power of two */
    size_t count;
};

static void make_slots(struct table *table, size_t size)
{
    table->slots = xcalloc(size, sizeof *table->slots);
    table->used = xcalloc(size, sizeof *table->used);
    table->size = size;
}

struct table *table_new(void)
{
    struct table *table = xcalloc(1, sizeof *table);
    make_slots(table, TABLE_SLOTS_MIN);
    return table;
}

void table_free(struct table *table)
{
    if (table) {
        free(table->slots);
        free(table->used);
        free(table);
    }
}

/* Mixes both halves well enough for consecutive numbers (splitmix64's finalizer). */
static size_t home(const struct table *table, struct table_key key)
{
    uint64_t x = key.high * UINT64_C(0x9e3779b97f4a7c15) ^ key.low;
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (size_t)(x ^ (x >> 31)) & (table->size - 1);
}

/* The slot that holds key, or the free one where it belongs: there always is a free one. */
static size_t probe(const struct table *table, struct table_key key)
{
    size_t i = home(table, key);
    while (table->used[i] &&
           (table->slots[i].key.high != key.high || table->slots[i].key.low != key.low)) {
        i = (i + 1) & (table->size - 1);
    }
    return i;
}

static void grow(struct table *table)
{
    struct table old = *table;
    make_slots(table, old.size * 2);
    for (size_t i = 0; i < old.size; i++) {
        if (old.used[i]) {
            size_t to = probe(table, old.slots[i].key);
            table->slots[to] = old.slots[i];
            table->used[to] = true;
        }
    }
    free(old.slots);
    free(old.used);
}

uint64_t *table_find(const struct table *table, struct table_key key)
{
    size_t i = probe(table, key);
    return table->used[i] ? &table->slots[i].value : NULL;
}

uint64_t *table_add(struct table *table, struct table_key key, bool *added)
{
    if ((table->count + 1) * 8 > table->size * TABLE_LOAD_MAX) {
        grow(table);
    }
    size_t i = probe(table, key);
    if (added) {
        *added = !table->used[i];
    }
    if (!table->used[i]) {
        table->slots[i] = (struct slot){key, 0};
        table->used[i] = true;
        table->count++;
    }
    return &table->slots[i].value;
}

bool table_remove(struct table *table, struct table_key key)
{
    size_t mask = table->size - 1;
    size_t hole = probe(table, key);
    if (!table->used[hole]) {
        return false;
    }
    /* Whatever of the run may stand in the hole (its home is not after the hole) moves there. */
    for (size_t i = (hole + 1) & mask; table->used[i]; i = (i + 1) & mask) {
        size_t from_home = (i - home(table, table->slots[i].key)) & mask;
        if (from_home >= ((i - hole) & mask)) {
            table->slots[hole] = table->slots[i];
            hole = i;
        }
    }
    table->used[hole] = false;
    table->count--;
    return true;
}

size_t table_count(const struct table *table)
{
    return table->count;
}

static uint64_t hash_from(uint64_t hash, const char *text)
{
    for (; *text; text++) {
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    }
    return hash;
}

uint64_t table_hash_text(const char *text)
{
    return hash_from(UINT64_C(0xcbf29ce484222325), text);
}

struct table_key table_key_of_text(const char *text)
{
    return (struct table_key){table_hash_text(text), hash_from(UINT64_C(0x9e3779b97f4a7c15), text)};
}
