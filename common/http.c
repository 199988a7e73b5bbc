/* The listener: civetweb's set-up, its callbacks, and the stop.
 *
 * Every request goes through begin_request (no URI handlers: one for /orders would also get
 * /ordersXYZ); what civetweb itself refuses goes through http_error. Both count as in flight, and
 * mg_stop, which throws away replies in flight, is called only when none is left and `draining`
 * refuses new ones.
 *
 * Invariants: a request is counted before it looks at `draining`, and http_stop sets `draining`
 * before it looks at the count, so one of them sees the other. A request's state is on its thread's
 * stack (100 KiB, of which 79 are left here). It does not shed connections: those beyond `threads`
 * wait unanswered until one closes. */
#include "common/http.h"

#include <assert.h>
#include <civetweb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/http_conn.h"
#include "common/http_raw.h"
#include "common/log.h"
#include "common/xalloc.h"

enum {
    THREADS_MAX = 4096,
    READ_TIMEOUT_MIN_MS = 100,
    LISTEN_BACKLOG = 1024,
    NUMBER_SIZE = 16,   /* an int as text */
    ADDRESS_SIZE = 128, /* "[address]:port" */
};

struct http_server {
    struct http_options options;
    struct mg_context *civetweb;
    atomic_int in_flight;
    atomic_bool draining;
    pthread_mutex_t lock; /* for the wait on idle only */
    pthread_cond_t idle;  /* in_flight fell to 0 while draining */
};

/* ---------------------------------------------------------------------------- requests */

static void enter(struct http_server *server)
{
    atomic_fetch_add(&server->in_flight, 1);
}

static void leave(struct http_server *server)
{
    if (atomic_fetch_sub(&server->in_flight, 1) == 1 && atomic_load(&server->draining)) {
        pthread_mutex_lock(&server->lock);
        pthread_cond_signal(&server->idle);
        pthread_mutex_unlock(&server->lock);
    }
}

static void open_request(struct http_server *server, struct mg_connection *mg,
                         struct http_request *request, struct http_conn *conn)
{
    request->started_ns = clock_now_ns();
    enter(server);
    conn->mg = mg;
    conn->options = &server->options;
    conn->draining = &server->draining;
    conn->route = NULL;
    conn->closes = false;
    conn->is_head = false;
    conn->replied = false;
    conn->extra_count = 0;
    conn->extra_used = 0;
    request->stages = (struct stages){0};
    request->user_id = 0;
    request->param[0] = '\0';
    request->query = "";
    request->body = "";
    request->body_length = 0;
    request->conn = conn;
    http_gone_begin(conn);
}

/* Before the request stops to count as in flight: whoever observes may be gone after http_stop. */
static void close_request(struct http_server *server, struct http_request *request)
{
    struct http_conn *conn = request->conn;
    assert(conn->replied);
    http_gone_end(conn);
    if (server->options.observer) {
        const struct http_result result = {
            .status = conn->status,
            .outcome = conn->outcome,
            .method = conn->route ? conn->route->method : "other",
            .path = conn->route ? conn->route->path : "other",
            .total_ns = conn->total_ns,
            .other_ns = conn->other_ns,
        };
        server->options.observer(request, &result, server->options.observer_context);
    }
    leave(server);
}

/* --------------------------------------------------------------------- civetweb's callbacks */

static int on_request(struct mg_connection *mg)
{
    const struct mg_request_info *info = mg_get_request_info(mg);
    struct http_server *server = info->user_data;
    struct http_request request;
    struct http_conn conn;
    open_request(server, mg, &request, &conn);
    http_serve(&request, info);
    close_request(server, &request);
    http_raw_note_waiting();
    return conn.status;
}

/* civetweb gave up on a request; what it parsed of it, if anything, is not to be believed. */
static int on_error(struct mg_connection *mg, int status, const char *message)
{
    struct http_server *server = mg_get_user_data(mg_get_context(mg));
    struct http_request request;
    struct http_conn conn;
    open_request(server, mg, &request, &conn);
    http_serve_error(&request, http_raw_classify(status, message, server->options.read_timeout_ms));
    close_request(server, &request);
    return 0; /* handled */
}

static int on_connection(const struct mg_connection *mg, void **data)
{
    (void)mg;
    *data = (void *)(intptr_t)HTTP_SOCKET_UNSOUGHT;
    http_raw_note_waiting();
    return 0;
}

static int on_log(const struct mg_connection *mg, const char *message)
{
    (void)mg;
    log_event(LOG_WARN, "civetweb", LOG_TEXT("message", message));
    return 1; /* handled */
}

/* ----------------------------------------------------------------------------- start and stop */

/* That it listens, and within which limits. */
static void log_listening(const struct http_options *options)
{
    log_event(LOG_INFO, "listening", LOG_TEXT("bind", options->bind),
              LOG_NUMBER("port", options->port), LOG_NUMBER("connections", options->threads),
              LOG_NUMBER("body_bytes", HTTP_BODY_MAX), LOG_NUMBER("uri_bytes", HTTP_URI_MAX),
              LOG_NUMBER("headers", HTTP_HEADERS_MAX),
              LOG_NUMBER("header_bytes", HTTP_HEADER_BYTES_MAX),
              LOG_NUMBER("drain_ms", options->drain_ms));
}

static struct mg_context *start_civetweb(struct http_server *server, char error[HTTP_ERROR_SIZE])
{
    const struct http_options *options = &server->options;
    bool is_v6 = strchr(options->bind, ':') != NULL;
    char address[ADDRESS_SIZE], threads[NUMBER_SIZE], backlog[NUMBER_SIZE], timeout[NUMBER_SIZE];
    char buffer[NUMBER_SIZE];
    snprintf(address, sizeof address, is_v6 ? "[%s]:%d" : "%s:%d", options->bind, options->port);
    snprintf(threads, sizeof threads, "%d", options->threads);
    snprintf(backlog, sizeof backlog, "%d", LISTEN_BACKLOG);
    snprintf(timeout, sizeof timeout, "%d", http_raw_timeout_ms(options->read_timeout_ms));
    snprintf(buffer, sizeof buffer, "%d", HTTP_RAW_BUFFER_BYTES);
    const char *settings[] = {
        "listening_ports",
        address,
        "num_threads",
        threads,
        "listen_backlog",
        backlog,
        "request_timeout_ms",
        timeout,
        "keep_alive_timeout_ms",
        timeout,
        "max_request_size",
        buffer,
        "enable_keep_alive",
        "yes",
        "tcp_nodelay",
        "1",
        "decode_url",
        "no",
        "enable_auth_domain_check",
        "no",
        NULL,
    };
    const struct mg_callbacks callbacks = {
        .begin_request = on_request,
        .http_error = on_error,
        .init_connection = on_connection,
        .log_message = on_log,
    };
    struct mg_init_data init = {&callbacks, server, settings};
    char text[HTTP_ERROR_SIZE / 2] = "";
    struct mg_error_data failure = {.text = text, .text_buffer_size = sizeof text};
    struct mg_context *civetweb = mg_start2(&init, &failure);
    if (!civetweb) {
        snprintf(error, HTTP_ERROR_SIZE, "cannot start the listener on port %d: %s", options->port,
                 text);
    }
    return civetweb;
}

static struct http_server *make_server(const struct http_options *options)
{
    struct http_server *server = xcalloc(1, sizeof *server);
    server->options = *options;
    clock_cond_init(&server->idle);
    pthread_mutex_init(&server->lock, NULL);
    return server;
}

static void free_server(struct http_server *server)
{
    pthread_cond_destroy(&server->idle);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

enum status http_start(const struct http_options *options, struct http_server **out,
                       char error[HTTP_ERROR_SIZE])
{
    assert(options->threads >= 1 && options->threads <= THREADS_MAX);
    assert(options->read_timeout_ms >= READ_TIMEOUT_MIN_MS && options->drain_ms >= 0);
    *out = NULL;
    enum status status = http_listen_prepare(options, error);
    if (status != ST_OK) {
        return status;
    }
    struct http_server *server = make_server(options);
    mg_init_library(MG_FEATURES_DEFAULT); /* counted by civetweb: the first call does the work */
    server->civetweb = start_civetweb(server, error);
    if (!server->civetweb) {
        mg_exit_library();
        free_server(server);
        return ST_SYSTEM;
    }
    http_listen_bound_writes(options->port, options->read_timeout_ms);
    log_listening(options);
    *out = server;
    return ST_OK;
}

static bool wait_idle(struct http_server *server)
{
    int64_t deadline_ns = clock_deadline_ns(server->options.drain_ms);
    bool in_time = true;
    pthread_mutex_lock(&server->lock);
    while (in_time && atomic_load(&server->in_flight) > 0) {
        in_time = clock_cond_wait(&server->idle, &server->lock, deadline_ns);
    }
    pthread_mutex_unlock(&server->lock);
    return atomic_load(&server->in_flight) == 0;
}

enum status http_drain(struct http_server *server)
{
    if (!atomic_exchange(&server->draining, true)) {
        log_event(LOG_INFO, "draining", LOG_NUMBER("port", server->options.port),
                  LOG_NUMBER("in_flight", atomic_load(&server->in_flight)));
    }
    if (wait_idle(server)) {
        return ST_OK;
    }
    log_event(LOG_ERROR, "requests_abandoned", LOG_NUMBER("port", server->options.port),
              LOG_NUMBER("in_flight", atomic_load(&server->in_flight)),
              LOG_NUMBER("drain_ms", server->options.drain_ms));
    return ST_TIMEOUT;
}

enum status http_stop(struct http_server *server)
{
    if (http_drain(server) != ST_OK) {
        return ST_TIMEOUT;
    }
    mg_stop(server->civetweb);
    mg_exit_library();
    free_server(server);
    return ST_OK;
}

int http_in_flight(struct http_server *server)
{
    return atomic_load(&server->in_flight);
}
