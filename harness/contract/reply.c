/* reply: one HTTP/1.1 reply, read strictly.
 *
 * Parses what the server sent, byte for byte: CRLF line ends, a three-digit status, header names
 * that are tokens, one Content-Length of digits. A lenient reader would hide the server's faults,
 * so this one has no leniency at all. It does not know chunked replies: the service sends none. */
#include "harness/contract/reply.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char TOKEN_MARKS[] = "!#$%&'*+-.^_`|~";

static bool is_token(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (!isalnum((unsigned char)text[i]) && strchr(TOKEN_MARKS, text[i]) == NULL) {
            return false;
        }
    }
    return length > 0 && memchr(text, '\0', length) == NULL;
}

/* The end of the line that starts at bytes: its CR. NULL: not there yet. */
static const char *find_line_end(const char *bytes, const char *end)
{
    for (const char *at = bytes; at + 1 < end; at++) {
        if (at[0] == '\r' && at[1] == '\n') {
            return at;
        }
    }
    return NULL;
}

/* "HTTP/1.1 200 OK" */
static bool read_status_line(const char *line, size_t length, struct reply *out)
{
    static const char version[] = "HTTP/1.1 ";
    const size_t prefix = sizeof(version) - 1;
    if (length < prefix + 4 || memcmp(line, version, prefix) != 0 || line[prefix + 3] != ' ') {
        return false;
    }
    for (size_t i = prefix; i < prefix + 3; i++) {
        if (!isdigit((unsigned char)line[i])) {
            return false;
        }
    }
    out->status = atoi(line + prefix);
    return out->status >= 100 && out->status <= 599;
}

bool reply_add_header(struct reply *reply, const char *name, size_t name_length, const char *value,
                      size_t value_length)
{
    if (reply->header_count == REPLY_HEADERS_MAX || name_length >= REPLY_NAME_SIZE ||
        value_length >= REPLY_VALUE_SIZE) {
        return false;
    }
    struct reply_header *header = &reply->headers[reply->header_count++];
    memcpy(header->name, name, name_length);
    header->name[name_length] = '\0';
    memcpy(header->value, value, value_length);
    header->value[value_length] = '\0';
    return true;
}

static bool read_header_line(const char *line, size_t length, struct reply *out)
{
    const char *colon = memchr(line, ':', length);
    if (colon == NULL || !is_token(line, (size_t)(colon - line))) {
        return false;
    }
    const char *value = colon + 1;
    const char *end = line + length;
    while (value < end && (*value == ' ' || *value == '\t')) {
        value++;
    }
    while (end > value && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    for (const char *at = value; at < end; at++) {
        if (iscntrl((unsigned char)*at) && *at != '\t') {
            return false;
        }
    }
    return reply_add_header(out, line, (size_t)(colon - line), value, (size_t)(end - value));
}

/* The header block: the bytes it takes with its empty line, 0 if not complete, -1 if not one. */
static ssize_t read_head(const char *bytes, size_t length, struct reply *out)
{
    const char *end = bytes + length;
    const char *line = bytes;
    bool first = true;
    for (;;) {
        const char *line_end = find_line_end(line, end);
        if (line_end == NULL) {
            return 0;
        }
        size_t line_length = (size_t)(line_end - line);
        if (!first && line_length == 0) {
            return line_end + 2 - bytes;
        }
        if (first ? !read_status_line(line, line_length, out)
                  : !read_header_line(line, line_length, out)) {
            return -1;
        }
        first = false;
        line = line_end + 2;
    }
}

/* The body's length, or -1. */
static ssize_t announced_length(const struct reply *reply)
{
    const char *value = reply_header(reply, "Content-Length");
    if (reply_count_header(reply, "Content-Length") != 1 ||
        reply_header(reply, "Transfer-Encoding") != NULL || value[0] == '\0' ||
        value[strspn(value, "0123456789")] != '\0') {
        return -1;
    }
    long length = strtol(value, NULL, 10);
    return length <= REPLY_BODY_MAX ? length : -1;
}

ssize_t reply_parse(const char *bytes, size_t length, bool to_head, struct reply *out)
{
    out->status = 0;
    out->header_count = 0;
    out->body_length = 0;
    out->body[0] = '\0';
    out->to_head = to_head;
    ssize_t head = read_head(bytes, length, out);
    if (head <= 0 || out->status < 200) {
        return head;
    }
    if (to_head) { /* a Content-Length is allowed here, and not needed */
        return head;
    }
    ssize_t body = announced_length(out);
    if (body < 0) {
        return -1;
    }
    if ((size_t)head + (size_t)body > length) {
        return 0;
    }
    memcpy(out->body, bytes + head, (size_t)body);
    out->body_length = (size_t)body;
    out->body[body] = '\0';
    return head + body;
}

const char *reply_header(const struct reply *reply, const char *name)
{
    for (size_t i = 0; i < reply->header_count; i++) {
        if (strcasecmp(reply->headers[i].name, name) == 0) {
            return reply->headers[i].value;
        }
    }
    return NULL;
}

int reply_count_header(const struct reply *reply, const char *name)
{
    int count = 0;
    for (size_t i = 0; i < reply->header_count; i++) {
        count += strcasecmp(reply->headers[i].name, name) == 0;
    }
    return count;
}

bool reply_announces_close(const struct reply *reply)
{
    const char *connection = reply_header(reply, "Connection");
    return connection != NULL && strcasecmp(connection, "close") == 0;
}
