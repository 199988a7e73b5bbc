/* Routes are compared byte by byte, undecoded: "/things/", "//things" and "/things%00" are other
 * paths than "/things". The table is short, so it is searched from the front.
 *
 * A segment with a '%' matches no "{}": no id needs an encoded byte, and an encoded one is a second
 * name for the same thing. The query is not decoded either. */
#include "common/http_conn.h"

#include <assert.h>
#include <string.h>

static const char parameter[] = "{}";

static bool match_parameter(const char *segment, char param[HTTP_PARAM_SIZE])
{
    size_t length = strlen(segment);
    if (length == 0 || length >= HTTP_PARAM_SIZE || strpbrk(segment, "/%")) {
        return false;
    }
    memcpy(param, segment, length + 1);
    return true;
}

static bool match(const char *pattern, const char *path, char param[HTTP_PARAM_SIZE])
{
    const char *brace = strstr(pattern, parameter);
    if (!brace) {
        return strcmp(pattern, path) == 0;
    }
    size_t prefix = (size_t)(brace - pattern);
    return strncmp(pattern, path, prefix) == 0 && match_parameter(path + prefix, param);
}

const struct http_route *http_route_find(const struct http_options *options, const char *method,
                                         const char *path, char param[HTTP_PARAM_SIZE],
                                         bool *path_known)
{
    *path_known = false;
    for (size_t i = 0; i < options->route_count; i++) {
        const struct http_route *route = &options->routes[i];
        param[0] = '\0';
        if (match(route->path, path, param)) {
            *path_known = true;
            if (strcmp(route->method, method) == 0) {
                return route;
            }
        }
    }
    param[0] = '\0';
    return NULL;
}

void http_route_list_methods(const struct http_options *options, const char *path,
                             char out[HTTP_ALLOW_SIZE])
{
    char param[HTTP_PARAM_SIZE];
    out[0] = '\0';
    for (size_t i = 0; i < options->route_count; i++) {
        const struct http_route *route = &options->routes[i];
        if (match(route->path, path, param)) {
            const char *comma = out[0] == '\0' ? "" : ", ";
            assert(strlen(out) + strlen(comma) + strlen(route->method) < HTTP_ALLOW_SIZE);
            strcat(out, comma);
            strcat(out, route->method);
        }
    }
}

/* The value of the pair "name=value" that starts at pair, and its length; NULL: another name. */
static const char *value_of(const char *pair, const char *name, size_t *length)
{
    size_t name_length = strlen(name);
    if (strncmp(pair, name, name_length) != 0 || pair[name_length] != '=') {
        return NULL;
    }
    const char *value = pair + name_length + 1;
    *length = strcspn(value, "&");
    return value;
}

/* Parses 0|[1-9][0-9]*: one spelling for each number. */
static bool parse_integer(const char *text, size_t length, int64_t *out)
{
    int64_t number = 0;
    if (length == 0 || (length > 1 && text[0] == '0')) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        int digit = text[i] - '0';
        if (number > (INT64_MAX - digit) / 10) {
            return false;
        }
        number = number * 10 + digit;
    }
    *out = number;
    return true;
}

static enum status integer_within(const char *text, size_t length, int64_t minimum, int64_t maximum,
                                  int64_t *out)
{
    int64_t number = 0;
    if (!parse_integer(text, length, &number) || number < minimum || number > maximum) {
        return ST_INVALID;
    }
    *out = number;
    return ST_OK;
}

enum status http_param_int(const struct http_request *request, int64_t minimum, int64_t maximum,
                           int64_t *out)
{
    return integer_within(request->param, strlen(request->param), minimum, maximum, out);
}

enum status http_query_int(const struct http_request *request, const char *name, int64_t minimum,
                           int64_t maximum, int64_t *out)
{
    const char *found = NULL;
    size_t found_length = 0;
    for (const char *pair = request->query; *pair != '\0';) {
        size_t length = 0;
        const char *value = value_of(pair, name, &length);
        if (value && found) {
            return ST_INVALID;
        }
        if (value) {
            found = value;
            found_length = length;
        }
        pair += strcspn(pair, "&");
        pair += *pair == '&' ? 1 : 0;
    }
    return found ? integer_within(found, found_length, minimum, maximum, out) : ST_NOT_FOUND;
}
