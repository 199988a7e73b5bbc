#!/usr/bin/env bash
# frozen-db: PostgreSQL answers nothing for 2 s, not even an error; who waits for it?
#
# Half of 1x (1x is 0.8 of capacity); in the middle every process of the cluster is stopped for 2 s
# (SIGSTOP). Repeated until 1,000 orders were accepted meanwhile, at most 6 times. How many of those
# waited 100 ms or longer for the reply, and how quickly is refused who finds the line full? Orders due
# in its last 100 ms do not count: those may be in time because it is over. An order that was decided
# meanwhile proves that it was not stopped, and then nothing is proved. Of those accepted under 1 % may
# be late, unless others used the machine.
# RATE: orders/s of 1x, instead of the measurement.
# shellcheck source=harness/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
scenario_begin frozen-db "Replies to orders while PostgreSQL is stopped, as slow-db shows it, in the extreme." 24 48 "$@"

FROZEN_S=2 LATE_MS=100
BEFORE_S=1.2 AFTER_S=0.3 # of load; meanwhile what is left of the freeze before is decided
ACCEPTED=1000 ROUNDS=6
FEWEST=8 # accepted while it was frozen, to say that they waited

sum() { awk -v n="$1" '{ sum += $n } END { print sum + 0 }' "$seen"; }

for target in "${TARGETS[@]}"; do
    scenario_target "$target" prepare
    [[ -n $MEASURABLE ]] || continue
    target_restart
    load_1x
    load_stock "$LOAD_UNITS"
    seen=$RUN/$(target_slug).seen accepted=0 foreign=0
    for ((n = 1; n <= ROUNDS && accepted < ACCEPTED; n++)); do
        load_frozen "frozen$n" "$(calc "int($RATE_1X / 2)")" $BEFORE_S $FROZEN_S $AFTER_S --timeout-ms 5000
        ((LOAD_UNFROZEN == 0)) || DOUBT=${DOUBT:-"PostgreSQL was not stopped: it decided $LOAD_UNFROZEN orders meanwhile"}
        load_trust $((ACCEPTED / ROUNDS))
        foreign=$(calc "${LOAD_FOREIGN:-0} > $foreign ? ${LOAD_FOREIGN:-0} : $foreign")
        journal_late $LATE_MS "$LOAD_FROZEN" "$(calc "$LOAD_THAWED - $LATE_MS / 1000")" <"$LOAD_JOURNAL" >>"$seen"
        accepted=$(sum 1) late=$(sum 2)
        ((n == 1 || 2 * late < accepted)) || break # they wait: that is plain by now
    done
    refused=$(sum 3) other=$(sum 5) all=$((accepted + refused + other)) share=none
    ((accepted < FEWEST)) || share=$(quotient $((100 * late)) "$accepted")
    figure "accepted while it was frozen" "$accepted" "of $all orders, in $(wc -l <"$seen") x $FROZEN_S s"
    figure "accepted after $LATE_MS ms or more" "$share" "%"
    figure "refused because the line was full" "$refused"
    figure "refused so after $LATE_MS ms or more" "$(quotient $((100 * $(sum 4))) "$refused")" "%"
    figure "neither" "$other"
    result=$(verdict_rule "$share" '>= 1')
    if [[ $(verdict_rule "$share" '>= 50')$(verdict_rule "$foreign" "> $MACHINE_FOREIGN_MAX") == ABSENTPRESENT ]]; then
        result=INCONCLUSIVE # the machine may have made them late, or the few that are in time so
    fi
    if [[ $result == ABSENT ]]; then # who is not accepted is told so, and at once; of enough orders
        result=$(verdict_rule "$(quotient "$((100 * ($(sum 4) + other)))" "$all")" '>= 1')
        ((accepted >= ACCEPTED)) || result=INCONCLUSIVE
    fi
    verdict "accept latency" "$result" \
        "PostgreSQL stands still, and with it everybody who orders." \
        "PostgreSQL stands still, and orders are accepted as quickly as ever until the line is full; who comes then is told so at once."
    target_stop
done
scenario_end
