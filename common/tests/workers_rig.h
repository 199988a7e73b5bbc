/* workers_rig: a line of numbered pieces and what became of each. For tests of workers only.
 *
 * Pieces 0.. are put with rig_put and taken in that order; rig_close ends the line. A test gives
 * the work; attempts, done and finishes count by number. Threads that are not the test's must not
 * assert: what they find wrong goes to rig.faults. Every wait of the test's ends after PATIENCE_MS.
 */
#ifndef FLASHDEAL_TESTS_WORKERS_RIG_H
#define FLASHDEAL_TESTS_WORKERS_RIG_H

#include "common/clock.h"
#include "common/tests/harness.h"
#include "common/workers.h"

enum {
    RIG_PIECES_MAX = 4000,
    PATIENCE_MS = 20000, /* for what must happen */
    LOOK_MS = 5,
    RESULT = 12345, /* added to a number, what work writes into its piece */
};

struct piece {
    int number;
    int result; /* 0 when it is taken */
};

static struct rig {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* Guarded by lock: */
    int put, taken;
    bool is_closed, gate_is_open;
    int at_gate; /* threads that wait there */
    int faults;
    int attempts[RIG_PIECES_MAX]; /* begun */
    int finishes[RIG_PIECES_MAX];
    int finished; /* the sum of finishes */
    int pauses_cut;
    int deaths; /* that take or finish is to die, still */
    int ended;  /* threads that called rig_tell_end */
} rig;

static struct workers *workers;
static bool rig_is_stopped; /* workers_stop was called */
static pthread_key_t end_key;

typedef enum status rig_work(struct worker *worker, void *piece, void *context);

static inline void rig_note_fault(bool is_fault)
{
    pthread_mutex_lock(&rig.lock);
    rig.faults += is_fault;
    pthread_mutex_unlock(&rig.lock);
}

static inline enum status rig_take(void *piece, void *context)
{
    enum status status = ST_CLOSED;
    rig_note_fault(context != &rig);
    pthread_mutex_lock(&rig.lock);
    while (rig.taken == rig.put && !rig.is_closed) {
        pthread_cond_wait(&rig.changed, &rig.lock);
    }
    if (rig.taken < rig.put) {
        *(struct piece *)piece = (struct piece){.number = rig.taken++};
        status = ST_OK;
        pthread_cond_broadcast(&rig.changed);
    }
    pthread_mutex_unlock(&rig.lock);
    return status;
}

/* Notes that the work on a piece begins; returns which attempt it is, from 1. */
static inline int rig_begin(const struct piece *piece)
{
    pthread_mutex_lock(&rig.lock);
    rig.faults += piece->result != 0; /* what an earlier attempt wrote is not to be seen */
    int attempt = ++rig.attempts[piece->number];
    pthread_cond_broadcast(&rig.changed);
    pthread_mutex_unlock(&rig.lock);
    return attempt;
}

static inline enum status rig_end(struct piece *piece)
{
    piece->result = piece->number + RESULT;
    return ST_OK;
}

static inline void rig_finish(const void *piece, void *context)
{
    const struct piece *done = piece;
    pthread_mutex_lock(&rig.lock);
    rig.faults += context != &rig || done->result != done->number + RESULT;
    rig.finishes[done->number]++;
    rig.finished++;
    pthread_cond_broadcast(&rig.changed);
    pthread_mutex_unlock(&rig.lock);
}

/* Waits until the gate opens, beating not once. */
static inline void rig_pass_gate(void)
{
    pthread_mutex_lock(&rig.lock);
    rig.at_gate++;
    pthread_cond_broadcast(&rig.changed);
    while (!rig.gate_is_open) {
        pthread_cond_wait(&rig.changed, &rig.lock);
    }
    rig.at_gate--;
    pthread_mutex_unlock(&rig.lock);
}

static inline void rig_open_gate(void)
{
    pthread_mutex_lock(&rig.lock);
    rig.gate_is_open = true;
    pthread_cond_broadcast(&rig.changed);
    pthread_mutex_unlock(&rig.lock);
}

static inline bool rig_pause(struct worker *worker, int64_t deadline_ns)
{
    bool goes_on = worker_pause(worker, deadline_ns);
    pthread_mutex_lock(&rig.lock);
    rig.pauses_cut += !goes_on;
    pthread_cond_broadcast(&rig.changed);
    pthread_mutex_unlock(&rig.lock);
    return goes_on;
}

static inline void rig_note_end(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&rig.lock);
    rig.ended++;
    pthread_cond_broadcast(&rig.changed);
    pthread_mutex_unlock(&rig.lock);
}

/* The calling thread's end, after all that workers do there, is counted in rig.ended. */
static inline void rig_tell_end(void)
{
    rig_note_fault(pthread_setspecific(end_key, &rig) != 0);
}

static inline enum status rig_do_at_once(struct worker *worker, void *piece, void *context)
{
    (void)worker;
    (void)context;
    (void)rig_begin(piece);
    return rig_end(piece);
}

static inline enum status rig_do_behind_the_gate(struct worker *worker, void *piece, void *context)
{
    (void)worker;
    (void)context;
    rig_tell_end();
    (void)rig_begin(piece);
    rig_pass_gate();
    return rig_end(piece);
}

/* ------------------------------------------------------------------------------ the test's side */

static inline void rig_put(int count)
{
    pthread_mutex_lock(&rig.lock);
    rig.put += count;
    pthread_cond_broadcast(&rig.changed);
    pthread_mutex_unlock(&rig.lock);
}

static inline void rig_close(void)
{
    pthread_mutex_lock(&rig.lock);
    rig.is_closed = true;
    pthread_cond_broadcast(&rig.changed);
    pthread_mutex_unlock(&rig.lock);
}

static inline void rig_set(int *field, int value)
{
    pthread_mutex_lock(&rig.lock);
    *field = value;
    pthread_mutex_unlock(&rig.lock);
}

static inline int rig_get(const int *field)
{
    pthread_mutex_lock(&rig.lock);
    int value = *field;
    pthread_mutex_unlock(&rig.lock);
    return value;
}

/* Waits until *field, one of rig's, is at least value. */
static inline void rig_await(const int *field, int value)
{
    int64_t deadline_ns = clock_deadline_ns(PATIENCE_MS);
    bool in_time = true;
    pthread_mutex_lock(&rig.lock);
    while (*field < value && in_time) {
        in_time = clock_cond_wait(&rig.changed, &rig.lock, deadline_ns);
    }
    int found = *field;
    pthread_mutex_unlock(&rig.lock);
    ck_assert_int_ge(found, value);
}

static inline struct workers_stats rig_stats(void)
{
    struct workers_stats stats;
    memset(&stats, 0xff, sizeof(stats));
    workers_read_stats(workers, &stats);
    return stats;
}

/* Awaits a figure of the workers' own, which nobody signals. */
#define rig_await_stat(field_, value_)                                                             \
    do {                                                                                           \
        int64_t until_ns = clock_deadline_ns(PATIENCE_MS);                                         \
        while (rig_stats().field_ != (value_) && clock_now_ns() < until_ns) {                      \
            clock_sleep_until(clock_deadline_ns(LOOK_MS));                                         \
        }                                                                                          \
        ck_assert_int_eq(rig_stats().field_, (value_));                                            \
    } while (0)

static inline void rig_start(int count, int64_t stuck_ms, rig_work *work)
{
    const struct workers_duties duties = {
        .piece_size = sizeof(struct piece),
        .take = rig_take,
        .work = work,
        .finish = rig_finish,
        .context = &rig,
    };
    workers = workers_start(count, stuck_ms, &duties);
}

/* Closes the line and stops; returns what workers_stop did. */
static inline int rig_stop(int64_t patience_ms)
{
    rig_close();
    rig_is_stopped = true;
    return workers_stop(workers, clock_deadline_ns(patience_ms));
}

static inline void rig_expect_each_finished_once(int count)
{
    for (int i = 0; i < count; i++) {
        ck_assert_msg(rig_get(&rig.finishes[i]) == 1, "piece %d: %d times", i,
                      rig_get(&rig.finishes[i]));
    }
    ck_assert_int_eq(rig_get(&rig.finished), count);
    ck_assert_int_eq(rig_get(&rig.faults), 0);
}

static inline void rig_set_up(void)
{
    memset(&rig, 0, sizeof(rig));
    pthread_mutex_init(&rig.lock, NULL);
    clock_cond_init(&rig.changed);
    workers = NULL;
    rig_is_stopped = false;
}

static inline void rig_tear_down(void)
{
    if (workers != NULL && !rig_is_stopped) { /* a test that failed: it is that which is told */
        rig_open_gate();
        (void)rig_stop(0);
    }
    workers_free(workers);
    workers = NULL;
    pthread_cond_destroy(&rig.changed);
    pthread_mutex_destroy(&rig.lock);
}

#endif
