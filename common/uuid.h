/* uuid: RFC 9562 identifiers as text. First used by phase 0 (request ids), phase 1 (order ids),
 * phase 5 (order ids that a name decides). */
#ifndef FLASHDEAL_UUID_H
#define FLASHDEAL_UUID_H

#include <stdbool.h>
#include <stddef.h>

/* "f81d4fae-7dec-41d0-a765-00a0c91e6bf6" and its terminating NUL. */
enum { UUID_TEXT_SIZE = 37 };

/* Writes a random (version 4) UUID in lower case, from the kernel's generator (getrandom(2)).
 * Aborts if the kernel has no randomness to give, which does not happen after boot. Safe from any
 * thread. */
void uuid_random(char out[UUID_TEXT_SIZE]);

/* Writes the name-based (version 5, SHA-1) UUID of these length bytes in a namespace, in lower
 * case: the same ones always give the same id. namespace_text is a UUID in canonical form (assert).
 * Not a security measure: whoever knows a name knows its id, and SHA-1 resists no attacker. Aborts
 * when libcrypto has no memory or no SHA-1. Safe from any thread. */
void uuid_v5(const char *namespace_text, const char *name, size_t length, char out[UUID_TEXT_SIZE]);

/* Whether text is a UUID in canonical form: 36 characters, hex of either case, dashes in place.
 * NULL is not. */
bool uuid_is_valid(const char *text);

#endif
