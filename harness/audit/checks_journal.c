/* The checks that hold the clients' word against the database.
 *
 * not_stranded. Nothing returns stock, so what is left at the end is the least that ever was: a
 * client who was told sold_out for a quantity that is left at the end was told so wrongly. Told so
 * were: replies 409 sold_out, awaited orders that ended rejected sold_out, and rows rejected as
 * sold_out, which is what their owners are told whenever they ask.
 *   Coverage of the demand: an order of one fits while anything is left. Therefore, when the units
 * confirmed in larger orders, plus all answered orders of one, reach stock_total, nothing may be
 * left: it would mean that an order of one was turned away from a unit that is there still.
 * Answered are orders of one that are confirmed, told sold_out, or turned away without a reason of
 * the contract's (409 with another code or none, rejected with another reason or none). This finds
 * the server that says it in its own words. An order over the user's limit, before the opening or
 * after the end of the sale is no demand, nor is one that the server did not take (429, 503) or may
 * not have seen (unknown): they may leave stock behind.
 *
 * acknowledged_once. A 201 or 202 is a promise. --allow-lost forgives the promise that has no row,
 * and the 404 for it, and nothing else.
 *
 * row_count. Of the journal's users and sales the database holds at least a row for each promise,
 * whatever its state, and no more than these and the attempts of unknown outcome; with
 * --idempotent, those of one key together make one row at most, and none beside a promise. A
 * refusal leaves no row. Rows of other users and of other sales are not counted. */
#include "harness/audit/checks.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const struct sale *find_sale(const struct snapshot *snapshot, int64_t sale_id)
{
    for (size_t i = 0; i < snapshot->sale_count; i++) {
        if (snapshot->sales[i].sale_id == sale_id && snapshot->sales[i].known) {
            return &snapshot->sales[i];
        }
    }
    return NULL;
}

static void stranded_rows(const struct snapshot *snapshot, struct check *check)
{
    const PGresult *rows = snapshot->stranded;
    for (int row = 0; row < PQntuples(rows); row++) {
        const char *quantity = PQgetvalue(rows, row, 3), *left = PQgetvalue(rows, row, 4);
        check_offend(check, strtoll(left, NULL, 10) - strtoll(quantity, NULL, 10),
                     "sale %s: order %s of user %s for %s is rejected sold_out, but %s are left",
                     PQgetvalue(rows, row, 0), PQgetvalue(rows, row, 1), PQgetvalue(rows, row, 2),
                     quantity, left);
    }
    if (PQntuples(rows) > 0) {
        check->offenders += strtoll(PQgetvalue(rows, 0, 5), NULL, 10) - PQntuples(rows);
    }
}

static void stranded_refusals(const struct journal *journal, const struct snapshot *snapshot,
                              struct check *check)
{
    for (size_t i = 0; i < journal->refusal_count; i++) {
        const struct refusal *refusal = &journal->refusals[i];
        const struct sale *sale = find_sale(snapshot, refusal->sale_id);
        if (sale && refusal->sold_out > 0 && refusal->quantity <= sale->stock_left) {
            check_offend(check, sale->stock_left - refusal->quantity,
                         "sale %" PRId64 ": %" PRId64 " orders for %" PRId64 " (user %" PRId64
                         "'s is one) were told sold_out, but %" PRId64 " are left",
                         sale->sale_id, refusal->sold_out, refusal->quantity, refusal->user_id,
                         sale->stock_left);
            check->offenders += refusal->sold_out - 1;
        }
    }
}

static bool was_told_sold_out(const struct promise *promise)
{
    return promise->told == STATE_REJECTED && promise->told_reason == REASON_SOLD_OUT;
}

/* Told sold_out on asking; where the row says so too, stranded_rows has it already. */
static void stranded_promises(const struct journal *journal, const struct snapshot *snapshot,
                              struct check *check)
{
    for (size_t i = 0; i < journal->promise_count; i++) {
        const struct promise *promise = &journal->promises[i];
        bool row_says_so = promise->state == STATE_REJECTED && promise->reason == REASON_SOLD_OUT;
        if (!was_told_sold_out(promise) || row_says_so) {
            continue;
        }
        const struct sale *sale = find_sale(snapshot, promise->ask.sale_id);
        if (sale && promise->ask.quantity <= sale->stock_left) {
            check_offend(check, sale->stock_left - promise->ask.quantity,
                         "sale %" PRId64 ": order %s for %" PRId64
                         " was told sold_out, but %" PRId64 " are left",
                         sale->sale_id, promise->id, promise->ask.quantity, sale->stock_left);
        }
    }
}

/* Orders of one that got 409 for want of stock, or for no known reason; they have no rows. */
static int64_t refused_ones(const struct journal *journal, int64_t sale_id)
{
    const struct table_key one = {(uint64_t)sale_id, 1};
    const uint64_t *place = table_find(journal->refusal_by_ask, one);
    if (!place) {
        return 0;
    }
    return journal->refusals[*place].sold_out + journal->refusals[*place].unexplained;
}

static void uncovered_stock(const struct journal *journal, const struct snapshot *snapshot,
                            struct check *check)
{
    for (size_t i = 0; i < snapshot->sale_count; i++) {
        const struct sale *sale = &snapshot->sales[i];
        int64_t refused = sale->refused_ones + refused_ones(journal, sale->sale_id);
        int64_t ones = sale->units - sale->larger_units + refused;
        if (sale->known && sale->stock_left > 0 && refused > 0 &&
            sale->larger_units + ones >= sale->stock_total) {
            check_offend(check, sale->stock_left,
                         "sale %" PRId64 ": %" PRId64 " left of %" PRId64 ", though %" PRId64
                         " units in larger orders and %" PRId64 " answered orders of 1 (%" PRId64
                         " turned away) cover the stock",
                         sale->sale_id, sale->stock_left, sale->stock_total, sale->larger_units,
                         ones, refused);
        }
    }
}

void check_not_stranded(const struct options *options, const struct journal *journal,
                        const struct snapshot *snapshot, struct check *check)
{
    (void)options;
    stranded_rows(snapshot, check);
    stranded_refusals(journal, snapshot, check);
    stranded_promises(journal, snapshot, check);
    if (check->offenders == 0) { /* else it would say the same thing again */
        uncovered_stock(journal, snapshot, check);
    }
}

/* What can be wrong with a promise; the worst first. */
enum fault {
    FAULT_MISSING,
    FAULT_TWICE,
    FAULT_GIVEN_TWICE,
    FAULT_DIFFERS,
    FAULT_NOT_FINAL,
    FAULT_TOLD_OTHERWISE,
    FAULT_TOLD_GONE,
    FAULT_NONE
};

static bool disagrees(const struct promise *promise)
{
    return promise->told_two || (promise->told != STATE_NONE && promise->told != promise->state) ||
           (promise->told_reason != REASON_NONE && promise->told_reason != promise->reason);
}

static enum fault fault_of(const struct promise *promise, bool allow_lost)
{
    if (promise->rows == 0) {
        return allow_lost ? FAULT_NONE : FAULT_MISSING;
    }
    if (promise->rows > 1) {
        return FAULT_TWICE;
    }
    if (promise->given_twice) {
        return FAULT_GIVEN_TWICE;
    }
    if (promise->differs) {
        return FAULT_DIFFERS;
    }
    if (promise->state != STATE_CONFIRMED && promise->state != STATE_REJECTED &&
        promise->state != STATE_FAILED) {
        return FAULT_NOT_FINAL;
    }
    if (disagrees(promise)) {
        return FAULT_TOLD_OTHERWISE;
    }
    return promise->told_gone && !allow_lost ? FAULT_TOLD_GONE : FAULT_NONE;
}

static void offend_promise(struct check *check, const struct promise *promise, enum fault fault)
{
    int64_t weight = FAULT_NONE - fault;
    const char *id = promise->id;
    switch (fault) {
    case FAULT_MISSING:
        check_offend(check, weight, "order %s of user %" PRId64 " was acknowledged and has no row",
                     id, promise->ask.user_id);
        return;
    case FAULT_TWICE:
        check_offend(check, weight, "order %s has %d rows", id, promise->rows);
        return;
    case FAULT_GIVEN_TWICE:
        check_offend(check, weight, "order %s was acknowledged for two different orders", id);
        return;
    case FAULT_DIFFERS:
        check_offend(check, weight,
                     "order %s is not what was asked for: sale %" PRId64 ", user %" PRId64
                     ", quantity %" PRId64,
                     id, promise->ask.sale_id, promise->ask.user_id, promise->ask.quantity);
        return;
    case FAULT_NOT_FINAL:
        check_offend(check, weight, "order %s is %s, not in a final state", id,
                     journal_state_name(promise->state));
        return;
    case FAULT_TOLD_OTHERWISE:
        check_offend(check, weight, "order %s is %s (%s), its client was told %s (%s)%s", id,
                     journal_state_name(promise->state), journal_reason_name(promise->reason),
                     journal_state_name(promise->told), journal_reason_name(promise->told_reason),
                     promise->told_two ? ", and another state before" : "");
        return;
    case FAULT_TOLD_GONE:
        check_offend(check, weight, "order %s exists, its client was told 404", id);
        return;
    case FAULT_NONE:
        return;
    }
}

void check_acknowledged_once(const struct options *options, const struct journal *journal,
                             const struct snapshot *snapshot, struct check *check)
{
    for (size_t i = 0; i < journal->promise_count; i++) {
        const struct promise *promise = &journal->promises[i];
        offend_promise(check, promise, fault_of(promise, options->allow_lost));
    }
    for (int64_t i = 0; i < journal->nameless; i++) {
        check_offend(check, FAULT_NONE, "an order was acknowledged without an order_id");
    }
    if (journal->acknowledged == 0) {
        check_miss(check, "no order was acknowledged");
    }
    if (options->allow_lost && snapshot->missing > 0) {
        snprintf(check->note, sizeof check->note, "%" PRId64 " acknowledged orders lost, allowed",
                 snapshot->missing);
    }
}

void check_row_count(const struct options *options, const struct journal *journal,
                     const struct snapshot *snapshot, struct check *check)
{
    int64_t promised = (int64_t)journal->promise_count;
    int64_t least = promised - (options->allow_lost ? snapshot->missing : 0);
    int64_t unknown =
        options->idempotent ? journal->unknown_keys + journal->unknown_keyless : journal->unknown;
    int64_t most = promised + journal->nameless + unknown;
    int64_t rows = snapshot->rows;
    if (rows < least) {
        check_offend(check, least - rows, "%" PRId64 " rows, %" PRId64 " orders acknowledged", rows,
                     least);
    }
    if (rows > most && journal->cut_off) {
        check_miss(check,
                   "%" PRId64 " rows, at most %" PRId64
                   " explained by a journal whose end is cut off",
                   rows, most);
    } else if (rows > most) {
        check_offend(check, rows - most,
                     "%" PRId64 " rows, but only %" PRId64 " acknowledged and %" PRId64
                     " unknown orders",
                     rows, promised, journal->nameless + unknown);
    }
    if (promised == 0 && rows == 0) {
        check_miss(check, "no order was acknowledged, and there are no rows");
    }
    snprintf(check->note, sizeof check->note,
             "%" PRId64 " acknowledged <= %" PRId64 " rows <= %" PRId64, least, rows, most);
}
