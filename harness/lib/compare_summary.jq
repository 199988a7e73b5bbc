# compare_summary: the rounds' figures as ratios, and the comparison in words.
#
#   {version, scenario: "compare", shape, shape_text, duration_s, capacity, parts: [{from_s, label, rate}],
#    planned: [{from_s, rate}] as it was sent, latency_note: why stages and latency differ,
#    targets: {a: {target, name}, b: ..}, sound, figures: [{key, name, unit, better, a: SPREAD, b: SPREAD,
#    ratio: SPREAD or null}], stages: {a: [{stage, ms}], b: ..}, shown: n, rounds: [{arm, round, file,
#    doubt, audit, foreign, lag_p99_ms, cpu_share, figures}], doubts: [".."], conclusion, exit_status, ..}
#   SPREAD = {median, min, max, values: [one a pair]}
#
# A pair is a's round n and b's round n, next to each other in time. Pairs with a round that cannot be
# trusted are left out of every figure, unless no other is there. `shown` is the pair whose goodput
# ratio is the median: its curves are the bold ones.

def median: sort | if . == [] then null else .[(length - 1) / 2 | floor] end;
def spread: {median: (map(values) | median), min: (map(values) | min), max: (map(values) | max), values: .};
def over($a; $b): if $a != null and $b != null and $a > 0 then $b / $a else null end;
def sentence: (.[0:1] | ascii_upcase) + .[1:];
# Of shares a ratio says nothing: 90 % is not ten times as good as 9 %.
def comparable: .unit != "%";
def two: if . >= 100 then round elif . >= 10 then . * 10 | round / 10 else . * 100 | round / 100 end | tostring;

def known: [
    ["goodput_s", "confirmed within 1 s", "orders/s", "more"],
    ["confirmed_s", "confirmed, in the database", "orders/s", "more"],
    ["p50_ms", "p50 of a confirmed order", "ms", "less"],
    ["p99_ms", "p99 of a confirmed order", "ms", "less"],
    ["buyer_wait_ms", "mean wait for a free connection", "ms", "less"],
    ["unsent_percent", "never sent: no free connection", "%", "less"],
    ["refused_percent", "refused", "%", ""],
    ["unanswered_percent", "no answer within 2 s", "%", "less"],
    ["reads_100ms_percent", "reads answered within 100 ms", "%", "more"],
    ["lock_waiters_p95", "sessions that wait for a lock, p95", "", "less"],
    ["cpu_ms_per_order", "server CPU per confirmed order", "ms", "less"]
] | map({key: .[0], name: .[1], unit: .[2], better: .[3]});

# The way of a request, as common/stages.h has it.
def ways: ["validation", "queue_wait", "pool_wait", "lock_wait", "statements", "commit", "reply", "other"];

($rounds | group_by(.round) | map({round: .[0].round, a: map(select(.arm == "a"))[0], b: map(select(.arm == "b"))[0]})
    | map(select(.a and .b))) as $all
| ($all | map(select(.a.doubt == "" and .b.doubt == ""))) as $good
| (if $good == [] then $all else $good end) as $pairs
| (known | map(. as $f | . + {
    a: ($pairs | map(.a.figures[$f.key]) | spread),
    b: ($pairs | map(.b.figures[$f.key]) | spread),
    ratio: (if comparable | not then null else $pairs | map(over(.a.figures[$f.key]; .b.figures[$f.key])) | if map(values) == [] then null else spread end end)})) as $figures
| def figure($key): $figures[] | select(.key == $key);
# "2.4 times" and the spread; "about as", where the pairs do not agree or the difference is small.
def times($r): "\($r.median | two) times" + (if $r.min == $r.max then "" else " (\($r.min | two) to \($r.max | two))" end);
# The other way round: how many times a is b. Null where b was 0 once.
def turned($r): if $r.min > 0 then {median: (1 / $r.median), min: (1 / $r.max), max: (1 / $r.min)} else null end;
def less($r): $r.max < 0.9;
def differs($r): ($r.min > 1.1) or ($r.max < 0.9);
# URLs and directories begin a sentence as they are.
def named: if startswith("phase ") then sentence else . end;
($b_name | named) as $subject
| (figure("goodput_s") as $f | $f.ratio as $r
    | if $f.a.median == null or $f.b.median == null then "Neither was measured."
      elif $r == null or $f.a.median == 0 or $f.b.median == 0 then "Confirmed within 1 s: \($f.b.median | two) orders/s by \($b_name), \($f.a.median | two) by \($a_name)."
      elif less($r) and turned($r) then "\($a_name | named) confirms \(times(turned($r))) as many orders within 1 s as \($b_name)."
      elif differs($r) then "\($subject) confirms \(times($r)) as many orders within 1 s as \($a_name)."
      else "\($subject) confirms about as many orders within 1 s as \($a_name): \(times($r)), no difference beyond the noise." end) as $goodput
| (figure("p99_ms").ratio as $r
    | if $r == null then empty
      elif less($r) and turned($r) then "The slowest of a hundred confirmed orders is through \(times(turned($r))) faster."
      elif differs($r) then "The slowest of a hundred confirmed orders takes \(times($r)) as long."
      else "The slowest of a hundred confirmed orders takes about as long." end) as $p99
| (figure("reads_100ms_percent") as $f | if $f.a.median == null or $f.b.median == null then "" else
      "Of those who only look, \($f.b.median | round) % are served within 100 ms; of \($a_name)'s, \($f.a.median | round) %." end) as $reads
| (figure("buyer_wait_ms") as $f | def mean($who): "\(if . == null then "an unknown time" else "\(two) ms" end) with \($who)";
    "Latency counts from the buyer's click, so it also holds what no stage does: the wait at the buyer for one of the load generator's connections, where all are taken. Of a confirmed order that is, on average, \($f.a.median | mean($a_name)) and \($f.b.median | mean($b_name)).") as $latency_note
| ([$rounds[] | select(.doubt != "") | "\(if .arm == "a" then $a_name else $b_name end), round \(.round): \(.doubt)"]) as $doubts
| 3 as $told # doubts that are written out
| ([$rounds[].foreign | values] | median) as $foreign
| ([$rounds[] | select(.audit == "FAIL") | "\(if .arm == "a" then $a_name else $b_name end), round \(.round)"]) as $failed
| {
    version: 1, scenario: "compare", shape: $shape, shape_text: $text, started_at: $started, command: $command,
    seed: ($seed | tonumber), commit: $commit, machine: $machine, postgres: $postgres,
    duration_s: $seconds, capacity: ($capacity | tonumber? // null),
    parts: [$parts | split("\n")[] | select(. != "") | split("\t") | {from_s: (.[0] | tonumber), label: .[1], rate: (.[2] | tonumber)}],
    planned: ([$steps | split(",")[] | select(. != "") | split(":") | map(tonumber)]
        | [foreach .[] as [$rate, $s] ({next: 0}; {from_s: .next, rate: $rate, next: (.next + $s)}; {from_s, rate})]),
    latency_note: $latency_note,
    targets: {a: {target: $a, name: $a_name}, b: {target: $b, name: $b_name}},
    sound: $sound, pairs: ($pairs | length), figures: $figures,
    stages: {a: ($pairs | map(.a.stages)), b: ($pairs | map(.b.stages))} | map_values(
        flatten(1) | group_by(.stage) | map({stage: .[0].stage, ms: (map(.ms) | median)})
        | sort_by(.stage as $s | ways | index($s) // length)),
    shown: ($pairs | map({round, r: (over(.a.figures.goodput_s; .b.figures.goodput_s) // 0)}) | sort_by(.r)
        | if . == [] then null else .[(length - 1) / 2 | floor].round end),
    rounds: [$rounds[] | {arm, round, file: "\(.arm)\(.round).json", doubt, audit, foreign,
        lag_p99_ms: .generator.lag_p99_ms, cpu_share: .generator.cpu_share, figures}] | sort_by(.round, .arm),
    doubts: ($doubts[:$told] + (if ($doubts | length) > $told then ["\(($doubts | length) - $told) more rounds, which `rounds` in summary.json tells"] else [] end)),
    foreign: $foreign,
    notes: [
        (if $foreign != null and $foreign > ($foreign_max | tonumber) then
            "Others kept \($foreign | two) cores busy meanwhile (median): the ratios hold better than the figures." else empty end),
        (if ($pairs | length) < ($all | length) then "Left out, because a round in it cannot be trusted: \(($all | length) - ($pairs | length)) of \($all | length) pairs." else empty end)],
    conclusion: (if $failed != [] then "The audit fails: \($failed | join("; "))."
        elif $pairs == [] then "No pair of rounds was measured."
        else ([$goodput, $p99, $reads] | map(select(. != "")) | join(" ")) end),
    exit_status: (if $failed != [] then 1 elif $sound then 0 else 2 end)
  }
