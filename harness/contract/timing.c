/* timing: the Server-Timing field, read strictly. */
#include "harness/contract/timing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char NAME_LETTERS[] = "abcdefghijklmnopqrstuvwxyz_";
static const char NUMBER_LETTERS[] = "0123456789.";

static bool has_part(const struct timing *timing, const char *name)
{
    for (int i = 0; i < timing->count; i++) {
        if (strcmp(timing->parts[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Reads one part; returns what follows it, or NULL. */
static const char *read_part(const char *at, struct timing *out)
{
    static const char duration[] = ";dur=";
    char name[TIMING_NAME_SIZE];
    size_t length = strspn(at, NAME_LETTERS);
    if (length == 0 || length >= sizeof(name) || out->count == TIMING_PARTS_MAX ||
        strncmp(at + length, duration, sizeof(duration) - 1) != 0) {
        return NULL;
    }
    snprintf(name, sizeof(name), "%.*s", (int)length, at);
    const char *number = at + length + sizeof(duration) - 1;
    size_t digits = strspn(number, NUMBER_LETTERS);
    char *end = NULL;
    double ms = strtod(number, &end);
    if (digits == 0 || number[0] == '.' || end != number + digits || has_part(out, name)) {
        return NULL;
    }
    snprintf(out->parts[out->count].name, TIMING_NAME_SIZE, "%s", name);
    out->parts[out->count++].ms = ms;
    return end;
}

bool timing_read(const char *value, struct timing *out)
{
    out->count = 0;
    for (const char *at = read_part(value, out); at != NULL; at = read_part(at + 2, out)) {
        if (at[0] == '\0') {
            return true;
        }
        if (at[0] != ',' || at[1] != ' ') {
            return false;
        }
    }
    return false;
}

double timing_ms(const struct timing *timing, const char *name)
{
    for (int i = 0; i < timing->count; i++) {
        if (strcmp(timing->parts[i].name, name) == 0) {
            return timing->parts[i].ms;
        }
    }
    return 0;
}

double timing_stages_ms(const struct timing *timing)
{
    double sum = 0;
    for (int i = 0; i < timing->count; i++) {
        sum += strcmp(timing->parts[i].name, "total") == 0 ? 0 : timing->parts[i].ms;
    }
    return sum;
}
