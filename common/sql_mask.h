/* sql_mask: a statement's text, fit to be shown. First used by phase 2.
 *
 * What a statement says of customers stands in its literals: they go, its shape stays. Source of
 * the tokens: PostgreSQL's manual, "Lexical Structure". */
#ifndef FLASHDEAL_SQL_MASK_H
#define FLASHDEAL_SQL_MASK_H

enum { SQL_FINGERPRINT_SIZE = 13 }; /* 12 hex digits and the NUL */

/* Masks sql in place; it never grows. Each string ('..', E'..', $tag$..$tag$) and each number
 * becomes '?', comments and white space one space, none at either end. Identifiers, keywords and
 * placeholders ($1) stay. A text that was cut within a string or a comment is masked to its end. */
void sql_mask(char *sql);

/* A name for the statement: the first digits of the SHA-256 of a masked text. Two texts that differ
 * in their literals only have the same. */
void sql_mask_fingerprint(const char *masked, char out[SQL_FINGERPRINT_SIZE]);

#endif
