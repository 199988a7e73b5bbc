/* Tests of common/sql_mask: a table of statements before and after, every cut of a long one, and
 * fingerprints. */
#include "common/sql_mask.h"

#include "common/tests/harness.h"

enum { TEXT_SIZE = 512 };

static const struct {
    const char *sql, *masked;
} cases[] = {
    {"", ""},
    {" \n\t ", ""},
    {"  SELECT\n\t 1 ", "SELECT ?"},
    {"SELECT name FROM sales WHERE id = $1 FOR UPDATE",
     "SELECT name FROM sales WHERE id = $1 FOR UPDATE"},
    {"WHERE a=12 AND b=-1.5 AND c>.5 AND d<1e-3 AND e=0xff AND f=1_000",
     "WHERE a=? AND b=-? AND c>? AND d<? AND e=? AND f=?"},
    {"SELECT 1+2, 1e+5-3", "SELECT ?+?, ?-?"},
    {"SELECT col1, t2.x3 FROM t2", "SELECT col1, t2.x3 FROM t2"},
    {"VALUES ('Anna', 'O''Hara', '')", "VALUES (?, ?, ?)"},
    {"SELECT 'a''''b', ''''", "SELECT ?, ?"},
    {"SELECT E'it\\'s', e'\\\\', 'x'", "SELECT ?, ?, ?"},
    {"SELECT 'back\\', 'slash'", "SELECT ?, ?"},
    {"SELECT typee'secret'", "SELECT typee?"},
    {"SELECT X'1f', B'01', U&'d!0061'", "SELECT X?, B?, U&?"},
    {"SELECT \"it's\", 'secret', \"a\"\"'b\"", "SELECT \"it's\", ?, \"a\"\"'b\""},
    {"SELECT $$it's$$, $q$ $$ ' $1 $q$, $1", "SELECT ?, ?, $1"},
    {"SELECT $r1$x$r$y$r1$, 2", "SELECT ?, ?"},
    {"SELECT a$b, c", "SELECT a$b, c"},
    {"a/* it's */b -- don't\nc 'x'", "a b c ?"},
    {"a /* 1 /* 2 */ 'secret' */ b", "a b"},
    {"a - b -- c", "a - b"},
    {"/* lead */ SELECT 'x' /* trail */", "SELECT ?"},
    {"SELECT 'not closed", "SELECT ?"},
    {"SELECT $$not closed", "SELECT ?"},
    {"SELECT 1 /* not closed 'x", "SELECT ?"},
    {"SELECT E'\\", "SELECT ?"},
    {"SELECT \"not closed", "SELECT \"not closed"},
    {"SELECT \xc3\xa4, '\xc3\xa4' FROM \xc3\xa4\xc3\xb6",
     "SELECT \xc3\xa4, ? FROM \xc3\xa4\xc3\xb6"},
    {"LIMIT 1..2", "LIMIT ?"},
    {"SELECT $", "SELECT $"},
};

START_TEST(test_sql_mask_hides_literals_and_nothing_else)
{
    char text[TEXT_SIZE];
    snprintf(text, sizeof text, "%s", cases[_i].sql);
    sql_mask(text);
    ck_assert_str_eq(text, cases[_i].masked);
}
END_TEST

START_TEST(test_sql_mask_leaves_a_masked_text_alone)
{
    char text[TEXT_SIZE];
    snprintf(text, sizeof text, "%s", cases[_i].masked);
    sql_mask(text);
    ck_assert_str_eq(text, cases[_i].masked);
}
END_TEST

/* PostgreSQL cuts a long text anywhere. */
START_TEST(test_sql_mask_hides_literals_of_a_text_that_was_cut)
{
    static const char sql[] = "UPDATE \"o's\" SET a = 'secret', b = E'\\'secret' /* secret */, "
                              "c = $x$secret$x$ -- secret\n WHERE d = 'secret''secret'";
    for (size_t length = 0; length < sizeof sql; length++) {
        char text[sizeof sql];
        snprintf(text, length + 1, "%s", sql);
        sql_mask(text);
        ck_assert_msg(strstr(text, "se") == NULL, "cut after %zu bytes: %s", length, text);
    }
}
END_TEST

static void fingerprint(const char *sql, char out[SQL_FINGERPRINT_SIZE])
{
    char text[TEXT_SIZE];
    snprintf(text, sizeof text, "%s", sql);
    sql_mask(text);
    sql_mask_fingerprint(text, out);
}

START_TEST(test_sql_mask_fingerprint_tells_shapes_apart_and_not_values)
{
    char one[SQL_FINGERPRINT_SIZE], same[SQL_FINGERPRINT_SIZE], other[SQL_FINGERPRINT_SIZE];
    fingerprint("SELECT 1 FROM t WHERE name = 'Anna'", one);
    fingerprint("SELECT  2 FROM t\nWHERE name = 'Bert' -- here", same);
    fingerprint("SELECT 1 FROM u WHERE name = 'Anna'", other);
    ck_assert_uint_eq(strspn(one, "0123456789abcdef"), SQL_FINGERPRINT_SIZE - 1);
    ck_assert_uint_eq(strlen(one), SQL_FINGERPRINT_SIZE - 1);
    ck_assert_str_eq(one, same);
    ck_assert_str_ne(one, other);
    fingerprint("", other);
    ck_assert_str_eq(other, "e3b0c44298fc"); /* SHA-256 of nothing */
}
END_TEST

static void add_tests(TCase *tc)
{
    const int count = sizeof cases / sizeof cases[0];
    tcase_add_loop_test(tc, test_sql_mask_hides_literals_and_nothing_else, 0, count);
    tcase_add_loop_test(tc, test_sql_mask_leaves_a_masked_text_alone, 0, count);
    tcase_add_test(tc, test_sql_mask_hides_literals_of_a_text_that_was_cut);
    tcase_add_test(tc, test_sql_mask_fingerprint_tells_shapes_apart_and_not_values);
}

int main(void)
{
    return test_main("sql_mask", add_tests);
}
