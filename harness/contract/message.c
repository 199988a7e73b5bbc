/* message: a row's bytes, its placeholders replaced.
 *
 * A token's claims are a text of their own, with placeholders in it, because what a row signs may
 * be anything but a user and an expiry. */
#include "harness/contract/message.h"

#include <check.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "harness/contract/contract.h"
#include "harness/contract/key.h"
#include "harness/contract/token.h"

enum { NUMBER_SIZE = 24, USER = 7 };

static const char FOREIGN_SECRET[] = "another service's secret";

void message_append(struct message *out, const char *bytes, size_t length)
{
    ck_assert_msg(out->length + length <= MESSAGE_SIZE, "the row is too long to send");
    if (length > 0) {
        memcpy(out->bytes + out->length, bytes, length);
    }
    out->length += length;
}

static void append_text(struct message *out, const char *text)
{
    message_append(out, text, strlen(text));
}

static void append_number(struct message *out, long long number)
{
    char text[NUMBER_SIZE];
    snprintf(text, sizeof(text), "%lld", number);
    append_text(out, text);
}

static void append_field(struct message *out, const char *field)
{
    append_text(out, field);
    append_text(out, field[0] != '\0' ? "\r\n" : "");
}

static void append_token(struct message *out)
{
    char field[TOKEN_LINE_SIZE];
    token_field(USER, field);
    append_field(out, field);
}

static void append_key(struct message *out)
{
    char field[KEY_LINE_SIZE];
    key_field(field);
    append_field(out, field);
}

/* Writes the row's claims, with NUL, and their mac under the secret. */
static void sign(const struct row *row, const char *secret, struct message *claims,
                 char mac[TOKEN_MAC_SIZE])
{
    const struct text text = {row->claims, strlen(row->claims)};
    message_expand(claims, row, text, 0);
    message_append(claims, "", 1);
    token_mac(claims->bytes, secret, mac);
}

static void append_signed(struct message *out, const struct row *row, const char *secret)
{
    static struct message claims;
    char mac[TOKEN_MAC_SIZE];
    sign(row, secret, &claims, mac);
    append_text(out, claims.bytes);
    append_text(out, ".");
    append_text(out, mac);
}

static void append_mac(struct message *out, const struct row *row, bool in_capitals)
{
    static struct message claims;
    char mac[TOKEN_MAC_SIZE];
    sign(row, contract.secret, &claims, mac);
    for (char *at = mac; *at != '\0' && in_capitals; at++) {
        *at = (char)toupper((unsigned char)*at);
    }
    append_text(out, mac);
}

enum placeholder {
    ADDRESS,
    SALE,
    LENGTH,
    CLIENT,
    TOKEN,
    KEY,
    REPEAT,
    EXPIRY,
    PAST,
    SIGNED,
    FOREIGN,
    MAC,
    CAPITALS,
    NONE
};

static const char *const names[NONE] = {
    [ADDRESS] = "<<host>>",  [SALE] = "<<sale>>",     [LENGTH] = "<<length>>",
    [CLIENT] = "<<client>>", [REPEAT] = "<<repeat>>", [EXPIRY] = "<<expiry>>",
    [PAST] = "<<past>>",     [SIGNED] = "<<signed>>", [FOREIGN] = "<<foreign>>",
    [MAC] = "<<mac>>",       [CAPITALS] = "<<MAC>>",  [TOKEN] = "<<token>>",
    [KEY] = "<<key>>",
};

static void append_value(struct message *out, const struct row *row, enum placeholder placeholder,
                         size_t body_length)
{
    switch (placeholder) {
    case ADDRESS:
        append_text(out, contract.at[row->listener].authority);
        return;
    case SALE:
        append_number(out, contract.database != NULL ? SALE_BAD_INPUT : SALE_SEEDED);
        return;
    case LENGTH:
        append_number(out, (long long)body_length);
        return;
    case CLIENT:
        append_token(out);
        append_key(out);
        return;
    case TOKEN:
        append_token(out);
        return;
    case KEY:
        append_key(out);
        return;
    case REPEAT:
        for (int i = 0; i < row->times; i++) {
            append_text(out, row->repeat);
        }
        return;
    case EXPIRY:
        append_number(out, (long long)time(NULL) + TOKEN_GOOD_S);
        return;
    case PAST:
        append_number(out, (long long)time(NULL) - TOKEN_PAST_S);
        return;
    case SIGNED:
        append_signed(out, row, contract.secret);
        return;
    case FOREIGN:
        append_signed(out, row, FOREIGN_SECRET);
        return;
    case MAC:
        append_mac(out, row, false);
        return;
    case CAPITALS:
        append_mac(out, row, true);
        return;
    case NONE:
        return;
    }
}

/* The placeholder that stands at `at`. */
static enum placeholder find_placeholder(const char *at, size_t left)
{
    for (int i = 0; i < NONE; i++) {
        if (left >= strlen(names[i]) && memcmp(at, names[i], strlen(names[i])) == 0) {
            return (enum placeholder)i;
        }
    }
    return NONE;
}

void message_expand(struct message *out, const struct row *row, struct text text,
                    size_t body_length)
{
    out->length = 0;
    for (size_t i = 0; i < text.length;) {
        enum placeholder placeholder = find_placeholder(text.bytes + i, text.length - i);
        if (placeholder == NONE) {
            message_append(out, text.bytes + i, 1);
            i++;
        } else {
            append_value(out, row, placeholder, body_length);
            i += strlen(names[placeholder]);
        }
    }
}
