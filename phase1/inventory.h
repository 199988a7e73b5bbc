/* inventory: decides whether an order gets its units. First used by phase 1.
 *
 * A table of functions, so that a setting can choose the way to do it and a later phase can replace
 * it. Whatever the way: never more units confirmed than there are, and stock_left always agrees
 * with the confirmed orders (inventory_unsafe breaks this on purpose). */
#ifndef INVENTORY_H
#define INVENTORY_H

#include <stdint.h>

#include "common/pg.h"
#include "common/status.h"
#include "common/uuid.h"

struct order {
    char id[UUID_TEXT_SIZE];
    int64_t sale_id, user_id; /* from 1 */
    int64_t quantity;         /* 1 to INT32_MAX units */
};

/* What an order came to. Not a status: all of these are answers of a healthy system. */
enum order_outcome {
    ORDER_CONFIRMED,      /* the units are the user's, durably */
    ORDER_SALE_NOT_FOUND, /* no such sale */
    ORDER_SALE_NOT_OPEN,  /* before starts_at */
    ORDER_SALE_ENDED,     /* at or after ends_at */
    ORDER_SOLD_OUT,       /* fewer units are left than were asked for */
    ORDER_LIMIT_EXCEEDED, /* with the user's earlier confirmed units, over the per-user limit */
};

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
