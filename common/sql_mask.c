/* sql_mask: one pass over the text, token by token, the output written behind the reading position.
 *
 * Only tokens that can hide a quote from a simpler search are told apart: quoted identifiers,
 * comments (which nest), escape strings (where a backslash protects a quote) and dollar quotes. All
 * else is copied. Bytes from 128 up are letters, as they are to PostgreSQL, so multi-byte
 * characters stay whole.
 *
 * It knows standard_conforming_strings=on only, the default since PostgreSQL 9.1: in a session that
 * switched it off, a backslash before a quote is taken for the string's last byte. */
#include "common/sql_mask.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool is_space(char c)
{
    return c != '\0' && strchr(" \t\n\r\f\v", c) != NULL;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 128;
}

/* Each of these returns the end of the token that begins at `at`, the text's end if it has none. */

/* A doubled quote is two strings side by side: the caller sees no difference that matters. */
static const char *end_of_quoted(const char *at, bool backslash_escapes)
{
    const char quote = *at++;
    while (*at != '\0' && *at != quote) {
        at += backslash_escapes && at[0] == '\\' && at[1] != '\0' ? 2 : 1;
    }
    return *at == '\0' ? at : at + 1;
}

static const char *end_of_string(const char *at, bool backslash_escapes)
{
    do {
        at = end_of_quoted(at, backslash_escapes);
    } while (*at == '\'');
    return at;
}

static const char *end_of_blank(const char *at)
{
    if (is_space(*at)) {
        return at + 1;
    }
    if (at[0] == '-') {
        return at + strcspn(at, "\n");
    }
    int depth = 0;
    do {
        if (at[0] == '/' && at[1] == '*') {
            depth++;
            at += 2;
        } else if (at[0] == '*' && at[1] == '/') {
            depth--;
            at += 2;
        } else {
            at++;
        }
    } while (depth > 0 && *at != '\0');
    return at;
}

static const char *end_of_word(const char *at)
{
    while (is_letter(*at) || is_digit(*at) || *at == '$') {
        at++;
    }
    return at;
}

/* 12, 1.5, .5, 1e-3, 0xff, 1_000. */
static const char *end_of_number(const char *at)
{
    const char *start = at;
    while (is_letter(*at) || is_digit(*at) || *at == '.' ||
           (at > start && (*at == '-' || *at == '+') && (at[-1] == 'e' || at[-1] == 'E') &&
            is_digit(at[1]))) {
        at++;
    }
    return at;
}

/* NULL: no dollar quote begins here. */
static const char *end_of_dollar_quote(const char *at)
{
    const char *tag_end = at + 1;
    while (is_letter(*tag_end) || (tag_end > at + 1 && is_digit(*tag_end))) {
        tag_end++;
    }
    if (*tag_end != '$') {
        return NULL;
    }
    const size_t tag_length = (size_t)(tag_end + 1 - at);
    for (const char *close = tag_end + 1; (close = strchr(close, '$')) != NULL; close++) {
        if (strncmp(close, at, tag_length) == 0) {
            return close + tag_length;
        }
    }
    return at + strlen(at);
}

/* A literal's end, or NULL if none begins here. */
static const char *end_of_literal(const char *at)
{
    if (*at == '\'') {
        return end_of_string(at, false);
    }
    if ((at[0] == 'e' || at[0] == 'E') && at[1] == '\'') {
        return end_of_string(at + 1, true);
    }
    if (is_digit(*at) || (at[0] == '.' && is_digit(at[1]))) {
        return end_of_number(at);
    }
    return *at == '$' ? end_of_dollar_quote(at) : NULL;
}

/* The end of what is copied as it is. */
static const char *end_of_other(const char *at)
{
    if (*at == '"') {
        return end_of_quoted(at, false);
    }
    return is_letter(*at) || (at[0] == '$' && is_digit(at[1])) ? end_of_word(at) : at + 1;
}

static bool is_blank(const char *at)
{
    return is_space(*at) || strncmp(at, "--", 2) == 0 || strncmp(at, "/*", 2) == 0;
}

void sql_mask(char *sql)
{
    char *out = sql;
    bool space = false;
    for (const char *at = sql; *at != '\0';) {
        if (is_blank(at)) {
            at = end_of_blank(at);
            space = out > sql;
            continue;
        }
        if (space) {
            *out++ = ' ';
            space = false;
        }
        const char *end = end_of_literal(at);
        if (end != NULL) {
            *out++ = '?';
        } else {
            end = end_of_other(at);
            memmove(out, at, (size_t)(end - at));
            out += end - at;
        }
        at = end;
    }
    *out = '\0';
}

void sql_mask_fingerprint(const char *masked, char out[SQL_FINGERPRINT_SIZE])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    memset(digest, 0, sizeof digest);
    (void)EVP_Digest(masked, strlen(masked), digest, NULL, EVP_sha256(), NULL);
    for (size_t i = 0; i < (SQL_FINGERPRINT_SIZE - 1) / 2; i++) {
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
    }
}
