/* http_json: a request's body as a flat JSON object. First used by phase 1. */
#ifndef FLASHDEAL_HTTP_JSON_H
#define FLASHDEAL_HTTP_JSON_H

#include "common/http.h"
#include "common/json.h"

/* json_read_object on the request's body, its time booked to STAGE_VALIDATION. */
enum json_result http_json_read(struct http_request *request, struct json_field *fields,
                                size_t count, const struct json_field **bad);

#endif
