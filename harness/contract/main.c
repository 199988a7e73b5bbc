/* contract: the black-box suite; any phase, a copy of one, or a server in another language.
 *
 * Reads the options, remembers the target's state, and runs every row and test that applies to the
 * phase, each as a Check case of its own name, so that the count is the number of rows and a
 * failure names its row. One process, one thread (CK_FORK=no would change nothing: it never forks).
 * It judges replies only; whether they are replies that openapi.yaml allows, conform.py says from
 * the exchanges written here.
 *
 * Exit status: 0 all passed, 1 not, 2 the target cannot be reached, 64 usage. */
#include <curl/curl.h>
#include <stdlib.h>

#include "common/tests/harness.h"
#include "harness/contract/contract.h"
#include "harness/contract/exchange.h"
#include "harness/contract/options.h"
#include "harness/contract/store.h"
#include "harness/contract/wire.h"

bool contract_applies(int from, int until, int needs)
{
    int given = (contract.database != NULL ? NEEDS_DATABASE : 0) |
                (contract.at[ADMIN].host[0] != '\0' ? NEEDS_ADMIN : 0) |
                (contract.secret != NULL ? NEEDS_SECRET : 0) |
                (contract.log != NULL ? NEEDS_LOG : 0);
    return contract.phase >= from && (until == 0 || contract.phase < until) &&
           (needs & ~given) == 0;
}

TCase *contract_add_case(Suite *suite, const char *name)
{
    TCase *tc = tcase_create(name);
    tcase_add_checked_fixture(tc, test_watchdog_arm, test_watchdog_disarm);
    tcase_add_checked_fixture(tc, NULL, wire_close_all);
    tcase_add_checked_fixture(tc, NULL, store_rollback);
    suite_add_tcase(suite, tc);
    return tc;
}

void contract_add_tests(Suite *suite, const struct contract_test *tests, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct contract_test *entry = &tests[i];
        if (contract_applies(entry->from, entry->until, entry->needs)) {
            tcase_add_test(contract_add_case(suite, entry->name), entry->test);
        }
    }
}

static void add_group(Suite *suite)
{
    good_cache_add(suite);
    switch (contract.group) {
    case GROUP_WHOLE:
        good_paths_add(suite);
        good_orders_add(suite);
        good_async_add(suite);
        good_wait_add(suite);
        good_refusals_add(suite);
        good_keys_add(suite);
        good_races_add(suite);
        good_wire_add(suite);
        good_auth_add(suite);
        good_admin_add(suite);
        good_metrics_add(suite);
        good_trace_add(suite);
        before_rows_add(suite);
        rows_add(suite);
        break;
    case GROUP_ADMISSION:
        before_rows_add(suite);
        good_rate_add(suite);
        good_queue_add(suite);
        good_line_add(suite);
        good_keys_line_add(suite);
        break;
    case GROUP_TRUSTING:
        before_rows_add(suite);
        good_orders_add(suite);
        good_trusting_add(suite);
        break;
    case GROUP_FORGETFUL:
        before_rows_add(suite);
        good_tickets_add(suite);
        break;
    }
    afterwards_add(suite);
}

static int run_suite(void)
{
    Suite *suite = suite_create("contract");
    add_group(suite);
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
    options_read(argc, argv);
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
