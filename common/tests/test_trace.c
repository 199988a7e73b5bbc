/* Tests of common/trace: what a traceparent must be to be continued, and the identifiers made. */
#include "common/trace.h"

#include "common/tests/harness.h"

enum { THREADS = 4, TRACES_EACH = 5000, TRACES = THREADS * TRACES_EACH };

#define TRACE_ID "0af7651916cd43dd8448eb211c80319c"
#define SPAN_ID "b7ad6b7169203331"
#define ZERO_TRACE "00000000000000000000000000000000"
#define ZERO_SPAN "0000000000000000"

static void assert_id(const char *id, size_t length)
{
    ck_assert_uint_eq(strlen(id), length);
    ck_assert_uint_eq(strspn(id, "0123456789abcdef"), length);
    ck_assert_uint_lt(strspn(id, "0"), length);
}

/* ---------------------------------------------------------------------------------- continued */

struct good {
    const char *traceparent;
    bool sampled;
};

static const struct good goods[] = {
    {"00-" TRACE_ID "-" SPAN_ID "-00", false},
    {"00-" TRACE_ID "-" SPAN_ID "-01", true},
    {"00-" TRACE_ID "-" SPAN_ID "-02", false},
    {"00-" TRACE_ID "-" SPAN_ID "-03", true},
    {"00-" TRACE_ID "-" SPAN_ID "-0a", false},
    {"00-" TRACE_ID "-" SPAN_ID "-ff", true},
    {"01-" TRACE_ID "-" SPAN_ID "-01", true},
    {"cc-" TRACE_ID "-" SPAN_ID "-00-what-may-come", false},
    {"fe-" TRACE_ID "-" SPAN_ID "-01-", true},
    {"f0-" TRACE_ID "-" SPAN_ID "-01", true},
};
enum { GOOD_COUNT = sizeof goods / sizeof goods[0] };

START_TEST(test_valid_traceparent_is_continued)
{
    struct trace trace;
    memset(&trace, 'x', sizeof trace);
    test_subject = goods[_i].traceparent;
    trace_continue(goods[_i].traceparent, &trace);
    ck_assert_str_eq(trace.trace_id, TRACE_ID);
    ck_assert_str_eq(trace.parent_id, SPAN_ID);
    ck_assert_int_eq(trace.sampled, goods[_i].sampled);
    assert_id(trace.span_id, TRACE_SPAN_SIZE - 1);
    ck_assert_str_ne(trace.span_id, SPAN_ID);
}
END_TEST

/* Ids of one digit that is not 0, at either end. */
START_TEST(test_ids_of_almost_only_zeros_are_continued)
{
    struct trace trace;
    trace_continue("00-00000000000000000000000000000001-1000000000000000-01", &trace);
    ck_assert_str_eq(trace.trace_id, "00000000000000000000000000000001");
    ck_assert_str_eq(trace.parent_id, "1000000000000000");
}
END_TEST

/* ---------------------------------------------------------------------------------- not valid */

static const char *const bads[] = {
    "",
    "0",
    "00",
    "00-",
    "00-" TRACE_ID,
    "00-" TRACE_ID "-",
    "00-" TRACE_ID "-" SPAN_ID,
    "00-" TRACE_ID "-" SPAN_ID "-",
    "00-" TRACE_ID "-" SPAN_ID "-0",
    "00-" TRACE_ID "-" SPAN_ID "-011",
    "00-" TRACE_ID "-" SPAN_ID "-01-",
    "00-" TRACE_ID "-" SPAN_ID "-01-more",
    "00-" TRACE_ID "-" SPAN_ID "-01 ",
    " 00-" TRACE_ID "-" SPAN_ID "-01",
    "01-" TRACE_ID "-" SPAN_ID "-011",
    "01-" TRACE_ID "-" SPAN_ID "-01.",
    "ff-" TRACE_ID "-" SPAN_ID "-01",
    "FF-" TRACE_ID "-" SPAN_ID "-01",
    "0g-" TRACE_ID "-" SPAN_ID "-01",
    "0-" TRACE_ID "-" SPAN_ID "-01",
    "00-" ZERO_TRACE "-" SPAN_ID "-01",
    "00-" TRACE_ID "-" ZERO_SPAN "-01",
    "cc-" ZERO_TRACE "-" SPAN_ID "-01",
    "00-0AF7651916CD43DD8448EB211C80319C-" SPAN_ID "-01",
    "00-" TRACE_ID "-B7AD6B7169203331-01",
    "00-" TRACE_ID "-" SPAN_ID "-0A",
    "00-0af7651916cd43dd8448eb211c80319g-" SPAN_ID "-01",
    "00-" TRACE_ID "-b7ad6b716920333.-01",
    "00-" TRACE_ID "-" SPAN_ID "-0x",
    "00_" TRACE_ID "-" SPAN_ID "-01",
    "00-" TRACE_ID "_" SPAN_ID "-01",
    "00-" TRACE_ID "-" SPAN_ID "_01",
    "00-0af7651916cd43dd8448eb211c80319-" SPAN_ID "-01",
    "00-" TRACE_ID "c-" SPAN_ID "-01",
    "00-" TRACE_ID "-" SPAN_ID "1-01",
    "00" TRACE_ID SPAN_ID "01",
};
enum { BAD_COUNT = sizeof bads / sizeof bads[0] };

/* On the heap, to its last byte: the sanitizers see a read behind it. */
START_TEST(test_other_traceparent_begins_a_trace)
{
    struct trace trace;
    memset(&trace, 'x', sizeof trace);
    test_subject = bads[_i];
    char *text = strdup(bads[_i]);
    trace_continue(text, &trace);
    free(text);
    assert_id(trace.trace_id, TRACE_ID_SIZE - 1);
    assert_id(trace.span_id, TRACE_SPAN_SIZE - 1);
    ck_assert_str_eq(trace.parent_id, "");
    ck_assert(!trace.sampled);
    ck_assert_str_ne(trace.trace_id, TRACE_ID);
}
END_TEST

START_TEST(test_no_traceparent_begins_a_trace)
{
    struct trace trace;
    memset(&trace, 'x', sizeof trace);
    trace_continue(NULL, &trace);
    assert_id(trace.trace_id, TRACE_ID_SIZE - 1);
    assert_id(trace.span_id, TRACE_SPAN_SIZE - 1);
    ck_assert_str_eq(trace.parent_id, "");
    ck_assert(!trace.sampled);
}
END_TEST

/* --------------------------------------------------------------------------------- identifiers */

static struct trace traces[TRACES];
static pthread_barrier_t start;

static void *make_traces(void *from)
{
    struct trace *mine = from;
    pthread_barrier_wait(&start);
    for (int i = 0; i < TRACES_EACH; i++) {
        trace_continue(NULL, &mine[i]);
    }
    return NULL;
}

static int compare_traces(const void *a, const void *b)
{
    return strcmp(((const struct trace *)a)->trace_id, ((const struct trace *)b)->trace_id);
}

static int compare_spans(const void *a, const void *b)
{
    return strcmp(((const struct trace *)a)->span_id, ((const struct trace *)b)->span_id);
}

static void make_all(void)
{
    pthread_t threads[THREADS];
    pthread_barrier_init(&start, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        struct trace *first = &traces[i * TRACES_EACH];
        ck_assert_int_eq(pthread_create(&threads[i], NULL, make_traces, first), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_barrier_destroy(&start);
}

START_TEST(test_no_id_is_made_twice_by_threads_at_once)
{
    make_all();
    qsort(traces, TRACES, sizeof traces[0], compare_traces);
    for (int i = 1; i < TRACES; i++) {
        ck_assert_str_ne(traces[i - 1].trace_id, traces[i].trace_id);
    }
    qsort(traces, TRACES, sizeof traces[0], compare_spans);
    for (int i = 1; i < TRACES; i++) {
        ck_assert_str_ne(traces[i - 1].span_id, traces[i].span_id);
    }
}
END_TEST

/* Every digit of an id takes every value: 20,000 draws miss one with a chance under 10^-500. */
START_TEST(test_every_digit_of_an_id_varies)
{
    make_all();
    for (int at = 0; at < TRACE_ID_SIZE - 1; at++) {
        bool seen[256] = {false};
        int values = 0;
        for (int i = 0; i < TRACES; i++) {
            unsigned char digit = (unsigned char)traces[i].trace_id[at];
            values += !seen[digit];
            seen[digit] = true;
        }
        ck_assert_int_eq(values, 16);
    }
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_loop_test(tc, test_valid_traceparent_is_continued, 0, GOOD_COUNT);
    tcase_add_test(tc, test_ids_of_almost_only_zeros_are_continued);
    tcase_add_loop_test(tc, test_other_traceparent_begins_a_trace, 0, BAD_COUNT);
    tcase_add_test(tc, test_no_traceparent_begins_a_trace);
    tcase_add_test(tc, test_no_id_is_made_twice_by_threads_at_once);
    tcase_add_test(tc, test_every_digit_of_an_id_varies);
}

int main(void)
{
    return test_main("trace", add_tests);
}
