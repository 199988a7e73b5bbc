# shellcheck shell=bash
# shapes: the loads that compare.sh knows, one row each. Sourced, after figures.sh.
#
#   shape_list               their names and what they are, for --help
#   shape_choose NAME [SECONDS]   sets SHAPE, SHAPE_TEXT, SHAPE_SECONDS, SHAPE_STOCK, SHAPE_READS,
#                            SHAPE_WARMUP_S, SHAPE_FAULT_AT_S (empty: no fault), SHAPE_FAULT_S; status 1:
#                            there is no such shape. SECONDS stretches or shortens all of it.
#   shape_rated              does its rate follow from the target's capacity, which must be measured?
#   shape_rate RATE          sets SHAPE_PARTS, lines "from_s<tab>label<tab>orders/s" for the charts,
#                            and SHAPE_STEPS as loadgen's --steps has them; an empty RATE of a crowd
#                            leaves it as it is
#
# Columns: name | parts | units in stock | reads/s | warm-up s | fault at s:for s | what it is.
# A part is FACTOR:SECONDS of 1x, which is 0.8 of capacity; or crowd:SECONDS:PEAK:BASE:DECAY, orders/s
# that fall from PEAK towards BASE with that time constant. An ample stock outlasts every window.

SHAPE='' SHAPE_TEXT='' SHAPE_SECONDS='' SHAPE_STOCK='' SHAPE_READS='' SHAPE_WARMUP_S=''
SHAPE_FAULT_AT_S='' SHAPE_FAULT_S='' SHAPE_PARTS='' SHAPE_STEPS='' _SHAPE_WHOLE='' _SHAPE_STRETCH=1
SHAPE_PIECE_S=0.1 # a crowd is sent as steps of this length

_shape_table() {
    cat <<'TABLE'
overload|1:3 4:5 0.5:5|1000000000|50|0.5|-|three steps: 1x, four times as much, half of 1x
steady|0.5:10|1000000000|50|0.5|-|half of 1x, all the time
row-lock|0.5:10|1000000000|50|0.5|3:2|half of 1x; for a fifth of it another session locks the sale's row
flash-sale|crowd:6:1200:50:1.5|1000|50|0|-|1000 units; the crowd comes at once and thins out
TABLE
}

shape_list() { _shape_table | awk -F '|' '{ printf "  %-11s %s\n", $1, $7 }'; }

# shellcheck disable=SC2034 # for the scripts
shape_choose() {
    local fault
    IFS='|' read -r SHAPE _SHAPE_WHOLE SHAPE_STOCK SHAPE_READS SHAPE_WARMUP_S fault SHAPE_TEXT < <(
        _shape_table | awk -F '|' -v name="$1" '$1 == name') || return 1
    SHAPE_SECONDS=$(tr ' ' '\n' <<<"$_SHAPE_WHOLE" | awk -F : '{ s += $2 } END { print s }')
    _SHAPE_STRETCH=$(calc "${2:-$SHAPE_SECONDS} / $SHAPE_SECONDS")
    SHAPE_SECONDS=${2:-$SHAPE_SECONDS} SHAPE_FAULT_AT_S='' SHAPE_FAULT_S=''
    if [[ $fault != - ]]; then
        SHAPE_FAULT_AT_S=$(calc "${fault%:*} * $_SHAPE_STRETCH") SHAPE_FAULT_S=$(calc "${fault#*:} * $_SHAPE_STRETCH")
    fi
}

shape_rated() { [[ $_SHAPE_WHOLE != crowd:* ]]; }

# shellcheck disable=SC2034 # for the scripts
shape_rate() {
    local parts
    parts=$(tr ' ' '\n' <<<"$_SHAPE_WHOLE" | awk -F : -v OFS='\t' -v one="$1" -v stretch="$_SHAPE_STRETCH" '
        $1 == "crowd" { print from + 0, "crowd", int(one ? one : $3), $2 * stretch, $4, $5 * stretch; next }
        { print from + 0, $1 "x", int(one * $1), $2 * stretch; from += $2 * stretch }')
    SHAPE_PARTS=$(cut -f 1-3 <<<"$parts")
    SHAPE_STEPS=$(awk -F '\t' -v piece="$SHAPE_PIECE_S" '
        function step(rate, seconds) { printf "%s%.0f:%.3f", sep, rate, seconds; sep = "," }
        $2 != "crowd" { step($3, $4); next }
        { for (t = 0; t < $4 - piece / 2; t += piece) step($5 + ($3 - $5) * exp(-t / $6), piece) }' <<<"$parts")
}
