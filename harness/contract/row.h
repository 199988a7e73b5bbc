/* row: one line of the contract on bad input: the bytes, and what they get.
 *
 * The tables are rows_*.c; row.c sends them. Within head and body these stand for something:
 *
 *     <<host>>      host:port of the target
 *     <<sale>>      the sale that bad input aims at
 *     <<length>>    the body's length in bytes
 *     <<client>>    the header lines that a proper client of the phase sends with every order: a
 *                   token of user 7 from phase 3, where the target has a secret, and the <<key>>
 *     <<token>>     that token alone
 *     <<key>>       an Idempotency-Key of its own, from phase 5
 *     <<repeat>>    the row's `repeat`, `times` times
 *     <<signed>>    the row's `claims`, a dot, and their mac under the target's secret
 *     <<foreign>>   the same under another secret
 *     <<mac>>       the mac of the row's `claims` alone; <<MAC>>: in capitals
 *     <<expiry>>    a time to come, <<past>>: one gone by, in unix seconds
 *
 * The reply must be one of `expect`, sent in time and judged as every reply is (judge.h). Then the
 * connection: closed where the row says so (and the reply says so too); else it must either
 * announce its end and end, or serve another request. Then another connection must be served. */
#ifndef FLASHDEAL_CONTRACT_ROW_H
#define FLASHDEAL_CONTRACT_ROW_H

#include <stdbool.h>
#include <stddef.h>

#include "harness/contract/contract.h"
#include "harness/contract/judge.h"

enum { ROW_EXPECT_MAX = 3 };

/* Bytes that may hold NUL; TEXT("...") or nothing. */
struct text {
    const char *bytes;
    size_t length;
};
#define TEXT(literal)                                                                              \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

struct expectation {
    int status;       /* CLOSED_SILENTLY: no reply at all; 0: no further expectation */
    const char *code; /* of the problem; NULL: any, or no problem */
};
enum { CLOSED_SILENTLY = -1 };

/* The length of the request that other clients sent before (after_others). */
enum { ROW_OTHERS_BYTES = 512 };

enum connection {
    MAY_CLOSE, /* but then it says so */
    CLOSES,
    STAYS,
};

enum pace {
    AT_ONCE,
    DRIPPED_HEAD,       /* byte by byte, too slowly for READ_TIMEOUT_MS */
    DRIPPED_BODY,       /* the head at once, then the body byte by byte */
    IN_PIECES,          /* byte by byte, in good time */
    AFTER_100_CONTINUE, /* the body when 100 Continue has come; it must */
    WITHOUT_BODY,       /* the head; the body never follows */
};

struct row {
    const char *name;
    int from, until; /* phases: from <= phase < until; until 0: for ever */
    int needs;       /* NEEDS_.. */
    enum listener listener;
    struct text head, body;
    const char *repeat;
    int times;
    const char *claims; /* of a token */
    enum pace pace;
    struct expectation expect[ROW_EXPECT_MAX];
    enum connection connection;
    bool at_deadline;  /* the reply comes between half of READ_TIMEOUT_MS and it */
    bool after_others; /* other clients' requests, with secrets, were served just before */
    bool to_head;      /* the method is HEAD */
    bool no_continue;  /* no 100 Continue may come before the reply */
};

struct row_table {
    const struct row *rows;
    size_t count;
};

extern const struct row_table rows_framing; /* request line, headers, lengths of headers */
extern const struct row_table rows_slow;    /* half and dripped requests */
extern const struct row_table rows_routes;  /* paths, methods, queries, ids in paths */
extern const struct row_table rows_length;  /* Content-Length, Transfer-Encoding, body sizes */
extern const struct row_table rows_json;    /* bodies that are not the one JSON object */
extern const struct row_table rows_fields;  /* its fields */
extern const struct row_table rows_auth;    /* tokens, wrong and right */
extern const struct row_table rows_wait;    /* wait_ms */
extern const struct row_table rows_key;     /* Idempotency-Key */
extern const struct row_table rows_admin;   /* the admin listener */

#define HOST "Host: <<host>>\r\n"
#define JSON_TYPE "Content-Type: application/json\r\n"

/* An order's request line and headers, all of them right. */
#define ORDER_HEAD                                                                                 \
    "POST /orders HTTP/1.1\r\n" HOST "<<client>>X-Note: " CANARY "\r\n" JSON_TYPE                  \
    "Content-Length: <<length>>\r\n\r\n"

/* A body in which nothing is wrong but that there is no such sale. */
#define UNKNOWN_SALE_ORDER "{\"sale_id\":999999999,\"user_id\":7,\"quantity\":1}"

#endif
