/* The routes of both listeners, and what their handlers work with.
 *
 * It starts nothing and frees nothing: that is parts.c's and main.c's. */
#include "routes.h"

#include "admin.h"
#include "common/config.h"
#include "locks.h"
#include "order_query.h"
#include "orders.h"

void routes_admin(const struct parts *parts, struct http_options *options)
{
    static struct admin admin;
    static struct locks locks;
    static const struct http_route routes[] = {
        {.method = "GET", .path = "/metrics", .handler = admin_metrics_get, .context = &admin},
        {.method = "GET", .path = "/debug/pool", .handler = admin_pool_get, .context = &admin},
        {.method = "GET", .path = "/debug/locks", .handler = locks_get, .context = &locks},
    };
    admin = (struct admin){parts->metrics,
                           {{"orders", parts->orders_pool}, {"reads", parts->reads_pool}}};
    locks = (struct locks){parts->locks_pool, parts->locks_acquire_ms};
    options->routes = routes;
    options->route_count = sizeof routes / sizeof routes[0];
}

void routes_public(const struct parts *parts, struct http_options *options)
{
    static struct orders orders;
    static struct order_query query;
    static struct http_route routes[] = {
        {.method = "GET", .path = "/health", .handler = http_health},
        {.method = "GET", .path = "/sales/{}", .handler = sales_get},
        {.method = "POST",
         .path = "/orders",
         .handler = orders_post,
         .context = &orders,
         .takes_json = true,
         .takes_user = true},
        {.method = "GET",
         .path = "/orders/{}",
         .handler = order_query_get,
         .context = &query,
         .takes_user = true},
    };
    routes[1].context = parts->sales;
    orders = (struct orders){
        .sales = parts->sales,
        .limiter = parts->limiter,
        .rate_limit = config_int("RATE_LIMIT"),
        .queue_kind = parts->queue_kind,
        .queue = parts->queue,
        .tickets = parts->tickets,
    };
    query = (struct order_query){parts->queue_kind, parts->queue, parts->tickets, parts->reads_pool,
                                 config_int("DB_ACQUIRE_MS")};
    options->routes = routes;
    options->route_count = sizeof routes / sizeof routes[0];
    options->auth = parts->auth;
    options->observer = telemetry_observe;
    options->observer_context = parts->telemetry;
}
