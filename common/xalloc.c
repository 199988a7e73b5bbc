/* xalloc: allocation that succeeds or ends the process.
 *
 * For start-up only. The failure path allocates nothing: log_event builds its line on the stack.
 * A size of nothing gives one byte, so that the result is never NULL and can always be freed.
 * It does not replace malloc in the libraries: cJSON and libpq report their own failures. */
#include "common/xalloc.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"

void *xcalloc(size_t count, size_t size)
{
    size_t some_count = count > 0 && size > 0 ? count : 1;
    size_t some_size = count > 0 && size > 0 ? size : 1;
    void *memory = calloc(some_count, some_size);
    if (!memory) {
        log_event(LOG_ERROR, "out_of_memory", LOG_NUMBER("count", count), LOG_NUMBER("size", size));
        abort();
    }
    return memory;
}

char *xstrdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = xcalloc(size, 1);
    memcpy(copy, text, size);
    return copy;
}
