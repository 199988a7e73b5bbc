/* op: one operation in progress: an intended order with all its attempts and polls, a read or a
 * probe. The client (client.h) decides what happens to it, the net (net.h) carries its requests,
 * the timers (timers.h) hold its one deadline. */
#ifndef FLASHDEAL_LOADGEN_OP_H
#define FLASHDEAL_LOADGEN_OP_H

#include "common/uuid.h"
#include "plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conn;

enum op_state {
    OP_FREE,
    OP_REQUESTING,    /* with the net: waits for a connection or for a reply */
    OP_BACKING_OFF,   /* the next attempt is due at its timer */
    OP_BETWEEN_POLLS, /* the next poll is due at its timer */
    OP_PAUSING,       /* a closed-loop client that could not connect waits a moment */
};

/* What the last attempt came to; the op's own result when it ends. */
enum op_result { RESULT_NONE, RESULT_OK, RESULT_FAIL, RESULT_INFO };

struct op {
    enum op_state state;
    enum plan_kind kind;
    int64_t id; /* of an order, from 0 in the order of beginning; -1 otherwise */
    int64_t user, sale;
    int32_t quantity;
    bool counted; /* begun inside the window */
    bool closed;  /* when it ends, its closed-loop client begins the next */
    bool polling; /* accepted; its requests are GET /orders/{order_id} */
    bool gone;    /* accepted once, then 404: it is being ordered again */
    bool hang_up; /* this attempt's connection is closed once the request is written */
    int attempt;  /* attempts begun */
    int polls;    /* polls sent */
    enum op_result result;
    int64_t intended_ns;  /* when the first attempt was due */
    int64_t due_ns;       /* when this attempt was due */
    int64_t sent_ns;      /* when this request was handed to its connection */
    int64_t give_up_ns;   /* await's end */
    int64_t poll_wait_ns; /* the next pause between polls */
    int64_t poll_hold_ns; /* how long this poll asks the server to wait */
    char key[UUID_TEXT_SIZE];
    char order_id[UUID_TEXT_SIZE]; /* "": never acknowledged */

    /* The timers' own. */
    int64_t timer_ns;
    size_t timer_place; /* 0: not in the heap */

    /* The net's own. */
    struct conn *conn;          /* NULL while it waits for one */
    int pool;                   /* enum net_pool */
    struct op *next, *previous; /* wait queue, or free list */
};

enum {
    OPS_SLAB = 1024,
    OPS_SLABS_MAX = 1024, /* a million in progress: about 300 MiB */
};

/* Owner of all ops. Not shared between threads. */
struct ops {
    struct op *slabs[OPS_SLABS_MAX];
    size_t slab_count;
    struct op *free;
    int64_t active;
};

/* A zeroed op, or NULL when a million are in progress. */
struct op *ops_take(struct ops *ops);

void ops_give(struct ops *ops, struct op *op);

/* Calls visit for every op that is in progress; visit may give the op it is called for. */
void ops_each(struct ops *ops, void (*visit)(void *context, struct op *op), void *context);

void ops_destroy(struct ops *ops);

#endif
