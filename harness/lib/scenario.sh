# shellcheck shell=bash
# scenario: the frame of a scenario script: targets, figures, verdicts, what is kept. Sourced first.
#
#     . "$(dirname "$0")/lib/scenario.sh"
#     scenario_begin overload "what it shows" SECONDS_FOR_ONE SECONDS_FOR_TWO "$@"
#     for target in "${TARGETS[@]}"; do
#         scenario_target "$target"                  # starts it, or says why nothing can be measured
#         [[ -n $MEASURABLE ]] || continue
#         figure "goodput at 1x" 812 "orders/s"
#         verdict "collapse" PRESENT "what it means if PRESENT" "if ABSENT" ["if INCONCLUSIVE"]
#         target_stop
#     done
#     scenario_end          # scripts without a failure mode end with scenario_finish STATUS TEXT
#
# SEED, RATE, DURATION and CLIENTS come from the environment; a script says in its comment which of
# them it uses, and --help prints that comment. RUN is the run's directory, build/runs/<time>-<name>.
# The exit status is 0 when every verdict is as failure-modes.tsv expects, 1 when one is not, 2 when
# none is wrong but one is inconclusive.
set -euo pipefail

# shellcheck source=harness/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=harness/lib/postgres.sh
source "$ROOT/harness/lib/postgres.sh"
# shellcheck source=harness/lib/figures.sh
source "$ROOT/harness/lib/figures.sh"
# shellcheck source=harness/lib/journal.sh
source "$ROOT/harness/lib/journal.sh"
# shellcheck source=harness/lib/machine.sh
source "$ROOT/harness/lib/machine.sh"
# shellcheck source=harness/lib/verdict.sh
source "$ROOT/harness/lib/verdict.sh"
# shellcheck source=harness/lib/target.sh
source "$ROOT/harness/lib/target.sh"
# shellcheck source=harness/lib/load.sh
source "$ROOT/harness/lib/load.sh"

# A command that fails unforeseen is an error of the harness: status 1, never the 2 that some tools
# end with and that here means inconclusive.
set -E
_scenario_failed() { die "$1, line $2: this failed: ${3%%$'\n'*}"; }
trap '_scenario_failed "${BASH_SOURCE[0]##*/}" "$LINENO" "$BASH_COMMAND"' ERR

SEED=${SEED:-1}
AUTH_SECRET=${AUTH_SECRET:-the-harness-signs-its-tokens-with-this}
TARGETS=()
SCENARIO='' RUN='' STARTED_AT=''
# shellcheck disable=SC2034 # for the scripts
MEASURABLE=''
SCENARIO_TABLE=1 # empty: the script has tables of its own instead of the one of all targets
WIDTH=78

scenario_help() {
    # The script's own comment, without the shebang and the marks.
    sed -n '2,/^[^#]/ { /^# shellcheck/d; s/^# \{0,1\}//p }' "$0"
    cat <<HELP

usage: ./harness/$SCENARIO.sh [TARGET...]
  TARGET is a phase (1), a phase with settings (1,DB_POOL=5), a directory (work/phase1) or the URL
  of a running server, of which DATABASE_URL names the database: its sales and orders are ERASED.
  None: the phase built last. Several: one after the other, compared.
environment: SEED RATE DURATION CLIENTS NO_COLOR; DATABASE_URL: use this PostgreSQL
exit status: 0 as harness/failure-modes.tsv expects, 1 not, 2 inconclusive
HELP
}

_scenario_targets() {
    TARGETS=("$@")
    if ((${#TARGETS[@]} == 0)); then
        [[ -r $ROOT/build/last-phase ]] || usage "no phase was built yet: make phase1, or name a target (--help)"
        TARGETS=("$(<"$ROOT/build/last-phase")")
        TARGETS=("${TARGETS[0]#phase}")
    fi
    local target
    for target in "${TARGETS[@]}"; do target_parse "$target"; done
}

# The first line: on what, and for how long.
_scenario_announce() {
    local names=() target seconds=$1
    for target in "${TARGETS[@]}"; do
        target_parse "$target"
        names+=("$(target_name)")
    done
    ((${#TARGETS[@]} == 1)) || seconds=$(($2 * ${#TARGETS[@]} / 2))
    local line
    printf -v line '%s, ' "${names[@]}"
    if ((GIVEN == 0)); then line="${line%, }, built last; another: ./harness/$SCENARIO.sh 1, "; fi
    say "${BOLD}$SCENARIO${PLAIN}: ${line%, } (about $seconds s)"
}

_scenario_run_directory() {
    local base n=''
    base=$ROOT/build/runs/$(date +%Y%m%d-%H%M%S)-$SCENARIO
    mkdir -p "${base%/*}" 2>/dev/null || :
    until mkdir "$base$n" 2>/dev/null; do
        # Another run's of the same second, or is there no writing here at all?
        [[ -e $base$n ]] ||
            die "${base%/*} cannot be written: use a checkout of your own (build/ is another user's, or this disk is full or read-only)"
        n=$((${n:-1} + 1))
    done
    RUN=$base$n
    on_exit run_tidy "$RUN" summary.json
    : >"$RUN/figures.tsv"
    : >"$RUN/verdicts.tsv"
}

# Settings that only some scripts have, as they were given: a script may use these names for its own.
SCENARIO_OWN=''
for name in ROUNDS UNITS; do
    if [[ -n ${!name-} ]] && grep -qsF "\${$name:-" "$0"; then SCENARIO_OWN+="$name=${!name//[^0-9]/} "; fi
done
unset name

_scenario_command() {
    local name line=''
    for name in SEED RATE DURATION CLIENTS MODE; do
        [[ -n ${!name-} ]] || continue
        case ${!name} in
        *[!A-Za-z0-9.]*) line+="$name=${!name@Q} " ;;
        *) line+="$name=${!name} " ;;
        esac
    done
    line+=$SCENARIO_OWN
    printf '%s./harness/%s.sh %s' "$line" "$SCENARIO" "${TARGETS[*]}"
}

scenario_begin() {
    local name
    SCENARIO=$1
    if [[ ${5-} == --help || ${5-} == -h ]]; then
        scenario_help
        exit 0
    fi
    GIVEN=$(($# - 4))
    _scenario_targets "${@:5}"
    for name in DB_POOL DB_ACQUIRE_MS DB_WAIT_MS HTTP_THREADS NAIVE_UNSAFE; do
        [[ -z ${!name-} || ${TARGETS[0]} == http*://* ]] || warn "$name of your environment is not used; write it so: ${TARGETS[0]%%,*},$name=${!name}"
    done
    _scenario_announce "$3" "$4"
    say "$2"
    STARTED_AT=$(date -u +%Y-%m-%dT%H:%M:%SZ)
    _scenario_run_directory
    harness_make MODE=release build/release/loadgen build/release/audit
    # A URL needs no server of ours; what else does shares one.
    if [[ " ${TARGETS[*]}" =~ \ (http:|https:)?[^:]*(\ |$) ]]; then
        progress "starting PostgreSQL"
        postgres_start "$SCENARIO"
    fi
}

# Gives every failure mode of this scenario the same verdict, which is neither PRESENT nor ABSENT.
# A scenario without one says the reason all the same.
_scenario_all() {
    local mode rows=0
    while IFS=$'\t' read -r mode _; do
        rows=$((rows + 1))
        verdict "$mode" "$1" '' '' "$2"
    done < <(verdict_rows "$SCENARIO.sh")
    ((rows > 0)) || say "  $2"
    [[ $1 == n/a ]] || scenario_worse 2
}

# Starts the target, or with "prepare" leaves that to the script: all but target_spawn is done.
# MEASURABLE is empty where nothing can be measured; the verdicts say why. That is no exit status,
# because bash would ignore every failure within a function that stands in a condition.
scenario_target() {
    local mode rows=0 applies=0
    MEASURABLE=''
    progress_end
    target_parse "$1"
    say ""
    say "${BOLD}$(target_name)${PLAIN}"
    DOUBT=''
    while IFS=$'\t' read -r mode _; do
        rows=$((rows + 1))
        [[ $(verdict_expected "$mode" "$TARGET") == n/a ]] || applies=$((applies + 1))
    done < <(verdict_rows "$SCENARIO.sh")
    if ((rows > 0 && applies == 0)); then
        _scenario_all n/a "This does not apply to phase ${TARGET%%,*}."
        return 0
    fi
    if [[ $TARGET_KIND == url && -z $TARGET_DB ]]; then
        _scenario_all INCONCLUSIVE "DATABASE_URL must name the database of $TARGET: the harness believes only what it reads there."
        return 0
    fi
    if [[ $TARGET_KIND == url && ${2-} == prepare ]]; then
        _scenario_all INCONCLUSIVE "A server behind a URL cannot be started from here."
        return 0
    fi
    progress "building and starting $(target_name)"
    if [[ ${2-} == prepare ]]; then
        target_build
        target_prepare
    else
        target_start "$1"
    fi
    # shellcheck disable=SC2034 # for the scripts
    MEASURABLE=1
}

# figure NAME VALUE [UNIT]: prints three digits of it, keeps all.
figure() {
    local shown=$2
    progress_end
    if [[ $2 =~ ^[0-9]*[.][0-9]+$ ]]; then
        shown=$(awk -v v="$2" 'BEGIN { printf "%.*f", (v >= 100 ? 0 : v >= 10 ? 1 : 2), v }')
    fi
    printf '  %-46s %12s%s\n' "$1" "$shown" "${3:+ $3}"
    printf '%s\t%s\t%s\t%s\n' "$TARGET" "$1" "$2" "${3:--}" >>"$RUN/figures.tsv"
}

# verdict MODE VERDICT PRESENT_TEXT ABSENT_TEXT [INCONCLUSIVE_TEXT]: one of the texts is shown, a
# sentence for someone who learns. A window that cannot be trusted (DOUBT) proves neither verdict.
verdict() {
    local mode=$1 verdict=$2 reason='' expected colour=$GREEN note='as expected'
    expected=$(verdict_expected "$mode" "$TARGET")
    case $verdict in
    PRESENT) reason=$3 ;;
    ABSENT) reason=$4 ;;
    *) reason=${5:-The figures lie between the limits: one more run, on a quieter machine, may decide.} ;;
    esac
    if [[ -n $DOUBT && $verdict != n/a ]]; then verdict=INCONCLUSIVE reason=$DOUBT.; fi
    case $verdict in
    n/a) note='' ;;
    "$expected") ;;
    INCONCLUSIVE) colour=$YELLOW note="expected $expected" ;;
    *) colour=$RED note="expected $expected" ;;
    esac
    progress_end
    say "  ${colour}${BOLD}$verdict${PLAIN}  $mode${note:+ ${DIM}($note)${PLAIN}}"
    fold -s -w $((WIDTH - 4)) <<<"$reason" | sed 's/^/    /; s/ *$//'
    printf '%s\t%s\t%s\t%s\t%s\n' "$verdict" "$expected" "$mode" "$TARGET" "$reason" >>"$RUN/verdicts.tsv"
}

# Figures and verdicts as rows, targets as columns.
_scenario_table() {
    awk -F '\t' -v OFS='\t' '{ print $4, $3, $1 }' "$RUN/verdicts.tsv" | cat "$RUN/figures.tsv" - |
        awk -F '\t' '
            !($1 in column) { column[$1] = ++columns; name[columns] = $1 }
            !($2 in row) { row[$2] = ++rows; label[rows] = $2 }
            { cell[$2, column[$1]] = $3 }
            END {
                left = columns > 2 ? 33 : 44
                wide = columns > 2 ? 13 : 15
                printf "%-*.*s", left, left, ""
                for (c = 1; c <= columns; c++) # of a name that is too long the end tells it from the others
                    printf "  %*s", wide, (length(name[c]) > wide ? ".." substr(name[c], length(name[c]) - wide + 3) : name[c])
                print ""
                for (r = 1; r <= rows; r++) {
                    printf "%-*.*s", left, left, label[r]
                    for (c = 1; c <= columns; c++) {
                        v = cell[label[r], c]
                        if (v ~ /^[0-9]*[.][0-9]+$/) v = sprintf("%.*f", (v >= 100 ? 0 : v >= 10 ? 1 : 2), v)
                        printf "  %*.*s", wide, wide, v
                    }
                    print ""
                }
            }'
}

# _scenario_summary STATUS CONCLUSION
_scenario_summary() {
    jq -n --arg scenario "$SCENARIO" --arg started "$STARTED_AT" --arg command "$(_scenario_command)" \
        --arg seed "$SEED" --argjson status "$1" --arg conclusion "$2" --rawfile figures "$RUN/figures.tsv" \
        --rawfile verdicts "$RUN/verdicts.tsv" \
        --arg commit "$(commit_describe)" \
        --arg machine "$(machine_describe)" \
        --arg postgres "$([[ -z $TARGET_DB ]] || target_sql "SHOW server_version" 2>/dev/null || :)" '
        def rows: split("\n") | map(select(. != "") | split("\t"));
        {version: 1, scenario: $scenario, started_at: $started, command: $command,
         seed: ($seed | tonumber), commit: $commit, machine: $machine, postgres: $postgres,
         figures: [$figures | rows[] | {target: .[0], name: .[1], value: (.[2] | tonumber? // .), unit: .[3]}],
         verdicts: [$verdicts | rows[] | {target: .[3], failure_mode: .[2], verdict: .[0], expected: .[1], reason: .[4]}],
         conclusion: $conclusion, exit_status: $status}' >"$RUN/summary.json"
}

# Declared failure modes decide.
scenario_end() {
    local target untold=''
    cut -f 3,4 "$RUN/verdicts.tsv" >"$RUN/told"
    for target in "${TARGETS[@]}"; do untold+=$(verdict_untold "$SCENARIO.sh" "$target" "$RUN/told"); done
    rm -f "$RUN/told"
    [[ -z $untold ]] || die "no verdict was given on: $untold"
    case $(cut -f 1,2 "$RUN/verdicts.tsv" | verdict_status) in
    0) scenario_finish 0 "As expected." ;;
    1) scenario_finish 1 "Not as harness/failure-modes.tsv expects." ;;
    *) scenario_finish 2 "Inconclusive: nothing is proved. Again, on a quieter machine or with a longer DURATION?" ;;
    esac
}

# scenario_worse STATUS: WORST is the status of all targets so far: 1 before 2 before 0.
WORST=0
scenario_worse() { if ((WORST != 1 && $1 != 0)); then WORST=$1; fi; }

# scenario_finish STATUS TEXT: the closing lines; ends the script.
scenario_finish() {
    local colours=("$GREEN" "$RED" "$YELLOW")
    progress_end
    say ""
    if ((${#TARGETS[@]} > 1)) && [[ -n $SCENARIO_TABLE ]]; then
        _scenario_table
        say ""
    fi
    _scenario_command >"$RUN/command"
    _scenario_summary "$1" "$2"
    say "${colours[$1]}$2$PLAIN"
    say "${DIM}kept: ${RUN#"$ROOT"/}   again: $(<"$RUN/command")${PLAIN}"
    exit "$1"
}
