/* run: reads with suspicion. The names of the rounds' files are made from arm and number, never
 * taken from the JSON, so that no path in it is followed; a number that is not finite is none; what
 * is missing is missing, not 0. */
#include "harness/report/run.h"

#include "harness/report/files.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *run_arm(int arm)
{
    return arm == 0 ? "a" : "b";
}

const cJSON *run_member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

const char *run_text(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(run_member(object, name));
    return text ? text : "";
}

double run_number(const cJSON *object, const char *name)
{
    const cJSON *item = run_member(object, name);
    return cJSON_IsNumber(item) && isfinite(item->valuedouble) ? item->valuedouble : NAN;
}

const char *run_name(const struct run *run, int arm)
{
    return run_text(run_member(run_member(run->summary, "targets"), run_arm(arm)), "name");
}

const char *run_target(const struct run *run, int arm)
{
    return run_text(run_member(run_member(run->summary, "targets"), run_arm(arm)), "target");
}

int run_shown(const struct run *run)
{
    double shown = run_number(run->summary, "shown");
    return shown >= 1 && shown <= RUN_ROUNDS_MAX ? (int)shown : 0;
}

void run_figure(double value, char text[RUN_FIGURE_MAX])
{
    double size = fabs(value);
    if (!isfinite(value)) {
        snprintf(text, RUN_FIGURE_MAX, "-");
    } else if (size >= 1e9) {
        snprintf(text, RUN_FIGURE_MAX, "%.2e", value);
    } else {
        int decimals = size >= 100 || value == floor(value) ? 0 : 1;
        snprintf(text, RUN_FIGURE_MAX, "%.*f", decimals + (decimals == 1 && size < 10), value);
    }
}

void run_spread(const cJSON *spread, char median[RUN_FIGURE_MAX], char range[RUN_RANGE_MAX])
{
    char least[RUN_FIGURE_MAX], most[RUN_FIGURE_MAX];
    run_figure(run_number(spread, "median"), median);
    run_figure(run_number(spread, "min"), least);
    run_figure(run_number(spread, "max"), most);
    range[0] = '\0';
    if (strcmp(least, most) != 0) {
        snprintf(range, RUN_RANGE_MAX, "%s to %s", least, most);
    }
}

__attribute__((format(printf, 2, 3))) static enum status refuse(struct run *run, const char *format,
                                                                ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(run->error, sizeof(run->error), format, arguments);
    va_end(arguments);
    return ST_INVALID;
}

static enum status load_json(struct run *run, const char *path, cJSON **out)
{
    char *text = NULL;
    enum status status = files_read(path, &text);
    if (status == ST_NOT_FOUND) {
        return refuse(run, "there is no %s", path);
    }
    if (status != ST_OK) {
        return refuse(run, "%s cannot be read: %s", path,
                      status == ST_INVALID ? "it is too big, or no text" : strerror(errno));
    }
    *out = cJSON_ParseWithOpts(text, NULL, 1);
    free(text);
    if (!cJSON_IsObject(*out)) {
        return refuse(run, "%s is no JSON object", path);
    }
    return ST_OK;
}

static enum status load_round(const char *directory, struct run *run, const cJSON *listed)
{
    char path[FILES_PATH_MAX];
    const char *arm = run_text(listed, "arm");
    double number = run_number(listed, "round");
    if ((strcmp(arm, "a") != 0 && strcmp(arm, "b") != 0) || !(number >= 1 && number <= 9)) {
        return refuse(run, "summary.json lists a round that is none of a1 to b9");
    }
    struct run_round *round = &run->rounds[run->round_count++];
    *round = (struct run_round){.arm = arm[0] == 'b', .number = (int)number, .listed = listed};
    snprintf(path, sizeof(path), "%s/%s%d.json", directory, arm, round->number);
    return load_json(run, path, &round->json);
}

enum status run_load(const char *directory, struct run *run)
{
    char path[FILES_PATH_MAX];
    memset(run, 0, sizeof(*run));
    if (strlen(directory) > FILES_PATH_MAX - 32) {
        return refuse(run, "the directory's name is too long");
    }
    snprintf(path, sizeof(path), "%s/summary.json", directory);
    enum status status = load_json(run, path, &run->summary);
    if (status != ST_OK) {
        return status;
    }
    if (!run_name(run, 0)[0] || !run_name(run, 1)[0]) {
        return refuse(run, "%s is of no comparison: it names no two targets", path);
    }
    const cJSON *listed;
    cJSON_ArrayForEach(listed, run_member(run->summary, "rounds"))
    {
        if (run->round_count == RUN_ROUNDS_MAX) {
            break;
        }
        status = load_round(directory, run, listed);
        if (status != ST_OK) {
            return status;
        }
    }
    return ST_OK;
}

void run_release(struct run *run)
{
    cJSON_Delete(run->summary);
    for (size_t i = 0; i < run->round_count; i++) {
        cJSON_Delete(run->rounds[i].json);
    }
    memset(run, 0, sizeof(*run));
}
