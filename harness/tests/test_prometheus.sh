#!/usr/bin/env bash
# test_prometheus: Prometheus itself takes what phases 2 and 3 publish, and the dashboard is not empty.
#
# promtool judges the configuration and the text of /metrics; then a Prometheus with that
# configuration, but for ports and interval, scrapes each phase while orders of one sale contend, and
# is asked what the dashboard asks. Every panel must ask for the metrics that its title is about, and
# every query give a number; quantiles must agree with the load generator's, errors and pools with
# what was done. Prints `ok NAME`, `not ok NAME: why` or `skip NAME: why`.
# shellcheck disable=SC2016 # the variables in single quotes are jq's and Grafana's
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
# shellcheck source=harness/lib/verdict.sh
source "$ROOT/harness/lib/verdict.sh"
# shellcheck source=harness/lib/target.sh
source "$ROOT/harness/lib/target.sh"
# shellcheck source=harness/lib/load.sh
source "$ROOT/harness/lib/load.sh"

CLIENTS=16
LOAD_S=5
INTERVAL=500ms
WITHIN_S=15
SHARE_MIN=0.2 # of an order's time, with 16 clients on one row; it is about 0.9
DEPLOY=${DEPLOY:-$ROOT/phase2/deploy}
AUTH_SECRET=the-harness-signs-its-tokens-with-this
# shellcheck disable=SC2034 # target.sh's and load.sh's
TARGET_PORTS=16400-16449 SEED=1 LOAD_WARMUP_S=0

cd "$ROOT"
PATH=$PATH:$ROOT/build/packages/prometheus/usr/bin
if ! command -v prometheus >/dev/null; then
    say "skip Prometheus: it is neither installed nor in build/packages; make check fetches it"
    exit 0
fi
RUN=$(mktemp -d)
on_exit rm -rf "$RUN"
failed=0

ok() { say "ok $1"; }
not_ok() {
    failed=1
    say "not ok $1: $2"
}
# judge NAME COMMAND..: what it prints matters if it fails
judge() {
    local out
    if out=$("${@:2}" 2>&1); then ok "$1"; else not_ok "$1" "$(tail -n 3 <<<"$out" | tr '\n' ' ')"; fi
}
# holds NAME AWK_CONDITION SHOWN
holds() { if awk "BEGIN { exit !($2) }"; then ok "$1 ($3)"; else not_ok "$1" "$3"; fi; }
within() {
    local deadline=$((SECONDS + WITHIN_S))
    until "$@"; do
        ((SECONDS < deadline)) || return 1
        sleep 0.1
    done
}

# ------------------------------------------------------------------------------- Prometheus

prometheus_port() {
    local port
    for port in $(shuf -i 16450-16499); do
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            say "$port"
            return 0
        fi
    done
    die "no free port for Prometheus"
}

# The configuration as it is deployed, but that it scrapes the target of now, and often.
configure() {
    sed -E -e "s/127\.0\.0\.1:900$1( |$)/${TARGET_ADMIN_URL#http://}\1/" -e "s/(scrape_interval:).*/\1 $INTERVAL/" \
        -e "s/(scrape_timeout:).*/\1 $INTERVAL/" "$DEPLOY/prometheus.yml" >"$RUN/prometheus.yml"
    grep -q "${TARGET_ADMIN_URL#http://}" "$RUN/prometheus.yml" || die "prometheus.yml has no target 127.0.0.1:900$1"
}

is_ready() { curl -sf -o /dev/null --max-time 2 "$PROM/-/ready"; }

start_prometheus() {
    PROM=http://127.0.0.1:$(prometheus_port)
    prometheus --config.file="$RUN/prometheus.yml" --storage.tsdb.path="$RUN/data" --storage.tsdb.retention.time=1h \
        --web.listen-address="${PROM#http://}" --log.level=warn >"$RUN/prometheus.log" 2>&1 </dev/null &
    prometheus_pid=$!
    postgres_keep "$prometheus_pid"
    on_exit kill "$prometheus_pid"
    within is_ready || die "Prometheus did not start: $(tail -n 3 "$RUN/prometheus.log")"
}

# ask QUERY: the numbers of its samples, one a line; status 1 and its error if it has one
ask() {
    curl -s --max-time 5 --data-urlencode "query=$1" "$PROM/api/v1/query" |
        jq -r 'if .status == "success" then .data.result[].value[1] else .error | halt_error end'
}
first() { ask "$1" | head -n 1; }

instance() { printf '%s' "${TARGET_ADMIN_URL#http://}"; }
served() { curl -s "$TARGET_ADMIN_URL/metrics" | awk '/^flashdeal_http_requests_total/ { n += $NF } END { print n }'; }
scraped() { first "sum(flashdeal_http_requests_total{instance=\"$(instance)\"})"; }
all_scraped() { [[ $(scraped) == $(served) ]]; }
is_up() { [[ $(first "up{instance=\"$(instance)\"}") == 1 ]]; }

# ------------------------------------------------------------------------------- the dashboard

DASHBOARD=$DEPLOY/grafana/dashboards/flashdeal.json
# As Grafana would: every instance, and a range that covers the load.
resolve() {
    local query=${1//'$instance'/"$(instance)"}
    say "${query//'$__rate_interval'/"${RANGE_S}s"}"
}
# "title<TAB>query" of every panel
queries() { jq -r '.panels[] | .title as $title | .targets[] | [$title, .expr] | @tsv' "$DASHBOARD" | sed 's/\\\\/\\/g'; }
# The query whose text has these words.
query_with() { queries | cut -f 2 | grep -F -- "$1" | grep -F -- "$2" | head -n 1; }

# panels PHASE: every query gives a number. Queues are there from phase 3 on.
panels() {
    local title query out empty='' count=0
    while IFS=$'\t' read -r title query; do
        [[ $1 != 2 || $query != *flashdeal_queue_* ]] || continue
        count=$((count + 1))
        if ! out=$(ask "$(resolve "$query")" 2>&1) || ! grep -qE '^[0-9]' <<<"$out"; then
            empty+="$title: $query gives '${out//$'\n'/ }'; "
        fi
    done < <(queries)
    if [[ -z $empty && $count -gt 0 ]]; then
        ok "phase $1: each of the dashboard's $count queries gives a number"
    else
        not_ok "phase $1: each of the dashboard's queries gives a number" "$empty"
    fi
}

# bucket SECONDS: which one of the histogram's it falls into
bucket() {
    curl -s "$TARGET_ADMIN_URL/metrics" |
        sed -nE 's/^flashdeal_http_request_duration_seconds_bucket\{method="POST",path="\/orders",le="([0-9.e+-]+)"\}.*/\1/p' |
        awk -v v="$1" 'v > $1 { n++ } END { print n + 0 }'
}

# load: contention on one sale, reads and refusals beside it
load() {
    local began=$SECONDS
    load_stock "$LOAD_UNITS"
    load_closed load "$CLIENTS" "$LOAD_S" --read-rate 20
    curl -s "$TARGET_URL/orders/none" "$TARGET_URL/sales/1" "$TARGET_URL/nowhere" >/dev/null
    within all_scraped || not_ok "phase $1: everything is scraped" "$(scraped) of $(served) requests"
    RANGE_S=$((SECONDS - began + 1))
    # An error that appears with its first sample has no rate yet: it needs a second one to rise.
    curl -s -o /dev/null "$TARGET_URL/orders/none"
    within all_scraped || not_ok "phase $1: everything is scraped" "$(scraped) of $(served) requests"
}

# What each panel is about: its title's first words, and the metrics that its queries ask for.
METRICS_OF='Latency: flashdeal_http_request_duration_seconds_bucket
Traffic: flashdeal_http_requests_total
Errors: flashdeal_http_requests_total
Saturation: flashdeal_db_pool_in_use flashdeal_db_pool_size flashdeal_db_pool_waiters flashdeal_queue_length
Where are the orders? flashdeal_http_stage_duration_seconds_sum
How much of an order flashdeal_http_request_duration_seconds_sum flashdeal_http_stage_duration_seconds_sum
How long does the slowest flashdeal_http_stage_duration_seconds_bucket
Is the machine short process_cpu_seconds_total process_run_delay_seconds_total
Does its memory grow? process_resident_memory_bytes
Does it run out flashdeal_http_requests_in_flight process_open_fds process_threads'

metrics_asked_for() {
    jq -r --arg titles "$METRICS_OF" '[$titles | splits("\n") | capture("^(?<title>.*?) (?<metrics>(flashdeal|process)_.*)$")] as $wanted
        | (.panels[] | .title as $title | ([.targets[].expr | scan("\\b(?:flashdeal|process)_[a-z_]+")] | unique | join(" ")) as $asked
            | select([$wanted[] | .title as $words | select($title | startswith($words)) | .metrics] != [$asked])
            | "\($title) asks for \($asked)"),
          ($wanted[] | .title as $words | select([$dashboard[0].panels[] | select(.title | startswith($words))] == []) | "no panel \($words)")' \
        --slurpfile dashboard "$DASHBOARD" "$DASHBOARD"
}
names_agree() {
    local wrong
    wrong=$(metrics_asked_for)
    if [[ -z $wrong ]]; then ok "each panel asks for its metrics"; else not_ok "each panel asks for its metrics" "${wrong//$'\n'/; }"; fi
}

# agrees P: a quantile, 50 or 99, as the dashboard asks for it
agrees() {
    local name="phase 2: p$1 of POST /orders is the load generator's, to within one bucket" theirs ours apart
    theirs=$(calc "$(load_get ".orders.accept_ms.p$1") / 1000")
    ours=$(first "$(resolve "$(query_with "quantile(${2-0.$1}," request_duration | sed 's/instance=/method="POST", path="\/orders", instance=/')")")
    apart=$(calc "$(bucket "$ours") - $(bucket "$theirs")")
    holds "$name" "$apart >= -1 && $apart <= 1" "$ours s, loadgen $theirs s"
}

# errors PHASE: load's refusals are there, and nothing that went well is
errors() {
    local rates refused well
    rates=$(curl -s --max-time 5 --data-urlencode "query=$(resolve "$(query_with 'outcome!=' requests_total)")" "$PROM/api/v1/query")
    refused=$(jq '[.data.result[]? | select(.metric.status // "" | startswith("4")) | .value[1] | tonumber] | add // 0' <<<"$rates")
    well=$(jq '[.data.result[]? | select(.metric.outcome == "ok" or (.metric.status // "2" | test("^[123]")))] | length' <<<"$rates")
    holds "phase $1: errors are the refusals, and they only" "$refused > 0 && $well == 0" "$refused/s refused, $well series of others"
}

total() { ask "$(resolve "$1")" | awk '{ sum += $1 } END { print sum + 0 }'; }

# pools PHASE: so many connections as the server says, and no more of them in use
pools() {
    local size in_use truth
    size=$(total "$(query_with db_pool_size '{')")
    in_use=$(total "$(query_with db_pool_in_use '{')")
    truth=$(awk '/^flashdeal_db_pool_size/ { sum += $NF } END { print sum + 0 }' "$RUN/metrics")
    holds "phase $1: the pools are as big as they say, and hold what is in use" "$size > 0 && $size == $truth && $in_use <= $size" \
        "$in_use of $size in use, $truth told"
}

shares() {
    local share sum
    share=$(first "$(resolve "$(query_with 'stage="lock_wait"' request_duration)")")
    holds "phase 2: contention shows as the share of lock_wait" "$share > $SHARE_MIN && $share <= 1" "$share"
    sum=$(first "$(resolve 'sum(rate(flashdeal_http_stage_duration_seconds_sum{instance=~"$instance", path="/orders"}[$__rate_interval]))
        / sum(rate(flashdeal_http_request_duration_seconds_sum{instance=~"$instance", path="/orders"}[$__rate_interval]))')")
    holds "phase 2: the stages add up to the request's time" "$sum > 0.95 && $sum < 1.05" "$sum of it"
    say "# a scrape takes $(first "1000 * avg_over_time(scrape_duration_seconds{instance=\"$(instance)\"}[${RANGE_S}s])") ms, $(first "scrape_samples_scraped{instance=\"$(instance)\"}") samples"
}

# ------------------------------------------------------------------------------- main

judge "promtool takes prometheus.yml" promtool check config "$DEPLOY/prometheus.yml"
judge "the provisioning files are YAML" python3 -c 'import sys, yaml
for name in sys.argv[1:]: assert yaml.safe_load(open(name))["apiVersion"] == 1' "$DEPLOY"/grafana/provisioning/*/*.yml
judge "each panel has a title, a unit and the provisioned source" jq -e --arg uid \
    "$(sed -n 's/^ *uid: //p' "$DEPLOY/grafana/provisioning/datasources/prometheus.yml")" \
    '.panels | length > 0 and all(.title != "" and .fieldConfig.defaults.unit != null and ([.datasource, .targets[].datasource] | all(.uid == $uid)))' "$DASHBOARD"
names_agree

harness_make MODE=release build/release/loadgen
postgres_start prometheus
for phase in 2 3; do
    [[ -e phase$phase/main.c ]] || continue
    target_start "$phase"
    configure "$phase"
    if [[ $phase == 2 ]]; then
        start_prometheus
    else
        kill -HUP "$prometheus_pid"
    fi
    if within is_up; then ok "phase $phase is scraped"; else not_ok "phase $phase is scraped" "$(tail -n 2 "$RUN/prometheus.log")"; fi
    load "$phase"
    curl -s "$TARGET_ADMIN_URL/metrics" >"$RUN/metrics"
    judge "phase $phase: promtool takes its metrics" promtool check metrics <"$RUN/metrics"
    if [[ $phase == 2 ]]; then
        agrees 50 0.5
        agrees 99
        shares
    fi
    errors "$phase"
    pools "$phase"
    panels "$phase"
    target_stop
done
if [[ -s $RUN/prometheus.log ]]; then not_ok "Prometheus has no complaint" "$(head -n 2 "$RUN/prometheus.log")"; else ok "Prometheus has no complaint"; fi
exit "$failed"
