/* uuid: version 4 identifiers, and the form of all of them; uuid_name.c makes version 5.
 *
 * All 122 random bits come from getrandom(2), whose reads of up to 256 bytes are not interrupted
 * once the kernel's pool is initialised: two ids never collide in practice, and none can be guessed
 * from another. Each thread reads 16 ids' worth ahead, because every request has an id and the call
 * was 3 % of a small one; a process that forks must not go on with the child's copy. A signal that
 * comes while the kernel still boots is the one reason to try again. uuid_is_valid looks at the
 * form only, not at version or variant: any client's id is well-formed or not, and what it stands
 * for the database knows. */
#include "common/uuid.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/log.h"
#include "common/uuid_private.h"

enum { AHEAD_BYTES = 256, RANDOM_TRIES_MAX = 100 };

static _Thread_local unsigned char ahead[AHEAD_BYTES];
static _Thread_local size_t ahead_left; /* bytes at the end of ahead that no id has used */

static void read_ahead(void)
{
    for (int tries = 0; tries < RANDOM_TRIES_MAX; tries++) {
        if (getrandom(ahead, AHEAD_BYTES, 0) == AHEAD_BYTES) {
            ahead_left = AHEAD_BYTES;
            return;
        }
    }
    log_event(LOG_ERROR, "no_randomness", LOG_NUMBER("errno", errno));
    abort();
}

static void fill_random(unsigned char bytes[UUID_BYTES])
{
    if (ahead_left == 0) {
        read_ahead();
    }
    memcpy(bytes, ahead + AHEAD_BYTES - ahead_left, UUID_BYTES);
    ahead_left -= UUID_BYTES;
}

static bool is_dash_position(size_t position)
{
    return position == 8 || position == 13 || position == 18 || position == 23;
}

void uuid_format(unsigned char bytes[UUID_BYTES], int version, char out[UUID_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    size_t used = 0;
    bytes[6] = (unsigned char)(version << 4 | (bytes[6] & 0x0f));
    bytes[8] = (unsigned char)(0x80 | (bytes[8] & 0x3f)); /* variant: RFC 9562 */
    for (size_t i = 0; i < UUID_BYTES; i++) {
        if (is_dash_position(used)) {
            out[used++] = '-';
        }
        out[used++] = digits[bytes[i] >> 4];
        out[used++] = digits[bytes[i] & 0x0f];
    }
    out[used] = '\0';
}

void uuid_random(char out[UUID_TEXT_SIZE])
{
    unsigned char bytes[UUID_BYTES] = {0};
    fill_random(bytes);
    uuid_format(bytes, 4, out);
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool uuid_is_valid(const char *text)
{
    if (!text) {
        return false;
    }
    for (size_t i = 0; i < UUID_TEXT_SIZE - 1; i++) {
        bool fits = is_dash_position(i) ? text[i] == '-' : is_hex(text[i]);
        if (!fits) { /* a shorter text ends here, at its NUL */
            return false;
        }
    }
    return text[UUID_TEXT_SIZE - 1] == '\0';
}
