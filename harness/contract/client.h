/* client: well-formed requests, by libcurl: the target must get on with a client it does not know.
 */
#ifndef FLASHDEAL_CONTRACT_CLIENT_H
#define FLASHDEAL_CONTRACT_CLIENT_H

#include "harness/contract/reply.h"

/* A request to the public listener. */
struct client_request {
    const char *method; /* NULL: GET, or POST with a body */
    const char *path;
    const char *body;      /* NULL: none; else it is sent as application/json */
    long long user;        /* who proves himself, where the target asks for that; 0: nobody does */
    const char *fields[2]; /* further header fields, "Name: value"; NULL: none */
    const char *key;       /* its Idempotency-Key; NULL: from phase 5 on a new one for an order,
                              CLIENT_NO_KEY: none */
};
#define CLIENT_NO_KEY ""

/* Sends the request on a kept-alive connection, judges the reply as every reply is (judge.h), and
 * returns it; no reply fails the test. The reply is the caller's until the next call. */
const struct reply *client_send(const struct client_request *request);

const struct reply *client_get(const char *path);
const struct reply *client_get_sale(long sale);
const struct reply *client_order(long sale, long long user, int quantity);

/* The same with a key of the caller's (from phase 5). */
const struct reply *client_order_with(const char *key, long sale, long long user, int quantity);

/* As user; 0: as nobody. */
const struct reply *client_get_order(const char *id, long long user);

/* The same with ?wait_ms= (from phase 4). */
const struct reply *client_wait_order(const char *id, long long user, int wait_ms);

/* A user that no earlier request, of this run or another, has had. */
long long client_new_user(void);

/* The sale's stock_left, read through GET /sales/{id}. */
long long client_stock(long sale);

/* The same once it is what the database has: from phase 4 on a sale may be a little old. Needs
 * --database. */
long long client_fresh_stock(long sale);

#endif
