/* process_publish: the process's values as metrics.
 *
 * A scrape asks for one value after the other, and reading them costs the same for one as for all:
 * so they are read at most once in FRESH_MS, and those of a scrape are of one moment. There is one
 * process, so what was read is kept here, and the contexts of the readers are constants. */
#include "common/process.h"

#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/clock.h"

enum { FRESH_MS = 50 };

enum type { TYPE_INTEGER, TYPE_REAL }; /* int64_t, double */

struct value {
    const char *name;
    const char *help;
    size_t offset; /* in struct process_stats */
    enum type type;
    bool is_counter;
};

static struct value values[] = {
    {"process_cpu_seconds_total", "Processor time used, user and system.",
     offsetof(struct process_stats, cpu_s), TYPE_REAL, true},
    {"process_run_delay_seconds_total",
     "Time in which threads were ready to run and waited for a processor, of those that live.",
     offsetof(struct process_stats, run_delay_s), TYPE_REAL, true},
    {"process_start_time_seconds", "When the process started, in unix time.",
     offsetof(struct process_stats, start_time_s), TYPE_REAL, false},
    {"process_resident_memory_bytes", "Memory in RAM.",
     offsetof(struct process_stats, resident_bytes), TYPE_INTEGER, false},
    {"process_virtual_memory_bytes", "Address space.",
     offsetof(struct process_stats, virtual_bytes), TYPE_INTEGER, false},
    {"process_open_fds", "Open file descriptors.", offsetof(struct process_stats, open_fds),
     TYPE_INTEGER, false},
    {"process_max_fds", "Limit on open file descriptors.", offsetof(struct process_stats, max_fds),
     TYPE_INTEGER, false},
    {"process_threads", "Threads.", offsetof(struct process_stats, threads), TYPE_INTEGER, false},
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Guarded by lock: */
static struct process_stats stats;
static int64_t fresh_until_ns;

static double read_value(void *context)
{
    const struct value *value = context;
    double read = NAN;
    pthread_mutex_lock(&lock);
    if (clock_now_ns() >= fresh_until_ns) {
        process_read(&stats);
        fresh_until_ns = clock_deadline_ns(FRESH_MS);
    }
    const void *at = (const char *)&stats + value->offset;
    switch (value->type) {
    case TYPE_INTEGER:
        read = (double)*(const int64_t *)at;
        break;
    case TYPE_REAL:
        read = *(const double *)at;
        break;
    }
    pthread_mutex_unlock(&lock);
    return read;
}

void process_publish(struct metrics *metrics)
{
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct value *value = &values[i];
        if (value->is_counter) {
            metrics_sampled_counter(metrics, value->name, value->help, "", read_value, value);
        } else {
            metrics_gauge(metrics, value->name, value->help, "", read_value, value);
        }
    }
}
