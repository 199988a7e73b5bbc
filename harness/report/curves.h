/* curves: what the charts draw. */
#ifndef FLASHDEAL_REPORT_CURVES_H
#define FLASHDEAL_REPORT_CURVES_H

#include "harness/report/run.h"

enum { CURVES_POINTS_MAX = 2000 }; /* of one curve; of more, every second, third, ... is kept */

/* The page's data, which the caller deletes; NULL: no memory.
 *
 *   {"names":{"a":"..","b":".."},"seconds":n,"parts":[{"from":s,"label":".."}],
 *    "faults":[{"from":s,"to":s,"text":".."}],
 *    "curves":[{"chart":"latency","key":"p99","arm":"a","round":1,"shown":true,"points":[[s,y],..]}],
 *    "stages":{"a":{"commit":ms,..},"b":{}}}
 *
 * y is null in a gap. Of the rounds that are not shown boldly only a chart's first curve is there.
 */
cJSON *curves_make(const struct run *run);

/* Does the target publish how long its stages take? */
bool curves_has_stages(const struct run *run, int arm);

/* How long a stage takes on average, NAN if that is not known. */
double curves_stage_ms(const struct run *run, int arm, const char *stage);

/* What the fault was, "" if there was none. */
const char *curves_fault_text(const struct run *run);

#endif
