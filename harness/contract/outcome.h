/* outcome: what an order came to, in whatever way the target says so: in the reply (phases 1 to 3),
 * or in the order's state, which becomes final after the reply (from phase 4). Every call fails the
 * running test when the target says something that its phase does not say. */
#ifndef FLASHDEAL_CONTRACT_OUTCOME_H
#define FLASHDEAL_CONTRACT_OUTCOME_H

#include "common/uuid.h"
#include "harness/contract/reply.h"

enum { OUTCOME_TEXT_SIZE = 32 };

struct outcome {
    int status;                     /* of the reply to POST /orders */
    char id[UUID_TEXT_SIZE];        /* "": the reply names none */
    char state[OUTCOME_TEXT_SIZE];  /* "confirmed", "rejected", "failed"; "": it was not decided */
    char reason[OUTCOME_TEXT_SIZE]; /* of that state, or the problem's code; "": none */
};

/* The status of the reply to a good order: 201, from phase 4 on 202. */
int outcome_accepted(void);

/* Reads the reply to the user's order, and from phase 4 on waits for the final state. */
void outcome_read(const struct reply *reply, long long user, struct outcome *out);

/* Orders, and reads as above. */
void outcome_order(long sale, long long user, int quantity, struct outcome *out);

/* Orders, expects it confirmed, and writes its id. */
void outcome_buy(long sale, long long user, int quantity, char id[UUID_TEXT_SIZE]);

/* Orders, and expects it refused: 409 or 422 with that code; from phase 4 rejected, that reason. */
void outcome_refuse(long sale, long long user, int quantity, const char *reason);

/* Waits until the user's order is final: state and reason. From phase 4. */
void outcome_await(const char *id, long long user, struct outcome *out);

/* The rows that so many confirmed and so many refused orders leave. */
long long outcome_rows(long long confirmed, long long refused);

#endif
