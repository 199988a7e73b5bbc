/* Whether a client is still there. civetweb shows no descriptor, so the connection's socket is
 * found otherwise: the one whose local port is the listener's and whose peer is the request's.
 * http_raw knows where civetweb keeps it, and that is checked; failing that, every descriptor is
 * looked at.
 *
 * A request carries what is known of its connection's socket, an atomic number, because a thread
 * that works for the request may ask as well as the request's own. The request's thread takes it
 * from civetweb's data of the connection when a request begins and puts it back when it ends, so
 * the search is made once for each connection; a new connection begins with none (init_connection).
 *
 * Invariant: the connection is open for as long as its request is, so it is among the descriptors,
 * and the one that was found stays its own. Between the calls that look at one, another
 * connection's may be closed and given to a newer one: so the peer is read again after the local
 * port. In a search, two that fit (one client on two of our addresses, from the same port) cannot
 * be told apart, and neither is taken. A socket whose client has reset it has no peer any more: if
 * none fits and one of the listener's is like that, it is ours. */
#define _GNU_SOURCE /* POLLRDHUP */

#include "common/http_conn.h"

#include <civetweb.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum {
    SEARCH_FDS_MAX = 16384, /* descriptors looked at: more than a server of 4096 threads has */
    SEARCH_STEP = 256,      /* of them, by one poll(2), which says which ones are open */
};

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static int port_of(const union address *address)
{
    switch (address->any.sa_family) {
    case AF_INET:
        return ntohs(address->v4.sin_port);
    case AF_INET6:
        return ntohs(address->v6.sin6_port);
    default:
        return -1;
    }
}

static bool has_local_port(int fd, int port)
{
    union address address = {.any.sa_family = AF_UNSPEC};
    socklen_t size = sizeof address;
    return getsockname(fd, &address.any, &size) == 0 && port_of(&address) == port;
}

static bool is_listening(int fd)
{
    int listens = 0;
    socklen_t size = sizeof listens;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens;
}

/* What a descriptor is to a request. */
enum kinship {
    KIN_NONE,
    KIN_RESET, /* a connection of its listener, and reset: whose it was cannot be told */
    KIN_SOCKET /* the connection's socket */
};

/* The address is compared as the text that civetweb made of it, in the same way. */
static enum kinship compare_peer(int fd, const struct mg_request_info *info)
{
    union address address = {.any.sa_family = AF_UNSPEC};
    socklen_t size = sizeof address;
    char text[sizeof info->remote_addr];
    if (getpeername(fd, &address.any, &size) != 0) {
        return errno == ENOTCONN ? KIN_RESET : KIN_NONE;
    }
    bool same = port_of(&address) == info->remote_port &&
                getnameinfo(&address.any, size, text, sizeof text, NULL, 0, NI_NUMERICHOST) == 0 &&
                strcmp(text, info->remote_addr) == 0;
    return same ? KIN_SOCKET : KIN_NONE;
}

static enum kinship compare(int fd, const struct mg_request_info *info)
{
    enum kinship kinship = compare_peer(fd, info);
    if (kinship == KIN_NONE || !has_local_port(fd, info->server_port)) {
        return KIN_NONE;
    }
    if (kinship == KIN_RESET) {
        return is_listening(fd) ? KIN_NONE : KIN_RESET;
    }
    return compare_peer(fd, info);
}

struct search {
    const struct mg_request_info *info;
    int fits; /* descriptors */
    int fd;   /* the last of them */
    bool resets;
};

static void note(struct search *search, int fd)
{
    switch (compare(fd, search->info)) {
    case KIN_NONE:
        return;
    case KIN_RESET:
        search->resets = true;
        return;
    case KIN_SOCKET:
        search->fits++;
        search->fd = fd;
        return;
    }
}

/* Looks at the open ones among count descriptors from first on. */
static void search_step(struct search *search, int first, int count)
{
    struct pollfd fds[SEARCH_STEP];
    for (int i = 0; i < count; i++) {
        fds[i] = (struct pollfd){.fd = first + i};
    }
    poll(fds, (nfds_t)count, 0);
    for (int i = 0; i < count; i++) {
        if ((fds[i].revents & POLLNVAL) == 0) {
            note(search, fds[i].fd);
        }
    }
}

int http_gone_search(const struct mg_request_info *info)
{
    struct search search = {.info = info};
    struct rlimit limit = {.rlim_cur = SEARCH_FDS_MAX};
    getrlimit(RLIMIT_NOFILE, &limit);
    int end = limit.rlim_cur < SEARCH_FDS_MAX ? (int)limit.rlim_cur : SEARCH_FDS_MAX;
    for (int first = 0; first < end; first += SEARCH_STEP) {
        search_step(&search, first, end - first < SEARCH_STEP ? end - first : SEARCH_STEP);
    }
    if (search.fits == 1) {
        return search.fd + 1;
    }
    return search.fits == 0 && search.resets ? HTTP_SOCKET_RESET : HTTP_SOCKET_NONE;
}

int http_gone_find(const struct mg_request_info *info)
{
    int fd = http_raw_socket(info);
    if (fd >= 0) {
        switch (compare(fd, info)) {
        case KIN_NONE:
            break; /* it was a guess */
        case KIN_RESET:
            return HTTP_SOCKET_RESET;
        case KIN_SOCKET:
            return fd + 1;
        }
    }
    return http_gone_search(info);
}

static bool fits(int fd, const struct mg_request_info *info)
{
    return compare(fd, info) == KIN_SOCKET;
}

void http_gone_begin(struct http_conn *conn)
{
    atomic_init(&conn->socket, (int)(intptr_t)mg_get_user_connection_data(conn->mg));
    const struct mg_request_info *info = mg_get_request_info(conn->mg);
    if (info) { /* not always, when civetweb gave up on the request */
        http_raw_learn_socket(info, fits);
    }
}

void http_gone_end(struct http_conn *conn)
{
    mg_set_user_connection_data(conn->mg, (void *)(intptr_t)atomic_load(&conn->socket));
}

bool http_client_gone(const struct http_request *request)
{
    struct http_conn *conn = request->conn;
    int known = atomic_load(&conn->socket);
    if (known == HTTP_SOCKET_UNSOUGHT) {
        known = http_gone_find(mg_get_request_info(conn->mg));
        atomic_store(&conn->socket, known);
    }
    if (known <= 0) {
        return known == HTTP_SOCKET_RESET;
    }
    struct pollfd peer = {.fd = known - 1, .events = POLLRDHUP};
    return poll(&peer, 1, 0) == 1 && (peer.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}
