/* Reads civetweb's buffer through the pointers of mg_get_request_info (1.15 and 1.16 alike).
 *
 * What civetweb overwrites with NUL while it parses is what we look for: the single space after
 * method and URI, CR and LF after the version and after each header line, the colon. A NUL too many
 * or too few is a byte that it forgave. The last header must be followed by CR and the NUL that
 * stands for the final LF. Not seen, because the bytes are gone: "\n " in the place of the request
 * line's CRLF.
 *
 * Leading whitespace must not be forgiven: enough of it makes civetweb parse what the *previous*
 * client of this thread left in the buffer. So a request line has to start where the buffer starts.
 * civetweb does not say where that is, but a thread's buffer never moves, and the connection's
 * private part, which lies behind the request_info that we are given, points to it: that pointer is
 * looked for once on each thread. A civetweb without it would have every request refused.
 *
 * The connection's descriptor stands in that private part too. Where, is learnt from the numbers
 * there: the one that fits the connection, when only one does. What stands there for a later
 * connection is a guess that whoever uses it must hold against the kernel's word.
 *
 * mg_read(n) waits anew for each byte that it lacks, without a bound on their sum. So only what
 * came with the head is read in one call, which cannot wait, and the rest byte by byte, against our
 * own deadline. How much came stands in the private part as well, where three numbers follow each
 * other: the buffer's size, which is known, the head's length, and that of all that came. The
 * head's must be what we found, or somebody has sent bytes that look like the end of another head.
 * A civetweb without them has every byte read by itself, which is right as well, and slower. */
#include "common/http_raw.h"

#include <civetweb.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "common/clock.h"
#include "common/http.h"

/* How far behind request_info the private part is looked at, beside response_info. 1.15 has the
 * pointer to the buffer 120 bytes further, and the three numbers from 152 to 164; with addresses of
 * IPv6 in between, up to 24 bytes later. The connection goes on for longer than that. */
enum {
    PRIVATE_BYTES = sizeof(struct mg_response_info) + 160,
    NUMBERS_END = sizeof(struct mg_response_info) + 192,
};

/* How often the place of the descriptor is looked for: a descriptor may equal another number. */
enum { SOCKET_TRIES_MAX = 64 };

static atomic_int socket_at; /* bytes behind request_info; 0: not found yet */
static atomic_int socket_tries;

static _Thread_local const char *buffer; /* this thread's; NULL: not found yet */
static _Thread_local size_t arrived;     /* behind the head of this thread's request */
static _Thread_local int64_t waiting_since_ns;

int http_raw_timeout_ms(int read_timeout_ms)
{
    return read_timeout_ms / 2;
}

void http_raw_note_waiting(void)
{
    waiting_since_ns = clock_now_ns();
}

static bool is_pointed_to(const struct mg_request_info *info, const char *line)
{
    const char *private_part = (const char *)(info + 1);
    for (size_t at = 0; at < PRIVATE_BYTES; at += sizeof line) {
        if (memcmp(private_part + at, &line, sizeof line) == 0) {
            return true;
        }
    }
    return false;
}

static int private_number(const struct mg_request_info *info, size_t at)
{
    int number = 0;
    memcpy(&number, (const char *)(info + 1) + at, sizeof number);
    return number;
}

void http_raw_learn_socket(const struct mg_request_info *info, http_raw_fits *fits)
{
    int found = 0, at_last = 0;
    if (atomic_load(&socket_at) != 0 || atomic_load(&socket_tries) >= SOCKET_TRIES_MAX) {
        return;
    }
    atomic_fetch_add(&socket_tries, 1);
    /* What comes first is the response's part, which is documented and has none. */
    for (size_t at = sizeof(struct mg_response_info); at < PRIVATE_BYTES; at += sizeof found) {
        int number = private_number(info, at);
        if (number >= 0 && fits(number, info)) {
            found++;
            at_last = (int)at;
        }
    }
    if (found == 1) {
        atomic_store(&socket_at, at_last);
    }
}

int http_raw_socket(const struct mg_request_info *info)
{
    int at = atomic_load(&socket_at);
    return at == 0 ? -1 : private_number(info, (size_t)at);
}

static bool starts_buffer(const struct mg_request_info *info)
{
    const char *line = info->request_method;
    if (!buffer && is_pointed_to(info, line)) {
        buffer = line;
    }
    return line == buffer;
}

/* The URI as sent; begin_request finds its '?' replaced by NUL. */
static const char *uri_end(const struct mg_request_info *info)
{
    const char *last = info->query_string ? info->query_string : info->request_uri;
    return last + strlen(last);
}

static bool line_is_exact(const struct mg_request_info *info)
{
    const char *method_end = info->request_method + strlen(info->request_method);
    const char *version = info->http_version - strlen("HTTP/");
    return info->request_uri == method_end + 1 && version == uri_end(info) + 1;
}

/* RFC 9110 5.6.2: the characters of a field's name. */
static bool is_token(const char *text)
{
    static const char allowed[] = "!#$%&'*+-.^_`|~0123456789"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    return *text != '\0' && text[strspn(text, allowed)] == '\0';
}

/* Whether the field's line starts at line; the end of its value is stored in *end. */
static bool field_is_exact(const struct mg_header *field, const char *line, const char **end)
{
    const char *colon = field->name + strlen(field->name);
    for (const char *p = colon + 1; p < field->value; p++) {
        if (*p != ' ' && *p != '\t') { /* a NUL: here the colon was, after a space */
            return false;
        }
    }
    *end = field->value + strlen(field->value);
    return field->name == line && is_token(field->name);
}

/* RFC 9110 5.5: blanks around a value are no part of it; civetweb leaves those at its end. */
static void trim(const char *value, const char *end)
{
    char *last = (char *)(uintptr_t)end;
    while (last > value && (last[-1] == ' ' || last[-1] == '\t')) {
        *--last = '\0';
    }
}

/* After the last line's CR and LF comes the empty line; its LF was overwritten by civetweb. The CR
 * is erased, so that it does not complete a later request that ends in bare line feeds two bytes
 * earlier. */
static bool block_ends(const char *last_end, int fields)
{
    const char carriage_return =
        fields > 0 ? '\r' : '\0'; /* without fields it is overwritten too */
    char *empty_line = (char *)(uintptr_t)(last_end + strlen("\r\n"));
    bool ends = empty_line[0] == carriage_return && empty_line[1] == '\0';
    empty_line[0] = '\0';
    return ends;
}

/* False: the head that civetweb took is not the one of head_bytes that we see. */
static bool learn_arrived(const struct mg_request_info *info, size_t head_bytes)
{
    struct {
        int size, head, all;
    } bytes;
    const char *private_part = (const char *)(info + 1);
    for (size_t at = sizeof(struct mg_response_info); at + sizeof bytes <= NUMBERS_END;
         at += sizeof(int)) {
        memcpy(&bytes, private_part + at, sizeof bytes);
        if (bytes.size == HTTP_RAW_BUFFER_BYTES && bytes.head > 0 && bytes.all >= bytes.head &&
            bytes.all <= bytes.size) {
            arrived = (size_t)(bytes.all - bytes.head);
            return (size_t)bytes.head == head_bytes;
        }
    }
    return true; /* it cannot be told */
}

enum http_raw_form http_raw_check(const struct mg_request_info *info)
{
    arrived = 0;
    if (!starts_buffer(info) || !line_is_exact(info)) {
        return HTTP_RAW_MALFORMED;
    }
    const char *end = info->http_version + strlen(info->http_version);
    for (int i = 0; i < info->num_headers; i++) {
        if (!field_is_exact(&info->http_headers[i], end + 2, &end)) {
            return HTTP_RAW_MALFORMED;
        }
        trim(info->http_headers[i].value, end);
    }
    if (info->num_headers > HTTP_HEADERS_MAX) {
        return HTTP_RAW_HEADERS_MANY;
    }
    /* Before block_ends, which looks further: a block may fill the buffer to its last byte. */
    size_t block_bytes = (size_t)(end + strlen("\r\n\r\n") - info->request_method);
    if (block_bytes > HTTP_HEADER_BYTES_MAX) {
        return HTTP_RAW_HEADERS_LARGE;
    }
    return block_ends(end, info->num_headers) && learn_arrived(info, block_bytes)
               ? HTTP_RAW_FINE
               : HTTP_RAW_MALFORMED;
}

size_t http_raw_arrived(void)
{
    return arrived;
}

enum http_raw_error http_raw_classify(int status, const char *message, int read_timeout_ms)
{
    int64_t timeout_ns = http_raw_timeout_ms(read_timeout_ms) * CLOCK_NS_PER_MS;
    switch (status) {
    case 400: /* time-outs, over-long blocks and NUL bytes share one message */
        if (strcmp(message, "Malformed message") == 0 &&
            clock_now_ns() - waiting_since_ns >= timeout_ns) {
            return HTTP_RAW_ERROR_TIMEOUT;
        }
        return HTTP_RAW_ERROR_MALFORMED;
    case 411:
        return HTTP_RAW_ERROR_LENGTH;
    case 505:
        return HTTP_RAW_ERROR_VERSION;
    default:
        return HTTP_RAW_ERROR_INTERNAL;
    }
}

enum status http_raw_read_body(struct mg_connection *mg, char *body, size_t length,
                               int read_timeout_ms)
{
    /* One step blocks for the other half at most. */
    int64_t deadline_ns = clock_deadline_ns(http_raw_timeout_ms(read_timeout_ms));
    size_t got = arrived < length ? arrived : length;
    if (got > 0 && mg_read(mg, body, got) != (int)got) {
        return ST_TIMEOUT;
    }
    for (; got < length; got++) {
        if (mg_read(mg, body + got, 1) != 1 || clock_now_ns() > deadline_ns) {
            return ST_TIMEOUT;
        }
    }
    return ST_OK;
}
