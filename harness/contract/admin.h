/* admin: what the target's admin listener says. Every call fails the running test when it does not
 * answer. */
#ifndef FLASHDEAL_CONTRACT_ADMIN_H
#define FLASHDEAL_CONTRACT_ADMIN_H

#include <cjson/cJSON.h>

#include "harness/contract/exposition.h"
#include "harness/contract/reply.h"

/* GET on a connection of its own, judged as every reply is. The reply is the caller's until the
 * next call. */
const struct reply *admin_get(const char *path);

/* The same, 200 and a JSON object, which the caller frees. */
cJSON *admin_json(const char *path);

/* GET /metrics, strictly read; the caller frees it. */
struct exposition *admin_scrape(void);

/* The sum of exposition_sum, of a scrape of its own. */
double admin_metric(const char *name, const char *labels);

/* Scrapes until the sum is at least that, or CONTRACT_PATIENCE_MS have passed; returns the last
 * one: what a reply stands for is booked when it has been sent. */
double admin_await_metric(const char *name, const char *labels, double value);

/* The sum of a figure, "in_use", over all pools of GET /debug/pool. */
long long admin_pool_sum(const char *figure);

#endif
