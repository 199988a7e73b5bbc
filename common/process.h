/* process: what the kernel says of this process, from /proc/self. First used by phase 2. */
#ifndef FLASHDEAL_PROCESS_H
#define FLASHDEAL_PROCESS_H

#include <stdint.h>

#include "common/metrics.h"

struct process_stats {
    double cpu_s;           /* user and system, since the start */
    double start_time_s;    /* unix time */
    double run_delay_s;     /* all threads: ready to run, and waiting for a processor; of those
                               that still live, and never less than it was at the last call */
    int64_t resident_bytes; /* RSS */
    int64_t virtual_bytes;  /* address space */
    int64_t open_fds;
    int64_t max_fds; /* the soft limit */
    int64_t threads;
};

/* Reads all of them; what cannot be read is 0. Costs one file for each thread
 * (/proc/self/task/TID/schedstat, proc(5)): about 5 us each. Safe from any thread. */
void process_read(struct process_stats *out);

/* Publishes all of them under Prometheus' usual names: process_cpu_seconds_total,
 * process_run_delay_seconds_total, process_start_time_seconds, process_resident_memory_bytes,
 * process_virtual_memory_bytes, process_open_fds, process_max_fds, process_threads. They are read
 * once for a scrape, not once for each. */
void process_publish(struct metrics *metrics);

#endif
