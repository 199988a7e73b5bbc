#!/usr/bin/env bash
# retry-storm: replies get lost, and the buyers click again.
#
# RATE (100) purchases/s, each of a user of his own who wants one unit and may have two. Of all
# replies a seeded 20 % never reach the buyer (the order was decided all the same); he clicks again
# at once, with the key that he had, up to three times: seldom often enough for a limit of 5 orders
# a second to hide it. Who has two orders then, and wanted one? After that, 32 posts of one and the
# same purchase at the same moment, with one key, and that for five users: how many orders, numbers
# and status URLs are there to a key? DURATION: seconds (3).
# shellcheck source=harness/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
# shellcheck source=harness/lib/orders.sh
source "$ROOT/harness/lib/orders.sh"
scenario_begin retry-storm "20 % of replies lost, and who hears nothing clicks again; 32 clicks at once." 12 24 "$@"

LOST=0.2 LIMIT=2
FEWEST=10 # lost replies, and clicks again
FEWEST_SHARE=0.9 # of the purchases, accepted: else there was little to click for again
CLICKS=32 KEYS=5

for target in "${TARGETS[@]}"; do
    scenario_target "$target"
    [[ -n $MEASURABLE ]] || continue
    load_stock "$LOAD_UNITS" "$LIMIT"
    load_open storm "${RATE:-100}" "${DURATION:-3}" --keys --retry immediate --retry-max 3 --retry-key same \
        --lose-replies "$LOST" --journal "$RUN/$(target_slug).storm.journal"
    load_serves
    load_idle 10
    lost=$(load_get .orders.errors.lost)
    IFS='|' read -r users twice < <(orders_doubled)
    ((${lost:-0} >= FEWEST)) || DOUBT=${DOUBT:-"Only ${lost:-0} replies were lost, at least $FEWEST are needed"}
    again=$(load_get .orders.retries) bought=$(load_get .orders.count)
    ((${again:-0} >= FEWEST)) || DOUBT=${DOUBT:-"Nobody clicks: there were ${again:-0} clicks again, at least $FEWEST are needed"}
    [[ $(verdict_rule "$users" ">= $(calc "$FEWEST_SHARE * $bought")") == PRESENT ]] ||
        DOUBT=${DOUBT:-"Of $bought purchases only $users were confirmed, at least $FEWEST_SHARE of them are needed"}
    orders_clicks "$CLICKS" "$KEYS"
    figure "replies lost on their way" "${lost:-0}" "of $(load_get .orders.attempts)"
    figure "clicks again" "$again" "for $bought purchases"
    figure "users with two orders who wanted one" "$twice" "of $users"
    figure "$CLICKS clicks at once with one key, accepted" "$CLICKS_ACCEPTED" "of $((CLICKS * KEYS))"
    figure "order numbers to a key, at most" "$CLICKS_IDS"
    figure "status URLs to a key, at most" "$CLICKS_URLS"
    figure "rows to a key, at most" "$CLICKS_ROWS"
    ((CLICKS_LEAST > 0 && CLICKS_ROWS > 0)) || DOUBT=${DOUBT:-"There is a key of which no click was accepted, or none is to be found"}
    most=$(printf '%s\n' "$CLICKS_IDS" "$CLICKS_URLS" "$CLICKS_ROWS" | sort -n | tail -n 1)
    ((twice + most > 1 || 2 * CLICKS_ACCEPTED >= CLICKS * KEYS)) ||
        DOUBT=${DOUBT:-"Of $((CLICKS * KEYS)) clicks at once only $CLICKS_ACCEPTED were accepted, at least half are needed"}
    present="$twice users got two of what they wanted one of: their first click had been served, and only the reply was lost. To the server a second click is a second order."
    ((twice > 0)) || present="Nobody got two, but of one key there are up to $most orders: who clicked again was promised another one."
    verdict "duplicate orders under retries" "$(verdict_rule "$((twice + most - 1))" '> 0')" "$present" \
        "Whoever clicked again got the order that he had: same key, same number, one row, also of $CLICKS clicks at the same moment."
    target_stop
done
scenario_end
