/* exposition: what GET /metrics says, read strictly.
 *
 * One pass over the lines. Samples go into a fixed array; whether a series stands twice is looked
 * up in all of them, which is quadratic and fast enough for the few thousand that there are. */
#include "harness/contract/exposition.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/contract/exposition_line.h"

enum { SAMPLES_MAX = 16384, FAMILIES_MAX = 128, COMPLAINT_SIZE = 256, SHOWN_MAX = 120 };

enum kind { COUNTER, GAUGE, HISTOGRAM, KINDS };

static const char *const kinds[KINDS] = {"counter", "gauge", "histogram"};

/* What is known of the histogram series that is being read. */
struct ladder {
    char labels[LINE_LABELS_SIZE]; /* without le */
    double bound, below;           /* of the bucket before */
    int steps;
    bool has_sum, has_count;
};

struct exposition {
    int sample_count;
    struct line_sample samples[SAMPLES_MAX];
    int family_count;
    char families[FAMILIES_MAX][LINE_NAME_SIZE];
    /* The family that is being read: */
    char family[LINE_NAME_SIZE];
    enum kind kind;
    bool has_help, has_type;
    int family_samples;
    struct ladder ladder;
};

static char complaint[COMPLAINT_SIZE];

static const char *complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
static const char *complain(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(complaint, sizeof(complaint), format, arguments);
    va_end(arguments);
    return complaint;
}

/* ---------------------------------------------------------------------------------- histograms */

/* Whether the series that was being read is whole. */
static const char *end_ladder(const struct exposition *e)
{
    const struct ladder *ladder = &e->ladder;
    if (ladder->steps > 0 && (!isinf(ladder->bound) || !ladder->has_sum || !ladder->has_count)) {
        return complain("%s{%s} lacks +Inf, _sum or _count", e->family, ladder->labels);
    }
    return NULL;
}

static const char *take_bucket(struct exposition *e, const struct line_sample *sample)
{
    struct ladder *ladder = &e->ladder;
    bool is_new = ladder->steps == 0 || ladder->has_sum || ladder->has_count ||
                  strcmp(ladder->labels, sample->others) != 0;
    const char *wrong = is_new ? end_ladder(e) : NULL;
    if (wrong != NULL) {
        return wrong;
    }
    if (is_new) {
        *ladder = (struct ladder){.bound = -INFINITY};
        memcpy(ladder->labels, sample->others, sizeof(ladder->labels));
    }
    if (!sample->has_le || !(sample->le > ladder->bound) || sample->value < ladder->below) {
        return complain("the buckets of %s{%s} do not ascend", e->family, ladder->labels);
    }
    ladder->bound = sample->le;
    ladder->below = sample->value;
    ladder->steps++;
    return NULL;
}

static const char *take_histogram(struct exposition *e, const struct line_sample *sample)
{
    struct ladder *ladder = &e->ladder;
    const char *part = sample->name + strlen(e->family);
    if (strcmp(part, "_bucket") == 0) {
        return take_bucket(e, sample);
    }
    bool is_count = strcmp(part, "_count") == 0;
    bool *mark = is_count ? &ladder->has_count : &ladder->has_sum;
    if (ladder->steps == 0 || *mark || sample->has_le ||
        strcmp(sample->others, ladder->labels) != 0) {
        return complain("%s{%s} stands apart from its buckets", sample->name, sample->labels);
    }
    if (sample->value < 0 || (is_count && fabs(sample->value - ladder->below) > 0)) {
        return complain("%s{%s} does not agree with its buckets", sample->name, sample->labels);
    }
    *mark = true;
    return NULL;
}

/* -------------------------------------------------------------------------------------- families
 */

static const char *end_family(const struct exposition *e)
{
    if (e->family[0] == '\0') {
        return NULL;
    }
    if (!e->has_help || !e->has_type || e->family_samples == 0) {
        return complain("%s lacks HELP, TYPE or samples", e->family);
    }
    return e->kind == HISTOGRAM ? end_ladder(e) : NULL;
}

static const char *begin_family(struct exposition *e, const char *name)
{
    const char *wrong = end_family(e);
    if (wrong != NULL) {
        return wrong;
    }
    for (int i = 0; i < e->family_count; i++) {
        if (strcmp(e->families[i], name) == 0) {
            return complain("%s stands in two places", name);
        }
    }
    if (e->family_count == FAMILIES_MAX) {
        return complain("more than %d families", FAMILIES_MAX);
    }
    snprintf(e->families[e->family_count++], LINE_NAME_SIZE, "%s", name);
    snprintf(e->family, LINE_NAME_SIZE, "%s", name);
    e->has_help = false;
    e->has_type = false;
    e->family_samples = 0;
    e->ladder = (struct ladder){.steps = 0};
    return NULL;
}

static const char *take_kind(struct exposition *e, const char *word)
{
    int kind = 0;
    while (kind < KINDS && strcmp(kinds[kind], word) != 0) {
        kind++;
    }
    if (kind == KINDS || e->has_type || e->family_samples > 0) {
        return complain("TYPE %s %s is unknown, twice or late", e->family, word);
    }
    size_t length = strlen(e->family);
    bool is_total = length > 6 && strcmp(e->family + length - 6, "_total") == 0;
    if (is_total != (kind == COUNTER)) {
        return complain("%s is a %s", e->family, word);
    }
    e->kind = (enum kind)kind;
    e->has_type = true;
    return NULL;
}

/* "# HELP name text" or "# TYPE name kind" */
static const char *take_comment(struct exposition *e, const char *line)
{
    struct line_comment comment;
    if (!line_read_comment(line, &comment)) {
        return complain("neither HELP nor TYPE nor a sample: %.*s", SHOWN_MAX, line);
    }
    const char *wrong = strcmp(e->family, comment.name) != 0 ? begin_family(e, comment.name) : NULL;
    if (wrong != NULL) {
        return wrong;
    }
    if (!comment.is_help) {
        return take_kind(e, comment.text);
    }
    if (e->has_help || e->family_samples > 0 || comment.text[0] == '\0') {
        return complain("HELP %s is twice, late or empty", e->family);
    }
    e->has_help = true;
    return NULL;
}

/* --------------------------------------------------------------------------------------- samples
 */

static bool belongs(const struct exposition *e, const char *name)
{
    size_t length = strlen(e->family);
    if (strncmp(name, e->family, length) != 0) {
        return false;
    }
    const char *part = name + length;
    return e->kind == HISTOGRAM ? strcmp(part, "_bucket") == 0 || strcmp(part, "_sum") == 0 ||
                                      strcmp(part, "_count") == 0
                                : part[0] == '\0';
}

static const char *take_sample(struct exposition *e, const char *line)
{
    if (e->sample_count == SAMPLES_MAX) {
        return complain("more than %d samples", SAMPLES_MAX);
    }
    struct line_sample *sample = &e->samples[e->sample_count];
    if (!line_read_sample(line, sample)) {
        return complain("not a sample: %.*s", SHOWN_MAX, line);
    }
    if (!e->has_help || !e->has_type || !belongs(e, sample->name)) {
        return complain("%s stands apart from its HELP and TYPE", sample->name);
    }
    for (int i = 0; i < e->sample_count; i++) {
        if (strcmp(e->samples[i].name, sample->name) == 0 &&
            strcmp(e->samples[i].labels, sample->labels) == 0) {
            return complain("%s{%s} stands twice", sample->name, sample->labels);
        }
    }
    e->sample_count++;
    e->family_samples++;
    if (e->kind == COUNTER && !(sample->value >= 0)) {
        return complain("%s{%s} counts below 0", sample->name, sample->labels);
    }
    return e->kind == HISTOGRAM ? take_histogram(e, sample) : NULL;
}

static const char *read_lines(const char *text, struct exposition *e)
{
    static char line[LINE_SIZE];
    while (*text != '\0') {
        const char *end = strchr(text, '\n');
        if (end == NULL || (size_t)(end - text) >= sizeof(line)) {
            return complain("a line without its end, or too long: %.*s", SHOWN_MAX, text);
        }
        snprintf(line, sizeof(line), "%.*s", (int)(end - text), text);
        const char *wrong = line[0] == '#' ? take_comment(e, line) : take_sample(e, line);
        if (wrong != NULL) {
            return wrong;
        }
        text = end + 1;
    }
    return e->family[0] == '\0' ? complain("nothing at all") : end_family(e);
}

const char *exposition_read(const char *text, struct exposition **out)
{
    struct exposition *e = calloc(1, sizeof(*e));
    const char *wrong = e == NULL ? complain("no memory") : read_lines(text, e);
    if (wrong != NULL) {
        exposition_free(e);
        e = NULL;
    }
    *out = e;
    return wrong;
}

void exposition_free(struct exposition *exposition)
{
    free(exposition);
}

/* ------------------------------------------------------------------------------------------ asked
 */

/* The i-th sample of that name with all of the labels, or NULL. */
static const struct line_sample *find(const struct exposition *e, const char *name,
                                      const char *labels, int i)
{
    for (int at = 0; at < e->sample_count; at++) {
        const struct line_sample *sample = &e->samples[at];
        if (strcmp(sample->name, name) == 0 && line_has_labels(sample->labels, labels) &&
            i-- == 0) {
            return sample;
        }
    }
    return NULL;
}

double exposition_sum(const struct exposition *exposition, const char *name, const char *labels)
{
    double sum = 0;
    const struct line_sample *sample = NULL;
    for (int i = 0; (sample = find(exposition, name, labels, i)) != NULL; i++) {
        sum += sample->value;
    }
    return sum;
}

int exposition_count(const struct exposition *exposition, const char *name, const char *labels)
{
    int count = 0;
    while (find(exposition, name, labels, count) != NULL) {
        count++;
    }
    return count;
}

const char *exposition_labels(const struct exposition *exposition, const char *name, int i)
{
    const struct line_sample *sample = find(exposition, name, "", i);
    return sample != NULL ? sample->labels : NULL;
}
