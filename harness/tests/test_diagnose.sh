#!/usr/bin/env bash
# test_diagnose: what diagnose.sh names, from snapshots made up here: each fault, none, noise, parts
# missing. No server, no database.
set -euo pipefail
# shellcheck source=harness/lib/common.sh
source "$(dirname "$0")/../lib/common.sh"

dir=$(mktemp -d)
on_exit rm -rf "$dir"
facts=$dir/facts
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

# window NAME STAGE=MS...: two snapshots, 500 orders apart, each of which took so long in its stages.
# The first one has what an hour of other traffic left in the counters. ORDERS; REFUSED of them, which
# never get to the database; LEAVE_OUT (a pattern). ASYNC: the stages of the deciding and the line come
# after the reply; so many orders as it says are final at the window's end.
window() {
    local n
    for n in 0 1; do
        printf '%s\n' "${@:2}" | awk -F = -v n=$n -v orders="${ORDERS:-500}" -v refused="${REFUSED:-0}" -v async="${ASYNC-}" -v TRIED="${TRIED:-0}" '
            BEGIN { split("validation=0.02 queue_wait=0 pool_wait=0.01 lock_wait=0.3 statements=0.8 commit=1 reply=0.1 other=0.01 run_delay=0.4", d, " ")
                    for (i in d) { split(d[i], p, "="); ms[p[1]] = p[2] } }
            { ms[$1] = $2 }
            function at(ms_each, who) { return 7200 * (ms_each > 0 ? 1 : 0) + n * who * ms_each / 1000 }
            END {
                print "# HELP flashdeal_http_request_duration_seconds x"
                printf "process_run_delay_seconds_total %.9f\n", at(ms["run_delay"], orders)
                labels = "method=\"POST\",path=\"/orders\""
                for (s in ms) {
                    if (s == "run_delay") continue
                    who = s ~ /^(lock_wait|statements|commit)$/ ? orders - refused : orders
                    if (async != "" && s ~ /wait$|^(statements|commit)$/) {
                        final += at(ms[s], async)
                        if (s != "queue_wait") printf "flashdeal_order_stage_seconds_sum{stage=\"%s\"} %.9f\n", s, at(ms[s], async + TRIED)
                        ms[s] = 0
                    }
                    total += at(ms[s], who)
                    printf "flashdeal_http_stage_duration_seconds_sum{%s,stage=\"%s\"} %.9f\n", labels, s, at(ms[s], who)
                    printf "flashdeal_http_stage_duration_seconds_count{%s,stage=\"%s\"} %d\n", labels, s, 9000 + n * orders
                }
                printf "flashdeal_http_request_duration_seconds_bucket{%s,le=\"0.001\"} %d\n", labels, 1
                printf "flashdeal_http_request_duration_seconds_sum{%s} %.9f\n", labels, total
                printf "flashdeal_http_request_duration_seconds_count{%s} %d\n", labels, 9000 + n * orders
                printf "flashdeal_http_requests_total{%s,status=\"201\",outcome=\"ok\"} %d\n", labels, 9000 + n * (orders - refused)
                printf "flashdeal_http_requests_total{%s,status=\"503\",outcome=\"queue_full\"} %d\n", labels, 70 + n * refused
                if (async != "") {
                    printf "flashdeal_order_final_seconds_sum{status=\"confirmed\"} %.9f\n", 0.9 * final
                    printf "flashdeal_order_final_seconds_sum{status=\"rejected\"} %.9f\n", 0.1 * final
                    printf "flashdeal_order_final_seconds_count{status=\"confirmed\"} %d\n", 9000 + n * async
                    printf "flashdeal_order_final_seconds_count{status=\"rejected\"} 10\n"
                }
                # What is not about orders, and hangs, all of it in statements.
                other[1] = "method=\"GET\",path=\"/orders\""
                other[2] = "method=\"POST\",path=\"/orders/{}\""
                for (i in other) {
                    printf "flashdeal_http_stage_duration_seconds_sum{%s,stage=\"statements\"} %d\n", other[i], n * 5000
                    printf "flashdeal_http_request_duration_seconds_sum{%s} %d\n", other[i], n * 5000
                    printf "flashdeal_http_request_duration_seconds_count{%s} %d\n", other[i], n * 10
                    printf "flashdeal_http_requests_total{%s,status=\"503\",outcome=\"queue_full\"} %d\n", other[i], n * 400
                }
            }' | { grep -vE "${LEAVE_OUT:-^nothing$}" || :; } >"$facts/$1.$n.prom"
    done
}

# goes_on NAME STAGE=MS...: and then one more snapshot, after 500 more orders.
goes_on() {
    local last=("$facts/$1".*.prom)
    window next "${@:2}"
    awk '{ key = $0; sub(/ [^ ]*$/, "", key) }
        FNR == 1 { n++ }
        n == 1 { old[key] = $NF }
        n == 2 { new[key] = $NF }
        n == 3 && /^#/ { print }
        n == 3 && !/^#/ { printf "%s %.9f\n", key, $NF + new[key] - old[key] }' \
        "$facts"/next.{0,1}.prom "${last[-1]}" >"$facts/$1.${#last[@]}.prom"
    rm "$facts"/next.*
}

# samples FILE SEEN ALL YES NO: of ALL replies SEEN are YES.
samples() {
    local i
    for ((i = 0; i < $3; i++)); do
        if ((i < $2)); then echo "$4"; else echo "$5"; fi
    done >"$facts/$1"
    cat "$facts"/{locks,pool} >"$facts/fault.debug.jsonl" 2>/dev/null || :
}
root() { printf '{"waiting":3,"chains":[{"waiting":3,"root":{"pid":7,"ours":%s,"state":"idle in transaction"},"waiters":[]}]}' "$1"; }
foreign() { samples locks "$1" "${2:-20}" "$(root false)" '{"waiting":0,"chains":[]}'; }
lent() { # SEEN ALL; lent_before: likewise in the baseline
    local reads='{"name":"reads","size":4,"in_use":0,"waiters":0}'
    samples pool "$1" "${2:-20}" "{\"pools\":[$reads,{\"name\":\"orders\",\"size\":1,\"in_use\":1,\"waiters\":2}]}" \
        "{\"pools\":[$reads,{\"name\":\"orders\",\"size\":64,\"in_use\":5,\"waiters\":0}]}"
}

lent_before() { samples unused "$@" '{"pools":[{"size":1,"in_use":1}]}' '{"pools":[{"size":1,"in_use":0}]}' && mv "$facts/unused" "$facts/baseline.debug.jsonl"; }

diagnosis() { env -i PATH="$PATH" bash "$ROOT/harness/lib/diagnose.sh" "$facts"; }
named() { diagnosis | sed -n 's/^named: \([a-z]*\), because .*/\1/p'; }

# quiet: nothing is wrong, and then a test changes what is.
quiet() {
    rm -rf "$facts"
    mkdir "$facts"
    window baseline
    window fault
    foreign 0
    lent 0
}
# names NAME WHAT STAGE=MS...: the fault window has these instead.
names() {
    window fault "${@:3}"
    is "$1" "$2" "$(named)"
}

# --------------------------------------------------------------------------------- each fault
quiet
is "no fault" nothing "$(named)"
names "slow commit, and others wait for the row meanwhile" commit commit=21 lock_wait=40
names "slow commit, and all wait in line" commit commit=21 lock_wait=80 queue_wait=400 run_delay=2
REFUSED=450 names "slow commit, and most are refused" commit commit=20 queue_wait=400
REFUSED=450 names "most are refused, and work is as quick as ever" nothing queue_wait=400
names "slow statements" statements statements=20 lock_wait=15
names "slow replies" reply reply=20
names "slow validation" validation validation=20
names "time that belongs to no stage" other other=20
names "of two the one that grew most" statements statements=20 commit=9
names "processors are short: all work is slower" cpu run_delay=12 statements=6 commit=4 lock_wait=4 reply=1
names "processors are short, and that fills the line as well" cpu run_delay=27 statements=6 commit=4 reply=6 queue_wait=320

REFUSED=470 names "likewise when hardly an order is decided, and those take long" cpu run_delay=25 statements=73 commit=26 other=26
window baseline run_delay=4
REFUSED=400 names "a busy machine, and slow statements that fill the queue" statements run_delay=8 statements=22 queue_wait=300

quiet
foreign 20
names "a foreign session holds a row" lock lock_wait=88
foreign 20
lent 20
names "a foreign session holds a row, which fills the pool" lock lock_wait=80 pool_wait=100 run_delay=2.5 commit=1.5
foreign 4
names "seen in a fifth of the samples" lock lock_wait=80
foreign 3
names "seen in fewer" nothing lock_wait=80
foreign 20
names "a busy machine does not hide it" lock run_delay=43 statements=12 commit=11 lock_wait=83
names "a run delay that explains the work and not the waits" lock run_delay=3 statements=1.6 commit=2.5 lock_wait=80
names "work that has grown comes first" commit commit=60 lock_wait=80
names "work that explains little of it does not" lock commit=4 lock_wait=80
REFUSED=480 names "nor when hardly an order is decided" lock commit=4 lock_wait=300 queue_wait=400
samples locks 20 20 "$(root true)" ''
names "a root of our own is nobody to blame" nothing lock_wait=80
samples locks 20 20 '{"waiting":0,"chains":[{"waiting":0,"root":{"ours":false}}]}' ''
names "a foreign root that nobody waits for" nothing lock_wait=80

quiet
lent 14
names "the pool is too small" pool pool_wait=11 statements=0.3 commit=0.5
names "the workers are too few" pool queue_wait=11 statements=0.3 commit=0.5
lent 3
names "lent out in too few samples" nothing pool_wait=11
lent 14
lent_before 7 20
names "lent out twice as often" pool pool_wait=11
lent_before 8 20
names "lent out less than twice as often" nothing pool_wait=11
lent_before 0 20
names "a short wait, but ten times as long" pool pool_wait=0.15
names "a wait of nothing" nothing pool_wait=0.09
window baseline queue_wait=1
names "twice the wait in line" pool queue_wait=2.1
names "less than twice the wait in line" nothing queue_wait=1.9
window baseline
names "the pool is lent out, and nobody waits longer" nothing statements=0.9
names "the line is a small part of it" nothing pool_wait=5 lock_wait=30
names "work is what fills the pool" statements pool_wait=200 statements=20
names "all work is slower, and none of it by so much: not the pool" nothing pool_wait=11 statements=1.7 commit=1.7
window baseline pool_wait=58 lock_wait=31 statements=9.3 commit=5.4 other=5
names "work has grown a little, where the pool was too small before" nothing pool_wait=278 lock_wait=98 statements=24.3 commit=4
quiet
lent 14
foreign 12
names "a foreign root comes before the pool" lock pool_wait=11

# ------------------------------------------------------------------------ decided after the reply
export ASYNC=500
quiet
is "later: no fault" nothing "$(named)"
names "later: slow commit, and a line before it" commit commit=21 lock_wait=40 queue_wait=900
is "later: its mean is the deciding's" "commit 1.000 21.000 21.0" "$(diagnosis | awk '$1 == "commit" { print $1, $2, $3, $4 }')"
is "later: what is left of the time was the line's" "queue_wait 900.000" "$(diagnosis | awk '$1 == "queue_wait" { print $1, $3 }')"
names "later: slow statements" statements statements=20 queue_wait=900
names "later: processors are short" cpu run_delay=12 statements=6 commit=4 reply=1 queue_wait=50
ASYNC=50 names "later: hardly one is decided, slowly" statements statements=80 queue_wait=900
is "later: a stage's time is shared by those that were" "statements 80.000" "$(diagnosis | awk '$1 == "statements" { print $1, $3 }')"
foreign 20
ASYNC=0 TRIED=4 names "later: none is decided, for a foreign session holds the row" lock lock_wait=4000
quiet
lent 14
names "later: the workers are too few" pool queue_wait=11 statements=0.3 commit=0.5
TRIED=9 names "later: tries without an end take nothing from the line" pool pool_wait=11 statements=0.3 commit=0.5
window baseline
goes_on baseline queue_wait=500
goes_on baseline
names "later: a stall in a part of the baseline" pool queue_wait=3 statements=0.4
unset ASYNC

# -------------------------------------------------------------------------------------- noise
quiet
names "threefold, of nothing" nothing other=0.04 validation=0.08 reply=0.5
names "much, and less than threefold" nothing statements=2.3 commit=2.9
names "just below threefold" nothing commit=2.99
names "just threefold" commit commit=3.01
names "threefold the run delay, of nothing" nothing run_delay=1.3 statements=1.6 commit=1.6
names "twice the run delay, and all a little slower" nothing run_delay=0.9 statements=1.2 commit=1.5
names "a run delay that is too short to explain it" commit run_delay=7 commit=21
names "a run delay beside work that is as quick as ever" nothing run_delay=6
names "waits of our own making alone" nothing lock_wait=30
window baseline run_delay=7 statements=4 commit=2.3 lock_wait=2.4
names "a busy machine, and a slow commit all the same" commit run_delay=16 statements=6 commit=24 lock_wait=46
names "a busy machine, and no fault" nothing run_delay=12 statements=6 commit=4 lock_wait=5

# ------------------------------------------------------------------------- a stall for a moment
quiet
lent 14
window baseline
goes_on baseline pool_wait=400 lock_wait=90 statements=40 commit=30 run_delay=20
goes_on baseline
goes_on baseline
names "a stall in a part of the baseline" pool pool_wait=3 statements=0.4
is "is left out of it" 0.010 "$(diagnosis | awk '$1 == "pool_wait" { print $2 }')"
goes_on fault pool_wait=1
is "the other window counts whole" 2.000 "$(diagnosis | awk '$1 == "pool_wait" { print $3 }')"
quiet
lent 14
window baseline pool_wait=3
goes_on baseline
goes_on baseline pool_wait=3
names "nor is it the best part of three" nothing pool_wait=3
window baseline
window fault commit=20
ORDERS=0 goes_on baseline
is "a part without orders is none" commit "$(named)"

# --------------------------------------------------------------------------- parts are missing
why() { diagnosis | sed -n 's/^named: //p'; }
quiet
LEAVE_OUT='stage="commit"' window fault statements=20
is "a stage is missing" "nothing, because these series are missing: commit" "$(why)"
LEAVE_OUT='run_delay' window fault statements=20
is "the run delay is missing" "nothing, because these series are missing: run_delay" "$(why)"
LEAVE_OUT='stage="queue_wait"' window fault statements=20
is "a queue is not" statements "$(named)"
LEAVE_OUT='requests_total' window fault statements=20
is "how many were refused is missing" "nothing, because these series are missing: requests_total" "$(why)"
LEAVE_OUT='POST' window fault
is "all about orders is missing" "nothing, because these series are missing: orders requests_total request validation pool_wait lock_wait statements commit reply other" "$(why)"
quiet
window fault commit=20
rm "$facts/baseline.1.prom"
is "a snapshot is missing" "nothing, because a snapshot is missing: baseline.1.prom" "$(why)"
quiet
window fault commit=20
: >"$facts/fault.1.prom"
is "a snapshot is empty" "nothing, because a snapshot is missing: fault.1.prom" "$(why)"
quiet
window fault commit=20
mv "$facts/fault.0.prom" "$facts/later"
mv "$facts/fault.1.prom" "$facts/fault.0.prom"
mv "$facts/later" "$facts/fault.1.prom"
is "counters fell" "nothing, because the server was restarted within a window" "$(why | sed 's/: .*//')"
quiet
ORDERS=29 names "too few orders" nothing commit=20
ORDERS=30 names "just enough orders" commit commit=20
quiet
samples locks 0 0
names "no samples of locks: not the pool either" nothing pool_wait=11
is "and it says so" "nothing, because no stage but the waits has grown, and there are too few samples of /debug/locks" "$(why)"
names "but work that has grown needs none" commit commit=20
names "nor does a shortage of processors" cpu run_delay=12 statements=6 commit=4
rm "$facts/fault.debug.jsonl"
names "no samples at all" nothing lock_wait=80
quiet
samples pool 0 20 '' '{"type":"about:blank","status":503,"code":"overloaded"}'
names "samples that are refusals" nothing pool_wait=11
is "are no samples" "nothing, because no stage but the waits has grown, and there are too few samples of /debug/pool" "$(why)"
quiet
foreign 4 4
names "too few samples" nothing lock_wait=80
foreign 5 5
names "just enough samples" lock lock_wait=80

# ------------------------------------------------------------------------------- no telemetry
rm -rf "$facts"
mkdir "$facts"
is "nothing at all" "nothing, because it does not say where an order's time goes" "$(why)"
printf '{"event":"config","DB_POOL":1}\n{"event":"listening"}\n' >"$facts/server.log"
is "a log that says how it was started, and no more" nothing "$(named)"
is "it was looked at" "  no metrics; 0 of the 2 lines of its log say where an order's time went" "$(diagnosis | head -n 1)"
printf '{"event":"request","lock_wait_ms":80.1}\n' >>"$facts/server.log"
is "a line with a stage's time is seen" "  no metrics; 1 of the 3 lines of its log say where an order's time went" "$(diagnosis | head -n 1)"

# ---------------------------------------------------------------------------------- the table
quiet
window fault commit=20
is "means of the window, not of the hour before it" "commit 1.000 20.000 20.0" "$(diagnosis | awk '$1 == "commit" { print $1, $2, $3, $4 }')"
is "a queue is shown where there is one" "" "$(diagnosis | grep queue_wait || :)"
window fault queue_wait=3
is "and only there" "queue_wait 3.000 -" "$(diagnosis | awk '$1 == "queue_wait" { print $1, $3, $4 }')"

# ------------------------------------------------------------------------- samples of a gauge
# shellcheck source=harness/lib/telemetry.sh
source "$ROOT/harness/lib/telemetry.sh"
# shellcheck source=harness/lib/figures.sh
source "$ROOT/harness/lib/figures.sh"
postgres_keep() { :; } # it ends by itself
printf '# TYPE age gauge\nage_total 9\nage 0.25\nage{of="all"} 7\n' >"$dir/metrics"
TARGET_ADMIN_URL=file://$dir
LOAD_WARMUP_S=0
telemetry_gauges "$dir/gauges" 0.75
telemetry_end
is "ten samples a second, but for the edges, of a series without labels" "0.25 0.25 0.25 " "$(telemetry_values age "$dir/gauges" | tr '\n' ' ')"
is "of a series that is not there, none" "" "$(telemetry_values length "$dir/gauges")"
TARGET_ADMIN_URL=''
telemetry_gauges "$dir/gauges" 0.75
telemetry_end
is "nor of a target that tells nothing" "" "$(telemetry_values age "$dir/gauges")"

say "$passed passed, $failed failed"
((failed == 0))
