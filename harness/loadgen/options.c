/* options: getopt_long, strict values, one clear line for what is wrong. Options that exclude each
 * other are refused, not ranked: a run that silently ignores half of its command line proves
 * nothing. The one exception is --duration beside --steps, whose sum it is by definition. */
#include "options.h"

#include "values.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum option_id {
    OPT_URL = 1000,
    OPT_RATE,
    OPT_STEPS,
    OPT_FLASH,
    OPT_CLIENTS,
    OPT_DURATION,
    OPT_WARMUP,
    OPT_READ_RATE,
    OPT_PROBE_RATE,
    OPT_READS_ONLY,
    OPT_PATH,
    OPT_USERS,
    OPT_FIRST_USER,
    OPT_SALES,
    OPT_QUANTITY,
    OPT_TIMEOUT_MS,
    OPT_RETRY,
    OPT_RETRY_MAX,
    OPT_RETRY_BUDGET,
    OPT_RETRY_KEY,
    OPT_KEYS,
    OPT_SECRET,
    OPT_LOSE_REPLIES,
    OPT_HANG_UP,
    OPT_AWAIT,
    OPT_AWAIT_TIMEOUT_MS,
    OPT_CONNECTIONS,
    OPT_SEED,
    OPT_SAVE_PLAN,
    OPT_PLAN,
    OPT_JOURNAL,
    OPT_SUMMARY,
    OPT_SERIES,
    OPT_MARKS,
    OPT_QUIET,
    OPT_HELP,
};

static const struct option LONG_OPTIONS[] = {
    {"url", required_argument, NULL, OPT_URL},
    {"rate", required_argument, NULL, OPT_RATE},
    {"steps", required_argument, NULL, OPT_STEPS},
    {"flash", required_argument, NULL, OPT_FLASH},
    {"clients", required_argument, NULL, OPT_CLIENTS},
    {"duration", required_argument, NULL, OPT_DURATION},
    {"warmup", required_argument, NULL, OPT_WARMUP},
    {"read-rate", required_argument, NULL, OPT_READ_RATE},
    {"probe-rate", required_argument, NULL, OPT_PROBE_RATE},
    {"reads-only", no_argument, NULL, OPT_READS_ONLY},
    {"path", required_argument, NULL, OPT_PATH},
    {"users", required_argument, NULL, OPT_USERS},
    {"first-user", required_argument, NULL, OPT_FIRST_USER},
    {"sales", required_argument, NULL, OPT_SALES},
    {"quantity", required_argument, NULL, OPT_QUANTITY},
    {"timeout-ms", required_argument, NULL, OPT_TIMEOUT_MS},
    {"retry", required_argument, NULL, OPT_RETRY},
    {"retry-max", required_argument, NULL, OPT_RETRY_MAX},
    {"retry-budget", required_argument, NULL, OPT_RETRY_BUDGET},
    {"retry-key", required_argument, NULL, OPT_RETRY_KEY},
    {"keys", no_argument, NULL, OPT_KEYS},
    {"secret", required_argument, NULL, OPT_SECRET},
    {"lose-replies", required_argument, NULL, OPT_LOSE_REPLIES},
    {"hang-up", required_argument, NULL, OPT_HANG_UP},
    {"await", required_argument, NULL, OPT_AWAIT},
    {"await-timeout-ms", required_argument, NULL, OPT_AWAIT_TIMEOUT_MS},
    {"connections", required_argument, NULL, OPT_CONNECTIONS},
    {"seed", required_argument, NULL, OPT_SEED},
    {"save-plan", required_argument, NULL, OPT_SAVE_PLAN},
    {"plan", required_argument, NULL, OPT_PLAN},
    {"journal", required_argument, NULL, OPT_JOURNAL},
    {"summary", required_argument, NULL, OPT_SUMMARY},
    {"series", required_argument, NULL, OPT_SERIES},
    {"marks", required_argument, NULL, OPT_MARKS},
    {"quiet", no_argument, NULL, OPT_QUIET},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

/* Which options a saved plan stands for. */
static const int PLAN_EXCLUDES[] = {OPT_RATE,       OPT_STEPS,    OPT_FLASH,     OPT_CLIENTS,
                                    OPT_DURATION,   OPT_WARMUP,   OPT_READ_RATE, OPT_PROBE_RATE,
                                    OPT_READS_ONLY, OPT_PATH,     OPT_USERS,     OPT_FIRST_USER,
                                    OPT_SALES,      OPT_QUANTITY, OPT_SAVE_PLAN};

void options_refuse(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("loadgen: ", stderr);
    vfprintf(stderr, format, arguments);
    fputs(" (--help lists the options)\n", stderr);
    va_end(arguments);
    exit(OPTIONS_EXIT_USAGE);
}

static void set_shape(struct options *options, enum plan_shape shape)
{
    if (options->plan.shape != SHAPE_NONE) {
        options_refuse("give one of --rate, --steps, --flash, --clients, --plan");
    }
    options->plan.shape = shape;
}

static void set_defaults(struct options *options)
{
    const char *seed = getenv("SEED");
    const char *secret = getenv("AUTH_SECRET");
    memset(options, 0, sizeof(*options));
    values_connections("256,64,64", options->connections);
    options->plan.duration_s = 10.0;
    options->plan.seed = seed == NULL || seed[0] == '\0' ? 1 : values_seed("$SEED", seed);
    memcpy(options->plan.path, "/health", sizeof("/health"));
    options->plan.mix.first_user = 1;
    values_sales("1", &options->plan.mix);
    values_quantity("1", &options->plan.mix);
    options->timeout_ns = options->await_timeout_ns = values_timeout_ns("", "10000");
    options->retry_max = 3;
    options->secret = secret != NULL && secret[0] != '\0' ? secret : NULL;
}

static void set_load(struct options *options, int id, const char *value)
{
    struct plan_spec *plan = &options->plan;
    switch (id) {
    case OPT_RATE:
        set_shape(options, SHAPE_STEPS);
        plan->steps[0].rate = values_rate("--rate", value);
        plan->step_count = 0; /* its duration is known at the end */
        break;
    case OPT_STEPS:
        set_shape(options, SHAPE_STEPS);
        values_steps(value, plan);
        break;
    case OPT_FLASH:
        set_shape(options, SHAPE_FLASH);
        values_flash(value, plan);
        break;
    case OPT_CLIENTS:
        set_shape(options, SHAPE_CLOSED);
        options->clients = (int)values_whole("--clients", value, 1, 100000);
        break;
    case OPT_PLAN:
        set_shape(options, SHAPE_REPLAY);
        options->plan_file = value;
        break;
    case OPT_DURATION:
        plan->duration_s = values_real("--duration", value, 0.0, 86400.0);
        break;
    case OPT_WARMUP:
        plan->warmup_s = values_real("--warmup", value, 0.0, 86400.0);
        break;
    case OPT_READ_RATE:
        plan->read_rate = values_rate("--read-rate", value);
        break;
    case OPT_PROBE_RATE:
        plan->probe_rate = values_rate("--probe-rate", value);
        break;
    case OPT_READS_ONLY:
        plan->reads_only = true;
        break;
    case OPT_PATH:
        values_path(value, plan->path);
        break;
    default:
        break;
    }
}

static void set_mix(struct options *options, int id, const char *value)
{
    struct plan_mix *mix = &options->plan.mix;
    switch (id) {
    case OPT_USERS:
        mix->users = values_whole("--users", value, 0, VALUES_ID_MAX);
        break;
    case OPT_FIRST_USER:
        mix->first_user = values_whole("--first-user", value, 1, VALUES_ID_MAX);
        break;
    case OPT_SALES:
        values_sales(value, mix);
        break;
    case OPT_QUANTITY:
        values_quantity(value, mix);
        break;
    case OPT_KEYS:
        options->keys = true;
        break;
    case OPT_SECRET:
        options->secret = value[0] == '\0' ? NULL : value;
        break;
    case OPT_SEED:
        options->plan.seed = values_seed("--seed", value);
        options->seed_given = true;
        break;
    default:
        break;
    }
}

static void set_client(struct options *options, int id, const char *value)
{
    static const char *const retries[] = {"none", "immediate", "backoff", NULL};
    static const char *const keys[] = {"same", "new", NULL};
    switch (id) {
    case OPT_TIMEOUT_MS:
        options->timeout_ns = values_timeout_ns("--timeout-ms", value);
        break;
    case OPT_RETRY:
        options->retry = (enum retry_policy)values_choice("--retry", value, retries);
        break;
    case OPT_RETRY_MAX:
        options->retry_max = (int)values_whole("--retry-max", value, 0, 1000);
        break;
    case OPT_RETRY_BUDGET:
        options->retry_budget = values_real("--retry-budget", value, 0.0, 1.0);
        break;
    case OPT_RETRY_KEY:
        options->new_key_on_retry = values_choice("--retry-key", value, keys) == 1;
        break;
    case OPT_LOSE_REPLIES:
        options->lose_replies = values_real("--lose-replies", value, 0.0, 1.0);
        break;
    case OPT_HANG_UP:
        options->hang_up = values_real("--hang-up", value, 0.0, 1.0);
        break;
    case OPT_AWAIT:
        options->await = values_await(value);
        break;
    case OPT_AWAIT_TIMEOUT_MS:
        options->await_timeout_ns = values_timeout_ns("--await-timeout-ms", value);
        break;
    case OPT_CONNECTIONS:
        values_connections(value, options->connections);
        break;
    default:
        break;
    }
}

static void set_output(struct options *options, int id, const char *value)
{
    switch (id) {
    case OPT_URL:
        options->url = value;
        values_url(value, options);
        break;
    case OPT_SAVE_PLAN:
        options->save_plan_file = value;
        break;
    case OPT_JOURNAL:
        options->journal_file = value;
        break;
    case OPT_SUMMARY:
        options->summary_file = value;
        break;
    case OPT_SERIES:
        options->series_file = value;
        break;
    case OPT_MARKS:
        options->marks_file = value;
        break;
    case OPT_QUIET:
        options->quiet = true;
        break;
    case OPT_HELP:
        fputs(OPTIONS_HELP, stdout);
        exit(0);
    default:
        break;
    }
}

static void refuse_beside_plan(const bool *given)
{
    for (size_t i = 0; i < sizeof(PLAN_EXCLUDES) / sizeof(PLAN_EXCLUDES[0]); i++) {
        if (given[PLAN_EXCLUDES[i] - OPT_URL]) {
            options_refuse("--plan already says what to send: leave arrival and mix options out");
        }
    }
}

/* What holds between options. */
static void check(struct options *options, const bool *given)
{
    struct plan_spec *plan = &options->plan;
    const bool is_rate = plan->shape == SHAPE_STEPS && plan->step_count == 0;
    const bool one_by_one = plan->shape == SHAPE_CLOSED && !given[OPT_AWAIT - OPT_URL];
    options->await = one_by_one ? 1.0 : options->await;
    if (plan->shape == SHAPE_REPLAY) {
        refuse_beside_plan(given);
    }
    if (plan->shape == SHAPE_NONE && plan->read_rate <= 0.0 && plan->probe_rate <= 0.0) {
        options_refuse("say what to send: --rate, --steps, --flash, --clients or --plan");
    }
    if (plan->shape == SHAPE_CLOSED && options->save_plan_file != NULL) {
        options_refuse("a closed loop has no plan to save: its orders follow from --seed");
    }
    if (plan->duration_s <= 0.0) {
        if (options->save_plan_file == NULL || plan->shape != SHAPE_STEPS || is_rate) {
            options_refuse("--duration 0 needs --save-plan and --steps (which has the length)");
        }
        options->plan_only = true;
    }
    if (is_rate) {
        plan->steps[0].duration_s = plan->duration_s;
        plan->step_count = 1;
    } else if (plan->shape == SHAPE_STEPS) {
        plan->duration_s = 0.0;
        for (size_t i = 0; i < plan->step_count; i++) {
            plan->duration_s += plan->steps[i].duration_s;
        }
    }
    if (options->url == NULL && !options->plan_only) {
        options_refuse("--url is missing");
    }
}

void options_read(int argc, char **argv, struct options *options)
{
    bool given[OPT_HELP - OPT_URL + 1] = {false};
    set_defaults(options);
    for (;;) {
        const int id = getopt_long(argc, argv, "", LONG_OPTIONS, NULL);
        if (id == -1) {
            break;
        }
        if (id < OPT_URL) {
            exit(OPTIONS_EXIT_USAGE); /* getopt has said why */
        }
        given[id - OPT_URL] = true;
        set_load(options, id, optarg);
        set_mix(options, id, optarg);
        set_client(options, id, optarg);
        set_output(options, id, optarg);
    }
    if (optind < argc) {
        options_refuse("what is \"%s\"?", argv[optind]);
    }
    check(options, given);
}
