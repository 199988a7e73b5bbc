/* test_loadgen_reply: replies in every division into packets, broken ones, and random bytes; what
 * is read from their bodies; tokens against a known answer. */
#include "common/tests/harness.h"

#include "common/xalloc.h"
#include "harness/loadgen/answer.h"
#include "harness/loadgen/reply.h"
#include "harness/loadgen/rng.h"
#include "harness/loadgen/token.h"

enum { FUZZ_ROUNDS = 20000, FUZZ_BYTES = 400 };

static struct reply reply;

/* Feeds text in pieces of the given size; stops at the first that is not REPLY_MORE. The pieces are
 * copied to memory of their own size, so that ASan sees a read beyond. */
static enum reply_progress feed(const char *text, size_t length, size_t piece)
{
    reply_init(&reply);
    for (size_t at = 0; at < length; at += piece) {
        const size_t now = length - at < piece ? length - at : piece;
        char *bytes = malloc(now);
        ck_assert_ptr_nonnull(bytes);
        memcpy(bytes, text + at, now);
        const enum reply_progress progress = reply_feed(&reply, bytes, now);
        free(bytes);
        if (progress != REPLY_MORE) {
            return progress;
        }
    }
    return REPLY_MORE;
}

static void check_body(const char *text, int http, const char *body, bool keep_alive)
{
    for (size_t piece = 1; piece <= strlen(text); piece++) {
        ck_assert_int_eq(feed(text, strlen(text), piece), REPLY_DONE);
        ck_assert_int_eq(reply.http, http);
        ck_assert_str_eq(reply.body, body);
        ck_assert_uint_eq(reply.body_length, strlen(body));
        ck_assert_int_eq(reply.keep_alive, keep_alive);
    }
}

START_TEST(test_reply_reads_every_framing_in_every_division)
{
    check_body("HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello", 201, "hello", true);
    check_body("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
               "3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: 1\r\n\r\n",
               200, "hello", true);
    check_body("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 409 Conflict\r\nContent-Length: 2\r\n\r\nno",
               409, "no", true);
    check_body("HTTP/1.1 204 No Content\r\n\r\n", 204, "", true);
    check_body("HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", 503, "",
               false);
    check_body("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok", false);
}
END_TEST

START_TEST(test_reply_without_length_ends_with_the_connection)
{
    static const char text[] = "HTTP/1.1 200 OK\r\n\r\nuntil the end";
    ck_assert_int_eq(feed(text, sizeof(text) - 1, 4), REPLY_MORE);
    ck_assert_int_eq(reply_feed_end(&reply), REPLY_DONE);
    ck_assert_str_eq(reply.body, "until the end");
    ck_assert(!reply.keep_alive);
}
END_TEST

START_TEST(test_reply_cut_in_the_middle_is_bad_wherever_it_is_cut)
{
    static const char text[] = "HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello";
    for (size_t length = 1; length < sizeof(text) - 1; length++) {
        ck_assert_int_eq(feed(text, length, length), REPLY_MORE);
        ck_assert_int_eq(reply_feed_end(&reply), REPLY_BAD);
    }
}
END_TEST

START_TEST(test_reply_end_before_the_first_byte_is_bad)
{
    reply_init(&reply);
    ck_assert_int_eq(reply_feed_end(&reply), REPLY_BAD);
}
END_TEST

START_TEST(test_reply_that_is_not_http_is_bad)
{
    static const char *const texts[] = {
        "garbage\r\n\r\n",
        "\x16\x03\x01 a TLS alert",
        "HTTP/1.1 xyz\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhey",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "GET / HTTP/1.1\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        ck_assert_int_eq(feed(texts[i], strlen(texts[i]), strlen(texts[i])), REPLY_BAD);
        ck_assert_int_eq(feed(texts[i], strlen(texts[i]), 1), REPLY_BAD);
    }
}
END_TEST

START_TEST(test_reply_followed_by_more_bytes_costs_the_connection)
{
    static const char *const texts[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokgarbage",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        ck_assert_int_eq(feed(texts[i], strlen(texts[i]), strlen(texts[i])), REPLY_DONE);
        ck_assert_str_eq(reply.body, "ok");
        ck_assert(!reply.keep_alive);
    }
}
END_TEST

START_TEST(test_reply_keeps_the_first_4_kib_of_a_body)
{
    char text[3 * REPLY_BODY_MAX];
    const int head = snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n",
                              2 * REPLY_BODY_MAX);
    memset(text + head, 'x', (size_t)2 * REPLY_BODY_MAX);
    ck_assert_int_eq(feed(text, (size_t)head + 2 * REPLY_BODY_MAX, 1000), REPLY_DONE);
    ck_assert_uint_eq(reply.body_length, REPLY_BODY_MAX);
    ck_assert(reply.keep_alive);
}
END_TEST

static int retry_after(const char *header, size_t piece)
{
    char text[256];
    snprintf(text, sizeof(text), "HTTP/1.1 503 Busy\r\nA: 9\r\n%sContent-Length: 0\r\n\r\n",
             header);
    ck_assert_int_eq(feed(text, strlen(text), piece), REPLY_DONE);
    return reply.retry_after_s;
}

START_TEST(test_reply_reads_retry_after_in_seconds_only)
{
    for (size_t piece = 1; piece < 40; piece++) {
        ck_assert_int_eq(retry_after("", piece), -1);
        ck_assert_int_eq(retry_after("Retry-After: 17\r\n", piece), 17);
        ck_assert_int_eq(retry_after("rETRY-aFTER:0\r\n", piece), 0);
        ck_assert_int_eq(retry_after("Retry-After: 99999999999999\r\n", piece), RETRY_AFTER_MAX_S);
        ck_assert_int_eq(retry_after("Retry-After: Wed, 21 Oct 2026\r\n", piece), -1);
        ck_assert_int_eq(retry_after("Retry-After-Much: 3\r\n", piece), -1);
        ck_assert_int_eq(retry_after("Retry-Afte: 3\r\n", piece), -1);
    }
}
END_TEST

START_TEST(test_reply_and_answer_survive_mutated_bytes)
{
    static const char good[] =
        "HTTP/1.1 201 Created\r\nRetry-After: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3f\r\n{\"order_id\":\"00000000-0000-4000-8000-000000000001\",\"status\":\"x\"\r\n"
        "1\r\n}\r\n0\r\n\r\n";
    struct rng rng;
    rng_seed(&rng, 21, RNG_ORDER_TIMES);
    for (int round = 0; round < FUZZ_ROUNDS; round++) {
        char text[FUZZ_BYTES];
        struct answer answer;
        memcpy(text, good, sizeof(good));
        for (int64_t i = rng_between(&rng, 1, 6); i > 0; i--) {
            text[rng_between(&rng, 0, sizeof(good) - 2)] = (char)rng_between(&rng, 0, 255);
        }
        const size_t piece = (size_t)rng_between(&rng, 1, 200);
        if (feed(text, sizeof(good) - 1, piece) == REPLY_MORE) {
            (void)reply_feed_end(&reply);
        }
        ck_assert_uint_le(reply.body_length, REPLY_BODY_MAX);
        answer_read(reply.body, reply.body_length, &answer);
        ck_assert(answer.order_id[0] == '\0' || uuid_is_valid(answer.order_id));
    }
}
END_TEST

static struct answer answer_of(const char *body)
{
    struct answer answer;
    answer_read(body, strlen(body), &answer);
    return answer;
}

START_TEST(test_answer_reads_orders_and_problems)
{
    struct answer answer = answer_of("{\"order_id\":\"00000000-0000-4000-8000-00000000000a\","
                                     "\"status\":\"rejected\",\"reason\":\"sold_out\"}");
    ck_assert_str_eq(answer.order_id, "00000000-0000-4000-8000-00000000000a");
    ck_assert_int_eq(answer.state, STATE_REJECTED);
    ck_assert_str_eq(answer.code, "sold_out");
    answer = answer_of("{\"status\":503,\"code\":\"queue_full\",\"request_id\":\"x\"}");
    ck_assert_str_eq(answer.order_id, "");
    ck_assert_int_eq(answer.state, STATE_NONE);
    ck_assert_str_eq(answer.code, "queue_full");
}
END_TEST

START_TEST(test_answer_lets_nothing_through_that_breaks_a_journal_line)
{
    const struct answer answer =
        answer_of("{\"code\":\"a\\tb\\n\\u001bc\",\"order_id\":\"1\\t2\"}");
    ck_assert_str_eq(answer.code, "a_b__c");
    ck_assert_str_eq(answer.order_id, "");
    char body[300];
    memset(body, 'x', sizeof(body));
    memcpy(body, "{\"code\":\"", 9);
    memcpy(body + sizeof(body) - 3, "\"}", 3);
    ck_assert_uint_eq(strlen(answer_of(body).code), ANSWER_CODE_SIZE - 1);
}
END_TEST

START_TEST(test_answer_of_anything_else_is_empty)
{
    static const char *const bodies[] = {"",
                                         "null",
                                         "[1]",
                                         "{",
                                         "{\"order_id\":7,\"status\":{}}",
                                         "{\"ORDER_ID\":\"00000000-0000-4000-8000-00000000000a\"}"};
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        const struct answer answer = answer_of(bodies[i]);
        ck_assert_str_eq(answer.order_id, "");
        ck_assert_str_eq(answer.code, "");
        ck_assert_int_eq(answer.state, STATE_NONE);
    }
}
END_TEST

START_TEST(test_token_is_the_documented_hmac_and_the_next_one_too)
{
    /* printf %s 7.1893456000 | openssl dgst -sha256 -hmac secret */
    static const char seven[] =
        "7.1893456000.051a646d8601db0847919a7922c2d7e919c9f8c69732cc383724b485d3968a14";
    static const char eight[] =
        "8.1893456000.90c65c17c6acef0663c84230e2b770fd42fed65c02ceb5a0aa6636f31de7d5c1";
    char token[TOKEN_SIZE];
    struct token_maker *maker = token_maker_create("secret", 1893456000);
    ck_assert_ptr_nonnull(maker);
    token_make(maker, 7, token);
    ck_assert_str_eq(token, seven);
    token_make(maker, 8, token);
    ck_assert_str_eq(token, eight);
    token_make(maker, 7, token);
    ck_assert_str_eq(token, seven);
    token_maker_destroy(maker);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_test(tc, test_reply_reads_every_framing_in_every_division);
    tcase_add_test(tc, test_reply_without_length_ends_with_the_connection);
    tcase_add_test(tc, test_reply_cut_in_the_middle_is_bad_wherever_it_is_cut);
    tcase_add_test(tc, test_reply_end_before_the_first_byte_is_bad);
    tcase_add_test(tc, test_reply_that_is_not_http_is_bad);
    tcase_add_test(tc, test_reply_followed_by_more_bytes_costs_the_connection);
    tcase_add_test(tc, test_reply_keeps_the_first_4_kib_of_a_body);
    tcase_add_test(tc, test_reply_reads_retry_after_in_seconds_only);
    tcase_add_test(tc, test_reply_and_answer_survive_mutated_bytes);
    tcase_add_test(tc, test_answer_reads_orders_and_problems);
    tcase_add_test(tc, test_answer_lets_nothing_through_that_breaks_a_journal_line);
    tcase_add_test(tc, test_answer_of_anything_else_is_empty);
    tcase_add_test(tc, test_token_is_the_documented_hmac_and_the_next_one_too);
}

int main(void)
{
    return test_main("loadgen_reply", add_tests);
}
