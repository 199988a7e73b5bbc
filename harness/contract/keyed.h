/* keyed: an order under a key of the test's own (from phase 5), and what the 202 says of it. */
#ifndef FLASHDEAL_CONTRACT_KEYED_H
#define FLASHDEAL_CONTRACT_KEYED_H

#include <stdbool.h>

#include "common/uuid.h"
#include "harness/contract/outcome.h"
#include "harness/contract/reply.h"

struct keyed {
    bool is_replay; /* Idempotent-Replayed: true */
    char id[UUID_TEXT_SIZE];
    char state[OUTCOME_TEXT_SIZE];
};

/* Reads a 202: its Location and status_url name the id. */
void keyed_read(const struct reply *reply, struct keyed *out);

/* Orders under the key, expects 202, and reads it. */
void keyed_order(const char *key, long sale, long long user, int quantity, struct keyed *out);

#endif
