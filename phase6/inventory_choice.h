/* inventory_choice: which of the inventories a server sells with. First used by phase 6. */
#ifndef INVENTORY_CHOICE_H
#define INVENTORY_CHOICE_H

#include "common/dbpool.h"
#include "common/metrics.h"
#include "inventory.h"

/* The one of that name, which is one of INVENTORY's (assert). */
const struct inventory *inventory_named(const char *name);

/* Whether the database's stock is where this inventory looks for it. ST_OK: it is; ST_SCHEMA, and
 * logged with what to do: stock lies in shards, and the inventory knows none: it would call a sale
 * sold out that is not. Otherwise the database's fault, logged as well: tables or columns are
 * missing, or it could not be asked. Blocks for a connection until deadline_ns. */
MUST_USE enum status inventory_check(const struct inventory *inventory, struct dbpool *pool,
                                     int64_t deadline_ns);

/* Publishes flashdeal_inventory_conflicts_total. Call it once. */
void inventory_publish(const struct inventory *inventory, struct metrics *metrics);

#endif
