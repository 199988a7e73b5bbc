/* The command line, by getopt_long; every bad value is one sentence and status 64.
 *
 * The database's URI may hold a password, so no message repeats an argument's value. */
#define _GNU_SOURCE /* getopt_long */
#include "harness/audit/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static const char HELP[] =
    "audit: holds loadgen's journals against the database's views audit_sales, audit_orders\n"
    "\n"
    "  audit --database URI [--journal FILE ...] [--sale ID ...] [--idempotent]\n"
    "        [--settle-ms 10000] [--allow-lost] [--json FILE]\n"
    "\n"
    "  --database URI    libpq URI\n"
    "  --journal FILE    what loadgen wrote; several are judged as one load. Without one, the\n"
    "                    checks that need it are UNKNOWN\n"
    "  --sale ID         judge this sale only (several: these); default: every sale\n"
    "  --idempotent      one order per (user, Idempotency-Key) is promised: check it\n"
    "  --settle-ms MS    wait this long for pending and missing orders (0 to 600000)\n"
    "  --allow-lost      acknowledged orders without a row, or told 404, are counted and "
    "reported,\n"
    "                    but not held against the server (phases 4-6 after kill -9)\n"
    "  --json FILE       the result as JSON: {\"version\",\"verdict\",\"orders\",\"confirmed\",\n"
    "                    "
    "\"settled_ms\",\"journal\":{..},\"checks\":[{\"name\",\"verdict\",\"rule\",\n"
    "                    \"detail\",\"offenders\",\"worst\":[..]}]}\n"
    "\n"
    "Checks: stock_balance, not_oversold, not_stranded, acknowledged_once, one_order_per_key,\n"
    "user_limit, row_count; each PASS, FAIL with the worst offenders, or UNKNOWN with what is\n"
    "missing. Exit status: 0 all PASS, 1 any FAIL, 2 UNKNOWN without FAIL, 64 wrong usage.\n";

/* getopt_long returns 0 for a flag that it has set itself. */
enum option_id { OPT_FLAG, OPT_DATABASE, OPT_JOURNAL, OPT_SALE, OPT_SETTLE, OPT_JSON, OPT_HELP };

bool options_number(const char *text, int64_t minimum, int64_t maximum, int64_t *out)
{
    char *end = NULL;
    if (*text != '-' && (*text < '0' || *text > '9')) {
        return false;
    }
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < minimum || value > maximum) {
        return false;
    }
    *out = value;
    return true;
}

bool options_has_sale(const struct options *options, int64_t sale_id)
{
    for (size_t i = 0; i < options->sale_count; i++) {
        if (options->sales[i] == sale_id) {
            return true;
        }
    }
    return options->sale_count == 0;
}

static int wrong_usage(const char *sentence)
{
    fprintf(stderr, "audit: %s (audit --help)\n", sentence);
    return OPTIONS_USAGE_STATUS;
}

static int add_journal(struct options *out, const char *path)
{
    if (out->journal_count == OPTIONS_JOURNALS_MAX) {
        return wrong_usage("at most 16 times --journal");
    }
    out->journals[out->journal_count++] = path;
    return -1;
}

static int add_sale(struct options *out, const char *text)
{
    if (out->sale_count == OPTIONS_SALES_MAX) {
        return wrong_usage("at most 256 times --sale");
    }
    if (!options_number(text, 1, INT64_MAX, &out->sales[out->sale_count])) {
        return wrong_usage("--sale takes a whole number from 1");
    }
    out->sale_count++;
    return -1;
}

static int apply(struct options *out, int id, const char *value)
{
    switch ((enum option_id)id) {
    case OPT_DATABASE:
        out->database = value;
        return -1;
    case OPT_JOURNAL:
        return add_journal(out, value);
    case OPT_SALE:
        return add_sale(out, value);
    case OPT_SETTLE:
        return options_number(value, 0, OPTIONS_SETTLE_MS_MAX, &out->settle_ms)
                   ? -1
                   : wrong_usage("--settle-ms takes a whole number from 0 to 600000");
    case OPT_JSON:
        out->json = value;
        return -1;
    case OPT_HELP:
        fputs(HELP, stdout);
        return EXIT_SUCCESS;
    case OPT_FLAG:
        return -1;
    }
    return wrong_usage("unknown option, or one without its value");
}

int options_read(int argc, char **argv, struct options *out)
{
    int idempotent = 0, allow_lost = 0;
    const struct option table[] = {
        {"database", required_argument, NULL, OPT_DATABASE},
        {"journal", required_argument, NULL, OPT_JOURNAL},
        {"sale", required_argument, NULL, OPT_SALE},
        {"idempotent", no_argument, &idempotent, 1},
        {"settle-ms", required_argument, NULL, OPT_SETTLE},
        {"allow-lost", no_argument, &allow_lost, 1},
        {"json", required_argument, NULL, OPT_JSON},
        {"help", no_argument, NULL, OPT_HELP},
        {NULL, 0, NULL, 0},
    };
    *out = (struct options){.settle_ms = OPTIONS_SETTLE_MS_DEFAULT};
    opterr = 0;
    int id;
    while ((id = getopt_long(argc, argv, "", table, NULL)) != -1) {
        int result = apply(out, id, optarg);
        if (result != -1) {
            return result;
        }
    }
    out->idempotent = idempotent != 0;
    out->allow_lost = allow_lost != 0;
    if (optind < argc) {
        return wrong_usage("there is an argument that belongs to no option");
    }
    return out->database ? -1 : wrong_usage("--database URI is missing");
}
