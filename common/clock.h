/* clock: one notion of time. First used by phase 0.
 *
 * Durations and deadlines are CLOCK_MONOTONIC nanoseconds in int64_t (292 years); a wait takes an
 * absolute deadline, so that a wait made of several waits keeps one bound. All functions are safe
 * from any thread; only clock_sleep_until and clock_cond_wait block. */
#ifndef FLASHDEAL_CLOCK_H
#define FLASHDEAL_CLOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define CLOCK_NS_PER_US INT64_C(1000)
#define CLOCK_NS_PER_MS INT64_C(1000000)
#define CLOCK_NS_PER_S INT64_C(1000000000)

/* A deadline that never passes: the caller waits without bound, and says so. */
#define CLOCK_NEVER INT64_MAX

/* "2026-01-31T23:59:59.123Z" and its terminating NUL. */
enum { CLOCK_RFC3339_SIZE = 25 };

/* Nanoseconds since an arbitrary point; never goes back. */
int64_t clock_now_ns(void);

/* The wall clock: microseconds since 1970-01-01T00:00:00Z, as PostgreSQL keeps time. For points in
 * time that outlive the process; it may jump, so never for a duration or a deadline. */
int64_t clock_unix_us(void);

/* The absolute deadline timeout_ms (>= 0) from now; saturates at CLOCK_NEVER. */
int64_t clock_deadline_ns(int64_t timeout_ms);

/* Milliseconds left until deadline_ns, rounded up, 0 when it has passed; capped at INT_MAX so that
 * it fits poll(2). CLOCK_NEVER gives -1, poll's "without bound". */
int clock_left_ms(int64_t deadline_ns);

/* deadline_ns as the CLOCK_MONOTONIC timespec that the waits of the system want. */
struct timespec clock_to_timespec(int64_t deadline_ns);

/* Sleeps until deadline_ns, also across signals; returns at once if it has passed. */
void clock_sleep_until(int64_t deadline_ns);

/* A condition variable whose waits end by CLOCK_MONOTONIC; pthread_cond_destroy takes it down. */
void clock_cond_init(pthread_cond_t *cond);

/* As pthread_cond_timedwait, on a condition variable of clock_cond_init and with the lock held.
 * Returns false when the deadline passed, true when woken, which says nothing else: the caller
 * looks again at what he waits for, in both cases. CLOCK_NEVER: without bound. */
bool clock_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t deadline_ns);

/* Writes the wall clock's time now as RFC 3339, UTC, milliseconds. */
void clock_format_now(char out[CLOCK_RFC3339_SIZE]);

#endif
