/* run: a comparison's directory as compare.sh leaves it (harness/lib/compare_summary.jq and
 * compare_round.jq say what stands in its JSON). */
#ifndef FLASHDEAL_REPORT_RUN_H
#define FLASHDEAL_REPORT_RUN_H

#include "common/status.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

enum {
    RUN_ROUNDS_MAX = 18,
    RUN_ARMS = 2,
    RUN_ERROR_MAX = 4352,
    RUN_FIGURE_MAX = 32,
    RUN_RANGE_MAX = 2 * RUN_FIGURE_MAX + 8
};

struct run_round {
    int arm; /* 0: a, 1: b */
    int number;
    const cJSON *listed; /* the round in summary.json */
    cJSON *json;         /* its own file; owned */
};

struct run {
    cJSON *summary; /* owned */
    struct run_round rounds[RUN_ROUNDS_MAX];
    size_t round_count;
    char error[RUN_ERROR_MAX]; /* one sentence, after run_load failed */
};

/* Loads summary.json and the rounds that it lists (further than RUN_ROUNDS_MAX: left out). The
 * caller releases it with run_release, in either case. Everything but the two targets may be
 * missing: what is not there is not shown. ST_INVALID: error says which file is wrong, and how. */
MUST_USE enum status run_load(const char *directory, struct run *run);
void run_release(struct run *run);

/* "a" and "b"; the target's name ("phase 1 with DB_POOL=5"), and as it was given ("1,DB_POOL=5");
 * never NULL. */
const char *run_arm(int arm);
const char *run_name(const struct run *run, int arm);
const char *run_target(const struct run *run, int arm);

/* The pair of rounds that is shown boldly; 0: none. */
int run_shown(const struct run *run);

/* A member, NULL where there is none; the object may be NULL. */
const cJSON *run_member(const cJSON *object, const char *name);

/* A member's text, "" where there is none; the object may be NULL. */
const char *run_text(const cJSON *object, const char *name);

/* A member's number, NAN where there is none or it is not finite. */
double run_number(const cJSON *object, const char *name);

/* Three digits of a figure, "-" of NAN. */
void run_figure(double value, char text[RUN_FIGURE_MAX]);

/* A SPREAD's median, "-" where there is none, and its range, "2.20 to 2.63", empty where all are as
 * one. */
void run_spread(const cJSON *spread, char median[RUN_FIGURE_MAX], char range[RUN_RANGE_MAX]);

#endif
