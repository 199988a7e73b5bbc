/* conn: one connection of a pool and the lists it can be in. Private to net.c and conn.c. */
#ifndef FLASHDEAL_LOADGEN_CONN_H
#define FLASHDEAL_LOADGEN_CONN_H

#include "net.h"

#include <sys/socket.h>

enum conn_state {
    CONN_CLOSED,     /* in the pool's list of closed ones */
    CONN_CONNECTING, /* has an op whose request is not written yet */
    CONN_BUSY,       /* has an op */
    CONN_IDLE,       /* in the pool's list of idle ones */
    CONN_FAILED,     /* has an op; its loss is told at the next net_poll */
};

struct conn {
    enum conn_state state;
    int fd;
    uint32_t generation; /* one more with every close: tells stale events */
    uint32_t index;      /* among all of the net */
    enum net_pool pool;
    enum loss loss; /* CONN_FAILED: which */
    struct op *op;
    struct conn *next, *previous;
    size_t out_length, out_sent;
    char out[NET_REQUEST_MAX];
    struct reply reply;
};

/* A list by the conns' own links; last in, first out. A conn is in one list at most. */
struct conn_list {
    struct conn *first;
};

void conn_list_push(struct conn_list *list, struct conn *conn);
void conn_list_remove(struct conn_list *list, struct conn *conn);

/* Starts to connect and registers with epoll, edge-triggered. Returns 0 or an errno; the conn is
 * CONN_CONNECTING or, after an error, still closed. */
int conn_open(struct conn *conn, int epoll_fd, const struct sockaddr *address, socklen_t length);

/* Whether the connection now stands: 0, or the errno that ended it. */
int conn_connect_error(const struct conn *conn);

/* Closes the socket; lists and op are the caller's business. */
void conn_close(struct conn *conn);

enum conn_progress {
    CONN_MORE,  /* wait for the next event */
    CONN_WHOLE, /* all written; or the reply is whole */
    CONN_CUT,   /* closed or reset by the server */
    CONN_BAD,   /* not HTTP */
};

/* Writes what is left of the request. CONN_WHOLE, CONN_MORE or CONN_CUT. */
enum conn_progress conn_write(struct conn *conn);

/* Reads what there is. ended: epoll told that no more will come. */
enum conn_progress conn_read(struct conn *conn, bool ended);

#endif
