/* stub: a small server with known behaviour, against which loadgen is measured.
 *
 *     stub --port P [--delay-ms D] [--freeze-at S --freeze-ms M] [--mode MODE] ...
 *
 * It answers POST /orders, GET /orders/{id}, GET /sales/{id} and GET /health (and any other path
 * like /health) after a fixed delay, and misbehaves as told: modes below. One thread, epoll, one
 * request at a time per connection; replies that are due later wait in one queue, which is sorted
 * because the delay is the same for all. The order's id carries its number, so that nothing has to
 * be remembered. It checks as little of a request as it can: it is no model of the service.
 *
 * It prints "listening on P" once it does. GET /debug/seen gives what it saw as JSON: orders by
 * POST, different Idempotency-Keys per user are in --log (one line per POST: user, key, token). */
#define _GNU_SOURCE /* memmem, accept4 */

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
    REPLY_MAX = 2048,
    EVENTS_MAX = 64,
    ORDERS_MAX = 1 << 20, /* whose time of acceptance is remembered */
    USERS_MAX = 1 << 20,  /* whose attempts are counted by --mode busy */
};

enum mode {
    MODE_ECHO201,   /* 201, confirmed */
    MODE_ECHO202,   /* 202; confirmed --pending-ms later */
    MODE_REJECT202, /* 202; then rejected, sold_out */
    MODE_LOST202,   /* 202; then 404 */
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

static const char *const MODE_NAMES[MODES] = {
    "echo201",   "echo202", "reject202", "lost202", "stuck202", "sold_out",
    "busy",      "unknown", "no_id",     "chunked", "dribble",  "close",
    "until_eof", "cut",     "reset",     "garbage", "trailing", "mute",
};

struct settings {
    int port;
    int64_t delay_ns, freeze_at_ns, freeze_ns, pending_ns;
    int busy, retry_after_s;
    enum mode mode;
    FILE *log;
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
    char bytes[REPLY_MAX];
    struct due *next;
};

struct stub {
    struct settings settings;
    int epoll_fd, listener;
    struct conn *conns;
    struct due *first, *last, *spare;
    int64_t first_request_ns, orders;
    bool frozen;
    int64_t *accepted_ns;
    unsigned char *attempts;
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

static void send_reply(struct stub *stub, int fd, const char *bytes, size_t length, bool is_order)
{
    static const char garbage[] = "\x16\x03\x01 this is no HTTP\r\n\r\n";
    static const char extra[] = "and more that nobody asked for";
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
        (void)put(fd, bytes, length);
        (void)put(fd, extra, sizeof(extra) - 1);
        return;
    case MODE_MUTE:
        return;
    default:
        if (!put(fd, bytes, length)) {
            drop(stub, fd);
        }
    }
}

static size_t with_body(char *out, const char *status, const char *headers, const char *body)
{
    const char *type =
        strncmp(status, "20", 2) == 0 ? "application/json" : "application/problem+json";
    return (size_t)snprintf(out, REPLY_MAX,
                            "HTTP/1.1 %s\r\nContent-Type: %s\r\n%sContent-Length: %zu\r\n\r\n%s",
                            status, type, headers, strlen(body), body);
}

static size_t problem(char *out, const char *status, const char *headers, const char *code)
{
    char body[128];
    snprintf(body, sizeof(body), "{\"status\":%.3s,\"code\":\"%s\",\"request_id\":\"stub\"}",
             status, code);
    return with_body(out, status, headers, body);
}

static size_t chunked(char *out, const char *body)
{
    const size_t half = strlen(body) / 2;
    return (size_t)snprintf(out, REPLY_MAX,
                            "HTTP/1.1 100 Continue\r\n\r\n"
                            "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n"
                            "Transfer-Encoding: chunked\r\n\r\n"
                            "%zx\r\n%.*s\r\n%zx;ext=1\r\n%s\r\n0\r\nTrailer: x\r\n\r\n",
                            half, (int)half, body, strlen(body) - half, body + half);
}

static size_t until_eof(char *out, const char *body)
{
    return (size_t)snprintf(
        out, REPLY_MAX, "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n\r\n%s", body);
}

static bool is_async(enum mode mode)
{
    return mode == MODE_ECHO202 || mode == MODE_REJECT202 || mode == MODE_LOST202 ||
           mode == MODE_STUCK202;
}

static size_t order_created(struct stub *stub, char *out)
{
    const struct settings *settings = &stub->settings;
    const bool async = is_async(settings->mode);
    const int64_t number = stub->orders++;
    char body[256];
    stub->accepted_ns[number % ORDERS_MAX] = clock_now_ns();
    snprintf(body, sizeof(body),
             "{\"order_id\":\"00000000-0000-4000-8000-%012llx\",\"status\":\"%s\","
             "\"status_url\":\"/orders/00000000-0000-4000-8000-%012llx\"}",
             (unsigned long long)number, async ? "pending" : "confirmed",
             (unsigned long long)number);
    if (settings->mode == MODE_NO_ID) {
        return with_body(out, "201 Created", "", "{\"status\":\"confirmed\"}");
    }
    if (settings->mode == MODE_CHUNKED) {
        return chunked(out, body);
    }
    if (settings->mode == MODE_UNTIL_EOF) {
        return until_eof(out, body);
    }
    return with_body(out, async ? "202 Accepted" : "201 Created",
                     settings->mode == MODE_CLOSE ? "Connection: close\r\n" : "", body);
}

static long long number_after(const char *text, const char *what)
{
    const char *at = strstr(text, what);
    return at == NULL ? 0 : strtoll(at + strlen(what), NULL, 10);
}

/* The value of a header up to its line's end, for the log. */
static void log_header(FILE *log, const char *request, const char *name)
{
    const char *at = strstr(request, name);
    const char *value = at == NULL ? "-" : at + strlen(name);
    fprintf(log, "\t%.*s", (int)strcspn(value, "\r"), value);
}

static size_t answer_order(struct stub *stub, const char *request, char *out)
{
    struct settings *settings = &stub->settings;
    const long long user = number_after(request, "\"user_id\":");
    if (settings->log != NULL) {
        fprintf(settings->log, "%lld", user);
        log_header(settings->log, request, "\r\nIdempotency-Key: ");
        log_header(settings->log, request, "\r\nAuthorization: ");
        fputc('\n', settings->log);
        fflush(settings->log);
    }
    if (settings->mode == MODE_SOLD_OUT) {
        return problem(out, "409 Conflict", "", "sold_out");
    }
    if (settings->mode == MODE_UNKNOWN) {
        return problem(out, "503 Service Unavailable", "Retry-After: 1\r\n", "outcome_unknown");
    }
    if (settings->mode == MODE_BUSY && stub->attempts[user % USERS_MAX] < settings->busy) {
        char header[64];
        stub->attempts[user % USERS_MAX]++;
        snprintf(header, sizeof(header), "retry-AFTER: %d\r\n", settings->retry_after_s);
        return problem(out, "503 Service Unavailable", header, "queue_full");
    }
    return order_created(stub, out);
}

static size_t answer_status(struct stub *stub, const char *request, char *out)
{
    const enum mode mode = stub->settings.mode;
    const char *id = request + strlen("GET /orders/");
    const long long number = strtoll(id + 24, NULL, 16);
    char body[256];
    if (mode == MODE_LOST202) {
        return problem(out, "404 Not Found", "", "order_not_found");
    }
    const bool due =
        mode != MODE_STUCK202 &&
        clock_now_ns() - stub->accepted_ns[number % ORDERS_MAX] >= stub->settings.pending_ns;
    const char *state = !due ? "pending" : mode == MODE_REJECT202 ? "rejected" : "confirmed";
    const char *reason = due && mode == MODE_REJECT202 ? "\"sold_out\"" : "null";
    snprintf(body, sizeof(body),
             "{\"order_id\":\"%.36s\",\"sale_id\":1,\"user_id\":1,\"quantity\":1,"
             "\"status\":\"%s\",\"reason\":%s}",
             id, state, reason);
    return with_body(out, "200 OK", "", body);
}

static size_t answer(struct stub *stub, const char *request, char *out, bool *is_order)
{
    *is_order = strncmp(request, "POST /orders ", 13) == 0;
    if (*is_order) {
        return answer_order(stub, request, out);
    }
    if (strncmp(request, "GET /orders/", 12) == 0) {
        return answer_status(stub, request, out);
    }
    if (strncmp(request, "GET /sales/", 11) == 0) {
        return with_body(out, "200 OK", "",
                         "{\"id\":1,\"name\":\"stub\",\"price_cents\":100,\"stock_total\":1000,"
                         "\"stock_left\":1000,\"per_user_limit\":2}");
    }
    return with_body(out, "200 OK", "", "{\"status\":\"ok\"}");
}

static void schedule(struct stub *stub, int fd, struct due *due)
{
    due->at_ns = clock_now_ns() + stub->settings.delay_ns;
    due->fd = fd;
    due->generation = stub->conns[fd].generation;
    due->next = NULL;
    if (stub->last != NULL) {
        stub->last->next = due;
    } else {
        stub->first = due;
    }
    stub->last = due;
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
    due->length = answer(stub, request, due->bytes, &due->is_order);
    if (stub->settings.delay_ns == 0) {
        send_reply(stub, fd, due->bytes, due->length, due->is_order);
        due->next = stub->spare;
        stub->spare = due;
    } else {
        schedule(stub, fd, due);
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

static enum mode mode_of(const char *name)
{
    for (int i = 0; i < MODES; i++) {
        if (strcmp(name, MODE_NAMES[i]) == 0) {
            return (enum mode)i;
        }
    }
    fprintf(stderr, "stub: no mode \"%s\"\n", name);
    exit(64);
}

static void read_settings(int argc, char **argv, struct settings *settings)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},        {"delay-ms", required_argument, NULL, 'd'},
        {"freeze-at", required_argument, NULL, 'a'},   {"freeze-ms", required_argument, NULL, 'f'},
        {"pending-ms", required_argument, NULL, 'w'},  {"mode", required_argument, NULL, 'm'},
        {"busy", required_argument, NULL, 'b'},        {"log", required_argument, NULL, 'l'},
        {"retry-after", required_argument, NULL, 'r'}, {NULL, 0, NULL, 0},
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
            settings->mode = mode_of(optarg);
            break;
        case 'b':
            settings->busy = (int)value;
            break;
        case 'r':
            settings->retry_after_s = (int)value;
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
    stub.accepted_ns = xcalloc(ORDERS_MAX, sizeof(*stub.accepted_ns));
    stub.attempts = xcalloc(USERS_MAX, 1);
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
