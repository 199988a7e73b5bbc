/* How much of a request's time is in no stage.
 *
 * At most 5 % of it may be, or a reader of the stages does not see where the time went. It is
 * measured over many requests of each kind that a phase has: refused, quick, with a transaction,
 * and handed to another thread through a queue. A request that was interrupted between two stages
 * is the machine's doing, so the verdict is about nine of ten. What no part of common/ has seen
 * must not be claimed by a stage either: a handler that sleeps by itself shows as such. */
#include "common/dbpool.h"
#include "common/http_json.h"
#include "common/latch.h"
#include "common/queue.h"
#include "common/tests/http_observed.h"
#include "common/tests/pg_fixture.h"

enum {
    THREADS = 4,
    READ_TIMEOUT_MS = 20000,
    POOL_SIZE = 2,
    QUEUE_MAX = 4,
    QUICK = 2000, /* requests of each kind */
    SLEEPING = 20,
    SLEEP_MS = 5,
    OTHER_MAX_PERCENT = 5,
    OF_TEN = 9, /* requests must keep within it */
    ROUNDS = 5,
};

static struct dbpool *pool;
static struct queue *queue;

static const struct pg_statement LOCK = {"stages_lock", "SELECT 1 FOR UPDATE", 0, STAGE_LOCK_WAIT};
static const struct pg_statement READ = {"stages_read", "SELECT 1", 0, STAGE_STATEMENTS};

/* --------------------------------------------------------------------------------- the handlers */

/* As phase 1 does: acquire, begin, two statements, commit, release. */
static enum status transact(struct stages *stages)
{
    struct pg *pg = NULL;
    enum status status = dbpool_acquire(pool, CLOCK_NEVER, stages, &pg);
    if (status == ST_OK) {
        status = pg_begin(pg);
    }
    if (status == ST_OK) {
        status = pg_run(pg, &LOCK, NULL, NULL);
    }
    if (status == ST_OK) {
        status = pg_run(pg, &READ, NULL, NULL);
    }
    if (status == ST_OK) {
        status = pg_commit(pg);
    }
    dbpool_release(pool, pg);
    return status;
}

static void transaction_get(struct http_request *request, void *context)
{
    (void)context;
    handler_faults += transact(&request->stages) != ST_OK;
    http_reply(request, 200, "{}");
}

struct job {
    struct queue_item item;
    struct latch done;
    struct stages *stages;
    enum status status;
};

static void *worker_main(void *argument)
{
    struct queue_item *item;
    (void)argument;
    while (queue_pop(queue, CLOCK_NEVER, &item) == ST_OK) {
        struct job *job = QUEUE_OWNER(item, struct job, item);
        job->status = transact(job->stages);
        latch_open(&job->done);
    }
    return NULL;
}

/* As phase 3 does: a worker has the connection, the handler waits. */
static void queued_get(struct http_request *request, void *context)
{
    struct job job = {.stages = &request->stages};
    (void)context;
    latch_init(&job.done);
    handler_faults += queue_push(queue, &job.item, job.stages) != ST_OK;
    handler_faults += latch_wait(&job.done, CLOCK_NEVER, job.stages) != ST_OK;
    handler_faults += job.status != ST_OK;
    latch_destroy(&job.done);
    http_add_header(request, "Location", "/queued/%d", 1);
    http_reply(request, 201, "{}");
}

static void fields_post(struct http_request *request, void *context)
{
    struct json_field fields[] = {{"a", 1, 9, 0}};
    const struct json_field *bad = NULL;
    (void)context;
    if (http_json_read(request, fields, 1, &bad) == JSON_OK) {
        http_reply(request, 201, "{}");
    } else {
        http_problem_retry(request, 503, "overloaded", "Later.", 1);
    }
}

/* On the account that context says; NULL: on nobody's. */
static void sleep_get(struct http_request *request, void *context)
{
    const enum stage *stage = context;
    int64_t since_ns = clock_now_ns();
    clock_sleep_until(clock_deadline_ns(SLEEP_MS));
    if (stage) {
        stages_add_since(&request->stages, *stage, since_ns);
    }
    http_reply(request, 200, "{}");
}

/* ------------------------------------------------------------------------------------ the shares
 */

#define POST_FIELDS "POST /fields HTTP/1.1\r\n" HOST "Content-Type: application/json\r\n"

struct kind {
    const char *request;
    int count;
};

static const struct kind kinds[] = {
    {GET_HEALTH, QUICK},
    {GET("/nothing"), QUICK},
    {"PUT /health HTTP/1.1\r\n" HOST "\r\n", QUICK},
    {"GET /health HTTP/1.1\r\n" HOST "X-Request-Id: 5c3c1a86-2b8c-4c56-9d7e-3a51c2f1b7aa\r\n"
     "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n",
     QUICK},
    {POST_FIELDS "Content-Length: 7\r\n\r\n{\"a\":3}", QUICK},
    {POST_FIELDS "Content-Length: 2\r\n\r\n{}", QUICK},
    {GET("/transaction"), QUICK / 4},
    {GET("/queued"), QUICK / 4},
    {GET("/sleep"), SLEEPING},
};
enum { KIND_COUNT = sizeof kinds / sizeof kinds[0] };

static bool is_within(const struct observed *note)
{
    return note->result.other_ns * 100 <= note->result.total_ns * OTHER_MAX_PERCENT;
}

/* How many of the kind's requests have at most OTHER_MAX_PERCENT of their time in no stage. */
static int ask_round(const struct kind *kind)
{
    int64_t total_ns = 0, other_ns = 0;
    int within = 0;
    observed_reset();
    for (int i = 0; i < kind->count; i++) {
        ask(kind->request);
        ck_assert_int_gt(reply.status, 0);
        const struct observed *note = observed_await(i);
        within += is_within(note);
        total_ns += note->result.total_ns;
        other_ns += note->result.other_ns;
    }
    printf("%.*s: %.1f us, of them %.2f %% in no stage; %d of %d within %d %%\n",
           (int)strcspn(kind->request, "\r"), kind->request, (double)total_ns / 1000 / kind->count,
           100.0 * (double)other_ns / (double)total_ns, within, kind->count, OTHER_MAX_PERCENT);
    return within;
}

/* A processor that is taken away between two stages is no time that the code forgot to book: what
 * is forgotten is so in every round. */
START_TEST(test_time_in_no_stage_is_small)
{
    const struct kind *kind = &kinds[_i];
    test_subject = kind->request;
    for (int round = 1; ask_round(kind) * 10 < kind->count * OF_TEN; round++) {
        ck_assert_int_lt(round, ROUNDS);
    }
}
END_TEST

START_TEST(test_sleep_is_in_the_stage_it_was_booked_to)
{
    ask(GET("/sleep"));
    const struct observed *note = observed_await(0);
    ck_assert_int_ge(note->stages.spent_ns[STAGE_POOL_WAIT], SLEEP_MS * CLOCK_NS_PER_MS);
    ck_assert_int_ge(note->result.total_ns, note->stages.spent_ns[STAGE_POOL_WAIT]);
}
END_TEST

START_TEST(test_sleep_that_nobody_booked_is_in_no_stage)
{
    ask(GET("/dream"));
    const struct observed *note = observed_await(0);
    ck_assert_int_ge(note->result.other_ns, SLEEP_MS * CLOCK_NS_PER_MS);
    ck_assert_int_eq(note->result.other_ns, note->result.total_ns - observed_sum_ns(note));
}
END_TEST

/* ------------------------------------------------------------------------------------ the server
 */

static enum status start(struct http_server **server, char error[HTTP_ERROR_SIZE])
{
    static enum stage pool_wait = STAGE_POOL_WAIT;
    static const struct http_route routes[] = {
        {"GET", "/health", http_health, NULL, false, false},
        {"GET", "/transaction", transaction_get, NULL, false, false},
        {"GET", "/queued", queued_get, NULL, false, false},
        {"POST", "/fields", fields_post, NULL, true, false},
        {"GET", "/sleep", sleep_get, &pool_wait, false, false},
        {"GET", "/dream", sleep_get, NULL, false, false},
    };
    struct http_options options = server_options(raw_port, THREADS, READ_TIMEOUT_MS, HTTP_DRAIN_MS);
    options.routes = routes;
    options.route_count = sizeof routes / sizeof routes[0];
    options.observer = observed_note;
    options.observer_context = &observed_count;
    return http_start(&options, server, error);
}

static void set_up(void)
{
    observed_reset();
    open_raw();
}

static void add_tests(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, close_raw);
    tcase_add_loop_test(tc, test_time_in_no_stage_is_small, 0, KIND_COUNT);
    tcase_add_test(tc, test_sleep_is_in_the_stage_it_was_booked_to);
    tcase_add_test(tc, test_sleep_that_nobody_booked_is_in_no_stage);
}

int main(void)
{
    fixture_require("http_stages");
    test_watchdog_start();
    pthread_t worker;
    const struct pg_options database = fixture_options(fixture_url());
    raw_port = free_port();
    pool = dbpool_new(POOL_SIZE, &database);
    queue = queue_new(QUEUE_MAX);
    if (pthread_create(&worker, NULL, worker_main, NULL) != 0) {
        return EXIT_FAILURE;
    }
    struct http_server *server = NULL;
    char error[HTTP_ERROR_SIZE] = "";
    if (start(&server, error) != ST_OK) {
        fprintf(stderr, "http_stages: %s\n", error);
        return EXIT_FAILURE;
    }
    int exit_status = test_main("http_stages", add_tests);
    if (http_stop(server) != ST_OK || handler_faults > 0) {
        fprintf(stderr, "http_stages: not stopped, or %d faults in handlers\n", handler_faults);
        exit_status = EXIT_FAILURE;
    }
    queue_close(queue);
    pthread_join(worker, NULL);
    queue_free(queue);
    dbpool_free(pool);
    return exit_status;
}
