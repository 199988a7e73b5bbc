/* routes: which path of which listener leads where. First used by phase 2.
 *
 * With main.c and orders.c the part of the server that knows the leaves. */
#ifndef ROUTES_H
#define ROUTES_H

#include "common/http.h"
#include "parts.h"

/* Fills in what the listeners do not have in common: routes, and who is told of each request. The
 * handlers' contexts are static: call each once. parts is borrowed. */
void routes_admin(const struct parts *parts, struct http_options *options);
void routes_public(const struct parts *parts, struct http_options *options);

#endif
