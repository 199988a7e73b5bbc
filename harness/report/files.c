/* files: reads a file of a run or of the page in one piece. A run's files come from a tool that may
 * have gone wrong, so their size is bounded, and the bound is checked by what was read, not by what
 * the directory says. */
#include "harness/report/files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 64 * 1024 };

static enum status read_all(FILE *file, char **text)
{
    char *all = NULL;
    size_t length = 0;
    for (;;) {
        char *grown = realloc(all, length + PIECE + 1);
        if (!grown) {
            free(all);
            return ST_SYSTEM;
        }
        all = grown;
        size_t count = fread(all + length, 1, PIECE, file);
        length += count;
        if (count < PIECE || length > FILES_SIZE_MAX) {
            break;
        }
    }
    all[length] = '\0';
    if (ferror(file)) {
        free(all);
        return ST_SYSTEM;
    }
    if (length > FILES_SIZE_MAX || strlen(all) != length) {
        free(all);
        return ST_INVALID;
    }
    *text = all;
    return ST_OK;
}

enum status files_read(const char *path, char **text)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        return errno == ENOENT || errno == ENOTDIR ? ST_NOT_FOUND : ST_SYSTEM;
    }
    enum status status = read_all(file, text);
    fclose(file);
    return status;
}
