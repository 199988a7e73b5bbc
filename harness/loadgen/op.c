/* op: memory for operations in progress: slabs that are never moved (the timers and the net point
 * into them), a free list, a bound. An op that is given back is marked OP_FREE, so that walking the
 * slabs finds what is in progress without a list of its own. */
#include "op.h"

#include "common/xalloc.h"

#include <stdlib.h>
#include <string.h>

static bool add_slab(struct ops *ops)
{
    if (ops->slab_count == OPS_SLABS_MAX) {
        return false;
    }
    struct op *slab = xcalloc(OPS_SLAB, sizeof(*slab));
    ops->slabs[ops->slab_count++] = slab;
    for (size_t i = 0; i < OPS_SLAB; i++) {
        slab[i].next = ops->free;
        ops->free = &slab[i];
    }
    return true;
}

struct op *ops_take(struct ops *ops)
{
    if (ops->free == NULL && !add_slab(ops)) {
        return NULL;
    }
    struct op *op = ops->free;
    ops->free = op->next;
    ops->active++;
    memset(op, 0, sizeof(*op));
    return op;
}

void ops_give(struct ops *ops, struct op *op)
{
    op->state = OP_FREE;
    op->next = ops->free;
    ops->free = op;
    ops->active--;
}

void ops_each(struct ops *ops, void (*visit)(void *context, struct op *op), void *context)
{
    for (size_t slab = 0; slab < ops->slab_count; slab++) {
        for (size_t i = 0; i < OPS_SLAB; i++) {
            if (ops->slabs[slab][i].state != OP_FREE) {
                visit(context, &ops->slabs[slab][i]);
            }
        }
    }
}

void ops_destroy(struct ops *ops)
{
    for (size_t slab = 0; slab < ops->slab_count; slab++) {
        free(ops->slabs[slab]);
    }
    memset(ops, 0, sizeof(*ops));
}
