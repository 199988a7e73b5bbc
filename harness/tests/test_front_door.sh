#!/usr/bin/env bash
# test_front_door: what a newcomer types first: run, buy, psql, mine, doctor, failures, diff, demo.
#
# All of it in a copy of this tree, so that neither work/ nor the phase built last changes here; what
# is built is copied too, so that little is compiled. Prints `ok NAME` or `not ok NAME: why`.
set -euo pipefail
# shellcheck source=harness/lib/common.sh
source "$(dirname "$0")/../lib/common.sh"

unset DATABASE_URL DURATION CLIENTS RATE SEED PORT URL SALE QUANTITY BIND DIR MODE
DEMO_S=0.5    # of a window: the acts are looked at, not the figures
DEMO_MAX_S=420 # one pass takes about 170; what proves nothing is repeated once, with longer windows
export NO_COLOR=1 FLASHDEAL_TMP=/var/tmp/flashdeal-door-$$
mkdir "$FLASHDEAL_TMP"
chmod 711 "$FLASHDEAL_TMP" # the server's user passes through
dir=$(mktemp -d)
on_exit rm -rf "$dir" "$FLASHDEAL_TMP"
failed=0

ok() { say "ok $1"; }
not_ok() {
    failed=1
    say "not ok $1: $2"
}
# run STATUS NAME COMMAND...: its output is kept in $dir/output; STATUS may be "0|2".
run() {
    local status=0
    "${@:3}" >"$dir/output" 2>&1 </dev/null || status=$?
    if [[ "|$1|" == *"|$status|"* ]]; then ok "$2"; else not_ok "$2" "status $status, not $1: $(tail -n 1 "$dir/output")"; fi
}
says() { if grep -qE "$2" "$dir/output"; then ok "$1"; else not_ok "$1" "nothing like '$2' in: $(tail -n 3 "$dir/output" | tr '\n' ' ')"; fi; }
# is NAME EXPECTED ACTUAL
is() { if [[ $2 == "$3" ]]; then ok "$1"; else not_ok "$1" "'$3', not '$2'"; fi; }
lines() { wc -l <"$dir/output"; }
# until_it SECONDS COMMAND...
until_it() {
    local tenths
    for ((tenths = 0; tenths < $1 * 10; tenths++)); do
        if "${@:2}" >/dev/null 2>&1; then return 0; fi
        sleep 0.1
    done
    return 1
}
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; }
left() { ls -A "$FLASHDEAL_TMP" build/run; }

cd "$ROOT"
mkdir -p "$dir/tree/build"
cp -a Makefile common harness phase[0-8] "$dir/tree/"
[[ ! -d build/release ]] || cp -a build/release "$dir/tree/build/"
cd "$dir/tree"
mkdir -p build/run

# ------------------------------------------------------------------------- run, buy, psql
for port in $(shuf -i 15700-15899 -n 20); do listens || break; done
export PORT=$port
harness/run.sh 1 >"$dir/run.log" 2>&1 </dev/null &
script=$!
end_run() { if [[ -n $script ]]; then kill -TERM "$script" 2>/dev/null || :; fi; }
on_exit end_run
if until_it 60 grep -q 'serves on' "$dir/run.log"; then
    ok "run.sh serves, and says where"
else
    not_ok "run.sh serves, and says where" "$(tail -n 1 "$dir/run.log")"
fi
run 0 "buy.sh buys" harness/buy.sh 1
says "and shows what was sent" '^POST /orders HTTP'
says "and what came back" '^HTTP/1.1 201'
run 0 "buy.sh shows a refusal too" env QUANTITY=100000 harness/buy.sh 1 8
says "as the server words it" '^HTTP/1.1 4[0-9][0-9]'
run 64 "buy.sh without a phase" harness/buy.sh
run 1 "buy.sh where nothing serves" env URL=http://127.0.0.1:1 harness/buy.sh 1
says "says what to do" 'nothing serves at .*: make run-1'
COUNT="SELECT 'orders ' || count(*) FROM orders"
is "psql.sh takes a query" "orders 1" "$(harness/psql.sh 1 -Atc "$COUNT" 2>&1)"
is "psql.sh reads standard input" "orders 1" "$(harness/psql.sh 1 -At 2>&1 <<<"$COUNT")"
run 1 "psql.sh of a phase that does not run" harness/psql.sh 0
run 1 "a second run.sh on the same port refuses" timeout 30 harness/run.sh 1
is "in one sentence" 1 "$(lines)"
says "that names another port" "port $port is in use; elsewhere: PORT="

server=$(sed -n 's/.*serves on .*(pid \([0-9]*\)).*/\1/p' "$dir/run.log")
kill -TERM "$script" 2>/dev/null || :
if until_it 30 test ! -d "/proc/$script"; then ok "SIGTERM ends run.sh"; else not_ok "SIGTERM ends run.sh" "process $script"; fi
script=''
gone() { [[ ! -d /proc/${server:-none} && -z $(ls -A "$FLASHDEAL_TMP") && -z $(ls -A build/run) ]] && ! listens; }
if [[ -n $server ]] && until_it 15 gone; then
    ok "server, PostgreSQL and data are gone"
else
    not_ok "server, PostgreSQL and data are gone" "$(left | tr '\n' ' ')"
fi
unset PORT

# ------------------------------------------------------------------------- a copy of one's own
run 0 "mine.sh copies a phase" harness/mine.sh 1
is "without links" "" "$(find work/phase1 -type l)"
run 0 "the copy builds" env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s server DIR=work/phase1
if [[ -x build/release/work/phase1/server ]]; then ok "where it is said to"; else not_ok "where it is said to" "$(tail -n 1 "$dir/output")"; fi
run 1 "mine.sh never overwrites" harness/mine.sh 1
says "and says so" 'work/phase1 exists and is yours'

# ------------------------------------------------------------------------- what there is to read
run 0 "failures.sh" harness/failures.sh
is "names every failure mode's script" "$(grep -vc '^#' harness/failure-modes.tsv)" "$(grep -cE '^    \./harness/[a-z-]+\.sh( [0-8]|$)' "$dir/output")"
run 0 "diff.sh shows what phase 1 changed" harness/diff.sh show 1
says "beginning with what was changed, added, inherited" '^Phase 1: changed .*; added .*; inherited '
says "then the sources" '^@@ '
run 0 "diff.sh counts it" harness/diff.sh stat 1
says "with the limit" 'lines added and removed in sources .*limit'
run 64 "diff.sh without show or stat" harness/diff.sh 1

# ------------------------------------------------------------------------- what is missing
run "0|1" "setup.sh --check" harness/setup.sh tier1 run --check
if (($(lines) <= 1)); then ok "in at most one sentence"; else not_ok "in at most one sentence" "$(tail -n 2 "$dir/output")"; fi
LAST_CHECK='^(ok     nothing left of earlier runs|note   a server of this checkout runs)'
run "0|1" "doctor.sh" harness/doctor.sh
says "comes to its last check" "$LAST_CHECK"
if command -v dpkg-query >/dev/null; then
    cp harness/packages/tier1 "$dir/tier1"
    sed -i 's/^\[run\]$/&\nno-such-package/' harness/packages/tier1
    run 1 "setup.sh --check with a package missing" harness/setup.sh tier1 run --check
    says "names it" '^Not installed: .*no-such-package.* make setup$'
    run 1 "doctor.sh with a package missing" harness/doctor.sh
    says "names it as well" '^WRONG  packages to run: .*no-such-package'
    says "and comes to its last check all the same" "$LAST_CHECK"
    cp "$dir/tier1" harness/packages/tier1
else
    say "skip a missing package: no dpkg on this machine"
fi

# ------------------------------------------------------------------------- the demo
began=$SECONDS
DURATION=$DEMO_S run "0|2" "demo.sh goes as declared, or says that it cannot tell" timeout -k 15 "$DEMO_MAX_S" harness/demo.sh
for act in '1. Everybody waits' '2. A sale' '3. The same without the lock' "4. The lock's price" '5. Where does the time go' '6. The cure' 'What you have seen' 'Next'; do
    says "the demo has its part: $act" "^$act"
done
for row in 'pool exhaustion +phase 0 ' 'pool exhaustion +phase 1 ' 'a sale, audited +phase 1 ' 'oversell +1,NAIVE_UNSAFE=1 ' 'row-lock contention +phase 1 ' 'collapse +phase 1 ' \
    'blindness +phase 2 ' 'a comparison +2 and 3 '; do
    says "the demo sums up: ${row// +/, }" "^  $row"
done
says "the demo names the report to open" '^  open build/runs/[^ ]*/report\.html '
report=$(sed -n 's/^  open \(build\/runs\/[^ ]*\/report\.html\).*/\1/p' "$dir/output" | tail -n 1)
if [[ -s $report ]]; then ok "and it is there"; else not_ok "and it is there" "no file '$report'"; fi
is "nothing is left of it all" "" "$(until_it 15 gone || left)"
say "# the demo took $((SECONDS - began)) s, all of it $SECONDS s"
exit "$failed"
