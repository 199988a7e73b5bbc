#!/usr/bin/env bash
# check: every kind of test, fast ones first, counted.
#
#   harness/check.sh all          what `make check` and .ci/run do: about 45 minutes on two cores
#   harness/check.sh quick        no sanitizers, linters or scenarios: a few minutes
#   harness/check.sh phase N      one phase: the contract in three modes, and its scenarios
#   harness/check.sh long         all, with the scenarios at their full length
#   ONLY=tsan harness/check.sh all   only the steps whose name matches this regular expression
#
# It installs what is missing, then runs steps, each with a time-out and a log in build/check/. A
# step's log is read for what it counted: Check's "100%: Checks: 12, Failures: 0, Errors: 0" and
# lines that begin with `ok`, `not ok` or `skip`; a step that counts nothing is one test, passed by
# its exit status, unless it should have counted. The last line is "N passed, N failed, N skipped",
# preceded by what failed and what was skipped. Status 1 if anything failed or nothing ran.
set -euo pipefail
# shellcheck source=harness/lib/common.sh
source "$(dirname "$0")/lib/common.sh"
# shellcheck source=harness/lib/postgres.sh
source "$ROOT/harness/lib/postgres.sh"

LOGS=$ROOT/build/check
TEST_S=120     # one test program
BUILD_S=600    # one build of everything
UNIT_S=420     # all unit tests in one mode
HARNESS_S=1800 # all of the harness's own tests
CONTRACT_S=600 # one phase in one mode, beside the others
CONTRACT_PORT=14000 # phase N takes 100 from here + 100 N, so that suites side by side do not meet
LINT_S=300
SCENARIOS_S=2400
MUTANTS_S=1800
# Of each kind of failure one, and those that are soon measured; make check-all takes them all.
MUTANTS_SHORT=(batched-stock-condition batched-stock-within key-makes-id pessimistic-for-update sale-workers sharded-all-shards sharded-buyer-row queue-bound)
MEASURING='test_(loadgen|server_cost|front_door|log_cost|async_pace|scaling|prometheus)' # scripts that want the machine to themselves

passed=0 failed=0 skipped=0
failures=() skips=() phases=()
declare -A step_pid step_began step_limit_s step_kind step_log

# --------------------------------------------------------------------------------------- steps

# Reads a log: "p f s", then a line "F text" or "S text" for each that failed or was skipped. Check
# prints a failure as file:line:F:case:test:iteration: message.
count() {
    awk '
        match($0, /^[0-9]+%: Checks: [0-9]+, Failures: [0-9]+, Errors: [0-9]+/) {
            split($0, n, /[^0-9]+/); p += n[2] - n[3] - n[4]; f += n[3] + n[4]; next }
        /^ok( |$)/ { p++; next }
        /^not ok( |$)/ { f++; print "F " substr($0, 8); next }
        /^skip( |$)/ { s++; print "S " substr($0, 6); next }
        /^[^ :]+:[0-9]+:[FE]:/ { text = $0; sub(/^[^:]*:[^:]*:[^:]*:[^:]*:/, "", text); print "F " text }
        END { print "N " p + 0, f + 0, s + 0 }' "$1"
}

# launch NAME SECONDS counts|plain COMMAND ARG..: starts a step in the background. Several may run
# side by side where they mostly wait. A step that ONLY leaves out is not started, nor collected.
launch() {
    local name=$1
    [[ $name =~ ${ONLY:-.} ]] || return 0
    step_limit_s[$name]=$2 step_kind[$name]=$3 step_began[$name]=$SECONDS
    step_log[$name]=$LOGS/${name//[^a-z0-9]/-}.log
    shift 3
    if [[ -t 2 ]]; then progress "$name ..."; fi
    "${TIED[@]}" timeout -k 15 "${step_limit_s[$name]}" "$@" >"${step_log[$name]}" 2>&1 </dev/null &
    step_pid[$name]=$!
}

# collect NAME: waits for it (and hears Ctrl-C meanwhile), counts, prints its line.
collect() {
    local name=$1 status=0 what text p=0 f=0 s=0 verdict log kind
    local -r skipped_status=77 inconclusive_status=2
    [[ -n ${step_pid[$name]-} ]] || return 0
    wait "${step_pid[$name]}" || status=$?
    unset "step_pid[$name]"
    log=${step_log[$name]} kind=${step_kind[$name]}
    while read -r what text; do
        case $what in
        N) read -r p f s <<<"$text" ;;
        F) failures+=("$name: $text") ;;
        S) skips+=("$name: $text") ;;
        esac
    done < <(count "$log")
    text=''
    if ((status == 124 || status == 137)); then
        text="did not end within ${step_limit_s[$name]} s"
    elif [[ $status == "$inconclusive_status" && -z ${CHECK_LONG-} ]] && ((f == 0 && s > 0)); then
        : # told among the skipped; in full it must be proved
    elif ((status != 0 && f == 0 && !(status == skipped_status && s > 0))); then
        text="ended with status $status"
    elif ((p + f + s == 0)) && [[ $kind == counts ]]; then
        text="counted no test"
    elif ((p + f + s == 0)); then
        p=1
    fi
    if [[ -n $text ]]; then
        f=$((f + 1))
        failures+=("$name: $text (${log#"$ROOT"/})")
    fi
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    progress_end
    verdict=${GREEN}ok${PLAIN}
    if ((f > 0)); then
        verdict=${RED}FAILED${PLAIN}
    elif ((p == 0)); then
        verdict=${YELLOW}skipped${PLAIN}
    fi
    printf '%5d s  %-28s %s %s\n' $((SECONDS - step_began[$name])) "$name" "$verdict" \
        "$(summary "$p" "$f" "$s" "$kind")"
    if [[ -n $text ]]; then excerpt "$log"; fi
}

step() {
    launch "$@"
    collect "$1"
}

# The lines of a log that say what is wrong, at most 15; failing those, its end.
excerpt() {
    { grep -iE 'error|warning|not ' "$1" || tail -n 15 "$1"; } | head -n 15 | cut -c 1-160 |
        sed 's/^/           | /'
}

summary() {
    [[ $4 == counts ]] || return 0
    printf '%d passed' "$1"
    if (($2 > 0)); then printf ', %d failed' "$2"; fi
    if (($3 > 0)); then printf ', %d skipped' "$3"; fi
}

end_steps() {
    local pid
    for pid in "${step_pid[@]}"; do kill -TERM "$pid"; done 2>/dev/null
    wait
}

# ---------------------------------------------------------------------------- what the steps run
# --foreground leaves a program in its step's process group, so that it ends when the step is ended.

# gcc 12's ThreadSanitizer cannot place its shadow memory under a kernel that randomises more bits.
without_aslr() {
    local bits
    bits=$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 28)
    if [[ $1 == tsan ]] && ((bits > 28)) && setarch "$(uname -m)" -R true 2>/dev/null; then
        printf '%s\n' setarch "$(uname -m)" -R
    fi
}

# run_program PROGRAM URI MODE: a Check program. One that ends badly without saying which test failed
# (a crash, a sanitizer) is a failure of its own.
run_program() {
    local status=0 out prefix
    mapfile -t prefix < <(without_aslr "$3")
    out=$(TEST_DATABASE_URL=$2 "${prefix[@]}" timeout --foreground -k 5 "$TEST_S" "$1" 2>&1) || status=$?
    printf '# %s\n%s\n' "$1" "$out"
    if ! grep -qE '^[0-9]+%: Checks: [1-9]' <<<"$out"; then
        say "not ok $1: ended with status $status, having counted no test"
    elif ((status != 0)) && grep -qE '^100%' <<<"$out"; then
        say "not ok $1: every test passed, and yet status $status (a sanitizer?)"
    fi
}

# run_script SCRIPT: it prints its own lines; one that ends badly without one is a failure.
run_script() {
    local status=0 out began=$SECONDS
    out=$(timeout --foreground -k 15 "$HARNESS_S" "$1" 2>&1) || status=$?
    printf '# %s: %d s\n%s\n' "${1#"$ROOT"/}" $((SECONDS - began)) "$out"
    if ! grep -qE '^(ok|not ok|skip) ' <<<"$out" ||
        { ((status != 0)) && ! grep -qE '^not ok |^[0-9]{1,2}%: Checks' <<<"$out"; }; then
        say "not ok ${1#"$ROOT"/}: ended with status $status"
    fi
}

# run_scripts SCRIPT..: those that measure one by one, then the others side by side.
run_scripts() {
    local script others=()
    for script in "$@"; do
        if [[ $script =~ $MEASURING ]]; then run_script "$script"; else others+=("$script"); fi
    done
    side_by_side run_script 1 "${others[@]}"
}

# side_by_side FUNCTION COUNT ARG..: calls the function with COUNT arguments at a time, as many calls
# at once as there are cores, the output of each in one piece.
side_by_side() {
    local call=$1 count=$2 out at_once n=0
    shift 2
    out=$(mktemp -d)
    on_exit rm -rf "$out"
    at_once=$(nproc)
    while (($# > 0)); do
        n=$((n + 1))
        "$call" "${@:1:count}" >"$out/$((1000 + n))" &
        shift "$count"
        ((--at_once > 0)) || { wait -n || :; at_once=1; }
    done
    wait
    cat "$out"/*
}

# programs MODE common|harness|leaves: the test programs of common/, of the harness, of the phases'
# leaves. Those that look at a running server (target.h) are run by the script that starts it.
programs() {
    local mode=$1 what=$2 dir=harness/tests source kind
    [[ $what != common ]] || dir=common/tests
    for source in "$ROOT/$dir"/test_*.c; do
        [[ -e $source ]] || continue
        kind=${dir%/tests}
        ! grep -qE '^#include "phase[0-8]/' "$source" || kind=leaves
        ! grep -q '"harness/tests/target.h"' "$source" || kind=
        [[ $kind != "$what" ]] || say "build/$mode/tests/$(basename "$source" .c)"
    done
}

# programs_step NAME SECONDS MODE common|harness|leaves: each with a database of its own.
programs_step() {
    local name=$1 program uri list=()
    [[ $name =~ ${ONLY:-.} ]] || return 0
    if [[ -z $PG_DIR ]]; then postgres_start check; fi
    for program in $(programs "$3" "$4"); do
        uri=$(postgres_database "$(basename "$program")") || exit 1 # it has said why
        list+=("$program" "$uri" "$3")
    done
    step "$name" "$2" counts bash "$ROOT/harness/check.sh" programs "${list[@]}"
}

# ---------------------------------------------------------------------------------- step groups

# `timeout` cannot run a function: steps that need one call this script itself.
build_step() { step "build $1" "$BUILD_S" plain make -j2 MODE="$1" all tests; }

unit_steps() {
    programs_step "unit tests $1" "$UNIT_S" "$1" common
    programs_step "leaf tests $1" "$UNIT_S" "$1" leaves
}

harness_steps() {
    local list
    programs_step "harness programs" "$HARNESS_S" release harness
    mapfile -t list < <(find "$ROOT/harness" -name 'test_*.sh' | sort)
    step "harness scripts" "$HARNESS_S" counts bash "$ROOT/harness/check.sh" scripts "${list[@]}"
}

# contract_launch, contract_collect MODE N..: the suite mostly waits for deadlines, so the phases go
# side by side.
contract_launch() {
    local mode=$1 n prefix
    shift
    mapfile -t prefix < <(without_aslr "$mode")
    for n in "$@"; do
        launch "contract phase $n $mode" "$CONTRACT_S" counts \
            env CONTRACT_PORTS="$((CONTRACT_PORT + 100 * n))-$((CONTRACT_PORT + 100 * n + 99))" \
            "${prefix[@]}" bash "$ROOT/harness/contract/run.sh" "$n" "$mode"
    done
}

contract_collect() {
    local mode=$1 n
    shift
    for n in "$@"; do collect "contract phase $n $mode"; done
}

# mode_steps MODE N..: the unit tests beside the contract, which leaves the cores idle.
mode_steps() {
    contract_launch "$@"
    unit_steps "$1"
    contract_collect "$@"
}

scenario_step() {
    [[ -x $ROOT/harness/scenarios-check.sh ]] || return 0
    step "scenarios${1:+ phase $1}" "$SCENARIOS_S" counts "$ROOT/harness/scenarios-check.sh" "$@"
}

# In full: all of them, and the phases without the patches.
mutants_step() {
    local args=("${MUTANTS_SHORT[@]}")
    [[ -z ${CHECK_LONG-} ]] || args=(--both)
    step "mutants" "$MUTANTS_S" counts "$ROOT/harness/mutants.sh" "${args[@]}"
}

static_steps() {
    step "guards" "$LINT_S" counts "$ROOT/harness/guards.sh"
    step "mutants apply" "$LINT_S" counts "$ROOT/harness/mutants.sh" --apply-only
    step "openapi.yaml" "$LINT_S" plain "$ROOT/build/venv/bin/openapi-spec-validator" \
        "$ROOT/harness/contract/openapi.yaml"
}

lint_steps() {
    local tool
    for tool in format shell cppcheck tidy analyzer; do
        step "lint $tool" "$LINT_S" plain "$ROOT/harness/lint.sh" "$tool"
    done
}

run_quick() {
    build_step release
    static_steps
    mode_steps release "${phases[@]}"
}

run_all() {
    local mode
    run_quick
    lint_steps
    step "build clang" "$BUILD_S" plain make -j2 CC=clang all tests
    harness_steps
    for mode in asan tsan; do
        build_step "$mode"
        mode_steps "$mode" "${phases[@]}"
    done
    mutants_step
    scenario_step
}

run_phase() {
    local mode
    for mode in release asan tsan; do
        build_step "$mode"
        contract_launch "$mode" "$1"
        contract_collect "$mode" "$1"
    done
    scenario_step "$1"
}

closing() {
    local line
    say ""
    for line in "${failures[@]}"; do say "${RED}failed${PLAIN}   $line"; done
    for line in "${skips[@]}"; do say "${YELLOW}skipped${PLAIN}  $line"; done
    printf '%d s. Logs: build/check/\n' "$SECONDS"
    say "$passed passed, $failed failed, $skipped skipped"
    ((failed == 0 && passed > 0)) || exit 1
}

# ----------------------------------------------------------------------------------------- main

cd "$ROOT"
what=${1-}
case $what in
programs)
    side_by_side run_program 3 "${@:2}"
    exit
    ;;
scripts)
    run_scripts "${@:2}"
    exit
    ;;
all | quick | long) ;;
phase)
    [[ -d phase${2-x} ]] || die "there is no phase ${2-}: this checkout has" phase[0-8]
    ;;
*) usage "usage: harness/check.sh all|quick|long, or phase N" ;;
esac

harness/setup.sh tier1 test
mkdir -p "$LOGS"
# As nobody's sub-make. WERROR stands in the environment for the makes that the steps call as well:
# with other flags each would build everything anew.
unset MAKEFLAGS MFLAGS MAKELEVEL
export WERROR=-Werror CK_FORK=no
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-second_deadlock_stack=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
read -ra phases < <(make -s print-phases)
on_exit end_steps
case $what in
quick) run_quick ;;
all) run_all ;;
long)
    export CHECK_LONG=1
    SCENARIOS_S=$((2 * SCENARIOS_S)) # the seeds
    run_all
    ;;
phase) run_phase "$2" ;;
esac
closing
