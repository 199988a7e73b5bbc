/* Tests of common/status: every constant has a name of its own. */
#include "common/status.h"

#include "common/tests/harness.h"

START_TEST(test_status_names_are_those_of_the_constants)
{
    ck_assert_str_eq(status_name(ST_OK), "ok");
    ck_assert_str_eq(status_name(ST_NOT_FOUND), "not_found");
    ck_assert_str_eq(status_name(ST_INVALID), "invalid");
    ck_assert_str_eq(status_name(ST_BUSY), "busy");
    ck_assert_str_eq(status_name(ST_CLOSED), "closed");
    ck_assert_str_eq(status_name(ST_TIMEOUT), "timeout");
    ck_assert_str_eq(status_name(ST_RETRY), "retry");
    ck_assert_str_eq(status_name(ST_CONSTRAINT), "constraint");
    ck_assert_str_eq(status_name(ST_UNKNOWN), "unknown");
    ck_assert_str_eq(status_name(ST_SCHEMA), "schema");
    ck_assert_str_eq(status_name(ST_DB), "db");
    ck_assert_str_eq(status_name(ST_SYSTEM), "system");
}
END_TEST

START_TEST(test_status_name_of_a_stray_value_is_not_null_and_no_status)
{
    const char *name = status_name((enum status)999);
    ck_assert_ptr_nonnull(name);
    for (int status = ST_OK; status <= ST_SYSTEM; status++) {
        ck_assert_str_ne(name, status_name((enum status)status));
    }
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_test(tc, test_status_names_are_those_of_the_constants);
    tcase_add_test(tc, test_status_name_of_a_stray_value_is_not_null_and_no_status);
}

int main(void)
{
    return test_main("status", add_tests);
}
