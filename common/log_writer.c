/* log_writer: one write(2) for each line, or in a busy server's file for many.
 *
 * Lines of several threads do not mix: everything is written under the one lock. What is not
 * written (a full disk, a closed pipe, a reader that does not read) is lost; the server does not
 * stop for its log. So where there is a reader, it is asked first whether there is room, which
 * holds for a pipe until the write if nobody else writes to it; how many lines a slow reader has
 * lost is said in "log_lost" when there is room again.
 *
 * Gathering: a write costs a request's thread some 11 us where the kernel's code for files has left
 * its caches, which is 6 % of an order's processor time. A file has no reader that waits for its
 * lines, so there they are gathered and written together: when LOG_GATHER_MS have passed, when the
 * buffer is full, with the next urgent line, at exit. A process that is killed or aborts takes the
 * lines of its last LOG_GATHER_MS along. Invariant: used <= sizeof gathered; if used > 0, the
 * thread is about to write. */
#include "common/log_writer.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"

enum {
    NOTICE_SIZE = 128, /* the line about lost lines */
    GATHERED_SIZE = 64 * 1024,
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t begun = PTHREAD_COND_INITIALIZER; /* the first line of many was gathered */
/* Guarded by lock, which is held across poll and write, so that the one still tells of the other:
 */
static long long lost_lines; /* since the last one that was written */
static bool is_gathering;
static size_t used;
static char gathered[GATHERED_SIZE];

/* Whether a line could be written without waiting for whoever reads the log. */
static bool is_writable(void)
{
    struct pollfd log = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&log, 1, 0) == 1 && (log.revents & POLLOUT) != 0;
}

static void write_bytes(const char *bytes, size_t length)
{
    ssize_t written = 0;
    do {
        written = write(STDERR_FILENO, bytes, length);
    } while (written < 0 && errno == EINTR);
}

/* Says how many lines were lost, once there is room again. */
static void write_lost_locked(const char *now)
{
    char notice[NOTICE_SIZE];
    int length = snprintf(notice, sizeof notice,
                          "{\"time\":\"%s\",\"level\":\"warn\",\"event\":\"log_lost\","
                          "\"lines\":%lld}\n",
                          now, lost_lines);
    write_bytes(notice, (size_t)length);
    lost_lines = 0;
}

static void write_line_locked(const char *line, size_t length, const char *now)
{
    if (lost_lines > 0 && is_writable()) {
        write_lost_locked(now);
    }
    if (lost_lines == 0 && is_writable()) {
        write_bytes(line, length);
    } else {
        lost_lines++;
    }
}

static void write_gathered_locked(void)
{
    if (used > 0) {
        write_bytes(gathered, used);
        used = 0;
    }
}

static void gather_locked(const char *line, size_t length, bool is_urgent)
{
    if (length > sizeof gathered - used) {
        write_gathered_locked();
    }
    if (used == 0 && !is_urgent) {
        pthread_cond_signal(&begun);
    }
    memcpy(gathered + used, line, length);
    used += length;
    if (is_urgent) {
        write_gathered_locked();
    }
}

void log_writer_put(const char *line, size_t length, bool is_urgent, const char *now)
{
    assert(length <= LOG_LINE_MAX);
    pthread_mutex_lock(&lock);
    if (is_gathering) {
        gather_locked(line, length, is_urgent);
    } else {
        write_line_locked(line, length, now);
    }
    pthread_mutex_unlock(&lock);
}

/* Ends with the process. */
__attribute__((noreturn)) static void *write_from_time_to_time(void *unused)
{
    const struct timespec pause = {.tv_nsec = LOG_GATHER_MS * (long)CLOCK_NS_PER_MS};
    (void)unused;
    pthread_mutex_lock(&lock);
    for (;;) {
        while (used == 0) {
            pthread_cond_wait(&begun, &lock);
        }
        pthread_mutex_unlock(&lock);
        clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
        pthread_mutex_lock(&lock);
        write_gathered_locked();
    }
}

void log_writer_end(void)
{
    pthread_mutex_lock(&lock);
    write_gathered_locked();
    is_gathering = false; /* whatever logs after this is written line by line */
    pthread_mutex_unlock(&lock);
}

/* No signal is for this thread. */
static bool start_writing(void)
{
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&thread, NULL, write_from_time_to_time, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return !failed && pthread_detach(thread) == 0;
}

void log_writer_gather(void)
{
    struct stat log;
    if (fstat(STDERR_FILENO, &log) != 0 || !S_ISREG(log.st_mode) || atexit(log_writer_end) != 0 ||
        !start_writing()) {
        return; /* then each line has a write of its own, as before */
    }
    pthread_mutex_lock(&lock);
    is_gathering = true;
    pthread_mutex_unlock(&lock);
}
