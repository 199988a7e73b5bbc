/* parts: what the server is made of. First used by phase 4; before, main.c made its parts itself.
 */
#ifndef PARTS_H
#define PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/auth.h"
#include "common/dbpool.h"
#include "common/http.h"
#include "common/metrics.h"
#include "common/token_bucket.h"
#include "common/workers.h"
#include "inventory.h"
#include "order_queue.h"
#include "purge.h"
#include "sales.h"
#include "telemetry.h"
#include "tickets.h"

struct parts {
    /* Limits, main.c's: */
    int64_t locks_acquire_ms;   /* how long /debug/locks waits for its connection */
    int64_t locks_statement_ms; /* and for its statement */
    int64_t rate_users;         /* users whose rate is remembered */
    int optimistic_tries;       /* before an order is given back to the line */
    /* What parts_start makes: */
    struct dbpool *orders_pool, *reads_pool, *locks_pool;
    struct auth *auth; /* NULL: bodies are trusted */
    struct token_bucket *limiter;
    struct sales *sales;
    const struct inventory *inventory;
    const struct order_queue_kind *queue_kind;
    struct order_queue *queue;
    struct tickets *tickets;
    struct workers *workers;
    struct purge *purge;
    struct metrics *metrics;
    struct telemetry *telemetry;
    /* What main.c makes: */
    struct http_server *admin, *server;
};

/* What is wrong with settings of the parts that are fine by themselves; NULL: nothing. connect_ms
 * and grace_ms: those of the database's options. */
const char *parts_disagreement(int64_t connect_ms, int64_t grace_ms);

/* Makes the parts and starts the workers. Anything but ST_OK: the process should end: the sales
 * could not be read, or (ST_SCHEMA, and logged) a sale's stock is where INVENTORY does not look.
 * Aborts when there is no memory or no thread to be had. */
MUST_USE enum status parts_start(struct parts *parts, const struct pg_options *database);

/* Closes the queue, and waits until the workers have worked it off or deadline_ns. Returns how many
 * accepted orders are left without a final state. */
MUST_USE int parts_drain(struct parts *parts, int64_t deadline_ns);

/* After parts_drain: whether a thread that was replaced is still at something, which is logged. It
 * uses the parts, so that they may not be freed. */
MUST_USE bool parts_hang(const struct parts *parts);

/* After parts_drain, which must have left none; unless parts_hang. */
void parts_free(struct parts *parts);

#endif
