/* auth: tokens that prove who calls. First used by phase 3.
 *
 * A token is "<user_id>.<expiry>.<mac>": expiry in unix seconds, mac the lower-case hex HMAC-SHA256
 * (RFC 2104, FIPS 180-4) of "<user_id>.<expiry>" under a secret that servers and whoever issues
 * tokens share. Its mac is compared in constant time, before anything else of it is believed. How
 * far ahead an expiry may lie is for whoever issues tokens: a server knows no longest life. */
#ifndef FLASHDEAL_AUTH_H
#define FLASHDEAL_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    AUTH_SKEW_S = 5,       /* a token is good for this long after its expiry: clocks differ */
    AUTH_MAC_HEX = 64,     /* characters of the mac */
    AUTH_TOKEN_SIZE = 112, /* the longest token and its NUL */
};

struct auth; /* opaque; safe from any thread */

/* Prepares the secret (not empty), which is copied. Aborts when libcrypto refuses: it has no
 * HMAC-SHA256 then, and nobody could prove anything. */
struct auth *auth_new(const char *secret);

/* Accepts NULL. */
void auth_free(struct auth *auth);

/* Whether an Authorization field's value ("Bearer <token>", the scheme in any case, one or more
 * spaces) proves a user at unix time now_s. The user's number and the expiry have one spelling: no
 * sign, no leading zero; the user is from 1 to 2^53 - 1. True: *user_id is his. False: *user_id is
 * untouched; why is nobody's business. Does not block; under 1 us. */
bool auth_verify(struct auth *auth, const char *authorization, int64_t now_s, int64_t *user_id);

/* Writes a token for user_id until expiry_s. For tests and tools: a server issues none. */
void auth_sign(struct auth *auth, int64_t user_id, int64_t expiry_s, char out[AUTH_TOKEN_SIZE]);

#endif
