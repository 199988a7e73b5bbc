# shellcheck shell=bash
# journal: what loadgen's journal says of a part of a window. Sourced, after figures.sh.
#
#   journal_orders PLAN JOURNAL    a line "due s<tab>1 or 0" per planned order: in time, or not
#   journal_share FROM TO          of such lines: the share in time of the orders due in [FROM, TO)
#   journal_recovery FROM          of such lines: the seconds from FROM until orders are in time again
#   journal_pace FROM TO           of such lines: per half second from FROM to TO a line "middle, s
#                                  after FROM<tab>orders in time that were due in it, per second"
#   journal_refusals CODE FROM TO  of a journal: the latency in ms of each first attempt that was due
#                                  in [FROM, TO) and refused with this code
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
        FNR == 1 { files++ }
        files == 1 { if ($2 == "order") due[n++] = $1; next }
        ($2 == "ok" || $2 == "final") && $12 == "confirmed" && $13 + 0 <= limit { good[$3] = 1 }
        END { for (op = 0; op < n; op++) printf "%.6f\t%d\n", due[op] / 1e6, good[op] }' "$1" "$2"
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
