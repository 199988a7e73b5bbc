/* order_rows: orders as rows of the database, for the inventories, which share it. First used by
 * phase 4. It begins and ends no transaction. */
#ifndef ORDER_ROWS_H
#define ORDER_ROWS_H

#include "common/pg.h"
#include "common/status.h"
#include "order.h"

/* Makes a point in time of a parameter, microseconds since 1970. Exact: below 2^53 until 2255. */
#define ORDER_AS_TIME "::float8 * interval '1 microsecond' + timestamptz 'epoch'"

enum {
    ORDER_INT_SIZE = 21, /* a number as text, with its NUL */
    ORDER_FINGERPRINT_SIZE = 2 + 2 * ORDER_FINGERPRINT_BYTES + 1, /* \x, hex digits, NUL */
};

/* An order as parameters. */
struct order_texts {
    char sale_id[ORDER_INT_SIZE], user_id[ORDER_INT_SIZE], quantity[ORDER_INT_SIZE],
        accepted_us[ORDER_INT_SIZE], fingerprint[ORDER_FINGERPRINT_SIZE];
};

struct order_texts order_texts_of(const struct order *order);

/* *bought: the user's confirmed units of the sale so far. *outcome: what the order of this id came
 * to before, and *order is that order; or ORDER_PENDING. Exact only under a lock that all
 * take who decide for this user. */
MUST_USE enum status order_rows_find(struct pg *pg, struct order *order,
                                     const struct order_texts *texts, int64_t *bought,
                                     enum order_outcome *outcome);

/* For an order of which nothing could be written, because (why) it has a row: ST_CONSTRAINT, or its
 * sale is gone: ST_NOT_FOUND, and it may have a row of another sale. ST_OK: *outcome and *order are
 * that row's; without one *outcome is ORDER_SALE_NOT_FOUND, and of ST_CONSTRAINT that is returned.
 */
MUST_USE enum status order_rows_look_up(struct pg *pg, struct order *order,
                                        const struct order_texts *texts, enum status why,
                                        enum order_outcome *outcome);

/* Inserts the order's row, with its outcome. *count: 1, or 0: there is one of that id or key, by
 * somebody who was first. */
MUST_USE enum status order_rows_insert(struct pg *pg, const struct order *order,
                                       const struct order_texts *texts, enum order_outcome outcome,
                                       int64_t *count);

/* Fails an order that cannot be decided, outside any transaction. ST_OK: *outcome is ORDER_FAILED,
 * and its row says so; if there was a row already, its outcome, as a decision has it;
 * ORDER_SALE_NOT_FOUND if the sale is gone: a row needs its sale. (Or its user and key have a row
 * of another id, which no server writes.) Otherwise *outcome is ORDER_FAILED, and nothing is known
 * of a row. */
MUST_USE enum status order_rows_fail(struct pg *pg, struct order *order,
                                     enum order_outcome *outcome);

#endif
