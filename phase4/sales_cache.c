/* What is for sale, from memory: a thread reads all of it every so often, and everybody else reads
 * what it read last.
 *
 * A list is read-only from the moment it is published, and counted: whoever uses one holds it, so
 * that a reply may be as slow as its client while the next list takes over. Rows become JSON in the
 * database, as before, and stay what libpq made of them: a reply is one search and one copy.
 *
 * Invariants: there is a list from sales_start to sales_stop, and it is the newest that could be
 * read; the lock is held across no SQL, no reply and no log line. While the database is away the
 * list grows old: it is served all the same, its age is published, and the log has one line when
 * that begins and one when it ends. A refresh that has begun ends by pg.h's bounds, not earlier: a
 * stop waits for it. */
#include "sales_cache.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/stop.h"
#include "common/xalloc.h"

enum {
    INT64_TEXT_SIZE = 21,
    RETRY_MS = 100, /* between two readings at the start; the pool's backoff spaces connects more */
};

/* All sales as they were at one moment. */
struct sales_list {
    int users;      /* guarded by the lock of struct sales; the last one frees it */
    PGresult *rows; /* id and JSON */
    int count;      /* rows in use */
    int64_t ids[];  /* count of them, ascending */
};

struct sales {
    struct dbpool *pool;
    int64_t refresh_ms, acquire_timeout_ms;
    pthread_t thread;
    pthread_cond_t wake; /* the thread, to stop */
    pthread_mutex_t lock;

    /* Guarded by lock: */
    bool stopping;
    struct sales_list *list;
    int64_t read_ns; /* when it was asked for */
    int64_t failed;  /* readings, since start */

    /* The thread's own, and before it starts sales_start's: */
    int64_t failed_in_row;
    bool is_cut; /* there are more sales than are kept */
};

/* ---------------------------------------------------------------------------------------- lists */

struct sales_list *sales_hold(struct sales *sales)
{
    pthread_mutex_lock(&sales->lock);
    struct sales_list *list = sales->list;
    list->users++;
    pthread_mutex_unlock(&sales->lock);
    return list;
}

void sales_let_go(struct sales *sales, struct sales_list *list)
{
    if (!list) {
        return;
    }
    pthread_mutex_lock(&sales->lock);
    bool is_last = --list->users == 0;
    pthread_mutex_unlock(&sales->lock);
    if (is_last) {
        PQclear(list->rows);
        free(list);
    }
}

/* Takes rows over. */
static struct sales_list *make_list(PGresult *rows)
{
    int count = PQntuples(rows) < SALES_MAX ? PQntuples(rows) : SALES_MAX;
    struct sales_list *list = xcalloc(1, sizeof *list + (size_t)count * sizeof list->ids[0]);
    list->users = 1; /* whoever publishes it */
    list->rows = rows;
    list->count = count;
    for (int i = 0; i < count; i++) {
        list->ids[i] = strtoll(PQgetvalue(rows, i, 0), NULL, 10);
    }
    return list;
}

static int compare_ids(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

const char *sales_find(const struct sales_list *list, int64_t id)
{
    const int64_t *at =
        bsearch(&id, list->ids, (size_t)list->count, sizeof list->ids[0], compare_ids);
    return at ? PQgetvalue(list->rows, (int)(at - list->ids), 1) : NULL;
}

/* --------------------------------------------------------------------------------------- refresh
 */

static enum status read_rows(const struct sales *sales, PGresult **rows)
{
    struct pg *pg = NULL;
    int64_t deadline_ns = clock_deadline_ns(sales->acquire_timeout_ms);
    enum status status = dbpool_acquire(sales->pool, deadline_ns, NULL, &pg);
    if (status == ST_OK) {
        char most[INT64_TEXT_SIZE];
        snprintf(most, sizeof most, "%d", SALES_MAX + 1); /* one more: to see that there are more */
        status = pg_run(pg, &sales_read, (const char *const[]){most}, rows);
    }
    dbpool_release(sales->pool, pg);
    return status;
}

/* Takes rows, which were asked for at read_ns, over. */
static void publish_list(struct sales *sales, PGresult *rows, int64_t read_ns)
{
    bool is_cut = PQntuples(rows) > SALES_MAX;
    struct sales_list *list = make_list(rows);
    pthread_mutex_lock(&sales->lock);
    struct sales_list *old = sales->list;
    sales->list = list;
    sales->read_ns = read_ns;
    pthread_mutex_unlock(&sales->lock);
    sales_let_go(sales, old);
    if (is_cut && !sales->is_cut) {
        log_event(LOG_WARN, "sales_cut", LOG_NUMBER("kept", SALES_MAX));
    }
    sales->is_cut = is_cut;
}

static void count_failure(struct sales *sales, enum status status)
{
    pthread_mutex_lock(&sales->lock);
    sales->failed++;
    pthread_mutex_unlock(&sales->lock);
    if (sales->failed_in_row++ == 0) {
        log_event(LOG_WARN, "sales_stale", LOG_TEXT("status", status_name(status)));
    }
}

/* One reading; if it fails, the list stays as it is. */
static enum status refresh(struct sales *sales)
{
    PGresult *rows = NULL;
    int64_t read_ns = clock_now_ns();
    enum status status = read_rows(sales, &rows);
    if (status == ST_OK) {
        publish_list(sales, rows, read_ns);
        if (sales->failed_in_row > 0) {
            log_event(LOG_INFO, "sales_fresh", LOG_NUMBER("failed", sales->failed_in_row));
        }
        sales->failed_in_row = 0;
    } else if (status != ST_CLOSED) { /* that is our own stop */
        count_failure(sales, status);
    }
    return status;
}

/* Waits until the next reading is due; false: it is not, we stop. */
static bool await_due(struct sales *sales)
{
    int64_t due_ns = clock_deadline_ns(sales->refresh_ms);
    pthread_mutex_lock(&sales->lock);
    while (!sales->stopping && clock_now_ns() < due_ns) {
        clock_cond_wait(&sales->wake, &sales->lock, due_ns);
    }
    bool is_due = !sales->stopping;
    pthread_mutex_unlock(&sales->lock);
    return is_due;
}

static void *run(void *context)
{
    struct sales *sales = context;
    while (await_due(sales)) {
        (void)refresh(sales);
    }
    return NULL;
}

/* ------------------------------------------------------------------------------- start and stop */

static void free_sales(struct sales *sales)
{
    sales_let_go(sales, sales->list);
    pthread_cond_destroy(&sales->wake);
    pthread_mutex_destroy(&sales->lock);
    free(sales);
}

static bool may_pass(enum status status)
{
    return status == ST_RETRY || status == ST_TIMEOUT || status == ST_BUSY || status == ST_UNKNOWN;
}

/* As dbpool_wait_ready: what may pass is waited for, an answer is not. A stop ends the wait. */
static enum status read_first(struct sales *sales, int64_t wait_ms)
{
    int64_t deadline_ns = clock_deadline_ns(wait_ms);
    enum status status = refresh(sales);
    while (may_pass(status) && clock_now_ns() < deadline_ns && !stop_is_due()) {
        clock_sleep_until(clock_deadline_ns(RETRY_MS));
        status = refresh(sales);
    }
    return status;
}

enum status sales_start(struct dbpool *pool, int64_t wait_ms, int64_t refresh_ms,
                        int64_t acquire_timeout_ms, struct sales **out)
{
    *out = NULL;
    struct sales *sales = xcalloc(1, sizeof *sales);
    sales->pool = pool;
    sales->refresh_ms = refresh_ms;
    sales->acquire_timeout_ms = acquire_timeout_ms;
    clock_cond_init(&sales->wake);
    pthread_mutex_init(&sales->lock, NULL);
    enum status status = read_first(sales, wait_ms);
    if (status != ST_OK) {
        free_sales(sales);
        return status;
    }
    int error = pthread_create(&sales->thread, NULL, run, sales);
    if (error != 0) {
        log_event(LOG_ERROR, "no_thread", LOG_TEXT("error", strerror(error)));
        abort();
    }
    *out = sales;
    return ST_OK;
}

void sales_stop(struct sales *sales)
{
    if (!sales) {
        return;
    }
    pthread_mutex_lock(&sales->lock);
    sales->stopping = true;
    pthread_cond_signal(&sales->wake);
    pthread_mutex_unlock(&sales->lock);
    pthread_join(sales->thread, NULL);
    free_sales(sales);
}

/* ---------------------------------------------------------------------------------- what it says
 */

bool sales_has(struct sales *sales, int64_t id)
{
    struct sales_list *list = sales_hold(sales);
    bool has = sales_find(list, id) != NULL;
    sales_let_go(sales, list);
    return has;
}

static double read_age(void *context)
{
    struct sales *sales = context;
    pthread_mutex_lock(&sales->lock);
    int64_t read_ns = sales->read_ns;
    pthread_mutex_unlock(&sales->lock);
    return (double)(clock_now_ns() - read_ns) / (double)CLOCK_NS_PER_S;
}

static double read_count(void *context)
{
    struct sales_list *list = sales_hold(context);
    int count = list->count;
    sales_let_go(context, list);
    return count;
}

static double read_failed(void *context)
{
    struct sales *sales = context;
    pthread_mutex_lock(&sales->lock);
    int64_t failed = sales->failed;
    pthread_mutex_unlock(&sales->lock);
    return (double)failed;
}

void sales_publish(struct sales *sales, struct metrics *metrics)
{
    metrics_gauge(metrics, "flashdeal_sales_age_seconds",
                  "Time since the sales in memory were read.", "", read_age, sales);
    metrics_gauge(metrics, "flashdeal_sales", "Sales in memory.", "", read_count, sales);
    metrics_sampled_counter(metrics, "flashdeal_sales_refresh_failed_total",
                            "Readings of the sales that failed.", "", read_failed, sales);
}
