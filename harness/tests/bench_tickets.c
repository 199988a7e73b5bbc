/* bench_tickets: what a million of phase 4's tickets cost, and how fast one is found.
 *
 *     make bench-tickets      or build/release/tests/bench_tickets [TICKETS [LOOKUPS]]
 *
 * Fills a table of TICKETS (1,000,000) with final orders and reads the process's resident memory
 * before and after. Then one thread looks up LOOKUPS (1,000,000) of the latest TICKETS orders, at
 * random, and times each one, while another makes new orders without a pause: add, accept, finish,
 * with an old ticket that makes way for each. The times include reading the clock twice, whose own
 * cost is printed. Exit status 1 if a limit is missed; what else runs on the machine counts. */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/random.h"
#include "common/xalloc.h"
#include "phase4/tickets.h"

enum {
    MILLION = 1000000,
    BYTES_MAX = 256000000, /* of a million tickets */
    P99_MAX_NS = 5000,
    CLOCK_READINGS = 100000,
    ALMOST_ALL_PERCENT = 98, /* of the lookups must find theirs; shards are not equally full */
};

static struct tickets *tickets;
static atomic_int_fast64_t made;
static atomic_bool is_over;

/* Mixed, so that ids differ as random ones do; the same number has the same id. */
static struct order order_of(int64_t number)
{
    struct order order = {.sale_id = 1, .user_id = number + 1, .quantity = 1};
    uint64_t mixed = (uint64_t)number * UINT64_C(0x9e3779b97f4a7c15);
    snprintf(order.id, sizeof order.id, "%08x-%04x-4000-8000-%012" PRIx64,
             (unsigned int)(mixed >> 32), (unsigned int)(mixed & 0xffff),
             (uint64_t)number & UINT64_C(0xffffffffffff));
    return order;
}

static void make_one(void)
{
    struct ticket known;
    int64_t number = atomic_load(&made);
    struct order order = order_of(number);
    if (tickets_add(tickets, &order, &known) != ST_OK) {
        fprintf(stderr, "order %" PRId64 " got no ticket\n", number);
        exit(EXIT_FAILURE);
    }
    tickets_accept(tickets, order.id, number);
    tickets_finish(tickets, &order, ORDER_CONFIRMED, true);
    atomic_store(&made, number + 1);
}

static void *writer_main(void *arg)
{
    (void)arg;
    while (!is_over) {
        make_one();
    }
    return NULL;
}

static int64_t resident_bytes(void)
{
    long long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%lld %lld", &size, &resident) != 2) {
        perror("/proc/self/statm");
        exit(EXIT_FAILURE);
    }
    fclose(file);
    return resident * sysconf(_SC_PAGESIZE);
}

static int compare(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

/* Sorts the times and prints some quantiles; returns the 99th percentile. */
static int64_t print_times(const char *what, int64_t *times_ns, int64_t count)
{
    qsort(times_ns, (size_t)count, sizeof *times_ns, compare);
    int64_t p99_ns = times_ns[count * 99 / 100];
    printf("%-22s p50 %" PRId64 " ns, p99 %" PRId64 " ns, p99.9 %" PRId64 " ns, max %" PRId64
           " ns\n",
           what, times_ns[count / 2], p99_ns, times_ns[count * 999 / 1000], times_ns[count - 1]);
    return p99_ns;
}

static void time_clock(void)
{
    int64_t *times_ns = xcalloc(CLOCK_READINGS, sizeof *times_ns);
    for (int i = 0; i < CLOCK_READINGS; i++) {
        int64_t began_ns = clock_now_ns();
        times_ns[i] = clock_now_ns() - began_ns;
    }
    print_times("the clock alone", times_ns, CLOCK_READINGS);
    free(times_ns);
}

/* Returns how many were found. */
static int64_t look_up(int64_t max, int64_t *times_ns, int64_t count)
{
    int64_t found = 0;
    for (int64_t i = 0; i < count; i++) {
        struct ticket ticket;
        struct order order =
            order_of(atomic_load(&made) - 1 - (int64_t)random_below((uint64_t)max));
        int64_t began_ns = clock_now_ns();
        enum status status = tickets_find(tickets, order.id, &ticket);
        times_ns[i] = clock_now_ns() - began_ns;
        found += status == ST_OK && ticket.order.user_id == order.user_id;
    }
    return found;
}

static int64_t fill(int64_t max)
{
    int64_t before = resident_bytes();
    tickets = tickets_new(max);
    while (atomic_load(&made) < max) {
        make_one();
    }
    int64_t bytes = resident_bytes() - before;
    struct tickets_stats stats;
    tickets_read_stats(tickets, &stats);
    printf("%" PRId64 " tickets        %.1f MB resident, %" PRId64 " bytes each; %" PRId64
           " final orders in them\n",
           max, (double)bytes / MILLION, bytes / max, stats.final);
    return bytes;
}

int main(int argc, char **argv)
{
    int64_t max = argc > 1 ? strtoll(argv[1], NULL, 10) : MILLION;
    int64_t lookups = argc > 2 ? strtoll(argv[2], NULL, 10) : MILLION;
    if (max < TICKETS_SHARDS || max > INT32_MAX || lookups < 1) {
        fprintf(stderr, "usage: bench_tickets [TICKETS [LOOKUPS]], TICKETS from %d\n",
                TICKETS_SHARDS);
        return EXIT_FAILURE;
    }
    int64_t *times_ns = xcalloc((size_t)lookups, sizeof *times_ns);
    bool is_small = fill(max) <= BYTES_MAX / MILLION * max;
    time_clock();
    pthread_t writer;
    if (pthread_create(&writer, NULL, writer_main, NULL) != 0) {
        perror("pthread_create");
        return EXIT_FAILURE;
    }
    int64_t began_ns = clock_now_ns();
    int64_t found = look_up(max, times_ns, lookups);
    int64_t spent_ns = clock_now_ns() - began_ns;
    is_over = true;
    pthread_join(writer, NULL);
    int64_t p99_ns = print_times("a lookup", times_ns, lookups);
    printf(
        "meanwhile              %.0f orders/s made, added, accepted and finished; %.2f %% of the "
        "lookups found theirs\n",
        (double)(atomic_load(&made) - max) * (double)CLOCK_NS_PER_S / (double)spent_ns,
        (double)found * 100 / (double)lookups);
    bool is_found = found >= lookups / 100 * ALMOST_ALL_PERCENT;
    bool is_fast = p99_ns < P99_MAX_NS;
    printf("memory %s %d MB a million; p99 %s %d ns; found: %s\n", is_small ? "within" : "OVER",
           BYTES_MAX / MILLION, is_fast ? "under" : "NOT under", P99_MAX_NS,
           is_found ? "as they should" : "TOO FEW");
    tickets_free(tickets);
    free(times_ns);
    return is_small && is_fast && is_found ? EXIT_SUCCESS : EXIT_FAILURE;
}
