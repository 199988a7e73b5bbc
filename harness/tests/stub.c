/* stub: a small server with known behaviour, against which loadgen is measured.
 *
 *     stub --port P [--delay-ms D] [--freeze-at S --freeze-ms M] [--mode MODE] ...
 *
 * It answers POST /orders, GET /orders/{id}, GET /sales/{id} and GET /health (and any other path
 * like /health) after a fixed delay, and misbehaves as told: modes below. A poll with wait_ms is
 * held until the order is final, but by --deaf. One thread, epoll, one request at a time per
 * connection; replies that are due later wait in one sorted queue, mostly at its end, because the
 * delay is the same for all. It checks as little of a request as it can: it is no model of the
 * service. It prints "listening on P" once it does. --log FILE gets a line for every POST: user,
 * Idempotency-Key, Authorization. */
#define _GNU_SOURCE /* memmem, accept4 */

#include "stub.h"

#include "common/clock.h"
#include "common/xalloc.h"

#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CONNS_MAX = 4096, /* file descriptors below this */
    REQUEST_MAX = 4096,
    EVENTS_MAX = 64,
};

struct conn {
    uint32_t generation; /* tells a reply that is due for an earlier connection */
    bool open;
    size_t have;
    char in[REQUEST_MAX];
};

struct due {
    int64_t at_ns;
    int fd;
    uint32_t generation;
    bool is_order;
    size_t length;
    char bytes[STUB_REPLY_MAX];
    struct due *next;
};

struct stub {
    struct settings settings;
    int epoll_fd, listener;
    struct conn *conns;
    struct due *first, *last, *spare;
    int64_t first_request_ns;
    bool frozen;
};

static void drop(struct stub *stub, int fd)
{
    struct conn *conn = &stub->conns[fd];
    if (conn->open) {
        conn->open = false;
        conn->generation++;
        close(fd);
    }
}

/* The replies are small and the client reads: what the socket does not take at once is a fault. */
static bool put(int fd, const char *bytes, size_t length)
{
    return send(fd, bytes, length, MSG_NOSIGNAL) == (ssize_t)length;
}

static void put_reset(int fd)
{
    const struct linger hard = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
}

static void put_dribble(int fd, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (!put(fd, bytes + i, 1)) {
            return;
        }
    }
}

/* In one packet: what comes later could be taken for the next reply, and rightly so. */
static void put_trailing(int fd, const char *bytes, size_t length)
{
    char both[2 * STUB_REPLY_MAX];
    const int all =
        snprintf(both, sizeof(both), "%.*sand more that nobody asked for", (int)length, bytes);
    (void)put(fd, both, (size_t)all);
}

static void send_reply(struct stub *stub, int fd, const char *bytes, size_t length, bool is_order)
{
    static const char garbage[] = "\x16\x03\x01 this is no HTTP\r\n\r\n";
    const enum mode mode = is_order ? stub->settings.mode : MODE_ECHO201;
    switch (mode) {
    case MODE_DRIBBLE:
        put_dribble(fd, bytes, length);
        return;
    case MODE_CLOSE:
    case MODE_UNTIL_EOF:
        (void)put(fd, bytes, length);
        drop(stub, fd);
        return;
    case MODE_CUT:
    case MODE_RESET:
        (void)put(fd, bytes, length / 2);
        if (mode == MODE_RESET) {
            put_reset(fd);
        }
        drop(stub, fd);
        return;
    case MODE_GARBAGE:
        (void)put(fd, garbage, sizeof(garbage) - 1);
        return;
    case MODE_TRAILING:
        put_trailing(fd, bytes, length);
        return;
    case MODE_MUTE:
        return;
    default:
        if (!put(fd, bytes, length)) {
            drop(stub, fd);
        }
    }
}

static void schedule(struct stub *stub, int fd, struct due *due, int64_t delay_ns)
{
    struct due **place = &stub->first;
    due->at_ns = clock_now_ns() + delay_ns;
    due->fd = fd;
    due->generation = stub->conns[fd].generation;
    if (stub->last != NULL && stub->last->at_ns <= due->at_ns) {
        place = &stub->last->next;
    }
    while (*place != NULL && (*place)->at_ns <= due->at_ns) {
        place = &(*place)->next;
    }
    due->next = *place;
    *place = due;
    if (due->next == NULL) {
        stub->last = due;
    }
}

static void on_request(struct stub *stub, int fd, const char *request)
{
    struct due *due = stub->spare;
    if (stub->first_request_ns == 0) {
        stub->first_request_ns = clock_now_ns();
    }
    if (due != NULL) {
        stub->spare = due->next;
    } else {
        due = xcalloc(1, sizeof(*due));
    }
    int64_t hold_ns = 0;
    due->length = stub_replies_answer(request, due->bytes, &due->is_order, &hold_ns);
    if (stub->settings.delay_ns + hold_ns == 0) {
        send_reply(stub, fd, due->bytes, due->length, due->is_order);
        due->next = stub->spare;
        stub->spare = due;
    } else {
        schedule(stub, fd, due, stub->settings.delay_ns + hold_ns);
    }
}

/* The length of the whole request at the buffer's start; 0: there is more to come. */
static size_t request_length(const struct conn *conn)
{
    const char *end = memmem(conn->in, conn->have, "\r\n\r\n", 4);
    if (end == NULL) {
        return 0;
    }
    const size_t head = (size_t)(end - conn->in) + 4;
    if (conn->in[0] != 'P') {
        return head;
    }
    const char *field = memmem(conn->in, head, "Content-Length: ", 16);
    const size_t body = field == NULL ? 0 : (size_t)strtoul(field + 16, NULL, 10);
    return conn->have >= head + body ? head + body : 0;
}

static void on_readable(struct stub *stub, int fd)
{
    struct conn *conn = &stub->conns[fd];
    const ssize_t got = recv(fd, conn->in + conn->have, REQUEST_MAX - 1 - conn->have, 0);
    if (got <= 0) {
        if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            drop(stub, fd);
        }
        return;
    }
    conn->have += (size_t)got;
    conn->in[conn->have] = '\0';
    for (size_t length = request_length(conn); conn->open && length > 0;
         length = request_length(conn)) {
        on_request(stub, fd, conn->in);
        memmove(conn->in, conn->in + length, conn->have - length + 1);
        conn->have -= length;
    }
}

static void on_listener(struct stub *stub)
{
    const int on = 1;
    for (;;) {
        const int fd = accept4(stub->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            return;
        }
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        if (fd >= CONNS_MAX || epoll_ctl(stub->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        stub->conns[fd].open = true;
        stub->conns[fd].have = 0;
    }
}

static void send_due(struct stub *stub)
{
    const int64_t now_ns = clock_now_ns();
    while (stub->first != NULL && stub->first->at_ns <= now_ns) {
        struct due *due = stub->first;
        stub->first = due->next;
        if (stub->first == NULL) {
            stub->last = NULL;
        }
        const struct conn *conn = &stub->conns[due->fd];
        if (conn->open && conn->generation == due->generation) {
            send_reply(stub, due->fd, due->bytes, due->length, due->is_order);
        }
        due->next = stub->spare;
        stub->spare = due;
    }
}

/* Once: everything stands still, as in a garbage collection or a stopped process. */
static void freeze_if_time(struct stub *stub)
{
    const struct settings *settings = &stub->settings;
    if (settings->freeze_ns == 0 || stub->frozen || stub->first_request_ns == 0 ||
        clock_now_ns() - stub->first_request_ns < settings->freeze_at_ns) {
        return;
    }
    stub->frozen = true;
    const struct timespec pause = {.tv_sec = settings->freeze_ns / CLOCK_NS_PER_S,
                                   .tv_nsec = settings->freeze_ns % CLOCK_NS_PER_S};
    nanosleep(&pause, NULL);
}

static void serve(struct stub *stub)
{
    struct epoll_event events[EVENTS_MAX];
    for (;;) {
        freeze_if_time(stub);
        send_due(stub);
        int64_t left_ns = 50 * CLOCK_NS_PER_MS;
        if (stub->first != NULL) {
            const int64_t until_ns = stub->first->at_ns - clock_now_ns();
            left_ns = until_ns < 0 ? 0 : until_ns < left_ns ? until_ns : left_ns;
        }
        const struct timespec left = {.tv_sec = 0, .tv_nsec = left_ns};
        const int count = epoll_pwait2(stub->epoll_fd, events, EVENTS_MAX, &left, NULL);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == stub->listener) {
                on_listener(stub);
            } else if (stub->conns[events[i].data.fd].open) {
                on_readable(stub, events[i].data.fd);
            }
        }
    }
}

static int listen_on(int port)
{
    const int on = 1;
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(fd, 1024) != 0) {
        perror("stub: listen");
        exit(1);
    }
    return fd;
}

static void read_settings(int argc, char **argv, struct settings *settings)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},
        {"delay-ms", required_argument, NULL, 'd'},
        {"freeze-at", required_argument, NULL, 'a'},
        {"freeze-ms", required_argument, NULL, 'f'},
        {"pending-ms", required_argument, NULL, 'w'},
        {"mode", required_argument, NULL, 'm'},
        {"busy", required_argument, NULL, 'b'},
        {"log", required_argument, NULL, 'l'},
        {"retry-after", required_argument, NULL, 'r'},
        {"deaf", no_argument, NULL, 'q'},
        {NULL, 0, NULL, 0},
    };
    *settings = (struct settings){.pending_ns = 50 * CLOCK_NS_PER_MS, .busy = 2};
    for (int id = 0; (id = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        const double value = optarg == NULL ? 0.0 : strtod(optarg, NULL);
        switch (id) {
        case 'p':
            settings->port = (int)value;
            break;
        case 'd':
            settings->delay_ns = (int64_t)(value * 1e6);
            break;
        case 'a':
            settings->freeze_at_ns = (int64_t)(value * 1e9);
            break;
        case 'f':
            settings->freeze_ns = (int64_t)(value * 1e6);
            break;
        case 'w':
            settings->pending_ns = (int64_t)(value * 1e6);
            break;
        case 'm':
            settings->mode = stub_replies_mode(optarg);
            break;
        case 'b':
            settings->busy = (int)value;
            break;
        case 'r':
            settings->retry_after_s = (int)value;
            break;
        case 'q':
            settings->deaf = true;
            break;
        case 'l':
            settings->log = fopen(optarg, "we");
            break;
        default:
            exit(64);
        }
    }
}

int main(int argc, char **argv)
{
    static struct stub stub;
    read_settings(argc, argv, &stub.settings);
    stub.conns = xcalloc(CONNS_MAX, sizeof(*stub.conns));
    stub_replies_init(&stub.settings);
    stub.listener = listen_on(stub.settings.port);
    stub.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = stub.listener};
    if (stub.epoll_fd < 0 || epoll_ctl(stub.epoll_fd, EPOLL_CTL_ADD, stub.listener, &event) != 0) {
        perror("stub: epoll");
        return 1;
    }
    printf("listening on %d\n", stub.settings.port);
    fflush(stdout);
    serve(&stub);
}
