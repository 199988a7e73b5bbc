/* text: the comparison as tables for a terminal. */
#ifndef FLASHDEAL_REPORT_TEXT_H
#define FLASHDEAL_REPORT_TEXT_H

#include "harness/report/run.h"

#include <stdio.h>

/* Prints the figures, the stages and the verdict; at most 80 columns wide where names allow. */
void text_print(const struct run *run, FILE *file);

#endif
