/* journal: a 32 MiB buffer in front of a file. The load's thread writes it out itself, in pieces
 * of 64 KiB (some 20 us), and only when no arrival is near: the journal must not make the load
 * late. When there is no such moment the buffer fills (minutes at 10,000 orders/s), and from half
 * full on every new line pushes a piece out. Lines are never cut: what does not fit whole is
 * dropped, counted, and the run is marked, because an audit of half a journal would lie. */
#include "journal.h"

#include "common/xalloc.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    BUFFER_BYTES = 32 * 1024 * 1024,
    PIECE_BYTES = 64 * 1024,
    LINE_BYTES = 512,
};

static const char HEADER[] = "#flashdeal-journal 1\n";

struct journal {
    int fd; /* -1: writes nothing */
    bool failed;
    int64_t dropped;
    size_t begin, end; /* what is buffered */
    char *buffer;
};

enum status journal_open(const char *path, struct journal **out)
{
    struct journal *journal = xcalloc(1, sizeof(*journal));
    journal->fd = -1;
    if (path != NULL) {
        journal->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (journal->fd < 0) {
            const int error = errno;
            free(journal);
            errno = error;
            return ST_SYSTEM;
        }
        journal->buffer = xcalloc(1, BUFFER_BYTES);
        memcpy(journal->buffer, HEADER, sizeof(HEADER) - 1);
        journal->end = sizeof(HEADER) - 1;
    }
    *out = journal;
    return ST_OK;
}

static void write_piece(struct journal *journal, size_t most)
{
    size_t length = journal->end - journal->begin;
    if (length > most) {
        length = most;
    }
    const ssize_t written = write(journal->fd, journal->buffer + journal->begin, length);
    if (written < 0) {
        journal->failed = journal->failed || errno != EINTR;
        return;
    }
    journal->begin += (size_t)written;
    if (journal->begin == journal->end) {
        journal->begin = journal->end = 0;
    }
}

static void make_room(struct journal *journal)
{
    if (journal->end > BUFFER_BYTES / 2 && !journal->failed) {
        write_piece(journal, PIECE_BYTES);
    }
    if (journal->end + LINE_BYTES > BUFFER_BYTES && journal->begin > 0) {
        memmove(journal->buffer, journal->buffer + journal->begin, journal->end - journal->begin);
        journal->end -= journal->begin;
        journal->begin = 0;
    }
}

static const char *or_dash(const char *text)
{
    return text == NULL || text[0] == '\0' ? "-" : text;
}

static const char *number_or_dash(char out[24], int64_t number, bool present)
{
    if (!present) {
        return "-";
    }
    snprintf(out, 24, "%" PRId64, number);
    return out;
}

void journal_add(struct journal *journal, const struct journal_line *line)
{
    if (journal->fd < 0) {
        return;
    }
    make_room(journal);
    const size_t room = BUFFER_BYTES - journal->end;
    if (room < LINE_BYTES) {
        journal->dropped++;
        return;
    }
    const struct op *op = line->op;
    char http[24], latency[24];
    const int length =
        snprintf(journal->buffer + journal->end, LINE_BYTES,
                 "%" PRId64 "\t%s\t%" PRId64 "\t%d\t%" PRId64 "\t%" PRId64 "\t%" PRId32
                 "\t%s\t%s\t%s\t%s\t%s\t%s\n",
                 line->t_us, line->event, op->id, op->attempt, op->sale, op->user, op->quantity,
                 or_dash(op->key), number_or_dash(http, line->http, line->http > 0),
                 or_dash(line->code), or_dash(line->order_id), or_dash(line->state),
                 number_or_dash(latency, line->latency_us, line->latency_us >= 0));
    /* Every column is bounded: the longest line is some 330 bytes. */
    journal->end += (size_t)length;
}

void journal_write_some(struct journal *journal)
{
    if (journal->fd >= 0 && !journal->failed && journal->end - journal->begin >= PIECE_BYTES) {
        write_piece(journal, PIECE_BYTES);
    }
}

int64_t journal_dropped(const struct journal *journal)
{
    return journal->dropped;
}

enum status journal_close(struct journal *journal)
{
    if (journal == NULL) {
        return ST_OK;
    }
    journal->failed = false;
    while (journal->begin < journal->end && !journal->failed) {
        write_piece(journal, BUFFER_BYTES);
    }
    bool good = !journal->failed && journal->dropped == 0;
    if (journal->fd >= 0 && close(journal->fd) != 0) {
        good = false;
    }
    free(journal->buffer);
    free(journal);
    return good ? ST_OK : ST_SYSTEM;
}
