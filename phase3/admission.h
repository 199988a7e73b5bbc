/* admission: a bounded queue before a few database workers. First used by phase 3.
 *
 * It knows no orders: what is to be done is a function. A request's handler puts its job in line
 * and waits for the result; a worker takes it out, with a connection of its own pool. So at most
 * `workers` jobs are in the database at once, however many clients there are. What cannot be done
 * in time is not done: a full queue refuses at once, and a job that is too old when its turn comes,
 * or whose client has gone, is dropped. */
#ifndef ADMISSION_H
#define ADMISSION_H

#include <stdint.h>

#include "common/dbpool.h"
#include "common/http.h"
#include "common/metrics.h"
#include "common/status.h"

struct admission; /* opaque; safe from any thread */

struct admission_options {
    struct dbpool *pool; /* borrowed; as many connections as workers */
    int workers;         /* threads, from 1 */
    int queue_max;       /* jobs in line, from 1 */
    int64_t deadline_ms; /* a job that is longer in line than this is dropped */
};

/* A job: does its work on pg. Its return and what it writes to job reach who waits. */
typedef enum status admission_work(struct pg *pg, void *job);

/* What became of a job. */
enum admission_result {
    ADMISSION_DONE,       /* the work was tried: its status tells */
    ADMISSION_QUEUE_FULL, /* refused at once */
    ADMISSION_LATE,       /* dropped: its deadline passed while it was in line */
    ADMISSION_GONE,       /* dropped: its client has hung up */
    ADMISSION_STOPPING,   /* refused: the server stops */
};

/* Starts the workers. Aborts when there is no memory or no thread to be had. */
struct admission *admission_start(const struct admission_options *options);

/* Puts work(pg, job) in line for the request and waits. Nothing of request or job is used any more
 * when it has returned. Blocks until the job's deadline, or, once a worker has it, as the database
 * does. ADMISSION_DONE: *status is what work returned, or why there was no connection by the
 * deadline. */
enum admission_result admission_run(struct admission *admission, struct http_request *request,
                                    admission_work *work, void *job, enum status *status);

/* Publishes flashdeal_queue_length, _max, _age_seconds (gauges), flashdeal_queue_refused_total and
 * flashdeal_admission_total{result="done|late|gone"}. Call at start; admission must outlive the
 * metrics' last scrape. */
void admission_publish(struct admission *admission, struct metrics *metrics);

/* Refuses new jobs; those in line are still done. */
void admission_close(struct admission *admission);

/* Waits for the workers, which end when the queue is empty, and frees it. After admission_close,
 * and when nobody is in admission_run. Accepts NULL. */
void admission_free(struct admission *admission);

#endif
