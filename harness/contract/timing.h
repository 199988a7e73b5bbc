/* timing: the Server-Timing field (W3C, "Server Timing" 3.1), read strictly. */
#ifndef FLASHDEAL_CONTRACT_TIMING_H
#define FLASHDEAL_CONTRACT_TIMING_H

#include <stdbool.h>

enum { TIMING_PARTS_MAX = 12, TIMING_NAME_SIZE = 24 };

struct timing {
    int count;
    struct {
        char name[TIMING_NAME_SIZE];
        double ms;
    } parts[TIMING_PARTS_MAX];
};

/* Reads "name;dur=1.234, name;dur=0.5". False: it is not that, a name stands twice, or a time is
 * below 0. */
bool timing_read(const char *value, struct timing *out);

/* The part's time in ms; 0 if it is not there. */
double timing_ms(const struct timing *timing, const char *name);

/* Of all stages: every part but "total". */
double timing_stages_ms(const struct timing *timing);

#endif
