/* reply: one HTTP/1.1 reply, read strictly. */
#ifndef FLASHDEAL_CONTRACT_REPLY_H
#define FLASHDEAL_CONTRACT_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum {
    REPLY_HEADERS_MAX = 32,
    REPLY_NAME_SIZE = 64,
    REPLY_VALUE_SIZE = 512,
    REPLY_BODY_MAX = 512 * 1024, /* /metrics has hundreds of series */
};

struct reply_header {
    char name[REPLY_NAME_SIZE];
    char value[REPLY_VALUE_SIZE];
};

struct reply {
    int status;
    bool continued; /* a 100 Continue came before it */
    bool to_head;   /* it answers HEAD: a Content-Length stands for what GET would have sent */
    bool is_admins; /* it came from the admin listener; set by whoever received it */
    size_t header_count;
    struct reply_header headers[REPLY_HEADERS_MAX];
    size_t body_length;
    char body[REPLY_BODY_MAX + 1]; /* NUL-terminated, may hold NUL */
};

/* Parses the first reply in bytes; to_head: it has no body whatever its Content-Length says.
 * Returns the bytes it takes, 0 if more must come, -1 if it is not a reply as RFC 9112 writes it,
 * or exceeds the limits above. A final reply without a Content-Length is not accepted: these
 * servers know how long theirs are. */
ssize_t reply_parse(const char *bytes, size_t length, bool to_head, struct reply *out);

/* The value of the header (any case), or NULL. */
const char *reply_header(const struct reply *reply, const char *name);

/* How often the header is there. */
int reply_count_header(const struct reply *reply, const char *name);

/* Whether it announces that the connection ends. */
bool reply_announces_close(const struct reply *reply);

/* Appends a header; false when there is no room for it. */
bool reply_add_header(struct reply *reply, const char *name, size_t name_length, const char *value,
                      size_t value_length);

#endif
