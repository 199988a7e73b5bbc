/* contract: the black-box suite; any phase, a copy of one, or a server in another language.
 *
 * Reads the options, remembers the target's state, and runs every row and test that applies to the
 * phase, each as a Check case of its own name, so that the count is the number of rows and a
 * failure names its row. One process, one thread (CK_FORK=no would change nothing: it never forks).
 * It judges replies only; whether they are replies that openapi.yaml allows, conform.py says from
 * the exchanges written here.
 *
 * Exit status: 0 all passed, 1 not, 2 the target cannot be reached, 64 usage. */
#include "harness/contract/contract.h"

#include <ctype.h>
#include <curl/curl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/tests/harness.h"
#include "harness/contract/exchange.h"
#include "harness/contract/store.h"
#include "harness/contract/wire.h"

enum { EXIT_USAGE = 64, READ_TIMEOUT_DEFAULT_MS = 5000 };

struct contract contract = {.phase = -1, .read_timeout_ms = READ_TIMEOUT_DEFAULT_MS};

static const char USAGE[] =
    "usage: contract --url URL --phase N [options]\n"
    "  --url URL              http://host:port of the target\n"
    "  --phase N              the phase whose contract it speaks, 0..8\n"
    "  --database URI         libpq URI of its database: adds the tests that need sales of their "
    "own\n"
    "  --pid PID              the server's process: it must be the same one at the end\n"
    "  --read-timeout-ms MS   its READ_TIMEOUT_MS (default 5000)\n"
    "  --exchanges FILE       append every exchange as a JSON line, for conform.py\n";

static void end_with_usage(const char *complaint)
{
    fprintf(stderr, "contract: %s\n%s", complaint, USAGE);
    exit(EXIT_USAGE);
}

static long read_number(const char *text, long minimum, long maximum, const char *complaint)
{
    char *end = NULL;
    long number = strtol(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end != '\0' || number < minimum || number > maximum) {
        end_with_usage(complaint);
    }
    return number;
}

/* http://host:port, nothing after it but a slash. */
static void read_url(const char *url)
{
    static const char scheme[] = "http://";
    if (strncmp(url, scheme, sizeof(scheme) - 1) != 0) {
        end_with_usage("--url must be http://host:port");
    }
    const char *host = url + sizeof(scheme) - 1;
    size_t length = strcspn(host, "/");
    const char *colon = memchr(host, ':', length);
    size_t host_length = colon != NULL ? (size_t)(colon - host) : length;
    const char *port = colon != NULL ? colon + 1 : "80";
    size_t port_length = colon != NULL ? length - host_length - 1 : strlen(port);
    if (host_length == 0 || host_length >= sizeof(contract.host) || port_length == 0 ||
        port_length >= sizeof(contract.port)) {
        end_with_usage("--url must be http://host:port");
    }
    snprintf(contract.host, sizeof(contract.host), "%.*s", (int)host_length, host);
    snprintf(contract.port, sizeof(contract.port), "%.*s", (int)port_length, port);
    snprintf(contract.authority, sizeof(contract.authority), "%s:%s", contract.host, contract.port);
}

static void read_options(int argc, char **argv)
{
    static const struct option options[] = {
        {"url", required_argument, NULL, 'u'},
        {"phase", required_argument, NULL, 'n'},
        {"database", required_argument, NULL, 'd'},
        {"pid", required_argument, NULL, 'p'},
        {"exchanges", required_argument, NULL, 'x'},
        {"read-timeout-ms", required_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int letter = 0;
    while ((letter = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (letter) {
        case 'u':
            read_url(optarg);
            break;
        case 'n':
            contract.phase = (int)read_number(optarg, 0, CONTRACT_PHASE_MAX, "--phase is 0 to 8");
            break;
        case 'd':
            contract.database = optarg;
            break;
        case 'p':
            contract.pid = read_number(optarg, 1, INT_MAX, "--pid is a process id");
            break;
        case 'x':
            contract.exchanges = optarg;
            break;
        case 't':
            contract.read_timeout_ms =
                (int)read_number(optarg, 100, 60000, "--read-timeout-ms is 100 to 60000");
            break;
        case 'h':
            fputs(USAGE, stdout);
            exit(EXIT_SUCCESS);
        default:
            end_with_usage("an option is not known");
        }
    }
    if (optind != argc || contract.host[0] == '\0' || contract.phase < 0) {
        end_with_usage("--url and --phase are needed, and nothing but options");
    }
}

bool contract_applies(int from, int until)
{
    return contract.phase >= from && (until == 0 || contract.phase < until);
}

TCase *contract_add_case(Suite *suite, const char *name)
{
    TCase *tc = tcase_create(name);
    tcase_add_checked_fixture(tc, test_watchdog_arm, test_watchdog_disarm);
    tcase_add_checked_fixture(tc, NULL, wire_close_all);
    suite_add_tcase(suite, tc);
    return tc;
}

void contract_add_tests(Suite *suite, const struct contract_test *tests, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct contract_test *entry = &tests[i];
        if (!contract_applies(entry->from, entry->until) ||
            (entry->needs_database && contract.database == NULL)) {
            continue;
        }
        TCase *tc = contract_add_case(suite, entry->name);
        tcase_add_test(tc, entry->test);
    }
}

static int run_suite(void)
{
    Suite *suite = suite_create("contract");
    good_paths_add(suite);
    good_orders_add(suite);
    good_races_add(suite);
    good_wire_add(suite);
    before_rows_add(suite);
    rows_add(suite);
    afterwards_add(suite);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_ENV);
    int run = srunner_ntests_run(runner);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return run > 0 && failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    test_watchdog_start();
    curl_global_init(CURL_GLOBAL_DEFAULT);
    exchange_open(contract.exchanges);
    store_open(contract.database);
    afterwards_remember();
    int result = run_suite();
    store_close();
    exchange_close();
    curl_global_cleanup();
    return result;
}
