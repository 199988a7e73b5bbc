/* Judges a request's head before anything of it is used: framing first, then what is in the fields.
 *
 * Two readers of one message must not disagree on where it ends. So a length that civetweb would
 * guess at ("2abc", "+2", two of them, one beside Transfer-Encoding) is refused, and every such
 * refusal closes the connection. A body is wanted only where the route takes one. */
#include "common/http_conn.h"

#include <civetweb.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "common/http_raw.h"

static const struct http_refusal malformed = {
    400, "bad_request", "The request line or a header field is malformed.", true};
static const struct http_refusal host_wrong = {
    400, "bad_request", "The request needs exactly one Host field that fits its target.", true};
static const struct http_refusal length_wrong = {
    400, "bad_content_length", "Content-Length must be one whole number, and stand alone.", true};
static const struct http_refusal uri_long = {414, "uri_too_long",
                                             "Path and query may have 1024 bytes.", true};
static const struct http_refusal headers_large = {
    431, "headers_too_large", "A request may have 63 header fields and 16 KiB of them.", true};
static const struct http_refusal media_wrong = {
    415, "unsupported_media_type", "The body must be application/json, not encoded.", false};
static const struct http_refusal length_missing = {
    411, "length_required", "A body needs a Content-Length and no Transfer-Encoding.", true};
static const struct http_refusal body_large = {413, "body_too_large",
                                               "The body is larger than this path takes.", true};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The length of text without the blanks at its end. */
static size_t trimmed_length(const char *text, size_t length)
{
    while (length > 0 && is_blank(text[length - 1])) {
        length--;
    }
    return length;
}

/* Whether all options of a Connection field are keep-alive; any other is taken as close. */
static bool only_keep_alive(const char *value)
{
    static const char option[] = "keep-alive";
    for (;;) {
        value += strspn(value, " \t");
        size_t length = strcspn(value, ",");
        if (trimmed_length(value, length) != strlen(option) ||
            strncasecmp(value, option, strlen(option)) != 0) {
            return false;
        }
        if (value[length] == '\0') {
            return true;
        }
        value += length + 1;
    }
}

/* Parses 1*DIGIT; a value too large for size_t becomes SIZE_MAX. */
static bool parse_length(const char *text, size_t *out)
{
    size_t digits = strlen(text);
    size_t value = 0;
    for (size_t i = 0; i < digits; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        size_t digit = (size_t)(text[i] - '0');
        value = value > (SIZE_MAX - digit) / 10 ? SIZE_MAX : value * 10 + digit;
    }
    *out = value;
    return digits > 0;
}

static void note_identity(const struct mg_header *field, struct http_frame *frame)
{
    if (strcasecmp(field->name, "Authorization") == 0) {
        frame->authorizations++;
        frame->authorization = field->value;
    } else if (strcasecmp(field->name, "X-Request-Id") == 0) {
        frame->request_ids++;
        frame->request_id = field->value;
    } else if (strcasecmp(field->name, "traceparent") == 0) {
        frame->traces++;
        frame->traceparent = field->value;
    }
}

static void note_field(const struct mg_header *field, struct http_frame *frame)
{
    if (strcasecmp(field->name, "Host") == 0) {
        frame->hosts++;
    } else if (strcasecmp(field->name, "Content-Length") == 0) {
        frame->lengths++;
        frame->content_length = field->value;
    } else if (strcasecmp(field->name, "Content-Type") == 0) {
        frame->types++;
        frame->content_type = field->value;
    } else if (strcasecmp(field->name, "Content-Encoding") == 0) {
        frame->has_encoding = true;
    } else if (strcasecmp(field->name, "Transfer-Encoding") == 0) {
        frame->has_transfer = true;
    } else if (strcasecmp(field->name, "Expect") == 0) {
        frame->expects_continue = strcasecmp(field->value, "100-continue") == 0;
    } else if (strcasecmp(field->name, "Connection") == 0) {
        bool stays = only_keep_alive(field->value);
        frame->stays_open = stays && (frame->stays_open || !frame->has_connection);
        frame->has_connection = true;
    } else {
        note_identity(field, frame);
    }
}

static void read_fields(const struct mg_request_info *info, struct http_frame *frame)
{
    bool is_1_1 = strcmp(info->http_version, "1.1") == 0;
    *frame = (struct http_frame){.stays_open = is_1_1};
    for (int i = 0; i < info->num_headers; i++) {
        note_field(&info->http_headers[i], frame);
    }
    frame->expects_continue = frame->expects_continue && is_1_1;
}

static const struct http_refusal *check_length(struct http_frame *frame)
{
    if (frame->lengths == 0) {
        return NULL;
    }
    if (frame->lengths > 1 || frame->has_transfer ||
        !parse_length(frame->content_length, &frame->length)) {
        return &length_wrong;
    }
    return NULL;
}

/* An absolute URI must name the host that the Host field names; civetweb has compared the port. */
static bool target_fits_host(const struct mg_request_info *info)
{
    if (info->request_uri[0] == '/') {
        return true;
    }
    const char *authority = strstr(info->request_uri, "//");
    const char *host = NULL;
    for (int i = 0; i < info->num_headers; i++) {
        if (strcasecmp(info->http_headers[i].name, "Host") == 0) {
            host = info->http_headers[i].value;
        }
    }
    if (!authority || !host) {
        return false;
    }
    authority += strlen("//");
    size_t length = strlen(host);
    return strncasecmp(authority, host, length) == 0 && authority + length == info->local_uri_raw;
}

static const struct http_refusal *check_host(const struct mg_request_info *info,
                                             const struct http_frame *frame)
{
    bool is_1_0 = strcmp(info->http_version, "1.0") == 0;
    bool counts = frame->hosts == 1 || (is_1_0 && frame->hosts == 0);
    return counts && target_fits_host(info) ? NULL : &host_wrong;
}

static size_t uri_bytes(const struct mg_request_info *info)
{
    size_t query = info->query_string ? 1 + strlen(info->query_string) : 0;
    return strlen(info->local_uri_raw) + query;
}

const struct http_refusal *http_check_frame(const struct mg_request_info *info,
                                            struct http_frame *frame)
{
    switch (http_raw_check(info)) {
    case HTTP_RAW_MALFORMED:
        return &malformed;
    case HTTP_RAW_HEADERS_MANY:
    case HTTP_RAW_HEADERS_LARGE:
        return &headers_large;
    case HTTP_RAW_FINE:
        break;
    }
    read_fields(info, frame);
    const struct http_refusal *refusal = check_length(frame);
    if (!refusal) {
        refusal = check_host(info, frame);
    }
    if (!refusal && uri_bytes(info) > HTTP_URI_MAX) {
        refusal = &uri_long;
    }
    return refusal;
}

/* application/json, with or without parameters. */
static bool is_json(const char *type)
{
    static const char json[] = "application/json";
    if (strncasecmp(type, json, strlen(json)) != 0) {
        return false;
    }
    const char *rest = type + strlen(json);
    rest += strspn(rest, " \t");
    return *rest == '\0' || *rest == ';';
}

const struct http_refusal *http_check_body(const struct http_frame *frame, bool takes_json)
{
    if (takes_json && (frame->types != 1 || !is_json(frame->content_type) || frame->has_encoding)) {
        return &media_wrong;
    }
    if (frame->has_transfer || (takes_json && frame->lengths == 0)) {
        return &length_missing;
    }
    size_t limit = takes_json ? HTTP_BODY_MAX : 0;
    return frame->length > limit ? &body_large : NULL;
}

const struct http_refusal *http_check_error(enum http_raw_error error)
{
    static const struct http_refusal late = {408, "request_timeout",
                                             "The request did not arrive in time.", true};
    static const struct http_refusal version = {
        505, "http_version_not_supported", "Only HTTP/1.0 and HTTP/1.1 are spoken here.", true};
    static const struct http_refusal internal = {500, "internal_error",
                                                 "The server met a fault of its own.", true};
    switch (error) {
    case HTTP_RAW_ERROR_MALFORMED:
        return &malformed;
    case HTTP_RAW_ERROR_LENGTH:
        return &length_wrong;
    case HTTP_RAW_ERROR_TIMEOUT:
        return &late;
    case HTTP_RAW_ERROR_VERSION:
        return &version;
    case HTTP_RAW_ERROR_INTERNAL:
        break;
    }
    return &internal;
}
