/* judge: what must be true of every reply, whatever it answers. Each call fails the running test.
 */
#ifndef FLASHDEAL_CONTRACT_JUDGE_H
#define FLASHDEAL_CONTRACT_JUDGE_H

#include <cjson/cJSON.h>
#include <stddef.h>

#include "harness/contract/reply.h"

/* A word that requests carry wherever they can; a reply that holds it has echoed its input. */
#define CANARY "zQxJ7canary"

/* Records the exchange, then: content type by status, a request id of its own (a UUID that no other
 * reply had, the same in a problem's body), a problem as RFC 9457 with the status it came with,
 * Retry-After with 503 and 429, Allow with 405, WWW-Authenticate with 401, Server-Timing from phase
 * 2 on, no body after HEAD, no word of the input. */
void judge_reply(const char *test, const char *head, size_t head_length, const struct reply *reply);

/* The reply is the problem: this status, and this code unless it is NULL. */
void judge_problem(const struct reply *reply, int status, const char *code);

/* The reply has the status and a JSON object for a body, which the caller frees. */
cJSON *judge_object(const struct reply *reply, int status);

/* The object's member as text or as a whole number; it must be there. */
const char *judge_text(const cJSON *object, const char *name);
long long judge_number(const cJSON *object, const char *name);

#endif
