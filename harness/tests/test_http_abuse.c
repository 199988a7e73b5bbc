/* What bad clients cost a running server, measured from outside: memory, descriptors, other
 * people's time.
 *
 *     HTTP_THREADS=1100 build/release/phase1/server &
 *     export TARGET_URL=http://127.0.0.1:8001 TARGET_PID=$! HTTP_THREADS=1100
 *     build/release/tests/test_http_abuse
 *
 * HTTP_THREADS is the target's; HOLD_S (default 20) shortens the crowd. Memory: every worker is
 * used once at the same time, because buffers and stacks fill lazily; what grows after that is a
 * leak. The crowd: latency is judged by the median of five windows' worst, so that one hiccup of a
 * shared machine does not fail the server and a starved client does. Needs as many open files as
 * the crowd and the warm-up have connections, on both sides. */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>

#include "common/clock.h"
#include "common/tests/harness.h"
#include "common/tests/raw.h"
#include "harness/tests/target.h"

enum {
    BAD_REQUESTS = 10000,
    RSS_SLACK_KIB = 1024,
    RSS_STEADY_KIB = 128,
    WARM_UPS_MAX = 6,
    HEADER_BYTES = 16384,
    CROWD = 1000,
    CROWD_SPARE = 100, /* threads beyond the crowd's */
    PROBE_EVERY_MS = 10,
    PROBE_LIMIT_MS = 100,
    WINDOWS = 5,
    PROBES_MAX = 20000,
    SETTLE_MS = 20000,
    SPARE_FILES = 256,
};

static struct raw raw;
static struct raw_reply reply;

#define HOST "Host: localhost\r\n"
#define ORDER "POST /orders HTTP/1.1\r\n" HOST "Content-Type: application/json\r\n"
#define BYTES(literal_) (literal_), sizeof(literal_) - 1

static const struct {
    const char *bytes;
    size_t length;
} bad_requests[] = {
    {BYTES("POST /orders HTTP/1.1\r\n" HOST "Content-Type: application/json\r\n\r\n")},
    {BYTES("POST /orders HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
    {BYTES("POST /orders HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n")},
    {BYTES("POST /orders HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n\r\n")},
    {BYTES("POST /orders HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n")},
    {BYTES("POST /orders HTTP/1.1\r\n" HOST "Content-Length: abc\r\n\r\n")},
    {BYTES("POST /orders HTTP/1.1\r\n" HOST "Content-Length: \r\n\r\n")},
    {BYTES("POST /orders HTTP/1.1\r\n" HOST "Content-Length: 2abc\r\n\r\n{}")},
    {BYTES("POST /orders HTTP/1.1\r\n" HOST "Content-Length: 2, 2\r\n\r\n{}")},
    {BYTES("POST /orders HTTP/1.1\r\n" HOST "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}")},
    {BYTES("POST /orders HTTP/1.1\r\n" HOST
           "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}")},
    {BYTES("POST /orders HTTP/1.1\r\n" HOST
           "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{")},
    {BYTES(ORDER "Content-Length: 25\r\n\r\n{\"sale_id\":1,\"user_id\":1}")},
    {BYTES(ORDER "Content-Length: 38\r\n\r\n{\"sale_id\":1,\"user_id\":1,\"quantity\":0}")},
    {BYTES(ORDER "Content-Length: 40\r\n\r\n{\"sale_id\":1,\"user_id\":1,\"quantity\":1.5}")},
    {BYTES(ORDER "Content-Length: 42\r\n\r\n{\"sale_id\":1,\"user_id\":1,\"quantity\":1e400}")},
    {BYTES(ORDER "Content-Length: 40\r\n\r\n{\"sale_id\":\"1\",\"user_id\":1,\"quantity\":1}")},
    {BYTES(
        ORDER
        "Content-Length: 51\r\n\r\n{\"sale_id\":1,\"user_id\":1,\"quantity\":1,\"quantity\":1}")},
    {BYTES(ORDER "Content-Length: 38\r\n\r\n{\"sale_id\":1,\"user_id\":1,\"Quantity\":1}")},
    {BYTES(ORDER "Content-Length: 40\r\n\r\n{\"sale_id\":1,\"user_id\":1,\"quantity\":1} x")},
    {BYTES(ORDER "Content-Length: 22\r\n\r\n[[[[[[[[[[[[[[[[[[[[[[")},
    {BYTES(ORDER "Content-Length: 8\r\n\r\n\"\\ud800\"")},
    {BYTES(ORDER "Content-Length: 14\r\n\r\n{\"a\":\"\\u0000\"}")},
    {BYTES(ORDER "Content-Length: 4\r\n\r\nnull")},
    {BYTES("POST /nothing HTTP/1.1\r\n" HOST "Content-Length: 40\r\n\r\n{}")},
    {BYTES("GET /health HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n{}")},
    {BYTES("GET /health HTTP/1.1\r\n" HOST "X: a\0b\r\n\r\n")},
    {BYTES("GET /health HTTP/1.1\r\n" HOST "X : a\r\n\r\n")},
    {BYTES("GET /health HTTP/1.1\r\n" HOST "no colon\r\n\r\n")},
    {BYTES("GET /health HTTP/1.1\r\n" HOST ": no name\r\n\r\n")},
    {BYTES("GET /health HTTP/1.1\r\n" HOST "X: a\r\n folded\r\n\r\n")},
    {BYTES("GET /health HTTP/1.1\nHost: localhost\n\n")},
    {BYTES("GET /health HTTP/1.1\r\n\r\n")},
    {BYTES("GET /health HTTP/1.1\r\n" HOST HOST "\r\n")},
    {BYTES("GET /health HTTP/9.9\r\n" HOST "\r\n")},
    {BYTES("GET /health HTTP/1.0\r\n\r\n")},
    {BYTES("   GET /health HTTP/1.1\r\n" HOST "\r\n")},
    {BYTES("\26\3\1\0\245\1\0\0\241\3\3")},
    {BYTES("\377\376\375\374\373\372\r\n\r\n")},
    {BYTES("OPTIONS * HTTP/1.1\r\n" HOST "\r\n")},
    {BYTES("GET http://elsewhere.example/health HTTP/1.1\r\n" HOST "\r\n")},
    {BYTES("PROPFIND /health HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n")},
    {BYTES("HEAD /health HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n")},
    {BYTES("FOO /health HTTP/1.1\r\n" HOST "\r\n")},
    {BYTES("GET //health HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n")},
    {BYTES("GET /health%00 HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n")},
};
enum { BAD_KINDS = sizeof bad_requests / sizeof bad_requests[0] };

/* Waits until the target has no more open files than at first. */
static void await_files(int expected)
{
    int64_t give_up_ns = clock_deadline_ns(SETTLE_MS);
    while (target_files() > expected && clock_now_ns() < give_up_ns) {
        pause_ms(PROBE_EVERY_MS);
    }
    ck_assert_int_eq(target_files(), expected);
}

static void assert_serves(void)
{
    raw_open(&raw, target.port);
    raw_send(&raw, "GET /health HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    raw_receive(&raw, &reply);
    raw_close(&raw);
    ck_assert_int_eq(reply.status, 200);
}

/* ------------------------------------------------------------------------------------- memory */

static int connect_plainly(void)
{
    struct raw one;
    raw_open(&one, target.port);
    return one.fd;
}

/* Sends all of it; a peer that has closed is not an error here. */
static void send_plainly(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
        if (sent <= 0) {
            return;
        }
        bytes += sent;
        length -= (size_t)sent;
    }
}

static void drain(int fd)
{
    char buffer[4096];
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    while (poll(&readable, 1, RAW_WAIT_MS) > 0 && recv(fd, buffer, sizeof buffer, 0) > 0) {
    }
}

/* Uses every worker at once: each connection keeps its worker from its first byte to its last. */
static void warm_up_with(const char *first, size_t first_length, const char *rest)
{
    static int fds[TARGET_THREADS_MAX];
    for (int i = 0; i < target.threads; i++) {
        fds[i] = connect_plainly();
        send_plainly(fds[i], first, first_length);
    }
    for (int i = 0; i < target.threads; i++) {
        send_plainly(fds[i], rest, strlen(rest));
        drain(fds[i]);
        close(fds[i]);
    }
}

/* The three ways that a bad request can go, each with its own depth of stack: 16 KiB of header,
 * which is answered; bytes that are no request, which civetweb itself refuses; and a body that is
 * parsed. */
static void warm_up(void)
{
    static char header[HEADER_BYTES + 1];
    static const char head[] = "GET /nothing HTTP/1.1\r\n" HOST "X: ";
    static const char tail[] = "\r\n\r\n\001";
    static const char order[] = ORDER "Connection: close\r\nContent-Length: 25\r\n\r\n"
                                      "{\"sale_id\":1,\"user_id\":1";
    memset(header, 'a', HEADER_BYTES);
    memcpy(header, head, strlen(head));
    warm_up_with(header, HEADER_BYTES - strlen(tail), tail);
    warm_up_with(order, strlen(order), "}");
}

/* A busy machine may let connections time out before every worker is in use, so warm up again until
 * it changes nothing; a leak is not hidden, it goes on afterwards. Returns the RSS. */
static long warm_up_fully(int files)
{
    long rss_kib = 0, grown_kib = RSS_SLACK_KIB;
    for (int i = 0; i < WARM_UPS_MAX && grown_kib > RSS_STEADY_KIB; i++) {
        warm_up();
        await_files(files);
        long now_kib = target_rss_kib();
        grown_kib = now_kib - rss_kib;
        rss_kib = now_kib;
    }
    return rss_kib;
}

static void send_bad(int kind)
{
    raw_open(&raw, target.port);
    raw_send_bytes(&raw, bad_requests[kind].bytes, bad_requests[kind].length);
    raw_receive(&raw, &reply);
    ck_assert_msg(reply.status < 500 || reply.status == 505, "kind %d: %d", kind, reply.status);
    raw_close(&raw);
}

START_TEST(test_bad_requests_leave_memory_and_files_where_they_were)
{
    int files = target_files();
    long before_kib = warm_up_fully(files);
    for (int i = 0; i < BAD_REQUESTS; i++) {
        send_bad(i % BAD_KINDS);
    }
    await_files(files);
    long after_kib = target_rss_kib();
    printf(
        "%d bad requests of %d kinds: RSS %ld KiB, then %ld KiB; %d open files before and after\n",
        BAD_REQUESTS, BAD_KINDS, before_kib, after_kib, files);
    ck_assert_int_le(after_kib - before_kib, RSS_SLACK_KIB);
    assert_serves();
}
END_TEST

/* -------------------------------------------------------------------------------------- the crowd
 */

static atomic_bool crowd_goes;
static atomic_int crowd_size;

static int join_crowd(int member)
{
    static const char half[] = "GET /health HTTP/1.1\r\nHost: loc";
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)target.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        fd = -1;
    }
    if (fd >= 0 && member % 2 == 1) { /* the others stay silent */
        send_plainly(fd, half, strlen(half));
    }
    return fd;
}

/* Holds CROWD connections; whoever is sent away comes back. */
static void *crowd_main(void *unused)
{
    static struct pollfd members[CROWD];
    char buffer[4096];
    (void)unused;
    for (int i = 0; i < CROWD; i++) {
        members[i] = (struct pollfd){.fd = join_crowd(i), .events = POLLIN};
        if (members[i].fd >= 0) {
            atomic_fetch_add(&crowd_size, 1);
        }
    }
    while (atomic_load(&crowd_goes)) {
        poll(members, CROWD, PROBE_EVERY_MS);
        for (int i = 0; i < CROWD; i++) {
            if (members[i].revents != 0 && recv(members[i].fd, buffer, sizeof buffer, 0) <= 0) {
                close(members[i].fd);
                members[i].fd = join_crowd(i);
            }
        }
    }
    for (int i = 0; i < CROWD; i++) {
        close(members[i].fd);
    }
    return NULL;
}

static void await_crowd(void)
{
    int64_t give_up_ns = clock_deadline_ns(SETTLE_MS);
    while (atomic_load(&crowd_size) < CROWD && clock_now_ns() < give_up_ns) {
        pause_ms(PROBE_EVERY_MS);
    }
    ck_assert_int_eq(atomic_load(&crowd_size), CROWD);
}

static int compare_ns(const void *a, const void *b)
{
    const int64_t *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

static double to_ms(int64_t ns)
{
    return (double)ns / (double)CLOCK_NS_PER_MS;
}

/* One GET /health on a connection of its own. */
static int64_t probe(void)
{
    int64_t start_ns = clock_now_ns();
    assert_serves();
    return clock_now_ns() - start_ns;
}

/* Probes for one window; returns the worst latency. */
static int64_t probe_window(int64_t until_ns, int64_t *latencies, int *count)
{
    int64_t worst_ns = 0;
    while (clock_now_ns() < until_ns && *count < PROBES_MAX) {
        int64_t latency_ns = probe();
        latencies[(*count)++] = latency_ns;
        worst_ns = latency_ns > worst_ns ? latency_ns : worst_ns;
        pause_ms(PROBE_EVERY_MS);
    }
    return worst_ns;
}

START_TEST(test_silent_crowd_does_not_starve_others)
{
    static int64_t latencies[PROBES_MAX];
    int64_t worst_ns[WINDOWS];
    int count = 0;
    pthread_t crowd;
    ck_assert_msg(target.threads >= CROWD + CROWD_SPARE, "HTTP_THREADS=%d is under %d",
                  target.threads, CROWD + CROWD_SPARE);
    int files = target_files();
    atomic_store(&crowd_goes, true);
    ck_assert_int_eq(pthread_create(&crowd, NULL, crowd_main, NULL), 0);
    await_crowd();
    int64_t start_ns = clock_now_ns();
    for (int i = 0; i < WINDOWS; i++) {
        int64_t until_ns = start_ns + target.hold_s * CLOCK_NS_PER_S * (i + 1) / WINDOWS;
        worst_ns[i] = probe_window(until_ns, latencies, &count);
    }
    atomic_store(&crowd_goes, false);
    pthread_join(crowd, NULL);
    await_files(files);
    qsort(worst_ns, WINDOWS, sizeof worst_ns[0], compare_ns);
    qsort(latencies, (size_t)count, sizeof latencies[0], compare_ns);
    ck_assert_int_gt(count, WINDOWS);
    printf("%d connections held for %d s, %d probes: p50 %.2f ms, p99 %.2f ms, max %.2f ms, "
           "median of %d windows' worst %.2f ms\n",
           CROWD, target.hold_s, count, to_ms(latencies[count / 2]),
           to_ms(latencies[count * 99 / 100]), to_ms(latencies[count - 1]), WINDOWS,
           to_ms(worst_ns[WINDOWS / 2]));
    ck_assert_msg(worst_ns[WINDOWS / 2] < PROBE_LIMIT_MS * CLOCK_NS_PER_MS, "%.2f ms",
                  to_ms(worst_ns[WINDOWS / 2]));
}
END_TEST

static void raise_file_limit(void)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)target.threads + SPARE_FILES;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < wanted) {
        limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void ask_for_time(void)
{
    alarm((unsigned)(TEST_WATCHDOG_S + 2 * target.hold_s + 2 * SETTLE_MS / 1000));
}

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, ask_for_time, NULL);
    tcase_add_test(tc, test_bad_requests_leave_memory_and_files_where_they_were);
    tcase_add_test(tc, test_silent_crowd_does_not_starve_others);
}

int main(void)
{
    if (!target_read()) {
        fprintf(stderr, "usage: TARGET_URL=http://127.0.0.1:PORT TARGET_PID=PID HTTP_THREADS=1100 "
                        "[HOLD_S=20] test_http_abuse\n");
        return 64;
    }
    raise_file_limit();
    return test_main("http_abuse", add_tests);
}
