/* stats: what the run counted. Plain data that the client fills in; summary.c and series.c write
 * it. Only what was begun inside the window is counted. One thread. */
#ifndef FLASHDEAL_LOADGEN_STATS_H
#define FLASHDEAL_LOADGEN_STATS_H

#include "answer.h"
#include "hist.h"
#include "net.h"
#include "reply.h"

enum {
    STATS_CODES = 600,   /* HTTP status codes below */
    STATS_PROBLEMS = 64, /* different problem codes; further ones count as "other" */
};

/* How an accepted order ended, as far as the client got to know. */
enum final { FINAL_CONFIRMED, FINAL_REJECTED, FINAL_FAILED, FINAL_UNFINISHED, FINAL_LOST, FINALS };

/* Replies and losses of every attempt of one kind of request. */
struct stats_outcomes {
    int64_t codes[STATS_CODES];
    int64_t losses[LOSS_COUNT];
};

/* Replies 429 and 503. */
struct stats_retry_after {
    int64_t seconds[RETRY_AFTER_MAX_S + 1]; /* by the seconds that their Retry-After asks for */
    int64_t none;                           /* without one */
};

struct stats_orders {
    int64_t count, ok, fail, info, unsent; /* orders; the last four sum up to count at the end */
    int64_t attempts, retries;             /* attempts = codes + losses - unsent */
    int64_t retries_denied;                /* for want of --retry-budget */
    int64_t gone;                          /* 404 for an acknowledged id, and ordered again */
    int64_t polls;
    int64_t goodput;
    struct stats_outcomes outcomes;
    struct {
        char code[ANSWER_CODE_SIZE];
        int64_t count;
        struct stats_retry_after asked;
    } problems[STATS_PROBLEMS];
    struct stats_retry_after asked; /* of all of them */
    struct hist *accept, *accept_uncorrected, *refused, *complete;
    int64_t finals[FINALS];
};

struct stats_route {
    int64_t count, ok_within_100ms;
    struct stats_outcomes outcomes;
    struct hist *latency;
};

/* What one point of the series is made of; cleared every second. */
struct stats_second {
    int64_t orders, ok, fail, info, reads, reads_ok, probes;
    struct hist *accept, *read, *probe;
};

struct stats {
    struct stats_orders orders;
    struct stats_route reads, probes;
    struct stats_second second;
    struct hist *lag;
};

struct stats *stats_create(void);

/* Accepts NULL. */
void stats_destroy(struct stats *stats);

void stats_count_code(struct stats_outcomes *outcomes, int http);

/* Counts a problem's code; "" is none. retry_after_s: what a 429 or 503 asks for, -1 for nothing;
 * NULL for other replies. */
void stats_count_problem(struct stats_orders *orders, const char *code, const int *retry_after_s);

/* An order of the window has its result (RESULT_NONE: never sent). */
void stats_settle_order(struct stats *stats, enum op_result result);

/* The route's counters of a read or a probe. */
struct stats_route *stats_route_of(struct stats *stats, enum plan_kind kind);

void stats_clear_second(struct stats_second *second);

#endif
