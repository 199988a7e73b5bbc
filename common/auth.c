/* auth: HMAC-SHA256 by libcrypto's EVP_MAC, the form by hand.
 *
 * The key is prepared once, and its context copied for each token: cheaper than remembering the
 * tokens of a million users, and safe from any thread, since the prepared one is only read.
 *
 * The order matters: first where the mac stands (the last 65 bytes, from the dot on), then whether
 * it is right, then what it vouches for. It is compared as text, so it has one spelling: a mac in
 * upper case is a wrong one. Whether user and expiry are numbers is asked last; only who has the
 * secret can get that far. All refusals look alike.
 *
 * It keeps no list of tokens and can revoke none: expiry ends them. Nothing here is logged. */
#include "common/auth.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/log.h"
#include "common/xalloc.h"

enum { MAC_BYTES = AUTH_MAC_HEX / 2, DECIMAL = 10 };

static const char SCHEME[] = "Bearer ";
static const int64_t USER_ID_MAX = (INT64_C(1) << 53) - 1; /* what JSON's numbers can carry */

struct auth {
    EVP_MAC *mac;
    EVP_MAC_CTX *keyed; /* only copied from */
};

static void give_up(void)
{
    log_fields(LOG_ERROR, "no_hmac_sha256", NULL, 0);
    abort();
}

struct auth *auth_new(const char *secret)
{
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string("digest", digest, 0),
                                 OSSL_PARAM_construct_end()};
    struct auth *auth = xcalloc(1, sizeof(*auth));
    auth->mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    auth->keyed = auth->mac != NULL ? EVP_MAC_CTX_new(auth->mac) : NULL;
    if (auth->keyed == NULL ||
        EVP_MAC_init(auth->keyed, (const unsigned char *)secret, strlen(secret), params) != 1) {
        give_up();
    }
    return auth;
}

void auth_free(struct auth *auth)
{
    if (auth == NULL) {
        return;
    }
    EVP_MAC_CTX_free(auth->keyed); /* wipes the key */
    EVP_MAC_free(auth->mac);
    free(auth);
}

/* ---------------------------------------------------------------------------------------- mac */

static void write_hex(const unsigned char bytes[MAC_BYTES], char out[AUTH_MAC_HEX])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < MAC_BYTES; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 0x0f];
    }
}

/* False: libcrypto had no memory. */
static bool make_mac(const struct auth *auth, const char *text, size_t length,
                     char out[AUTH_MAC_HEX])
{
    unsigned char bytes[MAC_BYTES];
    size_t written = 0;
    EVP_MAC_CTX *context = EVP_MAC_CTX_dup(auth->keyed);
    bool made =
        context != NULL && EVP_MAC_update(context, (const unsigned char *)text, length) == 1 &&
        EVP_MAC_final(context, bytes, &written, sizeof(bytes)) == 1 && written == sizeof(bytes);
    EVP_MAC_CTX_free(context);
    if (made) {
        write_hex(bytes, out);
    }
    return made;
}

/* --------------------------------------------------------------------------------------- form */

/* The token behind the scheme, or NULL. */
static const char *find_token(const char *authorization)
{
    const size_t scheme_length = sizeof(SCHEME) - 1;
    if (authorization == NULL || strncasecmp(authorization, SCHEME, scheme_length) != 0) {
        return NULL;
    }
    const char *token = authorization + scheme_length;
    return token + strspn(token, " ");
}

/* Reads the digits up to `end`, which must be the only thing behind them. *out has one spelling:
 * no sign, no leading zero, at most INT64_MAX. Returns what follows `end`, or NULL. */
static const char *read_number(const char *text, char end, int64_t *out)
{
    int64_t number = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        int64_t digit = *at - '0';
        if (number > (INT64_MAX - digit) / DECIMAL) {
            return NULL;
        }
        number = number * DECIMAL + digit;
    }
    bool has_one_spelling = at != text && (*text != '0' || at == text + 1);
    *out = number;
    return has_one_spelling && *at == end ? at + 1 : NULL;
}

bool auth_verify(struct auth *auth, const char *authorization, int64_t now_s, int64_t *user_id)
{
    const char *token = find_token(authorization);
    size_t length = token != NULL ? strnlen(token, AUTH_TOKEN_SIZE) : 0;
    if (length >= AUTH_TOKEN_SIZE || length <= AUTH_MAC_HEX) {
        return false;
    }
    size_t signed_length = length - AUTH_MAC_HEX - 1;
    const char *mac = token + signed_length + 1;
    char expected[AUTH_MAC_HEX];
    if (!make_mac(auth, token, signed_length, expected) ||
        CRYPTO_memcmp(mac, expected, AUTH_MAC_HEX) != 0) {
        return false;
    }
    int64_t user = 0;
    int64_t expiry_s = 0;
    const char *expiry = read_number(token, '.', &user);
    if (expiry == NULL || user < 1 || user > USER_ID_MAX ||
        read_number(expiry, '.', &expiry_s) != mac || now_s - AUTH_SKEW_S > expiry_s) {
        return false;
    }
    *user_id = user;
    return true;
}

void auth_sign(struct auth *auth, int64_t user_id, int64_t expiry_s, char out[AUTH_TOKEN_SIZE])
{
    int length = snprintf(out, AUTH_TOKEN_SIZE, "%" PRId64 ".%" PRId64 ".", user_id, expiry_s);
    if (!make_mac(auth, out, (size_t)length - 1, out + length)) {
        give_up();
    }
    out[length + AUTH_MAC_HEX] = '\0';
}
