/* reply: callbacks around the library's parser. llhttp and http_parser differ in three places: how
 * settings are bound, how an error is told, and how the end of the stream is. Interim replies (1xx)
 * are skipped. Of the headers only Retry-After is kept (Connection and the framing are the
 * library's business); of the body the first REPLY_BODY_MAX bytes. Allocates nothing. */
#include "reply.h"

#include <string.h>
#include <strings.h>

#ifdef HAVE_LLHTTP
typedef llhttp_settings_t parser_settings;
typedef llhttp_t parser_state;
#else
typedef http_parser_settings parser_settings;
typedef http_parser parser_state;
#endif

static int on_begin(parser_state *parser)
{
    struct reply *reply = parser->data;
    reply->extra = reply->done;
    return 0;
}

static int on_field(parser_state *parser, const char *at, size_t length)
{
    struct reply *reply = parser->data;
    if (reply->in_value) {
        reply->in_value = false;
        reply->name_length = 0;
    }
    for (size_t i = 0; i < length; i++) {
        if (reply->name_length < REPLY_NAME_MAX) {
            reply->name[reply->name_length] = at[i];
        }
        reply->name_length++;
    }
    return 0;
}

static int on_value(parser_state *parser, const char *at, size_t length)
{
    static const char retry_after[] = "retry-after";
    struct reply *reply = parser->data;
    reply->no_seconds = reply->in_value && reply->no_seconds;
    reply->in_value = true;
    if (reply->name_length != sizeof(retry_after) - 1 ||
        strncasecmp(reply->name, retry_after, sizeof(retry_after) - 1) != 0) {
        return 0;
    }
    for (size_t i = 0; i < length; i++) {
        reply->no_seconds = reply->no_seconds || at[i] < '0' || at[i] > '9';
        if (reply->no_seconds) {
            reply->retry_after_s = -1;
            return 0;
        }
        const int so_far = reply->retry_after_s < 0 ? 0 : reply->retry_after_s;
        const int value = so_far * 10 + (at[i] - '0');
        reply->retry_after_s = value < RETRY_AFTER_MAX_S ? value : RETRY_AFTER_MAX_S;
    }
    return 0;
}

static int on_body(parser_state *parser, const char *at, size_t length)
{
    struct reply *reply = parser->data;
    const size_t room = REPLY_BODY_MAX - reply->body_length;
    const size_t kept = length < room ? length : room;
    memcpy(reply->body + reply->body_length, at, kept);
    reply->body_length += kept;
    return 0;
}

static bool keeps_alive(const parser_state *parser)
{
#ifdef HAVE_LLHTTP
    return llhttp_should_keep_alive(parser) != 0;
#else
    return http_should_keep_alive(parser) != 0;
#endif
}

static int on_complete(parser_state *parser)
{
    struct reply *reply = parser->data;
    if (parser->status_code / 100 == 1 || reply->done) {
        return 0;
    }
    reply->http = (int)parser->status_code;
    reply->keep_alive = keeps_alive(parser);
    reply->body[reply->body_length] = '\0';
    reply->done = true;
    return 0;
}

static const parser_settings settings = {
    .on_message_begin = on_begin,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_body = on_body,
    .on_message_complete = on_complete,
};

void reply_init(struct reply *reply)
{
    reply->http = 0;
    reply->retry_after_s = -1;
    reply->keep_alive = false;
    reply->body_length = 0;
    reply->done = reply->extra = reply->in_value = reply->no_seconds = false;
    reply->name_length = 0;
#ifdef HAVE_LLHTTP
    llhttp_init(&reply->parser, HTTP_RESPONSE, &settings);
#else
    http_parser_init(&reply->parser, HTTP_RESPONSE);
#endif
    reply->parser.data = reply;
}

/* Whether all bytes were understood; no bytes say that the stream has ended. */
static bool parse(struct reply *reply, const char *bytes, size_t length)
{
#ifdef HAVE_LLHTTP
    if (length == 0) {
        return llhttp_finish(&reply->parser) == HPE_OK;
    }
    return llhttp_execute(&reply->parser, bytes, length) == HPE_OK;
#else
    return http_parser_execute(&reply->parser, &settings, bytes, length) == length &&
           HTTP_PARSER_ERRNO(&reply->parser) == HPE_OK;
#endif
}

enum reply_progress reply_feed(struct reply *reply, const char *bytes, size_t length)
{
    const bool understood = parse(reply, bytes, length);
    if (reply->done) {
        reply->keep_alive = reply->keep_alive && understood && !reply->extra;
        return REPLY_DONE;
    }
    return understood ? REPLY_MORE : REPLY_BAD;
}

enum reply_progress reply_feed_end(struct reply *reply)
{
    (void)parse(reply, NULL, 0);
    reply->keep_alive = false;
    return reply->done ? REPLY_DONE : REPLY_BAD;
}
