/* conn: sockets. TCP_NODELAY, since a request is one small write and must not wait for an ACK.
 * Events are edge-triggered and registered once, so that a request costs one send, one recv and its
 * share of an epoll_wait: nothing else. A recv that fills less than the buffer has emptied the
 * socket, unless epoll told that the stream has ended. */
#include "conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { READ_BYTES = 16 * 1024 };

void conn_list_push(struct conn_list *list, struct conn *conn)
{
    conn->previous = NULL;
    conn->next = list->first;
    if (list->first != NULL) {
        list->first->previous = conn;
    }
    list->first = conn;
}

void conn_list_remove(struct conn_list *list, struct conn *conn)
{
    if (conn->previous != NULL) {
        conn->previous->next = conn->next;
    } else {
        list->first = conn->next;
    }
    if (conn->next != NULL) {
        conn->next->previous = conn->previous;
    }
    conn->next = conn->previous = NULL;
}

int conn_open(struct conn *conn, int epoll_fd, const struct sockaddr *address, socklen_t length)
{
    const int on = 1;
    struct epoll_event event = {
        .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | (uint32_t)EPOLLET,
        .data.u64 = (uint64_t)conn->generation << 32 | conn->index,
    };
    const int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return errno;
    }
    int error = 0;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
        (connect(fd, address, length) != 0 && errno != EINPROGRESS) ||
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        error = errno;
        close(fd);
        return error;
    }
    conn->fd = fd;
    conn->state = CONN_CONNECTING;
    return 0;
}

int conn_connect_error(const struct conn *conn)
{
    int error = 0;
    socklen_t length = sizeof(error);
    if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) {
        return errno;
    }
    return error;
}

void conn_close(struct conn *conn)
{
    if (conn->fd >= 0) {
        close(conn->fd);
        conn->fd = -1;
        conn->generation++;
    }
}

enum conn_progress conn_write(struct conn *conn)
{
    while (conn->out_sent < conn->out_length) {
        const ssize_t sent = send(conn->fd, conn->out + conn->out_sent,
                                  conn->out_length - conn->out_sent, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0) {
            return errno == EAGAIN || errno == EWOULDBLOCK ? CONN_MORE : CONN_CUT;
        }
        conn->out_sent += (size_t)sent;
    }
    return CONN_WHOLE;
}

static enum conn_progress progress_of(enum reply_progress progress)
{
    switch (progress) {
    case REPLY_MORE:
        return CONN_MORE;
    case REPLY_DONE:
        return CONN_WHOLE;
    case REPLY_BAD:
        return CONN_BAD;
    }
    return CONN_BAD;
}

enum conn_progress conn_read(struct conn *conn, bool ended)
{
    char bytes[READ_BYTES];
    for (;;) {
        const ssize_t got = recv(conn->fd, bytes, sizeof(bytes), 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return errno == EAGAIN || errno == EWOULDBLOCK ? CONN_MORE : CONN_CUT;
        }
        if (got == 0) {
            return reply_feed_end(&conn->reply) == REPLY_DONE ? CONN_WHOLE : CONN_CUT;
        }
        const enum conn_progress progress =
            progress_of(reply_feed(&conn->reply, bytes, (size_t)got));
        if (progress != CONN_MORE || ((size_t)got < sizeof(bytes) && !ended)) {
            return progress;
        }
    }
}
