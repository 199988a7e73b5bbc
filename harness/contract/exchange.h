/* exchange: every exchange seen, one JSON object per line, for conform.py.
 *
 *     {"test":"..","listener":"public","method":"GET","path":"/health","request_headers":{},
 *      "status":200,"headers":[["Content-Type","application/json"],..],"body":".."}
 *
 * method and path are null where the bytes sent hold no request line of HTTP/1.x; "body_base64"
 * stands in place of "body" where the body is not plain ASCII text. */
#ifndef FLASHDEAL_CONTRACT_EXCHANGE_H
#define FLASHDEAL_CONTRACT_EXCHANGE_H

#include <stddef.h>

#include "harness/contract/reply.h"

/* Appends to the file; NULL: nothing is recorded. Exits with a message if it cannot be opened. */
void exchange_open(const char *path);

/* Records the reply that the request's bytes got; head need not be well-formed. */
void exchange_record(const char *test, const char *head, size_t head_length,
                     const struct reply *reply);

/* Exits with a message if anything could not be written. */
void exchange_close(void);

#endif
