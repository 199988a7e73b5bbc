/* A request's way through the checks to its handler.
 *
 * The first check that fails answers, in the order that http.h gives, and the body is read last: so
 * whoever is refused has cost little. All of it is the stage "validation", which ends when the
 * handler is called or the refusal begins to be written, so that every request has that stage and
 * no time up to its handler is unaccounted for. What the handler checks itself is booked where it
 * asks common/ to (http_json); the rest of a handler's own time is in no stage, and shows as such.
 */
#include <assert.h>
#include <civetweb.h>
#include <string.h>

#include "common/http_conn.h"
#include "common/http_raw.h"

enum { DRAINING_RETRY_AFTER_S = 1 };

static const struct http_refusal no_path = {404, "not_found", "There is nothing at this path.",
                                            false};
static const struct http_refusal no_method = {405, "method_not_allowed",
                                              "This path does not have this method.", false};
static const struct http_refusal no_user = {401, "unauthorized",
                                            "This path needs a token that is valid now.", false};

static void end_checks(struct http_request *request)
{
    stages_add_since(&request->stages, STAGE_VALIDATION, request->started_ns);
}

/* After end_checks. */
static void refuse(struct http_request *request, const struct http_refusal *refusal)
{
    request->conn->closes = request->conn->closes || refusal->closes;
    http_problem(request, refusal->status, refusal->code, refusal->detail);
}

static void refuse_draining(struct http_request *request)
{
    http_identity_make(request);
    request->conn->closes = true;
    end_checks(request);
    http_problem_retry(request, 503, "overloaded", "The server is stopping.",
                       DRAINING_RETRY_AFTER_S);
}

static void refuse_path(struct http_request *request, const char *path, bool path_known)
{
    char allow[HTTP_ALLOW_SIZE];
    if (!path_known) {
        end_checks(request);
        refuse(request, &no_path);
        return;
    }
    http_route_list_methods(request->conn->options, path, allow);
    end_checks(request);
    http_add_header(request, "Allow", "%s", allow);
    refuse(request, &no_method);
}

static void refuse_user(struct http_request *request)
{
    end_checks(request);
    http_add_header(request, "WWW-Authenticate", "Bearer realm=\"flashdeal\"");
    refuse(request, &no_user);
}

static void call_handler(struct http_request *request)
{
    const struct http_route *route = request->conn->route;
    end_checks(request);
    route->handler(request, route->context);
}

/* Reads the body and calls the handler; a function of its own, so that requests without a body do
 * not carry the buffer. */
static void serve_body(struct http_request *request, const struct http_frame *frame)
{
    struct http_conn *conn = request->conn;
    char body[HTTP_BODY_MAX + 1];
    assert(frame->length <= HTTP_BODY_MAX);
    if (frame->expects_continue && frame->length > 0) {
        static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
        mg_write(conn->mg, go_on, strlen(go_on));
    }
    if (http_raw_read_body(conn->mg, body, frame->length, conn->options->read_timeout_ms) !=
        ST_OK) {
        end_checks(request);
        refuse(request, http_check_error(HTTP_RAW_ERROR_TIMEOUT));
        return;
    }
    conn->closes = !frame->stays_open;
    body[frame->length] = '\0';
    request->body = body;
    request->body_length = frame->length;
    call_handler(request);
    request->body = ""; /* an observer may still look */
    request->body_length = 0;
}

static void serve_route(struct http_request *request, const struct http_frame *frame)
{
    struct http_conn *conn = request->conn;
    struct auth *auth = conn->options->auth;
    if (auth && conn->route->takes_user && !http_identity_prove(request, auth, frame)) {
        refuse_user(request);
        return;
    }
    const struct http_refusal *refusal = http_check_body(frame, conn->route->takes_json);
    if (refusal) {
        end_checks(request);
        refuse(request, refusal);
    } else if (conn->route->takes_json) {
        serve_body(request, frame);
    } else {
        call_handler(request);
    }
}

void http_serve(struct http_request *request, const struct mg_request_info *info)
{
    struct http_conn *conn = request->conn;
    struct http_frame frame;
    conn->is_head = strcmp(info->request_method, "HEAD") == 0;
    if (atomic_load(conn->draining)) {
        refuse_draining(request);
        return;
    }
    const struct http_refusal *refusal = http_check_frame(info, &frame);
    if (refusal) {
        http_identity_make(request);
        end_checks(request);
        refuse(request, refusal);
        return;
    }
    http_identity_read(request, &frame);
    bool has_body = frame.length > 0 || frame.has_transfer;
    conn->closes = !frame.stays_open || has_body; /* until the body has been read */
    if (info->query_string) {
        request->query = info->query_string;
    }
    bool path_known = false;
    conn->route = http_route_find(conn->options, info->request_method, info->local_uri_raw,
                                  request->param, &path_known);
    if (conn->route) {
        serve_route(request, &frame);
    } else {
        refuse_path(request, info->local_uri_raw, path_known);
    }
}

void http_serve_error(struct http_request *request, enum http_raw_error error)
{
    if (atomic_load(request->conn->draining)) {
        refuse_draining(request);
        return;
    }
    http_identity_make(request);
    end_checks(request);
    refuse(request, http_check_error(error));
}
