/* plan_file: a plan as text, to be read, compared with cmp(1) and replayed.
 *
 *     #flashdeal-plan 1
 *     #seed 1 warmup_us 0 window_us 10000000 path /health
 *     412	order	1	7	1
 *
 * The columns are t_us, kind, sale, user, quantity; 0 where a kind has no such thing. Reading
 * trusts nothing: order of time, ranges and the shape of every line are checked, memory is bounded
 * by PLAN_ARRIVALS_MAX. Does not keep what cannot be sent: a path is one word. */
#include "plan.h"

#include "common/xalloc.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char MAGIC[] = "#flashdeal-plan 1\n";

enum { LINE_MAX_BYTES = PLAN_PATH_MAX + 256, FIRST_ARRIVAL_LINE = 3 };

enum status plan_save(const struct plan *plan, FILE *file)
{
    fprintf(file, "%s#seed %" PRIu64 " warmup_us %" PRId64 " window_us %" PRId64 " path %s\n",
            MAGIC, plan->seed, plan->warmup_us, plan->window_us, plan->path);
    for (size_t i = 0; i < plan->count; i++) {
        const struct plan_arrival *arrival = &plan->arrivals[i];
        fprintf(file, "%" PRId64 "\t%s\t%" PRId64 "\t%" PRId64 "\t%" PRId32 "\n", arrival->due_us,
                plan_kind_name(arrival->kind), arrival->sale, arrival->user, arrival->quantity);
    }
    return fflush(file) == 0 && !ferror(file) ? ST_OK : ST_SYSTEM;
}

/* Reads one whole number from *text, at least minimum, and the byte end that must follow it. */
static bool take_number(char **text, int64_t minimum, char end, int64_t *out)
{
    if (**text < '0' || **text > '9') {
        return false;
    }
    char *rest = NULL;
    errno = 0;
    *out = strtoll(*text, &rest, 10);
    if (errno != 0 || *rest != end || *out < minimum) {
        return false;
    }
    *text = rest + 1;
    return true;
}

static bool take_word(char **text, const char *word)
{
    const size_t length = strlen(word);
    if (strncmp(*text, word, length) != 0) {
        return false;
    }
    *text += length;
    return true;
}

static bool take_kind(char **text, enum plan_kind *out)
{
    static const enum plan_kind kinds[] = {PLAN_ORDER, PLAN_READ, PLAN_PROBE, PLAN_PATH};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const size_t length = strlen(plan_kind_name(kinds[i]));
        if (strncmp(*text, plan_kind_name(kinds[i]), length) == 0 && (*text)[length] == '\t') {
            *text += length + 1;
            *out = kinds[i];
            return true;
        }
    }
    return false;
}

static bool parse_settings(char *text, struct plan *plan)
{
    char *rest = NULL;
    if (!take_word(&text, "#seed ") || *text < '0' || *text > '9') {
        return false;
    }
    errno = 0;
    plan->seed = strtoull(text, &rest, 10);
    if (errno != 0) {
        return false;
    }
    text = rest;
    if (!take_word(&text, " warmup_us ") || !take_number(&text, 0, ' ', &plan->warmup_us) ||
        !take_word(&text, "window_us ") || !take_number(&text, 1, ' ', &plan->window_us) ||
        !take_word(&text, "path ")) {
        return false;
    }
    const size_t length = strcspn(text, " \t\r\n");
    if (text[0] != '/' || text[length] != '\n' || length >= sizeof(plan->path)) {
        return false;
    }
    memcpy(plan->path, text, length);
    plan->path[length] = '\0';
    return true;
}

static bool parse_arrival(char *text, struct plan_arrival *arrival)
{
    int64_t quantity = 0;
    if (!take_number(&text, 0, '\t', &arrival->due_us) || !take_kind(&text, &arrival->kind) ||
        !take_number(&text, 0, '\t', &arrival->sale) ||
        !take_number(&text, 0, '\t', &arrival->user) || !take_number(&text, 0, '\n', &quantity) ||
        quantity > INT32_MAX) {
        return false;
    }
    arrival->quantity = (int32_t)quantity;
    return true;
}

static bool is_in_order(const struct plan *plan, const struct plan_arrival *arrival)
{
    const int64_t after_us = plan->count == 0 ? 0 : plan->arrivals[plan->count - 1].due_us;
    return arrival->due_us >= after_us && arrival->due_us <= plan->warmup_us + plan->window_us;
}

static bool load_line(char *text, size_t line, struct plan *plan)
{
    if (line == 1) {
        return strcmp(text, MAGIC) == 0;
    }
    if (line == 2) {
        return parse_settings(text, plan);
    }
    struct plan_arrival arrival = {0};
    return parse_arrival(text, &arrival) && is_in_order(plan, &arrival) &&
           plan_append(plan, &arrival) == ST_OK;
}

enum status plan_load(FILE *file, struct plan **out, size_t *line)
{
    struct plan *plan = xcalloc(1, sizeof(*plan));
    char text[LINE_MAX_BYTES];
    enum status status = ST_OK;
    *line = 0;
    while (status == ST_OK && fgets(text, sizeof(text), file) != NULL) {
        (*line)++;
        if (!load_line(text, *line, plan)) {
            status = ST_INVALID;
        }
    }
    if (ferror(file)) {
        status = ST_SYSTEM;
    } else if (status == ST_OK && *line < FIRST_ARRIVAL_LINE) {
        status = ST_INVALID;
    }
    if (status != ST_OK) {
        plan_destroy(plan);
        return status;
    }
    *out = plan;
    return ST_OK;
}
