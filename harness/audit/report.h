/* report: the verdicts, for people and as JSON. */
#ifndef AUDIT_REPORT_H
#define AUDIT_REPORT_H

#include "common/status.h"
#include "harness/audit/checks.h"

/* On standard output: what was looked at, a line for each check with its worst offenders, and as
 * the last line "audit: PASS|FAIL|UNKNOWN (n orders, n confirmed, n checks)". */
void report_print(const struct journal *journal, const struct snapshot *snapshot,
                  const struct check checks[CHECKS_COUNT]);

/* The same as JSON, version 1, in a file. ST_SYSTEM: it could not be written, and errno says why.
 */
MUST_USE enum status report_write_json(const char *path, const struct journal *journal,
                                       const struct snapshot *snapshot,
                                       const struct check checks[CHECKS_COUNT]);

#endif
