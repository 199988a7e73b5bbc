/* order_batch: decides orders of one sale, together or one by one. First used by phase 6. */
#ifndef ORDER_BATCH_H
#define ORDER_BATCH_H

#include "common/workers.h"
#include "inventory.h"

enum {
    ORDER_BATCH_REFUSED_S = 20
}; /* an order whose every row is refused is given up after that */

/* Decides count orders of one sale, 1 to ORDER_BATCH_MAX. tries: how often in a row orders of it
 * have come back. Returns how many are done: they have their outcomes, and are the orders that the
 * database has under their ids; but one that has_no_row is ORDER_FAILED without (unless a COMMIT of
 * which nobody heard has made it). The others are ORDER_PENDING, nothing is known of them, and they
 * may be asked for again; *why is what kept the first of them from being decided. Blocks as the
 * inventory does, beats for the worker between two orders, and ends early when a stop gives up or
 * the worker has lost its place. */
MUST_USE int order_batch_decide(const struct inventory *inventory, struct worker *worker,
                                struct pg *pg, struct order *orders, enum order_outcome *outcomes,
                                int count, int tries, enum status *why);

/* How long the sale rests, in ms, after so many tries in a row from which orders came back and one
 * more, of which done orders were decided and the first of the others was not for that reason. 0:
 * not at all, after the first of them, which may have met no more than a connection that was lost,
 * and where others got through. Else drawn, from 1 to a time that doubles from try to try, up to a
 * second; after ST_RETRY 1 for the first 20: somebody was faster, or a connection was lost, and
 * neither is better for waiting; what lasts longer is neither. */
int64_t order_batch_rest_ms(int tries, int done, enum status why);

#endif
