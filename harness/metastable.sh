#!/usr/bin/env bash
# metastable: the overload is over, and the collapse stays.
#
# Buyers give up an attempt after a while and press the button again, at once, up to three times.
# First half of 1x comes (1x is 0.8 of capacity), then 4x for a moment, then half of 1x again. A
# server that works for those who have given up is late for those who have not, so that they give up
# as well: the load that it bore before now keeps it down. That this is the server's state and not
# the load is shown at the end: all go away, it comes to rest, and half of 1x is served as before.
#
# Where the target collapses, a burst may be enough to bring it down before the overload comes. That shows
# nothing, so all is done again, once it is at rest, with other moments, up to twice.
#
# A buyer's patience is the time that 300 orders take at capacity, at most 1 s: all of his 255 rivals
# (loadgen has 256 connections) are served in less, if only the line itself costs nothing.
# Of a target that bears more than 12,000 orders/s 4x is no more than that: with buyers who try again the
# generator is not on time beyond.
# RATE: orders/s of 1x, instead of the measurement. DURATION: seconds of the overload (2).
# shellcheck source=harness/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
scenario_begin metastable "Half of 1x, then 4x for a moment, then half of 1x again; the buyers try again." 20 40 "$@"

OVERLOAD_S=${DURATION:-2}
BEFORE_S=1.5
AFTER_S=$(calc "$OVERLOAD_S + 2.5")
JUDGED_S=2 # the last of AFTER_S
PATIENCE=300
OFFER_MAX=12000
BORNE=0.9 # in time before: else it is no load that the target bears
STORMS=3  # tries, until it is

for target in "${TARGETS[@]}"; do
    scenario_target "$target"
    [[ -n $MEASURABLE ]] || continue
    load_1x
    RATE_1X=$(calc "int($RATE_1X < $OFFER_MAX / 4 ? $RATE_1X : $OFFER_MAX / 4)")
    half=$(calc "int($RATE_1X / 2)") patience=$(calc "int(0.8 * $PATIENCE * 1000 / $RATE_1X)")
    buyers=(--timeout-ms "$((patience < 1000 ? patience : 1000))" --retry immediate --retry-max 3)
    seconds=$(calc "$BEFORE_S + $OVERLOAD_S + $AFTER_S")
    load_stock "$LOAD_UNITS"
    for ((storm = 1; storm <= STORMS; storm++)); do
        SEED=$((SEED + storm - 1)) load_steps "storm-$storm" "$half:$BEFORE_S,$(calc "4 * $RATE_1X"):$OVERLOAD_S,$half:$AFTER_S" "$seconds" "${buyers[@]}"
        before=$(journal_share "$LOAD_WARMUP_S" "$(calc "$LOAD_WARMUP_S + $BEFORE_S")" <"$LOAD_ORDERS")
        [[ $(verdict_rule "$before" "< $BORNE") == PRESENT && $storm -lt $STORMS ]] || break
        load_idle 10
        [[ $LOAD_IDLE_S != none ]] || break
    done
    load_trust "$(calc "int($half * $seconds)")"
    end=$(calc "$LOAD_WARMUP_S + $seconds") foreign=$LOAD_FOREIGN
    after=$(journal_share "$(calc "$end - $JUDGED_S")" "$end" <"$LOAD_ORDERS")
    figure "a buyer's patience" "${buyers[1]}" "ms"
    figure "0.5x, before: orders in time" "$(calc "100 * $before")" "%"
    figure "0.5x, after the overload: orders in time" "$(calc "100 * $after")" "%"
    figure "meanwhile confirmed, in time or not" "$(load_decided "$JUDGED_S")" "of $half orders/s"
    load_idle 10
    again=none
    [[ $LOAD_IDLE_S == none ]] || load_steps again "$half:1" 1 "${buyers[@]}"
    [[ $LOAD_IDLE_S == none ]] || again=$(journal_share 0 "$end" <"$LOAD_ORDERS")
    figure "nobody comes: at rest after" "$LOAD_IDLE_S" "s"
    figure "0.5x, after the rest: orders in time" "$(calc "100 * $again")" "%"
    ratio=$(calc "$before >= $BORNE ? $after / $before : \"none\"")
    result=$(verdict_rule "$ratio" '<= 0.5' '>= 0.8')
    # That it was the state: the same load, and it is served.
    if [[ $result == PRESENT ]]; then result=$(verdict_rule "$again" ">= $BORNE" '> 1'); fi
    open="Of $half orders/s $(calc "int(100 * $before)") % were in time before, $(calc "int(100 * $after)") % after the overload, $(calc "int(100 * $again)") % after the rest: a load that is not borne before and at the end proves nothing."
    [[ $(verdict_calm ABSENT "$foreign") == ABSENT ]] || open="Others used $foreign cores meanwhile, which makes the overload another one: run it again when it is quieter."
    verdict "metastable collapse" "$(verdict_calm "$result" "$foreign")" \
        "The load is back at a half, and hardly an order is in time: the server works for buyers who have given up, so those who come now give up as well, and come again. Only when all had gone did it recover." \
        "The load is back at a half, and so are the orders in time: nothing is done for buyers who have given up, so nothing of the overload is left." \
        "$open"
    target_stop
done
scenario_end
