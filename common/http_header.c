/* A header field for a handler, by its name.
 *
 * What civetweb holds of the head has been found well-formed before a handler is called (http_raw),
 * and stays where it is while the body is read and the reply is written. A field that is there
 * twice is refused rather than chosen from: two readers of one message must not disagree on what it
 * says. It does not look into lists or quotes; that is the field's own grammar. */
#include <civetweb.h>
#include <strings.h>

#include "common/http_conn.h"

enum status http_header(const struct http_request *request, const char *name, const char **value)
{
    const struct mg_request_info *info = mg_get_request_info(request->conn->mg);
    enum status status = ST_NOT_FOUND;
    *value = NULL;
    for (int i = 0; i < info->num_headers; i++) {
        if (strcasecmp(info->http_headers[i].name, name) != 0) {
            continue;
        }
        if (status == ST_OK) {
            *value = NULL;
            return ST_INVALID;
        }
        *value = info->http_headers[i].value;
        status = ST_OK;
    }
    return status;
}
