/* message: a row's bytes, its placeholders replaced (row.h says what they stand for). */
#ifndef FLASHDEAL_CONTRACT_MESSAGE_H
#define FLASHDEAL_CONTRACT_MESSAGE_H

#include <stddef.h>

#include "harness/contract/row.h"

enum { MESSAGE_SIZE = 160 * 1024 };

struct message {
    size_t length;
    char bytes[MESSAGE_SIZE];
};

/* Writes the text to *out. body_length is what <<length>> says. */
void message_expand(struct message *out, const struct row *row, struct text text,
                    size_t body_length);

/* Adds bytes as they are; too many fail the running test. */
void message_append(struct message *out, const char *bytes, size_t length);

#endif
