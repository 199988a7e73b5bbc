/* crowd: orders that are under way at the same time, each on a connection of its own. */
#ifndef FLASHDEAL_CONTRACT_CROWD_H
#define FLASHDEAL_CONTRACT_CROWD_H

#include <stdint.h>

#include "harness/contract/reply.h"
#include "harness/contract/wire.h"

enum { CROWD_REQUEST_SIZE = 1024 };

struct crowd_order {
    struct wire *wire;
    int64_t sent_ns;
    char request[CROWD_REQUEST_SIZE];
};

/* Sends an order for one unit, with the user's token where the target asks for it, and does not
 * wait. */
void crowd_send(struct crowd_order *order, long sale, long long user);

/* The same for so many units, with a key of the caller's (from phase 5). */
void crowd_send_with(struct crowd_order *order, const char *key, long sale, long long user,
                     int quantity);

/* Asks, as user, for the order of that id, ?wait_ms= (from phase 4), and does not wait. */
void crowd_ask(struct crowd_order *order, const char *id, long long user, int wait_ms);

/* Takes its reply off the connection, judges it as every reply is, and closes the connection. NULL:
 * none came before deadline_ns; order->wire is still open then. The reply is the caller's until the
 * next call. */
const struct reply *crowd_try_receive(struct crowd_order *order, int64_t deadline_ns);

/* As above, with patience; no reply fails the test. */
const struct reply *crowd_receive(struct crowd_order *order);

/* Hangs up. */
void crowd_abandon(struct crowd_order *order);

#endif
