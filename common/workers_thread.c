/* workers_thread: what a worker's thread does, from its first piece to its end.
 *
 * It works on a copy of the place's piece, so the next holder begins from the same bytes. Whether
 * to finish is decided under the lock, by who holds the place only, and from then on the piece is
 * nobody's to do again: so finish is called once at most, also by a thread that dies or hangs in
 * it.
 *
 * The end is told by a clean-up handler, which runs however the thread ends (pthread_exit in a duty
 * included; what ends a thread without it ends the process). No duty but piece_used is called with
 * the lock held.
 */
#include "common/workers_private.h"

#include <assert.h>

#include "common/clock.h"

void worker_beat(struct worker *worker)
{
    atomic_store_explicit(&worker->beat_ns, clock_now_ns(), memory_order_relaxed);
}

bool worker_pause(struct worker *worker, int64_t deadline_ns)
{
    struct workers *workers = worker->workers;
    int64_t now_ns = clock_now_ns();
    atomic_store_explicit(&worker->beat_ns, deadline_ns > now_ns ? deadline_ns : now_ns,
                          memory_order_relaxed);
    pthread_mutex_lock(&workers->lock);
    while (!workers->gives_up && !worker->is_lost &&
           clock_cond_wait(&workers->changed, &workers->lock, deadline_ns)) {
    }
    bool goes_on = !workers->gives_up && !worker->is_lost;
    pthread_mutex_unlock(&workers->lock);
    worker_beat(worker);
    return goes_on;
}

/* Whether to go on with the next piece, or the one left by the thread before. */
static bool may_go_on(struct worker *worker)
{
    struct workers *workers = worker->workers;
    pthread_mutex_lock(&workers->lock);
    worker->in_good_order = workers->gives_up;
    bool goes_on = !workers->gives_up && !worker->is_lost;
    pthread_mutex_unlock(&workers->lock);
    return goes_on;
}

/* The piece that the thread took is the place's from now on. False: workers_stop did not wait. */
static bool hold(struct worker *worker)
{
    struct workers *workers = worker->workers;
    worker_beat(worker);
    pthread_mutex_lock(&workers->lock);
    bool is_holder = !worker->is_lost;
    if (is_holder) {
        workers_copy_piece(workers, worker->place->piece, worker->piece);
        worker->place->has_piece = true;
        worker->state = WORKER_WORKING;
    }
    pthread_mutex_unlock(&workers->lock);
    return is_holder;
}

/* Whether the thread finishes the piece that it worked on with this status. One that was given up
 * stays in its place, where workers_stop counts it. */
static bool claim(struct worker *worker, enum status status)
{
    struct workers *workers = worker->workers;
    worker_beat(worker);
    pthread_mutex_lock(&workers->lock);
    bool is_holder = !worker->is_lost;
    bool finishes = is_holder && status == ST_OK;
    if (finishes) {
        worker->place->has_piece = false;
        worker->state = WORKER_FINISHING;
    } else if (is_holder) {
        assert(workers->gives_up); /* nobody else may give a piece up */
        worker->in_good_order = true;
    }
    pthread_mutex_unlock(&workers->lock);
    return finishes;
}

static void note_finished(struct worker *worker)
{
    pthread_mutex_lock(&worker->workers->lock);
    worker->workers->finished++;
    worker->state = WORKER_TAKING;
    pthread_mutex_unlock(&worker->workers->lock);
}

static void note_nothing_left(struct worker *worker)
{
    pthread_mutex_lock(&worker->workers->lock);
    worker->in_good_order = true;
    pthread_mutex_unlock(&worker->workers->lock);
}

static void serve(struct worker *worker)
{
    const struct workers_duties *duties = &worker->workers->duties;
    bool has_piece = worker->state == WORKER_WORKING; /* what the thread before it left */
    while (may_go_on(worker)) {
        if (!has_piece && duties->take(worker->piece, duties->context) != ST_OK) {
            note_nothing_left(worker);
            return;
        }
        if (!has_piece && !hold(worker)) {
            return;
        }
        has_piece = false;
        if (!claim(worker, duties->work(worker, worker->piece, duties->context))) {
            return;
        }
        duties->finish(worker->piece, duties->context);
        note_finished(worker);
    }
}

/* However the thread ends. Unlocking is its last touch: the supervisor joins before it frees. */
static void note_end(void *arg)
{
    struct worker *worker = arg;
    struct workers *workers = worker->workers;
    pthread_mutex_lock(&workers->lock);
    if (worker->state == WORKER_FINISHING) {
        workers->finished++; /* as far as it came: it is not done again */
    }
    if (!worker->is_lost) {
        worker->place->worker = NULL;
        worker->place->is_closed = worker->in_good_order;
    }
    worker->has_ended = true;
    pthread_cond_broadcast(&workers->changed);
    pthread_mutex_unlock(&workers->lock);
}

void *workers_thread_run(void *arg)
{
    pthread_cleanup_push(note_end, arg);
    serve(arg);
    pthread_cleanup_pop(1);
    return NULL;
}
