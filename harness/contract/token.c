/* token: what proves to the target who calls. */
#include "harness/contract/token.h"

#include <check.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "harness/contract/contract.h"

enum { FIRST_PHASE = 3, CLAIMS_SIZE = 48 };

void token_mac(const char *text, const char *secret, char out[TOKEN_MAC_SIZE])
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned int length = 0;
    ck_assert_ptr_nonnull(HMAC(EVP_sha256(), secret, (int)strlen(secret),
                               (const unsigned char *)text, strlen(text), mac, &length));
    for (unsigned int i = 0; i < length; i++) {
        snprintf(out + (size_t)2 * i, TOKEN_MAC_SIZE - (size_t)2 * i, "%02x", mac[i]);
    }
}

void token_field(long long user, char out[TOKEN_LINE_SIZE])
{
    char claims[CLAIMS_SIZE], mac[TOKEN_MAC_SIZE];
    out[0] = '\0';
    if (contract.secret != NULL && contract.phase >= FIRST_PHASE && user != 0) {
        snprintf(claims, sizeof(claims), "%lld.%lld", user, (long long)time(NULL) + TOKEN_GOOD_S);
        token_mac(claims, contract.secret, mac);
        snprintf(out, TOKEN_LINE_SIZE, "Authorization: Bearer %s.%s", claims, mac);
    }
}
