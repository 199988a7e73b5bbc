/* The key's two forms, the id that it makes, the fingerprint of what was asked for.
 *
 * The id is a name-based UUID (version 5) of "<user_id>:<key>" in a namespace of ours: nothing has
 * to be looked up or remembered to give a retry the id of the first attempt. The user is a part of
 * it, so that nobody can meet another's order by choosing his key; who knows both can compute the
 * id, so it is no secret: GET /orders/{id} asks whose order it is.
 *
 * The fingerprint is taken of the fields, not of the bytes, in one canonical spelling. A row of
 * ours has the fields as well; it is what one keeps of a body that is larger, or may not be kept
 * for ever (purge.h). SHA-256: a caller must not be able to make two bodies of one fingerprint. */
#include "idempotency.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

enum { INT64_TEXT_SIZE = 21, CANONICAL_SIZE = 96 };

/* Random once (version 4), fixed for ever: another one would give every retry another order. */
static const char NAMESPACE[] = "5c1d6f0e-7f0b-4f6e-9f57-2d3a9a1be6c4";

static bool is_visible(char c)
{
    return c >= '!' && c <= '~';
}

/* -------------------------------------------------------------------------------------- the key */

/* Behind the opening quote: writes the string to key; its length, 0 if it is none. */
static size_t parse_quoted(const char *at, char key[ORDER_KEY_SIZE])
{
    size_t length = 0;
    for (; *at != '"'; at++) {
        bool is_escape = *at == '\\';
        at += is_escape ? 1 : 0;
        if (!is_visible(*at) || (is_escape && *at != '"' && *at != '\\') ||
            length == ORDER_KEY_SIZE - 1) {
            return 0;
        }
        key[length++] = *at;
    }
    return at[1] == '\0' ? length : 0;
}

static size_t parse_bare(const char *at, char key[ORDER_KEY_SIZE])
{
    size_t length = 0;
    for (; *at != '\0'; at++) {
        if (!is_visible(*at) || *at == '"' || *at == ',' || length == ORDER_KEY_SIZE - 1) {
            return 0;
        }
        key[length++] = *at;
    }
    return length;
}

bool idempotency_parse(const char *value, char key[ORDER_KEY_SIZE])
{
    size_t length = *value == '"' ? parse_quoted(value + 1, key) : parse_bare(value, key);
    key[length] = '\0';
    return length > 0;
}

/* --------------------------------------------------------------------------- id and fingerprint */

static void make_fingerprint(struct order *order)
{
    char canonical[CANONICAL_SIZE];
    int length = snprintf(canonical, sizeof canonical, "sale_id=%" PRId64 "&quantity=%" PRId64,
                          order->sale_id, order->quantity);
    unsigned int written = 0;
    if (EVP_Digest(canonical, (size_t)length, order->fingerprint, &written, EVP_sha256(), NULL) !=
            1 ||
        written != sizeof order->fingerprint) {
        log_fields(LOG_ERROR, "no_sha256", NULL, 0); /* no memory, or a libcrypto without it */
        abort();
    }
}

void idempotency_identify(struct order *order)
{
    char name[INT64_TEXT_SIZE + ORDER_KEY_SIZE];
    int length = snprintf(name, sizeof name, "%" PRId64 ":%s", order->user_id, order->key);
    uuid_v5(NAMESPACE, name, (size_t)length, order->id);
    make_fingerprint(order);
}

enum status idempotency_read(struct http_request *request, struct order *order)
{
    const char *value = NULL;
    enum status status = http_header(request, "Idempotency-Key", &value);
    if (status == ST_NOT_FOUND) {
        http_problem(request, 400, "idempotency_key_missing",
                     "An order needs an Idempotency-Key: one for each purchase, the same in every "
                     "attempt at it.");
        return ST_INVALID;
    }
    if (status != ST_OK || !idempotency_parse(value, order->key)) {
        http_problem(request, 400, "idempotency_key_invalid",
                     "An Idempotency-Key is one string of 1 to 255 visible ASCII characters.");
        return ST_INVALID;
    }
    idempotency_identify(order);
    return ST_OK;
}

bool idempotency_same(const struct order *one, const struct order *other)
{
    return one->sale_id == other->sale_id && one->quantity == other->quantity;
}
