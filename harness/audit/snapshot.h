/* snapshot: what the database says of the judged sales, at one moment. */
#ifndef AUDIT_SNAPSHOT_H
#define AUDIT_SNAPSHOT_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harness/audit/database.h"
#include "harness/audit/journal.h"
#include "harness/audit/options.h"

/* One sale, all users' orders. */
struct sale {
    int64_t sale_id;
    bool known; /* audit_sales has it, with its stock */
    int64_t stock_total, stock_left;
    int64_t orders, confirmed; /* rows */
    int64_t units;             /* confirmed */
    int64_t larger_units;      /* of these, in orders of more than one */
    int64_t unsettled;         /* rows that are not in a final state */
    int64_t refused_ones; /* rows: orders of one, rejected as sold_out or for no known reason */
};

struct snapshot {
    struct sale *sales; /* by sale_id */
    size_t sale_count;
    int64_t orders, confirmed, unsettled; /* sums of the sales' */
    int64_t missing;                      /* promises without a row */
    int64_t rows;                         /* rows of the journal's users and sales */
    int64_t keyless; /* rows without idempotency_key; counted with --idempotent only */
    int64_t settled_ms;

    /* The worst offenders: at most SNAPSHOT_WORST rows, the last column their whole number. */
    PGresult *stranded;   /* sale_id, order_id, user_id, quantity, stock_left */
    PGresult *over_limit; /* sale_id, user_id, units, per_user_limit */
    PGresult *key_twice;  /* user_id, idempotency_key, orders; NULL without --idempotent */

    char error[DATABASE_ERROR_SIZE]; /* why there is none; "" if there is */
};

enum { SNAPSHOT_WORST = 5 };

/* Waits up to options->settle_ms until no order is pending and no promise is without its row, then
 * keeps what it saw last, and notes in the journal's promises what became of them. Always sets out;
 * snapshot_free frees what it holds. */
void snapshot_take(const struct options *options, struct journal *journal, struct snapshot *out);

void snapshot_free(struct snapshot *snapshot);

#endif
