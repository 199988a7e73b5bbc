/* audit: did the shop keep its word? Reads the journals, looks at the database, judges, reports.
 *
 * It trusts neither side alone: the clients' journal says what was asked and promised, the
 * database's views audit_sales and audit_orders say what was done. It never asks the server.
 * Exit status: 0 PASS, 1 FAIL, 2 UNKNOWN, 64 wrong usage. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/audit/checks.h"
#include "harness/audit/journal.h"
#include "harness/audit/options.h"
#include "harness/audit/report.h"
#include "harness/audit/snapshot.h"

enum { EXIT_PASS = 0, EXIT_FAIL = 1, EXIT_UNKNOWN = 2 };

static int exit_status(enum verdict verdict)
{
    switch (verdict) {
    case VERDICT_PASS:
        return EXIT_PASS;
    case VERDICT_FAIL:
        return EXIT_FAIL;
    case VERDICT_UNKNOWN:
    case VERDICT_NOT_CHECKED:
        break;
    }
    return EXIT_UNKNOWN;
}

/* A result that could not be written where it was asked for is none: it cannot be PASS. */
static int write_json(const struct options *options, const struct journal *journal,
                      const struct snapshot *snapshot, const struct check *checks, int status)
{
    if (!options->json || report_write_json(options->json, journal, snapshot, checks) == ST_OK) {
        return status;
    }
    fprintf(stderr, "audit: cannot write the --json file: %s\n", strerror(errno));
    return status == EXIT_PASS ? EXIT_UNKNOWN : status;
}

int main(int argc, char **argv)
{
    struct options options;
    int status = options_read(argc, argv, &options);
    if (status != -1) {
        return status;
    }
    struct journal *journal = journal_new();
    struct snapshot snapshot;
    struct check checks[CHECKS_COUNT];
    if (journal_read(journal, &options) != ST_OK && options.journal_count > 0) {
        fprintf(stderr, "audit: %s\n", journal->error);
    }
    snapshot_take(&options, journal, &snapshot);
    checks_run(&options, journal, &snapshot, checks);
    status = write_json(&options, journal, &snapshot, checks, exit_status(checks_verdict(checks)));
    report_print(journal, &snapshot, checks);
    snapshot_free(&snapshot);
    journal_free(journal);
    return status;
}
