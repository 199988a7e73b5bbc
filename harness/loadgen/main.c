/* loadgen: sends a planned load to a server of the FlashDeal service and measures from the intended
 * send time. harness/README.md is its manual.
 *
 * Here: options, plan, output files, exit status. The files are opened before the load begins, so
 * that a bad path costs nothing, and written when it has ended, also after SIGINT. It judges
 * nothing: whether the figures are good is the scripts' business; exit status 2 says only that they
 * cannot be trusted. */
#include "load.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_UNTRUSTED = 2 };

__attribute__((noreturn)) static void give_up(const char *what)
{
    fprintf(stderr, "loadgen: %s: %s\n", what, strerror(errno));
    exit(EXIT_UNTRUSTED);
}

static FILE *open_output(const char *path)
{
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        give_up(path);
    }
    return file;
}

static struct plan *load_plan(const char *path)
{
    struct plan *plan = NULL;
    size_t line = 0;
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        give_up(path);
    }
    const enum status status = plan_load(file, &plan, &line);
    fclose(file);
    if (status == ST_SYSTEM) {
        give_up(path);
    }
    if (status != ST_OK) {
        fprintf(stderr, "loadgen: %s: line %zu is not a plan's\n", path, line + (line == 0));
        exit(OPTIONS_EXIT_USAGE);
    }
    return plan;
}

static void save_plan(const struct plan *plan, const char *path)
{
    FILE *file = open_output(path);
    const enum status status = plan_save(plan, file);
    if (fclose(file) != 0 || status != ST_OK) {
        give_up(path);
    }
}

static struct plan *get_plan(const struct options *options)
{
    struct plan *plan = NULL;
    if (options->plan_file != NULL) {
        return load_plan(options->plan_file);
    }
    if (plan_create(&options->plan, &plan) != ST_OK) {
        options_refuse("more than %d arrivals: shorten the window or lower the rate",
                       PLAN_ARRIVALS_MAX);
    }
    if (options->save_plan_file != NULL) {
        save_plan(plan, options->save_plan_file);
    }
    return plan;
}

/* The load did not begin. */
static void tell_why_not(const struct options *options, const char *obstacle, enum status status)
{
    if (status == ST_NOT_FOUND) {
        fprintf(stderr, "loadgen: %s has no address\n", options->host);
    } else {
        fprintf(stderr, "loadgen: %s: %s\n", obstacle, strerror(errno));
    }
}

/* Whether the figures can be trusted; says why not. */
static bool is_trusted(const struct options *options, const struct load_result *result)
{
    const struct summary *summary = &result->summary;
    bool trusted = true;
    if (summary->net.replies == 0 && summary->planned > 0) {
        fprintf(stderr, "loadgen: not one reply from %s", options->host_header);
        if (summary->net.failed > 0) {
            fprintf(stderr, ": %" PRId64 " attempts to connect failed (%s)", summary->net.failed,
                    strerror(summary->net.connect_errno));
        }
        fputc('\n', stderr);
        trusted = false;
    }
    if (summary->interrupted) {
        fputs("loadgen: interrupted: the figures are of a shorter window\n", stderr);
        trusted = false;
    }
    if (result->journal != ST_OK) {
        fprintf(stderr, "loadgen: the journal is incomplete: %" PRId64 " lines dropped\n",
                summary->journal_dropped);
        trusted = false;
    }
    if (summary->overflowed > 0) {
        fprintf(stderr, "loadgen: %" PRId64 " operations never begun: too many in progress\n",
                summary->overflowed);
        trusted = false;
    }
    return trusted;
}

/* Accepts NULL. */
static bool close_output(FILE *file)
{
    return file == NULL || fclose(file) == 0;
}

/* Writes and closes. */
static bool write_results(const struct options *options, const struct load_result *result,
                          FILE *summary, FILE *series)
{
    bool good = summary_write(&result->summary, summary) == ST_OK;
    if (series != NULL) {
        good = series_write(result->series, options->marks_file, series) == ST_OK && good;
    }
    good = close_output(series) && good;
    good = close_output(summary) && good;
    if (!good) {
        fprintf(stderr, "loadgen: the results could not be written: %s\n", strerror(errno));
    }
    return good;
}

int main(int argc, char **argv)
{
    static struct options options;
    options_read(argc, argv, &options);
    signal(SIGPIPE, SIG_IGN);

    struct plan *plan = get_plan(&options);
    if (options.plan_only) {
        plan_destroy(plan);
        return EXIT_SUCCESS;
    }
    FILE *summary = options.summary_file == NULL ? stdout : open_output(options.summary_file);
    FILE *series = options.series_file == NULL ? NULL : open_output(options.series_file);

    struct load_result result;
    const enum status status = load_run(&options, plan, &result);
    bool trusted = false;
    if (status == ST_OK) {
        trusted = is_trusted(&options, &result);
        trusted = write_results(&options, &result, summary, series) && trusted;
    } else {
        tell_why_not(&options, result.obstacle, status);
        (void)close_output(series);
        (void)close_output(summary);
    }
    load_result_release(&result);
    plan_destroy(plan);
    return trusted ? EXIT_SUCCESS : EXIT_UNTRUSTED;
}
