/* http_conn: what the parts of the listener share; nobody else includes it. First used by phase 0.
 *
 * http.c runs the server, http_serve.c leads a request through the checks: http_check.c judges its
 * framing and length, http_identity.c names it and its user, http_route.c finds its route and reads
 * its query, http_header.c reads a field for a handler. http_reply.c writes the reply, http_gone.c
 * says whether somebody still waits for it, http_listen.c sees to address and limits. */
#ifndef FLASHDEAL_HTTP_CONN_H
#define FLASHDEAL_HTTP_CONN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/http.h"
#include "common/http_raw.h"

struct mg_connection;
struct mg_request_info;

/* All headers added to one reply, each with its name, ": " and CRLF. */
enum { HTTP_EXTRA_BYTES_MAX = 2048 };

enum { HTTP_ALLOW_SIZE = 64 };

/* What is known of a connection's socket: its descriptor + 1, or one of these. */
enum {
    HTTP_SOCKET_UNSOUGHT = 0, /* what a new connection begins with */
    HTTP_SOCKET_NONE = -1,    /* it was looked for, and cannot be told */
    HTTP_SOCKET_RESET = -2,   /* its client has reset it */
};

/* One reply in the making; lives beside its request. */
struct http_conn {
    struct mg_connection *mg;
    const struct http_options *options;
    const atomic_bool *draining; /* read when the reply is written: a stop closes the connection */
    const struct http_route *route; /* NULL: none was found */
    atomic_int socket;              /* the client's; see HTTP_SOCKET_UNSOUGHT */
    bool closes;                    /* the connection ends with this reply */
    bool is_head;                   /* the reply has no body */
    bool replied;
    int status;          /* of the reply */
    const char *outcome; /* of the reply: a problem's code, or "ok" */
    int64_t total_ns;    /* from the request's start to the end of its reply */
    int64_t other_ns;    /* of it, what no stage had when the reply was written */
    int extra_count;
    size_t extra_used;
    char extra[HTTP_EXTRA_BYTES_MAX]; /* extra_used bytes of whole header lines */
};

/* A reply that ends a request before its handler was called; constants. */
struct http_refusal {
    int status;
    const char *code;
    const char *detail;
    bool closes; /* always; a body that was not read closes too */
};

/* What the request's head says about the rest of the message. */
struct http_frame {
    const char *content_length; /* NULL: not given */
    const char *content_type;   /* NULL: not given */
    const char *authorization;  /* the last of them; NULL: not given */
    const char *request_id;     /* X-Request-Id, likewise */
    const char *traceparent;    /* likewise */
    size_t length;              /* of the body; SIZE_MAX: more than that */
    int hosts, lengths, types;  /* how many of these fields */
    int authorizations, request_ids, traces;
    bool has_encoding; /* Content-Encoding */
    bool has_transfer; /* Transfer-Encoding */
    bool has_connection;
    bool stays_open; /* as far as the client wishes */
    bool expects_continue;
};

/* Raises the limit on open files for the threads and tries the address. ST_SYSTEM: a sentence in
 * error. */
MUST_USE enum status http_listen_prepare(const struct http_options *options,
                                         char error[HTTP_ERROR_SIZE]);

/* Ends every connection to this process's listener on port whose client has left bytes of a reply
 * unacknowledged for timeout_ms. Connections that are open already keep what they have. */
void http_listen_bound_writes(int port, int timeout_ms);

/* Framing, headers, Host and the length of the URI. NULL: all is well and *frame is filled. */
const struct http_refusal *http_check_frame(const struct mg_request_info *info,
                                            struct http_frame *frame);

/* Gives the request an id and a trace of its own making. */
void http_identity_make(struct http_request *request);

/* The caller's id and trace where frame has them, else as http_identity_make. */
void http_identity_read(struct http_request *request, const struct http_frame *frame);

/* Whether the request's token proves a user, who is then the request's. */
bool http_identity_prove(struct http_request *request, struct auth *auth,
                         const struct http_frame *frame);

/* Content-Type, Content-Encoding and length against what the route takes. NULL: all is well. */
const struct http_refusal *http_check_body(const struct http_frame *frame, bool takes_json);

/* The reply to a request that civetweb gave up on. */
const struct http_refusal *http_check_error(enum http_raw_error error);

/* The route of method and path; param gets what "{}" matched. NULL: none; then *path_known says
 * whether the path exists with another method. */
const struct http_route *http_route_find(const struct http_options *options, const char *method,
                                         const char *path, char param[HTTP_PARAM_SIZE],
                                         bool *path_known);

/* Leads a request through the checks to its handler; a reply has been written when it returns. */
void http_serve(struct http_request *request, const struct mg_request_info *info);

/* Replies to a request that civetweb gave up on: nothing of its head is believed. */
void http_serve_error(struct http_request *request, enum http_raw_error error);

/* Around a request, on its thread: takes what is known of the connection's socket from civetweb and
 * gives it back. */
void http_gone_begin(struct http_conn *conn);
void http_gone_end(struct http_conn *conn);

/* Looks among all descriptors for the socket of the connection that info is of: its descriptor + 1,
 * HTTP_SOCKET_NONE or _RESET. Reads info's addresses and ports only. About 0.3 ms, and 1 us for
 * each open descriptor. */
int http_gone_search(const struct mg_request_info *info);

/* The same, where http_raw knows the place and it is right, in some microseconds; else by a search.
 * info must be civetweb's. */
int http_gone_find(const struct mg_request_info *info);

/* Writes the methods that path has, as Allow lists them. */
void http_route_list_methods(const struct http_options *options, const char *path,
                             char out[HTTP_ALLOW_SIZE]);

#endif
