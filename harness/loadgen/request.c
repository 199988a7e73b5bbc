/* request: HTTP/1.1 by snprintf; keep-alive is the version's default. Orders and polls carry a
 * token where there is a secret, orders the Idempotency-Key where the op has one. Every part is
 * bounded (host 256, path 1024, token 112, key 36), so that NET_REQUEST_MAX always suffices. */
#include "request.h"

#include "common/clock.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

enum { HEADER_MAX = 192, BODY_MAX = 128, QUERY_MAX = 40 };

static void write_authorization(const struct request_maker *maker, const struct op *op,
                                char out[HEADER_MAX])
{
    char token[TOKEN_SIZE];
    out[0] = '\0';
    if (maker->tokens != NULL) {
        token_make(maker->tokens, op->user, token);
        snprintf(out, HEADER_MAX, "Authorization: Bearer %s\r\n", token);
    }
}

static int write_order(const struct request_maker *maker, const struct op *op,
                       char out[NET_REQUEST_MAX])
{
    char authorization[HEADER_MAX], key[HEADER_MAX] = "", body[BODY_MAX];
    write_authorization(maker, op, authorization);
    if (op->key[0] != '\0') {
        snprintf(key, sizeof(key), "Idempotency-Key: %s\r\n", op->key);
    }
    const int length =
        snprintf(body, sizeof(body),
                 "{\"sale_id\":%" PRId64 ",\"user_id\":%" PRId64 ",\"quantity\":%" PRId32 "}",
                 op->sale, op->user, op->quantity);
    return snprintf(out, NET_REQUEST_MAX,
                    "POST /orders HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"
                    "Content-Length: %d\r\n%s%s\r\n%s",
                    maker->host, length, authorization, key, body);
}

static int write_get(const struct request_maker *maker, const struct op *op,
                     char out[NET_REQUEST_MAX])
{
    switch (op->kind) {
    case PLAN_READ:
        return snprintf(out, NET_REQUEST_MAX, "GET /sales/%" PRId64 " HTTP/1.1\r\nHost: %s\r\n\r\n",
                        op->sale, maker->host);
    case PLAN_PROBE:
        return snprintf(out, NET_REQUEST_MAX, "GET /health HTTP/1.1\r\nHost: %s\r\n\r\n",
                        maker->host);
    case PLAN_PATH:
        return snprintf(out, NET_REQUEST_MAX, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", maker->path,
                        maker->host);
    case PLAN_ORDER:
        break;
    }
    char authorization[HEADER_MAX], query[QUERY_MAX] = "";
    write_authorization(maker, op, authorization);
    if (op->poll_hold_ns > 0) {
        snprintf(query, sizeof(query), "?wait_ms=%" PRId64, op->poll_hold_ns / CLOCK_NS_PER_MS);
    }
    return snprintf(out, NET_REQUEST_MAX, "GET /orders/%s%s HTTP/1.1\r\nHost: %s\r\n%s\r\n",
                    op->order_id, query, maker->host, authorization);
}

size_t request_write(const struct request_maker *maker, const struct op *op,
                     char out[NET_REQUEST_MAX])
{
    const bool is_order = op->kind == PLAN_ORDER && !op->polling;
    const int length = is_order ? write_order(maker, op, out) : write_get(maker, op, out);
    assert(length > 0 && length < NET_REQUEST_MAX);
    return (size_t)length;
}
