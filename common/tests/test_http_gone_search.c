/* The search for a connection's socket among all descriptors, and at the place where
 * civetweb keeps it; without a server, because Debian's civetweb keeps it always in one place and
 * has no IPv6. */
#include <civetweb.h>

#include "common/http_conn.h"
#include "common/tests/http_server.h"

enum {
    CROWD = 600,          /* descriptors beside the one: more than one step of the search */
    PRIVATE_NUMBERS = 40, /* as many as http_raw looks at */
};

struct end {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
    socklen_t size;
};

/* One connection and its listener. */
struct line {
    int listening, client, served;
    struct mg_request_info info; /* as civetweb describes the connection */
};

static struct line line;

static int port_of(int fd)
{
    struct end end = {.size = sizeof end.v6};
    ck_assert_int_eq(getsockname(fd, &end.any, &end.size), 0);
    return ntohs(end.any.sa_family == AF_INET ? end.v4.sin_port : end.v6.sin6_port);
}

static bool listen_at(int fd, const struct end *end)
{
    return fd >= 0 && bind(fd, &end->any, end->size) == 0 && listen(fd, CROWD) == 0;
}

/* False: this machine has no such address. */
static bool open_line(const struct end *end, const char *text)
{
    line.listening = socket(end->any.sa_family, SOCK_STREAM, 0);
    line.client = socket(end->any.sa_family, SOCK_STREAM, 0);
    line.served = -1;
    if (!listen_at(line.listening, end)) {
        return false;
    }
    struct end to = {.size = sizeof to.v6};
    ck_assert_int_eq(getsockname(line.listening, &to.any, &to.size), 0);
    ck_assert_int_eq(connect(line.client, &to.any, to.size), 0);
    line.served = accept(line.listening, NULL, NULL);
    ck_assert_int_ge(line.served, 0);
    line.info = (struct mg_request_info){.remote_port = port_of(line.client),
                                         .server_port = port_of(line.listening)};
    snprintf(line.info.remote_addr, sizeof line.info.remote_addr, "%s", text);
    return true;
}

static void close_line(void)
{
    close(line.listening);
    close(line.client);
    close(line.served);
}

/* Every single one of what is compared must fit. */
static void assert_found_only_as_it_is(void)
{
    struct mg_request_info info = line.info;
    ck_assert_int_eq(http_gone_search(&info), line.served + 1);
    info.remote_port ^= 1;
    ck_assert_int_eq(http_gone_search(&info), HTTP_SOCKET_NONE);
    info = line.info;
    info.server_port ^= 1;
    ck_assert_int_eq(http_gone_search(&info), HTTP_SOCKET_NONE);
    info = line.info;
    info.remote_addr[strlen(info.remote_addr) - 1] = '9';
    ck_assert_int_eq(http_gone_search(&info), HTTP_SOCKET_NONE);
}

static bool open_v4(void)
{
    const struct end end = {
        .v4 = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}},
        .size = sizeof end.v4};
    return open_line(&end, "127.0.0.1");
}

static bool open_v6(void)
{
    const struct end end = {.v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT},
                            .size = sizeof end.v6};
    return open_line(&end, "::1");
}

START_TEST(test_socket_is_found)
{
    ck_assert(open_v4());
    assert_found_only_as_it_is();
}
END_TEST

START_TEST(test_socket_over_ipv6_is_found)
{
    if (open_v6()) {
        assert_found_only_as_it_is();
    } else {
        printf("this machine has no IPv6: not tested\n");
    }
}
END_TEST

/* Files, pipes and other sockets among them, the one behind them all. */
START_TEST(test_socket_is_found_behind_many_descriptors)
{
    static int crowd[CROWD];
    for (int i = 0; i < CROWD; i++) {
        crowd[i] = i % 2 == 0 ? open("/dev/null", O_RDONLY) : socket(AF_UNIX, SOCK_STREAM, 0);
        ck_assert_int_ge(crowd[i], 0);
    }
    ck_assert(open_v4());
    ck_assert_int_gt(line.served, CROWD);
    assert_found_only_as_it_is();
    for (int i = 0; i < CROWD; i++) {
        close(crowd[i]);
    }
}
END_TEST

START_TEST(test_two_that_fit_are_not_told_apart)
{
    ck_assert(open_v4());
    int second = dup(line.served);
    ck_assert_int_eq(http_gone_search(&line.info), HTTP_SOCKET_NONE);
    close(second);
    assert_found_only_as_it_is();
}
END_TEST

/* Its peer's address is gone with the peer; the listener has none either, and is not meant. */
START_TEST(test_reset_socket_is_known_by_its_listener)
{
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};
    ck_assert(open_v4());
    ck_assert_int_eq(setsockopt(line.client, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
    close(line.client);
    line.client = -1;
    ck_assert_int_eq(http_gone_search(&line.info), HTTP_SOCKET_RESET);
    line.info.server_port ^= 1;
    ck_assert_int_eq(http_gone_search(&line.info), HTTP_SOCKET_NONE);
}
END_TEST

/* ----------------------------------------------------------------------------------- the place */

/* As civetweb has it: the private part lies behind the request's. The reply's part comes first. */
struct connection {
    struct mg_request_info info;
    struct mg_response_info reply;
    int numbers[PRIVATE_NUMBERS];
};

static void describe(struct connection *connection, int at, int fd)
{
    memset(connection, 0, sizeof *connection);
    connection->info = line.info;
    connection->numbers[at] = fd;
}

static bool is_served(int fd, const struct mg_request_info *info)
{
    (void)info;
    return fd == line.served;
}

/* In this order: the place is learnt once for the process. */
START_TEST(test_place_is_learnt_when_one_number_fits_and_what_stands_there_is_checked)
{
    enum { PLACE = 5, ANOTHER = 8 };
    struct connection connection;
    ck_assert(open_v4());
    describe(&connection, PLACE, line.served);
    connection.numbers[ANOTHER] = line.served;
    http_raw_learn_socket(&connection.info, is_served);
    ck_assert_int_eq(http_raw_socket(&connection.info), -1); /* which of the two? */
    connection.numbers[ANOTHER] = line.client;
    http_raw_learn_socket(&connection.info, is_served);
    ck_assert_int_eq(http_raw_socket(&connection.info), line.served);
    ck_assert_int_eq(http_gone_find(&connection.info), line.served + 1);
    const int wrong[] = {line.client, line.listening, -1, 1 << 30};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        describe(&connection, PLACE, wrong[i]);
        ck_assert_int_eq(http_raw_socket(&connection.info), wrong[i]);
        ck_assert_int_eq(http_gone_find(&connection.info), line.served + 1);
    }
    /* It tells apart what a search cannot. */
    int second = dup(line.served);
    describe(&connection, PLACE, line.served);
    ck_assert_int_eq(http_gone_find(&connection.info), line.served + 1);
    close(second);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, NULL, close_line);
    tcase_add_test(tc, test_socket_is_found);
    tcase_add_test(tc, test_socket_over_ipv6_is_found);
    tcase_add_test(tc, test_socket_is_found_behind_many_descriptors);
    tcase_add_test(tc, test_two_that_fit_are_not_told_apart);
    tcase_add_test(tc, test_reset_socket_is_known_by_its_listener);
    tcase_add_test(tc, test_place_is_learnt_when_one_number_fits_and_what_stands_there_is_checked);
}

int main(void)
{
    return test_main("http_gone_search", add_tests);
}
