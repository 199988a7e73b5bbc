/* answer: picks three texts out of a JSON body with cJSON. The server is not trusted: what is
 * missing, of another type or not of the expected form counts as absent, and nothing that could
 * break a line of the journal passes. Does not judge: whether a reply may lack an id is the
 * client's question. */
#include "answer.h"

#include <cJSON.h>
#include <ctype.h>
#include <string.h>

const char *answer_state_name(enum answer_state state)
{
    switch (state) {
    case STATE_NONE:
        return "-";
    case STATE_PENDING:
        return "pending";
    case STATE_CONFIRMED:
        return "confirmed";
    case STATE_REJECTED:
        return "rejected";
    case STATE_FAILED:
        return "failed";
    }
    return "-";
}

static enum answer_state state_of(const char *name)
{
    static const enum answer_state states[] = {STATE_PENDING, STATE_CONFIRMED, STATE_REJECTED,
                                               STATE_FAILED};
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        if (strcmp(name, answer_state_name(states[i])) == 0) {
            return states[i];
        }
    }
    return STATE_NONE;
}

static const char *text_of(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text == NULL ? "" : text;
}

static void copy_code(char out[ANSWER_CODE_SIZE], const char *code)
{
    size_t i = 0;
    for (; code[i] != '\0' && i < ANSWER_CODE_SIZE - 1; i++) {
        out[i] = isalnum((unsigned char)code[i]) ? code[i] : '_';
    }
    out[i] = '\0';
}

void answer_read(const char *body, size_t length, struct answer *out)
{
    memset(out, 0, sizeof(*out));
    cJSON *object = cJSON_ParseWithLength(body, length);
    if (!cJSON_IsObject(object)) {
        cJSON_Delete(object);
        return;
    }
    /* In a problem document "status" is a number and "code" is there; in an order, the reverse. */
    out->state = state_of(text_of(object, "status"));
    const char *order_id = text_of(object, "order_id");
    if (uuid_is_valid(order_id)) {
        memcpy(out->order_id, order_id, sizeof(out->order_id));
    }
    const char *code = text_of(object, "code");
    copy_code(out->code, code[0] != '\0' ? code : text_of(object, "reason"));
    cJSON_Delete(object);
}
