/* client: well-formed requests, by libcurl: the target must get on with a client it does not know.
 *
 * One easy handle for the whole run, so that connections are reused as a client would. What libcurl
 * really sent is what is recorded (its debug callback gives the bytes). */
#include "harness/contract/client.h"

#include <check.h>
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "harness/contract/contract.h"
#include "harness/contract/judge.h"
#include "harness/contract/key.h"
#include "harness/contract/store.h"
#include "harness/contract/token.h"

enum {
    URL_SIZE = 2048,
    PATH_SIZE = 96,
    SENT_SIZE = 8192,
    USERS_PER_SECOND = 1000,
    POLL_MS = 5,
    FIRST_CACHED = 4, /* the phase from which on a sale may be a little old */
};

static CURL *handle;
static struct reply reply;
static char sent[SENT_SIZE];
static size_t sent_length;

static size_t take_body(char *bytes, size_t one, size_t count, void *context)
{
    (void)one;
    (void)context;
    if (reply.body_length + count > REPLY_BODY_MAX) {
        return 0;
    }
    memcpy(reply.body + reply.body_length, bytes, count);
    reply.body_length += count;
    reply.body[reply.body_length] = '\0';
    return count;
}

static size_t take_header(char *line, size_t one, size_t count, void *context)
{
    (void)one;
    (void)context;
    const char *colon = memchr(line, ':', count);
    if (colon == NULL) {
        return count;
    }
    const char *value = colon + 1;
    const char *end = line + count;
    while (value < end && *value == ' ') {
        value++;
    }
    while (end > value && (end[-1] == '\r' || end[-1] == '\n')) {
        end--;
    }
    return reply_add_header(&reply, line, (size_t)(colon - line), value, (size_t)(end - value))
               ? count
               : 0;
}

static int take_sent(CURL *easy, curl_infotype type, char *bytes, size_t length, void *context)
{
    (void)easy;
    (void)context;
    if (type == CURLINFO_HEADER_OUT) {
        sent_length = length < sizeof(sent) ? length : sizeof(sent);
        memcpy(sent, bytes, sent_length);
    }
    return 0;
}

static void prepare(const struct client_request *request, const char *method)
{
    static char url[URL_SIZE];
    if (handle == NULL) {
        handle = curl_easy_init();
        ck_assert_ptr_nonnull(handle);
    }
    curl_easy_reset(handle);
    snprintf(url, sizeof(url), "http://%s%s", contract.at[PUBLIC].authority, request->path);
    curl_easy_setopt(handle, CURLOPT_URL, url);
    curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(handle, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(handle, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, (long)CONTRACT_PATIENCE_MS);
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(handle, CURLOPT_DEBUGFUNCTION, take_sent);
    curl_easy_setopt(handle, CURLOPT_VERBOSE, 1L);
    if (request->body != NULL) {
        curl_easy_setopt(handle, CURLOPT_POSTFIELDS, request->body);
    }
    reply.status = 0;
    reply.header_count = 0;
    reply.body_length = 0;
    reply.body[0] = '\0';
    sent_length = 0;
}

/* The fields that libcurl would not send of itself; the caller frees them. */
static struct curl_slist *make_fields(const struct client_request *request)
{
    char token[TOKEN_LINE_SIZE], key[KEY_LINE_SIZE] = "";
    struct curl_slist *fields = NULL;
    token_field(request->user, token);
    if (request->key != NULL) {
        key_field_of(request->key, key);
    } else if (request->body != NULL && strcmp(request->path, "/orders") == 0) {
        key_field(key);
    }
    const char *const lines[] = {request->body != NULL ? "Content-Type: application/json" : NULL,
                                 token[0] != '\0' ? token : NULL, key[0] != '\0' ? key : NULL,
                                 request->fields[0], request->fields[1]};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        fields = lines[i] != NULL ? curl_slist_append(fields, lines[i]) : fields;
    }
    return fields;
}

const struct reply *client_send(const struct client_request *request)
{
    const char *usual = request->body != NULL ? "POST" : "GET";
    const char *method = request->method != NULL ? request->method : usual;
    prepare(request, method);
    struct curl_slist *fields = make_fields(request);
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, fields);
    CURLcode result = curl_easy_perform(handle);
    curl_slist_free_all(fields);
    ck_assert_msg(result == CURLE_OK, "%s %s: %s", method, request->path,
                  curl_easy_strerror(result));
    long status = 0;
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    reply.status = (int)status;
    judge_reply("client", sent, sent_length, &reply);
    return &reply;
}

const struct reply *client_get(const char *path)
{
    return client_send(&(const struct client_request){.path = path});
}

const struct reply *client_get_sale(long sale)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof(path), "/sales/%ld", sale);
    return client_get(path);
}

const struct reply *client_order_with(const char *key, long sale, long long user, int quantity)
{
    char body[128];
    snprintf(body, sizeof(body), "{\"sale_id\":%ld,\"user_id\":%lld,\"quantity\":%d}", sale, user,
             quantity);
    return client_send(
        &(const struct client_request){.path = "/orders", .body = body, .user = user, .key = key});
}

const struct reply *client_order(long sale, long long user, int quantity)
{
    return client_order_with(NULL, sale, user, quantity);
}

const struct reply *client_get_order(const char *id, long long user)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof(path), "/orders/%s", id);
    return client_send(&(const struct client_request){.path = path, .user = user});
}

const struct reply *client_wait_order(const char *id, long long user, int wait_ms)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof(path), "/orders/%s?wait_ms=%d", id, wait_ms);
    return client_send(&(const struct client_request){.path = path, .user = user});
}

long long client_new_user(void)
{
    static long long next;
    if (next == 0) {
        next = (long long)time(NULL) * USERS_PER_SECOND;
    }
    return ++next;
}

long long client_stock(long sale)
{
    cJSON *object = judge_object(client_get_sale(sale), 200);
    long long stock = judge_number(object, "stock_left");
    cJSON_Delete(object);
    return stock;
}

long long client_fresh_stock(long sale)
{
    int64_t deadline_ns = clock_deadline_ns(CONTRACT_PATIENCE_MS);
    long long expected = store_stock(sale);
    long long stock = client_stock(sale);
    while (stock != expected && contract.phase >= FIRST_CACHED && clock_now_ns() < deadline_ns) {
        clock_sleep_until(clock_deadline_ns(POLL_MS));
        expected = store_stock(sale);
        stock = client_stock(sale);
    }
    ck_assert_msg(stock == expected, "GET says %lld are left, the database %lld", stock, expected);
    return stock;
}
