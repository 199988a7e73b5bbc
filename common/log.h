/* log: one JSON object per line on standard error. First used by phase 0.
 *
 *     log_event(LOG_INFO, "listening", LOG_TEXT("bind", bind), LOG_NUMBER("port", port));
 *     {"time":"2026-01-31T23:59:59.123Z","level":"info","event":"listening","bind":...}
 *
 * Every value is escaped, so that no field can break the line or forge another; invalid UTF-8 is
 * replaced by U+FFFD. A line is at most LOG_LINE_MAX bytes: texts are cut before it would be
 * longer, the line stays valid JSON. It is written at once, or after log_start within
 * LOG_GATHER_MS. */
#ifndef FLASHDEAL_LOG_H
#define FLASHDEAL_LOG_H

#include <stddef.h>
#include <stdint.h>

enum {
    LOG_LINE_MAX = 4096,
    LOG_GATHER_MS = 50, /* the last so many milliseconds of a file are lost with a killed process */
};

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

enum log_kind { LOG_KIND_TEXT, LOG_KIND_NUMBER, LOG_KIND_REAL, LOG_KIND_BOOL, LOG_KIND_MS };

struct log_field {
    const char *name; /* a literal: letters, digits and '_' */
    enum log_kind kind;
    const char *text; /* NULL is written as null */
    int64_t number;
    double real;
};

#define LOG_TEXT(name_, value_)                                                                    \
    (struct log_field)                                                                             \
    {                                                                                              \
        .name = (name_), .kind = LOG_KIND_TEXT, .text = (value_)                                   \
    }
#define LOG_NUMBER(name_, value_)                                                                  \
    (struct log_field)                                                                             \
    {                                                                                              \
        .name = (name_), .kind = LOG_KIND_NUMBER, .number = (int64_t)(value_)                      \
    }
#define LOG_REAL(name_, value_)                                                                    \
    (struct log_field)                                                                             \
    {                                                                                              \
        .name = (name_), .kind = LOG_KIND_REAL, .real = (value_)                                   \
    }
#define LOG_BOOL(name_, value_)                                                                    \
    (struct log_field)                                                                             \
    {                                                                                              \
        .name = (name_), .kind = LOG_KIND_BOOL, .number = (value_) ? 1 : 0                         \
    }

/* A duration in nanoseconds, written in milliseconds with three decimals: 1234567 as 1.234. */
#define LOG_MS(name_, value_ns_)                                                                   \
    (struct log_field)                                                                             \
    {                                                                                              \
        .name = (name_), .kind = LOG_KIND_MS, .number = (value_ns_)                                \
    }

/* Writes one line with at least one field. Events name what happened ("listening", "db_lost"), in
 * lower case; the wording is for machines, the fields carry the rest. */
#define log_event(level_, event_, ...)                                                             \
    log_fields((level_), (event_), (const struct log_field[]){__VA_ARGS__},                        \
               sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))

/* As log_event, with an array whose length is known at run time (0 is allowed). Safe from any
 * thread. Does not wait for a reader: a line for which a pipe or terminal has no room is lost, and
 * "log_lost" says how many later. Hold no mutex across it. */
void log_fields(enum log_level level, const char *event, const struct log_field *fields,
                size_t count);

/* Sets the level and, where standard error is a file, lets lines below LOG_WARN be gathered for up
 * to LOG_GATHER_MS, since a write for each request costs it more than all else of its line. Call it
 * at most once, before other threads log. exit(3) writes what is left, and so does a line from
 * LOG_WARN on; from then on standard error stays the file it is. */
void log_start(enum log_level level);

/* Writes what is left and ends the process by _exit(2): for an end while threads are at work, which
 * the handlers of exit(3) would take what they use from. */
__attribute__((noreturn)) void log_exit(int exit_status);

/* Lines below level are dropped. Default LOG_INFO. Safe from any thread. */
void log_set_level(enum log_level level);

/* "debug", "info", "warn", "error"; never NULL. */
const char *log_level_name(enum log_level level);

/* The level of that name, which must be one of the four (assert). */
enum log_level log_level_of(const char *name);

#endif
