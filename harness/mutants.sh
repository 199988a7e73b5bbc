#!/usr/bin/env bash
# mutants: phases with one line of thought taken out; each must then have the failure that it prevents.
#
#   harness/mutants.sh [NAME..]          all in harness/mutants, or these (make mutants)
#   harness/mutants.sh --both [NAME..]   also the phase as it is: it must not have that failure
#   harness/mutants.sh --apply-only      only whether each applies and compiles: seconds
#
# A mutant is a patch NAME.patch. Above its diff (paths a/FILE, b/FILE within the phase) stand what was
# thought, for people, and two lines: "Target: 6,SETTING=value" and "Shows: SCRIPT.sh VERDICT FAILURE
# MODE". The phase is copied with its links resolved to build/mutants/NAME, patched, built, and given to
# the script, which must come to that verdict: PRESENT, or for what is a phase's design ABSENT. That
# shows two things at once: the line is needed, and the harness can see that it is missing.
#
# Prints "ok NAME", "not ok NAME: why" or "skip NAME: why" each. A verdict of INCONCLUSIVE is asked for
# again, up to twice, with longer windows. DURATION: of the first window, else the script's own. Ends with
# 1 if one is not ok, else with 2 if one stays inconclusive, as a scenario does.
set -euo pipefail
# shellcheck source=harness/lib/common.sh
source "$(dirname "$0")/lib/common.sh"

first=${DURATION:-1.5}
WINDOWS_S=("${DURATION-}" "$(awk "BEGIN { print 2 * $first }")" "$(awk "BEGIN { print 4 * $first }")") # '': as the script has it
MUTANTS=${MUTANTS:-harness/mutants} # the directory
cd "$ROOT"
mode=''
case ${1-} in
--apply-only | --both) mode=$1 && shift ;;
-*) usage "usage: harness/mutants.sh [--apply-only|--both] [NAME..]" ;;
esac
names=("$@")
if (($# == 0)); then
    for patch in "$MUTANTS"/*.patch; do names+=("$(basename "$patch" .patch)"); done
fi
for name in "${names[@]}"; do [[ -r $MUTANTS/$name.patch ]] || usage "there is no mutant $name: see $MUTANTS"; done
mkdir -p build/mutants
output=$(mktemp build/mutants/output.XXXXXX)
on_exit rm -f "$ROOT/$output"

passed=0 failed=0 skipped=0
tell() { # ok|not|skip TEXT
    case $1 in
    ok) passed=$((passed + 1)) && say "ok $2" ;;
    not) failed=$((failed + 1)) && say "not ok $2" ;;
    skip) skipped=$((skipped + 1)) && say "skip $2" ;;
    esac
}

# Reads the header: phase, settings (",A=b"), script, wanted, failure. Status 1: it lacks something.
header() {
    local target shows
    target=$(sed -n '/^--- /q; s/^Target: //p' "$1") shows=$(sed -n '/^--- /q; s/^Shows: //p' "$1")
    phase=phase${target%%,*} settings=${target#"${target%%,*}"}
    read -r script wanted failure <<<"$shows"
    [[ -d $phase && -x harness/${script:-none} && $wanted =~ ^(PRESENT|ABSENT)$ && -n $failure ]]
}

# copy NAME: build/mutants/NAME, patched. Status 1: the patch does not apply, as $output says.
copy() {
    rm -rf "build/mutants/$1"
    cp -rL "$phase" "build/mutants/$1"
    git apply -p1 --directory="build/mutants/$1" "$MUTANTS/$1.patch" >"$output" 2>&1
}

# The sources that the patch changes, as far as warnings come (a syntax check does not see what is unused).
compiles() {
    local flags sources
    read -ra flags < <(make -s print-cflags)
    mapfile -t sources < <(sed -n 's|^+++ b/\(.*\.c\)$|\1|p' "$MUTANTS/$1.patch")
    ((${#sources[@]} == 0)) || (cd "build/mutants/$1" && "${CC:-gcc}" "${flags[@]}" -I"$ROOT" -Werror -S "${sources[@]}" && rm -f ./*.s) >"$output" 2>&1
}

builds() { make -s -j "$(nproc)" MODE=release server DIR="build/mutants/$1" >"$output" 2>&1; }

# verdict_of TARGET SECONDS: what the script says of the failure mode; empty: nothing, see $output.
verdict_of() {
    local status=0 run
    NO_COLOR=1 DURATION=$2 run_tied "harness/$script" "$1" >"$output" 2>&1 || status=$?
    ((status < 128)) || exit "$status"
    run=$(sed -n 's/^.*kept: \(build\/runs\/[^ ]*\).*/\1/p' "$output")
    verdict=''
    [[ ! -r $run/summary.json ]] ||
        verdict=$(jq -r --arg mode "$failure" '.verdicts[] | select(.failure_mode == $mode) | .verdict' "$run/summary.json")
}

# judge NAME TARGET WANTED
judge() {
    local seconds
    for seconds in "${WINDOWS_S[@]}"; do
        verdict_of "$2" "$seconds"
        [[ $verdict == INCONCLUSIVE ]] || break
    done
    case $verdict in
    "$3") tell ok "$1 ($failure is $verdict)" ;;
    INCONCLUSIVE) tell skip "$1: $failure is INCONCLUSIVE ${#WINDOWS_S[@]} times" ;;
    '') tell not "$1: $script said nothing of $failure: $(tail -n 1 "$output")" ;;
    *) tell not "$1: $failure is $verdict, not $3" ;;
    esac
}

other() { if [[ $1 == PRESENT ]]; then say ABSENT; else say PRESENT; fi; }

for name in "${names[@]}"; do
    if ! header "$MUTANTS/$name.patch"; then
        tell not "$name: its header lacks a line 'Target: N,..' or 'Shows: SCRIPT.sh PRESENT|ABSENT MODE'"
    elif ! copy "$name"; then
        tell not "$name: it does not apply: $(head -n 1 "$output")"
    elif ! compiles "$name"; then
        tell not "$name: it does not compile: $(grep -m 1 error "$output" || head -n 1 "$output")"
    elif [[ $mode == --apply-only ]]; then
        tell ok "$name applies and compiles"
    elif ! builds "$name"; then
        tell not "$name: it does not build: $(tail -n 1 "$output")"
    else
        judge "$name" "build/mutants/$name$settings" "$wanted"
        [[ $mode != --both ]] || judge "$name: $phase itself" "${phase#phase}$settings" "$(other "$wanted")"
    fi
done
say "$passed passed, $failed failed, $skipped skipped"
((failed == 0)) || exit 1
((skipped == 0)) || exit 2
