#!/usr/bin/env bash
# test_log_cost: what a line for each request costs: processor seconds of the server per order.
#
# Two servers of phase 2, one with its log as it is by default and one without, under the same load
# (8 clients over 16 sales, which does not saturate them) at the same time, so that whatever else the
# machine does slows both. In each of 5 windows their processor time per confirmed order is compared;
# the median ratio must be at most 1.05. Prints `ok NAME`, `not ok NAME: why` or, where it is over and
# others used much of the processors, `skip NAME: why`.
set -euo pipefail
unset MODE DATABASE_URL
# shellcheck source=harness/lib/common.sh
source "$(dirname "$0")/../lib/common.sh"
# shellcheck source=harness/lib/postgres.sh
source "$ROOT/harness/lib/postgres.sh"
# shellcheck source=harness/lib/figures.sh
source "$ROOT/harness/lib/figures.sh"
# shellcheck source=harness/lib/machine.sh
source "$ROOT/harness/lib/machine.sh"
# shellcheck source=harness/lib/target.sh
source "$ROOT/harness/lib/target.sh"
# shellcheck source=harness/lib/load.sh
source "$ROOT/harness/lib/load.sh"

SPECS=(2 "2,LOG_LEVEL=warn,LOG_SLOW_MS=60000") # with a log, without one
CLIENTS=4                                    # of each
SALES=16
PAIRS=5
WARM_S=1
PAIR_S=(3 6) # of one window; the second when the first says no
RATIO_MAX=1.05
GATHER_S=0.2        # the server writes its lines within LOG_GATHER_MS
FEWEST_ORDERS=500   # confirmed by each in a window, else it proves nothing
USERS_EACH=10000000 # the second server's are numbered from here on
AUTH_SECRET=''
TARGET_PORTS=16300-16349

cd "$ROOT"
RUN=$(mktemp -d)
on_exit rm -rf "$RUN"
pids=() urls=() logs=()

# Both work on one database, which the first one's start has made.
start_second() {
    local database=$TARGET_DB
    target_parse "$1"
    TARGET_DB=$database TARGET_LOG=$RUN/second.server.log
    target_spawn
    target_ready "$TARGET_READY_S" || die "$(target_name) does not serve: $(target_last_words)"
}

keep_target() { pids+=("$TARGET_PID") urls+=("$TARGET_URL") logs+=("$TARGET_LOG"); }

# Of all threads of server I; none of them ends while it serves.
cpu_ns() { cat /proc/"${pids[$1]}"/task/*/schedstat | awk '{ ns += $1 } END { printf "%.0f\n", ns }'; }

lines() { grep -c '"event":"request"' "${logs[$1]}" || :; }

orders() {
    target_sql "SELECT count(*) FROM audit_orders WHERE status = 'confirmed'
        AND user_id / $USERS_EACH = $1"
}

# load SECONDS: both servers
load() {
    local i loads=()
    load_stock "$LOAD_UNITS" 1000000 "$SALES"
    for i in 0 1; do
        build/release/loadgen --url "${urls[i]}" --clients "$CLIENTS" --duration "$1" --sales "1-$SALES" \
            --first-user $((i * USERS_EACH + 1)) --quiet --summary "$RUN/$i.summary" 2>"$RUN/$i.loadgen" &
        loads+=($!)
        postgres_keep $!
    done
    for i in 0 1; do
        wait "${loads[i]}" || die "loadgen failed: $(tail -n 1 "$RUN/$i.loadgen")"
    done
}

# measure SECONDS: a line with and without, us of processor per order, and the cores others used
measure() {
    local i cpu lines sample count cost=() per_order=()
    cpu=("$(cpu_ns 0)" "$(cpu_ns 1)") lines=("$(lines 0)" "$(lines 1)") sample=$(machine_sample) || : # a process ended while it was looked at
    load "$1"
    sample=$(machine_foreign "$sample" "$(machine_sample || :)")
    sleep "$GATHER_S"
    for i in 0 1; do
        count=$(orders "$i")
        ((count >= FEWEST_ORDERS)) || die "server $i confirmed only $count orders in $1 s"
        cost+=("$(calc "($(cpu_ns "$i") - ${cpu[i]}) / 1000 / $count")")
        per_order+=("$(calc "($(lines "$i") - ${lines[i]}) / $count")")
    done
    [[ ${per_order[*]} == '1 0' ]] ||
        die "an order has ${per_order[0]} lines of log with and ${per_order[1]} without, so there is nothing to compare"
    printf 'with\t%s\t%s\nwithout\t%s\t%s\n' "${cost[0]}" "$sample" "${cost[1]}" "$sample"
}

# pairs SECONDS: RATIO and FOREIGN, the medians
pairs() {
    local pair
    : >"$RUN/table"
    for ((pair = 1; pair <= PAIRS; pair++)); do
        measure "$1" >"$RUN/pair"
        say "# pair $pair, us of processor per order and cores that others used: $(tr '\t\n' '  ' <"$RUN/pair")" >&2
        cat "$RUN/pair" >>"$RUN/table"
    done
    RATIO=$(pair_ratios 2 without with < <(tac "$RUN/table") | median)
    FOREIGN=$(cut -f 3 "$RUN/table" | median)
}

name="logging costs at most $RATIO_MAX of the processor time of an order without it"
if ! cat /proc/self/schedstat >"$RUN/schedstat" 2>/dev/null; then
    say "skip $name: this kernel does not say how long a thread has run (/proc/self/schedstat)"
    exit 0
fi
harness_make build/release/loadgen
postgres_start logcost
target_start "${SPECS[0]}"
keep_target
start_second "${SPECS[1]}"
keep_target
load "$WARM_S"
for seconds in "${PAIR_S[@]}"; do
    pairs "$seconds"
    if awk -v r="$RATIO" -v max="$RATIO_MAX" 'BEGIN { exit !(r <= max) }'; then
        say "ok $name (median of $PAIRS pairs: $RATIO)"
        exit 0
    fi
done
if awk -v f="$FOREIGN" -v max="$MACHINE_FOREIGN_MAX" 'BEGIN { exit !(f > max) }'; then
    say "skip $name: the median of $PAIRS pairs is $RATIO, but others used $FOREIGN cores meanwhile"
    exit 0
fi
say "not ok $name: the median of $PAIRS pairs is $RATIO, also with windows of $seconds s"
exit 1
