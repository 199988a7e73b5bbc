/* log_writer: takes the log's whole lines to standard error. Private to common/log. */
#ifndef FLASHDEAL_LOG_WRITER_H
#define FLASHDEAL_LOG_WRITER_H

#include <stdbool.h>
#include <stddef.h>

/* From now on lines to a file may be gathered for LOG_GATHER_MS. Call it once. Starts a thread that
 * ends with the process; exit(3) writes what is left. */
void log_writer_gather(void);

/* Writes what was gathered; from then on each line is written by itself. Safe from any thread. */
void log_writer_end(void);

/* Writes the line of length bytes (at most LOG_LINE_MAX, with its newline); is_urgent: at once, and
 * what was gathered before it. now, in RFC 3339, is for a "log_lost". Safe from any thread; does
 * not wait for a reader. May change errno. */
void log_writer_put(const char *line, size_t length, bool is_urgent, const char *now);

#endif
