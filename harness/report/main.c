/* report: makes one HTML file, or tables for a terminal, of a comparison's directory.
 *
 * It measures nothing and judges nothing: figures, ratios and the verdict in words are
 * compare.sh's. Exit status: 0 done, 1 the directory is of no comparison or the page cannot be
 * written, 64 wrong usage. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/report/files.h"
#include "harness/report/page.h"
#include "harness/report/run.h"
#include "harness/report/text.h"

enum { EXIT_USAGE = 64 };

static const char HELP[] =
    "usage: report [options] RUN\n"
    "\n"
    "RUN is a directory that harness/compare.sh has left: build/runs/<time>-compare.\n"
    "  --out FILE      the page (RUN/report.html); - is standard output\n"
    "  --text          no page: tables on standard output\n"
    "  --assets DIR    where page.html, page.css and page.js are (harness/report)\n"
    "  --chart FILE    Chart.js, version 3 or 4 (the distribution's)\n";

struct options {
    const char *run, *out, *assets, *chart;
    bool is_text;
};

enum option_id { OPT_OUT = 1000, OPT_TEXT, OPT_ASSETS, OPT_CHART, OPT_HELP };

static int fail(const char *what)
{
    fprintf(stderr, "report: %s\n", what);
    return EXIT_FAILURE;
}

/* -1: go on; else the exit status. */
static int read_options(int argc, char **argv, struct options *options)
{
    static const struct option known[] = {{"out", required_argument, NULL, OPT_OUT},
                                          {"text", no_argument, NULL, OPT_TEXT},
                                          {"assets", required_argument, NULL, OPT_ASSETS},
                                          {"chart", required_argument, NULL, OPT_CHART},
                                          {"help", no_argument, NULL, OPT_HELP},
                                          {NULL, 0, NULL, 0}};
    int id;
    while ((id = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (id) {
        case OPT_OUT:
            options->out = optarg;
            break;
        case OPT_TEXT:
            options->is_text = true;
            break;
        case OPT_ASSETS:
            options->assets = optarg;
            break;
        case OPT_CHART:
            options->chart = optarg;
            break;
        case OPT_HELP:
            fputs(HELP, stdout);
            return EXIT_SUCCESS;
        default:
            return EXIT_USAGE; /* getopt has said why */
        }
    }
    if (optind != argc - 1) {
        fputs("report: give one directory of a run (--help lists the options)\n", stderr);
        return EXIT_USAGE;
    }
    options->run = argv[optind];
    return -1;
}

/* This program is build/<mode>/report of the checkout. */
static void find_assets(char path[FILES_PATH_MAX])
{
    static const char inside[] = "/harness/report";
    ssize_t length = readlink("/proc/self/exe", path, FILES_PATH_MAX - sizeof(inside));
    path[length > 0 ? length : 0] = '\0';
    for (int up = 0; up < 3; up++) {
        char *slash = strrchr(path, '/');
        if (slash) {
            *slash = '\0';
        }
    }
    strcat(path, inside);
}

/* A page that is not whole is none: it is written beside its place and then put there. */
static int write_page(const struct run *run, const struct page_assets *assets, const char *path)
{
    char beside[FILES_PATH_MAX];
    const char *error = "";
    bool is_stdout = strcmp(path, "-") == 0;
    if (snprintf(beside, sizeof(beside), "%s.new", path) >= (int)sizeof(beside)) {
        return fail("the page's name is too long");
    }
    FILE *file = is_stdout ? stdout : fopen(beside, "we");
    if (!file) {
        fprintf(stderr, "report: cannot write %s: %s\n", beside, strerror(errno));
        return EXIT_FAILURE;
    }
    enum status status = page_write(run, assets, file, &error);
    if (status == ST_INVALID) {
        fail(error);
    }
    if (is_stdout) {
        return status == ST_OK ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    if (fclose(file) != 0 || status != ST_OK || rename(beside, path) != 0) {
        unlink(beside);
        if (status != ST_INVALID) {
            fprintf(stderr, "report: cannot write %s: %s\n", path, strerror(errno));
        }
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

static int make_page(const struct options *options, const struct run *run)
{
    char found[FILES_PATH_MAX], out[FILES_PATH_MAX];
    struct page_assets assets;
    const char *error = "";
    find_assets(found);
    snprintf(out, sizeof(out), "%s/report.html", options->run);
    int status = EXIT_FAILURE;
    if (page_load(options->assets ? options->assets : found, options->chart, &assets, &error) !=
        ST_OK) {
        fail(error);
    } else {
        status = write_page(run, &assets, options->out ? options->out : out);
    }
    page_release(&assets);
    return status;
}

int main(int argc, char **argv)
{
    struct options options = {0};
    int status = read_options(argc, argv, &options);
    if (status != -1) {
        return status;
    }
    struct run run;
    if (run_load(options.run, &run) != ST_OK) {
        status = fail(run.error);
    } else if (options.is_text) {
        text_print(&run, stdout);
        status = fflush(stdout) == 0 ? EXIT_SUCCESS : fail("standard output cannot be written");
    } else {
        status = make_page(&options, &run);
    }
    run_release(&run);
    return status;
}
