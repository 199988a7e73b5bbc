/* workers_supervisor: a thread that sees who has died or hangs, and gives his place to another.
 *
 * A death is told by the thread itself (workers_thread.c), hanging by the time of its last beat,
 * which is looked at LOOKS_PER_STUCK_TIME times in stuck_ms; so it is seen a quarter of it late, at
 * most. A place gets a new thread at once, but at most every RESPAWN_MS: a piece that kills whoever
 * does it must not cost a core. Once workers_stop gives up nobody is replaced any more. */
#include "common/workers_private.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"

enum {
    RESPAWN_MS = 250,         /* between two replacements in one place, at least */
    LOOKS_PER_STUCK_TIME = 4, /* of the supervisor, and one every RESPAWN_MS */
};

void workers_copy_piece(const struct workers *workers, void *to, const void *from)
{
    const struct workers_duties *duties = &workers->duties;
    memcpy(to, from, duties->piece_used ? duties->piece_used(from) : duties->piece_size);
}

static void free_worker(struct worker *worker)
{
    free(worker->piece);
    free(worker);
}

static struct worker *make_worker(const struct workers *workers)
{
    struct worker *worker = calloc(1, sizeof(*worker));
    if (worker == NULL) {
        return NULL;
    }
    worker->piece = calloc(1, workers->duties.piece_size);
    if (worker->piece == NULL) {
        free(worker);
        return NULL;
    }
    return worker;
}

bool workers_spawn_locked(struct workers *workers, struct place *place)
{
    struct worker *worker = make_worker(workers);
    if (worker == NULL) {
        return false;
    }
    worker->workers = workers;
    worker->place = place;
    worker->state = place->has_piece ? WORKER_WORKING : WORKER_TAKING;
    if (place->has_piece) {
        workers_copy_piece(workers, worker->piece, place->piece);
    }
    worker_beat(worker);
    if (pthread_create(&worker->thread, NULL, workers_thread_run, worker) != 0) {
        free_worker(worker);
        return false;
    }
    worker->next = workers->threads;
    workers->threads = worker;
    place->worker = worker;
    return true;
}

/* Takes a thread that has ended out of the list; NULL: none. */
static struct worker *unlink_ended_locked(struct workers *workers)
{
    for (struct worker **link = &workers->threads; *link != NULL; link = &(*link)->next) {
        struct worker *worker = *link;
        if (worker->has_ended) {
            *link = worker->next;
            return worker;
        }
    }
    return NULL;
}

void workers_join_ended(struct workers *workers)
{
    for (;;) {
        pthread_mutex_lock(&workers->lock);
        struct worker *worker = unlink_ended_locked(workers);
        pthread_mutex_unlock(&workers->lock);
        if (worker == NULL) {
            return;
        }
        pthread_join(worker->thread, NULL);
        free_worker(worker);
    }
}

bool workers_is_stuck_locked(const struct worker *worker, int64_t now_ns)
{
    int64_t beat_ns = atomic_load_explicit(&worker->beat_ns, memory_order_relaxed);
    return worker->state != WORKER_TAKING && now_ns - beat_ns > worker->workers->stuck_ns;
}

/* Threads that have lost their place and not ended. */
static int abandoned_locked(const struct workers *workers)
{
    int count = 0;
    for (const struct worker *worker = workers->threads; worker != NULL; worker = worker->next) {
        count += worker->is_lost && !worker->has_ended;
    }
    return count;
}

/* Whether the place wants a new thread. */
static bool is_due_locked(struct workers *workers, const struct place *place, int64_t now_ns)
{
    if (place->is_closed || workers->gives_up || now_ns < place->next_ns) {
        return false;
    }
    return place->worker == NULL || (workers_is_stuck_locked(place->worker, now_ns) &&
                                     abandoned_locked(workers) < WORKERS_SPARE);
}

static struct place *find_due_locked(struct workers *workers)
{
    int64_t now_ns = clock_now_ns();
    for (int i = 0; i < workers->count; i++) {
        if (is_due_locked(workers, &workers->places[i], now_ns)) {
            return &workers->places[i];
        }
    }
    return NULL;
}

/* The lock is given up for the log line. */
static void replace_locked(struct workers *workers, struct place *place)
{
    struct worker *before = place->worker;
    bool has_piece = place->has_piece;
    bool succeeded = workers_spawn_locked(workers, place);
    if (succeeded && before != NULL) {
        before->is_lost = true;
        workers->stuck++;
        pthread_cond_broadcast(&workers->changed);
    } else if (succeeded) {
        workers->dead++;
    }
    place->next_ns = clock_deadline_ns(RESPAWN_MS);
    pthread_mutex_unlock(&workers->lock);
    log_event(succeeded ? LOG_WARN : LOG_ERROR,
              succeeded ? "worker_replaced" : "worker_not_replaced",
              LOG_TEXT("why", before != NULL ? "stuck" : "dead"),
              LOG_NUMBER("place", place - workers->places), LOG_BOOL("had_work", has_piece));
    pthread_mutex_lock(&workers->lock);
}

static int64_t next_look_ns(const struct workers *workers)
{
    int64_t pause_ns = workers->stuck_ns / LOOKS_PER_STUCK_TIME;
    int64_t respawn_ns = RESPAWN_MS * CLOCK_NS_PER_MS;
    return clock_now_ns() + (pause_ns < respawn_ns ? pause_ns : respawn_ns);
}

void *workers_supervise(void *arg)
{
    struct workers *workers = arg;
    pthread_mutex_lock(&workers->lock);
    while (!workers->is_over) {
        struct place *place = find_due_locked(workers);
        if (place != NULL) {
            replace_locked(workers, place);
            continue;
        }
        (void)clock_cond_wait(&workers->changed, &workers->lock, next_look_ns(workers));
        pthread_mutex_unlock(&workers->lock);
        workers_join_ended(workers);
        pthread_mutex_lock(&workers->lock);
    }
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}
