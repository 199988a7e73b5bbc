/* options: the command line of the suite.
 *
 * What the suite must know of the target's settings is told here and nowhere guessed: a test that
 * needs what was not given is not added. */
#include "harness/contract/options.h"

#include <ctype.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/contract/contract.h"

enum {
    EXIT_USAGE = 64,
    READ_TIMEOUT_DEFAULT_MS = 5000,
    THREADS_DEFAULT = 48,
    UNTIMED_DEFAULT_PERCENT = 5,
    COMPLAINT_SIZE = 128,
    DEADLINE_PHASE = 3, /* the one whose orders have a deadline in line */
    TICKETS_PHASE = 4,
};

struct contract contract = {
    .phase = -1,
    .read_timeout_ms = READ_TIMEOUT_DEFAULT_MS,
    .threads = THREADS_DEFAULT,
    .untimed_percent = UNTIMED_DEFAULT_PERCENT,
};

static const char USAGE[] =
    "usage: contract --url URL --phase N [options]\n"
    "  --url URL              http://host:port of the target\n"
    "  --phase N              the phase whose contract it speaks, 0..8\n"
    "  --group NAME           whole (default); admission: for a target with few workers, a short\n"
    "                         queue and a low rate; trusting: for one without AUTH_SECRET;\n"
    "                         forgetful: for one with few tickets (from phase 4)\n"
    "  --database URI         libpq URI of its database: adds the tests that need sales of their "
    "own\n"
    "  --admin-url URL        http://host:port of its admin listener (from phase 2)\n"
    "  --secret SECRET        its AUTH_SECRET (from phase 3); or set AUTH_SECRET here\n"
    "  --log FILE             what it logs\n"
    "  --pid PID              the server's process: it must be the same one at the end\n"
    "  --exchanges FILE       append every exchange as a JSON line, for conform.py\n"
    "its settings, where tests depend on them:\n"
    "  --read-timeout-ms MS   READ_TIMEOUT_MS (default 5000)\n"
    "  --threads N            HTTP_THREADS (default 48)\n"
    "  --db-pool N            DB_POOL\n"
    "  --db-workers N         DB_WORKERS (from phase 3)\n"
    "  --queue-max N          QUEUE_MAX\n"
    "  --order-deadline-ms MS ORDER_DEADLINE_MS (phase 3)\n"
    "  --longpoll-max N       LONGPOLL_MAX (from phase 4)\n"
    "  --tickets-max N        TICKETS_MAX (from phase 4)\n"
    "  --rate-limit N         RATE_LIMIT\n"
    "what is slowed down by other tools than the machine:\n"
    "  --untimed-percent N    of a request's time, may be in no stage with a name (default 5)\n";

/* Letters of the options, for getopt_long; none may be given short. */
enum letter {
    URL = 1,
    PHASE,
    GROUP,
    DATABASE,
    ADMIN_URL,
    SECRET,
    LOG_FILE,
    PID,
    EXCHANGES,
    HELP,
    NUMBERS, /* from here on: the i-th of `numbers` */
};

/* The options whose value is a plain number. */
static const struct {
    const char *name;
    int *value;
    int minimum, maximum;
} numbers[] = {
    {"read-timeout-ms", &contract.read_timeout_ms, 100, 60000},
    {"threads", &contract.threads, 1, 4096},
    {"db-pool", &contract.db_pool, 1, 256},
    {"db-workers", &contract.db_workers, 1, 256},
    {"queue-max", &contract.queue_max, 1, 4096},
    {"order-deadline-ms", &contract.order_deadline_ms, 1, 60000},
    {"rate-limit", &contract.rate_limit, 1, 1000000},
    {"longpoll-max", &contract.longpoll_max, 1, 4096},
    {"tickets-max", &contract.tickets_max, 1, 1000000},
    {"untimed-percent", &contract.untimed_percent, 1, 100},
};

static void end_with_usage(const char *complaint)
{
    fprintf(stderr, "contract: %s\n%s", complaint, USAGE);
    exit(EXIT_USAGE);
}

static int read_number(const char *name, const char *text, int minimum, int maximum)
{
    char *end = NULL;
    long number = strtol(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end != '\0' || number < minimum || number > maximum) {
        char complaint[COMPLAINT_SIZE];
        snprintf(complaint, sizeof(complaint), "--%s is %d to %d", name, minimum, maximum);
        end_with_usage(complaint);
    }
    return (int)number;
}

/* http://host:port, nothing after it but a slash. */
static void read_url(const char *url, struct address *out)
{
    static const char scheme[] = "http://";
    if (strncmp(url, scheme, sizeof(scheme) - 1) != 0) {
        end_with_usage("a URL must be http://host:port");
    }
    const char *host = url + sizeof(scheme) - 1;
    size_t length = strcspn(host, "/");
    const char *colon = memchr(host, ':', length);
    size_t host_length = colon != NULL ? (size_t)(colon - host) : length;
    const char *port = colon != NULL ? colon + 1 : "80";
    size_t port_length = colon != NULL ? length - host_length - 1 : strlen(port);
    if (host_length == 0 || host_length >= sizeof(out->host) || port_length == 0 ||
        port_length >= sizeof(out->port)) {
        end_with_usage("a URL must be http://host:port");
    }
    snprintf(out->host, sizeof(out->host), "%.*s", (int)host_length, host);
    snprintf(out->port, sizeof(out->port), "%.*s", (int)port_length, port);
    snprintf(out->authority, sizeof(out->authority), "%s:%s", out->host, out->port);
}

static enum group read_group(const char *name)
{
    static const char *const names[] = {"whole", "admission", "trusting", "forgetful"};
    size_t which = 0;
    while (which < sizeof(names) / sizeof(names[0]) && strcmp(names[which], name) != 0) {
        which++;
    }
    if (which == sizeof(names) / sizeof(names[0])) {
        end_with_usage("--group is whole, admission, trusting or forgetful");
    }
    return (enum group)which;
}

static void take_option(enum letter letter, const char *value)
{
    switch (letter) {
    case URL:
        read_url(value, &contract.at[PUBLIC]);
        return;
    case PHASE:
        contract.phase = read_number("phase", value, 0, CONTRACT_PHASE_MAX);
        return;
    case GROUP:
        contract.group = read_group(value);
        return;
    case DATABASE:
        contract.database = value;
        return;
    case ADMIN_URL:
        read_url(value, &contract.at[ADMIN]);
        return;
    case SECRET:
        contract.secret = value;
        return;
    case LOG_FILE:
        contract.log = value;
        return;
    case PID:
        contract.pid = read_number("pid", value, 1, INT_MAX);
        return;
    case EXCHANGES:
        contract.exchanges = value;
        return;
    case HELP:
        fputs(USAGE, stdout);
        exit(EXIT_SUCCESS);
    case NUMBERS:
        return;
    }
}

/* What belongs together. */
static void check_options(void)
{
    if (contract.at[PUBLIC].host[0] == '\0' || contract.phase < 0) {
        end_with_usage("--url and --phase are needed");
    }
    if (contract.secret != NULL && contract.secret[0] == '\0') {
        contract.secret = NULL;
    }
    if (contract.group == GROUP_ADMISSION &&
        (contract.database == NULL || contract.db_workers == 0 || contract.queue_max == 0 ||
         (contract.order_deadline_ms == 0 && contract.phase == DEADLINE_PHASE) ||
         contract.rate_limit == 0)) {
        end_with_usage("--group admission needs --database, --db-workers, --queue-max, "
                       "--rate-limit and in phase 3 --order-deadline-ms");
    }
    if (contract.group == GROUP_FORGETFUL &&
        (contract.database == NULL || contract.tickets_max == 0 ||
         contract.phase < TICKETS_PHASE)) {
        end_with_usage("--group forgetful needs --database, --tickets-max and a phase from 4");
    }
}

void options_read(int argc, char **argv)
{
    enum { NUMBER_COUNT = sizeof(numbers) / sizeof(numbers[0]), NAMED = HELP };
    static struct option options[NAMED + NUMBER_COUNT + 1] = {
        {"url", required_argument, NULL, URL},
        {"phase", required_argument, NULL, PHASE},
        {"group", required_argument, NULL, GROUP},
        {"database", required_argument, NULL, DATABASE},
        {"admin-url", required_argument, NULL, ADMIN_URL},
        {"secret", required_argument, NULL, SECRET},
        {"log", required_argument, NULL, LOG_FILE},
        {"pid", required_argument, NULL, PID},
        {"exchanges", required_argument, NULL, EXCHANGES},
        {"help", no_argument, NULL, HELP},
    };
    for (int i = 0; i < NUMBER_COUNT; i++) {
        options[NAMED + i] = (struct option){numbers[i].name, required_argument, NULL, NUMBERS + i};
    }
    contract.secret = getenv("AUTH_SECRET");
    int letter = 0;
    while ((letter = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (letter == '?') {
            end_with_usage("an option is not known");
        } else if (letter >= NUMBERS) {
            int i = letter - NUMBERS;
            *numbers[i].value =
                read_number(numbers[i].name, optarg, numbers[i].minimum, numbers[i].maximum);
        } else {
            take_option((enum letter)letter, optarg);
        }
    }
    if (optind != argc) {
        end_with_usage("only options are expected");
    }
    check_options();
}
