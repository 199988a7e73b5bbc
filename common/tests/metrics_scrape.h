/* metrics_scrape: a registry's text, read back by a test. */
#ifndef FLASHDEAL_TESTS_METRICS_SCRAPE_H
#define FLASHDEAL_TESTS_METRICS_SCRAPE_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/metrics.h"
#include "common/tests/harness.h"

/* The buckets of a histogram, in the order of the text. */
static const char *const scrape_les[] = {
    "0.0001", "0.0002", "0.0005", "0.001", "0.002", "0.003", "0.005", "0.007", "0.01",
    "0.02",   "0.03",   "0.05",   "0.07",  "0.1",   "0.2",   "0.3",   "0.5",   "0.7",
    "1",      "2",      "3",      "5",     "7",     "10",    "+Inf",
};
enum { SCRAPE_LES = sizeof scrape_les / sizeof scrape_les[0] };

/* A metrics_read of a double. */
static inline double scrape_read(void *context)
{
    return *(const double *)context;
}

/* The text behind `series` ("name{labels}") and its blank at the beginning of a line; NULL: no such
 * line. */
static inline const char *scrape_find(const char *text, const char *series)
{
    size_t length = strlen(series);
    for (const char *line = text; line && *line;) {
        if (strncmp(line, series, length) == 0 && line[length] == ' ') {
            return line + length + 1;
        }
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    return NULL;
}

static inline double scrape_value(const char *text, const char *series)
{
    const char *at = scrape_find(text, series);
    ck_assert_msg(at != NULL, "no %s in:\n%s", series, text);
    return strtod(at, NULL);
}

/* The value of one series of a registry now. */
static inline double scrape_one(struct metrics *metrics, const char *series)
{
    char *text = metrics_text(metrics);
    double value = scrape_value(text, series);
    free(text);
    return value;
}

/* How often part stands in text. */
static inline int scrape_count(const char *text, const char *part)
{
    int count = 0;
    for (const char *at = strstr(text, part); at; at = strstr(at + 1, part)) {
        count++;
    }
    return count;
}

#endif
