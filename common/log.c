/* log: builds a line on the stack; log_writer takes it to standard error. errno is left as it was,
 * so that a fault can be logged before it is acted upon.
 *
 * Cutting: while a field is written, the room that the later fields need at least (all of a number,
 * the quotes of a text) is kept back, so one long text costs the others nothing but their own cut.
 * Fields that do not fit even so are left out whole. Invariant: used <= limit <= room of the line
 * less the closing "}\n".
 *
 * Beyond what JSON asks for, DEL, the C1 controls and U+2028/9 are escaped too: terminals obey an
 * 8-bit CSI, and some viewers break lines there. It does not rotate or sample. */
#include "common/log.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log_writer.h"
#include "common/utf8.h"

static const char LINE_END[] = "}\n";

enum {
    LINE_ROOM = LOG_LINE_MAX - (sizeof(LINE_END) - 1),
    VALUE_SIZE = 32,   /* the longest number, "true", "null" */
    ESCAPED_MAX = 6,   /* "\u001b" */
    FRAME_LENGTH = 4,  /* ,"": around a field's name */
    QUOTES_LENGTH = 2, /* an empty text */
    NULL_LENGTH = 4,
    NS_PER_US = 1000,
    MS_DECIMALS = 3, /* milliseconds are written to the microsecond */
};

struct line {
    char bytes[LOG_LINE_MAX];
    size_t used;
    size_t limit; /* nothing may be written from here on */
};

static _Atomic int minimum_level = LOG_INFO;

static bool append(struct line *line, const char *bytes, size_t length)
{
    if (length > line->limit - line->used) {
        return false;
    }
    memcpy(line->bytes + line->used, bytes, length);
    line->used += length;
    return true;
}

static bool append_text(struct line *line, const char *text)
{
    return append(line, text, strlen(text));
}

static const char *short_escape(unsigned char c)
{
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    default:
        return NULL;
    }
}

/* The code point to write as \uXXXX, or 0. */
static unsigned int long_escape(const unsigned char *c, size_t length)
{
    if (length == 0) {
        return 0xfffd;
    }
    if (length == 1) {
        return c[0] < 0x20 || c[0] == 0x7f ? c[0] : 0;
    }
    if (length == 2 && c[0] == 0xc2 && c[1] < 0xa0) { /* U+0080 to U+009F */
        return c[1];
    }
    if (length == 3 && c[0] == 0xe2 && c[1] == 0x80 && (c[2] == 0xa8 || c[2] == 0xa9)) {
        return c[2] == 0xa8 ? 0x2028 : 0x2029;
    }
    return 0;
}

/* Appends the character of length bytes at c (length 0: a byte that is not UTF-8), escaped. */
static bool append_character(struct line *line, const char *c, size_t length)
{
    const char *known = length == 1 ? short_escape((unsigned char)*c) : NULL;
    if (known) {
        return append_text(line, known);
    }
    unsigned int code = long_escape((const unsigned char *)c, length);
    if (code == 0) {
        return append(line, c, length);
    }
    char escaped[ESCAPED_MAX + 1];
    snprintf(escaped, sizeof(escaped), "\\u%04x", code & 0xffffU);
    return append(line, escaped, ESCAPED_MAX);
}

/* How many bytes at text stand for themselves: ASCII that needs no escape. Most texts are nothing
 * else, and are copied in one piece. */
static size_t plain_length(const char *text, size_t left)
{
    size_t length = 0;
    while (length < left && text[length] >= 0x20 && text[length] < 0x7f && text[length] != '"' &&
           text[length] != '\\') {
        length++;
    }
    return length;
}

/* Appends text as a JSON string, cut at a character when the room ends; false if not even the
 * quotes fit. */
static bool append_string(struct line *line, const char *text)
{
    if (line->limit - line->used < QUOTES_LENGTH) {
        return false;
    }
    append(line, "\"", 1);
    line->limit--; /* the closing quote's room */
    size_t left = strlen(text);
    while (left > 0) {
        size_t room = line->limit - line->used;
        size_t step = plain_length(text, left < room ? left : room);
        append(line, text, step);
        if (step == 0) {
            size_t length = utf8_length(text, left);
            if (!append_character(line, text, length)) {
                break;
            }
            step = length > 0 ? length : 1;
        }
        text += step;
        left -= step;
    }
    line->limit++;
    return append(line, "\"", 1);
}

/* value in decimal, its last digits behind a point if decimals is not 0. Not by snprintf, which
 * costs as much as the rest of a line. */
static const char *format_decimal(int64_t value, int decimals, char out[VALUE_SIZE])
{
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    char *at = &out[VALUE_SIZE - 1];
    *at = '\0';
    for (int digits = 0; left > 0 || digits <= decimals; digits++) {
        if (digits > 0 && digits == decimals) {
            *--at = '.';
        }
        *--at = (char)('0' + left % 10);
        left /= 10;
    }
    if (value < 0) {
        *--at = '-';
    }
    return at;
}

/* A value that is not a text, as JSON; in out, or a constant. */
static const char *format_value(const struct log_field *field, char out[VALUE_SIZE])
{
    switch (field->kind) {
    case LOG_KIND_NUMBER:
        return format_decimal(field->number, 0, out);
    case LOG_KIND_MS:
        return format_decimal(field->number / NS_PER_US, MS_DECIMALS, out);
    case LOG_KIND_REAL:
        if (isfinite(field->real)) {
            snprintf(out, VALUE_SIZE, "%.15g", field->real);
            return out;
        }
        break; /* JSON has no NaN and no infinity */
    case LOG_KIND_BOOL:
        return field->number ? "true" : "false";
    case LOG_KIND_TEXT:
        break;
    }
    return "null";
}

/* The least room a field needs. */
static size_t least_length(const struct log_field *field)
{
    size_t frame = strlen(field->name) + FRAME_LENGTH;
    if (field->kind == LOG_KIND_TEXT) {
        return frame + (field->text ? QUOTES_LENGTH : NULL_LENGTH);
    }
    char value[VALUE_SIZE];
    return frame + strlen(format_value(field, value));
}

static bool append_value(struct line *line, const struct log_field *field)
{
    if (field->kind == LOG_KIND_TEXT && field->text) {
        return append_string(line, field->text);
    }
    char value[VALUE_SIZE];
    return append_text(line, format_value(field, value));
}

/* Appends the whole field, its text cut if need be, or nothing of it. */
static void append_field(struct line *line, const struct log_field *field)
{
    size_t before = line->used;
    bool fits = append_text(line, before > 1 ? ",\"" : "\"") && append_text(line, field->name) &&
                append_text(line, "\":") && append_value(line, field);
    if (!fits) {
        line->used = before;
    }
}

static void append_fields(struct line *line, const struct log_field *fields, size_t count)
{
    size_t later = 0;
    for (size_t i = 0; i < count; i++) {
        later += least_length(&fields[i]);
    }
    for (size_t i = 0; i < count; i++) {
        later -= least_length(&fields[i]);
        size_t kept_back = later < LINE_ROOM ? later : LINE_ROOM;
        line->limit = LINE_ROOM - kept_back;
        if (line->limit < line->used) { /* more fields than fit: those in front go first */
            line->limit = LINE_ROOM;
        }
        append_field(line, &fields[i]);
    }
}

void log_fields(enum log_level level, const char *event, const struct log_field *fields,
                size_t count)
{
    if ((int)level < atomic_load_explicit(&minimum_level, memory_order_relaxed)) {
        return;
    }
    int saved_errno = errno;
    char now[CLOCK_RFC3339_SIZE];
    clock_format_now(now);
    const struct log_field head[] = {
        LOG_TEXT("time", now),
        LOG_TEXT("level", log_level_name(level)),
        LOG_TEXT("event", event),
    };
    struct line line;
    line.bytes[0] = '{';
    line.used = 1;
    line.limit = LINE_ROOM;
    append_fields(&line, head, sizeof(head) / sizeof(head[0]));
    append_fields(&line, fields, count);
    memcpy(line.bytes + line.used, LINE_END, sizeof(LINE_END) - 1);
    line.used += sizeof(LINE_END) - 1;
    log_writer_put(line.bytes, line.used, level >= LOG_WARN, now);
    errno = saved_errno;
}

void log_start(enum log_level level)
{
    log_set_level(level);
    log_writer_gather();
}

void log_exit(int exit_status)
{
    log_writer_end();
    _exit(exit_status);
}

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&minimum_level, (int)level, memory_order_relaxed);
}

const char *log_level_name(enum log_level level)
{
    switch (level) {
    case LOG_DEBUG:
        return "debug";
    case LOG_INFO:
        return "info";
    case LOG_WARN:
        return "warn";
    case LOG_ERROR:
        return "error";
    }
    return "not_a_level";
}

enum log_level log_level_of(const char *name)
{
    int level = LOG_DEBUG;
    while (level < LOG_ERROR && strcmp(log_level_name((enum log_level)level), name) != 0) {
        level++;
    }
    assert(strcmp(log_level_name((enum log_level)level), name) == 0);
    return (enum log_level)level;
}
