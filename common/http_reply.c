/* Writes replies: one buffer on the stack, one mg_write, no allocation.
 *
 * Head and body leave together, so that a reply is one segment; only a body that does not fit goes
 * by itself. Problem bodies (RFC 9457) are put together from literals and the request's id: nothing
 * of the input can come back. A reply never fails for its caller: a peer that is gone is civetweb's
 * to notice. */
#include "common/http_conn.h"

#include <assert.h>
#include <civetweb.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"

enum {
    REPLY_BYTES = 8192,   /* head and, if it fits, body */
    PROBLEM_BYTES = 1024, /* type, title, status, code, detail, request_id */
    TIMING_BYTES = 256,   /* the field Server-Timing: every stage, at TIMING_MAX_MS */
    DATE_SIZE = 80,       /* "Sun, 06 Nov 1994 08:49:37 GMT", and room for any int in it */
};

/* A longer time is written as this one: the field's length has a bound. */
#define TIMING_MAX_MS 9999999.999

static double shown_ms(int64_t spent_ns)
{
    double ms = (double)spent_ns / (double)CLOCK_NS_PER_MS;
    return ms < TIMING_MAX_MS ? ms : TIMING_MAX_MS;
}

/* RFC 9110 15. */
static const char *phrase_of(int status)
{
    static const struct {
        int status;
        const char *phrase;
    } phrases[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof phrases / sizeof phrases[0]; i++) {
        if (phrases[i].status == status) {
            return phrases[i].phrase;
        }
    }
    assert(status == 0); /* a status without a phrase */
    return "";
}

/* The Date field's text (RFC 9110 5.6.7), made anew once a second on each thread. Not by strftime,
 * which takes another page of every worker's stack. */
static const char *date_now(void)
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    static _Thread_local time_t made;
    static _Thread_local char text[DATE_SIZE];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (text[0] == '\0' || now.tv_sec != made) {
        struct tm utc;
        made = now.tv_sec;
        gmtime_r(&made, &utc);
        snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[utc.tm_wday],
                 utc.tm_mday, months[utc.tm_mon], utc.tm_year + 1900, utc.tm_hour, utc.tm_min,
                 utc.tm_sec);
    }
    return text;
}

void http_add_header(struct http_request *request, const char *name, const char *format, ...)
{
    struct http_conn *conn = request->conn;
    int64_t since_ns = clock_now_ns();
    char *line = conn->extra + conn->extra_used;
    size_t room = sizeof conn->extra - conn->extra_used;
    assert(!conn->replied && conn->extra_count < HTTP_REPLY_HEADERS_MAX);
    int name_bytes = snprintf(line, room, "%s: ", name);
    assert(name_bytes > 0 && (size_t)name_bytes < room);
    size_t used = (size_t)name_bytes;
    va_list arguments;
    va_start(arguments, format);
    int value_bytes = vsnprintf(line + used, room - used, format, arguments);
    va_end(arguments);
    assert(value_bytes >= 0 && (size_t)value_bytes + sizeof "\r\n" <= room - used);
    assert(!strpbrk(line + used, "\r\n"));
    used += (size_t)value_bytes;
    memcpy(line + used, "\r\n", sizeof "\r\n");
    conn->extra_used += used + strlen("\r\n");
    conn->extra_count++;
    stages_add_since(&request->stages, STAGE_REPLY, since_ns);
}

/* The field Server-Timing (W3C, "Server Timing" 3.1): milliseconds of each stage before the reply
 * and of all the time until now. */
static void write_timing(const struct http_request *request, char out[TIMING_BYTES])
{
    const struct stages *stages = &request->stages;
    size_t used = (size_t)snprintf(out, TIMING_BYTES, "Server-Timing: ");
    for (enum stage stage = 0; stage < STAGE_REPLY; stage++) {
        if (stages->spent_ns[stage] > 0) {
            used += (size_t)snprintf(out + used, TIMING_BYTES - used, "%s;dur=%.3f, ",
                                     stages_name(stage), shown_ms(stages->spent_ns[stage]));
            assert(used < TIMING_BYTES);
        }
    }
    snprintf(out + used, TIMING_BYTES - used, "total;dur=%.3f\r\n",
             shown_ms(clock_now_ns() - request->started_ns));
}

/* Writes the head to out; returns its length. A reply to HEAD has no body and announces none. */
static size_t write_head(const struct http_request *request, int status, const char *type,
                         size_t body_length, char out[REPLY_BYTES])
{
    const struct http_conn *conn = request->conn;
    char length[48] = "", timing[TIMING_BYTES];
    if (!conn->is_head) {
        snprintf(length, sizeof length, "Content-Length: %zu\r\n", body_length);
    }
    timing[0] = '\0';
    if (conn->options->server_timing) {
        write_timing(request, timing);
    }
    int bytes = snprintf(out, REPLY_BYTES,
                         "HTTP/1.1 %d %s\r\n"
                         "Date: %s\r\n"
                         "Content-Type: %s\r\n"
                         "%s"
                         "Connection: %s\r\n"
                         "Cache-Control: no-store\r\n"
                         "X-Request-Id: %s\r\n"
                         "%s%.*s\r\n",
                         status, phrase_of(status), date_now(), type, length,
                         conn->closes ? "close" : "keep-alive", request->id, timing,
                         (int)conn->extra_used, conn->extra);
    assert(bytes > 0 && bytes < REPLY_BYTES);
    return (size_t)bytes;
}

/* From since_ns on the time belongs to the reply; its end is the end of the request's. */
static void send_reply(struct http_request *request, int status, const char *type, const char *body,
                       int64_t since_ns)
{
    struct http_conn *conn = request->conn;
    assert(!conn->replied);
    conn->replied = true;
    conn->status = status;
    conn->closes = conn->closes || conn->options->one_request || atomic_load(conn->draining);
    if (conn->closes) {
        /* Before the reply: afterwards civetweb would wait for a body that nobody reads. */
        mg_disable_connection_keep_alive(conn->mg);
    }
    char out[REPLY_BYTES];
    size_t body_length = strlen(body);
    size_t used = write_head(request, status, type, body_length, out);
    size_t to_send = conn->is_head ? 0 : body_length;
    if (to_send <= sizeof out - used) {
        memcpy(out + used, body, to_send);
        mg_write(conn->mg, out, used + to_send);
    } else {
        mg_write(conn->mg, out, used);
        mg_write(conn->mg, body, to_send);
    }
    int64_t ended_ns = clock_now_ns();
    request->stages.spent_ns[STAGE_REPLY] += ended_ns - since_ns;
    conn->total_ns = ended_ns - request->started_ns;
    conn->other_ns = stages_other_ns(&request->stages, conn->total_ns);
}

void http_reply(struct http_request *request, int status, const char *json)
{
    http_reply_text(request, status, "application/json", json);
}

void http_reply_text(struct http_request *request, int status, const char *type, const char *body)
{
    int64_t since_ns = clock_now_ns();
    request->conn->outcome = "ok";
    send_reply(request, status, type, body, since_ns);
}

void http_health(struct http_request *request, void *context)
{
    (void)context;
    http_reply(request, 200, "{\"status\":\"ok\"}");
}

void http_problem(struct http_request *request, int status, const char *code, const char *detail)
{
    char json[PROBLEM_BYTES];
    int64_t since_ns = clock_now_ns();
    int bytes = snprintf(json, sizeof json,
                         "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,"
                         "\"code\":\"%s\",\"detail\":\"%s\",\"request_id\":\"%s\"}",
                         phrase_of(status), status, code, detail, request->id);
    assert(bytes > 0 && (size_t)bytes < sizeof json);
    request->conn->outcome = code;
    send_reply(request, status, "application/problem+json", json, since_ns);
}

void http_problem_retry(struct http_request *request, int status, const char *code,
                        const char *detail, int retry_after_s)
{
    assert(retry_after_s >= 1);
    http_add_header(request, "Retry-After", "%d", retry_after_s);
    http_problem(request, status, code, detail);
}
