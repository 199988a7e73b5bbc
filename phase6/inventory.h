/* inventory: decides whether orders get their units. First used by phase 1.
 *
 * A table of functions, so that a setting can choose the way to do it. Whatever the way: never more
 * units confirmed than there are, nobody told that a sale is sold out while what he asked for is
 * left, the stock always agrees with the confirmed orders, the per-user limit holds whoever decides
 * at the same time in the same way, and an order is decided once, however often it is asked for. */
#ifndef INVENTORY_H
#define INVENTORY_H

#include "common/pg.h"
#include "common/status.h"
#include "order.h"

struct inventory_options {
    int shards; /* rows that the sharded stock of a sale is divided into, from 1 */
    int tries;  /* of the optimistic one, before it gives an order back; from 1 */
};

struct inventory {
    const char *name; /* a value of INVENTORY */

    /* How many answers of the database one call of decide or decide_batch may wait for, preparing
     * its statements included. */
    int answers_max;

    /* Before the first order, once. NULL: it has no options. */
    void (*set_up)(const struct inventory_options *options);

    /* Decides one order in transactions of its own and leaves pg outside any. ST_OK: *outcome is
     * final, and but for ORDER_SALE_NOT_FOUND durable in the order's row; if there was a row of
     * that id already, *outcome is its outcome and order its order. ST_UNKNOWN: it may have been
     * decided; any other status: it was not, by this call. In both cases ask again: it is decided
     * once. Blocks as pg.h says. */
    enum status (*decide)(struct pg *pg, struct order *order, enum order_outcome *outcome);

    /* Decides count orders of one sale, 1 to ORDER_BATCH_MAX, in their order and in one
     * transaction. ST_OK: as decide, for each. Anything else: as decide, for all of them, and
     * outcomes and the orders' sales, users and quantities may have been changed; where it is ST_DB
     * or ST_CONSTRAINT, one of them may be to blame: ask for each by itself. NULL: it knows only
     * one at a time. */
    enum status (*decide_batch)(struct pg *pg, struct order *orders, enum order_outcome *outcomes,
                                int count);

    /* Attempts in vain that were repeated at once, since start: the version had changed, no shard
     * at hand had enough. NULL: it has none. Any thread. */
    int64_t (*read_conflicts)(void);
};

enum { ORDER_BATCH_MAX = 1000 };

extern const struct inventory inventory_pessimistic; /* locks the sale's row */
extern const struct inventory
    inventory_optimistic;                        /* locks nothing, and looks whether it was alone */
extern const struct inventory inventory_sharded; /* locks one of several rows of the sale */
extern const struct inventory inventory_batched; /* locks the sale's row once for many orders */

#endif
