/* exposition_line: one line of the Prometheus text format.
 *
 * name{label="value",..} number, with one space, no comma at the end, no time stamp. Values of
 * labels may hold no escape: none of ours needs one, and so a comma between two labels is where one
 * ends. */
#include "harness/contract/exposition_line.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t name_length(const char *text, bool may_hold_colon)
{
    size_t length = 0;
    while (isalnum((unsigned char)text[length]) || text[length] == '_' ||
           (text[length] == ':' && may_hold_colon)) {
        length++;
    }
    return isdigit((unsigned char)text[0]) ? 0 : length;
}

bool line_read_comment(const char *line, struct line_comment *out)
{
    out->is_help = strncmp(line, "# HELP ", 7) == 0;
    if (!out->is_help && strncmp(line, "# TYPE ", 7) != 0) {
        return false;
    }
    size_t length = name_length(line + 7, true);
    if (length == 0 || length >= sizeof(out->name) || line[7 + length] != ' ') {
        return false;
    }
    snprintf(out->name, sizeof(out->name), "%.*s", (int)length, line + 7);
    snprintf(out->text, sizeof(out->text), "%s", line + 7 + length + 1);
    return true;
}

/* A number as strtod knows it, but nothing in front of it; +Inf and NaN are numbers here. */
static bool read_number(const char *text, double *out)
{
    char *end = NULL;
    if (!isdigit((unsigned char)text[0]) && text[0] != '-' && strcmp(text, "+Inf") != 0 &&
        strcmp(text, "NaN") != 0) {
        return false;
    }
    *out = strtod(text, &end);
    return end != text && *end == '\0';
}

/* The length of `name="value"` at text, 0 if it is not that. */
static size_t label_length(const char *text)
{
    size_t name = name_length(text, false);
    if (name == 0 || text[name] != '=' || text[name + 1] != '"') {
        return 0;
    }
    const char *value = text + name + 2;
    size_t length = strcspn(value, "\"\\,");
    return value[length] == '"' ? name + 2 + length + 1 : 0;
}

/* Adds a label to others, or reads le. */
static bool take_label(const char *label, size_t length, struct line_sample *out)
{
    static const char le[] = "le=\"";
    if (strncmp(label, le, sizeof(le) - 1) != 0) {
        size_t used = strlen(out->others);
        snprintf(out->others + used, sizeof(out->others) - used, "%s%.*s", used > 0 ? "," : "",
                 (int)length, label);
        return true;
    }
    char number[LINE_NAME_SIZE];
    size_t digits = length - sizeof(le);
    snprintf(number, sizeof(number), "%.*s", (int)digits, label + sizeof(le) - 1);
    bool is_first = !out->has_le;
    out->has_le = true;
    return is_first && read_number(number, &out->le);
}

/* From the opening brace on; returns what follows the closing one, or NULL. */
static const char *read_labels(const char *text, struct line_sample *out)
{
    const char *at = text + 1;
    for (;;) {
        size_t length = label_length(at);
        if (length == 0 || (size_t)(at + length - text) >= sizeof(out->labels) ||
            !take_label(at, length, out)) {
            return NULL;
        }
        at += length;
        if (*at == '}') {
            snprintf(out->labels, sizeof(out->labels), "%.*s", (int)(at - text - 1), text + 1);
            return at + 1;
        }
        if (*at++ != ',') {
            return NULL;
        }
    }
}

bool line_read_sample(const char *line, struct line_sample *out)
{
    size_t length = name_length(line, true);
    if (length == 0 || length >= sizeof(out->name)) {
        return false;
    }
    *out = (struct line_sample){.has_le = false};
    snprintf(out->name, sizeof(out->name), "%.*s", (int)length, line);
    const char *at = line + length;
    if (*at == '{') {
        at = read_labels(at, out);
    }
    return at != NULL && *at == ' ' && read_number(at + 1, &out->value);
}

static bool has_label(const char *labels, const char *label, size_t length)
{
    for (const char *at = labels; *at != '\0'; at += *at == ',' ? 1 : 0) {
        size_t own = strcspn(at, ",");
        if (own == length && memcmp(at, label, length) == 0) {
            return true;
        }
        at += own;
    }
    return false;
}

bool line_has_labels(const char *labels, const char *wanted)
{
    for (const char *at = wanted; *at != '\0'; at += *at == ',' ? 1 : 0) {
        size_t length = strcspn(at, ",");
        if (!has_label(labels, at, length)) {
            return false;
        }
        at += length;
    }
    return true;
}
