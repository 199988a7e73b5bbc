/* sales_cache: the list of sales that sales.c answers from, for sales.c alone; the rest of what
 * sales_cache.c does is in sales.h. First used by phase 4. */
#ifndef SALES_CACHE_H
#define SALES_CACHE_H

#include "sales.h"

/* Every sale up to a number of them (its parameter), the lowest ids first: id and reply. */
extern const struct pg_statement sales_read;

struct sales_list; /* all sales as they were at one moment; opaque, read-only */

/* The newest list; the caller gives it back with sales_let_go, and may take his time. Blocks for a
 * lock that is held for some instructions. */
struct sales_list *sales_hold(struct sales *sales);

/* The reply for that sale, the list's own; NULL: there is no such sale. */
const char *sales_find(const struct sales_list *list, int64_t id);

/* Accepts a NULL list. */
void sales_let_go(struct sales *sales, struct sales_list *list);

#endif
