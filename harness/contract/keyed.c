/* keyed: an order under a key of the test's own. */
#include "harness/contract/keyed.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "harness/contract/client.h"
#include "harness/contract/judge.h"

enum { PATH_SIZE = 64 };

void keyed_read(const struct reply *reply, struct keyed *out)
{
    char path[PATH_SIZE];
    const char *replayed = reply_header(reply, "Idempotent-Replayed");
    cJSON *order = judge_object(reply, 202);
    const char *id = judge_text(order, "order_id");
    ck_assert_msg(uuid_is_valid(id), "order_id is not a UUID: %s", id);
    memcpy(out->id, id, UUID_TEXT_SIZE);
    snprintf(out->state, sizeof(out->state), "%s", judge_text(order, "status"));
    snprintf(path, sizeof(path), "/orders/%s", id);
    ck_assert_str_eq(judge_text(order, "status_url"), path);
    ck_assert_msg(reply_header(reply, "Location") != NULL, "202 without Location");
    ck_assert_str_eq(reply_header(reply, "Location"), path);
    ck_assert_msg(replayed == NULL || strcmp(replayed, "true") == 0, "Idempotent-Replayed: %s",
                  replayed);
    out->is_replay = replayed != NULL;
    cJSON_Delete(order);
}

void keyed_order(const char *key, long sale, long long user, int quantity, struct keyed *out)
{
    keyed_read(client_order_with(key, sale, user, quantity), out);
}
