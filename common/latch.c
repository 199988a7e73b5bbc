/* latch: a flag under a mutex, with a condition variable on the monotonic clock.
 *
 * The latch may be on the waiter's stack, so latch_open signals while it still holds the lock: the
 * waiter cannot return before the unlock, which is the opener's last touch. That a waiter may then
 * lock, unlock and destroy the mutex before the opener's unlock has returned is what POSIX demands
 * of it (pthread_mutex_destroy, "Destroying Mutexes"); a signal after the unlock would have no such
 * promise. pthread_cond_destroy in turn waits for nobody here: no one else waits.
 *
 * It opens once and is not closed again; there is one waiter. */
#include "common/latch.h"

#include <assert.h>

#include "common/clock.h"

void latch_init(struct latch *latch)
{
    clock_cond_init(&latch->opened);
    pthread_mutex_init(&latch->lock, NULL);
    latch->is_open = false;
    latch->opened_ns = 0;
}

void latch_open(struct latch *latch)
{
    pthread_mutex_lock(&latch->lock);
    assert(!latch->is_open);
    latch->is_open = true;
    latch->opened_ns = clock_now_ns();
    pthread_cond_signal(&latch->opened);
    pthread_mutex_unlock(&latch->lock);
}

enum status latch_wait(struct latch *latch, int64_t deadline_ns, struct stages *stages)
{
    pthread_mutex_lock(&latch->lock);
    while (!latch->is_open && clock_now_ns() < deadline_ns) {
        clock_cond_wait(&latch->opened, &latch->lock, deadline_ns);
    }
    bool is_open = latch->is_open;
    int64_t opened_ns = latch->opened_ns;
    pthread_mutex_unlock(&latch->lock);
    if (!is_open) {
        return ST_TIMEOUT;
    }
    stages_add_since(stages, STAGE_REPLY, opened_ns);
    return ST_OK;
}

void latch_destroy(struct latch *latch)
{
    pthread_cond_destroy(&latch->opened);
    pthread_mutex_destroy(&latch->lock);
}
