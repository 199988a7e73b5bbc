/* page: the report as one HTML file that needs nothing else. */
#ifndef FLASHDEAL_REPORT_PAGE_H
#define FLASHDEAL_REPORT_PAGE_H

#include "harness/report/run.h"

#include <stdio.h>

/* The parts that all reports share. */
struct page_assets {
    char *html;    /* page.html: the text, with @name@ where a run's own part goes */
    char *style;   /* page.css */
    char *script;  /* page.js */
    char *library; /* Chart.js */
};

/* Reads them from a directory, and Chart.js from a file (NULL: where the distribution has it). The
 * caller releases them with page_release, in either case. ST_INVALID: *error is a sentence that
 * says what is missing; it lives as long as the program. */
MUST_USE enum status page_load(const char *directory, const char *library,
                               struct page_assets *assets, const char **error);
void page_release(struct page_assets *assets);

/* Writes the page. ST_INVALID: page.html has a name that nobody knows (*error as above); ST_SYSTEM:
 * it could not be written, or no memory. */
MUST_USE enum status page_write(const struct run *run, const struct page_assets *assets, FILE *file,
                                const char **error);

#endif
