/* net: carries requests over keep-alive connections: epoll, nonblocking sockets, one request at a
 * time on each. Orders, reads and probes have separate, capped pools, because one shared pool makes
 * every probe look starved behind slow orders.
 *
 * One thread. Hooks are called from net_poll only (write_request also from net_submit and
 * net_withdraw), so that a caller's op never ends under his hands. */
#ifndef FLASHDEAL_LOADGEN_NET_H
#define FLASHDEAL_LOADGEN_NET_H

#include "common/status.h"
#include "op.h"
#include "reply.h"

enum net_pool { NET_ORDERS, NET_READS, NET_PROBES, NET_POOLS };

enum {
    NET_CONNECTIONS_MAX = 384, /* in all pools together */
    NET_REQUEST_MAX = 2048,
};

/* Why a request got no reply. */
enum loss {
    LOSS_TIMEOUT,       /* none in time */
    LOSS_CUT,           /* the server closed or reset the connection */
    LOSS_BAD_REPLY,     /* what came is not a reply */
    LOSS_NOT_CONNECTED, /* no connection: nothing was sent */
    LOSS_LOST,          /* --lose-replies: read, and withheld */
    LOSS_HUNG_UP,       /* --hang-up: we closed it ourselves */
    LOSS_INTERRUPTED,   /* the run ended first */
    LOSS_UNSENT,        /* never got a free connection */
    LOSS_COUNT,
};

struct net_hooks {
    /* op has a connection, now: writes its request to out and returns its length. */
    size_t (*write_request)(void *context, struct op *op, char out[NET_REQUEST_MAX]);
    /* The reply is valid until the hook calls net_submit. */
    void (*on_reply)(void *context, struct op *op, const struct reply *reply);
    /* LOSS_CUT, LOSS_BAD_REPLY, LOSS_NOT_CONNECTED or LOSS_HUNG_UP. */
    void (*on_loss)(void *context, struct op *op, enum loss loss);
    void *context;
};

struct net;

/* Resolves host and port (blocks for the resolver) and prepares pools of caps[] connections; opens
 * none. ST_NOT_FOUND: the name has no address; ST_SYSTEM: epoll. Released by net_destroy. */
MUST_USE enum status net_create(const char *host, const char *port, const int caps[NET_POOLS],
                                const struct net_hooks *hooks, struct net **out);

/* Closes everything without calling hooks. Accepts NULL. */
void net_destroy(struct net *net);

/* Queues op's request; first come, first served. Returns whether it got a connection at once. */
bool net_submit(struct net *net, enum net_pool pool, struct op *op);

/* Takes op's request back: out of the queue, or by closing its connection. No hook is called for
 * it. */
void net_withdraw(struct net *net, struct op *op);

/* Waits for the network until deadline_ns at most and calls the hooks for what happened. */
void net_poll(struct net *net, int64_t deadline_ns);

struct net_counts {
    int peak;          /* connections open at once, at most */
    int64_t failed;    /* attempts to connect that failed */
    int connect_errno; /* of the last of them */
    int64_t replies;   /* of any kind */
};

struct net_counts net_counts(const struct net *net);

/* "timeout", "cut", "bad_reply", "not_connected", "lost", "hung_up", "interrupted", "unsent". */
const char *net_loss_name(enum loss loss);

#endif
