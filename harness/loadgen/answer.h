/* answer: what the JSON of a reply to POST /orders or GET /orders/{id} says. */
#ifndef FLASHDEAL_LOADGEN_ANSWER_H
#define FLASHDEAL_LOADGEN_ANSWER_H

#include "common/uuid.h"

#include <stddef.h>

enum { ANSWER_CODE_SIZE = 48 };

/* States an order can be in, as the service names them. */
enum answer_state {
    STATE_NONE, /* the body names none, or one that the service does not have */
    STATE_PENDING,
    STATE_CONFIRMED,
    STATE_REJECTED,
    STATE_FAILED,
};

struct answer {
    enum answer_state state;       /* "status" */
    char order_id[UUID_TEXT_SIZE]; /* "order_id" where it is a UUID; else "" */
    char code[ANSWER_CODE_SIZE];   /* a problem's "code", or an order's "reason"; else "" */
};

/* Reads a JSON body; anything else gives an empty answer. Codes keep only letters, digits and '_',
 * so that they fit a journal column. */
void answer_read(const char *body, size_t length, struct answer *out);

/* "pending", "confirmed", ...; "-" for STATE_NONE. */
const char *answer_state_name(enum answer_state state);

#endif
