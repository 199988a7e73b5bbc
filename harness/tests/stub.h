/* stub: what stub.c (connections, time) and stub_replies.c (what is said) share. */
#ifndef FLASHDEAL_TESTS_STUB_H
#define FLASHDEAL_TESTS_STUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { STUB_REPLY_MAX = 2048 };

enum mode {
    MODE_ECHO201,   /* 201, confirmed */
    MODE_ECHO202,   /* 202; confirmed --pending-ms later */
    MODE_REJECT202, /* 202; then rejected, sold_out */
    MODE_LOST202,   /* 202; then 404 */
    MODE_FORGET202, /* 202; then 404, --busy times per user; else as echo202 */
    MODE_STUCK202,  /* 202; pending for ever */
    MODE_SOLD_OUT,  /* 409 */
    MODE_BUSY,      /* 503 with Retry-After, --busy times per user, then 201 */
    MODE_UNKNOWN,   /* 503 outcome_unknown */
    MODE_NO_ID,     /* 201 without an order_id */
    MODE_CHUNKED,   /* 201 in chunks, after an interim 100 */
    MODE_DRIBBLE,   /* 201, one byte a packet */
    MODE_CLOSE,     /* 201 with Connection: close */
    MODE_UNTIL_EOF, /* 201 whose body ends with the connection */
    MODE_CUT,       /* half a reply, then FIN */
    MODE_RESET,     /* half a reply, then RST */
    MODE_GARBAGE,   /* bytes that are not HTTP */
    MODE_TRAILING,  /* 201 and bytes that belong to no reply */
    MODE_MUTE,      /* nothing */
    MODES,
};

struct settings {
    int port;
    int64_t delay_ns, freeze_at_ns, freeze_ns, pending_ns;
    int busy, retry_after_s;
    bool deaf; /* knows no wait_ms; with --retry-after, pending says so */
    enum mode mode;
    FILE *log;
};

/* Makes the tables that the replies need. */
void stub_replies_init(const struct settings *settings);

/* Writes the reply to the request (whole, NUL-terminated) and returns its length; *is_order (out):
 * whether the mode applies to it; *hold_ns (out): how long the reply waits, because the request
 * asks for that (wait_ms). */
size_t stub_replies_answer(const char *request, char out[STUB_REPLY_MAX], bool *is_order,
                           int64_t *hold_ns);

/* The mode of that name; ends the program when there is none. */
enum mode stub_replies_mode(const char *name);

#endif
