#!/usr/bin/env bash
# test_report: the comparison's arithmetic, and its page as a browser shows it. A comparison is made up,
# with a fault, a round that cannot be trusted and names that try to be executed; compare_round.jq and
# compare_summary.jq make it a run's directory, and the report (under the address sanitizer) its page.
# Then headless Chromium opens it, without a network: every chart drawn, no error, no request. That this
# test can fail is part of it: pages spoilt on purpose must be found out. No Chromium: a skip.
set -euo pipefail
# shellcheck source=harness/lib/common.sh
source "$(dirname "$0")/../lib/common.sh"

cd "$ROOT"
dir=$(mktemp -d)
on_exit rm -rf "$dir"
failed=0
BROWSER_S=60  # one page
INK_LEAST=100 # pixels of a target's colour in a chart

ok() { say "ok $1"; }
not_ok() {
    failed=1
    say "not ok $1: $2"
}
# same NAME WANTED GOT
same() { if [[ $2 == "$3" ]]; then ok "$1"; else not_ok "$1" "'$3', not '$2'"; fi; }
# has NAME FILE TEXT; lacks NAME FILE TEXT
has() { if grep -qF -- "$3" "$2"; then ok "$1"; else not_ok "$1" "no '$3' in $(head -c 300 "$2")"; fi; }
lacks() { if ! grep -qF -- "$3" "$2"; then ok "$1"; else not_ok "$1" "'$3' is in $2"; fi; }

env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s MODE=asan build/asan/report >"$dir/make.log" 2>&1 ||
    die "the report does not build: $(tail -n 1 "$dir/make.log")"
report() { ASAN_OPTIONS=detect_leaks=1 timeout 60 build/asan/report "$@"; }

# ------------------------------------------------------------------------------ a made-up comparison

SECONDS_LONG=10
EVIL_A='phase 1 <img src=x onerror="document.documentElement.dataset.evil=1">'
EVIL_B=$'</script><script>document.documentElement.dataset.evil=2</script><!--\' " & \e[31mred'
EVIL_FAULT='fault<svg onload="document.documentElement.dataset.evil=3">'

# made ARM ROUND GOODPUT P99 DOUBT: what loadgen and the samplers leave of one round, as a1.json. Only b
# has a queue; from 4 to 6 s the row is locked.
made() {
    local arm=$1 n=$2 start=1700000000
    jq -n --argjson goodput "$3" --argjson p99 "$4" '{duration_s: 10, window_started_at: "2023-11-14T22:13:20.000Z",
        orders: {count: 1000, ok: 900, fail: 60, info: 30, unsent: 10, goodput: $goodput, complete_ms: {count: 900, p50: 8, p99: $p99},
        accept_ms: {count: 900, mean: 20}, accept_uncorrected_ms: {count: 900, mean: 7.5}},
        reads: {count: 500, ok_within_100ms: 450}, final: {confirmed: 900, rejected: 0, failed: 0, unfinished: 0, lost: 0},
        generator: {lag_p99_ms: 1.25, cpu_share: 0.1}}' >"$dir/summary"
    jq -n --argjson p99 "$4" --arg evil "$EVIL_FAULT" '{points: [range(10) | {t: ., orders: 100, ok: 90, p50_ms: (if . == 4 or . == 5 then null else 8 end),
        p99_ms: (if . == 4 or . == 5 then null else $p99 + . end), read_p99_ms: ($p99 / 10 + .)}],
        marks: [{t_ms: 4000, kind: "fault_begin", text: $evil}, {t_ms: 6000, kind: "fault_end", text: "over"}, {t_ms: "x", kind: 7}]}' >"$dir/series"
    awk -v goodput="$3" 'BEGIN { for (i = 0; i < 20; i++) printf "%.2f\t%d\n", i / 2 + 0.25, goodput / 10 }' >"$dir/pace"
    awk -v start=$start -v wait="$([[ $arm == a ]] && echo 60 || echo 4)" 'BEGIN { for (i = -2; i < 40; i++) printf "%.2f|%d|64|64|%d\n", start + i / 4, wait, 1000 / wait * (i + 2) }
        END { print "psql: broken line" }' </dev/null >"$dir/database"
    awk -v start=$start -v arm="$arm" 'BEGIN { for (i = -2; i < 40; i++) {
        printf "@ %.2f %d\nflashdeal_db_pool_waiters{pool=\"all\"} %d\n", start + i / 4, 100 + i * 5, 7
        printf "flashdeal_http_request_duration_seconds_count{method=\"GET\",path=\"/sales/{}\"} 5\n"
        printf "flashdeal_http_request_duration_seconds_count{method=\"POST\",path=\"/orders\"} %d\n", 100 * (i + 2)
        printf "flashdeal_http_stage_duration_seconds_sum{method=\"POST\",path=\"/orders\",stage=\"commit\"} %.3f\n", 0.5 * (i + 2)
        printf "flashdeal_http_stage_duration_seconds_sum{method=\"POST\",path=\"/orders\",stage=\"lock_wait\"} %.3f\n", (arm == "a" ? 2 : 0.1) * (i + 2)
        if (arm == "b") printf "flashdeal_queue_length 12\nflashdeal_queue_age_seconds 0.25\n" } }' >"$dir/server"
    jq -n --arg arm "$arm" --argjson round "$n" --arg doubt "$5" --arg foreign 0.2 --arg confirmed_s 100 --arg goodput "$3" --arg audit PASS \
        --argjson tick 100 --argjson warmup 0.5 --slurpfile summary "$dir/summary" --slurpfile series "$dir/series" \
        --rawfile pace "$dir/pace" --rawfile database "$dir/database" --rawfile server "$dir/server" -f harness/lib/compare_round.jq >"$run/$arm$n.json"
}

# summed SOUND A_NAME B_NAME
summed() {
    jq -n --arg shape row-lock --arg text "half of 1x" --arg parts $'0\t0.5x\t100\n5\t2x\t400' --arg steps 100:5.000,400:5.000 --argjson seconds $SECONDS_LONG \
        --arg capacity 250 --argjson sound "$1" --arg a 1 --arg b 2,DB_POOL=5 --arg a_name "$2" --arg b_name "$3" --arg started 2023-11-14T22:13:00Z \
        --arg seed 1 --arg foreign_max 0.4 --arg command "./harness/compare.sh 1 2" --arg commit c0ffee --arg machine "2 cores" \
        --arg postgres 15.18 --slurpfile rounds <(cat "$run"/[ab][0-9].json) -f harness/lib/compare_summary.jq >"$run/summary.json"
}

run=$dir/run
mkdir "$run"
made a 1 100 900 ""
made b 1 300 90 ""
made a 2 100 900 ""
made b 2 200 300 ""
made a 3 100 900 "the load generator ran late"
made b 3 900 1 ""
made a 4 200 1000 ""
made b 4 500 200 ""
summed true "$EVIL_A" "$EVIL_B"

figure() { jq -c "[.figures[] | select(.key == \"$1\") | $2][0]" "$run/summary.json"; }
same "the ratio is the median of pairs, without the doubtful one" '[2.5,2,3]' "$(figure goodput_s '.ratio | [.median, .min, .max]')"
same "goodput is per second" '[10,30]' "$(figure goodput_s '[.a.median, .b.median]')"
same "shares are of all orders" '[6,4,90]' "[$(figure refused_percent .a.median),$(figure unanswered_percent .a.median),$(figure reads_100ms_percent .a.median)]"
same "lock waiters are the samples' p95" '[60,4]' "$(figure lock_waiters_p95 '[.a.median, .b.median]')"
same "CPU per order: 20 ticks a second, 100 orders" 2 "$(figure cpu_ms_per_order '.a.median * 100 | round / 100')"
same "a stage is its growth over the requests'" '[["lock_wait",20],["commit",5]]' "$(jq -c '[.stages.a[] | [.stage, (.ms * 100 | round / 100)]]' "$run/summary.json")"
same "what was waited at the buyer is in the latency alone" '[12.5,1]' "[$(figure buyer_wait_ms .a.median),$(figure unsent_percent .a.median)]"
same "shares have no ratio" '[true,null,null]' "[$(figure buyer_wait_ms '.ratio != null'),$(figure refused_percent .ratio),$(figure reads_100ms_percent .ratio)]"
same "the plan is told step by step" '[{"from_s":0,"rate":100},{"from_s":5,"rate":400}]' "$(jq -c .planned "$run/summary.json")"
same "the bold pair is the one of the median" 4 "$(jq .shown "$run/summary.json")"
same "the doubt is told" 1 "$(jq '.doubts | length' "$run/summary.json")"
same "soundly measured: status 0" 0 "$(jq .exit_status "$run/summary.json")"
has "the verdict stands in words" "$run/summary.json" "confirms 2.5 times (2 to 3) as many orders within 1 s"
has "and never as a tenth of a time" "$run/summary.json" "confirmed orders is through 5 times (3 to 10) faster"
summed true A B && cp -r "$run" "$dir/turned"
for n in 1 2 3 4; do jq '.arm = "a"' "$run/b$n.json" >"$dir/turned/a$n.json" && jq '.arm = "b"' "$run/a$n.json" >"$dir/turned/b$n.json"; done
run=$dir/turned summed true A B
has "a worse second target is the first one's praise" "$dir/turned/summary.json" "A confirms 2.5 times (2 to 3) as many orders within 1 s as B."
has "and takes so many times as long" "$dir/turned/summary.json" "takes 5 times (3 to 10) as long"
same "what is better is told of each figure" 'goodput_s:more confirmed_s:more p50_ms:less p99_ms:less buyer_wait_ms:less unsent_percent:less refused_percent: unanswered_percent:less reads_100ms_percent:more lock_waiters_p95:less cpu_ms_per_order:less' \
    "$(jq -r '[.figures[] | "\(.key):\(.better)"] | join(" ")' "$run/summary.json")"
has "reads are told of both" "$run/summary.json" "Of those who only look, 90 % are served within 100 ms; of A's, 90 %."
cp -r "$run" "$dir/even"
for n in 1 2 3 4; do jq --argjson n "$n" '.figures.goodput_s = (if $n == 2 then 10.5 else 10 end) | .figures.p99_ms = 100' "$run/a$n.json" >"$dir/even/a$n.json" &&
    jq --argjson n "$n" '.figures.goodput_s = (if $n == 1 then 9 else 11 end) | .figures.p99_ms = 104' "$run/b$n.json" >"$dir/even/b$n.json"; done
run=$dir/even summed true A B
has "what does not differ is called so" "$dir/even/summary.json" "B confirms about as many orders within 1 s as A: 1.05 times (0.9 to 1.1), no difference beyond the noise."
has "in latency as well" "$dir/even/summary.json" "The slowest of a hundred confirmed orders takes about as long."
same "the median of an even number of pairs is one of them" true "$(jq '.figures[0].ratio as $r | [$r.values[] == $r.median] | any' "$dir/even/summary.json")"
summed false A B
same "not soundly: status 2" 2 "$(jq .exit_status "$run/summary.json")"
jq '.audit = "FAIL"' "$run/b2.json" >"$dir/b2" && cp "$run/b2.json" "$dir/b2.good" && mv "$dir/b2" "$run/b2.json"
summed true A B
same "a failed audit: status 1" 1 "$(jq .exit_status "$run/summary.json")"
has "and it is the verdict" "$run/summary.json" "The audit fails: B, round 2."
mv "$dir/b2.good" "$run/b2.json"
jq '.orders.goodput = 45 | .orders.codes = {"202": 900} | .final = {confirmed: 45, rejected: 0, failed: 0, unfinished: 0, lost: 0}' "$dir/summary" >"$dir/async"
same "goodput is what the database confirmed, not what was awaited" 90 "$(jq -n --arg arm a --argjson round 1 --arg doubt '' --arg foreign '' --arg confirmed_s 100 --arg goodput 900 --arg audit PASS \
    --argjson tick 100 --argjson warmup 0 --slurpfile summary "$dir/async" --slurpfile series "$dir/series" --rawfile pace "$dir/pace" --rawfile database /dev/null --rawfile server /dev/null \
    -f harness/lib/compare_round.jq | jq -c .figures.goodput_s)"
summed true "$EVIL_A" "$EVIL_B"

# ------------------------------------------------------------------------------------ without browser

report "$run" >"$dir/out" 2>&1 || not_ok "the page is made" "$(cat "$dir/out")"
page=$run/report.html
lacks "no name is an element" "$page" '<img'
lacks "no name ends a script" "$page" '</script><script>document'
lacks "no fault's text is an element" "$page" '<svg'
same "nothing is loaded" '' "$(grep -oE '<(script|link|img|iframe|object)[^>]* (src|href|data)=' "$page" || :)"
lacks "no source map is named" "$page" sourceMappingURL
has "the name is shown" "$page" 'phase 1 &lt;img src=x onerror=&quot;'
has "the ratio is in the table" "$page" '2.50<small>2 to 3</small>'
has "why latency and stages differ" "$page" 'the wait at the buyer for one of the load generator'
has "the replay command" "$page" './harness/compare.sh 1 2'
same "every placeholder is filled" '' "$(grep -oE '@[a-z_]+@' "$page" || :)"
report --text "$run" >"$dir/text"
has "the tables for a terminal" "$dir/text" '2.50 (2 to 3)'
lacks "obey no escape sequence" "$dir/text" $'\e['

# refused NAME TEXT: the report of $dir/bad fails, and says so.
refused() {
    local status=0
    report "$dir/bad" >"$dir/out" 2>&1 || status=$?
    same "$1: status 1" 1 "$status"
    has "$1: says why" "$dir/out" "$2"
    [[ ! -e $dir/bad/report.html ]] || not_ok "$1" "there is a page all the same"
}
# bad JQ: a run's directory whose summary JQ has changed.
bad() {
    rm -rf "$dir/bad"
    cp -r "$run" "$dir/bad"
    rm -f "$dir/bad/report.html"
    jq "$1" "$run/summary.json" >"$dir/bad/summary.json"
}
rm -rf "$dir/bad"
refused "no such directory" "there is no $dir/bad/summary.json"
bad 'del(.targets)'
refused "a run that compares nothing" "is of no comparison"
bad '.rounds[0].arm = "../../a"'
refused "a round whose name is a path" "none of a1 to b9"
bad '.rounds[0].round = 1e300'
refused "a round whose number is absurd" "none of a1 to b9"
bad .
rm "$dir/bad/a2.json"
refused "a round without its file" "there is no $dir/bad/a2.json"
bad .
echo '{"points": [{"t": NaN}]}' >"$dir/bad/a2.json"
refused "NaN, which is no JSON" "a2.json is no JSON object"
bad .
printf '{"a": 1}\0x' >"$dir/bad/a2.json"
refused "a NUL" "cannot be read"
bad .
truncate -s 33M "$dir/bad/a2.json"
refused "a file that is too big" "cannot be read"
bad .
head -c 5000 /dev/zero | tr '\0' '[' >"$dir/bad/a2.json"
refused "five thousand brackets" "is no JSON object"

# made_of NAME: the report of $dir/bad is made, and so is its text.
made_of() {
    if report "$dir/bad" >"$dir/out" 2>&1 && report --text "$dir/bad" >>"$dir/out" 2>&1; then ok "$1"; else not_ok "$1" "$(tail -n 3 "$dir/out")"; fi
}
shown() { sed -n 's/.*<script id="data" type="application\/json">\(.*\)<\/script>.*/\1/p' "$dir/bad/report.html"; }
bad '{targets}'
made_of "two names and nothing else"
same "then no curve" 0 "$(shown | jq '.curves | length')"
bad '.figures = "none" | .stages = [1] | .shown = "x" | .rounds |= map(.figures = 7) | .doubts = {"a": 1} | .parts = [null, {}]'
made_of "members of other types"
bad .
jq '.points = [] | .database = [] | .server = null | .marks = "x"' "$run/a4.json" >"$dir/bad/a4.json"
made_of "a round without a single sample"
bad '.figures[0].ratio = {median: 1, min: null}'
sed -i 's/"t": 3,/"t": 1e999,/' "$dir/bad/a4.json"
sed -i 's/"rate": [14]00/"rate": -1e999/' "$dir/bad/summary.json"
made_of "numbers beyond all bounds"
same "which are gaps" 0 "$(shown | jq '[.curves[] | select(.key == "offered")] | length')"
bad '.figures[0].name = ("x" * 100000) | .conclusion = ("y" * 100000)'
made_of "names without end"
bad .
jq -n '{arm: "a", round: 4, database: [range(100000) | {t: (. / 10000), confirmed: ., lock_waiters: 1, sessions: 2}]}' >"$dir/bad/a4.json"
made_of "a hundred thousand samples"
same "are thinned out" true "$(shown | jq '[.curves[] | .points | length] | max <= 2000')"
same "and not to nothing" true "$(shown | jq '[.curves[] | select(.arm == "a" and .shown and .key == "waiters") | .points | length] | max > 1000')"
status=0
report --chart "$dir/none.js" "$run" >"$dir/out" 2>&1 || status=$?
same "no Chart.js where it was said to be" "1 report: cannot read $dir/none.js" "$status $(cat "$dir/out")"
if unshare -m true 2>/dev/null; then
    status=0
    # shellcheck disable=SC2016 # its own shell expands them
    ASAN_OPTIONS=detect_leaks=0 unshare -m bash -c 'for d in /usr/share/javascript /usr/share/nodejs; do [[ ! -d $d ]] || mount -t tmpfs none "$d"; done
        build/asan/report --out "$1/none.html" "$2"' _ "$dir" "$run" >"$dir/out" 2>&1 || status=$?
    has "no Chart.js installed: what to do" "$dir/out" "make setup installs it"
fi
status=0
report >"$dir/out" 2>&1 || status=$?
same "no directory given: status 64" 64 "$status"

# ---------------------------------------------------------------------------------------- the browser

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || :)
if [[ -z $browser ]]; then
    say "skip the page in a browser: chromium is not installed (make check installs it)"
    exit "$failed"
fi

# browse FILE [OPTION..]: $dir/dom, $dir/console, $dir/requests. `timeout` puts the browser into a process
# group of its own and ends all of it.
browse() {
    rm -rf "$dir"/{profile,dom,console,requests,net.json,log}
    timeout -k 5 "$BROWSER_S" "$browser" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run \
        --disable-background-networking --disable-component-update --disable-sync --disable-extensions --disable-default-apps \
        --host-resolver-rules='MAP * ~NOTFOUND' --user-data-dir="$dir/profile" --log-net-log="$dir/net.json" \
        --enable-logging=stderr --v=0 "${@:2}" --dump-dom "file://$1" >"$dir/dom" 2>"$dir/log" </dev/null ||
        die "the browser did not end well: $(tail -n 1 "$dir/log")"
    grep -F CONSOLE "$dir/log" >"$dir/console" || :
    # What the browser wants for itself (updates, the time) has no origin; what a page asks for has its own.
    jq -r '.constants.logEventTypes.URL_REQUEST_START_JOB as $t | .events[] | select(.type == $t) | .params
        | select(.initiator != "not an origin") | .url // empty' "$dir/net.json" |
        grep -vE '^(file|data|chrome|about|devtools):' | sort -u >"$dir/requests" || :
}

# faults: what is wrong with the page that was browsed; nothing: all is well.
faults() {
    local figure tag points inks ink
    [[ ! -s $dir/console ]] || say "console: $(head -n 1 "$dir/console")"
    [[ ! -s $dir/requests ]] || say "request: $(head -n 1 "$dir/requests")"
    grep -q '<html[^>]* data-ready="1"' "$dir/dom" || say "the script did not reach its end"
    if grep -q '<html[^>]* data-evil=' "$dir/dom"; then say "a name was executed"; fi
    for figure in in_time throughput latency reads sessions queue age stages; do
        tag=$(grep -o "<figure id=\"$figure\"[^>]*>" "$dir/dom" || :)
        points=$(sed -n 's/.* data-points="\([0-9]*\)".*/\1/p' <<<"$tag")
        inks=$(grep -oE 'data-ink[-ab]*="[0-9]+"' <<<"$tag" | tr -dc '0-9\n' || :)
        [[ $figure != age ]] || inks=${inks#*$'\n'} # only b has a queue
        for ink in ${inks:-0}; do
            ((${points:-0} > 0 && ink > INK_LEAST)) || say "$figure: nothing drawn (${points:-no} points, $ink pixels)"
        done
    done
}
points() { grep -o "<figure id=\"$1\"[^>]*>" "$dir/dom" | sed -n 's/.* data-points="\([0-9]*\)".*/\1/p'; }

browse "$page" --window-size=1000,1400
same "the page is as it should be" '' "$(faults)"
same "all eight charts are drawn" 1 "$(grep -c '<html[^>]* data-charts="8"' "$dir/dom")"
# 8 rounds of 10 s, two of them bold; samples every 0.25 s, rates over 0.75 s; two seconds without orders.
same "points of the orders in time" $((8 * 20)) "$(points in_time)"
same "the planned rate is steps from mark to mark" '[["in_time",[[0,100],[5,400],[10,400]]],["throughput",[[0,100],[5,400],[10,400]]]]' \
    "$(sed -n 's/.*<script id="data" type="application\/json">\(.*\)<\/script>.*/\1/p' "$page" | jq -c '[.curves[] | select(.key == "offered") | [.chart, .points]]')"
same "points of the throughput" $((8 * 13)) "$(points throughput)"
same "points of the latency: p99 of all, p50 of the bold" $((8 * 8 + 2 * 8)) "$(points latency)"
same "points of the reads" $((8 * 10)) "$(points reads)"
same "points of the sessions: waiters of all, sessions of the bold" $((8 * 40 + 2 * 40)) "$(points sessions)"
same "points of the queue: b has one, both have a pool" $((4 * 40 + 2 * 40)) "$(points queue)"
same "points of its age" $((4 * 40)) "$(points age)"
same "points of the stages" 4 "$(points stages)"
same "the fault is one window" '[[4,6]]' "$(sed -n 's/.*<script id="data" type="application\/json">\(.*\)<\/script>.*/\1/p' "$page" | jq -c '[.faults[] | [.from, .to]]')"
has "the name is text in the browser too" "$dir/dom" 'phase 1 &lt;img src=x'
browse "$page" --window-size=400,900 --blink-settings=preferredColorScheme=0
same "so it is on a dark phone" '' "$(faults)"

# found NAME PATTERN: the page that was browsed has a fault like this.
found() {
    local all
    all=$(faults)
    if grep -qE "$2" <<<"$all"; then ok "found out: $1"; else not_ok "found out: $1" "$all"; fi
}
# spoilt NAME PATTERN FILE SED..: a page made with one changed part must be found out.
spoilt() {
    rm -rf "$dir/assets"
    cp -r harness/report "$dir/assets"
    sed -i "${@:4}" "$dir/assets/$3"
    ! cmp -s "$dir/assets/$3" "harness/report/$3" || not_ok "found out: $1" "sed changed nothing"
    report --assets "$dir/assets" --out "$dir/spoilt.html" "$run"
    browse "$dir/spoilt.html"
    found "$1" "$2"
}
spoilt "an undefined variable" '^console: .*not defined' page.js 's/^draw();/draw(nothing);/'
spoilt "a chart without data" '^latency: nothing drawn' page.js "s/{id: 'latency'/{id: 'latency', none: 1/; s/curve.chart === chart.id/& \&\& !chart.none/"
spoilt "a curve in no colour" '^reads: nothing drawn' page.js "s/borderColor: curve.shown ? ink/borderColor: curve.chart === 'reads' ? 'transparent' : curve.shown ? ink/; s/backgroundColor: ink,\$/backgroundColor: curve.chart === 'reads' ? 'transparent' : ink,/"
spoilt "a script from elsewhere" '^request: http://elsewhere' page.html -e '/Content-Security-Policy/d' -e 's#<main>#<script src="http://elsewhere.invalid/x.js"></script><main>#'
spoilt "a script from elsewhere, which the policy forbids" '^console: .*Content Security Policy' page.html 's#<main>#<script src="http://elsewhere.invalid/x.js"></script><main>#'
sed -e 's/&lt;/</g; s/&gt;/>/g; s/&quot;/"/g; /Content-Security-Policy/d' "$page" >"$dir/spoilt.html"
browse "$dir/spoilt.html"
found "a name that is not escaped" '^a name was executed'
sed -e 's/&lt;/</g; s/&gt;/>/g; s/&quot;/"/g' "$page" >"$dir/spoilt.html"
browse "$dir/spoilt.html"
same "the policy keeps even such a name from being executed" '' "$(faults | grep '^a name was executed' || :)"

left=$(grep -lsaF -- "$dir/profile" /proc/[0-9]*/cmdline || :)
same "no browser is left behind" '' "$left"
exit "$failed"
