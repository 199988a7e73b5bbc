/* inventory: decides whether an order gets its units. First used by phase 1.
 *
 * A table of functions, so that a setting can choose the way to do it and a later phase can replace
 * it. Whatever the way: never more units confirmed than there are, stock_left always agrees with
 * the confirmed orders, and an order is decided once, however often it is asked for. */
#ifndef INVENTORY_H
#define INVENTORY_H

#include "common/pg.h"
#include "common/status.h"
#include "order.h"

struct inventory {
    const char *name; /* for the log */

    /* How many answers of the database one call of decide may wait for, preparing its statements
     * included. */
    int answers_max;

    /* Decides one order in a transaction of its own and leaves pg outside any. ST_OK: *outcome is
     * final, and but for ORDER_SALE_NOT_FOUND durable in the order's row; if there was a row of
     * that id already, *outcome is its outcome and order its order. ST_UNKNOWN: it may have been
     * decided; any other status: it was not. In both cases ask again: it is decided once. Blocks as
     * pg.h says. */
    enum status (*decide)(struct pg *pg, struct order *order, enum order_outcome *outcome);
};

extern const struct inventory inventory_pessimistic; /* locks the sale's row */

#endif
