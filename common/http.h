/* http: the HTTP listener, on top of civetweb. First used by phase 0.
 *
 * What every phase needs and no phase should see: exact routes, methods, limits on request line,
 * headers and body, a read deadline of our own, problem+json (RFC 9457), request ids, stage times,
 * and a stop that loses no reply. What rests on civetweb's undocumented behaviour is in http_raw.c.
 *
 * Checks run in this order, and the first that fails answers: draining, framing and headers, Host,
 * lengths of URI, route (404), method (405), token (401), Content-Type (415), length (411, 413),
 * body read (408). Only then is the handler called. Every reply that is sent before the whole body
 * was read closes the connection. A thread is held per connection, for as long as the connection is
 * open; one that is idle is closed between half of read_timeout_ms and all of it, and one whose
 * client does not take its replies after read_timeout_ms. */
#ifndef FLASHDEAL_HTTP_H
#define FLASHDEAL_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/auth.h"
#include "common/stages.h"
#include "common/status.h"
#include "common/trace.h"
#include "common/uuid.h"

enum {
    HTTP_BODY_MAX = 4096,  /* bytes of a request body; more is 413 */
    HTTP_URI_MAX = 1024,   /* bytes of path and query; more is 414 */
    HTTP_HEADERS_MAX = 63, /* header fields; more is 431 (civetweb drops the 65th silently) */
    HTTP_HEADER_BYTES_MAX = 16384, /* request line and header block; more is 431 */
    HTTP_PARAM_SIZE = 128, /* a path parameter's bytes, NUL included; longer does not match */
    HTTP_REPLY_HEADERS_MAX = 16,
    HTTP_DRAIN_MS = 10500, /* requests in flight get this long at stop */
};

struct http_server; /* opaque */
struct http_conn;   /* http.c's own view of the connection */

/* One request, on the stack of the thread that serves it. */
struct http_request {
    char id[UUID_TEXT_SIZE]; /* the caller's X-Request-Id if it is one UUID (in lower case
                                then), else made; sent back as X-Request-Id */
    struct trace trace;      /* the caller's, continued, or a new one */
    int64_t started_ns;      /* begin_request */
    struct stages stages;    /* where the time went so far */
    int64_t user_id;         /* whom the token proves; 0: the route or the server asks for none */
    char param[HTTP_PARAM_SIZE]; /* what "{...}" of the route matched; "" if none */
    const char *query;           /* after '?', undecoded; "" if none */
    const char *body;            /* body_length bytes, also NUL-terminated; "" if none */
    size_t body_length;
    struct http_conn *conn; /* for http.c */
};

/* What a request came to. */
struct http_result {
    int status;
    const char *outcome; /* the problem's code; "ok" for any other reply */
    const char *method;  /* of the route; "other" if none was found */
    const char *path;    /* of the route, "/sales/{}"; "other" likewise */
    int64_t total_ns;    /* from begin_request to the return of the last write */
    int64_t other_ns;    /* of it, what belongs to no stage */
};

/* Told of every request, those that were refused before a route was found among them, when its
 * reply has been written, on the thread that served it. request and result are gone afterwards;
 * outcome, method and path are constants, bounded in number. Must not reply. */
typedef void http_observer(const struct http_request *request, const struct http_result *result,
                           void *context);

/* Called on one of the server's threads; must reply exactly once, with one of the calls below,
 * and may block. context is the route's. */
typedef void http_handler(struct http_request *request, void *context);

struct http_route {
    const char *method; /* "GET", "POST" */
    const char *path; /* exact and case-sensitive; "/sales/{}": one segment, without '%', ends it */
    http_handler *handler;
    void *context;   /* handed to the handler; borrowed */
    bool takes_json; /* requires application/json and a Content-Length, and reads the body */
    bool takes_user; /* where the server has an auth: requires a token (401), fills user_id */
};

struct http_options {
    const char *bind;    /* an address, "127.0.0.1" */
    int port;            /* 1..65535 */
    int threads;         /* connections served at once, 1..4096 */
    int read_timeout_ms; /* bounds the header and the body, each; from 100 */
    int drain_ms;        /* how long a stop waits for requests in flight; HTTP_DRAIN_MS or less */
    const struct http_route *routes; /* borrowed */
    size_t route_count;
    struct auth *auth;       /* borrowed; NULL: nobody has to prove who he is */
    http_observer *observer; /* NULL: nobody is told */
    void *observer_context;
    bool one_request;   /* a connection ends with its first reply: none holds a thread idle */
    bool server_timing; /* replies carry Server-Timing: the stages before the reply that took any
                           time, and "total", the time until the reply was written; in ms */
};

/* Binds, starts the threads and logs "listening". ST_SYSTEM: not started, and error says why and
 * what to do ("port 8000 is in use: ..."). Does not block. The caller stops it. */
enum { HTTP_ERROR_SIZE = 256 };
MUST_USE enum status http_start(const struct http_options *options, struct http_server **out,
                                char error[HTTP_ERROR_SIZE]);

/* New requests get 503 and close; requests in flight are waited for, up to drain_ms. ST_OK: every
 * reply was sent. ST_TIMEOUT: some handler still runs, and that is logged. The server can still be
 * looked at. Blocks up to drain_ms. */
MUST_USE enum status http_drain(struct http_server *server);

/* Drains, then closes the sockets and frees the server. ST_TIMEOUT as above: it cannot be freed,
 * and the caller should _exit(1), or call again. Blocks up to drain_ms + 2 s. */
MUST_USE enum status http_stop(struct http_server *server);

/* Requests being served now, until their observer has been told. */
int http_in_flight(struct http_server *server);

/* Adds a reply header; name and value are copied, CR and LF in a value are an assert. Call before
 * the reply. At most HTTP_REPLY_HEADERS_MAX. */
void http_add_header(struct http_request *request, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Sends a JSON reply; json is a whole JSON text. */
void http_reply(struct http_request *request, int status, const char *json);

/* As http_reply, of another type; body is a NUL-terminated text. */
void http_reply_text(struct http_request *request, int status, const char *type, const char *body);

/* The http_handler of GET /health in every phase: 200 {"status":"ok"} while the process serves. */
void http_health(struct http_request *request, void *context);

/* Whether the client has closed or reset the connection, or half of it, so that nobody waits for
 * the reply. May be called from another thread than the request's own while its handler runs. Does
 * not block; the first call on a connection costs some microseconds (its socket has to be found),
 * later ones one poll(2). False where it cannot be told. */
bool http_client_gone(const struct http_request *request);

/* Sends application/problem+json: type (about:blank), title (the status's phrase), status, code
 * (a literal, one of few), detail (a literal for people: never the input), request_id. */
void http_problem(struct http_request *request, int status, const char *code, const char *detail);

/* As http_problem, with Retry-After: seconds (from 1). */
void http_problem_retry(struct http_request *request, int status, const char *code,
                        const char *detail, int retry_after_s);

/* The largest integer in a path, a query or a body: 2^53 - 1, exact in any JSON parser. */
#define HTTP_INT_MAX INT64_C(9007199254740991)

/* Reads a header field of the request, name without regard to case. ST_OK: *value is its text,
 * without the blanks around it, maybe "", borrowed until the handler returns; it holds no control
 * byte (a tab is refused as well), but maybe bytes above ASCII. ST_NOT_FOUND; ST_INVALID: it is
 * there more than once; in both cases *value is NULL. To be called on the handler's thread. */
MUST_USE enum status http_header(const struct http_request *request, const char *name,
                                 const char **value);

/* Reads the path parameter as an integer: ST_INVALID unless it is one decimal number without sign
 * or leading zero, from minimum to maximum. */
MUST_USE enum status http_param_int(const struct http_request *request, int64_t minimum,
                                    int64_t maximum, int64_t *out);

/* Reads an integer from the query: ST_NOT_FOUND if name is not there, ST_INVALID unless it is one
 * decimal number (no sign, no leading zero) from minimum to maximum, given once. */
MUST_USE enum status http_query_int(const struct http_request *request, const char *name,
                                    int64_t minimum, int64_t maximum, int64_t *out);

#endif
