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

struct stats_orders {
    int64_t count, ok, fail, info, unsent; /* orders; the last four sum up to count at the end */
    int64_t attempts, retries;             /* attempts = codes + losses - unsent */
    int64_t goodput;
    struct stats_outcomes outcomes;
    struct {
        char code[ANSWER_CODE_SIZE];
        int64_t count;
    } problems[STATS_PROBLEMS];
    int64_t retry_after[RETRY_AFTER_MAX_S + 1]; /* 429 and 503, by the seconds they ask for */
    int64_t retry_after_none;                   /* 429 and 503 without them */
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

/* Counts a problem's code; "" is not counted. */
void stats_count_problem(struct stats_orders *orders, const char *code);

/* Counts what a 429 or 503 asks for; -1: nothing. */
void stats_count_retry_after(struct stats_orders *orders, int seconds);

/* An order of the window has its result (RESULT_NONE: never sent). */
void stats_settle_order(struct stats *stats, enum op_result result);

/* The route's counters of a read or a probe. */
struct stats_route *stats_route_of(struct stats *stats, enum plan_kind kind);

void stats_clear_second(struct stats_second *second);

#endif
