/* parts: what a run has to say in page.html: sentences, tables, facts. */
#ifndef FLASHDEAL_REPORT_PARTS_H
#define FLASHDEAL_REPORT_PARTS_H

#include "harness/report/run.h"

#include <stdbool.h>
#include <stdio.h>

/* Writes the part of that name, escaped; false: there is none. */
bool parts_write(FILE *file, const char *name, const struct run *run);

#endif
