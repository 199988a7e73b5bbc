/* reply: reads one HTTP/1.1 reply from whatever pieces the network delivers. The grammar is a
 * library's: llhttp where the distribution has it (HAVE_LLHTTP), else its predecessor http_parser.
 * No other file of loadgen knows which. */
#ifndef FLASHDEAL_LOADGEN_REPLY_H
#define FLASHDEAL_LOADGEN_REPLY_H

#ifdef HAVE_LLHTTP
#include <llhttp.h>
#else
#include <http_parser.h>
#endif

#include <stdbool.h>
#include <stddef.h>

enum {
    REPLY_BODY_MAX = 4096,  /* what is kept of a body; the rest is read and dropped */
    REPLY_NAME_MAX = 16,    /* what is kept of a header's name */
    RETRY_AFTER_MAX_S = 60, /* a longer Retry-After counts as this */
};

enum reply_progress {
    REPLY_MORE, /* not whole yet */
    REPLY_DONE, /* whole */
    REPLY_BAD,  /* not HTTP, or cut off in the middle */
};

struct reply {
    int http;          /* status code */
    int retry_after_s; /* -1: no such header, or a date */
    bool keep_alive;   /* the connection may carry another request */
    size_t body_length;
    char body[REPLY_BODY_MAX + 1]; /* NUL-terminated once REPLY_DONE */

    /* The parser's own. */
    bool done, extra, in_value, no_seconds;
    size_t name_length;
    char name[REPLY_NAME_MAX];
#ifdef HAVE_LLHTTP
    llhttp_t parser;
#else
    http_parser parser;
#endif
};

/* Prepares for the next reply. */
void reply_init(struct reply *reply);

/* Feeds length (> 0) bytes. Bytes after the reply's end cost the connection its keep-alive. After
 * REPLY_DONE or REPLY_BAD, call reply_init before the next. */
enum reply_progress reply_feed(struct reply *reply, const char *bytes, size_t length);

/* The server closed the connection: REPLY_DONE when that is how the reply ends. */
enum reply_progress reply_feed_end(struct reply *reply);

#endif
