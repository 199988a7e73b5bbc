/* target: the server that a measured test looks at from outside. For tests only.
 *
 * TARGET_URL and TARGET_PID name it; HTTP_THREADS is what it was started with; HOLD_S is how long a
 * test may hold it. Memory and open files are read from /proc, so the test needs the rights to. */
#ifndef FLASHDEAL_TESTS_TARGET_H
#define FLASHDEAL_TESTS_TARGET_H

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"

enum { TARGET_THREADS_DEFAULT = 512, TARGET_THREADS_MAX = 4096, TARGET_HOLD_DEFAULT_S = 20 };

struct target {
    int port;
    long pid;
    int threads;
    int hold_s;
};
static struct target target;

static inline long target_rss_kib(void)
{
    char path[64], line[256];
    long kib = -1;
    snprintf(path, sizeof path, "/proc/%ld/status", target.pid);
    FILE *file = fopen(path, "r");
    ck_assert_msg(file != NULL, "no process %ld", target.pid);
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, "VmRSS:", strlen("VmRSS:")) == 0) {
            kib = strtol(line + strlen("VmRSS:"), NULL, 10);
        }
    }
    fclose(file);
    ck_assert_int_gt(kib, 0);
    return kib;
}

static inline int target_files(void)
{
    char path[64];
    int count = 0;
    snprintf(path, sizeof path, "/proc/%ld/fd", target.pid);
    DIR *directory = opendir(path);
    ck_assert_msg(directory != NULL, "cannot read %s: %s", path, strerror(errno));
    while (readdir(directory)) {
        count++;
    }
    closedir(directory);
    return count;
}

static inline void pause_ms(int ms)
{
    struct timespec until = clock_to_timespec(clock_deadline_ns(ms));
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0) {
    }
}

static inline long number_from(const char *name, long fallback)
{
    const char *text = getenv(name);
    return text && *text ? strtol(text, NULL, 10) : fallback;
}

static inline bool target_read(void)
{
    const char *url = getenv("TARGET_URL");
    const char *port = url ? strrchr(url, ':') : NULL;
    target.port = port ? (int)strtol(port + 1, NULL, 10) : 0;
    target.pid = number_from("TARGET_PID", 0);
    target.threads = (int)number_from("HTTP_THREADS", TARGET_THREADS_DEFAULT);
    target.hold_s = (int)number_from("HOLD_S", TARGET_HOLD_DEFAULT_S);
    return target.port > 0 && target.pid > 0 && target.threads > 0 &&
           target.threads <= TARGET_THREADS_MAX && target.hold_s > 0;
}

#endif
