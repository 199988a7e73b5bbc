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

/* Orders of the sale with that status and reason ("": without one). */
long long store_count(long sale, const char *status, const char *reason);

/* Orders of the user, of any sale. */
long long store_orders_of(long long user);

/* Orders of any sale with that key and id (from phase 5). */
long long store_keys(const char *key, const char *id);

/* Waits until the sale has so many orders; returns how many it has then, or after
 * CONTRACT_PATIENCE_MS. From phase 4 on a row comes after the reply. */
long long store_await_orders(long sale, long long count);

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

/* Runs a statement that stands at once; or one in the session that holds locks, which stands once
 * store_commit ends that. */
void store_run(const char *sql);
void store_run_held(const char *sql);

/* Until store_heed, or the test's end, the database refuses rows of SALE_REFUSED: with this
 * SQLSTATE those of the user; is_failed_too: also the row that says the order has failed. */
void store_refuse(long long user, const char *sqlstate, bool is_failed_too);
void store_heed(void);

/* Sets the stock from the session that holds locks; it stands once store_commit ends that. */
void store_set_stock(long sale, int stock);
void store_commit(void);

/* Sessions of the database that wait for a lock now; store_await_waiters waits until there are at
 * least so many, or false after ms. */
int store_waiters(void);
bool store_await_waiters(int count, int ms);

#endif
