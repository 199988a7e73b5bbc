/* http_server: a small server inside the test, and what a reply must look like. For tests only.
 *
 * GET /health, GET /things/{} (gives back its parameter and the query's n), POST /things (gives
 * back the body's length), GET /slow (waits until the gate opens), GET /big (more than one buffer),
 * GET /decorated (added headers) and GET /busy (a problem with Retry-After). `raw` and `reply` are
 * the one connection that most tests need. */
#ifndef FLASHDEAL_TESTS_HTTP_SERVER_H
#define FLASHDEAL_TESTS_HTTP_SERVER_H

#include <dirent.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>

#include "common/clock.h"
#include "common/http.h"
#include "common/tests/harness.h"
#include "common/tests/raw.h"

enum {
    BIG_BYTES = 20000,
    FREE_PORT_FIRST = 20000,
    FREE_PORT_COUNT = 10000,
    FREE_PORT_STRIDE = 16, /* ports that one program may need */
};

#define HOST "Host: localhost\r\n"
#define GET_HEALTH "GET /health HTTP/1.1\r\n" HOST "\r\n"
#define GET(uri_) "GET " uri_ " HTTP/1.1\r\n" HOST "\r\n"
#define POST_HEAD "POST /things HTTP/1.1\r\n" HOST "Content-Type: application/json\r\n"
#define POST_LENGTH(value_) POST_HEAD "Content-Length: " value_ "\r\n\r\n{}"

static struct raw raw;
static struct raw_reply reply;
static int raw_port; /* where open_raw connects */

/* ---------------------------------------------------------------------------------- the server */

static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_changed = PTHREAD_COND_INITIALIZER;
static bool gate_open;   /* Guarded by gate_lock */
static int gate_waiters; /* Guarded by gate_lock */

static inline void gate_set(bool open)
{
    pthread_mutex_lock(&gate_lock);
    gate_open = open;
    pthread_cond_broadcast(&gate_changed);
    pthread_mutex_unlock(&gate_lock);
}

/* Returns once `count` handlers wait at the gate. */
static inline void gate_await_waiters(int count)
{
    pthread_mutex_lock(&gate_lock);
    while (gate_waiters < count) {
        pthread_cond_wait(&gate_changed, &gate_lock);
    }
    pthread_mutex_unlock(&gate_lock);
}

/* Waits until the gate is open. */
static inline void gate_pass(void)
{
    pthread_mutex_lock(&gate_lock);
    gate_waiters++;
    pthread_cond_broadcast(&gate_changed);
    while (!gate_open) {
        pthread_cond_wait(&gate_changed, &gate_lock);
    }
    gate_waiters--;
    pthread_mutex_unlock(&gate_lock);
}

static inline void slow_get(struct http_request *request, void *context)
{
    (void)context;
    gate_pass();
    http_reply(request, 200, "{\"slow\":true}");
}

static inline void health_get(struct http_request *request, void *context)
{
    (void)context;
    http_reply(request, 200, "{\"status\":\"ok\"}");
}

static inline void thing_get(struct http_request *request, void *context)
{
    char json[HTTP_PARAM_SIZE + 64];
    int64_t n = -1;
    enum status status = http_query_int(request, "n", 0, 100, &n);
    (void)context;
    snprintf(json, sizeof json, "{\"param\":\"%s\",\"n\":%" PRId64 ",\"query\":\"%s\"}",
             request->param, n, status_name(status));
    http_reply(request, 200, json);
}

/* What was wrong in a handler. Not ck_assert: it writes into Check's file, also when it passes,
 * from a thread that may outlive the test, when Check has closed the file. */
static atomic_int handler_faults;

static inline void thing_post(struct http_request *request, void *context)
{
    char json[64];
    (void)context;
    handler_faults += strlen(request->body) != request->body_length;
    snprintf(json, sizeof json, "{\"length\":%zu}", request->body_length);
    handler_faults += request->stages.spent_ns[STAGE_VALIDATION] <= 0;
    http_reply(request, 201, json);
    handler_faults += request->stages.spent_ns[STAGE_REPLY] <= 0;
}

static inline void big_get(struct http_request *request, void *context)
{
    char json[BIG_BYTES + 1];
    (void)context;
    memset(json, ' ', BIG_BYTES);
    json[0] = '[';
    json[BIG_BYTES - 1] = ']';
    json[BIG_BYTES] = '\0';
    http_reply(request, 200, json);
}

static inline void decorated_get(struct http_request *request, void *context)
{
    (void)context;
    for (int i = 0; i < HTTP_REPLY_HEADERS_MAX; i++) {
        char name[32];
        snprintf(name, sizeof name, "X-Extra-%d", i);
        http_add_header(request, name, "value %d of %s", i, "many");
    }
    http_reply(request, 200, "{}");
}

static inline void busy_get(struct http_request *request, void *context)
{
    (void)context;
    http_problem_retry(request, 503, "overloaded", "Later.", 7);
}

static const struct http_route server_routes[] = {
    {"GET", "/health", health_get, NULL, false, false},
    {"GET", "/things/{}", thing_get, NULL, false, false},
    {"POST", "/things", thing_post, NULL, true, false},
    {"GET", "/slow", slow_get, NULL, false, false},
    {"GET", "/big", big_get, NULL, false, false},
    {"GET", "/decorated", decorated_get, NULL, false, false},
    {"GET", "/busy", busy_get, NULL, false, false},
    {"GET", "/both", health_get, NULL, false, false},
    {"POST", "/both", thing_post, NULL, true, false},
};

/* The options of that server; a test may change them before it starts one. */
static inline struct http_options server_options(int port, int threads, int read_timeout_ms,
                                                 int drain_ms)
{
    return (struct http_options){
        .bind = "127.0.0.1",
        .port = port,
        .threads = threads,
        .read_timeout_ms = read_timeout_ms,
        .drain_ms = drain_ms,
        .routes = server_routes,
        .route_count = sizeof server_routes / sizeof server_routes[0],
    };
}

static inline struct http_server *server_start_with(const struct http_options *options)
{
    struct http_server *server = NULL;
    char error[HTTP_ERROR_SIZE] = "";
    enum status status = http_start(options, &server, error);
    ck_assert_msg(status == ST_OK, "%s", error);
    return server;
}

static inline enum status server_try_start(int port, int threads, int read_timeout_ms, int drain_ms,
                                           struct http_server **out, char error[HTTP_ERROR_SIZE])
{
    const struct http_options options = server_options(port, threads, read_timeout_ms, drain_ms);
    return http_start(&options, out, error);
}

static inline struct http_server *server_start(int port, int threads, int read_timeout_ms,
                                               int drain_ms)
{
    const struct http_options options = server_options(port, threads, read_timeout_ms, drain_ms);
    return server_start_with(&options);
}

static inline int open_files(void)
{
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (directory && readdir(directory)) {
        count++;
    }
    if (directory) {
        closedir(directory);
    }
    return count;
}

/* A port that nobody listens on, from FREE_PORT_FIRST on: below the kernel's range for clients, and
 * begun elsewhere in every process, so that two runs on one machine do not meet. */
static inline int free_port(void)
{
    static int tried;
    for (; tried < FREE_PORT_COUNT; tried++) {
        int port = FREE_PORT_FIRST + (getpid() * FREE_PORT_STRIDE + tried) % FREE_PORT_COUNT;
        struct sockaddr_in address;
        memset(&address, 0, sizeof address);
        address.sin_family = AF_INET;
        address.sin_port = htons((uint16_t)port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        bool free = bind(fd, (const struct sockaddr *)&address, sizeof address) == 0;
        close(fd);
        if (free) {
            tried++;
            return port;
        }
    }
    fprintf(stderr, "no port is free from %d to %d\n", FREE_PORT_FIRST,
            FREE_PORT_FIRST + FREE_PORT_COUNT - 1);
    exit(EXIT_FAILURE);
}

/* Runs the tests against one server, on a free port if port is 0; the exit status also says that
 * every descriptor came back. */
static inline int run_with_server(const char *name, void (*add)(TCase *tc), int port, int threads,
                                  int read_timeout_ms)
{
    struct http_server *server = NULL;
    char error[HTTP_ERROR_SIZE] = "";
    raw_port = port == 0 ? free_port() : port;
    test_watchdog_start();
    int files = open_files();
    if (server_try_start(raw_port, threads, read_timeout_ms, HTTP_DRAIN_MS, &server, error) !=
        ST_OK) {
        fprintf(stderr, "%s: %s\n", name, error);
        return EXIT_FAILURE;
    }
    int exit_status = test_main(name, add);
    if (http_stop(server) != ST_OK || open_files() != files) {
        fprintf(stderr, "%s: not stopped, or %d open files, not %d\n", name, open_files(), files);
        return EXIT_FAILURE;
    }
    if (handler_faults > 0) {
        fprintf(stderr, "%s: a handler saw %d faults in its requests\n", name, handler_faults);
        return EXIT_FAILURE;
    }
    return exit_status;
}

/* ---------------------------------------------------------------------------------- the client */

static inline void open_raw(void)
{
    raw_open(&raw, raw_port);
}

/* Waits until the server has closed as well: a connection that still waits for a worker when
 * civetweb stops is never closed. */
static inline void close_raw(void)
{
    if (raw.fd >= 0) {
        shutdown(raw.fd, SHUT_WR);
        do {
            raw.used = 0;
        } while (raw_fill(&raw, RAW_WAIT_MS));
    }
    raw_close(&raw);
}

static inline void ask(const char *request)
{
    raw_send(&raw, request);
    raw_receive(&raw, &reply);
}

static inline void assert_serves(void)
{
    ask(GET_HEALTH);
    ck_assert_int_eq(reply.status, 200);
    ck_assert_str_eq(reply.body, "{\"status\":\"ok\"}");
}

static inline void assert_header(const char *name, const char *expected)
{
    char value[RAW_VALUE_SIZE];
    ck_assert_msg(raw_header(&reply, name, value), "no %s in %s", name, reply.head);
    ck_assert_str_eq(value, expected);
}

/* A problem of this code, with its id in header and body, and nothing of the input. */
static inline void assert_problem(int status, const char *code)
{
    char expected[RAW_VALUE_SIZE + 64], id[RAW_VALUE_SIZE];
    ck_assert_msg(reply.status == status, "status %d, not %d: %s", reply.status, status,
                  reply.body);
    assert_header("Content-Type", "application/problem+json");
    assert_header("Cache-Control", "no-store");
    ck_assert(raw_header(&reply, "X-Request-Id", id));
    ck_assert(uuid_is_valid(id));
    snprintf(expected, sizeof expected, "\"status\":%d,\"code\":\"%s\",", status, code);
    ck_assert_msg(strstr(reply.body, expected) != NULL, "%s not in %s", expected, reply.body);
    snprintf(expected, sizeof expected, "\"request_id\":\"%s\"}", id);
    ck_assert_msg(strstr(reply.body, expected) != NULL, "%s not in %s", expected, reply.body);
    ck_assert_int_eq(strncmp(reply.body, "{\"type\":\"about:blank\",\"title\":\"", 31), 0);
    ck_assert(strstr(reply.body, "\"detail\":\"") != NULL);
    ck_assert_msg(!strstr(reply.head, "canary") && !strstr(reply.body, "canary"),
                  "input comes back: %s%s", reply.head, reply.body);
}

static inline void assert_closed(void)
{
    assert_header("Connection", "close");
    ck_assert(raw_ends(&raw));
}

#endif
