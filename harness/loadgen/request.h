/* request: the text of the requests that loadgen sends. */
#ifndef FLASHDEAL_LOADGEN_REQUEST_H
#define FLASHDEAL_LOADGEN_REQUEST_H

#include "net.h"
#include "token.h"

enum { REQUEST_HOST_MAX = 256 };

struct request_maker {
    const char *host;           /* the Host header's value; at most REQUEST_HOST_MAX bytes */
    const char *path;           /* of PLAN_PATH; at most PLAN_PATH_MAX bytes */
    struct token_maker *tokens; /* NULL: no Authorization header */
};

/* Writes op's next request (its order, the poll of it, its read or probe); returns the length. */
size_t request_write(const struct request_maker *maker, const struct op *op,
                     char out[NET_REQUEST_MAX]);

#endif
