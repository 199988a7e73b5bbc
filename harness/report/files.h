/* files: whole files as text. */
#ifndef FLASHDEAL_REPORT_FILES_H
#define FLASHDEAL_REPORT_FILES_H

#include "common/status.h"

#include <stddef.h>

enum { FILES_PATH_MAX = 4096, FILES_SIZE_MAX = 32 * 1024 * 1024 };

/* Reads the file into *text, NUL-terminated, which the caller frees. ST_NOT_FOUND: there is no such
 * file; ST_INVALID: it has more than FILES_SIZE_MAX bytes, or a NUL; ST_SYSTEM: errno says why. */
MUST_USE enum status files_read(const char *path, char **text);

#endif
