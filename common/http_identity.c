/* Who asks, and under which names the request is known: its id, its trace, its user.
 *
 * Id and trace are the caller's to choose, so each is taken only from a field that is there once
 * and is exactly what it must be; anything else is as good as none. A token is the opposite:
 * whatever is not exactly right proves nobody. Nothing here is believed before the head as a whole
 * was found well-formed. */
#include "common/http_conn.h"

#include <string.h>
#include <time.h>

static void copy_lower(const char *id, char out[UUID_TEXT_SIZE])
{
    for (size_t i = 0; i < UUID_TEXT_SIZE; i++) {
        bool is_upper = id[i] >= 'A' && id[i] <= 'F';
        out[i] = is_upper ? (char)(id[i] - 'A' + 'a') : id[i];
    }
}

void http_identity_make(struct http_request *request)
{
    uuid_random(request->id);
    trace_continue(NULL, &request->trace);
}

void http_identity_read(struct http_request *request, const struct http_frame *frame)
{
    if (frame->request_ids == 1 && uuid_is_valid(frame->request_id)) {
        copy_lower(frame->request_id, request->id);
    } else {
        uuid_random(request->id);
    }
    trace_continue(frame->traces == 1 ? frame->traceparent : NULL, &request->trace);
}

bool http_identity_prove(struct http_request *request, struct auth *auth,
                         const struct http_frame *frame)
{
    return frame->authorizations == 1 &&
           auth_verify(auth, frame->authorization, time(NULL), &request->user_id);
}
