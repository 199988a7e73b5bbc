#!/usr/bin/env bash
# diagnose: names the bottleneck from what a server says of itself, and from nothing else.
#
#   diagnose.sh DIRECTORY     (telemetry.sh fills it; blind-spot.sh compares)
#     baseline.0.prom .1.prom ...   /metrics at the ends of a window without a fault, and within it
#     fault.0.prom .1.prom ...      likewise of the window in question
#     baseline.debug.jsonl fault.debug.jsonl   replies of /debug/locks and /debug/pool during them
#     server.log                    the server's log
#
# It prints a table of the order's stages, what is missing, and last "named: WHAT, because WHY". WHAT
# is cpu, a stage (validation, statements, commit, reply, other), lock, pool, or nothing.
#
# Waits are symptoms: whoever holds a connection or a row for longer makes the others wait. So, in
# this order: is the server ready to run and not let (cpu)? That slows every other stage as well.
# Which stage that is no wait has grown most? If none has: does a session that is not the server's
# hold what ours wait for (lock)? Or do they wait for a connection or a worker while all are lent
# out (pool)? What is too little to explain the growth, or could be noise, is not named.
#
# Where orders are decided after the reply (series flashdeal_order_final_seconds), their stages are those
# of the deciding, and what is left of the time from acceptance to the end was spent in line.
#
# A machine that stalls for a moment spoils a mean. So the baseline is a part of its window, the one
# in the middle when they are sorted by how long an order took; the other window counts whole.
set -euo pipefail

dir=$1
X=3             # grown: by at least this factor,
SHARE=0.25      # by this share of what the request has grown by (waits left out that others explain),
STAGE_MS=1      # and by so much for each order: a stage's work,
WAIT_MS=0.1     # the waits in line, for which less will do, since lent-out pools are a witness too,
WAIT_X=2        # and which may grow by less,
DELAY_MS=1      # the run delay,
DELAY_SHARE=0.5 # by this share of what any stage's work has grown by: else that is not why;
WORK_X=1.5      # and all work together by this factor, because a shortage slows all of it. A small
                # pool slows none: with it, no stage's work has grown by that much
ORDERS_MIN=30   # answered in a part or window, else it says nothing
SAMPLES_MIN=5   # of /debug, likewise
LOCK_SEEN=0.2   # share of the samples with a foreign root: a blocked sale may rest between two tries
POOL_SEEN=0.2   # share of the samples with all of a pool lent out,
LENT_X=2        # at least so many times what it was without the fault

# share FILE KEY CONDITION: of the replies with that key, in which the condition holds. What is no
# such reply, a refusal or half of one, is left out.
share() {
    { jq -R "fromjson? | select(.$2) | if $3 then 1 else 0 end" "$dir/$1.debug.jsonl" 2>/dev/null || :; } |
        awk -v min=$SAMPLES_MIN '{ seen += $1 } END { print NR < min ? "unknown" : seen / NR }'
}

foreign=$(share fault chains 'any(.chains[]; .root.ours == false and .waiting > 0)')
lent=$(share fault pools 'any(.pools[]; .in_use >= .size)')
lent_before=$(share baseline pools 'any(.pools[]; .in_use >= .size)')

# middle FILE...: the number of the snapshot that ends the middle part; empty if no order was answered.
middle() {
    awk '
        FNR == 1 { n++ }
        /^flashdeal_http_request_duration_seconds_(sum|count)[{]/ && /method="POST"/ && /path="\/orders"/ {
            if (/_count[{]/) count[n] = $NF; else sum[n] = $NF
        }
        /^flashdeal_order_final_seconds_sum[{]/ { final_s[n] += $NF }
        /^flashdeal_order_final_seconds_count[{]/ { finals[n] += $NF }
        END {
            for (i = 2; i <= n; i++) {
                orders = count[i] - count[i - 1]
                ended = finals[i] - finals[i - 1]
                later = ended > 0 ? (final_s[i] - final_s[i - 1]) / ended : 0
                if (orders > 0) printf "%.9f %d\n", (sum[i] - sum[i - 1]) / orders + later, i - 1
            }
        }' "$@" | sort -g | awk '{ part[NR] = $2 } END { print part[int((NR + 1) / 2)] }'
}

# Without /metrics the log is all there is. It would help if its lines carried stages.
if [[ -z $(cat "$dir"/*.prom 2>/dev/null) ]]; then
    lines=0 staged=0
    if [[ -r $dir/server.log ]]; then
        lines=$(grep -c '' "$dir/server.log" || :)
        staged=$(grep -cE '"(lock_wait|commit|statements)(_ms|_us)?":' "$dir/server.log" || :)
    fi
    echo "  no metrics; $staged of the $lines lines of its log say where an order's time went"
    echo "named: nothing, because it does not say where an order's time goes"
    exit 0
fi

for file in "$dir"/{baseline,fault}.{0,1}.prom "$dir"/*.prom; do
    [[ -s $file ]] || { echo "named: nothing, because a snapshot is missing: ${file##*/}"; exit 0; }
done
baseline=("$dir"/baseline.*.prom) fault=("$dir"/fault.*.prom)
part=$(middle "${baseline[@]}")
snapshots=("${baseline[${part:-1} - 1]}" "${baseline[${part:-1}]}" "${fault[0]}" "${fault[-1]}")

awk -v x=$X -v share=$SHARE -v stage_ms=$STAGE_MS -v wait_ms=$WAIT_MS -v delay_ms=$DELAY_MS \
    -v delay_share=$DELAY_SHARE -v work_x=$WORK_X -v orders_min=$ORDERS_MIN \
    -v lock_seen=$LOCK_SEEN -v pool_seen=$POOL_SEEN -v foreign="$foreign" -v lent="$lent" \
    -v wait_x=$WAIT_X -v lent_x=$LENT_X -v lent_before="${lent_before/unknown/0}" '
    FNR == 1 { snapshot++ }
    /^flashdeal_http_(request|stage)_duration_seconds_(sum|count)[{]/ {
        if (!/method="POST"/ || !/path="\/orders"/) next
        what = "request"
        if (match($0, /stage="[a-z_]*"/)) what = substr($0, RSTART + 7, RLENGTH - 8)
        if ($0 ~ /^[a-z_]*_count/) { if (what == "request") value["orders", snapshot] = $NF }
        else value[what, snapshot] = $NF
        next
    }
    /^flashdeal_http_requests_total[{]/ && /method="POST"/ && /path="\/orders"/ {
        value["requests_total", snapshot] += $NF
        if (/status="(429|503)"/) refused[snapshot] += $NF
    }
    /^flashdeal_order_stage_seconds_sum[{]/ {
        if (match($0, /stage="[a-z_]*"/)) later[substr($0, RSTART + 7, RLENGTH - 8), snapshot] = $NF
        spent[snapshot] += $NF
        next
    }
    /^flashdeal_order_final_seconds_sum[{]/ { final_s[snapshot] += $NF; next }
    /^flashdeal_order_final_seconds_count[{]/ { finals[snapshot] += $NF; async = 1; next }
    /^process_run_delay_seconds_total / { value["run_delay", snapshot] = $NF }

    function named(what, why) { printf "named: %s, because %s\n", what, why; exit }
    function ms(v) { return sprintf("%.2f ms", v) }
    # What the counter grew by from snapshot n to the next one.
    function grew_by(what, n) {
        if (!((what, n) in value) || !((what, n + 1) in value)) {
            if (what != "queue_wait" && !(what in lacks)) missing = missing " " what
            lacks[what] # no queue is no lack: phase 2 has none
            return 0
        }
        if (value[what, n + 1] < value[what, n]) { reset = what; return 0 }
        return value[what, n + 1] - value[what, n]
    }
    # Who is refused does not reach the database, so its stages are shared by the others.
    function among(what, window) {
        count = (what ~ (async ? "^(queue_wait|pool_wait|lock_wait|statements|commit)$" : "^(lock_wait|statements|commit)$")) ? decided[window] : orders[window]
        return count >= 1 ? count : 1
    }
    # Of what a window counted, the part that came after the reply. Tries that did not end it yet count
    # among the stages only: the line gets what is left, if anything.
    function later_grew(what, n) {
        if (what == "request") return final_s[n + 1] - final_s[n]
        if (what != "queue_wait") return later[what, n + 1] - later[what, n]
        line = final_s[n + 1] - final_s[n] - (spent[n + 1] - spent[n])
        return line > 0 ? line : 0
    }
    function mean(what, window) {
        ms_each = 1000 * grew_by(what, 2 * window - 1) / among(what, window)
        if (async) ms_each += 1000 * later_grew(what, 2 * window - 1) / (what == "request" ? among("commit", window) : among(what, window))
        return ms_each
    }
    function read_means(what) {
        before[what] = mean(what, 1)
        after[what] = mean(what, 2)
        growth[what] = after[what] - before[what]
        excess[what] = growth[what] * among(what, 2) # of the whole window
    }
    function row(what) {
        printf "  %-22s %10.3f %10.3f %9s\n", what, before[what], after[what],
            (before[what] > 0 ? sprintf("%.1f", after[what] / before[what]) : "-")
    }
    function has_grown(what, floor, factor) {
        return growth[what] >= floor && after[what] >= factor * before[what]
    }

    END {
        for (i = 1; i <= 2; i++) {
            orders[i] = grew_by("orders", 2 * i - 1)
            grew_by("requests_total", 2 * i - 1) # only to be missed
            decided[i] = async ? finals[2 * i] - finals[2 * i - 1] : orders[i] - (refused[2 * i] - refused[2 * i - 1])
        }
        n = split("request validation queue_wait pool_wait lock_wait statements commit reply other run_delay", names, " ")
        for (i = 1; i <= n; i++) read_means(names[i])
        printf "  %-22s %10s %10s %9s\n", "ms for each order", "baseline", "now", "x"
        for (i = 1; i <= n; i++) if (names[i] != "queue_wait" || after["queue_wait"] > 0) row(names[i])
        printf "  %-22s %10d %10d\n", "orders answered", orders[1], orders[2]
        printf "  %-22s %10d %10d   lock_wait, statements, commit: for each of these\n", (async ? "and decided meanwhile" : "and not refused"), decided[1], decided[2]
        printf "  a foreign session blocks ours: in %s of the samples; all of a pool is lent out: in %s (%s)\n", foreign, lent, lent_before

        if (missing != "") named("nothing", "these series are missing:" missing)
        if (reset != "") named("nothing", "the server was restarted within a window: " reset " fell")
        if (orders[1] < orders_min || orders[2] < orders_min)
            named("nothing", "too few orders were answered: " orders[1] " and " orders[2])

        before["in_line"] = before["queue_wait"] + before["pool_wait"]
        after["in_line"] = after["queue_wait"] + after["pool_wait"]
        in_line = growth["in_line"] = after["in_line"] - before["in_line"]
        # What is to be explained: not the waits in line, nor for a lock that our own sessions hold.
        apart = held = foreign < lock_seen ? 0 : excess["lock_wait"]
        m = split("validation statements commit reply other", stages, " ")
        most = ""; top = 0; longer = 0
        for (i = 1; i <= m; i++) {
            s = stages[i]
            apart += excess[s]
            work[1] += before[s]; work[2] += after[s]
            if (excess[s] > top) top = excess[s]
            if (growth[s] >= stage_ms && after[s] >= work_x * before[s]) longer = 1
        }
        if (work[2] >= work_x * work[1]) longer = 1
        for (i = 1; i <= m; i++) {
            s = stages[i]
            if (has_grown(s, stage_ms, x) && excess[s] >= share * apart && (most == "" || excess[s] > excess[most])) most = s
        }
        # A foreign holder is no slower for want of a processor, so that does not explain its wait.
        if (has_grown("run_delay", delay_ms, x) && excess["run_delay"] >= delay_share * top &&
            excess["run_delay"] >= share * apart && excess["run_delay"] >= held && work[2] >= work_x * work[1])
            named("cpu", "each order waited " ms(growth["run_delay"]) " longer for a processor")
        if (most != "") named(most, "it is no wait, and takes " ms(growth[most]) " longer")
        if (foreign == "unknown") named("nothing", "no stage but the waits has grown, and there are too few samples of /debug/locks")
        if (foreign >= lock_seen) named("lock", "a session that is not the server\047s holds a lock that its sessions wait for")
        if (lent == "unknown") named("nothing", "no stage but the waits has grown, and there are too few samples of /debug/pool")
        if (lent >= pool_seen && lent >= lent_x * lent_before && has_grown("in_line", wait_ms, wait_x) && in_line >= share * growth["request"] && !longer)
            named("pool", "orders wait " ms(in_line) " longer in line while every connection is lent out, and no work takes longer")
        named("nothing", "nothing has grown enough to be told from noise")
    }' "${snapshots[@]}"
