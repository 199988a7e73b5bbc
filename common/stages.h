/* stages: where a request's time went. First used by phase 0; published from phase 2 on.
 *
 * The clock is read inside common/ (http, dbpool, pg), so leaves carry no timing calls: each part
 * adds to the struct stages of the request it works for. One request is one thread's at a time, so
 * there is no lock. A time that belongs to no stage is the total less the sum. */
#ifndef FLASHDEAL_STAGES_H
#define FLASHDEAL_STAGES_H

#include <stdint.h>

enum stage {
    STAGE_VALIDATION, /* http, http_json: checks, body read, parse */
    STAGE_QUEUE_WAIT, /* queue: from the push until the item leaves the queue (phase 3 on) */
    STAGE_POOL_WAIT,  /* dbpool: from acquire's call to its return */
    STAGE_LOCK_WAIT,  /* pg: statements marked as taking the row's lock */
    STAGE_STATEMENTS, /* pg: every other statement, begin and rollback among them */
    STAGE_COMMIT,     /* pg: commit */
    STAGE_REPLY,      /* http: writing the reply; latch: the way of a result to who replies */
    STAGE_COUNT
};

struct stages {
    int64_t spent_ns[STAGE_COUNT];
};

/* "validation", "pool_wait", ...; never NULL. */
const char *stages_name(enum stage stage);

/* Adds now - since_ns to the stage; stages may be NULL (work on nobody's account). */
void stages_add_since(struct stages *stages, enum stage stage, int64_t since_ns);

/* The part of total_ns that is in no stage; not below 0. */
int64_t stages_other_ns(const struct stages *stages, int64_t total_ns);

#endif
