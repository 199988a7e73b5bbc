/* What must be right before civetweb starts: the address, and enough open files for its threads.
 *
 * civetweb does not say why it cannot listen, so the address is bound here first, and the socket
 * closed again; who takes the port in between gets civetweb's own, vaguer words. A process that
 * runs out of descriptors does not refuse connections, it spins on accept: so the soft limit is
 * raised to what the threads need, as far as the hard limit allows.
 *
 * civetweb waits for a client that does not read its replies for as long as he likes, with a
 * thread. The kernel can bound that (TCP_USER_TIMEOUT), and a connection has the listening socket's
 * value, so the one descriptor that civetweb does not show is found once, when it listens. */
#include "common/http_conn.h"

#include <civetweb.h>
#include <dirent.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PORT_SIZE = 16,
    FILES_BESIDE_THREADS =
        512, /* listener, civetweb's queue, database, logs, files of the process */
};

static void explain_bind(const struct http_options *options, int error_number,
                         char error[HTTP_ERROR_SIZE])
{
    if (error_number == EADDRINUSE) {
        snprintf(
            error, HTTP_ERROR_SIZE,
            "port %d is in use: another program listens on %s:%d, or this one twice; stop it, or "
            "choose another port",
            options->port, options->bind, options->port);
    } else {
        snprintf(error, HTTP_ERROR_SIZE, "cannot listen on %s:%d: %s", options->bind, options->port,
                 strerror(error_number));
    }
}

static enum status try_bind(const struct http_options *options, char error[HTTP_ERROR_SIZE])
{
    enum status status = ST_SYSTEM;
    int fd = -1;
    struct addrinfo *address = NULL;
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                                   .ai_socktype = SOCK_STREAM};
    char port[PORT_SIZE];
    snprintf(port, sizeof port, "%d", options->port);
    if (getaddrinfo(options->bind, port, &hints, &address) != 0) {
        snprintf(error, HTTP_ERROR_SIZE, "cannot listen on %.64s: not an IP address",
                 options->bind);
        goto out;
    }
    if (address->ai_family == AF_INET6 && !mg_check_feature(MG_FEATURES_IPV6)) {
        snprintf(error, HTTP_ERROR_SIZE,
                 "cannot listen on %s: this civetweb was built without IPv6; give an IPv4 address",
                 options->bind);
        goto out;
    }
    fd = socket(address->ai_family, SOCK_STREAM, 0);
    const int on = 1; /* as civetweb does: connections of an earlier run are no hindrance */
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, address->ai_addr, address->ai_addrlen) != 0) {
        explain_bind(options, errno, error);
        goto out;
    }
    status = ST_OK;
out:
    if (fd >= 0) {
        close(fd);
    }
    if (address) {
        freeaddrinfo(address);
    }
    return status;
}

static enum status raise_file_limit(int threads, char error[HTTP_ERROR_SIZE])
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)threads + FILES_BESIDE_THREADS;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) {
        return ST_OK;
    }
    limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
    if (limit.rlim_cur < (rlim_t)threads || setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        snprintf(error, HTTP_ERROR_SIZE,
                 "%d threads need %d open files, and the limit is %ju; raise it (ulimit -n), or "
                 "use fewer threads",
                 threads, threads + FILES_BESIDE_THREADS, (uintmax_t)limit.rlim_max);
        return ST_SYSTEM;
    }
    return ST_OK;
}

enum status http_listen_prepare(const struct http_options *options, char error[HTTP_ERROR_SIZE])
{
    enum status status = raise_file_limit(options->threads, error);
    return status == ST_OK ? try_bind(options, error) : status;
}

/* The port that fd listens on, 0 if it is no listening socket. */
static int listening_port(int fd)
{
    int listens = 0;
    socklen_t size = sizeof listens;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || !listens) {
        return 0;
    }
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address = {.any.sa_family = AF_UNSPEC};
    size = sizeof address;
    if (getsockname(fd, &address.any, &size) != 0) {
        return 0;
    }
    switch (address.any.sa_family) {
    case AF_INET:
        return ntohs(address.v4.sin_port);
    case AF_INET6:
        return ntohs(address.v6.sin6_port);
    default:
        return 0;
    }
}

void http_listen_bound_writes(int port, int timeout_ms)
{
    unsigned bound_ms = (unsigned)timeout_ms;
    DIR *files = opendir("/proc/self/fd");
    for (struct dirent *file; files && (file = readdir(files));) {
        int fd =
            (int)strtol(file->d_name, NULL, 10); /* "." and "..": 0, which listens on nothing */
        if (listening_port(fd) == port) {
            setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &bound_ms, sizeof bound_ms);
        }
    }
    if (files) {
        closedir(files);
    }
}
