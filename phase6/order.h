/* order: what somebody wants, and what can come of it. First used by phase 1. */
#ifndef ORDER_H
#define ORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/uuid.h"

enum {
    ORDER_KEY_SIZE = 256, /* the longest key and its NUL */
    ORDER_FINGERPRINT_BYTES = 32,
};

struct order {
    char id[UUID_TEXT_SIZE];  /* made of user_id and key: the same for every attempt */
    int64_t sale_id, user_id; /* from 1 */
    int64_t quantity;         /* 1 to INT32_MAX units */
    int64_t accepted_us; /* when it was accepted, Unix time: what the sale's window is judged by */
    /* For its row (idempotency.h); a ticket has neither: */
    unsigned char fingerprint[ORDER_FINGERPRINT_BYTES]; /* of what the body asks for */
    char key[ORDER_KEY_SIZE];                           /* the caller's name for this purchase */
    /* Its worker's (order_batch.h): */
    int64_t refused_ns; /* since when the database refuses even its failure's row; 0: it did not */
    bool has_no_row;    /* so it was failed without one */
};

/* What an order came to. Not a status: all but the last two are answers of a healthy system. */
enum order_outcome {
    ORDER_PENDING,        /* nothing yet */
    ORDER_CONFIRMED,      /* the units are the user's, durably */
    ORDER_SALE_NOT_OPEN,  /* accepted before starts_at */
    ORDER_SALE_ENDED,     /* accepted at or after ends_at */
    ORDER_SOLD_OUT,       /* fewer units are left than were asked for */
    ORDER_LIMIT_EXCEEDED, /* with the user's earlier confirmed units, over the per-user limit */
    ORDER_SALE_NOT_FOUND, /* the sale was deleted after the order was accepted: no row */
    ORDER_FAILED,         /* poison: the database refuses this order, every time */
};

/* "pending", "confirmed", "rejected" or "failed". */
const char *order_status(enum order_outcome outcome);

/* "sold_out", "limit_exceeded", "sale_not_open", "sale_ended", "sale_not_found", "refused"; NULL
 * for pending and confirmed. */
const char *order_reason(enum order_outcome outcome);

/* The outcome with that status and reason (may be NULL), as a row has them. Others than the above:
 * ORDER_FAILED. */
enum order_outcome order_outcome_of(const char *status, const char *reason);

#endif
