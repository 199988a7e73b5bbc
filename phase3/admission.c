/* The queue before the workers, and the four ways out of it.
 *
 * A job lives on the stack of the handler that waits for it. Who may touch it follows from where it
 * is: in line, nobody; popped, the worker, until it opens the latch; withdrawn or done, the
 * handler. A handler leaves only when it has withdrawn its job or the latch is open, so a worker
 * never writes to a stack that is gone.
 *
 * A job is dropped by its handler when the deadline passes while it is in line (which also frees
 * its place when all workers are stuck), and by a worker that pops it too late or finds its client
 * gone: what nobody waits for any more is work that others wait for. */
#include "admission.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/latch.h"
#include "common/log.h"
#include "common/queue.h"
#include "common/xalloc.h"

struct job {
    struct queue_item item;
    struct http_request *request;
    admission_work *work;
    void *data;
    int64_t deadline_ns;
    struct latch done;
    /* Written by the worker before it opens the latch: */
    enum admission_result result;
    enum status status;
};

struct admission {
    struct admission_options options;
    struct queue *queue;
    pthread_t *workers;
    atomic_llong done, late, gone;
};

/* ------------------------------------------------------------------------------------- workers */

static void do_job(struct admission *admission, struct job *job)
{
    struct pg *pg = NULL;
    struct stages *stages = &job->request->stages;
    job->status = dbpool_acquire(admission->options.pool, job->deadline_ns, stages, &pg);
    if (job->status == ST_OK) {
        job->status = job->work(pg, job->data);
    }
    dbpool_release(admission->options.pool, pg);
}

static void serve_job(struct admission *admission, struct job *job)
{
    if (clock_now_ns() >= job->deadline_ns) {
        job->result = ADMISSION_LATE;
    } else if (http_client_gone(job->request)) {
        job->result = ADMISSION_GONE;
    } else {
        job->result = ADMISSION_DONE;
        do_job(admission, job);
    }
    latch_open(&job->done);
}

static void *run_worker(void *context)
{
    struct admission *admission = context;
    struct queue_item *item = NULL;
    while (queue_pop(admission->queue, CLOCK_NEVER, &item) == ST_OK) {
        serve_job(admission, QUEUE_OWNER(item, struct job, item));
    }
    return NULL;
}

/* ------------------------------------------------------------------------------------ handlers */

/* Waits until a worker is done with the job, or takes it back at its deadline. */
static void await_job(struct admission *admission, struct job *job)
{
    struct stages *stages = &job->request->stages;
    if (latch_wait(&job->done, job->deadline_ns, stages) == ST_OK) {
        return;
    }
    if (queue_remove(admission->queue, &job->item)) {
        job->result = ADMISSION_LATE;
    } else if (latch_wait(&job->done, CLOCK_NEVER, stages) != ST_OK) {
        abort(); /* a latch without a deadline opens */
    }
}

static void count(struct admission *admission, enum admission_result result)
{
    switch (result) {
    case ADMISSION_DONE:
        atomic_fetch_add(&admission->done, 1);
        return;
    case ADMISSION_LATE:
        atomic_fetch_add(&admission->late, 1);
        return;
    case ADMISSION_GONE:
        atomic_fetch_add(&admission->gone, 1);
        return;
    case ADMISSION_QUEUE_FULL: /* the queue counts these */
    case ADMISSION_STOPPING:
        return;
    }
}

enum admission_result admission_run(struct admission *admission, struct http_request *request,
                                    admission_work *work, void *data, enum status *status)
{
    struct job job = {.request = request, .work = work, .data = data, .status = ST_TIMEOUT};
    job.deadline_ns = clock_deadline_ns(admission->options.deadline_ms);
    latch_init(&job.done);
    enum status pushed = queue_push(admission->queue, &job.item, &request->stages);
    if (pushed == ST_OK) {
        await_job(admission, &job);
    } else {
        job.result = pushed == ST_BUSY ? ADMISSION_QUEUE_FULL : ADMISSION_STOPPING;
    }
    latch_destroy(&job.done);
    count(admission, job.result);
    *status = job.status;
    return job.result;
}

/* --------------------------------------------------------------------------------- the whole */

struct admission *admission_start(const struct admission_options *options)
{
    struct admission *admission = xcalloc(1, sizeof *admission);
    admission->options = *options;
    admission->queue = queue_new(options->queue_max);
    admission->workers = xcalloc((size_t)options->workers, sizeof *admission->workers);
    for (int i = 0; i < options->workers; i++) {
        int error = pthread_create(&admission->workers[i], NULL, run_worker, admission);
        if (error != 0) {
            log_event(LOG_ERROR, "no_thread", LOG_TEXT("error", strerror(error)));
            abort();
        }
    }
    return admission;
}

void admission_close(struct admission *admission)
{
    queue_close(admission->queue);
}

void admission_free(struct admission *admission)
{
    if (!admission) {
        return;
    }
    for (int i = 0; i < admission->options.workers; i++) {
        pthread_join(admission->workers[i], NULL);
    }
    queue_free(admission->queue);
    free(admission->workers);
    free(admission);
}

/* ---------------------------------------------------------------------------- what it publishes */

static struct queue_stats read_queue(const struct admission *admission)
{
    struct queue_stats stats;
    queue_read_stats(admission->queue, &stats);
    return stats;
}

static double read_length(void *context)
{
    return read_queue(context).length;
}

static double read_max(void *context)
{
    return read_queue(context).max;
}

static double read_age(void *context)
{
    return (double)read_queue(context).age_ns / (double)CLOCK_NS_PER_S;
}

static double read_refused(void *context)
{
    return (double)read_queue(context).refused;
}

static double read_done(void *context)
{
    struct admission *admission = context;
    return (double)atomic_load(&admission->done);
}

static double read_late(void *context)
{
    struct admission *admission = context;
    return (double)atomic_load(&admission->late);
}

static double read_gone(void *context)
{
    struct admission *admission = context;
    return (double)atomic_load(&admission->gone);
}

void admission_publish(struct admission *admission, struct metrics *metrics)
{
    static const char results[] = "flashdeal_admission_total";
    static const char results_help[] = "Jobs that were in line, by what became of them.";
    metrics_gauge(metrics, "flashdeal_queue_length", "Jobs in line.", "", read_length, admission);
    metrics_gauge(metrics, "flashdeal_queue_max", "Jobs that may be in line.", "", read_max,
                  admission);
    metrics_gauge(metrics, "flashdeal_queue_age_seconds", "How long the first in line has waited.",
                  "", read_age, admission);
    metrics_sampled_counter(metrics, "flashdeal_queue_refused_total",
                            "Jobs that found the queue full.", "", read_refused, admission);
    metrics_sampled_counter(metrics, results, results_help, "result=\"done\"", read_done,
                            admission);
    metrics_sampled_counter(metrics, results, results_help, "result=\"late\"", read_late,
                            admission);
    metrics_sampled_counter(metrics, results, results_help, "result=\"gone\"", read_gone,
                            admission);
}
