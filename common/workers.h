/* workers: threads that take work, and a supervisor who replaces those that fail. First used by
 * phase 4.
 *
 * Each of `count` places has a thread that takes a piece of work (a value, copied), does it, and
 * says so. A thread that ended in the middle of a piece (dead), or has not beaten for stuck_ms
 * while it had one (stuck), is replaced: a new thread in its place does the same piece again. So a
 * piece may be done twice, also at once, and doing it must be repeatable; but it is finished once:
 * of the two threads, the one that has the place. A stuck thread that comes back finds its place
 * taken and ends. At most WORKERS_SPARE threads are abandoned in this way; then the supervisor only
 * counts. */
#ifndef FLASHDEAL_WORKERS_H
#define FLASHDEAL_WORKERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/metrics.h"
#include "common/status.h"

enum {
    WORKERS_PIECE_MAX = 1 << 20, /* bytes of a piece */
    WORKERS_SPARE = 64,          /* threads that may be stuck at once */
    WORKERS_GIVE_UP_MS = 1000,   /* at a stop, for those who were told to: it has other parts */
};

struct workers; /* opaque; safe from any thread */
struct worker;  /* one thread's view; opaque */

/* How work gets in and out. Called on the workers' threads. */
struct workers_duties {
    size_t piece_size; /* bytes, 1..WORKERS_PIECE_MAX; each place and each thread has as many */
    /* How many of a piece's bytes, from the first, are in use: only these are copied. NULL: all.
     * Called under a lock, on any thread: a sum and no more. */
    size_t (*piece_used)(const void *piece);
    /* Waits for a piece and writes it to *piece. Anything but ST_OK: no more will come, and the
     * thread ends in good order. */
    enum status (*take)(void *piece, void *context);
    /* Does it; piece is this thread's own copy, and may hold the result. Calls worker_beat at least
     * every stuck_ms. ST_OK: done. Anything else (ST_CLOSED): given up, since worker_pause said so
     * (assert). */
    enum status (*work)(struct worker *worker, void *piece, void *context);
    /* The piece is done: tells the world. Called for each piece at most once. */
    void (*finish)(const void *piece, void *context);
    void *context;
};

/* Starts the threads, all signals as in the caller. duties is copied. Aborts when there is no
 * memory or no thread to be had. count from 1; stuck_ms from 1. */
struct workers *workers_start(int count, int64_t stuck_ms, const struct workers_duties *duties);

/* The thread is alive. */
void worker_beat(struct worker *worker);

/* Sleeps until deadline_ns, beating; false at once when workers_stop gives up (its deadline has
 * passed) or the thread has lost its place: then work returns ST_CLOSED. */
MUST_USE bool worker_pause(struct worker *worker, int64_t deadline_ns);

/* Waits until all threads have ended in good order (take said so), or deadline_ns; then tells those
 * that are still at it to give up and waits the shorter of stuck_ms and WORKERS_GIVE_UP_MS. Call
 * once. Returns how many pieces were given up or left with a thread that did not end. After it no
 * thread calls a duty but those that hang (workers_read_stats), and such there may be also where it
 * returned 0: one that was replaced, at a piece that is finished. They use what duties use: then
 * free none of it and end the process by log_exit (workers_free leaks what is theirs). */
int workers_stop(struct workers *workers, int64_t deadline_ns);

struct workers_stats {
    int count;           /* places */
    int busy;            /* with a piece now */
    int64_t finished;    /* pieces */
    int64_t dead, stuck; /* threads replaced, since start */
    int hanging;         /* threads that are stuck now, replaced or not */
};

void workers_read_stats(struct workers *workers, struct workers_stats *out);

/* Publishes flashdeal_workers, flashdeal_workers_busy, flashdeal_workers_hanging (gauges) and
 * flashdeal_workers_replaced_total{why="dead|stuck"}. */
void workers_publish(struct workers *workers, struct metrics *metrics);

/* After workers_stop. Accepts NULL. */
void workers_free(struct workers *workers);

#endif
