/* Where http and json meet: parsing is part of a request's validation, and json knows no request.
 */
#include "common/http_json.h"

#include "common/clock.h"

enum json_result http_json_read(struct http_request *request, struct json_field *fields,
                                size_t count, const struct json_field **bad)
{
    int64_t since_ns = clock_now_ns();
    enum json_result result =
        json_read_object(request->body, request->body_length, fields, count, bad);
    stages_add_since(&request->stages, STAGE_VALIDATION, since_ns);
    return result;
}
