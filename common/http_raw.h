/* http_raw: all that rests on what civetweb does and does not document. First used by phase 0.
 *
 * civetweb parses a request in place, in the worker's buffer, and forgives much: folded headers,
 * bare line feeds, spaces before a colon, whitespace before the request line. It hands out pointers
 * into that buffer, and they are enough to see what it forgave. Its error callback tells a time-out
 * from a malformed message only by the time that has passed.
 *
 * A worker thread serves one connection at a time, so what is known about "this connection" is the
 * thread's: the functions below are to be called on the thread that civetweb called us on. */
#ifndef FLASHDEAL_HTTP_RAW_H
#define FLASHDEAL_HTTP_RAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

struct mg_connection;
struct mg_request_info;

/* civetweb's worker buffer; a header block that does not fit ends in its error callback. */
enum { HTTP_RAW_BUFFER_BYTES = 65536 };

/* What the bytes of a request that civetweb accepted are worth. */
enum http_raw_form {
    HTTP_RAW_FINE,
    HTTP_RAW_MALFORMED,     /* not the grammar of RFC 9112 to the letter */
    HTTP_RAW_HEADERS_MANY,  /* as many fields as civetweb keeps: some may have been dropped */
    HTTP_RAW_HEADERS_LARGE, /* request line and header block over HTTP_HEADER_BYTES_MAX */
};

/* Why civetweb gave up on a request. */
enum http_raw_error {
    HTTP_RAW_ERROR_MALFORMED, /* also: a header block over HTTP_RAW_BUFFER_BYTES */
    HTTP_RAW_ERROR_LENGTH,    /* Content-Length is negative, empty or no number */
    HTTP_RAW_ERROR_TIMEOUT,
    HTTP_RAW_ERROR_VERSION,
    HTTP_RAW_ERROR_INTERNAL,
};

/* civetweb's request_timeout_ms and keep_alive_timeout_ms so that a header, dripped or not, is
 * given up between half of read_timeout_ms and all of it. */
int http_raw_timeout_ms(int read_timeout_ms);

/* The thread starts to wait for a request now: call when a connection opens and when a request is
 * done. */
void http_raw_note_waiting(void);

/* Holds the bytes in civetweb's buffer against the grammar, once: it erases the mark that it looks
 * for at the end, so that the next request cannot be taken for this one, and the blanks at the end
 * of values. Call in begin_request, before any field of info is believed. Does not block; O(header
 * bytes). */
enum http_raw_form http_raw_check(const struct mg_request_info *info);

/* Whether descriptor fd is the connection's that info is of, as far as the kernel can tell. */
typedef bool http_raw_fits(int fd, const struct mg_request_info *info);

/* Learns where civetweb keeps a connection's descriptor, if that is not known yet: costs some
 * microseconds once, or a few times. Call in begin_request. */
void http_raw_learn_socket(const struct mg_request_info *info, http_raw_fits *fits);

/* What stands there, -1 if the place is not known: probably the connection's descriptor, to be
 * checked. From any thread, while the request is served. */
int http_raw_socket(const struct mg_request_info *info);

/* Tells why civetweb called http_error with this status and message; read_timeout_ms is the
 * listener's. */
enum http_raw_error http_raw_classify(int status, const char *message, int read_timeout_ms);

/* Bytes that civetweb received together with the head of this thread's request, behind it: of its
 * body, or of what follows. The same until the request ends; 0 if it cannot be told. */
size_t http_raw_arrived(void);

/* Reads exactly length bytes of the request's body. ST_OK; ST_TIMEOUT: given up, between half of
 * read_timeout_ms and all of it, or the peer left. Blocks that long at most. */
MUST_USE enum status http_raw_read_body(struct mg_connection *mg, char *body, size_t length,
                                        int read_timeout_ms);

#endif
