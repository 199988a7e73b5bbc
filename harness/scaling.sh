#!/usr/bin/env bash
# scaling: the same crowd in front of each target: 64 clients who all want the one hot sale.
#
# In 5 rounds, one target after the other in each: what the database confirms per second, with clients
# that order and order again and ask for the outcome of every fiftieth (seeded), as asking costs what
# ordering costs; and how many orders are turned away per second when all is sold. Once for each target
# besides: confirmed/s and how long a confirmation takes when all ask; WAL flushes per order; the same
# orders for a sale that there is not; a small sale, audited. Ratios are those of the same round, medians;
# the first target is what the others are compared with. Where a target writes a row for each order, the
# processor time that PostgreSQL takes for it while all is sold: most of that is for rows.
# CLIENTS: 64. DURATION: seconds of a window (2). ROUNDS: 5.
# shellcheck source=harness/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
# shellcheck source=harness/lib/scaling.sh
source "$ROOT/harness/lib/scaling.sh"
scenario_begin scaling "The same crowd on one hot sale: durable orders per second, and what they cost." 60 120 "$@"

WINDOW=${DURATION:-2} CROWD=${CLIENTS:-64} ROUNDS=${ROUNDS:-5}
ASK=0.02   # of the accepted orders
FEWEST=100 # confirmed, or turned away, in a window, else it proves nothing
BASE=${TARGETS[0]}

for ((round = 1; round <= ROUNDS; round++)); do
    for target in "${TARGETS[@]}"; do
        target_start "$target"
        load_stock "$LOAD_UNITS"
        load_closed "round-$round" "$CROWD" "$WINDOW" --await $ASK
        load_trust $FEWEST $FEWEST
        confirmed=$LOAD_CONFIRMED_S foreign=$LOAD_FOREIGN
        load_stock 0
        spent_s=$(scaling_postgres_s)
        load_closed "sold-out-$round" "$CROWD" "$WINDOW" --await $ASK
        row_us=$(scaling_row_us "$spent_s")
        scaling_doubt
        foreign=$(printf '%s\n' "$foreign" "$LOAD_FOREIGN" | sort -g | tail -n 1)
        turned_away=$(scaling_turned_away "$WINDOW")
        printf '%s\t%s\t%s\t%s\t%s\n' "$target" "$confirmed" "$turned_away" "$foreign" "$row_us" >>"$RUN/rounds.tsv"
        [[ $(calc "$turned_away * $WINDOW >= $FEWEST") == 1 ]] || DOUBT=${DOUBT:-"fewer than $FEWEST orders were turned away: $turned_away a second"}
        ((round > 1)) || scaling_once "$CROWD" "$WINDOW"
        target_stop
    done
done

of() { awk -F '\t' -v n="$2" -v t="$1" '$1 == t { print $n }' "$RUN/rounds.tsv"; } # TARGET FIELD

# over NAME FIELD: the ratios to BASE of the same rounds
over() {
    local ratios
    [[ $target != "$BASE" ]] || return 0
    ratios=$(pair_ratios "$2" "$BASE" "$target" <"$RUN/rounds.tsv")
    figure "$1: over that of $BASE, same round" "$(median <<<"$ratios")"
    figure "$1: smallest such ratio" "$(percentile 1 <<<"$ratios")"
    figure "$1: largest" "$(percentile 100 <<<"$ratios")"
}

database=$TARGET_DB
for target in "${TARGETS[@]}"; do
    target_parse "$target"
    progress_end
    printf '\n%s\n' "${BOLD}$(target_name), in $ROUNDS rounds${PLAIN}"
    figure "confirmed/s, $CROWD clients (median of $ROUNDS)" "$(of "$target" 2 | median)" "orders/s"
    over "confirmed/s" 2
    figure "sold out: turned away/s (median of $ROUNDS)" "$(of "$target" 3 | median)" "orders/s"
    over "sold out" 3
    row_us=$(of "$target" 5 | median_known)
    [[ $row_us == unknown ]] || figure "sold out: PostgreSQL's time for a row (median)" "$row_us" "us"
done
TARGET_DB=$database # for its version, in the summary
# Of a round the busiest window: its ratios are as good as that.
foreign=$(awk -F '\t' -v n=${#TARGETS[@]} '$4 != "" && (most == "" || $4 + 0 > most) { most = $4 } NR % n == 0 { print most; most = "" }' \
    "$RUN/rounds.tsv" | median_known)
figure "cores that others used (median)" "$foreign"
[[ $(verdict_calm ABSENT "$foreign") == ABSENT ]] || DOUBT=${DOUBT:-"others used $foreign cores meanwhile: the ratios are of a busier machine"}
[[ -z $DOUBT ]] || scenario_worse 2
TEXTS=("Every unit is accounted for." "The audit fails." "Inconclusive: ${DOUBT:-an audit cannot say}.")
scenario_finish "$WORST" "${TEXTS[WORST]}"
