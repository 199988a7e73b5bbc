/* uuid_name: version 5 identifiers, SHA-1 over the namespace's 16 bytes and the name (RFC
 * 9562, 5.5).
 *
 * Apart from uuid.c because it needs libcrypto, which not every program of ours links. The digest
 * is looked up once and kept until the process ends: OpenSSL 3 makes a look-up by name dearer than
 * the hash itself. Hashing allocates a context; there is no way around it. */
#include <assert.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/uuid_private.h"

enum { SHA1_BYTES = 20, HEX_DIGITS_PER_BYTE = 2 };

static pthread_once_t fetch_once = PTHREAD_ONCE_INIT;
static EVP_MD *sha1; /* NULL: libcrypto has none */

static void fetch_sha1(void)
{
    sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
}

static int nibble_of(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    return (digit >= 'a' ? digit - 'a' : digit - 'A') + 10;
}

/* text is in canonical form. */
static void parse(const char *text, unsigned char bytes[UUID_BYTES])
{
    for (size_t i = 0; i < UUID_BYTES; i++) {
        text += *text == '-';
        bytes[i] = (unsigned char)(nibble_of(text[0]) << 4 | nibble_of(text[1]));
        text += HEX_DIGITS_PER_BYTE;
    }
}

/* False: libcrypto has no memory or no SHA-1. */
static bool hash(const unsigned char space[UUID_BYTES], const char *name, size_t length,
                 unsigned char out[SHA1_BYTES])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool hashed = context != NULL && sha1 != NULL && EVP_DigestInit_ex(context, sha1, NULL) == 1 &&
                  EVP_DigestUpdate(context, space, UUID_BYTES) == 1 &&
                  EVP_DigestUpdate(context, name, length) == 1 &&
                  EVP_DigestFinal_ex(context, out, NULL) == 1;
    EVP_MD_CTX_free(context);
    return hashed;
}

void uuid_v5(const char *namespace_text, const char *name, size_t length, char out[UUID_TEXT_SIZE])
{
    unsigned char space[UUID_BYTES], digest[SHA1_BYTES];
    assert(uuid_is_valid(namespace_text));
    parse(namespace_text, space);
    pthread_once(&fetch_once, fetch_sha1);
    if (!hash(space, name, length, digest)) {
        log_fields(LOG_ERROR, "no_sha1", NULL, 0);
        abort();
    }
    uuid_format(digest, 5, out); /* the first 16 bytes; the rest is dropped */
}
