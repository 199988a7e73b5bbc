/* idempotency: which attempts are one purchase. First used by phase 5.
 *
 * The client names each purchase by a key of its own, in the field Idempotency-Key (IETF draft
 * draft-ietf-httpapi-idempotency-key-header), and sends the same key with every attempt. User and
 * key make the order's id, so that every attempt has the same one, on any server and after any
 * restart. A key that is used for something else is found out while the order's ticket lives, by
 * the fields; after that a replay gets the first order, and the fingerprint in its row shows to
 * people what was asked for. */
#ifndef IDEMPOTENCY_H
#define IDEMPOTENCY_H

#include <stdbool.h>

#include "common/http.h"
#include "common/status.h"
#include "order.h"

/* Reads a field's value (without blanks around it) into key: 1 to 255 visible ASCII characters
 * (! to ~). Two forms:
 *
 *     "8e03978e-40d5-43e8-bc93-6894a57f9324"    a string of RFC 9651, 3.3.3, as the draft has it;
 *                                               \" and \\ stand for " and \, no other escape is
 *     8e03978e-40d5-43e8-bc93-6894a57f9324      bare, as most clients send it: the value itself,
 *                                               without " (a quoted form that went wrong) and ,
 *                                               (two fields that a proxy made one)
 *
 * Both mean the same key. Stricter than RFC 9651 in two points: no space inside a string, so that
 * the forms can name the same keys; no parameters behind it (";a=1"), since the draft defines none
 * and a key whose meaning we did not understand would be worse than a refusal. False: it is not a
 * key, and key is "". */
MUST_USE bool idempotency_parse(const char *value, char key[ORDER_KEY_SIZE]);

/* Sets id, of user_id and key, and fingerprint, of sale_id and quantity as they were understood:
 * two bodies that mean the same have the same one, however they are written. */
void idempotency_identify(struct order *order);

/* Reads the request's key into the order, whose fields must be read already, and identifies it.
 * ST_INVALID: has replied 400 idempotency_key_missing or idempotency_key_invalid (also for two
 * fields). Does not block. */
MUST_USE enum status idempotency_read(struct http_request *request, struct order *order);

/* Whether two orders of one id ask for the same: by the fields that the fingerprint is of, since a
 * ticket's order has these and no fingerprint. */
bool idempotency_same(const struct order *one, const struct order *other);

#endif
