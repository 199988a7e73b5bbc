/* The checks that the database alone decides, and what all checks share.
 *
 * A check gathers offenders, and what it misses to be sure. One offender is FAIL, whatever is
 * missing; without one, anything missing is UNKNOWN; only then is it PASS. Nothing to judge - no
 * orders in the database - is something missing: an empty shop keeps every rule. */
#include "harness/audit/checks.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void check_function(const struct options *options, const struct journal *journal,
                            const struct snapshot *snapshot, struct check *check);

const char *checks_verdict_name(enum verdict verdict)
{
    switch (verdict) {
    case VERDICT_PASS:
        return "PASS";
    case VERDICT_FAIL:
        return "FAIL";
    case VERDICT_UNKNOWN:
        return "UNKNOWN";
    case VERDICT_NOT_CHECKED:
        break;
    }
    return "-";
}

/* Where in the list of the worst an offender of this weight belongs: after its equals. */
static size_t rank(const struct check *check, int64_t weight)
{
    size_t place = 0;
    while (place < check->worst_count && check->weight[place] >= weight) {
        place++;
    }
    return place;
}

void check_offend(struct check *check, int64_t weight, const char *format, ...)
{
    check->offenders++;
    size_t place = rank(check, weight);
    if (place == CHECK_WORST) {
        return;
    }
    check->worst_count += check->worst_count < CHECK_WORST;
    for (size_t i = check->worst_count - 1; i > place; i--) {
        memcpy(check->worst[i], check->worst[i - 1], CHECK_TEXT_SIZE);
        check->weight[i] = check->weight[i - 1];
    }
    check->weight[place] = weight;
    va_list args;
    va_start(args, format);
    vsnprintf(check->worst[place], CHECK_TEXT_SIZE, format, args);
    va_end(args);
}

void check_miss(struct check *check, const char *format, ...)
{
    if (check->missing[0] == '\0') {
        va_list args;
        va_start(args, format);
        vsnprintf(check->missing, CHECK_TEXT_SIZE, format, args);
        va_end(args);
    }
}

static void stock_balance(const struct options *options, const struct journal *journal,
                          const struct snapshot *snapshot, struct check *check)
{
    (void)options;
    (void)journal;
    for (size_t i = 0; i < snapshot->sale_count; i++) {
        const struct sale *sale = &snapshot->sales[i];
        if (!sale->known) {
            if (sale->units > 0) {
                check_offend(check, sale->units,
                             "sale %" PRId64 ": %" PRId64
                             " units confirmed, but audit_sales has no "
                             "stock of it",
                             sale->sale_id, sale->units);
            }
            continue;
        }
        int64_t off = sale->stock_left + sale->units - sale->stock_total;
        if (off != 0) {
            check_offend(check, llabs(off),
                         "sale %" PRId64 ": stock_left %" PRId64 " + confirmed %" PRId64
                         " is %" PRId64 " %s than stock_total %" PRId64,
                         sale->sale_id, sale->stock_left, sale->units, (int64_t)llabs(off),
                         off > 0 ? "more" : "less", sale->stock_total);
        }
    }
}

static void not_oversold(const struct options *options, const struct journal *journal,
                         const struct snapshot *snapshot, struct check *check)
{
    (void)options;
    (void)journal;
    for (size_t i = 0; i < snapshot->sale_count; i++) {
        const struct sale *sale = &snapshot->sales[i];
        if (sale->known && sale->units > sale->stock_total) {
            check_offend(check, sale->units - sale->stock_total,
                         "sale %" PRId64 ": %" PRId64 " units confirmed of %" PRId64 ", %" PRId64
                         " too many",
                         sale->sale_id, sale->units, sale->stock_total,
                         sale->units - sale->stock_total);
        }
    }
}

/* The snapshot has the worst rows only; their last column says how many there are. */
static void count_rest(struct check *check, const PGresult *result)
{
    int rows = PQntuples(result);
    if (rows > 0) {
        int64_t all = strtoll(PQgetvalue(result, 0, PQnfields(result) - 1), NULL, 10);
        check->offenders += all - rows;
    }
}

static void one_order_per_key(const struct options *options, const struct journal *journal,
                              const struct snapshot *snapshot, struct check *check)
{
    (void)options;
    const PGresult *twice = snapshot->key_twice;
    for (int row = 0; row < PQntuples(twice); row++) {
        check_offend(check, strtoll(PQgetvalue(twice, row, 2), NULL, 10),
                     "user %s, key %.80s: %s orders", PQgetvalue(twice, row, 0),
                     PQgetvalue(twice, row, 1), PQgetvalue(twice, row, 2));
    }
    count_rest(check, twice);
    if (snapshot->keyless > 0) {
        check_miss(check, "%" PRId64 " rows have no idempotency_key", snapshot->keyless);
    }
    int64_t differ = 0;
    for (size_t i = 0; i < journal->promise_count; i++) {
        differ += journal->promises[i].key_differs;
    }
    if (differ > 0) {
        check_miss(check, "%" PRId64 " rows do not have the key that was sent", differ);
    }
}

static void user_limit(const struct options *options, const struct journal *journal,
                       const struct snapshot *snapshot, struct check *check)
{
    (void)options;
    (void)journal;
    const PGresult *over = snapshot->over_limit;
    for (int row = 0; row < PQntuples(over); row++) {
        const char *units = PQgetvalue(over, row, 2), *limit = PQgetvalue(over, row, 3);
        check_offend(check, strtoll(units, NULL, 10) - strtoll(limit, NULL, 10),
                     "sale %s, user %s: %s units confirmed, the limit is %s",
                     PQgetvalue(over, row, 0), PQgetvalue(over, row, 1), units, limit);
    }
    count_rest(check, over);
}

static const struct {
    const char *name;
    const char *rule;
    check_function *judge;
    bool needs_journal;
    bool optional; /* with --idempotent only */
} RULES[CHECKS_COUNT] = {
    {"stock_balance", "stock_total = stock_left + confirmed units, per sale", stock_balance, false,
     false},
    {"not_oversold", "confirmed units <= stock_total, per sale", not_oversold, false, false},
    {"not_stranded", "nobody is told sold_out while what he asked for is left", check_not_stranded,
     true, false},
    {"acknowledged_once", "every acknowledged order has one row, final, as its client was told",
     check_acknowledged_once, true, false},
    {"one_order_per_key", "at most one order per user and key", one_order_per_key, false, true},
    {"user_limit", "confirmed units <= per_user_limit, per sale and user", user_limit, false,
     false},
    {"row_count", "acknowledged <= rows <= acknowledged + unknown", check_row_count, true, false},
};

static bool has_sale(const struct snapshot *snapshot, int64_t sale_id)
{
    for (size_t i = 0; i < snapshot->sale_count; i++) {
        if (snapshot->sales[i].sale_id == sale_id && snapshot->sales[i].known) {
            return true;
        }
    }
    return false;
}

/* What every check misses when there is nothing, or not all, to look at. */
static void note_missing(const struct options *options, const struct journal *journal,
                         const struct snapshot *snapshot, bool needs_journal, struct check *check)
{
    if (snapshot->error[0] != '\0') {
        check_miss(check, "database: %s", snapshot->error);
    }
    if (needs_journal && journal->error[0] != '\0') {
        check_miss(check, "%s", journal->error);
    }
    for (size_t i = 0; i < options->sale_count; i++) {
        if (!has_sale(snapshot, options->sales[i])) {
            check_miss(check, "audit_sales has no sale %" PRId64, options->sales[i]);
        }
    }
    if (snapshot->orders == 0) {
        check_miss(check, "the database holds no orders%s",
                   options->sale_count > 0 ? " of the judged sales" : "");
    }
}

void checks_run(const struct options *options, const struct journal *journal,
                const struct snapshot *snapshot, struct check out[CHECKS_COUNT])
{
    for (size_t i = 0; i < CHECKS_COUNT; i++) {
        struct check *check = &out[i];
        *check = (struct check){.name = RULES[i].name, .rule = RULES[i].rule};
        if (RULES[i].optional && !options->idempotent) {
            check->verdict = VERDICT_NOT_CHECKED;
            continue;
        }
        note_missing(options, journal, snapshot, RULES[i].needs_journal, check);
        if (snapshot->error[0] == '\0') {
            RULES[i].judge(options, journal, snapshot, check);
        }
        check->verdict = check->offenders > 0        ? VERDICT_FAIL
                         : check->missing[0] != '\0' ? VERDICT_UNKNOWN
                                                     : VERDICT_PASS;
    }
}

enum verdict checks_verdict(const struct check checks[CHECKS_COUNT])
{
    enum verdict verdict = VERDICT_PASS;
    for (size_t i = 0; i < CHECKS_COUNT; i++) {
        if (checks[i].verdict == VERDICT_FAIL) {
            return VERDICT_FAIL;
        }
        if (checks[i].verdict == VERDICT_UNKNOWN) {
            verdict = VERDICT_UNKNOWN;
        }
    }
    return verdict;
}
