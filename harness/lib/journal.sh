# shellcheck shell=bash
# journal: what loadgen's journal says of a part of a window. Sourced, after figures.sh.
#
#   journal_orders PLAN JOURNAL [ENDS]   a line "due s<tab>1 or 0" per planned order: in time, or not
#   journal_confirmed ENDS FROM TO of a journal: a line "due s<tab>ms" per order that was due in [FROM,
#                                  TO) and confirmed: how long after it was due
#   journal_share FROM TO          of such lines: the share in time of the orders due in [FROM, TO)
#   journal_recovery FROM          of such lines: the seconds from FROM until orders are in time again
#   journal_pace FROM TO           of such lines: per half second from FROM to TO a line "middle, s
#                                  after FROM<tab>orders in time that were due in it, per second"
#   journal_refusals CODE FROM TO  of a journal: the latency in ms of each first attempt that was due
#                                  in [FROM, TO) and refused with this code
#   journal_lags DECIDED FROM TO   of a journal, and of lines "order id|s", by the moment in which an
#                                  order was decided: a line "s|n" for each acknowledged in [FROM, TO),
#                                  the time until it was decided, and how many were from then on, with it
#   journal_late MS FROM TO        of a journal: "accepted late refused late open" of the orders due in
#                                  [FROM, TO): accepted, and how many of them after MS or more; refused
#                                  because the line was full, likewise; and those with no such answer
#   journal_too_soon JOURNAL...    of journals of one target, each begun after the end of the one before, by
#                                  other users: "told|too soon": the orders that were told sold_out, and
#                                  those among them for whom as many units were provably left. Standard
#                                  input: lines "sale|units left at the end"
#
# ENDS has lines "order id|s", the moment in which the database confirmed it: where a reply is 202,
# nobody else knows, but for those that were awaited.
#
# Times count from the load's start, its warm-up included. In time is an order that was confirmed
# within 1 s of being due; an order that got no connection has no line in the journal, which is why
# the plan is asked what was due. "none" where there is nothing to judge.

JOURNAL_IN_TIME_US=1000000
JOURNAL_AGAIN=0.95 # the share of all orders from then on: an outlier is no relapse
JOURNAL_PACE_S=0.5 # shorter: the noise of single orders
JOURNAL_LEFT_S=1   # so much must be left to judge by

journal_orders() {
    awk -F '\t' -v limit="$JOURNAL_IN_TIME_US" '
        file == "plan" { if ($2 == "order") due[n++] = $1; next }
        file == "ends" { split($0, field, "|"); end[field[1]] = field[2] * 1e6; next }
        $2 == "ok" && ($11 in end) && end[$11] - ($1 - $13) <= limit { good[$3] = 1 }
        ($2 == "ok" || $2 == "final") && $12 == "confirmed" && $13 + 0 <= limit { good[$3] = 1 }
        END { for (op = 0; op < n; op++) printf "%.6f\t%d\n", due[op] / 1e6, good[op] }' \
        file=plan "$1" file=ends "${3:-/dev/null}" file=journal "$2"
}

# Who awaits an order learns of its end later than the database.
journal_confirmed() {
    awk -F '\t' -v from="$2" -v to="$3" '
        file == "ends" { split($0, field, "|"); end[field[1]] = field[2] * 1e6; next }
        $2 != "ok" && ($2 != "final" || $3 in us) { next }
        { due[$3] = $1 - $13 }
        $2 == "ok" && ($11 in end) { us[$3] = end[$11] - due[$3]; next }
        $12 == "confirmed" { us[$3] = $13 }
        END {
            for (op in us)
                if (due[op] >= from * 1e6 && due[op] < to * 1e6) printf "%.6f\t%.3f\n", due[op] / 1e6, us[op] / 1000
        }' file=ends "$1" file=journal -
}

journal_share() {
    awk -F '\t' -v from="$1" -v to="$2" '
        $1 >= from && $1 < to { n++; good += $2 }
        END { print n ? good / n : "none" }'
}

# What remains at the end may be shorter than the others.
journal_pace() {
    awk -F '\t' -v from="$1" -v to="$2" -v pace="$JOURNAL_PACE_S" '
        $1 >= from && $1 < to { good[int(($1 - from) / pace)] += $2 }
        END {
            for (i = 0; to - from - i * pace > pace / 100; i++) {
                long = to - from - i * pace
                if (long > pace) long = pace
                printf "%.3f\t%.3f\n", i * pace + long / 2, good[i] / long
            }
        }'
}

# Looked at from the end: the earliest order from which on enough are in time.
journal_recovery() {
    awk -F '\t' -v from="$1" -v again="$JOURNAL_AGAIN" -v left="$JOURNAL_LEFT_S" '
        $1 >= from { due[++n] = $1; in_time[n] = $2 }
        END {
            for (i = n; i >= 1; i--) {
                good += in_time[i]
                if (due[n] - due[i] >= left && good >= again * (n - i + 1)) since = i
            }
            if (!since) print "none"
            else print since == 1 ? 0 : due[since] - from
        }'
}

journal_refusals() {
    awk -F '\t' -v code="$1" -v from="$2" -v to="$3" '
        $2 == "fail" && $4 == 1 && $10 == code {
            due = ($1 - $13) / 1e6
            if (due >= from && due < to) print $13 / 1000
        }'
}

# Moments come in order, so how many are not after one is found by halving.
journal_lags() {
    awk -F '\t' -v from="$2" -v to="$3" '
        function upto(moment, low, high, middle) {
            high = n
            while (low < high) {
                middle = int((low + high + 1) / 2)
                if (at[middle] <= moment) low = middle; else high = middle - 1
            }
            return low + 0
        }
        file == 1 { split($0, field, "|"); decided[field[1]] = at[++n] = field[2] + 0; next }
        $2 != "ok" || !($11 in decided) { next }
        { told = $1 / 1e6 }
        told >= from && told < to { printf "%.6f|%d\n", decided[$11] - told, upto(decided[$11]) - upto(told) }' \
        file=1 "$1" file=2 -
}

journal_late() {
    awk -F '\t' -v late_us="$(($1 * 1000))" -v from="$2" -v to="$3" '
        $2 != "ok" && $2 != "fail" && $2 != "info" { next }
        { due = ($1 - $13) / 1e6 }
        due < from || due >= to { next }
        $2 == "ok" { accepted++; accepted_late += $13 >= late_us; next }
        $10 == "queue_full" { refused++; refused_late += $13 >= late_us; next }
        { open++ }
        END { print accepted + 0, accepted_late + 0, refused + 0, refused_late + 0, open + 0 }'
}

# Read backwards, a sale's later units are what was left at the end and what was sold to orders that
# were sent from here on. They were there when an order was judged whose refusal is read now.
journal_too_soon() {
    local left i
    left=$(cat)
    for ((i = $#; i > 0; i--)); do tac "${!i}"; done |
        awk -F '\t' -v left="$left" '
            BEGIN { for (n = split(left, line, "\n"); n > 0; n--) { split(line[n], field, "|"); later[field[1]] = field[2] } }
            { order = $3 " " $6 }
            ($2 == "ok" || $2 == "final") && $12 == "confirmed" { confirmed[order] = 1 }
            $2 == "invoke" && $4 == 1 && (order in confirmed) { later[$5] += $7 }
            $10 == "sold_out" && ($2 == "fail" || $2 == "final") { told++; soon += later[$5] >= $7 }
            END { printf "%d|%d\n", told, soon }'
}
