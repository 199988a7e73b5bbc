/* good_paths: what a well-behaved client gets from the routes that every phase has. */
#include <check.h>
#include <string.h>

#include "common/clock.h"
#include "harness/contract/client.h"
#include "harness/contract/contract.h"
#include "harness/contract/judge.h"

enum { SLEEP_MS = 200, REPEATS = 20 };

/* "2026-01-31T23:59:59Z", with or without a fraction. */
static bool is_utc_time(const char *text)
{
    static const char shape[] = "dddd-dd-ddTdd:dd:dd";
    for (size_t i = 0; i < sizeof(shape) - 1; i++) {
        bool digit = text[i] >= '0' && text[i] <= '9';
        if (shape[i] == 'd' ? !digit : text[i] != shape[i]) {
            return false;
        }
    }
    const char *rest = text + sizeof(shape) - 1;
    if (rest[0] == '.') {
        size_t digits = strspn(rest + 1, "0123456789");
        rest += digits > 0 ? digits + 1 : 0;
    }
    return strcmp(rest, "Z") == 0;
}

START_TEST(health_answers_200)
{
    cJSON *health = judge_object(client_get("/health"), 200);
    ck_assert_str_eq(judge_text(health, "status"), "ok");
    cJSON_Delete(health);
}
END_TEST

START_TEST(sale_has_every_field_and_no_other)
{
    static const char *const numbers[] = {"id", "price_cents", "stock_total", "stock_left",
                                          "per_user_limit"};
    cJSON *sale = judge_object(client_get_sale(SALE_SEEDED), 200);
    ck_assert_int_eq(cJSON_GetArraySize(sale), 8);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        ck_assert_msg(judge_number(sale, numbers[i]) >= 0, "%s is negative", numbers[i]);
    }
    ck_assert_int_eq(judge_number(sale, "id"), SALE_SEEDED);
    ck_assert_int_le(judge_number(sale, "stock_left"), judge_number(sale, "stock_total"));
    ck_assert_str_ne(judge_text(sale, "name"), "");
    ck_assert(is_utc_time(judge_text(sale, "starts_at")));
    ck_assert(is_utc_time(judge_text(sale, "ends_at")));
    cJSON_Delete(sale);
}
END_TEST

/* Quotes, a backslash, markup and UTF-8 in the name; times that were given in other zones; a price
 * that no 32-bit integer holds. */
START_TEST(sale_shows_what_the_database_holds)
{
    cJSON *sale = judge_object(client_get_sale(SALE_OPEN), 200);
    ck_assert_int_eq(judge_number(sale, "id"), SALE_OPEN);
    ck_assert_str_eq(judge_text(sale, "name"), "O'Brien \"caf\xc3\xa9\" \\ <b>");
    ck_assert_int_eq(judge_number(sale, "price_cents"), 123456789012);
    ck_assert_int_eq(judge_number(sale, "stock_total"), 1000);
    ck_assert_int_eq(judge_number(sale, "per_user_limit"), 1000);
    ck_assert_mem_eq(judge_text(sale, "starts_at"), "2026-01-01T00:03:04", 19);
    ck_assert_mem_eq(judge_text(sale, "ends_at"), "2100-01-01T04:59:59", 19);
    ck_assert(is_utc_time(judge_text(sale, "starts_at")));
    ck_assert(is_utc_time(judge_text(sale, "ends_at")));
    cJSON_Delete(sale);
}
END_TEST

START_TEST(sales_that_are_not_open_can_be_seen)
{
    cJSON_Delete(judge_object(client_get_sale(SALE_NOT_OPEN), 200));
    cJSON_Delete(judge_object(client_get_sale(SALE_ENDED), 200));
}
END_TEST

START_TEST(unknown_sale_is_404)
{
    judge_problem(client_get_sale(SALE_UNKNOWN), 404, "sale_not_found");
    judge_problem(client_get("/sales/9007199254740991"), 404, "sale_not_found");
}
END_TEST

START_TEST(unknown_path_is_404)
{
    judge_problem(client_get("/nothing"), 404, "not_found");
}
END_TEST

static int64_t sleep_for(const char *path, int slept_ms)
{
    int64_t started_ns = clock_now_ns();
    cJSON *slept = judge_object(client_get(path), 200);
    ck_assert_int_eq(judge_number(slept, "slept_ms"), slept_ms);
    cJSON_Delete(slept);
    return (clock_now_ns() - started_ns) / CLOCK_NS_PER_MS;
}

START_TEST(debug_sleep_holds_as_long_as_asked)
{
    sleep_for("/debug/sleep?ms=0", 0);
    sleep_for("/debug/sleep?ms=1", 1);
    ck_assert_int_ge(sleep_for("/debug/sleep?ms=200", SLEEP_MS), SLEEP_MS);
}
END_TEST

/* judge_reply compares each id with all before it. */
START_TEST(request_ids_differ)
{
    for (int i = 0; i < REPEATS; i++) {
        client_get("/health");
        client_get("/nothing");
    }
}
END_TEST

void good_paths_add(Suite *suite)
{
    const struct contract_test tests[] = {
        {"health answers 200", health_answers_200, 0, 0, NEEDS_NOTHING},
        {"a sale has every field and no other", sale_has_every_field_and_no_other, 0, 0,
         NEEDS_NOTHING},
        {"a sale shows what the database holds", sale_shows_what_the_database_holds, 0, 0,
         NEEDS_DATABASE},
        {"sales that are not open can be seen", sales_that_are_not_open_can_be_seen, 0, 0,
         NEEDS_DATABASE},
        {"an unknown sale is 404", unknown_sale_is_404, 0, 0, NEEDS_NOTHING},
        {"an unknown path is 404", unknown_path_is_404, 0, 0, NEEDS_NOTHING},
        {"debug/sleep holds as long as asked", debug_sleep_holds_as_long_as_asked, 0, 2,
         NEEDS_NOTHING},
        {"request ids differ", request_ids_differ, 0, 0, NEEDS_NOTHING},
    };
    contract_add_tests(suite, tests, sizeof(tests) / sizeof(tests[0]));
}
