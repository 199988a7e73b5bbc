/* uuid_private: what uuid.c and uuid_name.c share; nobody else includes it. First used by phase 5.
 */
#ifndef FLASHDEAL_UUID_PRIVATE_H
#define FLASHDEAL_UUID_PRIVATE_H

#include "common/uuid.h"

enum { UUID_BYTES = 16 };

/* Puts version (1..8) and variant into the bytes and writes them as text. */
void uuid_format(unsigned char bytes[UUID_BYTES], int version, char out[UUID_TEXT_SIZE]);

#endif
