# compare_round: one round as one JSON object, all on the clock of loadgen's window (t: seconds since
# its start; the warm-up is below 0). compare.sh gives what was measured as variables.
#
#   {arm, round, doubt, audit, foreign, duration_s, figures: {name: number or null},
#    stages: [{stage, ms}] of POST /orders per request, empty where the target publishes none,
#    generator: as loadgen has it, points, marks: as loadgen's series has them,
#    in_time: [{t, orders_s}]: orders confirmed within 1 s, by the time in which they were due,
#    database: [{t, lock_waiters, sessions, busy, confirmed}], server: [{t, cpu_s, queue_length,
#    queue_age_s, pool_waiters, pool_in_use}]}
#
# A figure that could not be measured is null, never 0.

def number: tonumber? // null;
def epoch: (.[0:19] + "Z" | fromdate) + (.[19:] | rtrimstr("Z") | "0\(.)" | tonumber);
def share($part; $all): if $all > 0 then 100 * $part / $all else null end;
def p95: sort | if . == [] then null else .[(length * 0.95 | ceil) - 1] end;

# "name{labels} value": {name, labels, value}
def metric: capture("^(?<name>[a-z_]+)([{](?<labels>.*)[}])? (?<value>[^ ]+)$") | .value = (.value | number);
def total($name): [.[] | select(.name == $name) | .value] | if . == [] then null else add end;
def tag($name): .labels // "" | (capture("(^|,)" + $name + "=\"(?<v>[^\"]*)\"") | .v)? // null;
def orders: map(select(tag("method") == "POST" and tag("path") == "/orders"));

$summary[0] as $s | $series[0] as $curves | ($s.window_started_at | epoch) as $start
| [$database | split("\n")[] | select(test("^[0-9.]+([|][0-9]*)+$")) | split("|") | map(number)
    | {t: (.[0] - $start), lock_waiters: .[1], sessions: .[2], busy: .[3], confirmed: .[4]}] as $db
| [$server | split("@ ")[] | select(. != "") | split("\n") | (.[0] | split(" ")) as $head
    | {t: (($head[0] | number) - $start), cpu_s: (($head[1] // "" | number) | if . then . / $tick else null end),
       metrics: [.[1:][] | metric? // empty]}] as $looks
| def inside: map(select(.t >= 0 and .t <= $s.duration_s));
($looks | inside) as $within
| # Who answers before an order is decided has stages of the deciding besides, and what they leave of the
# time until it is final was spent in line.
def spent: .metrics | (orders | map(select(.name == "flashdeal_http_stage_duration_seconds_sum"))) + map(select(.name == "flashdeal_order_stage_seconds_sum"))
    | reduce .[] as $m ({}; .[$m | tag("stage")] += $m.value);
def in_line: .metrics | total("flashdeal_order_final_seconds_sum") as $final
    | if $final then $final - total("flashdeal_order_stage_seconds_sum") else 0 end;
def requests: .metrics | orders | total("flashdeal_http_request_duration_seconds_count");
($within | map(select(requests != null))) as $scraped
| ([$within[] | select(.cpu_s != null)] | if length > 1 then {cpu_s: (.[-1].cpu_s - .[0].cpu_s), s: (.[-1].t - .[0].t)} else null end) as $cpu
| $s.orders as $o
# What an order waited before it was sent is in its latency, and not in the uncorrected one.
| (if $o.accept_ms.count > 0 and $o.accept_uncorrected_ms.mean != null then
        [0, $o.accept_ms.mean - $o.accept_uncorrected_ms.mean] | max else null end) as $held
| {
    arm: $arm, round: $round, doubt: $doubt, audit: $audit, foreign: ($foreign | number),
    duration_s: $s.duration_s,
    figures: {
        goodput_s: (($goodput | number) / $s.duration_s),
        confirmed_s: ($confirmed_s | number),
        p50_ms: (if $o.complete_ms.count > 0 then $o.complete_ms.p50 else null end),
        p99_ms: (if $o.complete_ms.count > 0 then $o.complete_ms.p99 else null end),
        buyer_wait_ms: $held,
        unsent_percent: share($o.unsent; $o.count),
        refused_percent: share($o.fail; $o.count),
        unanswered_percent: share($o.info + $o.unsent; $o.count),
        reads_100ms_percent: share($s.reads.ok_within_100ms; $s.reads.count),
        lock_waiters_p95: ($db | inside | map(.lock_waiters) | p95),
        cpu_ms_per_order: (if $cpu != null and $cpu.s > 0 and ($confirmed_s | number) > 0
            then 1000 * $cpu.cpu_s / $cpu.s / ($confirmed_s | number) else null end)
    },
    stages: (if ($scraped | length) < 2 then [] else
        (($scraped[-1] | requests) - ($scraped[0] | requests)) as $n | ($scraped[0] | spent) as $before
        | if $n < 1 then [] else
            (($scraped[-1] | in_line) - ($scraped[0] | in_line)) as $line
            | [$scraped[-1] | spent | to_entries[] | {stage: .key, ms: (1000 * (.value - ($before[.key] // 0)
                + (if .key == "queue_wait" and $line > 0 then $line else 0 end)) / $n)}] end end),
    generator: $s.generator, points: $curves.points, marks: $curves.marks, database: $db,
    in_time: [$pace | split("\n")[] | select(. != "") | split("\t") | map(number) | {t: .[0], orders_s: .[1]}],
    server: [$looks[] | {t, cpu_s, queue_length: (.metrics | total("flashdeal_queue_length") // total("flashdeal_order_queue_length")),
        queue_age_s: ([.metrics[] | select(.name == "flashdeal_queue_age_seconds" or .name == "flashdeal_order_queue_age_seconds") | .value] | max),
        pool_waiters: (.metrics | total("flashdeal_db_pool_waiters")), pool_in_use: (.metrics | total("flashdeal_db_pool_in_use"))}]
  }
