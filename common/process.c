/* process: /proc/self as numbers; proc(5) says what they are.
 *
 * Values that do not change while the process lives (when it started) are read once. The kernel
 * keeps the run delay per thread and forgets it when the thread ends: what it was at its highest is
 * kept as a floor, so that the sum never falls (it stands still until those who live have passed
 * it). No allocation but opendir's. It does not compute rates, and it does not look at children. */
#include "common/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/clock.h"

enum {
    FILE_BYTES = 1024, /* of /proc/self/stat, whose fields are about fifty numbers */
    LINE_BYTES = 4096, /* of /proc/stat; a longer line is read in pieces */
    PATH_BYTES = 300,  /* of "TID/schedstat"; a directory's name has at most 255 */
};

/* Fields of /proc/self/stat, counted as proc(5) does. */
enum stat_field {
    STAT_FIRST = 3, /* the first one behind the name */
    STAT_UTIME = 14,
    STAT_STIME = 15,
    STAT_THREADS = 20,
    STAT_STARTTIME = 22,
    STAT_VSIZE = 23,
    STAT_RSS = 24,
    STAT_END = 25,
};

static pthread_once_t boot_once = PTHREAD_ONCE_INIT;
static double boot_time_s; /* unix time; 0 if unknown */
static _Atomic int64_t run_delay_floor_ns;

/* Reads a small file into out, NUL-terminated; false if there is nothing. */
static bool read_file(int directory, const char *path, char out[FILE_BYTES])
{
    int fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t length = read(fd, out, FILE_BYTES - 1);
    close(fd);
    out[length > 0 ? length : 0] = '\0';
    return length > 0;
}

static void read_boot_time(void)
{
    char line[LINE_BYTES];
    FILE *file = fopen("/proc/stat", "re");
    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, "btime ", strlen("btime ")) == 0) {
            boot_time_s = strtod(line + strlen("btime "), NULL);
            break;
        }
    }
    if (file) {
        fclose(file);
    }
}

static void read_stat(struct process_stats *out)
{
    char text[FILE_BYTES];
    if (!read_file(AT_FDCWD, "/proc/self/stat", text)) {
        return;
    }
    const char *at = strrchr(text, ')'); /* the name before it may hold anything */
    int64_t fields[STAT_END] = {0};
    at = at ? strchr(at, ' ') : NULL;
    for (int i = STAT_FIRST; at && i < STAT_END; i++) {
        fields[i] = strtoll(at + 1, NULL, 10); /* the state, a letter, reads as 0 */
        at = strchr(at + 1, ' ');
    }
    double ticks_per_s = (double)sysconf(_SC_CLK_TCK);
    out->cpu_s = (double)(fields[STAT_UTIME] + fields[STAT_STIME]) / ticks_per_s;
    out->threads = fields[STAT_THREADS];
    out->virtual_bytes = fields[STAT_VSIZE];
    out->resident_bytes = fields[STAT_RSS] * sysconf(_SC_PAGESIZE);
    pthread_once(&boot_once, read_boot_time);
    if (boot_time_s > 0) {
        out->start_time_s = boot_time_s + (double)fields[STAT_STARTTIME] / ticks_per_s;
    }
}

static int64_t count_fds(void)
{
    DIR *directory = opendir("/proc/self/fd");
    if (!directory) {
        return 0;
    }
    int64_t count = -1; /* the directory's own */
    for (const struct dirent *entry = readdir(directory); entry; entry = readdir(directory)) {
        count += entry->d_name[0] != '.';
    }
    closedir(directory);
    return count;
}

static int64_t read_max_fds(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return 0;
    }
    return limit.rlim_cur > (rlim_t)INT64_MAX ? INT64_MAX : (int64_t)limit.rlim_cur;
}

/* "on_cpu_ns run_delay_ns timeslices"; 0 for a thread that ended meanwhile. */
static int64_t thread_run_delay_ns(int directory, const char *tid)
{
    char path[PATH_BYTES];
    char text[FILE_BYTES];
    snprintf(path, sizeof path, "%s/schedstat", tid);
    if (!read_file(directory, path, text)) {
        return 0;
    }
    const char *delay = strchr(text, ' ');
    return delay ? strtoll(delay, NULL, 10) : 0;
}

static int64_t sum_run_delay_ns(void)
{
    DIR *directory = opendir("/proc/self/task");
    if (!directory) {
        return 0;
    }
    int64_t sum_ns = 0;
    for (const struct dirent *entry = readdir(directory); entry; entry = readdir(directory)) {
        if (entry->d_name[0] != '.') {
            sum_ns += thread_run_delay_ns(dirfd(directory), entry->d_name);
        }
    }
    closedir(directory);
    return sum_ns;
}

static int64_t raise_floor(int64_t sum_ns)
{
    int64_t floor_ns = atomic_load(&run_delay_floor_ns);
    while (sum_ns > floor_ns) {
        if (atomic_compare_exchange_weak(&run_delay_floor_ns, &floor_ns, sum_ns)) {
            return sum_ns;
        }
    }
    return floor_ns;
}

void process_read(struct process_stats *out)
{
    *out = (struct process_stats){0};
    read_stat(out);
    out->open_fds = count_fds();
    out->max_fds = read_max_fds();
    out->run_delay_s = (double)raise_floor(sum_run_delay_ns()) / (double)CLOCK_NS_PER_S;
}
