/* afterwards: what must be as it was, after all that.
 *
 * Stock is read before the first bad row (a case of its own, between the good orders and the rows)
 * and after the last; the process is known by its id and its start time, so that one which died and
 * was started anew is not taken for the same. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/contract/client.h"
#include "harness/contract/contract.h"
#include "harness/contract/store.h"
#include "harness/contract/wire.h"

enum { EXIT_UNKNOWN = 2, STAT_SIZE = 1024, FIELDS_AFTER_NAME = 20 };

static long long stock_seeded = -1;
static long long stock_bad_input = -1;
static long long started_at = -1;

/* Field 22 of /proc/PID/stat, clock ticks since boot; -1 when there is no such process. */
static long long process_start(void)
{
    char path[64], text[STAT_SIZE] = "";
    snprintf(path, sizeof(path), "/proc/%ld/stat", contract.pid);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return -1;
    }
    size_t length = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[length] = '\0';
    const char *at = strrchr(text, ')'); /* the name may hold spaces and brackets */
    for (int i = 0; at != NULL && i < FIELDS_AFTER_NAME; i++) {
        at = strchr(at + 1, ' ');
    }
    return at != NULL ? strtoll(at, NULL, 10) : -1;
}

void afterwards_remember(void)
{
    struct wire *wire = wire_try_open(PUBLIC);
    if (wire == NULL) {
        fprintf(stderr, "contract: nothing listens at %s\n", contract.at[PUBLIC].authority);
        exit(EXIT_UNKNOWN);
    }
    wire_close(wire);
    if (contract.pid != 0 && (started_at = process_start()) < 0) {
        fprintf(stderr, "contract: there is no process %ld\n", contract.pid);
        exit(EXIT_UNKNOWN);
    }
}

START_TEST(stock_is_read_before_bad_input)
{
    stock_seeded = client_stock(SALE_SEEDED);
    if (contract.database != NULL) {
        stock_bad_input = client_stock(SALE_BAD_INPUT);
    }
}
END_TEST

START_TEST(bad_input_cost_no_stock)
{
    ck_assert_msg(stock_seeded >= 0, "the stock was not read before");
    ck_assert_int_eq(client_stock(SALE_SEEDED), stock_seeded);
}
END_TEST

START_TEST(bad_input_left_no_row)
{
    ck_assert_msg(stock_bad_input >= 0, "the stock was not read before");
    ck_assert_int_eq(client_stock(SALE_BAD_INPUT), stock_bad_input);
    ck_assert_int_eq(store_stock(SALE_BAD_INPUT), stock_bad_input);
    ck_assert_int_eq(store_orders(SALE_BAD_INPUT), 0);
}
END_TEST

START_TEST(every_sale_balances)
{
    ck_assert_int_eq(store_unbalanced_sales(), 0);
}
END_TEST

START_TEST(server_is_the_same_process)
{
    ck_assert_int_eq(client_get("/health")->status, 200);
    if (contract.pid != 0) {
        ck_assert_int_eq(process_start(), started_at);
    }
}
END_TEST

void before_rows_add(Suite *suite)
{
    const struct contract_test tests[] = {
        {"the stock is read before bad input", stock_is_read_before_bad_input, 0, 0, NEEDS_NOTHING},
    };
    contract_add_tests(suite, tests, sizeof(tests) / sizeof(tests[0]));
}

void afterwards_add(Suite *suite)
{
    const struct contract_test tests[] = {
        {"bad input cost no stock", bad_input_cost_no_stock, 0, 0, NEEDS_NOTHING},
        {"bad input left no row", bad_input_left_no_row, 0, 0, NEEDS_DATABASE},
        {"every sale balances", every_sale_balances, 0, 0, NEEDS_DATABASE},
        {"the server is the same process", server_is_the_same_process, 0, 0, NEEDS_NOTHING},
    };
    contract_add_tests(suite, tests, sizeof(tests) / sizeof(tests[0]));
}
