/* token: what proves to the target who calls, made here by the contract's own words and not by the
 * server's code: "<user>.<expiry>.<mac>", mac the lower-case hex HMAC-SHA256 of what is before it.
 */
#ifndef FLASHDEAL_CONTRACT_TOKEN_H
#define FLASHDEAL_CONTRACT_TOKEN_H

enum {
    TOKEN_MAC_SIZE = 65, /* 64 hex digits and NUL */
    TOKEN_LINE_SIZE = 160,
    TOKEN_GOOD_S = 3600, /* how long a good one is good */
    TOKEN_PAST_S = 60,   /* how long ago an expired one expired */
};

/* Writes the mac of the text under the secret. */
void token_mac(const char *text, const char *secret, char out[TOKEN_MAC_SIZE]);

/* Writes the header field that proves the user, "Authorization: Bearer ..", without line end; "" if
 * the target asks for none: before phase 3, without --secret, user 0. */
void token_field(long long user, char out[TOKEN_LINE_SIZE]);

#endif
