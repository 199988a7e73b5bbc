/* workers: places, the threads that hold them, and a supervisor thread.
 *
 * A place keeps its piece as it was taken. A thread holds its place until it ends or the supervisor
 * gives the place to another (then it is_lost). A stop is in two steps: as long as there is time
 * the threads end when take says so, and are replaced as before; then all give up.
 *
 * Invariants, under the lock: a place's worker is not is_lost and has not ended; has_piece means
 * that a piece was taken there and not finished; every thread is in `threads` until it was joined.
 * It knows no queue: what take and finish do is the owner's business. */
#include "common/workers_private.h"

#include <assert.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/xalloc.h"

struct workers *workers_start(int count, int64_t stuck_ms, const struct workers_duties *duties)
{
    assert(count >= 1 && stuck_ms >= 1 && stuck_ms < INT64_MAX / CLOCK_NS_PER_MS);
    assert(duties->piece_size >= 1 && duties->piece_size <= WORKERS_PIECE_MAX);
    size_t places = (size_t)count * sizeof(struct place);
    struct workers *workers = xcalloc(1, sizeof(*workers) + places);
    workers->count = count;
    workers->stuck_ns = stuck_ms * CLOCK_NS_PER_MS;
    workers->duties = *duties;
    clock_cond_init(&workers->changed);
    pthread_mutex_init(&workers->lock, NULL);
    for (int i = 0; i < count; i++) {
        workers->places[i].piece = xcalloc(1, duties->piece_size);
    }
    bool succeeded = true;
    pthread_mutex_lock(&workers->lock);
    for (int i = 0; i < count && succeeded; i++) {
        succeeded = workers_spawn_locked(workers, &workers->places[i]);
    }
    pthread_mutex_unlock(&workers->lock);
    if (!succeeded || pthread_create(&workers->supervisor, NULL, workers_supervise, workers) != 0) {
        log_event(LOG_ERROR, "no_thread", LOG_NUMBER("workers", count));
        abort();
    }
    return workers;
}

static bool all_closed_locked(const struct workers *workers)
{
    bool all = true;
    for (int i = 0; i < workers->count; i++) {
        all = all && workers->places[i].is_closed;
    }
    return all;
}

static bool all_empty_locked(const struct workers *workers)
{
    bool all = true;
    for (int i = 0; i < workers->count; i++) {
        all = all && workers->places[i].worker == NULL;
    }
    return all;
}

/* Counts the pieces that are not finished, and takes the places from who is still there. */
static int clear_places_locked(struct workers *workers)
{
    int unfinished = 0;
    for (int i = 0; i < workers->count; i++) {
        struct place *place = &workers->places[i];
        bool in_finish = place->worker != NULL && place->worker->state == WORKER_FINISHING;
        unfinished += place->has_piece || in_finish;
        if (place->worker != NULL) {
            place->worker->is_lost = true;
            place->worker = NULL;
        }
    }
    return unfinished;
}

int workers_stop(struct workers *workers, int64_t deadline_ns)
{
    pthread_mutex_lock(&workers->lock);
    while (!all_closed_locked(workers) &&
           clock_cond_wait(&workers->changed, &workers->lock, deadline_ns)) {
    }
    workers->gives_up = true;
    pthread_cond_broadcast(&workers->changed);
    int64_t stuck_ms = workers->stuck_ns / CLOCK_NS_PER_MS;
    int64_t patience_ns =
        clock_deadline_ns(stuck_ms < WORKERS_GIVE_UP_MS ? stuck_ms : WORKERS_GIVE_UP_MS);
    while (!all_empty_locked(workers) &&
           clock_cond_wait(&workers->changed, &workers->lock, patience_ns)) {
    }
    int unfinished = clear_places_locked(workers);
    workers->is_over = true;
    pthread_cond_broadcast(&workers->changed);
    pthread_mutex_unlock(&workers->lock);
    pthread_join(workers->supervisor, NULL);
    return unfinished;
}

void workers_free(struct workers *workers)
{
    if (workers == NULL) {
        return;
    }
    workers_join_ended(workers);
    pthread_mutex_lock(&workers->lock);
    assert(workers->is_over);
    bool is_in_use = workers->threads != NULL;
    for (struct worker *worker = workers->threads; worker != NULL; worker = worker->next) {
        pthread_detach(worker->thread); /* it may yet come back, to this memory */
    }
    pthread_mutex_unlock(&workers->lock);
    if (!is_in_use) {
        for (int i = 0; i < workers->count; i++) {
            free(workers->places[i].piece);
        }
        pthread_cond_destroy(&workers->changed);
        pthread_mutex_destroy(&workers->lock);
        free(workers);
    }
}

/* -------------------------------------------------------------------------------------- figures */

void workers_read_stats(struct workers *workers, struct workers_stats *out)
{
    pthread_mutex_lock(&workers->lock);
    int64_t now_ns = clock_now_ns();
    *out = (struct workers_stats){
        .count = workers->count,
        .finished = workers->finished,
        .dead = workers->dead,
        .stuck = workers->stuck,
    };
    for (int i = 0; i < workers->count; i++) {
        const struct worker *worker = workers->places[i].worker;
        out->busy += worker != NULL && worker->state != WORKER_TAKING;
    }
    for (const struct worker *worker = workers->threads; worker != NULL; worker = worker->next) {
        bool counts = worker->is_lost || workers_is_stuck_locked(worker, now_ns);
        out->hanging += counts && !worker->has_ended;
    }
    pthread_mutex_unlock(&workers->lock);
}
