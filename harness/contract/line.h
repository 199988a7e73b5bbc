/* line: orders of SALE_LINE that wait, with the row in the suite's hands (from phase 4): the
 * workers have the first --db-workers of them, the queue the others. Needs --database. */
#ifndef FLASHDEAL_CONTRACT_LINE_H
#define FLASHDEAL_CONTRACT_LINE_H

/* Waits until no order is in line or with a worker: what earlier tests have left. Before phase 4,
 * and without --admin-url, nothing. */
void line_settle(void);

/* Holds the row and gives every worker an order: from here on an order can only stand in line. */
void line_occupy(void);

/* The same, and then fills the queue: the next order is refused. */
void line_fill(void);

/* Lets go, and waits until all are decided: confirmed, every one. */
void line_empty(void);

/* The orders, in the order of their acceptance. */
int line_length(void);
const char *line_id(int i);
long long line_user(int i);

#endif
