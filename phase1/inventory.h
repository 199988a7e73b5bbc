/* inventory: decides whether an order gets its units. First used by phase 1.
 *
 * A table of functions, so that a setting can choose the way to do it and a later phase can replace
 * it. Whatever the way: never more units confirmed than there are, and stock_left always agrees
 * with the confirmed orders (inventory_unsafe breaks this on purpose). */
#ifndef INVENTORY_H
#define INVENTORY_H

#include "common/pg.h"
#include "common/status.h"
#include "order.h"

struct inventory {
    const char *name; /* for the log */

    /* Decides one order in a transaction of its own and leaves pg outside any. ST_OK: *outcome
     * says what came of it, and only ORDER_CONFIRMED has left a row. ST_UNKNOWN: it may have been
     * confirmed. Any other status: it was not. Blocks as pg.h says. */
    enum status (*decide)(struct pg *pg, const struct order *order, enum order_outcome *outcome);
};

extern const struct inventory inventory_pessimistic; /* locks the sale's row */
extern const struct inventory inventory_unsafe;      /* forgets to: oversells */

#endif
