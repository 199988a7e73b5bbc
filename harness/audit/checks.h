/* checks: the seven rules, each on its own, from journal and snapshot to a verdict. */
#ifndef AUDIT_CHECKS_H
#define AUDIT_CHECKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harness/audit/journal.h"
#include "harness/audit/options.h"
#include "harness/audit/snapshot.h"

enum verdict {
    VERDICT_PASS,
    VERDICT_FAIL,
    VERDICT_UNKNOWN,
    VERDICT_NOT_CHECKED, /* nobody asked for it */
};

enum { CHECKS_COUNT = 7, CHECK_WORST = 5, CHECK_TEXT_SIZE = 320 };

struct check {
    const char *name;
    const char *rule;
    enum verdict verdict;
    int64_t offenders;
    char worst[CHECK_WORST][CHECK_TEXT_SIZE]; /* worst first */
    int64_t weight[CHECK_WORST];              /* how bad each of these is */
    size_t worst_count;
    char missing[CHECK_TEXT_SIZE]; /* UNKNOWN: what is missing */
    char note[CHECK_TEXT_SIZE];    /* figures for people; may be empty */
};

/* Judges; *out is complete whatever is missing. */
void checks_run(const struct options *options, const struct journal *journal,
                const struct snapshot *snapshot, struct check out[CHECKS_COUNT]);

/* FAIL if any check fails, else UNKNOWN if any is, else PASS. */
enum verdict checks_verdict(const struct check checks[CHECKS_COUNT]);

/* "PASS", "FAIL", "UNKNOWN", "-". */
const char *checks_verdict_name(enum verdict verdict);

/* For the checks' own files. Counts an offender; the CHECK_WORST heaviest are kept. */
void check_offend(struct check *check, int64_t weight, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Notes that something is missing; the first such note stays. */
void check_miss(struct check *check, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* checks_journal.c: the three that rest on the journal. */
void check_not_stranded(const struct options *options, const struct journal *journal,
                        const struct snapshot *snapshot, struct check *check);
void check_acknowledged_once(const struct options *options, const struct journal *journal,
                             const struct snapshot *snapshot, struct check *check);
void check_row_count(const struct options *options, const struct journal *journal,
                     const struct snapshot *snapshot, struct check *check);

#endif
