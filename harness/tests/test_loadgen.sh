#!/usr/bin/env bash
# test_loadgen: loadgen as its users call it, against the stub (stub.c), whose behaviour is known.
#
#   test_loadgen.sh                          all, in release, and short runs under asan and tsan
#   test_loadgen.sh release|asan|tsan [TEST...]   one build only; only these tests (replies, pools)
#
# Bounds are on counts and on what cannot be faster than it is; shares are given six standard
# deviations, so that a busy machine does not turn a line red.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=harness/lib/common.sh
source harness/lib/common.sh
unset SEED AUTH_SECRET

MODE=${1:-release}
PORT_FIRST=15700 PORT_LAST=15799
PORT=$((PORT_FIRST + RANDOM % 100)) STUB_PID='' FAILED=0
WORK=$(mktemp -d)
J=$WORK/journal S=$WORK/summary

stub_stop() {
    [[ -n $STUB_PID ]] || return 0
    kill "$STUB_PID" 2>/dev/null || true
    wait "$STUB_PID" 2>/dev/null || true
    STUB_PID=''
}
on_exit rm -rf "$WORK"
on_exit stub_stop

# stub ARG...: the old one ends, a new one listens on the next free port.
stub() {
    local try tenths
    stub_stop
    for ((try = 0; try < 20; try++)); do
        PORT=$((PORT < PORT_LAST ? PORT + 1 : PORT_FIRST))
        : >"$WORK/stub"
        "build/$MODE/tests/stub" --port "$PORT" "$@" >"$WORK/stub" 2>&1 &
        STUB_PID=$!
        for ((tenths = 0; tenths < 100; tenths++)); do
            if grep -q listening "$WORK/stub"; then return; fi
            kill -0 "$STUB_PID" 2>/dev/null || break
            sleep 0.1
        done
        stub_stop
    done
    die "no stub: $(cat "$WORK/stub")"
}

# load STATUS ARG...: a run whose exit status must be that; leaves $J, $S and $WORK/err.
load() {
    local expected=$1 status=0
    shift
    rm -f "$J" "$S"
    timeout -k 5 60 "build/$MODE/loadgen" --url "http://127.0.0.1:$PORT" --journal "$J" \
        --summary "$S" "$@" 2>"$WORK/err" || status=$?
    if [[ $status != "$expected" ]]; then
        not_ok "loadgen $*" "status $status, not $expected: $(tail -n 3 "$WORK/err")"
    fi
}

ok() { say "ok $MODE $1"; }
not_ok() {
    FAILED=1
    say "not ok $MODE $1: $2"
}

# expect NAME JQ...: the condition holds in the summary.
expect() {
    if jq -e "$2" "$S" >/dev/null 2>&1; then ok "$1"; else
        not_ok "$1" "$2 does not hold in $(jq -c '{orders:(.orders|del(.refused_ms,.accept_uncorrected_ms)),final,reads:.reads.errors}' "$S" 2>&1)"
    fi
}

# load_until JQ ARG...: as load 0, up to three times until the condition holds; for what another
# program on the machine can spoil, though not three times in a row.
load_until() {
    local condition=$1 try
    shift
    for ((try = 0; try < 3; try++)); do
        load 0 "$@"
        if jq -e "$condition" "$S" >/dev/null; then return; fi
    done
}

# same NAME A B
same() { if [[ $2 == "$3" ]]; then ok "$1"; else not_ok "$1" "$2 is not $3"; fi; }

# The journal's own account: ok fail info attempts, of each order's last attempt; "broken" when an
# invoke has not exactly one completion after it, or a line not 13 columns.
account() {
    awk -F '\t' '
        NR == 1 { if ($0 != "#flashdeal-journal 1") bad = 1; next }
        NF != 13 { bad = 1 }
        $2 == "invoke" { if (($3, $4) in invoked) bad = 1; invoked[$3, $4] = 1; attempts++ }
        $2 == "ok" || $2 == "fail" || $2 == "info" {
            if (!(($3, $4) in invoked) || ($3, $4) in done) bad = 1
            done[$3, $4] = 1; completions++; last[$3] = $2
        }
        ($2 == "final" || $2 == "gone") && last[$3] != "ok" { bad = 1 }
        END {
            for (op in last) n[last[op]]++
            if (bad || attempts != completions) print "broken"
            else print n["ok"] + 0, n["fail"] + 0, n["info"] + 0, attempts + 0
        }' "$J"
}

agree() {
    same "$1: journal and summary agree" "$(account)" \
        "$(jq -r '.orders | "\(.ok) \(.fail) \(.info) \(.attempts)"' "$S")"
    expect "$1: the counts add up" '.orders | .count == .ok + .fail + .info + .unsent and
        .attempts == ([.codes[], .errors[]] | add // 0) - .unsent'
}

# ------------------------------------------------------------------------------- truth

test_fixed_delay() {
    local near='.orders.accept_ms.p50 >= 20 and .orders.accept_ms.p50 <= 22'
    stub --delay-ms 20
    load_until "$near" --rate 2000 --duration 4 --warmup 1
    expect "2,000/s against a delay of 20 ms has a p50 within 10 %" "$near"
    say "# loadgen $(jq -c '[.orders.accept_ms.p50, .orders.accept_ms.p99, .generator]' "$S")"
    if command -v wrk >/dev/null; then
        say "# wrk $(wrk -t1 -c40 -d2 --latency "http://127.0.0.1:$PORT/health" | grep -E '50%|99%' | tr -s ' \n' ' ')"
    fi
}

test_freeze() {
    local frozen
    stub --delay-ms 1 --freeze-at 1 --freeze-ms 100
    load 0 --rate 1000 --duration 3 --connections 4,1,1
    expect "a freeze of 100 ms shows in the corrected p99" '.orders.accept_ms.p99 >= 40'
    expect "and not in the uncorrected median" '.orders.accept_uncorrected_ms.p50 < 20'
    frozen=$(jq .orders.accept_ms.p99 "$S")
    stub --delay-ms 1
    load_until ".orders.accept_ms.p99 < $frozen" --rate 1000 --duration 3 --connections 4,1,1
    expect "without a freeze the corrected p99 is lower" ".orders.accept_ms.p99 < $frozen"
}

# In the plan's order: which of two connections is open first is chance.
orders_of() { awk -F '\t' '$2 == "invoke" && $4 == 1 { print $3, $5, $6, $7 }' "$J" | sort -n; }

test_plans() {
    local patience=(--timeout-ms 30000) # on a busy machine too every order gets its connection
    "build/$MODE/loadgen" --steps 500:2 --users 50 --sales 1-4 --quantity 1-2 --read-rate 20 \
        --duration 0 --save-plan "$WORK/a"
    "build/$MODE/loadgen" --steps 500:2 --users 50 --sales 1-4 --quantity 1-2 --read-rate 20 \
        --duration 0 --save-plan "$WORK/b"
    "build/$MODE/loadgen" --steps 500:2 --users 50 --sales 1-4 --quantity 1-2 --read-rate 20 \
        --duration 0 --save-plan "$WORK/c" --seed 2
    if cmp -s "$WORK/a" "$WORK/b"; then ok "the same seed gives the same plan"; else not_ok "the same seed gives the same plan" "they differ"; fi
    if cmp -s "$WORK/a" "$WORK/c"; then not_ok "another seed gives another plan" "the same"; else ok "another seed gives another plan"; fi
    stub
    load 0 --plan "$WORK/a" "${patience[@]}"
    orders_of >"$WORK/first"
    same "a replay's orders are the plan's" "$(cut -d ' ' -f 2- "$WORK/first" | cksum)" \
        "$(awk -F '\t' '$2 == "order" { print $3, $4, $5 }' "$WORK/a" | cksum)"
    agree "a replayed plan"
    expect "a replayed plan is sent whole" ".sent == .planned and .planned == $(grep -c order "$WORK/a")"
    load 0 --plan "$WORK/b" "${patience[@]}"
    orders_of >"$WORK/second"
    same "a replay sends the same orders" "$(diff "$WORK/first" "$WORK/second" | head -n 3)" ""
    load 64 --plan "$WORK/a" --rate 5
    load 64 --plan "$WORK/stub"
}

test_warmup_and_series() {
    stub --delay-ms 2
    printf '500 fault kill -9 of it\n%s fault later\nnonsense\n' "$(($(date +%s%3N) + 1500))" >"$WORK/marks"
    load 0 --rate 300 --duration 2 --warmup 1 --read-rate 50 --probe-rate 50 \
        --series "$WORK/series" --marks "$WORK/marks"
    same "the warm-up is journalled and not counted" "1" \
        "$(($(grep -c invoke "$J") > $(jq .orders.count "$S") + 150))"
    same "the series adds up to the summary" \
        "$(jq -c '[.points[]] | [(map(.orders)|add), (map(.ok)|add), (map(.reads)|add), (map(.probes)|add)]' "$WORK/series")" \
        "$(jq -c '[.orders.count, .orders.ok, .reads.count, .probes.count]' "$S")"
    same "marks are copied, in the window's time" "$(jq -c '.marks | [length, .[0], (.[1].t_ms > 0 and .[1].t_ms < 1500)]' "$WORK/series")" \
        '[2,{"t_ms":500,"kind":"fault","text":"kill -9 of it"},true]'
}

test_pools() {
    stub --delay-ms 50
    load 0 --rate 200 --duration 3 --probe-rate 10 --connections 2,1,2 --timeout-ms 1000
    expect "orders that wait for a connection have their wait counted" '.orders.accept_ms.p90 > 400'
    expect "and not in the uncorrected time" '.orders.accept_uncorrected_ms.p90 < 400'
    expect "probes do not wait behind them" '.probes.latency_ms.p50 < 300'
    expect "who waits too long is unsent" '.orders.unsent > 0 and .unsent == .orders.unsent'
    expect "no more connections than allowed" '.generator.connections_peak <= 5'
    agree "a starved pool"
}

# ------------------------------------------------------------------------------- clients

test_closed_loop() {
    stub --delay-ms 10
    load 0 --clients 8 --duration 2 --users 5 --quantity 1-2
    expect "8 clients with 10 ms each send at most 800/s" '.orders.count <= 1610 and .orders.count > 100'
    expect "in closed loop both latencies are the same" \
        '.mode == "closed" and .orders.accept_ms == .orders.accept_uncorrected_ms'
    agree "closed loop"
}

test_lose_and_hang_up() {
    stub --log "$WORK/log"
    load 0 --rate 1000 --duration 2 --lose-replies 0.2 --hang-up 0.2
    expect "a fifth hangs up" '(.orders.errors.hung_up / .orders.count - 0.2) | fabs < 0.054'
    expect "a fifth of the rest loses its reply" '(.orders.errors.lost / (.orders.count - .orders.errors.hung_up) - 0.2) | fabs < 0.06'
    agree "lost replies and hang-ups"
    same "a lost reply is journalled with its id" \
        "$(awk -F '\t' '$2 == "info" && $10 == "lost" && $9 == 201 && $11 ~ /^0000/' "$J" | wc -l)" "$(jq .orders.errors.lost "$S")"
    same "every attempt reached the server, hung up or not" "$(wc -l <"$WORK/log")" "$(jq .orders.attempts "$S")"
    load 0 --rate 500 --duration 1 --lose-replies 0.5 --retry immediate --retry-max 50
    expect "lost replies are tried again until one comes" '.orders.ok == .orders.count and .orders.retries == .orders.errors.lost'
    agree "retries after lost replies"
}

# Least and most milliseconds between an attempt's end and the next one's begin.
retry_gaps() {
    awk -F '\t' '$2 == "fail" { ended[$3] = $1 } $2 == "invoke" && $4 > 1 {
        gap = ($1 - ended[$3]) / 1000; if (!n++ || gap < least) least = gap; if (gap > most) most = gap }
        END { print int(least), int(most) }' "$J"
}
different_keys() { awk -F '\t' '$2 == "invoke" { print $8 }' "$J" | sort -u | wc -l; }

test_retries() {
    local least most
    stub --mode busy --busy 2 --retry-after 1 --log "$WORK/log"
    load 0 --rate 40 --duration 2 --retry backoff --keys
    expect "503 twice, then 201: all succeed with two retries each" \
        '.orders.ok == .orders.count and .orders.retries == 2 * .orders.count and .orders.problems.queue_full == .orders.retries'
    agree "backoff"
    read -r least most < <(retry_gaps)
    expect "what Retry-After asks is counted" '.orders.retry_after_s == {"1": .orders.retries}'
    same "backoff waits at least what Retry-After asks" "$((least >= 1000))" 1
    say "# waits of $least to $most ms"
    same "a retry has the same key" "$(different_keys)" "$(jq .orders.count "$S")"
    same "the keys were sent" "$(cut -f 2 "$WORK/log" | sort -u | cksum)" \
        "$(awk -F '\t' '$2 == "invoke" { print $8 }' "$J" | sort -u | cksum)"
    stub --mode busy --busy 2 --retry-after 1
    load 0 --rate 40 --duration 2 --retry immediate --keys --retry-key new
    same "with --retry-key new another one" "$(different_keys)" "$(jq .orders.attempts "$S")"
    expect "immediate does not wait" '.orders.ok == .orders.count and .orders.accept_ms.p50 < 900'
    stub --mode busy --busy 2
    load 0 --rate 100 --duration 1 --retry backoff --retry-max 1
    expect "--retry-max 1 is two attempts" '.orders.fail == .orders.count and .orders.attempts == 2 * .orders.count'
    stub --mode busy --busy 2
    load 0 --rate 100 --duration 1
    expect "without --retry one" '.orders.fail == .orders.count and .orders.attempts == .orders.count and .orders.refused_ms.count == .orders.count'
    expect "that Retry-After is missing is counted" '.orders.retry_after_s == {"none": .orders.count}'
    stub --mode sold_out
    load 0 --rate 100 --duration 1 --retry immediate
    expect "4xx is not tried again" '.orders.attempts == .orders.count and .orders.retries == 0'
    stub --mode mute
    load 2 --rate 50 --duration 2 --timeout-ms 200 --retry backoff --retry-max 2
    expect "no reply at all: every order is info after its time-outs" \
        '.orders.info == .orders.count and .orders.errors.timeout == .orders.attempts and .orders.retries > 0'
    agree "time-outs"
}

test_retry_budget() {
    stub --mode busy --busy 200 --retry-after 2
    load 0 --rate 500 --duration 2 --retry immediate --retry-max 50 --retry-budget 0.1
    expect "of 10 orders one may be tried again" '.orders.retries <= 0.1 * .orders.count and .orders.retries >= 0.09 * .orders.count'
    expect "the others are refused their retry, and that is counted" '.orders.retries_denied > 0.5 * .orders.count and .orders.fail == .orders.count'
    agree "a retry budget"
    expect "what a problem's Retry-After asks is counted" \
        '.orders.problems_retry_after_s == {queue_full: {"2": .orders.attempts}}'
    load 0 --rate 100 --duration 1 --retry immediate --retry-max 2
    expect "without a budget there is none" '.orders.retries == 2 * .orders.count and .orders.retries_denied == 0'
}

test_await() {
    stub
    load 0 --rate 200 --duration 1 --await all
    expect "201 is final at once" '.final.confirmed == .orders.count and .orders.complete_ms.count == .orders.count'
    stub --mode echo202 --pending-ms 60
    load 0 --rate 200 --duration 2 --await all
    expect "202 is awaited until confirmed" '.final.confirmed == .orders.count and .orders.complete_ms.min >= 60 and .orders.accept_ms.p50 < 60'
    expect "what is confirmed inside the window is goodput" '.orders.goodput > 0 and .orders.goodput <= .orders.count'
    agree "awaited orders"
    same "every awaited order has its final line" "$(awk -F '\t' '$2 == "final" && $12 == "confirmed" && $11 ~ /^0000/' "$J" | wc -l)" "$(jq .orders.count "$S")"
    expect "a poll that the server holds is enough" '.orders.polls == .orders.count and .orders.complete_ms.p50 < 80'
    load 0 --rate 500 --duration 2 --await 0.3
    expect "a share is awaited" '(.final.confirmed / .orders.count - 0.3) | fabs < 0.1'
    expect "and costs so many polls" '.orders.polls == .final.confirmed'
    load 0 --rate 200 --duration 1
    expect "without --await a 202 is not final" '([.final[]] | add) == 0 and .orders.goodput == 0 and .orders.ok == .orders.count'
    load 0 --clients 4 --duration 1
    expect "a closed-loop client waits for the final state" '.orders.count <= 4 * 17 and .final.confirmed == .orders.count'
    load 0 --clients 4 --duration 1 --await none
    expect "but not if it is told not to" '.orders.count > 4 * 17 and .final.confirmed == 0'
    stub --mode echo202 --pending-ms 700
    load 0 --rate 50 --duration 1 --await all --timeout-ms 1000
    expect "an order that takes longer than a poll may is polled again at once" \
        '.orders.polls == 2 * .orders.count and .final.confirmed == .orders.count and .orders.complete_ms.p50 < 900'
    stub --mode echo202 --pending-ms 700 --deaf
    load 0 --rate 50 --duration 1 --await all
    expect "a server that does not wait is asked ever less often" \
        '.orders.polls >= 5 * .orders.count and .orders.polls <= 7 * .orders.count and .final.confirmed == .orders.count'
    stub --mode echo202 --pending-ms 700 --deaf --retry-after 1
    load 0 --rate 50 --duration 1 --await all
    expect "or when it says" '.orders.polls == 2 * .orders.count and .final.confirmed == .orders.count and .orders.complete_ms.min >= 1000'
    stub --mode reject202
    load 0 --rate 100 --duration 1 --await all
    expect "rejected is final" '.final.rejected == .orders.count and .orders.goodput == 0'
    same "with its reason" "$(awk -F '\t' '$2 == "final" && $10 == "sold_out"' "$J" | wc -l)" "$(jq .orders.count "$S")"
    stub --mode lost202
    load 0 --rate 100 --duration 1 --await all
    expect "404 for an acknowledged id is lost" '.final.lost == .orders.count and .orders.ok == .orders.count'
    load 0 --rate 100 --duration 1 --await all --retry immediate --keys
    expect "who tries again orders again, at most --retry-max times" \
        '.final.lost == .orders.count and .orders.gone == 3 * .orders.count and .orders.attempts == 4 * .orders.count'
    same "under the same key" "$(different_keys)" "$(jq .orders.count "$S")"
    agree "lost orders"
    stub --mode forget202 --busy 1 --pending-ms 20
    load 0 --rate 100 --duration 1 --await all --retry backoff --keys
    expect "until it is not lost" '.final == {confirmed: .orders.count, rejected: 0, failed: 0, unfinished: 0, lost: 0}'
    expect "which counts as one order" '.orders.ok == .orders.count and .orders.gone == .orders.count and .orders.accept_ms.count == .orders.count'
    same "a lost order is journalled with its id" "$(awk -F '\t' '$2 == "gone" && $9 == 404 && $11 ~ /^0000/' "$J" | wc -l)" "$(jq .orders.count "$S")"
    agree "orders that were lost once"
    stub --mode stuck202
    load 0 --rate 100 --duration 1 --await all --await-timeout-ms 400
    expect "pending for ever is unfinished" '.final.unfinished == .orders.count and .orders.complete_ms.count == 0'
    agree "unfinished orders"
}

test_replies() {
    local mode
    for mode in echo201 chunked dribble close until_eof trailing; do
        stub --mode "$mode"
        load 0 --rate 200 --duration 1
        expect "$mode is understood" '.orders.ok == .orders.count and .orders.count > 100 and .orders.errors == {}'
    done
    for mode in cut reset; do
        stub --mode "$mode"
        load 2 --rate 200 --duration 1
        expect "$mode: it may have happened" '.orders.info == .orders.count and .orders.errors.cut == .orders.count'
        agree "$mode"
    done
    for mode in garbage no_id; do
        stub --mode "$mode"
        load "$([[ $mode == no_id ]] && echo 0 || echo 2)" --rate 200 --duration 1
        expect "$mode: it may have happened" '.orders.info == .orders.count and .orders.errors.bad_reply == .orders.count'
    done
    stub --mode unknown
    load 0 --rate 200 --duration 1
    expect "outcome_unknown is info" '.orders.info == .orders.count and .orders.codes["503"] == .orders.count'
    stub --mode sold_out
    load 0 --rate 200 --duration 1
    expect "sold_out is fail, in the problems" '.orders.fail == .orders.count and .orders.problems == {sold_out: .orders.count}'
    same "and in the journal" "$(awk -F '\t' '$2 == "fail" && $9 == 409 && $10 == "sold_out"' "$J" | wc -l)" "$(jq .orders.count "$S")"
}

test_tokens() {
    local token
    stub --log "$WORK/log"
    AUTH_SECRET=quiet load 0 --rate 100 --duration 1 --users 3
    token=$(awk -F '\t' '{ print $3 }' "$WORK/log" | sort -u | tail -n 1)
    token=${token#Bearer }
    same "the token is the documented HMAC" "${token##*.}" \
        "$(printf %s "${token%.*}" | openssl dgst -sha256 -hmac quiet | sed 's/.*= //')"
    same "each user has his own" "$(awk -F '\t' '{ split($3, t, /[ .]/); if (t[2] != $1) bad++ } END { print bad + 0 }' "$WORK/log")" 0
}

# ------------------------------------------------------------------------------- ends

test_refused_connection() {
    stub_stop
    load 2 --rate 100 --duration 1 --probe-rate 20
    expect "no server: every order failed to connect" '.orders.fail == .orders.count and .orders.errors.not_connected == .orders.count'
    agree "no server"
    same "and it says so" "$(grep -c 'not one reply from 127.0.0.1:.*Connection refused' "$WORK/err")" 1
    load 2 --clients 4 --duration 1
    expect "clients without a server do not spin" '.orders.count >= 4 and .orders.count <= 4 * 21'
}

test_interrupt() {
    local pid status=0 began=$SECONDS tenths
    stub --mode mute --log "$WORK/log"
    rm -f "$J" "$S"
    "build/$MODE/loadgen" --url "http://127.0.0.1:$PORT" --rate 100 --duration 40 --journal "$J" \
        --summary "$S" --series "$WORK/series" 2>"$WORK/err" &
    pid=$!
    for ((tenths = 0; tenths < 100 && $(wc -l <"$WORK/log") < 120; tenths++)); do sleep 0.1; done
    kill -INT "$pid"
    wait "$pid" || status=$?
    same "SIGINT ends the run with status 2" "$status" 2
    same "at once" "$((SECONDS - began < 20))" 1
    expect "with everything written" '.generator.interrupted and .duration_s < 20 and .orders.errors.interrupted == .orders.info and .orders.info > 10'
    agree "an interrupted run"
    same "the series too" "$(jq '.points | length > 0' "$WORK/series")" true
}

test_usage() {
    local arguments
    while read -r arguments; do
        # shellcheck disable=SC2086 # split on purpose
        load 64 $arguments
    done <<'END'
--rate
--rate x
--rate -5
--rate 1e3
--rate 5 --clients 5
--rate 5 --duration 0
--duration 5
--clients 0
--clients 5 --save-plan never
--steps 5
--steps 5:0
--flash 5:1
--rate 5 --sales 0
--rate 5 --sales 5-1
--rate 5 --quantity 3-1
--rate 5 --lose-replies 1.5
--rate 5 --retry sometimes
--rate 5 --retry-budget 2
--rate 5 --connections 300,64,64
--rate 5 --connections 1,1
--rate 5 --path health
--rate 5 --url https://127.0.0.1/
--rate 5 --url http://127.0.0.1:x
--rate 5 --url http://127.0.0.1:1/path
--rate 5 stray
--unknown
END
    load 2 --rate 5 --duration 1 --summary /nonexistent/summary
    load 2 --rate 5 --duration 1 --journal /nonexistent/journal
    load 2 --rate 5 --duration 1 --url http://no-such-host.invalid:80
    same "--help names every option of the manual" \
        "$(grep -oE '^\| .--[a-z-]+' harness/README.md | grep -oE -- '--[a-z-]+' | while read -r option; do
            "build/$MODE/loadgen" --help | grep -q -- "$option" || say "$option"
        done)" ""
    ok "wrong options are refused with status 64"
}

test_live_line() {
    command -v script >/dev/null || { say "skip $MODE live line: no script(1)" && return; }
    stub
    script -qec "build/$MODE/loadgen --url http://127.0.0.1:$PORT --rate 100 --duration 2 --summary $S" /dev/null >"$WORK/live" </dev/null
    same "on a terminal there is a live line" "$(($(grep -c 's left' "$WORK/live") > 0))" 1
    script -qec "build/$MODE/loadgen --quiet --url http://127.0.0.1:$PORT --rate 100 --duration 1 --summary $S" /dev/null >"$WORK/live" </dev/null
    same "with --quiet there is none" "$(grep -c 's left' "$WORK/live" || true)" 0
}

test_speed() {
    stub
    load 0 --clients 64 --reads-only --duration 3
    say "# $(jq -r '"\(.reads.count / .duration_s | floor) requests/s, \(.reads.count / .generator.cpu_s | floor) per CPU second, \(.generator.cpu_share) of a core"' "$S")"
    expect "a CPU second sends at least 40,000 requests" '.reads.count / .generator.cpu_s >= 40000'
    expect "none of them failed" '.reads.codes["200"] == .reads.count and .reads.errors == {}'
}

# ------------------------------------------------------------------------------- all

all_but_measurements() {
    test_plans
    test_warmup_and_series
    test_closed_loop
    test_lose_and_hang_up
    test_retries
    test_retry_budget
    test_await
    test_replies
    test_tokens
    test_refused_connection
    test_interrupt
    test_usage
}

# One short run of each kind, for what the sanitizers see.
sanitized() {
    test_plans
    test_closed_loop
    test_lose_and_hang_up
    stub --mode echo202
    AUTH_SECRET=quiet load 0 --flash 300:50:1 --duration 2 --read-rate 20 --probe-rate 20 --keys \
        --await all --series "$WORK/series"
    agree "everything at once"
    test_replies
    test_refused_connection
    test_interrupt
}

measurements() {
    test_fixed_delay
    test_freeze
    test_pools
    test_live_line
    test_speed
}

build() { make -s MODE="$1" "build/$1/loadgen" "build/$1/tests/stub" >/dev/null; }

# The sanitizers' runs and the functional tests mostly wait: they share the time. The measurements
# come last, alone.
all_modes() {
    local mode pids=() pid
    for mode in release asan tsan; do build "$mode"; done
    for mode in asan tsan; do
        "$0" "$mode" sanitized >"$WORK/$mode.log" 2>&1 &
        pids+=($!)
    done
    all_but_measurements
    for pid in "${pids[@]}"; do wait "$pid" || FAILED=1; done
    cat "$WORK/asan.log" "$WORK/tsan.log"
    measurements
}

if (($# == 0)); then
    all_modes
else
    build "$MODE"
    tests=("${@:2}")
    if ((${#tests[@]} == 0)); then tests=(all_but_measurements measurements); fi
    for name in "${tests[@]}"; do
        if declare -F "test_$name" >/dev/null; then "test_$name"; else "$name"; fi
    done
fi
exit "$FAILED"
