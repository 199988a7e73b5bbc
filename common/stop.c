/* stop: a blocked signal set and sigwait(3). Nothing runs in a signal handler, so nothing here
 * needs to be async-signal-safe. */
#include "common/stop.h"

#include <signal.h>
#include <stddef.h>

static sigset_t stop_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    return signals;
}

void stop_block(void)
{
    sigset_t signals = stop_signals();
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
}

bool stop_is_due(void)
{
    sigset_t pending;
    sigpending(&pending);
    return sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1;
}

int stop_wait(void)
{
    sigset_t signals = stop_signals();
    int number = 0;
    sigwait(&signals, &number);
    return number;
}
