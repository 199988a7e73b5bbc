/* net: pools, queues and the epoll loop's inside.
 *
 * Every conn slot is in one of three places: its pool's closed list, its pool's idle list, or bound
 * to an op. An op with the net is either in its pool's queue or bound to a conn. A request that
 * fails while it is being submitted parks its conn as CONN_FAILED until the next net_poll, so that
 * hooks never run inside a caller's call. An event carries its conn's generation: events of a
 * socket that was closed in the same round are recognised and dropped. Idle connections are reused
 * last in, first out; an idle one that the server closes is closed here too. A request that meets a
 * connection the server is just closing is LOSS_CUT, never sent again in secret. */
#include "net.h"

#include "common/clock.h"
#include "common/xalloc.h"
#include "conn.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* Few enough that arrivals which fall due meanwhile are not kept waiting. */
enum { EVENTS_PER_POLL = 32 };

struct pool {
    struct conn_list closed, idle;
    struct op *first, *last; /* waiting for a connection */
};

struct net {
    int epoll_fd;
    struct sockaddr_storage address;
    socklen_t address_length;
    struct net_hooks hooks;
    struct pool pools[NET_POOLS];
    struct conn_list failed;
    struct conn *conns;
    int conn_count, open;
    struct net_counts counts;
};

static void queue_append(struct pool *pool, struct op *op)
{
    op->next = NULL;
    op->previous = pool->last;
    if (pool->last != NULL) {
        pool->last->next = op;
    } else {
        pool->first = op;
    }
    pool->last = op;
}

static void queue_remove(struct pool *pool, struct op *op)
{
    if (op->previous != NULL) {
        op->previous->next = op->next;
    } else {
        pool->first = op->next;
    }
    if (op->next != NULL) {
        op->next->previous = op->previous;
    } else {
        pool->last = op->previous;
    }
    op->next = op->previous = NULL;
}

static void shut(struct net *net, struct conn *conn)
{
    if (conn->fd >= 0) {
        conn_close(conn);
        net->open--;
    }
}

/* Takes conn out of use for good; it can be opened again. */
static void retire(struct net *net, struct conn *conn)
{
    shut(net, conn);
    conn->state = CONN_CLOSED;
    conn->op = NULL;
    conn_list_push(&net->pools[conn->pool].closed, conn);
}

/* conn's request is lost, to be told at the next net_poll. */
static void park(struct net *net, struct conn *conn, enum loss loss)
{
    shut(net, conn);
    conn->state = CONN_FAILED;
    conn->loss = loss;
    conn_list_push(&net->failed, conn);
}

static void count_connect_error(struct net *net, int error)
{
    net->counts.failed++;
    net->counts.connect_errno = error;
}

static void flush(struct net *net, struct conn *conn)
{
    const enum conn_progress progress = conn_write(conn);
    if (progress == CONN_CUT) {
        park(net, conn, LOSS_CUT);
    } else if (progress == CONN_WHOLE && conn->op->hang_up) {
        park(net, conn, LOSS_HUNG_UP);
    }
}

static void start_request(struct net *net, struct conn *conn)
{
    reply_init(&conn->reply);
    conn->state = CONN_BUSY;
    conn->out_sent = 0;
    conn->out_length = net->hooks.write_request(net->hooks.context, conn->op, conn->out);
    flush(net, conn);
}

static void open_for(struct net *net, struct conn *conn)
{
    const int error =
        conn_open(conn, net->epoll_fd, (const struct sockaddr *)&net->address, net->address_length);
    if (error != 0) {
        count_connect_error(net, error);
        park(net, conn, LOSS_NOT_CONNECTED);
        return;
    }
    net->open++;
    if (net->open > net->counts.peak) {
        net->counts.peak = net->open;
    }
}

/* Gives connections to those who wait, as long as there are both. */
static void pump(struct net *net, struct pool *pool)
{
    while (pool->first != NULL) {
        struct conn_list *from = pool->idle.first != NULL ? &pool->idle : &pool->closed;
        struct conn *conn = from->first;
        if (conn == NULL) {
            return;
        }
        struct op *op = pool->first;
        queue_remove(pool, op);
        conn_list_remove(from, conn);
        conn->op = op;
        op->conn = conn;
        if (conn->state == CONN_IDLE) {
            start_request(net, conn);
        } else {
            open_for(net, conn);
        }
    }
}

bool net_submit(struct net *net, enum net_pool pool, struct op *op)
{
    op->pool = (int)pool;
    op->conn = NULL;
    queue_append(&net->pools[pool], op);
    pump(net, &net->pools[pool]);
    return op->conn != NULL;
}

void net_withdraw(struct net *net, struct op *op)
{
    struct pool *pool = &net->pools[op->pool];
    struct conn *conn = op->conn;
    if (conn == NULL) {
        queue_remove(pool, op);
        return;
    }
    if (conn->state == CONN_FAILED) {
        conn_list_remove(&net->failed, conn);
    }
    op->conn = NULL;
    retire(net, conn);
    pump(net, pool);
}

static void tell_loss(struct net *net, struct conn *conn, enum loss loss)
{
    struct op *op = conn->op;
    op->conn = NULL;
    retire(net, conn);
    net->hooks.on_loss(net->hooks.context, op, loss);
    pump(net, &net->pools[conn->pool]);
}

static void tell_reply(struct net *net, struct conn *conn, bool ended)
{
    struct op *op = conn->op;
    op->conn = NULL;
    conn->op = NULL;
    net->counts.replies++;
    if (conn->reply.keep_alive && !ended && conn->out_sent == conn->out_length) {
        conn->state = CONN_IDLE;
        conn_list_push(&net->pools[conn->pool].idle, conn);
    } else {
        retire(net, conn);
    }
    net->hooks.on_reply(net->hooks.context, op, &conn->reply);
    pump(net, &net->pools[conn->pool]);
}

static void on_connecting(struct net *net, struct conn *conn)
{
    const int error = conn_connect_error(conn);
    if (error != 0) {
        count_connect_error(net, error);
        tell_loss(net, conn, LOSS_NOT_CONNECTED);
        return;
    }
    start_request(net, conn);
}

static void on_readable(struct net *net, struct conn *conn, bool ended)
{
    switch (conn_read(conn, ended)) {
    case CONN_MORE:
        break;
    case CONN_WHOLE:
        tell_reply(net, conn, ended);
        break;
    case CONN_CUT:
        tell_loss(net, conn, LOSS_CUT);
        break;
    case CONN_BAD:
        tell_loss(net, conn, LOSS_BAD_REPLY);
        break;
    }
}

static void on_event(struct net *net, struct conn *conn, uint32_t events)
{
    const bool ended = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    const bool readable = ended || (events & EPOLLIN) != 0;
    switch (conn->state) {
    case CONN_CONNECTING:
        on_connecting(net, conn);
        break;
    case CONN_BUSY:
        if ((events & EPOLLOUT) != 0 && conn->out_sent < conn->out_length) {
            flush(net, conn);
        }
        if (readable && conn->state == CONN_BUSY) {
            on_readable(net, conn, ended);
        }
        break;
    case CONN_IDLE:
        if (readable) {
            conn_list_remove(&net->pools[conn->pool].idle, conn);
            retire(net, conn);
        }
        break;
    case CONN_CLOSED:
    case CONN_FAILED:
        break;
    }
}

/* A hook may park more of them: one round each, so that nothing else starves. */
static void tell_failed(struct net *net)
{
    for (int i = 0; i < net->conn_count && net->failed.first != NULL; i++) {
        struct conn *conn = net->failed.first;
        conn_list_remove(&net->failed, conn);
        tell_loss(net, conn, conn->loss);
    }
}

/* epoll_pwait2 waits to the nanosecond; kernels before 5.11 have the millisecond call only, whose
 * last millisecond is then spent spinning. */
static int wait_events(struct net *net, struct epoll_event *events, int64_t deadline_ns)
{
    static bool has_pwait2 = true;
    int64_t left_ns = deadline_ns - clock_now_ns();
    if (left_ns < 0 || net->failed.first != NULL) {
        left_ns = 0;
    }
    if (has_pwait2) {
        const struct timespec left = {.tv_sec = left_ns / CLOCK_NS_PER_S,
                                      .tv_nsec = left_ns % CLOCK_NS_PER_S};
        const int count = epoll_pwait2(net->epoll_fd, events, EVENTS_PER_POLL, &left, NULL);
        if (count >= 0 || errno != ENOSYS) {
            return count;
        }
        has_pwait2 = false;
    }
    return epoll_wait(net->epoll_fd, events, EVENTS_PER_POLL, (int)(left_ns / CLOCK_NS_PER_MS));
}

void net_poll(struct net *net, int64_t deadline_ns)
{
    struct epoll_event events[EVENTS_PER_POLL];
    tell_failed(net);
    const int count = wait_events(net, events, deadline_ns);
    for (int i = 0; i < count; i++) {
        const uint64_t tag = events[i].data.u64;
        struct conn *conn = &net->conns[tag & UINT32_MAX];
        if (conn->generation == (uint32_t)(tag >> 32)) {
            on_event(net, conn, events[i].events);
        }
    }
}

static enum status resolve(struct net *net, const char *host, const char *port)
{
    const struct addrinfo wanted = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (getaddrinfo(host, port, &wanted, &found) != 0) {
        return ST_NOT_FOUND;
    }
    memcpy(&net->address, found->ai_addr, found->ai_addrlen);
    net->address_length = found->ai_addrlen;
    freeaddrinfo(found);
    return ST_OK;
}

static void create_conns(struct net *net, const int caps[NET_POOLS])
{
    for (int pool = 0; pool < NET_POOLS; pool++) {
        net->conn_count += caps[pool];
    }
    net->conns = xcalloc((size_t)net->conn_count, sizeof(*net->conns));
    struct conn *conn = net->conns;
    for (int pool = 0; pool < NET_POOLS; pool++) {
        for (int i = 0; i < caps[pool]; i++, conn++) {
            conn->fd = -1;
            conn->pool = (enum net_pool)pool;
            conn->index = (uint32_t)(conn - net->conns);
            conn_list_push(&net->pools[pool].closed, conn);
        }
    }
}

enum status net_create(const char *host, const char *port, const int caps[NET_POOLS],
                       const struct net_hooks *hooks, struct net **out)
{
    struct net *net = xcalloc(1, sizeof(*net));
    net->hooks = *hooks;
    net->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    enum status status = net->epoll_fd < 0 ? ST_SYSTEM : resolve(net, host, port);
    if (status != ST_OK) {
        net_destroy(net);
        return status;
    }
    create_conns(net, caps);
    *out = net;
    return ST_OK;
}

void net_destroy(struct net *net)
{
    if (net == NULL) {
        return;
    }
    for (int i = 0; i < net->conn_count; i++) {
        conn_close(&net->conns[i]);
    }
    if (net->epoll_fd >= 0) {
        close(net->epoll_fd);
    }
    free(net->conns);
    free(net);
}

struct net_counts net_counts(const struct net *net)
{
    return net->counts;
}

const char *net_loss_name(enum loss loss)
{
    static const char *const names[LOSS_COUNT] = {
        [LOSS_TIMEOUT] = "timeout",
        [LOSS_CUT] = "cut",
        [LOSS_BAD_REPLY] = "bad_reply",
        [LOSS_NOT_CONNECTED] = "not_connected",
        [LOSS_LOST] = "lost",
        [LOSS_HUNG_UP] = "hung_up",
        [LOSS_INTERRUPTED] = "interrupted",
        [LOSS_UNSENT] = "unsent",
    };
    return names[loss];
}
