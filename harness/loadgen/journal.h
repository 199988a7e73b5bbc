/* journal: one line per event of an order, for the audit. harness/README.md has the columns. */
#ifndef FLASHDEAL_LOADGEN_JOURNAL_H
#define FLASHDEAL_LOADGEN_JOURNAL_H

#include "common/status.h"
#include "op.h"

struct journal;

/* One line; NULL or "" is written as "-", http 0 and latency below 0 too. */
struct journal_line {
    int64_t t_us;
    const char *event; /* "invoke", "ok", "fail", "info", "final" */
    const struct op *op;
    int http;
    const char *code, *order_id, *state;
    int64_t latency_us;
};

/* Creates the file, or empties it. path NULL: a journal that writes nothing. ST_SYSTEM: errno says
 * why. Closed by journal_close. */
MUST_USE enum status journal_open(const char *path, struct journal **out);

/* Adds a line to the buffer; writes only when the buffer is half full. */
void journal_add(struct journal *journal, const struct journal_line *line);

/* Writes a piece of what is buffered if it is worth a system call; for moments when nothing is due.
 */
void journal_write_some(struct journal *journal);

/* Lines that could not be kept: the disk refused and the buffer was full. */
int64_t journal_dropped(const struct journal *journal);

/* Writes the rest and releases everything. ST_SYSTEM when a line was dropped or a write failed.
 * Accepts NULL. */
enum status journal_close(struct journal *journal);

#endif
