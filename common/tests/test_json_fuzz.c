/* A small fuzzer for common/json: it mutates bodies, with a fixed seed, and holds what
 * json_read_object accepts against what cJSON makes of the same text. */
#include "common/json.h"

#include <cjson/cJSON.h>

#include "common/tests/json_bodies.h"

enum { FUZZ_ROUNDS = 200000, FUZZ_TEXT_MAX = 512 };

/* ---------------------------------------------------------------------------------- fuzzing */

static uint64_t random_state = UINT64_C(0x9e3779b97f4a7c15); /* a seed: every run is the same */

static size_t random_below(size_t bound) /* xorshift64*, Vigna 2014 */
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (size_t)((random_state * UINT64_C(0x2545f4914f6cdd1d)) >> 33) % bound;
}

struct bytes {
    char at[FUZZ_TEXT_MAX];
    size_t length;
};

static void insert(struct bytes *text, size_t where, const char *piece, size_t length)
{
    if (text->length + length > FUZZ_TEXT_MAX) {
        return;
    }
    memmove(text->at + where + length, text->at + where, text->length - where);
    memcpy(text->at + where, piece, length);
    text->length += length;
}

static void cut(struct bytes *text, size_t where, size_t length)
{
    size_t most = text->length - where;
    size_t gone = length < most ? length : most;
    memmove(text->at + where, text->at + where + gone, most - gone);
    text->length -= gone;
}

static void mutate(struct bytes *text)
{
    static const char *const pieces[] = {
        " ",
        "\n",
        "0",
        "1",
        "9",
        "-",
        ".",
        "e",
        "E",
        "+",
        "\"",
        "\\",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "null",
        "true",
        "\"quantity\":1,",
        ",\"a\":{\"a\":[]}",
        "\\u0071",
        "\\u0000",
        "\\ud83d",
        "\\ude00",
        "\xc3\xa9",
        "\xed\xa0\x80",
        "\xff",
        "\x01",
        "9007199254740993",
        "2147483647",
        "1111111111111111111111111111111111111111111111111111111111111111111111",
    };
    size_t where = random_below(text->length + 1);
    const char *piece = pieces[random_below(sizeof(pieces) / sizeof(pieces[0]))];
    char byte = (char)random_below(256);
    switch (random_below(5)) {
    case 0:
        cut(text, where, 1 + random_below(4));
        break;
    case 1:
        insert(text, where, &byte, 1);
        break;
    case 2:
        cut(text, where, 1);
        insert(text, where, piece, strlen(piece));
        break;
    default:
        insert(text, where, piece, strlen(piece));
        break;
    }
}

/* What was accepted, cJSON reads the same; printed by cJSON, it is accepted with the same values.
 */
static void expect_same_by_cjson(const struct bytes *text)
{
    int64_t values[FIELDS];
    cJSON *tree = cJSON_ParseWithLength(text->at, text->length);
    ck_assert_msg(tree != NULL, "%.*s", (int)text->length, text->at);
    ck_assert_int_eq(cJSON_GetArraySize(tree), FIELDS);
    for (size_t i = 0; i < FIELDS; i++) {
        values[i] = fields[i].value;
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(tree, fields[i].name);
        ck_assert(cJSON_IsNumber(item));
        ck_assert_double_eq(item->valuedouble, (double)values[i]);
        ck_assert(values[i] >= fields[i].minimum && values[i] <= fields[i].maximum);
    }
    for (size_t i = 0; i < FIELDS; i++) { /* cJSON prints 15 digits of a number; a raw text whole */
        char digits[32];
        snprintf(digits, sizeof(digits), "%lld", (long long)values[i]);
        cJSON_ReplaceItemInObjectCaseSensitive(tree, fields[i].name, cJSON_CreateRaw(digits));
    }
    char *again = cJSON_Print(tree);
    ck_assert_int_eq(read_text(again), JSON_OK);
    for (size_t i = 0; i < FIELDS; i++) {
        ck_assert(fields[i].value == values[i]);
    }
    cJSON_free(again);
    cJSON_Delete(tree);
}

START_TEST(test_json_fuzz_accepts_only_what_cjson_reads_the_same)
{
    static const char *const bodies[] = {
        "{\"sale_id\":1,\"user_id\":7,\"quantity\":2}",
        " { \"quantity\" : 2147483647 ,\r\n\t\"sale_id\":9007199254740992, \"user_id\":-12 } ",
        "{\"\\u0073ale_id\":10,\"user_id\":0,\"quantity\":1}",
        "{\"sale_id\":1,\"a\":[1,{\"b\":\"\\ud83d\\ude00 \xc3\xa9\"},[[]],-1.5e+7],\"c\":null}",
        "[{\"a\":1},[],\"x\",-1.5]",
        "{\"a\":[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]}",
    };
    size_t seen[JSON_INVALID_FIELD + 1] = {0};
    for (int round = 0; round < FUZZ_ROUNDS; round++) {
        const char *body = bodies[random_below(sizeof(bodies) / sizeof(bodies[0]))];
        struct bytes text = {.length = strlen(body)};
        memcpy(text.at, body, text.length);
        for (size_t i = random_below(3) + 1; i > 0; i--) {
            mutate(&text);
        }
        enum json_result result = read_bytes(text.at, text.length);
        seen[result]++;
        if (result == JSON_OK) {
            expect_same_by_cjson(&text);
        }
    }
    for (int result = JSON_OK; result <= JSON_INVALID_FIELD; result++) {
        ck_assert_msg(seen[result] > 0, "the fuzzer never got result %d", result);
    }
    ck_assert_uint_gt(seen[JSON_OK], FUZZ_ROUNDS / 200);
}
END_TEST

static void add_tests(TCase *tc)
{
    tcase_add_test(tc, test_json_fuzz_accepts_only_what_cjson_reads_the_same);
}

int main(void)
{
    return test_main("json_fuzz", add_tests);
}
