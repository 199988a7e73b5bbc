/* utf8: the one decision what is valid UTF-8. First used by phase 0 (log), phase 1 (json). */
#ifndef FLASHDEAL_UTF8_H
#define FLASHDEAL_UTF8_H

#include <stddef.h>

/* The length in bytes (1-4) of the character that text starts with, of which left bytes may be
 * read; 0 if they start with none: a stray or missing continuation byte, an overlong form, a
 * surrogate, a code point above U+10FFFF, or left is 0. NUL is a character of length 1.
 * (Table 3-7 of the Unicode standard.) Safe from any thread. */
size_t utf8_length(const char *text, size_t left);

#endif
