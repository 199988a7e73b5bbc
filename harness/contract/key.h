/* key: the Idempotency-Key that a client sends with each order (from phase 5). */
#ifndef FLASHDEAL_CONTRACT_KEY_H
#define FLASHDEAL_CONTRACT_KEY_H

enum { KEY_LINE_SIZE = 320 };

/* Writes the header field with a key that was never used, "Idempotency-Key: ..", without line end;
 * "" before phase 5. */
void key_field(char out[KEY_LINE_SIZE]);

/* The same with this key, as it stands; "" for an empty one. */
void key_field_of(const char *key, char out[KEY_LINE_SIZE]);

#endif
