/* loglines: what the target logs.
 *
 * The file is read anew for each question, from the mark on; a line without its end is not there
 * yet. A line that holds the text somewhere is parsed, the others are passed over. */
#include "harness/contract/loglines.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "harness/contract/contract.h"

enum { LINE_MAX_SIZE = 8192, POLL_MS = 10 };

static long mark;

static FILE *open_log(long from)
{
    FILE *file = fopen(contract.log, "r");
    ck_assert_msg(file != NULL && fseek(file, from, SEEK_SET) == 0, "%s cannot be read",
                  contract.log);
    return file;
}

void loglines_mark(void)
{
    FILE *file = open_log(0);
    ck_assert_int_eq(fseek(file, 0, SEEK_END), 0);
    mark = ftell(file);
    fclose(file);
}

/* The line as an object if it is what is asked for, else NULL. */
static cJSON *match(const char *line, const char *event, const char *name, const char *text)
{
    if (strstr(line, text) == NULL || strchr(line, '\n') == NULL) {
        return NULL;
    }
    cJSON *object = cJSON_Parse(line);
    const char *its_event = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "event"));
    const char *its_text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    if (its_event != NULL && its_text != NULL && strcmp(its_event, event) == 0 &&
        strcmp(its_text, text) == 0) {
        return object;
    }
    cJSON_Delete(object);
    return NULL;
}

/* The matches from there on; *first is the first one, the caller's. */
static int find(long from, const char *event, const char *name, const char *text, cJSON **first)
{
    static char line[LINE_MAX_SIZE];
    int count = 0;
    FILE *file = open_log(from);
    *first = NULL;
    while (fgets(line, sizeof(line), file) != NULL) {
        cJSON *found = match(line, event, name, text);
        count += found != NULL;
        if (*first == NULL) {
            *first = found;
        } else {
            cJSON_Delete(found);
        }
    }
    fclose(file);
    return count;
}

cJSON *loglines_await(const char *event, const char *name, const char *text)
{
    cJSON *line = NULL;
    int64_t deadline_ns = clock_deadline_ns(CONTRACT_PATIENCE_MS);
    while (find(mark, event, name, text, &line) == 0 && clock_now_ns() < deadline_ns) {
        clock_sleep_until(clock_deadline_ns(POLL_MS));
    }
    ck_assert_msg(line != NULL, "no line \"%s\" with %s %s was logged", event, name, text);
    return line;
}

int loglines_count(const char *event, const char *name, const char *text)
{
    cJSON *first = NULL;
    int count = find(mark, event, name, text, &first);
    cJSON_Delete(first);
    return count;
}

int loglines_count_all(const char *event)
{
    cJSON *first = NULL;
    int count = find(0, event, "event", event, &first);
    cJSON_Delete(first);
    return count;
}
