/* clock: monotonic nanoseconds, and the conversions that waits need.
 *
 * Every sum saturates: a deadline too far to express is CLOCK_NEVER, one in the past leaves 0 ms.
 * Milliseconds are rounded up, because a wait that ends early finds its deadline not yet passed and
 * spins. The wall clock may jump: it is for people (clock_format_now) and for points in time that
 * outlive the process (clock_unix_us), never for a wait.
 * It does not know about time zones, leap seconds or sleeping. */
#include "common/clock.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>

static int64_t read_ns(clockid_t id)
{
    struct timespec now = {0};
    int failed = clock_gettime(id, &now);
    assert(!failed); /* both clocks exist on every Linux; there is no input here */
    (void)failed;
    return (int64_t)now.tv_sec * CLOCK_NS_PER_S + now.tv_nsec;
}

int64_t clock_now_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

int64_t clock_unix_us(void)
{
    return read_ns(CLOCK_REALTIME) / CLOCK_NS_PER_US;
}

int64_t clock_deadline_ns(int64_t timeout_ms)
{
    assert(timeout_ms >= 0);
    int64_t now_ns = clock_now_ns();
    if (timeout_ms > (CLOCK_NEVER - now_ns) / CLOCK_NS_PER_MS) {
        return CLOCK_NEVER;
    }
    return now_ns + timeout_ms * CLOCK_NS_PER_MS;
}

int clock_left_ms(int64_t deadline_ns)
{
    if (deadline_ns == CLOCK_NEVER) {
        return -1;
    }
    int64_t now_ns = clock_now_ns();
    if (deadline_ns <= now_ns) {
        return 0;
    }
    int64_t left_ns = deadline_ns - now_ns;
    int64_t left_ms = left_ns / CLOCK_NS_PER_MS + (left_ns % CLOCK_NS_PER_MS != 0);
    return left_ms > INT_MAX ? INT_MAX : (int)left_ms;
}

struct timespec clock_to_timespec(int64_t deadline_ns)
{
    /* A negative tv_nsec would be EINVAL; the clock never was below 0, so 0 has passed as well. */
    int64_t at_ns = deadline_ns < 0 ? 0 : deadline_ns;
    return (struct timespec){
        .tv_sec = (time_t)(at_ns / CLOCK_NS_PER_S),
        .tv_nsec = (long)(at_ns % CLOCK_NS_PER_S),
    };
}

void clock_sleep_until(int64_t deadline_ns)
{
    struct timespec until = clock_to_timespec(deadline_ns);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
    }
}

void clock_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

bool clock_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t deadline_ns)
{
    if (deadline_ns == CLOCK_NEVER) {
        pthread_cond_wait(cond, lock);
        return true;
    }
    struct timespec until = clock_to_timespec(deadline_ns);
    return pthread_cond_timedwait(cond, lock, &until) == 0;
}

void clock_format_now(char out[CLOCK_RFC3339_SIZE])
{
    int64_t now_ns = read_ns(CLOCK_REALTIME);
    time_t seconds = (time_t)(now_ns / CLOCK_NS_PER_S);
    int ms = (int)(now_ns % CLOCK_NS_PER_S / CLOCK_NS_PER_MS);
    struct tm utc = {0};
    gmtime_r(&seconds, &utc);
    size_t used = strftime(out, CLOCK_RFC3339_SIZE, "%Y-%m-%dT%H:%M:%S", &utc);
    assert(used + sizeof(".123Z") == CLOCK_RFC3339_SIZE); /* a year of four digits */
    out[used++] = '.';
    out[used++] = (char)('0' + ms / 100);
    out[used++] = (char)('0' + ms / 10 % 10);
    out[used++] = (char)('0' + ms % 10);
    out[used++] = 'Z';
    out[used] = '\0';
}
