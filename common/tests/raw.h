/* raw: a client that sends exactly the bytes it is given. For tests only.
 *
 * No HTTP library sends a malformed request, so the tests speak through sockets. Replies are framed
 * by Content-Length; what was received beyond one reply is kept for the next (pipelining). Every
 * wait ends after RAW_WAIT_MS: what has not come by then does not come. A peer's reset counts as
 * the end of the connection, as it does for any client that has its reply. */
#ifndef FLASHDEAL_TESTS_RAW_H
#define FLASHDEAL_TESTS_RAW_H

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RAW_WAIT_MS = 20000, RAW_BUFFER_BYTES = 65536, RAW_VALUE_SIZE = 256 };

struct raw {
    int fd;
    bool ended;  /* the peer closed, and its bytes are all in buffer */
    size_t used; /* bytes received, not taken yet */
    char buffer[RAW_BUFFER_BYTES + 1];
};

struct raw_reply {
    int status;         /* 0: the connection ended, or RAW_WAIT_MS passed, without a reply */
    size_t head_length; /* status line and headers, empty line included */
    size_t body_length;
    char head[RAW_BUFFER_BYTES + 1];
    char body[RAW_BUFFER_BYTES + 1];
};

static inline void raw_open(struct raw *raw, int port)
{
    struct sockaddr_in address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    raw->used = 0;
    raw->ended = false;
    raw->fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_ge(raw->fd, 0);
    const int on = 1;
    ck_assert_int_eq(setsockopt(raw->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
    ck_assert_int_eq(connect(raw->fd, (const struct sockaddr *)&address, sizeof address), 0);
}

static inline void raw_close(struct raw *raw)
{
    if (raw->fd >= 0) {
        close(raw->fd);
    }
    raw->fd = -1;
}

/* Sends all of it, unless the peer has gone: servers may refuse before they have read everything.
 */
static inline void raw_send_bytes(struct raw *raw, const void *bytes, size_t length)
{
    const char *next = bytes;
    while (length > 0) {
        ssize_t sent = send(raw->fd, next, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0) {
            ck_assert_msg(errno == EPIPE || errno == ECONNRESET, "send: %s", strerror(errno));
            return;
        }
        next += sent;
        length -= (size_t)sent;
    }
}

static inline void raw_send(struct raw *raw, const char *text)
{
    raw_send_bytes(raw, text, strlen(text));
}

/* Waits for more bytes; false when none come any more. */
static inline bool raw_fill(struct raw *raw, int wait_ms)
{
    struct pollfd readable = {.fd = raw->fd, .events = POLLIN};
    if (raw->ended || raw->used == RAW_BUFFER_BYTES || poll(&readable, 1, wait_ms) <= 0) {
        return false;
    }
    ssize_t got = recv(raw->fd, raw->buffer + raw->used, RAW_BUFFER_BYTES - raw->used, 0);
    raw->ended = got <= 0;
    raw->used += got > 0 ? (size_t)got : 0;
    raw->buffer[raw->used] = '\0';
    return got > 0;
}

static inline void raw_take(struct raw *raw, size_t length, char *out)
{
    memcpy(out, raw->buffer, length);
    out[length] = '\0';
    memmove(raw->buffer, raw->buffer + length, raw->used - length + 1);
    raw->used -= length;
}

/* Copies a header's value; false if it is not there. */
static inline bool raw_header(const struct raw_reply *reply, const char *name,
                              char value[RAW_VALUE_SIZE])
{
    size_t name_length = strlen(name);
    value[0] = '\0';
    for (const char *line = strstr(reply->head, "\r\n"); line; line = strstr(line, "\r\n")) {
        line += strlen("\r\n");
        if (strncasecmp(line, name, name_length) == 0 && line[name_length] == ':') {
            const char *text = line + name_length + 1;
            text += strspn(text, " ");
            snprintf(value, RAW_VALUE_SIZE, "%.*s", (int)strcspn(text, "\r"), text);
            return true;
        }
    }
    return false;
}

/* Receives one reply, or what there is of it; without a Content-Length the body is empty. */
static inline void raw_receive(struct raw *raw, struct raw_reply *reply)
{
    memset(reply, 0, sizeof *reply);
    raw->buffer[raw->used] = '\0';
    const char *end = strstr(raw->buffer, "\r\n\r\n");
    while (!end && raw_fill(raw, RAW_WAIT_MS)) {
        end = strstr(raw->buffer, "\r\n\r\n");
    }
    if (!end) {
        return;
    }
    reply->head_length = (size_t)(end - raw->buffer) + strlen("\r\n\r\n");
    raw_take(raw, reply->head_length, reply->head);
    reply->status = atoi(reply->head + strlen("HTTP/1.1 "));
    char text[RAW_VALUE_SIZE];
    size_t expected = raw_header(reply, "Content-Length", text) ? strtoul(text, NULL, 10) : 0;
    while (raw->used < expected && raw_fill(raw, RAW_WAIT_MS)) {
    }
    reply->body_length = raw->used < expected ? raw->used : expected;
    raw_take(raw, reply->body_length, reply->body);
    ck_assert_msg(reply->body_length == expected, "body cut: %zu of %zu bytes", reply->body_length,
                  expected);
}

/* Whether the peer closes and sends nothing more. */
static inline bool raw_ends(struct raw *raw)
{
    while (raw->used == 0 && raw_fill(raw, RAW_WAIT_MS)) {
    }
    return raw->ended && raw->used == 0;
}

#endif
