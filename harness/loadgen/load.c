/* load: the loop. Each turn begins what is due, runs the timers, closes a second of the series when
 * it has passed, and waits in epoll until the next of these is due or a reply comes.
 *
 * Pacing: epoll_pwait2 with a timer slack of 1 ns wakes within some 50 us; there is no busy
 * waiting, which would take a core from the server that is being measured. Arrivals go out in small
 * portions, so that replies are read (and timed) between them even when the generator is late.
 * After the window the loop waits --timeout-ms for replies, then gives up what is left; awaited
 * orders have their own time-out. */
#include "load.h"

#include "client.h"
#include "common/clock.h"
#include "live.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    ARRIVALS_PER_TURN = 16,
    TURN_MAX_MS = 100,     /* a signal between two waits is seen after this at the latest */
    JOURNAL_SLACK_MS = 1,  /* nothing due for so long: time to write some of the journal */
    TOKEN_SPARE_S = 86400, /* tokens outlive any run */
};

struct load {
    const struct options *options;
    const struct plan *plan;
    struct client client;
    struct series *series;
    struct client_times times; /* as planned; the client's move when it gives up */
    size_t next_arrival;
    int64_t next_second_ns;
    bool gave_up, live, warned;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

/* A second signal ends the process at once. */
static void catch_signals(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = on_signal;
    action.sa_flags = (int)SA_RESETHAND;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static int64_t due_ns(const struct load *load, size_t arrival)
{
    return load->times.start_ns + load->plan->arrivals[arrival].due_us * 1000;
}

static void begin_arrivals(struct load *load, int64_t now_ns)
{
    for (int i = 0; i < ARRIVALS_PER_TURN && load->next_arrival < load->plan->count; i++) {
        const int64_t due = due_ns(load, load->next_arrival);
        if (due > now_ns || load->gave_up) {
            return;
        }
        client_begin(&load->client, &load->plan->arrivals[load->next_arrival], due);
        load->next_arrival++;
    }
}

static void close_second(struct load *load, int64_t now_ns)
{
    struct stats *stats = load->client.stats;
    if (load->live) {
        live_draw(stats, load->client.ops.active,
                  (double)(load->times.window_end_ns - now_ns) / (double)CLOCK_NS_PER_S);
    }
    series_add(load->series, &stats->second, load->client.ops.active);
    stats_clear_second(&stats->second);
    load->next_second_ns += CLOCK_NS_PER_S;
}

static void warn_once(struct load *load)
{
    const struct net_counts counts = net_counts(load->client.net);
    if (counts.failed > 0 && !load->warned) {
        live_end();
        fprintf(stderr, "loadgen: cannot connect to %s: %s; the run goes on\n",
                load->options->host_header, strerror(counts.connect_errno));
        load->warned = true;
    }
}

static int64_t next_due_ns(const struct load *load, int64_t now_ns)
{
    int64_t next_ns = now_ns + TURN_MAX_MS * CLOCK_NS_PER_MS;
    const int64_t timer_ns = timers_next_ns(&load->client.timers);
    if (!load->gave_up && load->next_arrival < load->plan->count &&
        due_ns(load, load->next_arrival) < next_ns) {
        next_ns = due_ns(load, load->next_arrival);
    }
    if (timer_ns < next_ns) {
        next_ns = timer_ns;
    }
    if (load->next_second_ns < next_ns) {
        next_ns = load->next_second_ns;
    }
    if (now_ns < load->times.window_end_ns && load->times.window_end_ns < next_ns) {
        next_ns = load->times.window_end_ns;
    }
    return next_ns;
}

static bool is_over(const struct load *load, int64_t now_ns)
{
    const bool all_begun = load->gave_up || load->next_arrival == load->plan->count;
    const bool window_over = now_ns >= load->times.window_end_ns || interrupted;
    return window_over && all_begun && load->client.ops.active == 0;
}

static void give_up_if_time(struct load *load, int64_t now_ns)
{
    if (interrupted && !load->gave_up) {
        load->gave_up = true;
        load->times.window_end_ns =
            now_ns < load->times.window_end_ns ? now_ns : load->times.window_end_ns;
        client_give_up(&load->client, LOSS_INTERRUPTED, true);
    } else if (interrupted) {
        client_give_up(&load->client, LOSS_INTERRUPTED, true);
    } else if (!load->gave_up && now_ns >= load->times.give_up_ns) {
        load->gave_up = true;
        client_give_up(&load->client, LOSS_TIMEOUT, false);
    }
}

static void run_loop(struct load *load)
{
    for (;;) {
        const int64_t now_ns = clock_now_ns();
        give_up_if_time(load, now_ns);
        begin_arrivals(load, now_ns);
        client_run_timers(&load->client, now_ns);
        while (now_ns >= load->next_second_ns) {
            close_second(load, now_ns);
        }
        if (is_over(load, now_ns)) {
            return;
        }
        const int64_t next_ns = next_due_ns(load, now_ns);
        if (next_ns - now_ns > JOURNAL_SLACK_MS * CLOCK_NS_PER_MS) {
            journal_write_some(load->client.journal);
            warn_once(load);
        }
        net_poll(load->client.net, next_ns);
    }
}

static double cpu_seconds(void)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0) {
        return 0.0;
    }
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static int64_t epoch_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / CLOCK_NS_PER_MS;
}

/* Arrivals of the window: orders or, where there are none, whatever the plan has. */
static int64_t count_planned(const struct plan *plan)
{
    int64_t all = 0, driven = 0;
    for (size_t i = 0; i < plan->count; i++) {
        const struct plan_arrival *arrival = &plan->arrivals[i];
        if (arrival->due_us >= plan->warmup_us &&
            arrival->due_us < plan->warmup_us + plan->window_us) {
            all++;
            driven += arrival->kind == PLAN_ORDER || arrival->kind == PLAN_PATH ? 1 : 0;
        }
    }
    return driven > 0 ? driven : all;
}

static int64_t count_sent(const struct stats *stats, bool has_orders)
{
    if (has_orders) {
        return stats->orders.count - stats->orders.unsent;
    }
    return stats->reads.count - stats->reads.outcomes.losses[LOSS_UNSENT] + stats->probes.count -
           stats->probes.outcomes.losses[LOSS_UNSENT];
}

static void set_times(struct load *load)
{
    struct client_times *times = &load->times;
    times->start_ns = clock_now_ns();
    times->window_ns = times->start_ns + load->plan->warmup_us * 1000;
    times->window_end_ns = times->window_ns + load->plan->window_us * 1000;
    times->give_up_ns = times->window_end_ns + load->options->timeout_ns;
    load->next_second_ns = times->window_ns + CLOCK_NS_PER_S;
    load->client.times = *times;
}

static void fill_summary(struct load *load, struct summary *summary)
{
    const struct options *options = load->options;
    const bool closed = options->plan.shape == SHAPE_CLOSED;
    const struct stats *stats = load->client.stats;
    const int64_t window_ns = load->times.window_end_ns - load->times.window_ns;
    summary->seed = load->client.seed;
    summary->mode = closed ? "closed" : "open";
    summary->url = options->url;
    summary->warmup_s = (double)load->plan->warmup_us / 1e6;
    summary->window_s = window_ns > 0 ? (double)window_ns / (double)CLOCK_NS_PER_S : 0.0;
    summary->sent = count_sent(stats, stats->orders.count > 0);
    summary->planned = closed ? stats->orders.count : count_planned(load->plan);
    if (closed && stats->orders.count == 0) {
        summary->planned = stats->reads.count + stats->probes.count;
    }
    summary->stats = stats;
    summary->net = net_counts(load->client.net);
    summary->interrupted = interrupted != 0;
    summary->journal_dropped = journal_dropped(load->client.journal);
    summary->overflowed = load->client.overflowed;
}

static void run(struct load *load, struct load_result *out)
{
    struct summary *summary = &out->summary;
    catch_signals();
    (void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    summary->start_epoch_ms = epoch_ms();
    load->series = out->series =
        series_create(summary->start_epoch_ms + load->plan->warmup_us / 1000);
    const double cpu_before_s = cpu_seconds();
    set_times(load);
    for (int i = 0; i < load->options->clients; i++) {
        client_begin_closed(&load->client);
    }
    run_loop(load);
    summary->cpu_s = cpu_seconds() - cpu_before_s;
    summary->wall_s = (double)(clock_now_ns() - load->times.start_ns) / (double)CLOCK_NS_PER_S;
    /* What came after the last full second, when the window was no whole number of them. */
    const struct stats_second *second = &out->stats->second;
    if (second->orders + second->ok + second->fail + second->info + second->reads + second->probes >
        0) {
        series_add(load->series, second, 0);
    }
    if (load->live) {
        live_end();
    }
    fill_summary(load, summary);
}

enum status load_run(const struct options *options, const struct plan *plan,
                     struct load_result *out)
{
    struct load load = {.options = options, .plan = plan};
    struct client *client = &load.client;
    struct token_maker *tokens = NULL;
    enum status status = ST_OK;
    memset(out, 0, sizeof(*out));

    int caps[NET_POOLS];
    memcpy(caps, options->connections, sizeof(caps));
    if (options->plan.reads_only) {
        /* No orders will need theirs. */
        caps[NET_READS] += caps[NET_ORDERS] - 1;
        caps[NET_ORDERS] = 1;
    }
    if (options->secret != NULL) {
        tokens = token_maker_create(options->secret, epoch_ms() / 1000 + TOKEN_SPARE_S);
        if (tokens == NULL) {
            out->obstacle = "libcrypto's HMAC-SHA256";
            return ST_SYSTEM;
        }
    }
    load.live = !options->quiet && isatty(STDERR_FILENO) == 1;
    client->options = options;
    client->seed = options->seed_given || options->plan.shape != SHAPE_REPLAY ? options->plan.seed
                                                                              : plan->seed;
    client->requests =
        (struct request_maker){.host = options->host_header, .path = plan->path, .tokens = tokens};
    plan_source_init(&client->orders, &options->plan.mix, client->seed);
    client->stats = out->stats = stats_create();

    const struct net_hooks hooks = client_hooks(client);
    out->obstacle = options->journal_file;
    status = journal_open(options->journal_file, &client->journal);
    if (status != ST_OK) {
        goto out;
    }
    out->obstacle = "epoll";
    status = net_create(options->host, options->port, caps, &hooks, &client->net);
    if (status != ST_OK) {
        goto out;
    }
    run(&load, out);

out:
    out->journal = journal_close(client->journal);
    net_destroy(client->net);
    timers_destroy(&client->timers);
    ops_destroy(&client->ops);
    token_maker_destroy(tokens);
    return status;
}

void load_result_release(struct load_result *result)
{
    stats_destroy(result->stats);
    series_destroy(result->series);
    memset(result, 0, sizeof(*result));
}
