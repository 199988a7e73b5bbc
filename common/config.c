/* config: the environment, read once, through the table that the caller owns.
 *
 * config_load only replaces a default by a value that was checked; at the first bad one it stops,
 * and the caller ends the process. What is shown of a database URI is rebuilt from libpq's own
 * parse (host, port, dbname, user), never cut out of the text: so no spelling of a password
 * (user:secret@, ?password=, password='se cret') gets through. And since a password with a bare
 * '@' or '/' in it shifts the rest of the URI into the other parts, parts that do not look like
 * what they should be are not shown either.
 * It knows no setting by name and does not read files. */
#include "common/config.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/xalloc.h"

enum {
    SHOWN_VALUE_SIZE = 33, /* of a bad number, in an error sentence */
    SHOWN_URI_SIZE = 1024,
};

/* The table of the process: written by config_load, before the first thread. */
static struct {
    struct config_setting *settings;
    size_t count;
} table;

/* ------------------------------------------------------------------------------- numbers */

static bool parse_int(const char *text, int64_t *out)
{
    const char *digits = text + (*text == '-' || *text == '+');
    if (*digits == '\0' || strspn(digits, "0123456789") != strlen(digits)) {
        return false; /* strtoimax would take leading blanks and a tail */
    }
    errno = 0;
    intmax_t value = strtoimax(text, NULL, 10);
    *out = (int64_t)value;
    return errno == 0;
}

/* Copies the value for people: cut, and without bytes that could play tricks on a terminal. */
static void copy_printable(const char *value, char out[SHOWN_VALUE_SIZE])
{
    size_t used = 0;
    for (; used < SHOWN_VALUE_SIZE - 1 && value[used] != '\0'; used++) {
        bool printable = value[used] >= ' ' && value[used] <= '~';
        out[used] = '?';
        if (printable) {
            out[used] = value[used];
        }
    }
    out[used] = '\0';
}

static enum status load_int(struct config_setting *setting, const char *value,
                            char error[CONFIG_ERROR_SIZE])
{
    int64_t number = 0;
    if (parse_int(value, &number) && number >= setting->minimum && number <= setting->maximum) {
        setting->number = number;
        return ST_OK;
    }
    char shown[SHOWN_VALUE_SIZE];
    copy_printable(value, shown);
    snprintf(error, CONFIG_ERROR_SIZE,
             "%s must be a whole number from %" PRId64 " to %" PRId64 "%s%s%s, and is \"%s\"",
             setting->name, setting->minimum, setting->maximum, setting->unit ? " (" : "",
             setting->unit ? setting->unit : "", setting->unit ? ")" : "", shown);
    return ST_INVALID;
}

/* --------------------------------------------------------------------------------- texts */

static bool uri_is_readable(const char *value)
{
    PQconninfoOption *options = PQconninfoParse(value, NULL);
    PQconninfoFree(options);
    return options != NULL;
}

static enum status load_text(struct config_setting *setting, const char *value,
                             char error[CONFIG_ERROR_SIZE])
{
    int64_t length = (int64_t)strlen(value);
    if (length < setting->minimum || length > setting->maximum) {
        snprintf(error, CONFIG_ERROR_SIZE, "%s must have %" PRId64 " to %" PRId64 " bytes",
                 setting->name, setting->minimum, setting->maximum);
        return ST_INVALID;
    }
    if (setting->kind == CONFIG_URI && !uri_is_readable(value)) {
        snprintf(error, CONFIG_ERROR_SIZE,
                 "%s must be a PostgreSQL connection URI (postgresql://user@host:port/database) "
                 "or a list of key=value",
                 setting->name);
        return ST_INVALID;
    }
    setting->text = value;
    return ST_OK;
}

/* Whether value is one of the words that '|' separates. */
static bool is_choice(const char *words, const char *value)
{
    size_t length = strlen(value);
    for (const char *word = words; *word != '\0';) {
        size_t end = strcspn(word, "|");
        if (end == length && strncmp(word, value, length) == 0) {
            return true;
        }
        word += end + (word[end] == '|');
    }
    return false;
}

static enum status load_choice(struct config_setting *setting, const char *value,
                               char error[CONFIG_ERROR_SIZE])
{
    if (!is_choice(setting->unit, value)) {
        char shown[SHOWN_VALUE_SIZE];
        copy_printable(value, shown);
        snprintf(error, CONFIG_ERROR_SIZE, "%s must be one of %s, and is \"%s\"", setting->name,
                 setting->unit, shown);
        return ST_INVALID;
    }
    setting->text = value;
    return ST_OK;
}

static enum status load_setting(struct config_setting *setting, char error[CONFIG_ERROR_SIZE])
{
    assert(setting->kind != CONFIG_INT ||
           (setting->number >= setting->minimum && setting->number <= setting->maximum));
    assert(setting->kind != CONFIG_CHOICE || is_choice(setting->unit, setting->text));
    const char *value = getenv(setting->name);
    bool is_empty = value && *value == '\0';
    if (!value || (is_empty && setting->kind != CONFIG_SECRET)) {
        return ST_OK; /* an empty secret is one that somebody failed to fill in */
    }
    switch (setting->kind) {
    case CONFIG_INT:
        return load_int(setting, value, error);
    case CONFIG_TEXT:
    case CONFIG_SECRET:
    case CONFIG_URI:
        return load_text(setting, value, error);
    case CONFIG_CHOICE:
        return load_choice(setting, value, error);
    }
    assert(false && "a kind of setting");
    return ST_INVALID;
}

enum status config_load(struct config_setting *settings, size_t count,
                        char error[CONFIG_ERROR_SIZE])
{
    error[0] = '\0';
    table.settings = settings;
    table.count = count;
    for (size_t i = 0; i < count; i++) {
        enum status status = load_setting(&settings[i], error);
        if (status != ST_OK) {
            return status;
        }
    }
    return ST_OK;
}

/* -------------------------------------------------------------------------------- access */

static const struct config_setting *find(const char *name)
{
    for (size_t i = 0; i < table.count; i++) {
        if (strcmp(table.settings[i].name, name) == 0) {
            return &table.settings[i];
        }
    }
    assert(false && "a setting of the table");
    abort(); /* with NDEBUG too: there is no value to go on with */
}

int config_int(const char *name)
{
    const struct config_setting *setting = find(name);
    assert(setting->kind == CONFIG_INT && setting->minimum >= INT_MIN &&
           setting->maximum <= INT_MAX);
    return (int)setting->number;
}

const char *config_text(const char *name)
{
    const struct config_setting *setting = find(name);
    assert(setting->kind != CONFIG_INT);
    return setting->text;
}

/* --------------------------------------------------------------------------- what is shown */

/* Whether a part of a parsed URI looks like what its keyword says. */
static bool looks_right(const char *keyword, const char *value)
{
    if (strcmp(keyword, "port") == 0) {
        return strspn(value, "0123456789,") == strlen(value);
    }
    if (strcmp(keyword, "host") == 0) {
        return strpbrk(value, "?=") == NULL && strchr(value + (*value == '@'), '@') == NULL;
    }
    return strpbrk(value, "@/:?=") == NULL; /* a user or a database name; or half a password */
}

static bool is_shown(const PQconninfoOption *option)
{
    static const char *const keywords[] = {"host", "port", "dbname", "user"};
    for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
        if (strcmp(option->keyword, keywords[i]) == 0) {
            return option->val != NULL && *option->val != '\0';
        }
    }
    return false;
}

/* Writes "host=127.0.0.1 port=5432 ..." or, where that could show a secret, "unreadable". */
static void describe_uri(const char *uri, char out[SHOWN_URI_SIZE])
{
    PQconninfoOption *options = PQconninfoParse(uri, NULL);
    bool safe = options != NULL;
    size_t used = 0;
    out[0] = '\0';
    for (const PQconninfoOption *o = options; safe && o->keyword; o++) {
        if (!is_shown(o)) {
            continue;
        }
        int length = snprintf(out + used, SHOWN_URI_SIZE - used, "%s%s=%s", used > 0 ? " " : "",
                              o->keyword, o->val);
        used += length > 0 ? (size_t)length : 0;
        safe = looks_right(o->keyword, o->val) && used < SHOWN_URI_SIZE;
    }
    if (!safe) {
        snprintf(out, SHOWN_URI_SIZE, "unreadable");
    }
    PQconninfoFree(options);
}

static struct log_field describe(const struct config_setting *setting, char uri[SHOWN_URI_SIZE])
{
    bool is_set = setting->text != NULL && *setting->text != '\0';
    switch (setting->kind) {
    case CONFIG_INT:
        return LOG_NUMBER(setting->name, setting->number);
    case CONFIG_TEXT:
    case CONFIG_CHOICE:
        return LOG_TEXT(setting->name, setting->text);
    case CONFIG_SECRET:
        return LOG_TEXT(setting->name, is_set ? "set" : "unset");
    case CONFIG_URI:
        if (is_set) {
            describe_uri(setting->text, uri);
        }
        return LOG_TEXT(setting->name, is_set ? uri : NULL);
    }
    return LOG_TEXT(setting->name, NULL);
}

void config_log(void)
{
    struct log_field *fields = xcalloc(table.count, sizeof(*fields));
    char(*uris)[SHOWN_URI_SIZE] = xcalloc(table.count, sizeof(*uris));
    for (size_t i = 0; i < table.count; i++) {
        fields[i] = describe(&table.settings[i], uris[i]);
    }
    log_fields(LOG_INFO, "config", fields, table.count);
    free(uris);
    free(fields);
}
