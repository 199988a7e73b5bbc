/* token: what an order's caller proves himself with, from phase 3 on:
 * "<user_id>.<expiry>.<mac>", mac = lower-case hex HMAC-SHA256 of "<user_id>.<expiry>". */
#ifndef FLASHDEAL_LOADGEN_TOKEN_H
#define FLASHDEAL_LOADGEN_TOKEN_H

#include <stddef.h>
#include <stdint.h>

/* 20 digits, dot, 20 digits, dot, 64 hex digits, NUL. */
enum { TOKEN_SIZE = 112 };

struct token_maker;

/* Tokens under secret that expire at expiry_s (unix seconds). Returns NULL when libcrypto refuses.
 * The caller releases it with token_maker_destroy. */
struct token_maker *token_maker_create(const char *secret, int64_t expiry_s);

/* Accepts NULL. */
void token_maker_destroy(struct token_maker *maker);

/* Writes user's token; about a microsecond. Not for several threads at once. */
void token_make(struct token_maker *maker, int64_t user, char out[TOKEN_SIZE]);

#endif
