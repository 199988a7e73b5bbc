/* Whether a client is still there. civetweb shows no descriptor, so its socket is looked for: the
 * one whose local port is the listener's and whose peer is the request's.
 *
 * A request carries what is known of its connection's socket, an atomic number, because a thread
 * that works for the request may ask as well as the request's own. The request's thread takes it
 * from civetweb's data of the connection when a request begins and puts it back when it ends, so
 * the search is made once for each connection; a new connection begins with none (init_connection).
 *
 * Invariant: the connection is open for as long as its request is, so the descriptor that was found
 * stays its own. Between the calls that look at one, another connection's descriptor may be closed
 * and given to a newer one: so the peer is read again after the local port. Two that fit (one
 * client on two of our addresses, from the same port) cannot be told apart, and then neither is
 * taken. */
#define _GNU_SOURCE /* POLLRDHUP */

#include "common/http_conn.h"

#include <civetweb.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum {
    SEARCH_FDS_MAX = 16384, /* descriptors looked at; those above are not found */
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

/* The address is compared as the text that civetweb made of it, in the same way. */
static bool has_peer(int fd, const struct mg_request_info *info)
{
    union address address = {.any.sa_family = AF_UNSPEC};
    socklen_t size = sizeof address;
    char text[sizeof info->remote_addr];
    return getpeername(fd, &address.any, &size) == 0 && port_of(&address) == info->remote_port &&
           getnameinfo(&address.any, size, text, sizeof text, NULL, 0, NI_NUMERICHOST) == 0 &&
           strcmp(text, info->remote_addr) == 0;
}

static bool is_socket_of(int fd, const struct mg_request_info *info)
{
    return has_peer(fd, info) && has_local_port(fd, info->server_port) && has_peer(fd, info);
}

/* Looks among the count descriptors from first on; *found is HTTP_SOCKET_UNSOUGHT until one fits.
 * False: a second one fits. */
static bool search_step(const struct mg_request_info *info, int first, int count, int *found)
{
    struct pollfd fds[SEARCH_STEP];
    for (int i = 0; i < count; i++) {
        fds[i] = (struct pollfd){.fd = first + i};
    }
    poll(fds, (nfds_t)count, 0);
    for (int i = 0; i < count; i++) {
        if ((fds[i].revents & POLLNVAL) == 0 && is_socket_of(fds[i].fd, info)) {
            if (*found != HTTP_SOCKET_UNSOUGHT) {
                return false;
            }
            *found = fds[i].fd + 1;
        }
    }
    return true;
}

static int search(const struct mg_request_info *info)
{
    struct rlimit limit = {.rlim_cur = SEARCH_FDS_MAX};
    getrlimit(RLIMIT_NOFILE, &limit);
    int end = limit.rlim_cur < SEARCH_FDS_MAX ? (int)limit.rlim_cur : SEARCH_FDS_MAX;
    int found = HTTP_SOCKET_UNSOUGHT;
    for (int first = 0; first < end; first += SEARCH_STEP) {
        int count = end - first < SEARCH_STEP ? end - first : SEARCH_STEP;
        if (!search_step(info, first, count, &found)) {
            return HTTP_SOCKET_NONE;
        }
    }
    return found == HTTP_SOCKET_UNSOUGHT ? HTTP_SOCKET_NONE : found;
}

void http_gone_begin(struct http_conn *conn)
{
    atomic_init(&conn->socket, (int)(intptr_t)mg_get_user_connection_data(conn->mg));
}

void http_gone_end(struct http_conn *conn)
{
    int socket_number = atomic_load(&conn->socket);
    if (socket_number != HTTP_SOCKET_UNSOUGHT) {
        mg_set_user_connection_data(conn->mg, (void *)(intptr_t)socket_number);
    }
}

bool http_client_gone(const struct http_request *request)
{
    struct http_conn *conn = request->conn;
    int socket_number = atomic_load(&conn->socket);
    if (socket_number == HTTP_SOCKET_UNSOUGHT) {
        socket_number = search(mg_get_request_info(conn->mg));
        atomic_store(&conn->socket, socket_number);
    }
    if (socket_number == HTTP_SOCKET_NONE) {
        return false;
    }
    struct pollfd peer = {.fd = socket_number - 1, .events = POLLRDHUP};
    return poll(&peer, 1, 0) == 1 && (peer.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}
