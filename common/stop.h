/* stop: SIGTERM and SIGINT as something to wait for. First used by phase 0.
 *
 * A signal handler may do next to nothing; a thread that waits for the signal may do everything. So
 * the signals are blocked before the first thread starts, and the main thread waits for them. */
#ifndef FLASHDEAL_STOP_H
#define FLASHDEAL_STOP_H

#include <stdbool.h>

/* From here on SIGTERM and SIGINT end nothing by themselves. Call it on the main thread, before any
 * other is started: threads inherit it. Until then they end the process at once. */
void stop_block(void);

/* Whether one of the two has come and stop_wait would return at once. Call after stop_block. */
bool stop_is_due(void);

/* Waits without bound for one of the two and returns its number. Call after stop_block. A further
 * one stays pending: it does not cut the stop short. */
int stop_wait(void);

#endif
