/* id_table: a fixed array of nodes, chained by hash, with a line of those that may make way.
 *
 * Every node is free, or in the chain of its bucket, or in a chain and in line. Links are indexes
 * into the array, half as large as pointers. Node 0 is no entry: as a link it is the end of a
 * chain, and its own links make a ring of the line, from the one released first to the one released
 * last. A value lies behind its node.
 *
 * Invariants: an id is in one chain at most; used counts the nodes in chains,
 * released those in line. It knows neither what a value is nor when one may be released. */
#include "common/id_table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/uuid.h"
#include "common/xalloc.h"

enum {
    END = 0,  /* of a chain */
    LINE = 0, /* the node whose links are the line's ends */
    KEY_WORDS = sizeof(((struct id_key *)0)->words) / sizeof(uint64_t),
    TO_LOWER = 0x20, /* the bit that a letter has in lower case; digits and dashes have it too */
};

struct node {
    uint64_t words[KEY_WORDS]; /* the id */
    uint32_t bucket;           /* whose chain it is in */
    uint32_t chain;            /* the next there, or of the free ones */
    uint32_t older, newer;     /* neighbours in line */
};

_Static_assert(sizeof(struct node) + sizeof(uint32_t) == ID_TABLE_EACH_BYTES,
               "a node and a bucket are what the header says that an entry costs");

struct id_table {
    uint32_t max;
    size_t stride;         /* bytes of a node with its value */
    uint32_t *buckets;     /* max of them: the first node of each chain */
    unsigned char *memory; /* max + 1 nodes */
    uint32_t first_free;
    struct id_table_stats stats;
};

/* ------------------------------------------------------------------------------------ keys */

/* The finalizer of splitmix64 (Steele, Lea, Flood, 2014): a fixed permutation that mixes well. */
static uint64_t mix(uint64_t value)
{
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

/* A secret before each permutation: without it nobody knows which ids land together. */
struct id_key id_key_of(const struct id_key *secret, const char *id)
{
    char text[ID_TABLE_ID_MAX + 1] = {0};
    size_t length = strlen(id);
    assert(length <= ID_TABLE_ID_MAX);
    for (size_t i = 0; i < length; i++) {
        text[i] = (char)(id[i] | TO_LOWER);
    }
    struct id_key key = {.hash = 0};
    memcpy(key.words, text, sizeof key.words);
    for (size_t i = 0; i < KEY_WORDS; i++) {
        key.hash = mix(key.hash ^ key.words[i] ^ secret->words[i]);
    }
    return key;
}

struct id_key id_key_secret(void)
{
    const struct id_key none = {.hash = 0};
    char random[UUID_TEXT_SIZE];
    uuid_random(random); /* 122 bits from the kernel */
    return id_key_of(&none, random);
}

/* ----------------------------------------------------------------------------------- nodes */

static struct node *node_at(const struct id_table *table, uint32_t at)
{
    return (struct node *)(void *)(table->memory + at * table->stride);
}

static struct node *node_of(void *value)
{
    return (struct node *)value - 1;
}

static uint32_t index_of(const struct id_table *table, const struct node *node)
{
    size_t offset = (size_t)((const unsigned char *)node - table->memory);
    return (uint32_t)(offset / table->stride);
}

static uint32_t bucket_of(const struct id_table *table, const struct id_key *key)
{
    return (uint32_t)((key->hash & UINT32_MAX) * table->max >> 32);
}

struct id_table *id_table_new(uint32_t max, size_t value_size)
{
    assert(max >= 1 && max < UINT32_MAX && value_size % sizeof(uint64_t) == 0);
    struct id_table *table = xcalloc(1, sizeof(*table));
    table->max = max;
    table->stride = sizeof(struct node) + value_size;
    table->buckets = xcalloc(max, sizeof(*table->buckets));
    table->memory = xcalloc((size_t)max + 1, table->stride);
    for (uint32_t at = 1; at < max; at++) {
        node_at(table, at)->chain = at + 1;
    }
    table->first_free = 1;
    return table;
}

void id_table_free(struct id_table *table)
{
    if (table == NULL) {
        return;
    }
    free(table->memory);
    free(table->buckets);
    free(table);
}

/* ------------------------------------------------------------------------------ in and out */

void *id_table_find(struct id_table *table, const struct id_key *key)
{
    uint32_t at = table->buckets[bucket_of(table, key)];
    while (at != END) {
        struct node *node = node_at(table, at);
        if (memcmp(node->words, key->words, sizeof node->words) == 0) {
            return node + 1;
        }
        at = node->chain;
    }
    return NULL;
}

/* Takes it out of its chain and frees it. */
static void unchain(struct id_table *table, struct node *node)
{
    uint32_t at = index_of(table, node);
    uint32_t *link = &table->buckets[node->bucket];
    while (*link != at) {
        link = &node_at(table, *link)->chain;
    }
    *link = node->chain;
    node->chain = table->first_free;
    table->first_free = at;
    table->stats.used--;
}

static void evict_oldest(struct id_table *table)
{
    uint32_t oldest = node_at(table, LINE)->newer;
    if (oldest == LINE) {
        return;
    }
    struct node *node = node_at(table, oldest);
    node_at(table, node->older)->newer = node->newer;
    node_at(table, node->newer)->older = node->older;
    table->stats.released--;
    table->stats.evicted++;
    unchain(table, node);
}

void *id_table_add(struct id_table *table, const struct id_key *key)
{
    if (table->first_free == END) {
        evict_oldest(table);
    }
    uint32_t at = table->first_free;
    if (at == END) {
        return NULL;
    }
    struct node *node = node_at(table, at);
    table->first_free = node->chain;
    memset(node, 0, table->stride);
    memcpy(node->words, key->words, sizeof node->words);
    node->bucket = bucket_of(table, key);
    node->chain = table->buckets[node->bucket];
    table->buckets[node->bucket] = at;
    table->stats.used++;
    return node + 1;
}

void id_table_release(struct id_table *table, void *value)
{
    struct node *line = node_at(table, LINE);
    struct node *node = node_of(value);
    uint32_t at = index_of(table, node);
    node->older = line->older;
    node->newer = LINE;
    node_at(table, line->older)->newer = at;
    line->older = at;
    table->stats.released++;
}

void id_table_remove(struct id_table *table, void *value)
{
    unchain(table, node_of(value));
}

void id_table_read_stats(const struct id_table *table, struct id_table_stats *out)
{
    *out = table->stats;
}
