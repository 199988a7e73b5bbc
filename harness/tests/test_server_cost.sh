#!/usr/bin/env bash
# test_server_cost: what phases 0 and 1 cost, measured from outside.
#
# Bad clients must not leak memory, descriptors or database sessions of phase 1 nor starve a good one
# (test_http_abuse, against a server with threads for a thousand connections), and the checks must
# not make civetweb slow: GET /health of phase 0 with 64 keep-alive connections, against a bare handler of civetweb's that replies the same bytes, in 5
# interleaved pairs. Prints Check's line, `ok NAME` and `not ok NAME: why`.
set -euo pipefail
unset MODE DATABASE_URL
# shellcheck source=harness/lib/common.sh
source "$(dirname "$0")/../lib/common.sh"
# shellcheck source=harness/lib/postgres.sh
source "$ROOT/harness/lib/postgres.sh"
# shellcheck source=harness/lib/figures.sh
source "$ROOT/harness/lib/figures.sh"
# shellcheck source=harness/lib/target.sh
source "$ROOT/harness/lib/target.sh"

THREADS=1100   # for the crowd of test_http_abuse and those who come besides
CONNECTIONS=64
PAIRS=5
PAIR_S=(1 3) # of one window; the second when the first says no
RATIO_MIN=0.8
AUTH_SECRET=''
TARGET_PORTS=16200-16249

cd "$ROOT"
RUN=$(mktemp -d)
on_exit rm -rf "$RUN"
failed=0

harness_make build/release/tests/test_http_abuse build/release/tests/bare
postgres_start cost
target_start "1,HTTP_THREADS=$THREADS"

sessions() { target_sql "SELECT count(*) || ' sessions, ' || count(*) FILTER (WHERE state <> 'idle') || ' not idle' FROM pg_stat_activity WHERE application_name = 'phase1'"; }

curl -s -o /dev/null "$TARGET_URL/sales/1" # opens the one connection that requests in turn share
before=$(sessions)
TARGET_URL=$TARGET_URL TARGET_PID=$TARGET_PID HTTP_THREADS=$THREADS CK_FORK=no \
    build/release/tests/test_http_abuse || failed=1
name="bad requests leave no database session behind"
after=$(sessions)
if [[ $after == "$before" && $after == "1 sessions, 0 not idle" ]]; then
    say "ok $name ($after)"
else
    say "not ok $name: $before before, $after after"
    failed=1
fi
target_stop

target_start "0,HTTP_THREADS=$THREADS"

port=$((16250 + $$ % 50))
nice -n "$TARGET_NICE" build/release/tests/bare "$port" "$THREADS" &
bare=$!
postgres_keep "$bare"
on_exit kill "$bare"
for ((tenths = 0; tenths < 100; tenths++)); do
    if curl -s -o /dev/null --max-time 1 "http://127.0.0.1:$port/health"; then break; fi
    sleep 0.1
done

rate() {
    wrk -t 1 -c "$CONNECTIONS" -d "$2" "$1/health" >"$RUN/wrk"
    ! grep -q 'Non-2xx\|Socket errors' "$RUN/wrk" || return 1
    sed -n 's/^Requests\/sec: *//p' "$RUN/wrk"
}

# median_ratio SECONDS: of the pairs, each window that long
median_ratio() {
    local pair ours theirs
    : >"$RUN/ratios"
    for ((pair = 1; pair <= PAIRS; pair++)); do
        ours=$(rate "$TARGET_URL" "$1") && theirs=$(rate "http://127.0.0.1:$port" "$1") || return 1
        say "# pair $pair: phase 0 $ours/s, bare civetweb $theirs/s" >&2
        calc "$ours / $theirs" >>"$RUN/ratios"
    done
    median <"$RUN/ratios"
}

# A machine that others use slows whichever server it happens to hit: once more, with longer windows.
name="GET /health is at least $RATIO_MIN as fast as bare civetweb"
for pair_s in "${PAIR_S[@]}"; do
    if ! ratio=$(median_ratio "$pair_s"); then
        say "not ok $name: $(tail -n 3 "$RUN/wrk" | tr '\n' ' ')"
        exit 1
    fi
    if awk -v r="$ratio" -v min="$RATIO_MIN" 'BEGIN { exit !(r >= min) }'; then break; fi
done
if awk -v r="$ratio" -v min="$RATIO_MIN" 'BEGIN { exit !(r >= min) }'; then
    say "ok $name (median of $PAIRS pairs: $ratio)"
else
    say "not ok $name: median of $PAIRS pairs is $ratio, also with windows of $pair_s s"
    failed=1
fi

target_stop
exit "$failed"
