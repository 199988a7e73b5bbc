/* config: all settings come from the environment, through one table. First used by phase 0.
 *
 * The phase's main.c holds the table: each setting's name, default, minimum and maximum stand in
 * one place, are checked before anything starts, and are logged as they took effect. */
#ifndef FLASHDEAL_CONFIG_H
#define FLASHDEAL_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

enum config_kind {
    CONFIG_INT,    /* whole number from minimum to maximum, decimal digits and sign only */
    CONFIG_TEXT,   /* bytes; minimum and maximum bound its length */
    CONFIG_SECRET, /* as CONFIG_TEXT, and logged as "set" or "unset" only */
    CONFIG_CHOICE, /* one of a few words: those that `unit` lists, "debug|info|warn|error" */
    CONFIG_URI,    /* as CONFIG_TEXT, and one that libpq can parse (a URI or a list of key=value);
                      logged as host, port, dbname and user, or as "unreadable" where a password
                      might show */
};

struct config_setting {
    const char *name;         /* the environment variable */
    enum config_kind kind;    /* decides which of the two values below is used */
    int64_t number;           /* CONFIG_INT: the default, then the value in effect */
    const char *text;         /* the others: default, then value; borrowed from the environment,
                                 which must not change after config_load; may be NULL by default */
    int64_t minimum, maximum; /* inclusive; of the number, or of the text's length in bytes */
    const char *unit;         /* what the number counts, "ms", "threads"; for people */
};

enum { CONFIG_ERROR_SIZE = 256 };

/* One line of a table: all of a setting in the order in which people ask for it. */
#define CONFIG_SET_INT(name_, default_, minimum_, maximum_, unit_)                                 \
    {                                                                                              \
        .name = (name_), .kind = CONFIG_INT, .number = (default_), .minimum = (minimum_),          \
        .maximum = (maximum_), .unit = (unit_)                                                     \
    }
#define CONFIG_SET_TEXT(kind_, name_, default_, minimum_, maximum_, unit_)                         \
    {                                                                                              \
        .name = (name_), .kind = (kind_), .text = (default_), .minimum = (minimum_),               \
        .maximum = (maximum_), .unit = (unit_)                                                     \
    }
#define CONFIG_SET_CHOICE(name_, default_, words_)                                                 \
    {                                                                                              \
        .name = (name_), .kind = CONFIG_CHOICE, .text = (default_), .unit = (words_)               \
    }

/* Reads every setting of the table from the environment; an unset or empty variable keeps the
 * default (an empty CONFIG_SECRET is a bad value). The table is the process's from then on:
 * config_int and the others read it. ST_INVALID: the first bad value, and a sentence for people in
 * error: the variable, what it must be, and never the value of a secret or a URI. Not thread-safe:
 * call it before the first thread. Does not block.
 */
MUST_USE enum status config_load(struct config_setting *settings, size_t count,
                                 char error[CONFIG_ERROR_SIZE]);

/* Finds a setting by name in the table that was loaded; it is a programmer's error (assert) to ask
 * for one that the table does not have, for a number of a text, or whose maximum is over INT_MAX.
 * Safe from any thread after config_load. */
int config_int(const char *name);
const char *config_text(const char *name);

/* Logs one "config" event with every setting's value in effect, without secrets. */
void config_log(void);

#endif
