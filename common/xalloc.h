/* xalloc: memory at start-up. First used by phase 0.
 *
 * A server that cannot get its memory at start has nothing better to do than say so and end; the
 * request path does not allocate, so it never meets this. */
#ifndef FLASHDEAL_XALLOC_H
#define FLASHDEAL_XALLOC_H

#include <stddef.h>

/* calloc(3) that does not return NULL: it logs "out_of_memory" and aborts. The caller frees. */
__attribute__((returns_nonnull, malloc)) void *xcalloc(size_t count, size_t size);

/* strdup(3) likewise; text must not be NULL. */
__attribute__((returns_nonnull, malloc)) char *xstrdup(const char *text);

#endif
