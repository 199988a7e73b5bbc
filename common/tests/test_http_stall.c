/* A client that asks and asks and reads no reply must not keep its thread for ever. */
#include "common/tests/http_server.h"

enum {
    READ_TIMEOUT_MS = 1000,
    SMALL_BUFFER = 4096,
    REQUESTS_MAX = 200000, /* far more replies than the kernel's buffers hold */
    SERVED_MS = 20000,     /* the other client is served within this, on any machine */
};

static const char ASK[] = "GET /health HTTP/1.1\r\n" HOST "\r\n";

/* Sends requests until nothing more goes out: then the server waits for us to read. */
static int stall(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)port)};
    int small = SMALL_BUFFER;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    struct pollfd writable = {.fd = fd, .events = POLLOUT};
    int sent = 0;
    while (sent < REQUESTS_MAX && poll(&writable, 1, READ_TIMEOUT_MS / 4) > 0 &&
           send(fd, ASK, strlen(ASK), MSG_NOSIGNAL | MSG_DONTWAIT) > 0) {
        sent++;
    }
    ck_assert_int_lt(sent, REQUESTS_MAX);
    return fd;
}

START_TEST(test_client_that_reads_nothing_loses_its_thread)
{
    int port = free_port();
    struct http_server *server = server_start(port, 1, READ_TIMEOUT_MS, HTTP_DRAIN_MS);
    int fd = stall(port);
    int64_t since_ns = clock_now_ns();
    raw_open(&raw, port);
    raw_send(&raw, ASK);
    struct pollfd readable = {.fd = raw.fd, .events = POLLIN};
    ck_assert_int_eq(poll(&readable, 1, SERVED_MS), 1);
    raw_receive(&raw, &reply);
    ck_assert_int_eq(reply.status, 200);
    printf("served after %d ms\n", (int)((clock_now_ns() - since_ns) / CLOCK_NS_PER_MS));
    raw_close(&raw);
    close(fd);
    ck_assert_int_eq(http_stop(server), ST_OK);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_test(tc, test_client_that_reads_nothing_loses_its_thread);
}

int main(void)
{
    return test_main("http_stall", add_tests);
}
