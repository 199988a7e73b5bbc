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
};

/* Sends the request on a kept-alive connection, judges the reply as every reply is (judge.h), and
 * returns it; no reply fails the test. The reply is the caller's until the next call. */
const struct reply *client_send(const struct client_request *request);

const struct reply *client_get(const char *path);
const struct reply *client_get_sale(long sale);
const struct reply *client_order(long sale, long long user, int quantity);

/* As user; 0: as nobody. */
const struct reply *client_get_order(const char *id, long long user);

/* A user that no earlier request, of this run or another, has had. */
long long client_new_user(void);

/* The sale's stock_left, read through GET /sales/{id}. */
long long client_stock(long sale);

#endif
