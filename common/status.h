/* status: the result of every fallible function in common/. First used by phase 0.
 *
 * Expected outcomes and faults are different values, so that the caller can tell "try again" from
 * "it may have happened" from "give up". What an order came to (sold out, over the limit) is not a
 * status: it is an enum of the phase. */
#ifndef FLASHDEAL_STATUS_H
#define FLASHDEAL_STATUS_H

#define MUST_USE __attribute__((warn_unused_result))

enum status {
    ST_OK,         /* done */
    ST_NOT_FOUND,  /* what was asked for is not there; nothing happened */
    ST_INVALID,    /* the input breaks a rule; nothing happened */
    ST_BUSY,       /* a bound is reached (pool, connections); nothing happened, try later */
    ST_CLOSED,     /* it is shutting down; nothing happened */
    ST_TIMEOUT,    /* the deadline or a lock or statement timeout passed; rolled back */
    ST_RETRY,      /* deadlock, serialization failure, connection lost before COMMIT: try again */
    ST_CONSTRAINT, /* a constraint of the schema refused the row (SQLSTATE class 23); rolled back */
    ST_UNKNOWN,    /* COMMIT was sent and no answer came: it may or may not have happened */
    ST_SCHEMA, /* table, column, database or role missing, or password wrong: an operator's job */
    ST_DB,     /* any other fault of the database */
    ST_SYSTEM, /* the operating system refused (socket, memory, file); errno says why */
};

/* Returns the constant's name without its prefix, in lower case ("ok", "not_found"); never NULL.
 * Safe from any thread. */
const char *status_name(enum status status);

#endif
