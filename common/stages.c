/* stages: the names of the stages, and the one sum.
 *
 * A stage may be entered many times in a request; its times add up. Nothing here locks: a request
 * belongs to one thread at a time. It does not check that stages do not overlap; the callers in
 * common/ (http, dbpool, pg) time disjoint stretches, so that the sum never passes the total. */
#include "common/stages.h"

#include <assert.h>
#include <stddef.h>

#include "common/clock.h"

const char *stages_name(enum stage stage)
{
    switch (stage) {
    case STAGE_VALIDATION:
        return "validation";
    case STAGE_QUEUE_WAIT:
        return "queue_wait";
    case STAGE_POOL_WAIT:
        return "pool_wait";
    case STAGE_LOCK_WAIT:
        return "lock_wait";
    case STAGE_STATEMENTS:
        return "statements";
    case STAGE_COMMIT:
        return "commit";
    case STAGE_REPLY:
        return "reply";
    case STAGE_COUNT:
        break;
    }
    return "not_a_stage";
}

void stages_add_since(struct stages *stages, enum stage stage, int64_t since_ns)
{
    if (!stages) {
        return;
    }
    assert(stage < STAGE_COUNT);
    stages->spent_ns[stage] += clock_now_ns() - since_ns;
}

int64_t stages_other_ns(const struct stages *stages, int64_t total_ns)
{
    for (int stage = 0; stage < STAGE_COUNT; stage++) {
        total_ns -= stages->spent_ns[stage];
    }
    return total_ns > 0 ? total_ns : 0;
}
