/* order: what somebody wants, and what can come of it. First used by phase 1. */
#ifndef ORDER_H
#define ORDER_H

#include <stdint.h>

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

#endif
