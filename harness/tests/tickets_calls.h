/* tickets_calls: calls of other threads to one ticket table. */
#ifndef FLASHDEAL_TESTS_TICKETS_CALLS_H
#define FLASHDEAL_TESTS_TICKETS_CALLS_H

#include <sched.h>
#include <stdatomic.h>

#include "harness/tests/tickets_fixture.h"

enum { PATIENCE_MS = 20000 /* for what must happen */ };

/* The table. */
static struct tickets *tickets;

struct call {
    pthread_t thread;
    int number;
    int64_t deadline_ns;
    atomic_bool began;
    enum status status;
    struct ticket ticket;
};

static inline void *add_main(void *arg)
{
    struct call *call = arg;
    struct order order = order_of(call->number);
    call->began = true;
    call->status = tickets_add(tickets, &order, &call->ticket);
    return NULL;
}

static inline void *wait_main(void *arg)
{
    struct call *call = arg;
    struct order order = order_of(call->number);
    call->began = true;
    call->status = tickets_wait(tickets, order.id, call->deadline_ns, &call->ticket);
    return NULL;
}

/* Starts it and lets it get as far as `round` says: some sleep already, some are on their way. */
static inline void start(struct call *call, void *(*body)(void *), int number, int round)
{
    *call = (struct call){.number = number, .deadline_ns = clock_deadline_ns(PATIENCE_MS)};
    ck_assert_int_eq(pthread_create(&call->thread, NULL, body, call), 0);
    while (!call->began) {
        sched_yield();
    }
    for (int yields = 0; yields < round % 8; yields++) {
        sched_yield();
    }
}

static inline void join(const struct call *call, enum status expected)
{
    pthread_join(call->thread, NULL);
    ck_assert_status(call->status, expected);
}

#endif
