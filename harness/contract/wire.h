/* wire: raw connections to the target. */
#ifndef FLASHDEAL_CONTRACT_WIRE_H
#define FLASHDEAL_CONTRACT_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harness/contract/contract.h"
#include "harness/contract/reply.h"

enum { WIRE_BUFFER_SIZE = 640 * 1024, WIRE_OPEN_MAX = 96 };

enum wire_result {
    WIRE_REPLY,   /* one whole reply */
    WIRE_CLOSED,  /* the connection ended, with nothing of a reply left */
    WIRE_CUT,     /* the connection ended in the middle of a reply */
    WIRE_TIMEOUT, /* the deadline passed */
    WIRE_GARBLED, /* bytes that are not a reply */
};

struct wire {
    int fd;
    enum listener listener;
    bool ended; /* the peer closed or reset */
    size_t used;
    char buffer[WIRE_BUFFER_SIZE];
};

/* Connects, or fails the test. At most WIRE_OPEN_MAX at once. The test may close it; what it leaves
 * open, wire_close_all closes after it, passed or failed. */
struct wire *wire_open(enum listener listener);

/* Connects; NULL if that cannot be done. For use outside of tests. */
struct wire *wire_try_open(enum listener listener);

/* Sends all bytes. False: the peer had ended the connection, which may be what it should do. */
bool wire_send(struct wire *wire, const char *bytes, size_t length);

/* Sends the bytes one by one, every_ms apart, and stops when something comes back or deadline_ns
 * passes. */
void wire_drip(struct wire *wire, const char *bytes, size_t length, int every_ms,
               int64_t deadline_ns);

/* Takes the next final reply off the connection; a 100 Continue before it is noted in out. */
enum wire_result wire_receive(struct wire *wire, bool to_head, int64_t deadline_ns,
                              struct reply *out);

/* Waits for 100 Continue alone, and takes it. False: something else came, and stays for
 * wire_receive, or nothing did. */
bool wire_await_continue(struct wire *wire, int64_t deadline_ns);

/* Whether the peer ends the connection before deadline_ns, sending nothing more. */
bool wire_ends(struct wire *wire, int64_t deadline_ns);

/* Says that nothing more will be sent; replies can still come. */
void wire_finish(struct wire *wire);

void wire_close(struct wire *wire);
void wire_close_all(void);

/* "reply", "closed", ... */
const char *wire_result_name(enum wire_result result);

#endif
