/* order: the words for what an order came to, as rows and replies have them.
 *
 * One table, read in both directions. A status and a reason that are not in it are a row that this
 * program did not write: it is final, and nobody has units by it. */
#include "order.h"

#include <stddef.h>
#include <string.h>

static const struct {
    const char *status;
    const char *reason; /* NULL: it needs none */
} words[] = {
    [ORDER_PENDING] = {"pending", NULL},
    [ORDER_CONFIRMED] = {"confirmed", NULL},
    [ORDER_SALE_NOT_OPEN] = {"rejected", "sale_not_open"},
    [ORDER_SALE_ENDED] = {"rejected", "sale_ended"},
    [ORDER_SOLD_OUT] = {"rejected", "sold_out"},
    [ORDER_LIMIT_EXCEEDED] = {"rejected", "limit_exceeded"},
    [ORDER_SALE_NOT_FOUND] = {"failed", "sale_not_found"},
    [ORDER_FAILED] = {"failed", "refused"},
};

const char *order_status(enum order_outcome outcome)
{
    return words[outcome].status;
}

const char *order_reason(enum order_outcome outcome)
{
    return words[outcome].reason;
}

static int is_same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

enum order_outcome order_outcome_of(const char *status, const char *reason)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (is_same(words[i].status, status) && is_same(words[i].reason, reason)) {
            return (enum order_outcome)i;
        }
    }
    return ORDER_FAILED;
}
