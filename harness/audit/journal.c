/* What the journals' events come to: promises by order id, refusals by what was asked for.
 *
 * Promises stand in one array that grows, a table leads from the order id to the place in it; so a
 * million orders take some 200 MB. Refusals are counted, not kept: whether somebody was refused
 * wrongly depends on sale and quantity only.
 * It does not know the files' format: journal_read.c does. */
#include "harness/audit/journal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/uuid.h"
#include "common/xalloc.h"

enum { ARRAY_MIN = 64 };

/* A key's entry in attempts_by_key has this beside the number of attempts that were not refused. */
#define KEY_ACKNOWLEDGED (UINT64_C(1) << 63)

static const char *const STATE_NAMES[] = {
    [STATE_NONE] = "-",
    [STATE_PENDING] = "pending",
    [STATE_CONFIRMED] = "confirmed",
    [STATE_REJECTED] = "rejected",
    [STATE_FAILED] = "failed",
    [STATE_OTHER] = "unknown state",
};
static const char *const REASON_NAMES[] = {
    [REASON_NONE] = "-",
    [REASON_SOLD_OUT] = "sold_out",
    [REASON_LIMIT_EXCEEDED] = "limit_exceeded",
    [REASON_SALE_NOT_OPEN] = "sale_not_open",
    [REASON_SALE_ENDED] = "sale_ended",
    [REASON_OTHER] = "another reason",
};

const char *journal_state_name(enum order_state state)
{
    return STATE_NAMES[state];
}

const char *journal_reason_name(enum order_reason reason)
{
    return REASON_NAMES[reason];
}

enum order_state journal_state(const char *text)
{
    enum order_state state = STATE_NONE;
    while (text && state < STATE_OTHER && strcmp(text, STATE_NAMES[state]) != 0) {
        state++;
    }
    return state;
}

enum order_reason journal_reason(const char *text)
{
    enum order_reason reason = REASON_NONE;
    while (text && reason < REASON_OTHER && strcmp(text, REASON_NAMES[reason]) != 0) {
        reason++;
    }
    return reason;
}

struct journal *journal_new(void)
{
    struct journal *journal = xcalloc(1, sizeof *journal);
    journal->promise_by_id = table_new();
    journal->refusal_by_ask = table_new();
    journal->users = table_new();
    journal->sales = table_new();
    journal->attempts_by_key = table_new();
    return journal;
}

void journal_free(struct journal *journal)
{
    if (journal) {
        table_free(journal->promise_by_id);
        table_free(journal->refusal_by_ask);
        table_free(journal->users);
        table_free(journal->sales);
        table_free(journal->attempts_by_key);
        free(journal->promises);
        free(journal->refusals);
        free(journal);
    }
}

/* Makes room for one more in an array of count entries: returns the array, perhaps a new one. */
static void *with_room(void *array, size_t count, size_t *size, size_t entry_size)
{
    if (count < *size) {
        return array;
    }
    *size = *size == 0 ? ARRAY_MIN : *size * 2;
    void *larger = xcalloc(*size, entry_size);
    if (array) {
        memcpy(larger, array, count * entry_size);
    }
    free(array);
    return larger;
}

/* The same UUID in upper and lower case is the same order; PostgreSQL prints lower case. */
static struct table_key id_key(const char *id, char canonical[JOURNAL_ID_SIZE])
{
    snprintf(canonical, JOURNAL_ID_SIZE, "%s", id);
    if (!uuid_is_valid(id)) {
        return table_key_of_text(id);
    }
    for (char *c = canonical; *c; c++) {
        *c = (char)tolower((unsigned char)*c);
    }
    return table_key_of_text(canonical);
}

struct promise *journal_find(const struct journal *journal, const char *id)
{
    char canonical[JOURNAL_ID_SIZE];
    const uint64_t *place = table_find(journal->promise_by_id, id_key(id, canonical));
    return place ? &journal->promises[*place] : NULL;
}

/* Under a key there is at most one order, however many attempts nobody knows the outcome of. */
static void count_key(struct journal *journal, const struct ask *ask, int not_refused,
                      bool acknowledged)
{
    if (ask->key == 0) {
        journal->unknown_keyless += acknowledged ? -1 : not_refused;
        return;
    }
    uint64_t *entry = table_add(journal->attempts_by_key,
                                (struct table_key){(uint64_t)ask->user_id, ask->key}, NULL);
    const bool was_unknown = *entry > 0 && *entry < KEY_ACKNOWLEDGED;
    *entry += (uint64_t)not_refused;
    *entry |= acknowledged ? KEY_ACKNOWLEDGED : 0;
    const bool is_unknown = *entry > 0 && *entry < KEY_ACKNOWLEDGED;
    journal->unknown_keys += is_unknown - was_unknown;
}

void journal_add_acknowledged(struct journal *journal, const struct ask *ask)
{
    journal->acknowledged++;
    count_key(journal, ask, 0, true);
}

void journal_add_refused(struct journal *journal, const struct ask *ask)
{
    journal->refused++;
    count_key(journal, ask, -1, false);
}

void journal_add_attempt(struct journal *journal, const struct ask *ask)
{
    journal->attempts++;
    count_key(journal, ask, 1, false);
    table_add(journal->users, (struct table_key){0, (uint64_t)ask->user_id}, NULL);
    table_add(journal->sales, (struct table_key){0, (uint64_t)ask->sale_id}, NULL);
}

static bool is_final(enum order_state state)
{
    return state == STATE_CONFIRMED || state == STATE_REJECTED || state == STATE_FAILED;
}

/* A state that is not final promises nothing yet. */
static void tell(struct promise *promise, enum order_state told, enum order_reason reason)
{
    if (!is_final(told)) {
        return;
    }
    if (is_final(promise->told) && promise->told != told) {
        promise->told_two = true;
    }
    promise->told = told;
    if (reason != REASON_NONE) {
        promise->told_reason = reason;
    }
}

/* A retry is the same intended order only under the same key: without one, the server cannot know
 * it, and the same id for two orders means that one of them was lost. */
static bool is_same_order(const struct ask *a, const struct ask *b)
{
    return a->key != 0 && a->key == b->key && a->user_id == b->user_id &&
           a->sale_id == b->sale_id && a->quantity == b->quantity;
}

void journal_add_promise(struct journal *journal, const struct ask *ask, const char *id,
                         enum order_state told, enum order_reason reason)
{
    char canonical[JOURNAL_ID_SIZE];
    bool added;
    uint64_t *place = table_add(journal->promise_by_id, id_key(id, canonical), &added);
    if (added) {
        *place = journal->promise_count;
        journal->promises = with_room(journal->promises, journal->promise_count,
                                      &journal->promise_size, sizeof *journal->promises);
        struct promise *promise = &journal->promises[journal->promise_count++];
        *promise = (struct promise){.ask = *ask};
        memcpy(promise->id, canonical, sizeof canonical);
    }
    struct promise *promise = &journal->promises[*place];
    if (!added && !is_same_order(&promise->ask, ask)) {
        promise->given_twice = true;
    }
    tell(promise, told, reason);
}

void journal_add_refusal(struct journal *journal, const struct ask *ask, enum order_reason reason)
{
    bool added;
    struct table_key key = {(uint64_t)ask->sale_id, (uint64_t)ask->quantity};
    uint64_t *place = table_add(journal->refusal_by_ask, key, &added);
    if (added) {
        *place = journal->refusal_count;
        journal->refusals = with_room(journal->refusals, journal->refusal_count,
                                      &journal->refusal_size, sizeof *journal->refusals);
        journal->refusals[journal->refusal_count++] = (struct refusal){
            .sale_id = ask->sale_id, .quantity = ask->quantity, .user_id = ask->user_id};
    }
    struct refusal *refusal = &journal->refusals[*place];
    if (reason == REASON_SOLD_OUT) {
        refusal->sold_out++;
        refusal->user_id = ask->user_id;
    } else if (reason == REASON_NONE || reason == REASON_OTHER) {
        refusal->unexplained++;
    }
}

bool journal_add_final(struct journal *journal, const char *id, enum order_state told,
                       enum order_reason reason, bool gone)
{
    struct promise *promise = journal_find(journal, id);
    if (!promise) {
        return false;
    }
    promise->told_gone = promise->told_gone || gone;
    tell(promise, told, reason);
    return true;
}

void journal_forget_rows(struct journal *journal)
{
    for (size_t i = 0; i < journal->promise_count; i++) {
        struct promise *promise = &journal->promises[i];
        promise->rows = 0;
        promise->state = STATE_NONE;
        promise->reason = REASON_NONE;
        promise->differs = false;
        promise->key_differs = false;
    }
}
