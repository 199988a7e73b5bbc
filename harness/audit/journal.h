/* journal: what the clients asked for and were told, out of loadgen's journals.
 *
 * The reader keeps what the checks need and no more: one struct promise for each acknowledged order
 * id, the refusals counted by sale and quantity, the users and sales that were asked for, and how
 * many attempts ended without an answer. Orders of sales that are not judged (--sale) are left out.
 *
 * An attempt ends in one of three ways:
 *   acknowledged  `ok`; or an `info` whose reply was read but withheld from the client's logic (a
 *                 lost reply): http 201 or 202 with an order id. The server gave its word.
 *   refused       `fail`: it did not happen.
 *   unknown       any other `info`; `fail` with code outcome_unknown; an `invoke` that nothing
 *                 follows (loadgen was killed). It may have happened.
 * An acknowledged order that its client found gone (404) and ordered again is still acknowledged.
 */
#ifndef AUDIT_JOURNAL_H
#define AUDIT_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"
#include "harness/audit/options.h"
#include "harness/audit/table.h"

enum {
    JOURNAL_ERROR_SIZE = 256,
    JOURNAL_ID_SIZE = 40, /* of an order id that is kept for people; longer ones are cut there */
};

/* An order's state, as a client was told or as the database has it. */
enum order_state {
    STATE_NONE, /* '-', or no row */
    STATE_PENDING,
    STATE_CONFIRMED,
    STATE_REJECTED,
    STATE_FAILED,
    STATE_OTHER, /* none of the contract's */
};

/* Why an order was rejected. */
enum order_reason {
    REASON_NONE,
    REASON_SOLD_OUT,
    REASON_LIMIT_EXCEEDED,
    REASON_SALE_NOT_OPEN,
    REASON_SALE_ENDED,
    REASON_OTHER,
};

/* What was asked for. */
struct ask {
    int64_t sale_id, user_id, quantity;
    uint64_t key; /* table_hash_text of the Idempotency-Key, 0: none was sent */
};

/* An acknowledged order: the server owes it exactly one row in one final state. */
struct promise {
    char id[JOURNAL_ID_SIZE]; /* a UUID in lower case, anything else as the reply had it */
    struct ask ask;
    enum order_state told; /* the final state that a client was told; STATE_NONE: none yet */
    enum order_reason told_reason;
    bool told_two;    /* two clients, or one twice, were told different final states */
    bool told_gone;   /* 404 for it */
    bool given_twice; /* acknowledged to two different intended orders */

    /* What the database has, filled in by database.c. */
    int rows;
    enum order_state state;
    enum order_reason reason;
    bool differs;     /* sale, user or quantity is not what was asked for */
    bool key_differs; /* the row's key is not the one that was sent */
};

/* Refusals of one quantity of one sale. */
struct refusal {
    int64_t sale_id, quantity;
    int64_t user_id;     /* one of those who were refused */
    int64_t sold_out;    /* times that somebody was told sold_out */
    int64_t unexplained; /* 409 without a reason of the contract's */
};

struct journal {
    struct promise *promises;
    size_t promise_count, promise_size;
    struct table *promise_by_id;
    struct refusal *refusals;
    size_t refusal_count, refusal_size;
    struct table *refusal_by_ask;
    struct table *users, *sales;   /* of judged attempts; the value is not used */
    struct table *attempts_by_key; /* by user and key: those not refused, and KEY_ACKNOWLEDGED */

    int64_t attempts;     /* of judged sales, as are the next four */
    int64_t acknowledged; /* attempts, not ids: a retry may be told the same id */
    int64_t nameless;     /* acknowledged without an order id */
    int64_t refused, unknown;
    int64_t unknown_keys;           /* keys of unknown attempts, none of which was acknowledged */
    int64_t unknown_keyless;        /* unknown attempts without a key */
    int64_t withheld;               /* of the acknowledged: lost replies */
    bool cut_off;                   /* a last line without its end: loadgen was killed */
    char error[JOURNAL_ERROR_SIZE]; /* why it cannot be judged; "" if it can */
};

struct journal *journal_new(void);

/* Accepts NULL. */
void journal_free(struct journal *journal);

/* Adds the files' orders. ST_OK, or ST_INVALID (not a journal of version 1, or one that contradicts
 * itself) or ST_SYSTEM (cannot be read), with a sentence in error. No files: ST_INVALID. */
MUST_USE enum status journal_read(struct journal *journal, const struct options *options);

/* The promise with this order id, NULL if there is none. */
struct promise *journal_find(const struct journal *journal, const char *id);

/* Forgets what the database had. */
void journal_forget_rows(struct journal *journal);

/* What the files' events say, one after the other; journal_read.c calls these. An attempt's answer
 * was asked for by `ask`. journal_final returns false for an id that nobody was promised. */
void journal_add_attempt(struct journal *journal, const struct ask *ask);
void journal_add_acknowledged(struct journal *journal, const struct ask *ask);
void journal_add_refused(struct journal *journal, const struct ask *ask);
void journal_add_promise(struct journal *journal, const struct ask *ask, const char *id,
                         enum order_state told, enum order_reason reason);
void journal_add_refusal(struct journal *journal, const struct ask *ask, enum order_reason reason);
bool journal_add_final(struct journal *journal, const char *id, enum order_state told,
                       enum order_reason reason, bool gone);

/* Words of the contract to values; NULL and "-" are NONE. */
enum order_state journal_state(const char *text);
enum order_reason journal_reason(const char *text);
const char *journal_state_name(enum order_state state);
const char *journal_reason_name(enum order_reason reason);

#endif
