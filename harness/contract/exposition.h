/* exposition: what GET /metrics says, read strictly (Prometheus, "Exposition formats", text 0.0.4).
 *
 * Stricter than Prometheus itself where leniency would hide a fault: every family has HELP and
 * TYPE, once, in front of its samples, which stand together; no series stands twice; counters end
 * in _total and are not below 0; a histogram's buckets ascend, end in +Inf, and agree with its
 * _count.
 */
#ifndef FLASHDEAL_CONTRACT_EXPOSITION_H
#define FLASHDEAL_CONTRACT_EXPOSITION_H

#include <stdbool.h>

struct exposition; /* opaque */

/* Reads the text. NULL, and *out, which the caller frees; or what is wrong with it, good until the
 * next call. */
const char *exposition_read(const char *text, struct exposition **out);
void exposition_free(struct exposition *exposition);

/* The sum over the samples of that name (with _bucket, _sum, _count) which have all of the labels,
 * `path="/health",status="200"`; "" asks for none. 0 if there are none. */
double exposition_sum(const struct exposition *exposition, const char *name, const char *labels);

/* How many such samples there are. */
int exposition_count(const struct exposition *exposition, const char *name, const char *labels);

/* The labels of the i-th sample of that name, as they stand in its braces; NULL: no more. */
const char *exposition_labels(const struct exposition *exposition, const char *name, int i);

#endif
