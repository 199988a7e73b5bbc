#!/usr/bin/env bash
# test_verdicts: the logic of lib/verdict.sh and lib/scenario.sh, without a server or a database.
set -euo pipefail
unset RATE DURATION CLIENTS MODE
SEED=1
# shellcheck source=harness/lib/scenario.sh
source "$(dirname "$0")/../lib/scenario.sh"

dir=$(mktemp -d)
on_exit rm -rf "$dir"
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

# ------------------------------------------------------------------------------------ limits
two() { verdict_rule "$1" '<= 0.5' '>= 0.8'; }
is "at the PRESENT limit it is PRESENT" PRESENT "$(two 0.5)"
is "at the ABSENT limit it is ABSENT" ABSENT "$(two 0.8)"
is "just above the PRESENT limit it is INCONCLUSIVE" INCONCLUSIVE "$(two 0.5001)"
is "just below the ABSENT limit it is INCONCLUSIVE" INCONCLUSIVE "$(two 0.7999)"
is "zero is a number" PRESENT "$(two 0)"
is "an exponent is a number" PRESENT "$(two 1.5e-05)"
is "numbers compare as numbers, not as text" ABSENT "$(verdict_rule 9 '>= 10' '< 10')"
is "one limit: at it PRESENT" PRESENT "$(verdict_rule 0.8 '<= 0.8')"
is "one limit: beyond it ABSENT, no band" ABSENT "$(verdict_rule 0.8001 '<= 0.8')"
is "a strict limit excludes itself" ABSENT "$(verdict_rule 0.2 '< 0.2')"
for value in "" null none nan inf -; do
    is "'$value' proves nothing" INCONCLUSIVE "$(two "$value")"
    is "'$value' proves nothing with one limit" INCONCLUSIVE "$(verdict_rule "$value" '<= 0.8')"
done
is "two figures agree" PRESENT "$(verdict_agree PRESENT PRESENT)"
is "two figures disagree" INCONCLUSIVE "$(verdict_agree PRESENT ABSENT)"
is "one figure of two is open" INCONCLUSIVE "$(verdict_agree ABSENT INCONCLUSIVE)"
is "all parts are there" PRESENT "$(verdict_and PRESENT PRESENT)"
is "one part is not" ABSENT "$(verdict_and PRESENT INCONCLUSIVE ABSENT)"
is "one part is open" INCONCLUSIVE "$(verdict_and PRESENT INCONCLUSIVE)"
is "ABSENT on a quiet machine" ABSENT "$(verdict_quiet ABSENT 0.4)"
is "ABSENT on a busy machine" INCONCLUSIVE "$(verdict_quiet ABSENT 0.41)"
is "ABSENT, and nobody knows how busy" ABSENT "$(verdict_quiet ABSENT '')"
is "PRESENT on a busy machine" PRESENT "$(verdict_quiet PRESENT 0.9)"
is "PRESENT of an overload on a busy machine" INCONCLUSIVE "$(verdict_calm PRESENT 0.41)"
is "ABSENT of an overload on a busy machine" INCONCLUSIVE "$(verdict_calm ABSENT 0.41)"
is "an overload on a quiet machine" PRESENT "$(verdict_calm PRESENT 0.4)"
is "ABSENT on a disk that is quick enough" ABSENT "$(verdict_disk ABSENT 1.01 0.6)"
is "ABSENT, and the flushes are most of the time" INCONCLUSIVE "$(verdict_disk ABSENT 1.01 0.61)"
is "ABSENT, and the orders share their flushes" ABSENT "$(verdict_disk ABSENT 0.1 0.95)"
is "PRESENT on a slow disk" PRESENT "$(verdict_disk PRESENT 1.01 0.95)"
is "ABSENT, and nobody knows the disk" ABSENT "$(verdict_disk ABSENT 1.01 0)"
is "ABSENT, and nobody knows the flushes" ABSENT "$(verdict_disk ABSENT none 0.95)"
is "an audit that passes" ABSENT "$(verdict_audit 0)"
is "an audit that fails" PRESENT "$(verdict_audit 1)"
is "an audit that cannot say" INCONCLUSIVE "$(verdict_audit 2)"
units() { verdict_units "$@"; }
is "sold to the last, in order" ABSENT "$(units 0 0 0 0 '')"
is "one told sold_out too soon" PRESENT "$(units 1 0 0 0 '')"
is "a deadlock, though the audit cannot say" PRESENT "$(units 0 1 2 0 '')"
is "the audit fails" PRESENT "$(units 0 0 1 0 '')"
is "the audit cannot say" INCONCLUSIVE "$(units 0 0 2 0 '')"
is "units are left" INCONCLUSIVE "$(units 0 0 0 3 '')"
is "few were told" INCONCLUSIVE "$(units 0 0 0 0 'too few')"
is "units are left, and the audit fails" PRESENT "$(units 0 0 1 3 'too few')"
is "an audit that crashed" INCONCLUSIVE "$(verdict_audit 139)"

# -------------------------------------------------------------------------------- the table
VERDICT_TABLE=$dir/table.tsv
{
    printf '# comment\tx\ty\tz\tw\n'
    printf 'alpha: what it shows\ta.sh\tmeasured\t1-3\t0\n'
    printf 'beta: x\tb.sh\tmeasured\t1,UNSAFE=1\t0\n'
    printf 'gamma: x\tb.sh\tmeasured\t0,WAIT=0 5\t-\n'
    printf 'delta: x\td.sh\tmeasured\t3-8 by-design\t0\n'
} >"$VERDICT_TABLE"
is "the first of a range" PRESENT "$(verdict_expected alpha 1)"
is "the last of a range" PRESENT "$(verdict_expected alpha 3)"
is "the one after a range" ABSENT "$(verdict_expected alpha 4)"
is "where it does not apply" n/a "$(verdict_expected alpha 0)"
is "a variant of a phase where it does not apply" n/a "$(verdict_expected alpha 0,WAIT=0)"
is "an undeclared variant of a phase with PRESENT" ABSENT "$(verdict_expected alpha 1,DB_POOL=5)"
is "a declared variant" PRESENT "$(verdict_expected beta 1,UNSAFE=1)"
is "the same phase without its variant" ABSENT "$(verdict_expected beta 1)"
is "one of a list" PRESENT "$(verdict_expected gamma 5)"
is "a directory" ABSENT "$(verdict_expected alpha work/phase1)"
is "a directory, by design" PRESENT "$(verdict_expected delta work/phase1)"
is "a URL, by design" PRESENT "$(verdict_expected delta http://127.0.0.1:8001)"
is "an early phase, by design of later ones" ABSENT "$(verdict_expected delta 2)"
is "an unknown failure mode is an error" 1 "$(verdict_expected nonsense 1 2>/dev/null || echo $?)"
is "boundary cells of phases 0 and 1" "a.sh 1|b.sh 0|b.sh 0,WAIT=0|b.sh 1|b.sh 1,UNSAFE=1|d.sh 1|" \
    "$(verdict_cells 0 1 | tr '\t\n' ' |')"
is "boundary cells of phases 0 to 5" "a.sh 3|a.sh 4|b.sh 1|b.sh 1,UNSAFE=1|b.sh 5|d.sh 2|d.sh 3|d.sh 5|" \
    "$(verdict_cells 0 1 2 3 4 5 | tr '\t\n' ' |')"

# ------------------------------------------------------------------------------ exit status
lines() { printf '%s\n' "$@" | tr ' ' '\t' | verdict_status; }
is "all as declared: 0" 0 "$(lines 'PRESENT PRESENT' 'ABSENT ABSENT')"
is "PRESENT where ABSENT was declared: 1" 1 "$(lines 'ABSENT ABSENT' 'PRESENT ABSENT')"
is "ABSENT where PRESENT was declared: 1" 1 "$(lines 'ABSENT PRESENT')"
is "one inconclusive: 2" 2 "$(lines 'PRESENT PRESENT' 'INCONCLUSIVE ABSENT')"
is "wrong beats inconclusive: 1" 1 "$(lines 'INCONCLUSIVE ABSENT' 'PRESENT ABSENT')"
is "not applicable: 0" 0 "$(lines 'n/a n/a')"
is "not applicable hides nothing" 1 "$(lines 'n/a n/a' 'PRESENT ABSENT')"

# -------------------------------------------------------------------------------- arithmetic
is "the median of five" 3 "$(printf '%s\n' 5 1 4 2 3 | median)"
is "the median sorts numbers, not text" 9 "$(printf '%s\n' 10 9 8 | median)"
is "the median skips no exponent" 0.001 "$(printf '%s\n' 1e-5 0.001 2 | median)"
is "the median of what is known" 2 "$(printf '%s\n' '' 2 '' | median_known)"
is "the median of what nobody knows" unknown "$(printf '%s\n' '' '' | median_known)"
is "ABSENT, and it is unknown how busy" ABSENT "$(verdict_quiet ABSENT unknown)"
is "the median of nothing" none "$(median </dev/null)"
is "p95 of 1 to 100" 95 "$(seq 100 | shuf | p95)"
is "p95 of 1 to 10" 10 "$(seq 10 | p95)"
is "a comparison is no redirection" 7 "$(calc '7 > 3 ? 7 : 3')"
is "a quotient" "0.75 0 -0.5" "$(quotient 3 4) $(quotient 0 0.5) $(quotient -1 2)"
is "of what is no number there is none" "none none none none" "$(quotient none 4) $(quotient '' 4) $(quotient 4 none) $(quotient 4 '')"
is "rows of transactions that make a hundred each" 30000 "$(rows_a_second 300 600 60000)"
is "or none in two of three" 100 "$(rows_a_second 300 600 200)"
is "or none at all" 0 "$(rows_a_second 300 600 0)"
is "no transaction is no rate" none "$(rows_a_second 0 0 0)"
is "nor over nothing" "none none" "$(quotient 4 0) $(quotient 0 0.0)"
is "columns of numbers only" "2 4 " "$(printf '%s\n' '1|2' 'Sat 1 Jan|9' '' '3|4' | column 2 | tr '\n' ' ')"
is "the longest bar is the best rate" 2 "$(printf '1\t50\t1\n8\t100\t2\n' | LC_ALL=C draw_curve | awk -F '#' 'NF == 43 { print NR - 1 }')"

# ------------------------------------------------------------------- what cannot be trusted
doubt() {
    jq -n --argjson lag "$1" --argjson cpu "$2" --argjson orders "$3" --argjson peak "$4" '
        {generator: {lag_p99_ms: $lag, cpu_share: $cpu, connections_peak: $peak},
         orders: {count: $orders}, reads: {count: 0}}' >"$dir/summary.json"
    verdict_doubt "$dir/summary.json" 100 "${@:5}" | cut -c 1-20
}
is "a sound window" "" "$(doubt 10 0.8 100 512 512)"
is "the generator ran late" "the load generator r" "$(doubt 10.1 0.1 1000 10 512)"
is "the generator was busy with itself" "the load generator u" "$(doubt 1 0.81 1000 10 512)"
is "too few requests" "too few requests: 99" "$(doubt 1 0.1 99 10 512)"
is "zero orders" "too few requests: 0," "$(doubt 1 0.1 0 10 512)"
is "more connections than threads" "11 connections, and " "$(doubt 1 0.1 1000 11 10)"
is "threads unknown" "" "$(doubt 1 0.1 1000 11 '')"
is "a line longer than the connections that could fill it" "the target lets 406 " "$(doubt 1 0.1 1000 256 512 406 256)"
is "such a line, and it was never needed" "" "$(doubt 1 0.1 1000 255 512 406 256)"
is "a line that the connections fill" "" "$(doubt 1 0.1 1000 320 512 256 256)"
is "a longer line, in which nobody holds a connection" "" "$(doubt 1 0.1 1000 256 512 406 256 >/dev/null; jq '.orders.codes = {"202": 500}' "$dir/summary.json" >"$dir/later.json"; verdict_doubt "$dir/later.json" 100 512 406 256)"
is "no line, or a length that nobody knows" "" "$(doubt 1 0.1 1000 320 512 '' 256)"
is "no summary" "the load generator l" "$(verdict_doubt "$dir/none.json" 100 '' | cut -c 1-20)"
echo '{}' >"$dir/empty.json"
is "an empty summary" "too few requests: nu" "$(verdict_doubt "$dir/empty.json" 100 '' | cut -c 1-20)"

# ------------------------------------------------------------------- what the target is to blame for
# fault LAG COUNT OK CODES ERRORS ANY
fault() {
    jq -n --argjson lag "$1" --argjson count "$2" --argjson ok "$3" --argjson codes "$4" --argjson errors "$5" '
        {generator: {lag_p99_ms: $lag}, orders: {count: $count, ok: $ok, codes: $codes, errors: $errors,
            attempts: ([$codes[], $errors[]] | add // 0)}}' >"$dir/summary.json"
    verdict_fault "$dir/summary.json" "$6"
}
is "it confirms" "" "$(fault 1 100 100 '{"201": 100}' '{}' t)"
is "all are answered 500" "it answered 100 of 100 orders with 5xx (500: 100)" "$(fault 1 100 0 '{"500": 100}' '{}' f)"
is "most are answered 500 or 502" "it answered 60 of 100 orders with 5xx (201: 40, 500: 30, 502: 30)" \
    "$(fault 1 100 40 '{"201": 40, "500": 30, "502": 30}' '{}' t)"
is "500s are its own fault, however late the generator" "it answered 9 of 9 orders with 5xx (500: 9)" \
    "$(fault 99 9 0 '{"500": 9}' '{}' f)"
is "half are answered 500" "" "$(fault 1 100 50 '{"201": 50, "500": 50}' '{}' t)"
is "overload: most are refused with 503, or time out" "" \
    "$(fault 1 100 2 '{"201": 2, "503": 58}' '{"timeout": 40}' t)"
is "overload: none in time, and some confirmed all the same" "" "$(fault 1 100 0 '{"503": 50}' '{"timeout": 50}' t)"
is "all are refused" "it confirmed none of 100 orders (503: 100)" "$(fault 1 100 0 '{"503": 100}' '{}' f)"
is "none is answered" "it confirmed none of 8 orders (timeout: 8)" "$(fault 1 8 0 '{}' '{"timeout": 8}' f)"
is "none is answered, and the generator ran late" "" "$(fault 11 8 0 '{}' '{"timeout": 8}' f)"
is "no order was sent" "" "$(fault 1 0 0 '{}' '{}' f)"
is "without a summary nobody is to blame" "" "$(verdict_fault "$dir/none.json" f)"

# ------------------------------------------------------------------------- the frame around
# a_run TARGET DOUBT VERDICT: "exit status|verdict kept" of a run of the scenario "a" of the table.
a_run() {
    local status=0
    (
        SCENARIO=a RUN=$(mktemp -d "$dir/run.XXXX") STARTED_AT=now TARGETS=("$1") TARGET=$1 DOUBT=$2
        : >"$RUN/figures.tsv"
        figure "a figure" 0.12345 "of 1"
        verdict alpha "$3" "it is there" "it is not there"
        ln -sfn "$RUN" "$dir/last"
        scenario_end
    ) >"$dir/output" 2>&1 || status=$?
    printf '%s|%s' "$status" "$(jq -r '"\(.exit_status)|\(.verdicts[0].verdict)|\(.verdicts[0].reason)"' "$dir/last/summary.json")"
}
is "as declared" "0|0|PRESENT|it is there" "$(a_run 1 '' PRESENT)"
is "not as declared" "1|1|ABSENT|it is not there" "$(a_run 1 '' ABSENT)"
is "a doubt beats the right verdict" "2|2|INCONCLUSIVE|ran late." "$(a_run 1 'ran late' PRESENT)"
is "a doubt beats the wrong verdict" "2|2|INCONCLUSIVE|ran late." "$(a_run 1 'ran late' ABSENT)"
is "an undeclared variant is to be free of it" "1|1|PRESENT|it is there" "$(a_run 1,X=1 '' PRESENT)"
is "a directory that is free of it" "0|0|ABSENT|it is not there" "$(a_run work/phase1 '' ABSENT)"
is "the figure is kept whole" "0.12345 of 1" "$(jq -r '.figures[0] | "\(.value) \(.unit)"' "$dir/last/summary.json")"
is "the command can be typed again" "SEED=1 ./harness/a.sh work/phase1" "$(cat "$dir/last/command")"

say "$passed passed, $failed failed"
((failed == 0))
