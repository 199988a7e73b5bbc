/* store: the target's database, for what only it can set up or prove. All calls but store_open and
 * store_close need --database, and fail the running test when the database refuses. */
#ifndef FLASHDEAL_CONTRACT_STORE_H
#define FLASHDEAL_CONTRACT_STORE_H

#include <stdbool.h>

/* Connects and inserts the suite's sales (contract.h), replacing those of an earlier run. uri NULL:
 * nothing. Exits with a message when it cannot. */
void store_open(const char *uri);
void store_close(void);

/* From the views audit_sales and audit_orders. */
long long store_stock(long sale);
long long store_orders(long sale);

/* Whether stock_total = stock_left + confirmed units, for every sale. */
int store_unbalanced_sales(void);

/* Holds the sale's row locked, from another session, until store_unlock. The statement that took
 * the lock has a word of input in it (CANARY, judge.h), and bytes that no terminal should see. */
void store_lock(long sale);
void store_unlock(void);

/* Ends what a failed test left locked; nothing if there is nothing. */
void store_rollback(void);

/* The process id of the session that locks, and its application_name. */
int store_holder(void);
#define STORE_HOLDER_NAME "contract-holder"

/* Sets the stock from the session that holds locks; it stands once store_commit ends that. */
void store_set_stock(long sale, int stock);
void store_commit(void);

/* Sessions of the database that wait for a lock now; store_await_waiters waits until there are at
 * least so many, or false after ms. */
int store_waiters(void);
bool store_await_waiters(int count, int ms);

#endif
