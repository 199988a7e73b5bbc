/* key: the Idempotency-Key that a client sends with each order (from phase 5). */
#include "harness/contract/key.h"

#include <stdio.h>

#include "common/uuid.h"
#include "harness/contract/contract.h"

enum { FIRST_PHASE = 5 };

void key_field_of(const char *key, char out[KEY_LINE_SIZE])
{
    out[0] = '\0';
    if (key[0] != '\0') {
        snprintf(out, KEY_LINE_SIZE, "Idempotency-Key: %s", key);
    }
}

void key_field(char out[KEY_LINE_SIZE])
{
    char key[UUID_TEXT_SIZE] = "";
    if (contract.phase >= FIRST_PHASE) {
        uuid_random(key);
    }
    key_field_of(key, out);
}
