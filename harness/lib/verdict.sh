# shellcheck shell=bash
# verdict: what a figure says, and what was declared. Sourced; it measures nothing.
#
#   verdict_rule VALUE PRESENT [ABSENT]   judges by two conditions, '<= 0.5' and '>= 0.8'
#   verdict_agree VERDICT...              what several figures of one failure mode say together
#   verdict_and VERDICT...                what the parts of a design say, which must all be there
#   verdict_quiet VERDICT FOREIGN         doubts an ABSENT that was measured on a busy machine
#   verdict_calm VERDICT FOREIGN          doubts either verdict that was measured on a busy machine
#   verdict_disk VERDICT FLUSHES SHARE    doubts an ABSENT that was measured on a slow disk
#   verdict_audit STATUS                  what the audit's exit status says of a failure mode
#   verdict_units SOON DEADLOCKS STATUS LEFT EARLY
#                                         of stranded stock: SOON orders were told sold_out while enough was
#                                         left, the audit's exit status, LEFT units, why the sales were not
#                                         over (empty: they were)
#   verdict_doubt SUMMARY MIN THREADS [LETS CONNECTIONS]
#                                         why loadgen's run cannot be trusted; empty: it can
#   verdict_fault SUMMARY ANY             why a window is the target's own fault; empty: it is not
#   verdict_expected MODE TARGET          what failure-modes.tsv declares
#   verdict_status                        the exit status, from lines "VERDICT<tab>EXPECTED"
#   verdict_untold SCRIPT TARGET FILE     failure modes without a verdict: the script forgot them
#   verdict_rows SCRIPT, verdict_cells PHASE...   the table's rows; its boundary cells
#
# A verdict is PRESENT, ABSENT or INCONCLUSIVE; "n/a" stands for one that is not asked for. A value
# that is no number proves nothing, so it is INCONCLUSIVE. A target is what scenario.sh takes: N,
# N,VAR=value, a directory or a URL.

VERDICT_TABLE=${VERDICT_TABLE:-$(dirname "${BASH_SOURCE[0]}")/../failure-modes.tsv}
VERDICT_LAG_MS=10     # p99 of the generator's schedule lag: above, it ran late
VERDICT_FLUSHED=0.6   # of the time: above, a slow disk hides a collapse
VERDICT_CPU_SHARE=0.8 # of one core: above, it measured itself

# Does VALUE meet the condition "OP LIMIT"? Status 2: it is not a number.
_verdict_holds() {
    [[ $1 =~ ^-?[0-9]+([.][0-9]+)?([eE][-+]?[0-9]+)?$ ]] || return 2
    awk -v value="$1" -v op="${2%% *}" -v limit="${2##* }" 'BEGIN {
        value += 0; limit += 0
        if (op == "<=") exit !(value <= limit)
        if (op == "<") exit !(value < limit)
        if (op == ">=") exit !(value >= limit)
        if (op == ">") exit !(value > limit)
        exit 2 }'
}

# Without a second condition the first one's negation is ABSENT.
verdict_rule() {
    local status=0
    _verdict_holds "$1" "$2" || status=$?
    if ((status == 0)); then
        echo PRESENT
    elif ((status == 1)) && { (($# == 2)) || _verdict_holds "$1" "$3"; }; then
        echo ABSENT
    else
        echo INCONCLUSIVE
    fi
}

# The failure mode is there when all its figures say so, and gone when all say so.
verdict_agree() {
    local verdict
    for verdict in "$@"; do
        [[ $verdict == "$1" ]] || { echo INCONCLUSIVE; return 0; }
    done
    echo "$1"
}

verdict_and() {
    case " $* " in
    *" ABSENT "*) echo ABSENT ;;
    *" INCONCLUSIVE "*) echo INCONCLUSIVE ;;
    *) echo PRESENT ;;
    esac
}

# Where others use the processors, few clients lose more than many do, and 1x more than 4x: a figure
# that compares rates then looks better than it is. FOREIGN is how many cores others used, empty if
# unknown.
verdict_quiet() {
    if [[ $1 == ABSENT && $(verdict_rule "${2:-0}" "> $MACHINE_FOREIGN_MAX") == PRESENT ]]; then
        echo INCONCLUSIVE
    else
        echo "$1"
    fi
}

# A target that had the machine to itself when its capacity was measured, and now shares it, meets more
# than the load that was meant: what it then cannot bear says nothing of it.
verdict_calm() {
    if [[ $(verdict_rule "${2:-0}" "> $MACHINE_FOREIGN_MAX") == PRESENT ]]; then echo INCONCLUSIVE; else echo "$1"; fi
}

# With many clients each order waits for a flush of its own (FLUSHES per order), and that is the SHARE of
# the time. Few clients need the flushes as well: they could save of the rest alone, so the ratio of
# many to few is at least SHARE + (1 - SHARE) / x, where the rest takes x times as long with many. With
# the x of 2 to 3 that was measured and the limit below that is 0.73 to 0.8: no collapse can be seen.
verdict_disk() {
    local slow
    slow=$(verdict_agree "$(verdict_rule "$2" '>= 0.8')" "$(verdict_rule "$3" "> $VERDICT_FLUSHED")")
    if [[ $1 == ABSENT && $slow == PRESENT ]]; then echo INCONCLUSIVE; else echo "$1"; fi
}

verdict_audit() {
    case $1 in
    0) echo ABSENT ;;
    1) echo PRESENT ;;
    *) echo INCONCLUSIVE ;;
    esac
}

verdict_units() {
    if (($1 + $2 > 0)); then
        echo PRESENT
    elif [[ $(verdict_audit "$3") == ABSENT && ($4 != 0 || -n $5) ]]; then
        echo INCONCLUSIVE
    else
        verdict_audit "$3"
    fi
}

# MIN: so few requests prove nothing. THREADS: the connections that the target can serve at once,
# empty when unknown. LETS: the orders that it lets wait or works on at once, empty when unknown or
# unbounded; CONNECTIONS: those that loadgen has for orders. Where it used them all and the target would
# have let in more, the line was at the buyers: what the target does when it is full was not seen. Who
# answers 202 keeps nobody's connection for an order in line.
verdict_doubt() {
    jq -r --argjson min "$2" --arg threads "${3-}" --arg lets "${4-}" --argjson connections "${5:-0}" --argjson lag "$VERDICT_LAG_MS" \
        --argjson cpu "$VERDICT_CPU_SHARE" '
        def tenth: . * 10 | round / 10;
        .generator as $g | (.orders.count + .reads.count) as $n
        | if $n < $min then "too few requests: \($n), at least \($min) are needed"
          elif $g.lag_p99_ms > $lag then
            "the load generator ran late: p99 \($g.lag_p99_ms | tenth) ms, at most \($lag) is sound"
          elif $g.cpu_share > $cpu then
            "the load generator used \($g.cpu_share * 100 | round) % of a core: it measured itself"
          elif $threads != "" and $g.connections_peak > ($threads | tonumber) then
            "\($g.connections_peak) connections, and the target serves \($threads) at once"
          elif $lets != "" and (.orders.codes["202"] // 0) == 0 and ($lets | tonumber) > $connections and $g.connections_peak >= $connections then
            "the target lets \($lets) orders wait and the generator has \($connections) connections: most of the line was at the buyers, and the target was never full"
          else empty end' "$1" 2>/dev/null || echo "the load generator left no summary"
}

# A target that answers most orders with 5xx, or confirms none at all, is broken, which is no matter of
# verdicts. 503 is a refusal, and under overload most orders may meet with one, or with none in time;
# but then some are confirmed. ANY is "t" if the database has a confirmed order, whatever the replies
# say. A generator that ran late may itself be why nothing came back.
verdict_fault() {
    jq -r --arg any "$2" --argjson lag "$VERDICT_LAG_MS" '
        .orders as $o | ($o.codes // {} | to_entries) as $codes
        | ($codes | map(select((.key | startswith("5")) and .key != "503") | .value) | add // 0) as $broken
        | ([$codes + ($o.errors // {} | to_entries) | sort_by(-.value)[] | "\(.key): \(.value)"] | join(", ")) as $seen
        | if $o.attempts > 0 and $broken * 2 > $o.attempts then
            "it answered \($broken) of \($o.attempts) orders with 5xx (\($seen))"
          elif $o.count > 0 and $o.ok == 0 and $any != "t" and .generator.lag_p99_ms <= $lag then
            "it confirmed none of \($o.count) orders (\($seen))"
          else empty end' "$1" 2>/dev/null || :
}

# Is the target in a cell of the table: "0-2", "1,NAIVE_UNSAFE=1", "3-8 by-design", "-"?
_verdict_in() {
    local target=$1 word
    for word in $2; do
        if [[ $word == "$target" ]]; then return 0; fi
        [[ $target =~ ^[0-9]$ && $word =~ ^([0-9])-([0-9])$ ]] || continue
        if ((target >= BASH_REMATCH[1] && target <= BASH_REMATCH[2])); then return 0; fi
    done
    return 1
}

# Rows of one script, or of all (""): mode<tab>shows<tab>script<tab>measured<tab>present<tab>n/a
verdict_rows() {
    awk -F '\t' -v OFS='\t' -v script="$1" '
        /^#/ || NF < 5 || (script != "" && $2 != script) { next }
        { mode = shows = $1; sub(/:.*/, "", mode); sub(/^[^:]*: */, "", shows)
          print mode, shows, $2, $3, $4, $5 }' "$VERDICT_TABLE"
}

# A variant that no cell names, a directory or a URL is expected to be free of every failure; of
# those that are a phase's design, it is expected to have them.
verdict_expected() {
    local mode present na target=$2
    while IFS=$'\t' read -r mode _ _ _ present na; do
        [[ $mode == "$1" ]] || continue
        if [[ $target =~ ^[0-9](,|$) ]] && _verdict_in "${target%%,*}" "$na"; then
            echo n/a
        elif _verdict_in "$target" "$present"; then
            echo PRESENT
        elif [[ ! $target =~ ^[0-9]$ && $present == *by-design* ]]; then
            echo PRESENT
        else
            echo ABSENT
        fi
        return 0
    done < <(verdict_rows "")
    echo "no such failure mode: $1" >&2
    return 1
}

# 1: one went the wrong way, or there is none at all; 2: none did, and one cannot be said; 0: all as
# declared.
verdict_status() {
    awk -F '\t' '{ n++ } $2 == "n/a" { next } $1 == "INCONCLUSIVE" { open = 1; next } $1 != $2 { wrong = 1 }
        END { print wrong || !n ? 1 : open ? 2 : 0 }'
}

# verdict_untold SCRIPT TARGET FILE: the failure modes of the script that apply to the target and of
# which FILE, lines "mode<tab>target", says nothing.
verdict_untold() {
    local mode
    while IFS=$'\t' read -r mode _; do
        [[ $(verdict_expected "$mode" "$2") == n/a ]] || grep -qxF "$mode"$'\t'"$2" "$3" || printf '%s\n' "$mode"
    done < <(verdict_rows "$1")
}

# The boundary cells, "script<tab>target": of each row the last phase or variant with PRESENT and
# the first with ABSENT, among the phases given (those that are built so far). What a phase brings by
# design also where it begins: the first phase with PRESENT, and the one before.
verdict_cells() {
    local mode script present na word last phase before
    while IFS=$'\t' read -r mode _ script _ present na; do
        last='' before=''
        for phase in "$@"; do
            [[ $present == *by-design* ]] || break
            case $(verdict_expected "$mode" "$phase") in
            ABSENT) before=$phase ;;
            PRESENT)
                if [[ -n $before ]]; then printf '%s\t%s\n' "$script" "$before"; fi
                printf '%s\t%s\n' "$script" "$phase"
                break
                ;;
            esac
        done
        for word in $present; do
            for phase in "$@"; do
                if [[ ${word%%,*} == "$phase" ]]; then last=$word; fi
                if _verdict_in "$phase" "$word"; then last=$phase; fi
            done
        done
        if [[ -n $last ]]; then printf '%s\t%s\n' "$script" "$last"; fi
        for phase in "$@"; do
            if [[ -n $last ]] && ((phase < ${last%%,*})); then continue; fi
            if [[ $(verdict_expected "$mode" "$phase") == ABSENT ]]; then
                printf '%s\t%s\n' "$script" "$phase"
                break
            fi
        done
    done < <(verdict_rows "") | sort -u
}
