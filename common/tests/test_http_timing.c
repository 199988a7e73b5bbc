/* Server-Timing: what a reply says of where its time went, and that it says nothing unasked. */
#include "common/tests/http_server.h"

enum {
    THREADS = 4,
    READ_TIMEOUT_MS = 20000,
    TIMING_MAX = 300, /* bytes of the field, as a client sees it */
};

static int plain_port, timed_port;

/* The number of "name;dur=D", D in ms with three decimals, that text begins with; -1: none. Moves
 * text behind it. */
static double read_metric(const char **text, const char *name)
{
    size_t length = strlen(name);
    char *end = NULL;
    if (strncmp(*text, name, length) != 0 || strncmp(*text + length, ";dur=", 5) != 0) {
        return -1;
    }
    double ms = strtod(*text + length + 5, &end);
    ck_assert(strcspn(*text + length + 5, ".") + 4 == (size_t)(end - *text) - length - 5);
    *text = end;
    return ms;
}

/* validation, then total, and nothing else. */
static void assert_timing(int64_t exchange_ns)
{
    char value[RAW_VALUE_SIZE];
    ck_assert_msg(raw_header(&reply, "Server-Timing", value), "%s", reply.head);
    const char *at = value;
    double validation = read_metric(&at, "validation");
    ck_assert_msg(validation >= 0 && strncmp(at, ", ", 2) == 0, "%s", value);
    at += 2;
    double total = read_metric(&at, "total");
    ck_assert_msg(total >= validation && *at == '\0', "%s", value);
    ck_assert_msg(total * (double)CLOCK_NS_PER_MS < (double)exchange_ns, "%s", value);
}

static const char *const requests[] = {
    GET_HEALTH,
    GET("/big"),
    GET("/decorated"),
    GET("/busy"),
    POST_LENGTH("2"),
    GET("/nothing"),
    "PUT /things HTTP/1.1\r\n" HOST "\r\n",
    "HEAD /health HTTP/1.1\r\n" HOST "\r\n",
    POST_LENGTH("5000"),
    "GET /health HTTP/1.1\r\n\r\n",
    "FOO /health HTTP/1.1\r\n" HOST "\r\n", /* by civetweb */
};
enum { REQUEST_COUNT = sizeof requests / sizeof requests[0] };

START_TEST(test_each_reply_carries_its_times)
{
    test_subject = requests[_i];
    int64_t since_ns = clock_now_ns();
    ask(requests[_i]);
    ck_assert_int_gt(reply.status, 0);
    assert_timing(clock_now_ns() - since_ns);
}
END_TEST

START_TEST(test_times_are_not_told_unless_asked_for)
{
    char value[RAW_VALUE_SIZE];
    raw_port = plain_port;
    close_raw();
    open_raw();
    ask(GET_HEALTH);
    ck_assert(!raw_header(&reply, "Server-Timing", value));
}
END_TEST

static struct stages booked;

/* Times that the test makes up. */
static void booked_get(struct http_request *request, void *context)
{
    (void)context;
    request->stages = booked;
    http_reply(request, 200, "{}");
}

static void ask_booked(void)
{
    ask(GET("/booked"));
    ck_assert_int_eq(reply.status, 200);
}

START_TEST(test_stages_before_the_reply_are_told_in_order)
{
    static const char expected[] = "validation;dur=0.041, pool_wait;dur=1.200, commit;dur=65.536, "
                                   "total;dur=";
    char value[RAW_VALUE_SIZE];
    booked = (struct stages){.spent_ns = {[STAGE_COMMIT] = 65536000,
                                          [STAGE_VALIDATION] = 40900,
                                          [STAGE_POOL_WAIT] = 1200000,
                                          [STAGE_REPLY] = 7000000}};
    ask_booked();
    ck_assert(raw_header(&reply, "Server-Timing", value));
    ck_assert_msg(strncmp(value, expected, strlen(expected)) == 0, "%s", value);
    ck_assert_ptr_null(strstr(value, "reply"));
}
END_TEST

START_TEST(test_longest_times_have_a_bound)
{
    booked = (struct stages){{0}};
    for (int stage = 0; stage < STAGE_REPLY; stage++) {
        booked.spent_ns[stage] = 1000 * 3600 * CLOCK_NS_PER_S;
    }
    ask_booked();
    const char *field = strstr(reply.head, "Server-Timing: ");
    ck_assert_ptr_nonnull(field);
    size_t length = strcspn(field, "\r");
    ck_assert_uint_lt(length, TIMING_MAX);
    for (int stage = 0; stage < STAGE_REPLY; stage++) {
        char expected[64];
        snprintf(expected, sizeof expected, "%s;dur=9999999.999, ", stages_name((enum stage)stage));
        ck_assert_msg(strstr(field, expected) != NULL, "no %s in %.*s", expected, (int)length,
                      field);
    }
    ck_assert_ptr_nonnull(strstr(field, " total;dur="));
}
END_TEST

static void set_up(void)
{
    raw_port = timed_port;
    open_raw();
}

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, close_raw);
    tcase_add_loop_test(tc, test_each_reply_carries_its_times, 0, REQUEST_COUNT);
    tcase_add_test(tc, test_times_are_not_told_unless_asked_for);
    tcase_add_test(tc, test_stages_before_the_reply_are_told_in_order);
    tcase_add_test(tc, test_longest_times_have_a_bound);
}

/* The server without times, and the one with them and one more route. */
static enum status start_both(struct http_server *servers[2], char error[HTTP_ERROR_SIZE])
{
    enum { COUNT = sizeof server_routes / sizeof server_routes[0] };
    static struct http_route routes[COUNT + 1];
    memcpy(routes, server_routes, sizeof server_routes);
    routes[COUNT] = (struct http_route){"GET", "/booked", booked_get, NULL, false, false};
    struct http_options options =
        server_options(plain_port, THREADS, READ_TIMEOUT_MS, HTTP_DRAIN_MS);
    enum status status = http_start(&options, &servers[0], error);
    if (status != ST_OK) {
        return status;
    }
    options.port = timed_port;
    options.server_timing = true;
    options.routes = routes;
    options.route_count = COUNT + 1;
    return http_start(&options, &servers[1], error);
}

int main(void)
{
    struct http_server *servers[2] = {NULL, NULL};
    char error[HTTP_ERROR_SIZE] = "";
    test_watchdog_start();
    plain_port = free_port();
    timed_port = free_port();
    if (start_both(servers, error) != ST_OK) {
        fprintf(stderr, "http_timing: %s\n", error);
        return EXIT_FAILURE;
    }
    int exit_status = test_main("http_timing", add_tests);
    if (http_stop(servers[0]) != ST_OK || http_stop(servers[1]) != ST_OK) {
        fprintf(stderr, "http_timing: not stopped\n");
        return EXIT_FAILURE;
    }
    return exit_status;
}
