/* stub_replies: what the stub says in each mode. An order's id carries its number, so that a poll
 * finds the time of its acceptance in a table; --mode busy counts the attempts of each user. The
 * tables are bounded and wrap around: a test has fewer orders than that. */
#include "stub.h"

#include "common/clock.h"
#include "common/xalloc.h"

#include <stdlib.h>
#include <string.h>

enum { ORDERS_MAX = 1 << 20, USERS_MAX = 1 << 20 };

static const char *const MODE_NAMES[MODES] = {
    "echo201", "echo202", "reject202", "lost202",  "forget202", "stuck202", "sold_out",
    "busy",    "unknown", "no_id",     "chunked",  "dribble",   "close",    "until_eof",
    "cut",     "reset",   "garbage",   "trailing", "mute",
};

static const struct settings *settings;
static int64_t orders;
static int64_t *accepted_ns;
static unsigned char *attempts, *forgotten;

void stub_replies_init(const struct settings *used)
{
    settings = used;
    accepted_ns = xcalloc(ORDERS_MAX, sizeof(*accepted_ns));
    attempts = xcalloc(USERS_MAX, 1);
    forgotten = xcalloc(ORDERS_MAX, 1);
}

enum mode stub_replies_mode(const char *name)
{
    for (int i = 0; i < MODES; i++) {
        if (strcmp(name, MODE_NAMES[i]) == 0) {
            return (enum mode)i;
        }
    }
    fprintf(stderr, "stub: no mode \"%s\"\n", name);
    exit(64);
}

static size_t with_body(char *out, const char *status, const char *headers, const char *body)
{
    const char *type =
        strncmp(status, "20", 2) == 0 ? "application/json" : "application/problem+json";
    return (size_t)snprintf(out, STUB_REPLY_MAX,
                            "HTTP/1.1 %s\r\nContent-Type: %s\r\n%sContent-Length: %zu\r\n\r\n%s",
                            status, type, headers, strlen(body), body);
}

static size_t problem(char *out, const char *status, const char *headers, const char *code)
{
    char body[128];
    snprintf(body, sizeof(body), "{\"status\":%.3s,\"code\":\"%s\",\"request_id\":\"stub\"}",
             status, code);
    return with_body(out, status, headers, body);
}

static size_t chunked(char *out, const char *body)
{
    const size_t half = strlen(body) / 2;
    return (size_t)snprintf(out, STUB_REPLY_MAX,
                            "HTTP/1.1 100 Continue\r\n\r\n"
                            "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n"
                            "Transfer-Encoding: chunked\r\n\r\n"
                            "%zx\r\n%.*s\r\n%zx;ext=1\r\n%s\r\n0\r\nTrailer: x\r\n\r\n",
                            half, (int)half, body, strlen(body) - half, body + half);
}

static size_t until_eof(char *out, const char *body)
{
    return (size_t)snprintf(out, STUB_REPLY_MAX,
                            "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n\r\n%s",
                            body);
}

static bool is_async(enum mode mode)
{
    return mode == MODE_ECHO202 || mode == MODE_REJECT202 || mode == MODE_LOST202 ||
           mode == MODE_FORGET202 || mode == MODE_STUCK202;
}

static size_t order_created(char *out)
{
    const bool async = is_async(settings->mode);
    const int64_t number = orders++;
    char body[256];
    accepted_ns[number % ORDERS_MAX] = clock_now_ns();
    snprintf(body, sizeof(body),
             "{\"order_id\":\"00000000-0000-4000-8000-%012llx\",\"status\":\"%s\","
             "\"status_url\":\"/orders/00000000-0000-4000-8000-%012llx\"}",
             (unsigned long long)number, async ? "pending" : "confirmed",
             (unsigned long long)number);
    if (settings->mode == MODE_NO_ID) {
        return with_body(out, "201 Created", "", "{\"status\":\"confirmed\"}");
    }
    if (settings->mode == MODE_CHUNKED) {
        return chunked(out, body);
    }
    if (settings->mode == MODE_UNTIL_EOF) {
        return until_eof(out, body);
    }
    return with_body(out, async ? "202 Accepted" : "201 Created",
                     settings->mode == MODE_CLOSE ? "Connection: close\r\n" : "", body);
}

static long long number_after(const char *text, const char *what)
{
    const char *at = strstr(text, what);
    return at == NULL ? 0 : strtoll(at + strlen(what), NULL, 10);
}

/* The value of a header up to its line's end, for the log. */
static void log_header(FILE *log, const char *request, const char *name)
{
    const char *at = strstr(request, name);
    const char *value = at == NULL ? "-" : at + strlen(name);
    fprintf(log, "\t%.*s", (int)strcspn(value, "\r"), value);
}

static size_t answer_order(const char *request, char *out)
{
    const long long user = number_after(request, "\"user_id\":");
    if (settings->log != NULL) {
        fprintf(settings->log, "%lld", user);
        log_header(settings->log, request, "\r\nIdempotency-Key: ");
        log_header(settings->log, request, "\r\nAuthorization: ");
        fputc('\n', settings->log);
        fflush(settings->log);
    }
    if (settings->mode == MODE_SOLD_OUT) {
        return problem(out, "409 Conflict", "", "sold_out");
    }
    if (settings->mode == MODE_UNKNOWN) {
        return problem(out, "503 Service Unavailable", "Retry-After: 1\r\n", "outcome_unknown");
    }
    if (settings->mode == MODE_BUSY && attempts[user % USERS_MAX] < settings->busy) {
        char header[64] = "";
        attempts[user % USERS_MAX]++;
        if (settings->retry_after_s > 0) {
            snprintf(header, sizeof(header), "retry-AFTER: %d\r\n", settings->retry_after_s);
        }
        return problem(out, "503 Service Unavailable", header, "queue_full");
    }
    if (settings->mode == MODE_FORGET202 && attempts[user % USERS_MAX] < settings->busy) {
        attempts[user % USERS_MAX]++;
        forgotten[orders % ORDERS_MAX] = 1;
    }
    return order_created(out);
}

/* How long the order is still pending. */
static int64_t pending_ns(long long number)
{
    if (settings->mode == MODE_STUCK202) {
        return INT64_MAX;
    }
    const int64_t passed_ns = clock_now_ns() - accepted_ns[number % ORDERS_MAX];
    return passed_ns < settings->pending_ns ? settings->pending_ns - passed_ns : 0;
}

/* The state is that of the moment in which the reply goes out. */
static size_t answer_status(const char *request, char *out, int64_t *hold_ns)
{
    const enum mode mode = settings->mode;
    const char *id = request + strlen("GET /orders/");
    const long long number = strtoll(id + 24, NULL, 16);
    char body[256], header[64] = "";
    if (mode == MODE_LOST202 || forgotten[number % ORDERS_MAX]) {
        return problem(out, "404 Not Found", "", "order_not_found");
    }
    const int64_t left_ns = pending_ns(number);
    const int64_t wait_ns =
        settings->deaf ? 0 : number_after(request, "?wait_ms=") * CLOCK_NS_PER_MS;
    const bool due = left_ns <= wait_ns;
    *hold_ns = due ? left_ns : wait_ns;
    if (!due && settings->retry_after_s > 0) {
        snprintf(header, sizeof(header), "Retry-After: %d\r\n", settings->retry_after_s);
    }
    const char *state = !due ? "pending" : mode == MODE_REJECT202 ? "rejected" : "confirmed";
    const char *reason = due && mode == MODE_REJECT202 ? "\"sold_out\"" : "null";
    snprintf(body, sizeof(body),
             "{\"order_id\":\"%.36s\",\"sale_id\":1,\"user_id\":1,\"quantity\":1,"
             "\"status\":\"%s\",\"reason\":%s}",
             id, state, reason);
    return with_body(out, "200 OK", header, body);
}

size_t stub_replies_answer(const char *request, char out[STUB_REPLY_MAX], bool *is_order,
                           int64_t *hold_ns)
{
    *hold_ns = 0;
    *is_order = strncmp(request, "POST /orders ", 13) == 0;
    if (*is_order) {
        return answer_order(request, out);
    }
    if (strncmp(request, "GET /orders/", 12) == 0) {
        return answer_status(request, out, hold_ns);
    }
    if (strncmp(request, "GET /sales/", 11) == 0) {
        return with_body(out, "200 OK", "",
                         "{\"id\":1,\"name\":\"stub\",\"price_cents\":100,\"stock_total\":1000,"
                         "\"stock_left\":1000,\"per_user_limit\":2}");
    }
    return with_body(out, "200 OK", "", "{\"status\":\"ok\"}");
}
