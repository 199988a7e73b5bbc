/* tickets_fixture: what the tests of phase 4's ticket table share. */
#ifndef FLASHDEAL_TESTS_TICKETS_FIXTURE_H
#define FLASHDEAL_TESTS_TICKETS_FIXTURE_H

#include "common/clock.h"
#include "common/tests/harness.h"
#include "phase4/tickets.h"

#define ck_assert_status(status_, expected_)                                                       \
    ck_assert_str_eq(status_name(status_), status_name(expected_))

/* The order of that number; its id is a UUID. */
static inline struct order order_of(int number)
{
    struct order order = {.sale_id = 1000 + number,
                          .user_id = 2000 + number,
                          .quantity = 3000 + number,
                          .accepted_us = 4000 + number};
    snprintf(order.id, sizeof order.id, "%08x-1bcd-4ef0-8abc-%012x", (unsigned int)number,
             (unsigned int)number * 7);
    return order;
}

static inline enum status add(struct tickets *tickets, int number)
{
    struct ticket known;
    struct order order = order_of(number);
    return tickets_add(tickets, &order, &known);
}

static inline void accept_at(struct tickets *tickets, int number, int64_t place)
{
    tickets_accept(tickets, order_of(number).id, place);
}

static inline void drop(struct tickets *tickets, int number)
{
    tickets_drop(tickets, order_of(number).id);
}

static inline void finish(struct tickets *tickets, int number, bool is_stored)
{
    struct order order = order_of(number);
    tickets_finish(tickets, &order, ORDER_CONFIRMED, is_stored);
}

/* A pending ticket, at the place of its number. */
static inline void make_pending(struct tickets *tickets, int number)
{
    ck_assert_status(add(tickets, number), ST_OK);
    accept_at(tickets, number, number);
}

static inline void make_final(struct tickets *tickets, int number, bool is_stored)
{
    make_pending(tickets, number);
    finish(tickets, number, is_stored);
}

static inline enum status find(struct tickets *tickets, int number)
{
    struct ticket ticket;
    return tickets_find(tickets, order_of(number).id, &ticket);
}

static inline struct tickets_stats read_stats(struct tickets *tickets)
{
    struct tickets_stats stats;
    memset(&stats, 0xff, sizeof stats);
    tickets_read_stats(tickets, &stats);
    return stats;
}

/* Writes the numbers of `count` orders that share a shard, for which only trying helps: the hash
 * has a secret. The table, of `each` places a shard, must be empty, and is so again. */
static inline void find_mates(struct tickets *tickets, int each, int *mates, int count)
{
    int last = 0, found = 0;
    while (add(tickets, last) == ST_OK) {
        last++;
    }
    for (int i = 0; i < last; i++) { /* whoever makes room for `last` by going is a mate */
        drop(tickets, i);
        if (add(tickets, last) == ST_OK) {
            drop(tickets, last);
            ck_assert_status(add(tickets, i), ST_OK);
            ck_assert_int_lt(found, each);
            mates[found++] = i;
        }
    }
    ck_assert_int_eq(found, each);
    for (int i = last; found < count; i++) { /* the shard is full, and only that */
        if (add(tickets, i) == ST_BUSY) {
            mates[found++] = i;
        } else {
            drop(tickets, i);
        }
    }
    for (int i = 0; i < each; i++) {
        drop(tickets, mates[i]);
    }
}

#endif
