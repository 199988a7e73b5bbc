/* test_inventory_keys: phase 5's decisions: one purchase is one row, whatever comes again under its
 * key, for which sale and at the same time as whom. What they have in common with phase 4's is
 * tried there. */
#include "phase5/inventory.h"
#include "phase5/order_rows.h"

#include "phase5/idempotency.h"

#define SCHEMA "phase5/schema.sql"

/* Each order is a purchase of its own. */
static void name_order(struct order *order)
{
    char id[UUID_TEXT_SIZE];
    uuid_random(id);
    snprintf(order->key, sizeof order->key, "a key %s", id);
    idempotency_identify(order);
}

#include "harness/tests/inventory_key_cases.h"

static void add_tests(TCase *tc)
{
    fixture_require("test_inventory_keys");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    add_inventory_key_cases(tc);
}

int main(void)
{
    return test_main("inventory_keys", add_tests);
}
