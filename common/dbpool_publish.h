/* dbpool_publish: a pool's figures as metrics. First used by phase 2. */
#ifndef FLASHDEAL_DBPOOL_PUBLISH_H
#define FLASHDEAL_DBPOOL_PUBLISH_H

#include "common/dbpool.h"
#include "common/metrics.h"

/* Publishes the pool under label pool="name": flashdeal_db_pool_size, _in_use, _waiters (gauges),
 * _acquired_total, _timeouts_total, _connects_total, _discarded_total. name is a literal; the pool
 * must outlive the metrics' last scrape. */
void dbpool_publish(struct dbpool *pool, const char *name, struct metrics *metrics);

#endif
