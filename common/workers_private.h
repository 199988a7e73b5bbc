/* workers_private: what the threads, their supervisor and start and stop share; nobody else
 * includes it. First used by phase 4.
 *
 * workers.c starts, stops and counts, workers_thread.c is what a worker's thread does,
 * workers_supervisor.c gives places to new threads. */
#ifndef FLASHDEAL_WORKERS_PRIVATE_H
#define FLASHDEAL_WORKERS_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "common/workers.h"

struct place {
    struct worker *worker; /* who holds it; NULL: nobody */
    bool is_closed;        /* its last thread ended in good order */
    bool has_piece;
    int64_t next_ns; /* no new thread before this */
    void *piece;     /* guarded by the lock too */
};

enum worker_state {
    WORKER_TAKING,    /* has no piece */
    WORKER_WORKING,   /* has the place's */
    WORKER_FINISHING, /* has one that is no longer the place's */
};

struct worker {
    struct workers *workers;
    struct place *place;
    pthread_t thread;
    _Atomic int64_t beat_ns;

    /* Guarded by the workers' lock: */
    enum worker_state state;
    bool is_lost;       /* the place is another's */
    bool in_good_order; /* there was nothing more to do */
    bool has_ended;     /* and touches nothing any more: to be joined */
    struct worker *next;

    void *piece; /* the thread's own */
};

struct workers {
    int count;
    int64_t stuck_ns;
    struct workers_duties duties;
    pthread_t supervisor;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a thread ended, or one of the two below was set */

    /* Guarded by lock: */
    bool gives_up; /* workers_stop's deadline passed */
    bool is_over;  /* the supervisor may go */
    int64_t finished, dead, stuck;
    struct worker *threads;
    struct place places[];
};

/* The main function of a worker's thread; arg is its struct worker, which it holds the place of. */
void *workers_thread_run(void *arg);

/* Gives the place to a new thread. False: there is no memory or no thread to be had now. */
bool workers_spawn_locked(struct workers *workers, struct place *place);

/* The main function of the supervisor's thread; arg is the struct workers. */
void *workers_supervise(void *arg);

/* Copies the piece at `from`, as far as it is in use. */
void workers_copy_piece(const struct workers *workers, void *to, const void *from);

/* Joins and frees the threads that have ended. Without the lock. */
void workers_join_ended(struct workers *workers);

/* Whether the thread has a piece and has not beaten for too long. */
bool workers_is_stuck_locked(const struct worker *worker, int64_t now_ns);

#endif
