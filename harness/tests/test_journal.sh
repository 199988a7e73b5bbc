#!/usr/bin/env bash
# test_journal: the arithmetic of lib/journal.sh on small journals whose answer is known.
set -euo pipefail
# shellcheck source=harness/lib/common.sh
source "$(dirname "$0")/../lib/common.sh"
# shellcheck source=harness/lib/figures.sh
source "$ROOT/harness/lib/figures.sh"
# shellcheck source=harness/lib/journal.sh
source "$ROOT/harness/lib/journal.sh"

dir=$(mktemp -d)
on_exit rm -rf "$dir"
passed=0 failed=0

# is NAME EXPECTED ACTUAL
is() {
    if [[ $2 == "$3" ]]; then
        passed=$((passed + 1))
        say "ok $1"
    else
        failed=$((failed + 1))
        say "not ok $1: '$3', not '$2'"
    fi
}

# ------------------------------------------------------------------------ which order was in time
# plan DUE_S...: an order is due at each of these, and a read and a probe between them, which are none.
plan() {
    local due
    printf '#flashdeal-plan 1\n#seed 1 warmup_us 0 window_us 9000000 path /health\n'
    for due in "$@"; do
        awk -v due="$due" 'BEGIN {
            printf "%d\torder\t1\t7\t1\n%d\tread\t1\t0\t0\n%d\tprobe\t0\t0\t0\n", due * 1e6, due * 1e6, due * 1e6 }'
    done
}
# journal "AT_S EVENT OP ATTEMPT HTTP CODE STATE LATENCY_S"...
journal() {
    printf '#flashdeal-journal 1\n'
    printf '%s\n' "$@" | awk -v OFS='\t' '{
        print int($1 * 1e6 + 0.5), $2, $3, $4, 1, 7, 1, "-", $5, $6, "-", $7, ($8 == "-" ? "-" : int($8 * 1e6 + 0.5)) }'
}
# in_time LINE...: of the orders due at 0, 1, 2, 3 s.
in_time() {
    plan 0 1 2 3 >"$dir/plan"
    journal "$@" >"$dir/journal"
    journal_orders "$dir/plan" "$dir/journal" | cut -f 2 | tr -d '\n'
}
is "confirmed at once, after 1 s, too late, never sent" 1100 "$(in_time \
    '0 invoke 0 1 - - - -' '0.01 ok 0 1 201 - confirmed 0.01' '1 invoke 1 1 - - - -' '2 ok 1 1 201 - confirmed 1' \
    '2 invoke 2 1 - - - -' '3.000001 ok 2 1 201 - confirmed 1.000001')"
is "refused, lost, and a time-out" 0000 "$(in_time '0.1 fail 0 1 503 queue_full - 0.1' \
    '1.1 info 1 1 201 lost confirmed 0.1' '2.5 info 2 1 - timeout - 0.5')"
is "a retry counts from when the order was due" 1000 "$(in_time \
    '0.3 info 0 1 - timeout - 0.3' '0.4 ok 0 2 201 - confirmed 0.4' '1.9 info 1 1 - timeout - 0.9' '2.1 ok 1 2 201 - confirmed 1.1')"
is "accepted is not confirmed, until it is final" 0010 "$(in_time '0.1 ok 0 1 202 - pending 0.1' \
    '1.1 ok 1 1 202 - pending 0.1' '1.9 final 1 1 - sold_out rejected 0.9' '2.1 ok 2 1 202 - pending 0.1' '2.9 final 2 1 - - confirmed 0.9')"
is "with nothing in the journal all are late" 0000 "$(in_time)"
is "the due times are the plan's" "0.000000 1.000000 2.000000 3.000000 " \
    "$(journal_orders "$dir/plan" "$dir/journal" | cut -f 1 | tr '\n' ' ')"

# ------------------------------------------------------------------ what only the database knows
# ended "ID|S"... -- LINE...: as in_time, where the orders in the journal have their number as their id.
ended() {
    : >"$dir/ends"
    while [[ $1 != -- ]]; do
        printf '%s\n' "$1" >>"$dir/ends"
        shift
    done
    plan 0 1 2 3 >"$dir/plan"
    journal "${@:2}" | awk -F '\t' -v OFS='\t' 'NF == 13 { $11 = $3 } { print }' >"$dir/journal"
    journal_orders "$dir/plan" "$dir/journal" "$dir/ends" | cut -f 2 | tr -d '\n'
}
accepted=('0.1 ok 0 1 202 - pending 0.1' '1.1 ok 1 1 202 - pending 0.1' '2.1 ok 2 1 202 - pending 0.1' '3.1 fail 3 1 503 queue_full - 0.1')
is "accepted, and confirmed in time, too late, never" 1000 "$(ended '0|1.0' '1|2.000001' -- "${accepted[@]}")"
is "counted from when it was due, not accepted" 0100 "$(ended '1|1.9' '3|3.1' -- "${accepted[@]}")"
is "nothing is confirmed" 0000 "$(ended -- "${accepted[@]}")"
is "how long each took, of the window alone" "1.000000 900.000
2.000000 100.000" "$(ended '0|0.5' '1|1.9' -- "${accepted[@]}" '2.1 ok 2 1 201 - confirmed 0.1' >/dev/null
    journal_confirmed "$dir/ends" 1 3 <"$dir/journal" | sort | tr '\t' ' ')"
is "the database's word comes before the client's" "1.000000 200.000" "$(ended '1|1.2' -- "${accepted[1]}" '1.6 final 1 1 200 - confirmed 0.6' >/dev/null
    journal_confirmed "$dir/ends" 0 9 <"$dir/journal" | tr '\t' ' ')"
is "who was awaited needs no database" "1.000000 600.000" "$(ended -- "${accepted[1]}" '1.6 final 1 1 200 - confirmed 0.6' >/dev/null
    journal_confirmed "$dir/ends" 0 9 <"$dir/journal" | tr '\t' ' ')"
plan >"$dir/plan"
is "without a planned order there is none" "" "$(journal_orders "$dir/plan" "$dir/journal")"

# -------------------------------------------------------------------------- the share in a part of it
# orders STEP_S SHARES..: orders STEP_S apart, one for each character: 1 in time, 0 late.
orders() { awk -v step="$1" -v s="$2" 'BEGIN { for (i = 1; i <= length(s); i++) printf "%.6f\t%s\n", (i - 1) * step, substr(s, i, 1) }'; }
# many N CHARACTER
many() { printf "%$1s" '' | tr ' ' "$2"; }
share() { orders 0.1 0011111101 | journal_share "$1" "$2"; }
is "the share of all" 0.7 "$(share 0 1)"
is "of a part" 0.75 "$(share 0.55 0.95)"
is "the first moment belongs to it, the last does not" 0 "$(share 0 0.15)"
is "and not the one at the end" 1 "$(share 0.2 0.8)"
is "none was due" none "$(share 2 3)"
is "of no order" none "$(journal_share 0 1 </dev/null)"

# ------------------------------------------------------------------------------------- the recovery
back() { orders 0.01 "$2" | journal_recovery "$1"; }
is "late for one second of four, then in time" 0.85 "$(back 0 "$(many 100 0)$(many 300 1)")"
is "never late" 0 "$(back 0 "$(many 400 1)")"
is "never in time" none "$(back 0 "$(many 400 0)")"
is "an outlier is no relapse" 0 "$(back 0 "$(many 200 1)0$(many 199 1)")"
is "a relapse is one" 1.95 "$(back 0 "$(many 100 0)$(many 50 1)$(many 60 0)$(many 290 1)")"
is "one in ten late to the end is not in time" none "$(back 0 "$(printf '1111101111%.0s' {1..40})")"
is "95 % is enough" 0 "$(back 0 "$(many 10 0)$(many 190 1)")"
is "in time in the last second only is not known" none "$(back 0 "$(many 350 0)$(many 90 1)")"
is "counted from the moment asked for" 0.95 "$(back 1 "$(many 200 0)$(many 100 1)")"
is "what was before that does not count" 0 "$(back 1 "$(many 100 0)$(many 300 1)")"
is "without an order there is no recovery" none "$(journal_recovery 0 </dev/null)"
is "nor with less than a second of them" none "$(back 0 "$(many 90 1)")"

# ---------------------------------------------------------------------------------------- the pace
is "orders in time per second, by the half second in which they were due" "0.250 100.000|0.750 0.000|1.125 40.000|" \
    "$(orders 0.01 "$(many 100 0)$(many 50 1)$(many 60 0)$(many 10 1)$(many 100 0)" | journal_pace 1 2.25 | tr '\t\n' ' |')"
is "where none was due there is none" "0.250 0.000|0.750 0.000|" "$(journal_pace 0 1 </dev/null | tr '\t\n' ' |')"

# ------------------------------------------------------------------------------------ the refusals
refusals() {
    journal '1.5 invoke 0 1 - - - -' '1.502 fail 0 1 503 queue_full - 0.002' '0.4 fail 1 1 503 queue_full - 0.1' \
        '1.9 fail 2 1 503 deadline_exceeded - 0.6' '2.2 fail 3 1 503 queue_full - 0.3' '1.9 fail 4 2 503 queue_full - 0.7' \
        '1.6 info 5 1 - timeout - 0.1' '3.1 fail 6 1 503 queue_full - 0.1' '1.7 ok 7 1 201 - confirmed 0.1' \
        '3.2 fail 8 1 503 queue_full - 0.25' '1.2 fail 9 1 503 queue_full - 0.3' |
        journal_refusals "$1" 1 3 | tr '\n' ' '
}
is "first attempts that were due in the window, refused with that code" "2 300 250 " "$(refusals queue_full)"
is "another code" "600 " "$(refusals deadline_exceeded)"
is "none" "" "$(refusals rate_limited)"
is "and their p99 is none" none "$(percentile 99 </dev/null)"

# ---------------------------------------------------------------------- from accepted to decided
# lags FROM TO: of order "o0", "o1" .., accepted at 1, 1.5, 2, 2.5 s; what the database has of them.
lags() {
    journal '0.9 invoke 0 1 - - - -' '1 ok 0 1 202 - pending 0.01' '1.5 ok 1 1 202 - pending 0.3' '1.6 fail 4 1 503 queue_full - 0.01' \
        '2 ok 2 1 202 - pending 0.01' '2.5 ok 3 1 202 - pending 0.01' '2.6 final 3 1 200 - confirmed 0.11' |
        awk -F '\t' -v OFS='\t' '{ $11 = "o" $3; print }' | journal_lags "$dir/decided" "$1" "$2" | tr '\n' ' '
}
printf '%s\n' 'o0|1.4' 'y|1.5' 'o1|2.5' 'o2|2.75' 'x|3' 'o4|9' >"$dir/decided"
is "the time from the acknowledgement, and how many were decided in it" "0.400000|1 1.000000|1 0.750000|2 " "$(lags 0 9)"
is "of those acknowledged in the window, its first moment included" "0.400000|1 1.000000|1 " "$(lags 1 2)"
printf '%s\n' 'a|0.2' 'b|1.1' 'c|1.2' 'd|1.3' 'o0|1.4' >"$dir/decided"
is "what was decided before does not count, it does itself" "0.400000|4 " "$(lags 0 9)"
: >"$dir/decided"
is "none was decided" "" "$(lags 0 9)"

# ------------------------------------------------------------------------- accepted, and how late
late() {
    journal '1.2 invoke 0 1 - - - -' '1.05 ok 0 1 202 - pending 0.05' '1.6 ok 1 1 202 - pending 0.1' '3 ok 2 1 201 - confirmed 1.9' \
        '1.4 fail 3 1 503 queue_full - 0.01' '1.9 fail 4 1 503 queue_full - 0.2' '1.8 fail 5 1 503 overloaded - 0.01' \
        '2.9 info 6 1 - timeout - 1' '2.95 final 1 1 200 - confirmed 1.4' '1 ok 7 1 202 - pending 0.2' '2.2 ok 8 1 202 - pending 0.05' |
        journal_late 100 "$1" "$2"
}
is "accepted, late, refused, late, neither; due in the window" "3 2 2 1 2" "$(late 1 2)"
is "one moment of it: late is 100 ms or more" "1 1 0 0 0" "$(late 1.5 1.6)"
is "nothing was due" "0 0 0 0 0" "$(late 5 6)"

# ------------------------------------------------------------------------- sold out, said too soon
# line USER EVENT SALE QUANTITY CODE STATE: one of a journal, in its order
line() { printf '1\t%s\t%d\t1\t%d\t%d\t%d\t-\t-\t%s\t-\t%s\t-\n' "$2" "$1" "$3" "$1" "$4" "$5" "$6"; }
# told LEFT: of the journals one and two, with so much left of sale 1
told() { journal_too_soon "$dir/one" "$dir/two" <<<"1|$1"; }
: >"$dir/two"
{
    line 1 invoke 1 3 - -
    line 2 invoke 1 2 - -
    line 2 fail 1 2 sold_out -
    line 1 ok 1 3 - confirmed
} >"$dir/one"
is "sold to one who came before the refusal was told: nothing is proved" "1|0" "$(told 0)"
is "what is left at the end is no less than was left then" "1|1" "$(told 2)"
is "too little of it" "1|0" "$(told 1)"
{
    line 1 invoke 1 2 - -
    line 1 final 1 2 sold_out rejected
    line 2 invoke 1 1 - -
    line 3 invoke 2 5 - -
    line 2 ok 1 1 - pending
    line 2 final 1 1 - confirmed
    line 3 ok 2 5 - confirmed
} >"$dir/one"
is "sold to one who came after, but not enough, or of another sale" "1|0" "$(told 0)"
is "with what is left it is enough" "1|1" "$(told 1)"
{
    line 9 invoke 1 1 - -
    line 9 ok 1 1 - confirmed
} >"$dir/two"
is "and so it is with what the next journal sold" "1|1" "$(told 0)"
{
    line 9 invoke 1 1 - -
    line 9 info 1 1 timeout -
} >"$dir/two"
is "an order of unknown end sells nothing" "1|0" "$(told 0)"

# --------------------------------------------------------------------------------- nearest rank
is "p99 of 1 to 100" 99 "$(seq 100 | shuf | percentile 99)"
is "p99 of 1 to 200" 198 "$(seq 200 | shuf | percentile 99)"
is "p99 of ten is the greatest" 10 "$(seq 10 | percentile 99)"
is "p50 of four is the second" 2 "$(seq 4 | percentile 50)"
is "of one number it is that" 7 "$(echo 7 | percentile 1)"

say "$passed passed, $failed failed"
((failed == 0))
