/* bare PORT THREADS: the least that civetweb can do, to measure the listener against.
 *
 * One handler writes the same number of bytes as phase 0's reply to GET /health, for any request,
 * with the same settings that matter for speed (threads, keep-alive, no delay, buffer, time-outs).
 * It checks nothing, counts nothing and stamps nothing. Ends at SIGTERM or SIGINT. */
#include <civetweb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char REPLY[] = "HTTP/1.1 200 OK\r\n"
                            "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                            "Content-Type: application/json\r\n"
                            "Content-Length: 15\r\n"
                            "Connection: keep-alive\r\n"
                            "Cache-Control: no-store\r\n"
                            "X-Request-Id: 00000000-0000-4000-8000-000000000000\r\n"
                            "\r\n"
                            "{\"status\":\"ok\"}";

static int on_request(struct mg_connection *mg)
{
    mg_write(mg, REPLY, strlen(REPLY));
    return 200;
}

static void wait_for_stop(void)
{
    int signal_number;
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    sigwait(&stop, &signal_number);
}

/* Threads started later inherit the mask, so that the signal waits for wait_for_stop. */
static void block_stop(void)
{
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    sigprocmask(SIG_BLOCK, &stop, NULL);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: bare PORT THREADS\n");
        return 64;
    }
    char address[64];
    snprintf(address, sizeof address, "127.0.0.1:%s", argv[1]);
    const char *settings[] = {
        "listening_ports",
        address,
        "num_threads",
        argv[2],
        "listen_backlog",
        "1024",
        "max_request_size",
        "65536",
        "request_timeout_ms",
        "2500",
        "keep_alive_timeout_ms",
        "2500",
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
    const struct mg_callbacks callbacks = {.begin_request = on_request};
    block_stop();
    mg_init_library(MG_FEATURES_DEFAULT);
    struct mg_context *civetweb = mg_start(&callbacks, NULL, settings);
    if (!civetweb) {
        fprintf(stderr, "bare: cannot listen on %s\n", address);
        return EXIT_FAILURE;
    }
    wait_for_stop();
    mg_stop(civetweb);
    mg_exit_library();
    return EXIT_SUCCESS;
}
