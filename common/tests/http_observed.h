/* http_observed: an http_observer that remembers what it was told. For tests only.
 *
 * A reply reaches its client before the observer is called, so a test waits for what it expects:
 * observed_await(n) returns when the observer has been told of n + 1 requests, and gives the last
 * of them. Beyond OBSERVED_MAX requests only the number is kept. */
#ifndef FLASHDEAL_TESTS_HTTP_OBSERVED_H
#define FLASHDEAL_TESTS_HTTP_OBSERVED_H

#include "common/tests/http_server.h"

enum { OBSERVED_MAX = 4096 };

struct observed {
    char id[UUID_TEXT_SIZE];
    struct trace trace;
    int64_t user_id;
    struct stages stages;
    struct http_result result;
};

static struct observed observed[OBSERVED_MAX]; /* Guarded by observed_lock */
static int observed_count;                     /* Guarded by observed_lock */
static pthread_mutex_t observed_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t observed_more = PTHREAD_COND_INITIALIZER;

/* context must be &observed_count: that it is handed on is part of the contract. */
static inline void observed_note(const struct http_request *request,
                                 const struct http_result *result, void *context)
{
    pthread_mutex_lock(&observed_lock);
    handler_faults += context != &observed_count;
    if (observed_count < OBSERVED_MAX) {
        struct observed *note = &observed[observed_count];
        memcpy(note->id, request->id, sizeof note->id);
        note->trace = request->trace;
        note->user_id = request->user_id;
        note->stages = request->stages;
        note->result = *result;
        handler_faults += strlen(request->body) != request->body_length;
    }
    observed_count++;
    pthread_cond_broadcast(&observed_more);
    pthread_mutex_unlock(&observed_lock);
}

static inline void observed_reset(void)
{
    pthread_mutex_lock(&observed_lock);
    observed_count = 0;
    pthread_mutex_unlock(&observed_lock);
}

static inline int observed_so_far(void)
{
    pthread_mutex_lock(&observed_lock);
    int count = observed_count;
    pthread_mutex_unlock(&observed_lock);
    return count;
}

static inline const struct observed *observed_await(int index)
{
    pthread_mutex_lock(&observed_lock);
    while (observed_count <= index) {
        pthread_cond_wait(&observed_more, &observed_lock);
    }
    pthread_mutex_unlock(&observed_lock);
    return &observed[index];
}

static inline int64_t observed_sum_ns(const struct observed *note)
{
    int64_t sum_ns = 0;
    for (int stage = 0; stage < STAGE_COUNT; stage++) {
        sum_ns += note->stages.spent_ns[stage];
    }
    return sum_ns;
}

#endif
