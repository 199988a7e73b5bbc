/* exchange: every exchange seen, one JSON object per line, for conform.py.
 *
 * The request is what was sent, byte for byte, so its method and path are read off it leniently: a
 * request line is "METHOD /path HTTP/1.x", anything else has neither. No token is written: of the
 * request's headers only those below are. */
#include "harness/contract/exchange.h"

#include <cjson/cJSON.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { EXIT_UNKNOWN = 2, BASE64_MAX = (REPLY_BODY_MAX + 2) / 3 * 4 + 1 };

static const char *const RECORDED[] = {"Content-Type", "Content-Length",   "Transfer-Encoding",
                                       "Expect",       "Content-Encoding", "Idempotency-Key"};

static FILE *file;
static bool failed;

static void end_with(const char *what)
{
    perror(what);
    exit(EXIT_UNKNOWN);
}

void exchange_open(const char *path)
{
    if (path != NULL && (file = fopen(path, "a")) == NULL) {
        end_with(path);
    }
}

void exchange_close(void)
{
    if (file != NULL && (fclose(file) != 0 || failed)) {
        end_with("exchanges file");
    }
    file = NULL;
}

/* A string of at most length bytes, or null if it holds anything but printable ASCII. */
static cJSON *printable(const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] < ' ' || bytes[i] > '~') {
            return cJSON_CreateNull();
        }
    }
    char *text = strndup(bytes, length);
    cJSON *string = text != NULL ? cJSON_CreateString(text) : NULL;
    free(text);
    return string;
}

/* Where the path begins in "/path" or "http://host/path"; NULL: it is neither. */
static const char *find_path(const char *target, const char *stop)
{
    static const char scheme[] = "http://";
    if ((size_t)(stop - target) > sizeof(scheme) &&
        memcmp(target, scheme, sizeof(scheme) - 1) == 0) {
        target += sizeof(scheme) - 1;
        target = memchr(target, '/', (size_t)(stop - target));
    }
    return target != NULL && target < stop && target[0] == '/' ? target : NULL;
}

static void add_request_line(cJSON *line, const char *head, size_t length)
{
    const char *end = memchr(head, '\n', length);
    const char *space = memchr(head, ' ', length);
    const char *target = space != NULL ? space + 1 : NULL;
    const char *stop =
        target != NULL ? memchr(target, ' ', length - (size_t)(target - head)) : NULL;
    const char *path = stop != NULL ? find_path(target, stop) : NULL;
    bool whole = end != NULL && path != NULL && stop < end && space > head && end - stop > 7 &&
                 strncmp(stop, " HTTP/1.", 8) == 0;
    cJSON_AddItemToObject(line, "method",
                          whole ? printable(head, (size_t)(space - head)) : cJSON_CreateNull());
    cJSON_AddItemToObject(line, "path",
                          whole ? printable(path, (size_t)(stop - path)) : cJSON_CreateNull());
}

static void add_request_header(cJSON *headers, const char *line, size_t length)
{
    for (size_t i = 0; i < sizeof(RECORDED) / sizeof(RECORDED[0]); i++) {
        size_t name_length = strlen(RECORDED[i]);
        if (length > name_length && line[name_length] == ':' &&
            strncasecmp(line, RECORDED[i], name_length) == 0) {
            const char *value = line + name_length + 1;
            size_t value_length = length - name_length - 1;
            while (value_length > 0 && *value == ' ') {
                value++;
                value_length--;
            }
            cJSON_AddItemToObject(headers, RECORDED[i], printable(value, value_length));
        }
    }
}

static void add_request_headers(cJSON *line, const char *head, size_t length)
{
    cJSON *headers = cJSON_AddObjectToObject(line, "request_headers");
    const char *end = head + length;
    for (const char *at = head; at < end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (stop == NULL) {
            break;
        }
        size_t cr = stop > at && stop[-1] == '\r' ? 1 : 0;
        add_request_header(headers, at, (size_t)(stop - at) - cr);
        at = stop + 1;
    }
}

static void add_headers(cJSON *line, const struct reply *reply)
{
    cJSON *headers = cJSON_AddArrayToObject(line, "headers");
    for (size_t i = 0; i < reply->header_count; i++) {
        const char *pair[] = {reply->headers[i].name, reply->headers[i].value};
        cJSON_AddItemToArray(headers, cJSON_CreateStringArray(pair, 2));
    }
}

static void add_body(cJSON *line, const struct reply *reply)
{
    static char encoded[BASE64_MAX];
    for (size_t i = 0; i < reply->body_length; i++) {
        unsigned char byte = (unsigned char)reply->body[i];
        if (byte == '\0' || byte >= 0x80) {
            EVP_EncodeBlock((unsigned char *)encoded, (const unsigned char *)reply->body,
                            (int)reply->body_length);
            cJSON_AddStringToObject(line, "body_base64", encoded);
            return;
        }
    }
    cJSON_AddStringToObject(line, "body", reply->body);
}

void exchange_record(const char *test, const char *head, size_t head_length,
                     const struct reply *reply)
{
    if (file == NULL) {
        return;
    }
    cJSON *line = cJSON_CreateObject();
    cJSON_AddStringToObject(line, "test", test);
    cJSON_AddStringToObject(line, "listener", reply->is_admins ? "admin" : "public");
    add_request_line(line, head, head_length);
    add_request_headers(line, head, head_length);
    cJSON_AddNumberToObject(line, "status", reply->status);
    add_headers(line, reply);
    add_body(line, reply);
    char *text = cJSON_PrintUnformatted(line);
    if (text == NULL || fprintf(file, "%s\n", text) < 0 || fflush(file) != 0) {
        failed = true;
    }
    cJSON_free(text);
    cJSON_Delete(line);
}
