/* loglines: what the target logs. Needs --log; calls fail the running test where it cannot be read.
 */
#ifndef FLASHDEAL_CONTRACT_LOGLINES_H
#define FLASHDEAL_CONTRACT_LOGLINES_H

#include <cjson/cJSON.h>

/* From now on only what comes later is looked at. */
void loglines_mark(void);

/* Waits for a line of that event whose field of that name is the text; the caller frees it. None
 * within CONTRACT_PATIENCE_MS fails the test. */
cJSON *loglines_await(const char *event, const char *name, const char *text);

/* How many there are now. */
int loglines_count(const char *event, const char *name, const char *text);

/* From the log's beginning, whatever was marked. */
int loglines_count_all(const char *event);

#endif
