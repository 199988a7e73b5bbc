/* values: strict parsing: the whole text must be the value, in range, in plain decimal (no hex, no
 * exponent tricks, no leading sign or space), so that a typing error is a refusal and not another
 * load. Uses the C locale's decimal point. */
#include "values.h"

#include "common/clock.h"
#include "request.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RATE_MAX = 1000000, STEP_MAX_S = 86400, QUANTITY_MAX = 1000000, TIMEOUT_MAX_MS = 3600000 };

/* Reads a decimal number at *text and moves past it. */
static bool take_real(const char **text, double *out)
{
    const size_t length = strspn(*text, "0123456789.");
    char *end = NULL;
    *out = strtod(*text, &end);
    if (length == 0 || end != *text + length) {
        return false;
    }
    *text = end;
    return true;
}

static bool take_whole(const char **text, int64_t *out)
{
    char *end = NULL;
    if (!isdigit((unsigned char)**text)) {
        return false;
    }
    errno = 0;
    *out = strtoll(*text, &end, 10);
    *text = end;
    return errno == 0;
}

static bool take_char(const char **text, char wanted)
{
    if (**text != wanted) {
        return false;
    }
    (*text)++;
    return true;
}

int64_t values_whole(const char *name, const char *text, int64_t least, int64_t most)
{
    const char *at = text;
    int64_t value = 0;
    if (!take_whole(&at, &value) || *at != '\0' || value < least || value > most) {
        options_refuse("%s must be a whole number from %" PRId64 " to %" PRId64 ", not \"%s\"",
                       name, least, most, text);
    }
    return value;
}

double values_real(const char *name, const char *text, double least, double most)
{
    const char *at = text;
    double value = 0.0;
    if (!take_real(&at, &value) || *at != '\0' || value < least || value > most) {
        options_refuse("%s must be a number from %g to %g, not \"%s\"", name, least, most, text);
    }
    return value;
}

double values_rate(const char *name, const char *text)
{
    return values_real(name, text, 0.0, RATE_MAX);
}

uint64_t values_seed(const char *name, const char *text)
{
    return (uint64_t)values_whole(name, text, 0, INT64_MAX);
}

int64_t values_timeout_ns(const char *name, const char *text)
{
    return values_whole(name, text, 1, TIMEOUT_MAX_MS) * CLOCK_NS_PER_MS;
}

int values_choice(const char *name, const char *text, const char *const *choices)
{
    for (int i = 0; choices[i] != NULL; i++) {
        if (strcmp(text, choices[i]) == 0) {
            return i;
        }
    }
    options_refuse("%s cannot be \"%s\"", name, text);
}

void values_steps(const char *text, struct plan_spec *plan)
{
    const char *at = text;
    plan->step_count = 0;
    do {
        struct plan_step step = {0};
        if (plan->step_count == PLAN_STEPS_MAX || !take_real(&at, &step.rate) ||
            !take_char(&at, ':') || !take_real(&at, &step.duration_s) ||
            step.rate > (double)RATE_MAX || step.duration_s <= 0.0 ||
            step.duration_s > (double)STEP_MAX_S) {
            options_refuse("--steps must be like 100:5,400:10, not \"%s\"", text);
        }
        plan->steps[plan->step_count++] = step;
    } while (take_char(&at, ','));
    if (*at != '\0') {
        options_refuse("--steps must be like 100:5,400:10, not \"%s\"", text);
    }
}

void values_flash(const char *text, struct plan_spec *plan)
{
    const char *at = text;
    if (!take_real(&at, &plan->flash_peak) || !take_char(&at, ':') ||
        !take_real(&at, &plan->flash_base) || !take_char(&at, ':') ||
        !take_real(&at, &plan->flash_decay_s) || *at != '\0' ||
        plan->flash_peak > (double)RATE_MAX || plan->flash_base > (double)RATE_MAX ||
        plan->flash_decay_s <= 0.0) {
        options_refuse("--flash must be like 5000:100:2, not \"%s\"", text);
    }
}

/* One id, or "A-B". */
static bool take_sales(const char **at, struct plan_mix *mix)
{
    int64_t first = 0;
    if (!take_whole(at, &first)) {
        return false;
    }
    int64_t last = first;
    if (take_char(at, '-') && !take_whole(at, &last)) {
        return false;
    }
    if (first < 1 || last < first || last > VALUES_ID_MAX || last - first >= PLAN_SALES_MAX) {
        return false;
    }
    for (int64_t sale = first; sale <= last; sale++) {
        if (mix->sale_count == PLAN_SALES_MAX) {
            return false;
        }
        mix->sales[mix->sale_count++] = sale;
    }
    return true;
}

void values_sales(const char *text, struct plan_mix *mix)
{
    const char *at = text;
    bool good = true;
    mix->sale_count = 0;
    do {
        good = take_sales(&at, mix);
    } while (good && take_char(&at, ','));
    if (!good || *at != '\0') {
        options_refuse("--sales must be like 1-16 or 1,2,5 (at most %d), not \"%s\"",
                       PLAN_SALES_MAX, text);
    }
}

void values_quantity(const char *text, struct plan_mix *mix)
{
    const char *at = text;
    bool good = take_whole(&at, &mix->quantity_min);
    mix->quantity_max = mix->quantity_min;
    if (good && take_char(&at, '-')) {
        good = take_whole(&at, &mix->quantity_max);
    }
    if (!good || *at != '\0' || mix->quantity_min < 1 || mix->quantity_max < mix->quantity_min ||
        mix->quantity_max > QUANTITY_MAX) {
        options_refuse("--quantity must be like 1 or 1-3, not \"%s\"", text);
    }
}

void values_connections(const char *text, int connections[NET_POOLS])
{
    const char *at = text;
    int64_t total = 0;
    bool good = true;
    for (int i = 0; i < NET_POOLS && good; i++) {
        int64_t value = 0;
        good = (i == 0 || take_char(&at, ',')) && take_whole(&at, &value) && value >= 1 &&
               value <= NET_CONNECTIONS_MAX;
        connections[i] = (int)value;
        total += value;
    }
    if (!good || *at != '\0' || total > NET_CONNECTIONS_MAX) {
        options_refuse("--connections must be like 256,64,64, at most %d in all, not \"%s\"",
                       NET_CONNECTIONS_MAX, text);
    }
}

double values_await(const char *text)
{
    if (strcmp(text, "none") == 0) {
        return 0.0;
    }
    return strcmp(text, "all") == 0 ? 1.0 : values_real("--await", text, 0.0, 1.0);
}

void values_path(const char *text, char out[PLAN_PATH_MAX])
{
    const size_t length = strlen(text);
    bool good = text[0] == '/' && length < PLAN_PATH_MAX;
    for (size_t i = 0; good && i < length; i++) {
        good = isgraph((unsigned char)text[i]);
    }
    if (!good) {
        options_refuse("--path must begin with / and have no spaces, not \"%s\"", text);
    }
    memcpy(out, text, length + 1);
}

void values_url(const char *text, struct options *options)
{
    static const char scheme[] = "http://";
    const char *at = text;
    options->host_header[0] = '\0';
    if (strncmp(text, scheme, sizeof(scheme) - 1) == 0) {
        at = text + sizeof(scheme) - 1;
        const size_t length = strcspn(at, "/");
        const bool has_path = at[length] == '/' && at[length + 1] != '\0';
        if (length > 0 && length < REQUEST_HOST_MAX && !has_path) {
            memcpy(options->host_header, at, length);
            options->host_header[length] = '\0';
        }
    }
    const char *colon = strrchr(options->host_header, ':');
    const char *bracket = strrchr(options->host_header, ']');
    if (options->host_header[0] == '\0') {
        options_refuse("--url must be like http://127.0.0.1:8001, not \"%s\"", text);
    }
    const bool has_port = colon != NULL && (bracket == NULL || colon > bracket);
    const char *port = has_port ? colon + 1 : "80";
    (void)values_whole("--url's port", port, 1, 65535);
    snprintf(options->port, sizeof(options->port), "%s", port);
    const size_t begin = options->host_header[0] == '[' ? 1 : 0;
    const size_t end = bracket != NULL ? (size_t)(bracket - options->host_header)
                       : has_port      ? (size_t)(colon - options->host_header)
                                       : strlen(options->host_header);
    memcpy(options->host, options->host_header + begin, end - begin);
    options->host[end - begin] = '\0';
}
