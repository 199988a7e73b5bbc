/* wire: raw connections to the target.
 *
 * A connection is a socket and what has come from it and was not taken yet, so that pipelined
 * replies come off one by one. Sockets block, but only inside poll(2) and never past a deadline.
 * The connections stand in a fixed table: a failed assertion leaves a test by longjmp, so the
 * fixture closes what the test could not. */
#include "harness/contract/wire.h"

#include <check.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/clock.h"
#include "harness/contract/contract.h"

enum { SEND_TIMEOUT_S = 5, CONTINUE_STATUS = 100 };

static struct wire wires[WIRE_OPEN_MAX];
static bool wire_used[WIRE_OPEN_MAX];

static int connect_socket(const struct address *to)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (getaddrinfo(to->host, to->port, &hints, &found) != 0) {
        return -1;
    }
    int fd = -1;
    for (struct addrinfo *at = found; at != NULL && fd < 0; at = at->ai_next) {
        fd = socket(at->ai_family, at->ai_socktype, at->ai_protocol);
        if (fd >= 0 && connect(fd, at->ai_addr, at->ai_addrlen) != 0) {
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(found);
    return fd;
}

struct wire *wire_try_open(enum listener listener)
{
    size_t slot = 0;
    while (slot < WIRE_OPEN_MAX && wire_used[slot]) {
        slot++;
    }
    int fd = slot < WIRE_OPEN_MAX ? connect_socket(&contract.at[listener]) : -1;
    if (fd < 0) {
        return NULL;
    }
    /* Bytes leave when they are written: a drip must arrive as a drip. */
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    const struct timeval limit = {.tv_sec = SEND_TIMEOUT_S};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    wire_used[slot] = true;
    wires[slot].fd = fd;
    wires[slot].listener = listener;
    wires[slot].ended = false;
    wires[slot].used = 0;
    return &wires[slot];
}

struct wire *wire_open(enum listener listener)
{
    struct wire *wire = wire_try_open(listener);
    ck_assert_msg(wire != NULL, "cannot connect to %s: %s", contract.at[listener].authority,
                  strerror(errno));
    return wire;
}

bool wire_send(struct wire *wire, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(wire->fd, bytes, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent <= 0) {
            return false;
        }
        bytes += sent;
        length -= (size_t)sent;
    }
    return true;
}

/* Waits until there is something to read. False: deadline_ns came first. */
static bool await_bytes(const struct wire *wire, int64_t deadline_ns)
{
    for (;;) {
        struct pollfd ready = {.fd = wire->fd, .events = POLLIN};
        int found = poll(&ready, 1, clock_left_ms(deadline_ns));
        if (found > 0) {
            return true;
        }
        if (found == 0 || errno != EINTR) {
            return false;
        }
    }
}

/* Reads what is there, at least one byte or the end. False: deadline_ns came first. */
static bool fill(struct wire *wire, int64_t deadline_ns)
{
    if (wire->ended || wire->used == sizeof(wire->buffer)) {
        return true;
    }
    if (!await_bytes(wire, deadline_ns)) {
        return false;
    }
    ssize_t got = recv(wire->fd, wire->buffer + wire->used, sizeof(wire->buffer) - wire->used, 0);
    if (got > 0) {
        wire->used += (size_t)got;
    } else if (got == 0 || errno != EINTR) {
        wire->ended = true; /* closed; or reset, because it left bytes of ours unread */
    }
    return true;
}

void wire_drip(struct wire *wire, const char *bytes, size_t length, int every_ms,
               int64_t deadline_ns)
{
    for (size_t i = 0; i < length && clock_now_ns() < deadline_ns; i++) {
        if (!wire_send(wire, bytes + i, 1) || await_bytes(wire, clock_deadline_ns(every_ms))) {
            return;
        }
    }
}

static void take(struct wire *wire, size_t count)
{
    wire->used -= count;
    memmove(wire->buffer, wire->buffer + count, wire->used);
}

enum wire_result wire_receive(struct wire *wire, bool to_head, int64_t deadline_ns,
                              struct reply *out)
{
    out->continued = false;
    out->is_admins = wire->listener == ADMIN;
    for (;;) {
        ssize_t parsed = reply_parse(wire->buffer, wire->used, to_head, out);
        if (parsed < 0) {
            return WIRE_GARBLED;
        }
        take(wire, (size_t)parsed);
        if (parsed > 0 && out->status != CONTINUE_STATUS) {
            return WIRE_REPLY;
        }
        if (parsed > 0) {
            out->continued = true;
            continue;
        }
        if (wire->ended) {
            return wire->used > 0 ? WIRE_CUT : WIRE_CLOSED;
        }
        if (wire->used == sizeof(wire->buffer)) {
            return WIRE_GARBLED;
        }
        if (!fill(wire, deadline_ns)) {
            return WIRE_TIMEOUT;
        }
    }
}

bool wire_await_continue(struct wire *wire, int64_t deadline_ns)
{
    static struct reply interim;
    for (;;) {
        ssize_t parsed = reply_parse(wire->buffer, wire->used, false, &interim);
        if (parsed != 0 || wire->ended) {
            bool came = parsed > 0 && interim.status == CONTINUE_STATUS;
            take(wire, came ? (size_t)parsed : 0);
            return came;
        }
        if (interim.status >= 200 || !fill(wire, deadline_ns)) {
            return false;
        }
    }
}

bool wire_ends(struct wire *wire, int64_t deadline_ns)
{
    while (!wire->ended && wire->used == 0) {
        if (!fill(wire, deadline_ns)) {
            return false;
        }
    }
    return wire->used == 0;
}

void wire_finish(struct wire *wire)
{
    shutdown(wire->fd, SHUT_WR);
}

void wire_close(struct wire *wire)
{
    if (wire != NULL && wire->fd >= 0) {
        close(wire->fd);
        wire->fd = -1;
        wire_used[wire - wires] = false;
    }
}

void wire_close_all(void)
{
    for (size_t i = 0; i < WIRE_OPEN_MAX; i++) {
        if (wire_used[i]) {
            wire_close(&wires[i]);
        }
    }
}

const char *wire_result_name(enum wire_result result)
{
    static const char *const names[] = {"a reply", "the connection closed without a reply",
                                        "a reply cut short", "no reply in time",
                                        "bytes that are no HTTP/1.1 reply"};
    return names[result];
}
