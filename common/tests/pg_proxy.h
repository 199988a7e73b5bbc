/* pg_proxy: a man in the middle for the tests of pg and dbpool.
 *
 * One thread forwards between a unix socket of its own and the test database, and misbehaves on
 * demand: it stops forwarding (a frozen server), cuts, refuses newcomers, or, once a client has
 * sent a given word, loses the request, loses or replaces or shortens the answer, or puts a notice
 * before it. The word is looked for in what one read brought, which holds for the small messages of
 * the tests. */
#ifndef FLASHDEAL_TESTS_PG_PROXY_H
#define FLASHDEAL_TESTS_PG_PROXY_H

#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/tests/pg_fixture.h"

enum { PROXY_PAIRS = 32, PROXY_CHUNK = 8192, PROXY_MESSAGE_SIZE = 512, READY_BYTES = 6 };

enum proxy_fault {
    PROXY_PASS,
    PROXY_FREEZE,        /* forward nothing, accept nothing */
    PROXY_REFUSE,        /* answer newcomers with message (may be empty) and close; others pass */
    PROXY_LOSE_REQUEST,  /* word seen: it is not forwarded; both sides are cut */
    PROXY_LOSE_ANSWER,   /* word seen: forwarded; the answer is awaited, and thrown away; cut */
    PROXY_FREEZE_ANSWER, /* word seen: forwarded; then frozen */
    PROXY_REPLACE,       /* word seen: message instead of the answer; cut */
    PROXY_CUT_READY,     /* word seen: the answer without its ReadyForQuery; cut */
    PROXY_INSERT,        /* word seen: message, then the answer */
};

struct proxy_pair {
    int client, server; /* -1: free */
    bool triggered;     /* the word was seen: the next answer is the one */
};

struct proxy {
    char directory[64], path[108], conninfo[FIXTURE_CONNINFO_SIZE];
    struct sockaddr_storage upstream;
    socklen_t upstream_size;
    int listener, wake[2];
    pthread_t thread;
    atomic_int accepted;
    atomic_int requests; /* reads from clients: a small message, or several sent at once, is one */
    pthread_mutex_t lock;

    /* Guarded by lock: */
    bool stop;
    enum proxy_fault fault;
    char word[32], message[PROXY_MESSAGE_SIZE];
    size_t message_length;
    struct proxy_pair pairs[PROXY_PAIRS];
};

static inline void proxy_resolve(struct proxy *proxy)
{
    PGconn *conn = fixture_open();
    const char *host = PQhost(conn);
    if (host[0] == '/') {
        struct sockaddr_un *address = (struct sockaddr_un *)(void *)&proxy->upstream;
        address->sun_family = AF_UNIX;
        snprintf(address->sun_path, sizeof(address->sun_path), "%s/.s.PGSQL.%s", host,
                 PQport(conn));
        proxy->upstream_size = sizeof(*address);
    } else {
        struct addrinfo *found = NULL;
        const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
        ck_assert_int_eq(getaddrinfo(host, PQport(conn), &hints, &found), 0);
        memcpy(&proxy->upstream, found->ai_addr, found->ai_addrlen);
        proxy->upstream_size = found->ai_addrlen;
        freeaddrinfo(found);
    }
    PQfinish(conn);
}

static inline void proxy_close_pair(struct proxy_pair *pair)
{
    close(pair->client);
    close(pair->server);
    *pair = (struct proxy_pair){.client = -1, .server = -1};
}

static inline bool proxy_has_word(const char *chunk, size_t length, const char *word)
{
    size_t size = strlen(word);
    for (size_t i = 0; size > 0 && i + size <= length; i++) {
        if (memcmp(chunk + i, word, size) == 0) {
            return true;
        }
    }
    return false;
}

static inline void proxy_send(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
        if (sent <= 0) {
            return; /* that side is gone: its own EOF ends the pair */
        }
        bytes += sent;
        length -= (size_t)sent;
    }
}

static inline void proxy_from_client(struct proxy *proxy, struct proxy_pair *pair)
{
    char chunk[PROXY_CHUNK];
    ssize_t length = recv(pair->client, chunk, sizeof(chunk), 0);
    if (length <= 0) {
        proxy_close_pair(pair);
        return;
    }
    proxy->requests++;
    pair->triggered = proxy_has_word(chunk, (size_t)length, proxy->word);
    if (pair->triggered && proxy->fault == PROXY_LOSE_REQUEST) {
        proxy_close_pair(pair);
        return;
    }
    proxy_send(pair->server, chunk, (size_t)length);
    if (pair->triggered && proxy->fault == PROXY_FREEZE_ANSWER) {
        proxy->fault = PROXY_FREEZE;
    }
}

/* Whether the server has said all: ReadyForQuery comes last. */
static inline bool proxy_ends_ready(const char *chunk, ssize_t length)
{
    return length >= READY_BYTES && memcmp(chunk + length - READY_BYTES, "Z\0\0\0\5", 5) == 0;
}

/* An answer may come in pieces; what is done to it is done to all of it. */
static inline void proxy_from_server(struct proxy *proxy, struct proxy_pair *pair)
{
    char chunk[PROXY_CHUNK];
    ssize_t length = recv(pair->server, chunk, sizeof(chunk), 0);
    enum proxy_fault fault = pair->triggered ? proxy->fault : PROXY_PASS;
    const bool cuts =
        fault == PROXY_LOSE_ANSWER || fault == PROXY_REPLACE || fault == PROXY_CUT_READY;
    const bool is_whole = proxy_ends_ready(chunk, length);
    if (fault == PROXY_INSERT || (fault == PROXY_REPLACE && is_whole)) {
        proxy_send(pair->client, proxy->message, proxy->message_length);
    }
    if (fault == PROXY_CUT_READY && length > 0) {
        proxy_send(pair->client, chunk, (size_t)(is_whole ? length - READY_BYTES : length));
    }
    if (length <= 0 || (cuts && is_whole)) {
        proxy_close_pair(pair);
        return;
    }
    if (!cuts) {
        pair->triggered = false;
        proxy_send(pair->client, chunk, (size_t)length);
    }
}

static inline void proxy_accept(struct proxy *proxy)
{
    int client = accept(proxy->listener, NULL, NULL);
    if (client < 0) {
        return;
    }
    proxy->accepted++;
    if (proxy->fault == PROXY_REFUSE) {
        char startup[PROXY_CHUNK];
        if (recv(client, startup, sizeof(startup), 0) > 0) {
            proxy_send(client, proxy->message, proxy->message_length);
        }
        close(client);
        return;
    }
    for (int i = 0; i < PROXY_PAIRS; i++) {
        struct proxy_pair *pair = &proxy->pairs[i];
        if (pair->client >= 0) {
            continue;
        }
        pair->client = client;
        pair->server = socket(proxy->upstream.ss_family, SOCK_STREAM, 0);
        if (connect(pair->server, (struct sockaddr *)&proxy->upstream, proxy->upstream_size) != 0) {
            proxy_close_pair(pair);
        }
        return;
    }
    close(client);
}

static inline bool proxy_ready(const struct pollfd *poll_fd)
{
    return poll_fd->fd >= 0 && poll_fd->revents != 0;
}

/* One round: waits for something to read and serves it. False: asked to stop. */
static inline bool proxy_round(struct proxy *proxy)
{
    struct pollfd fds[2 + 2 * PROXY_PAIRS];
    pthread_mutex_lock(&proxy->lock);
    bool frozen = proxy->fault == PROXY_FREEZE;
    fds[0] = (struct pollfd){.fd = proxy->wake[0], .events = POLLIN};
    fds[1] = (struct pollfd){.fd = frozen ? -1 : proxy->listener, .events = POLLIN};
    for (int i = 0; i < PROXY_PAIRS; i++) {
        const struct proxy_pair *pair = &proxy->pairs[i];
        fds[2 + 2 * i] = (struct pollfd){.fd = frozen ? -1 : pair->client, .events = POLLIN};
        fds[3 + 2 * i] = (struct pollfd){.fd = frozen ? -1 : pair->server, .events = POLLIN};
    }
    pthread_mutex_unlock(&proxy->lock);
    poll(fds, 2 + 2 * PROXY_PAIRS, -1);
    pthread_mutex_lock(&proxy->lock);
    char byte;
    if (proxy_ready(&fds[0]) && read(proxy->wake[0], &byte, 1) == 1) {
        goto out; /* something was changed: look at it first */
    }
    for (int i = 0; i < PROXY_PAIRS; i++) {
        if (proxy_ready(&fds[2 + 2 * i])) {
            proxy_from_client(proxy, &proxy->pairs[i]);
        } else if (proxy_ready(&fds[3 + 2 * i])) {
            proxy_from_server(proxy, &proxy->pairs[i]);
        }
    }
    if (proxy_ready(&fds[1])) {
        proxy_accept(proxy);
    }
out:;
    bool stop = proxy->stop;
    pthread_mutex_unlock(&proxy->lock);
    return !stop;
}

static inline void *proxy_main(void *arg)
{
    while (proxy_round(arg)) {
    }
    return NULL;
}

static inline void proxy_wake(struct proxy *proxy)
{
    ck_assert_int_eq((int)write(proxy->wake[1], "", 1), 1);
}

/* The caller stops it. */
static inline struct proxy *proxy_start(void)
{
    struct proxy *proxy = calloc(1, sizeof(*proxy));
    ck_assert_ptr_nonnull(proxy);
    proxy_resolve(proxy);
    for (int i = 0; i < PROXY_PAIRS; i++) {
        proxy->pairs[i] = (struct proxy_pair){.client = -1, .server = -1};
    }
    snprintf(proxy->directory, sizeof(proxy->directory), "/tmp/fd_proxy_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(proxy->directory));
    snprintf(proxy->path, sizeof(proxy->path), "%s/.s.PGSQL.5432", proxy->directory);
    char extra[128];
    snprintf(extra, sizeof(extra), "host='%s' port='5432' gssencmode='disable'", proxy->directory);
    fixture_conninfo(proxy->conninfo, extra);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, proxy->path, sizeof(address.sun_path));
    proxy->listener = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(proxy->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(proxy->listener, PROXY_PAIRS), 0);
    ck_assert_int_eq(pipe(proxy->wake), 0);
    pthread_mutex_init(&proxy->lock, NULL);
    ck_assert_int_eq(pthread_create(&proxy->thread, NULL, proxy_main, proxy), 0);
    return proxy;
}

/* From now on; word arms a fault that needs one (the next message holding it). message is what
 * PROXY_REFUSE, PROXY_REPLACE and PROXY_INSERT send. */
static inline void proxy_set(struct proxy *proxy, enum proxy_fault fault, const char *word,
                             const char *message, size_t message_length)
{
    ck_assert_uint_le(message_length, PROXY_MESSAGE_SIZE);
    pthread_mutex_lock(&proxy->lock);
    proxy->fault = fault;
    snprintf(proxy->word, sizeof(proxy->word), "%s", word != NULL ? word : "");
    memcpy(proxy->message, message != NULL ? message : "", message_length);
    proxy->message_length = message_length;
    pthread_mutex_unlock(&proxy->lock);
    proxy_wake(proxy);
}

/* Cuts every connection; the clients can see it when this returns. */
static inline void proxy_cut(struct proxy *proxy)
{
    pthread_mutex_lock(&proxy->lock);
    for (int i = 0; i < PROXY_PAIRS; i++) {
        if (proxy->pairs[i].client >= 0) {
            shutdown(proxy->pairs[i].client, SHUT_RDWR);
        }
    }
    pthread_mutex_unlock(&proxy->lock);
}

static inline void proxy_stop(struct proxy *proxy)
{
    pthread_mutex_lock(&proxy->lock);
    proxy->stop = true;
    pthread_mutex_unlock(&proxy->lock);
    proxy_wake(proxy);
    pthread_join(proxy->thread, NULL);
    for (int i = 0; i < PROXY_PAIRS; i++) {
        if (proxy->pairs[i].client >= 0) {
            proxy_close_pair(&proxy->pairs[i]);
        }
    }
    close(proxy->listener);
    close(proxy->wake[0]);
    close(proxy->wake[1]);
    unlink(proxy->path);
    rmdir(proxy->directory);
    pthread_mutex_destroy(&proxy->lock);
    free(proxy);
}

/* Writes an ErrorResponse ('E') or NoticeResponse ('N'); routine may be NULL. Returns its length.
 * Source: PostgreSQL manual, "Message Formats" and "Error and Notice Message Fields". */
static inline size_t proxy_message(char out[PROXY_MESSAGE_SIZE], char kind, const char *severity,
                                   const char *sqlstate, const char *text, const char *routine)
{
    const struct {
        char field;
        const char *value;
    } fields[] = {{'S', severity}, {'V', severity}, {'C', sqlstate}, {'M', text}, {'R', routine}};
    size_t used = 5; /* kind and length, filled in below */
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (fields[i].value != NULL) {
            out[used++] = fields[i].field;
            used += (size_t)snprintf(out + used, PROXY_MESSAGE_SIZE - used, "%s", fields[i].value);
            used++;
        }
    }
    out[used++] = '\0';
    out[0] = kind;
    out[1] = out[2] = 0;
    out[3] = (char)((used - 1) >> 8);
    out[4] = (char)((used - 1) & 0xff);
    return used;
}

#endif
