# shellcheck shell=bash
# common: what every script of the harness needs, and no more. Sourced, after `set -euo pipefail`.
#
#   ROOT                    the checkout, absolute, symlinks resolved
#   die/warn/say TEXT...    one line; die ends the script with status 1
#   usage TEXT...           one line, status 64: the script was called the wrong way
#   progress TEXT...        a line that the next one overwrites on a terminal, else a line of its own
#   on_exit COMMAND ARG...  is run when the script ends, however it ends (last registered, first run)
#   "${TIED[@]}" COMMAND ARG...  it gets SIGTERM when this script has gone, after a kill -9 too
#   run_tied COMMAND ARG...  runs it, tied and without standard input, and returns its status; when
#                           this script is told to end, so is the command, with all that it runs
#   run_tidy DIR FILE       for on_exit: a run's directory that never got its FILE
#   commit_describe, machine_describe   what a run was made of, and on
#   RED GREEN YELLOW BOLD DIM PLAIN   empty unless standard output is a terminal; NO_COLOR is honoured
#
# kill -9 runs no on_exit command: what must not survive that belongs to the keeper (keeper.sh).

# shellcheck disable=SC2034 # read by the scripts that source this file
ROOT=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)

RED='' GREEN='' YELLOW='' BOLD='' DIM='' PLAIN=''
if [[ -t 1 && -z ${NO_COLOR-} && ${TERM-dumb} != dumb ]]; then
    # shellcheck disable=SC2034 # read by the scripts that source this file
    RED=$'\e[31m' GREEN=$'\e[32m' YELLOW=$'\e[33m' BOLD=$'\e[1m' DIM=$'\e[2m' PLAIN=$'\e[0m'
fi

say() { printf '%s\n' "$*"; }
warn() { printf '%s: warning: %s\n' "${0##*/}" "$*" >&2; }
die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}
usage() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 64
}

progress() {
    if [[ -t 2 ]]; then
        printf '\r\e[K%s' "$*" >&2
    else
        printf '%s\n' "$*" >&2
    fi
}
progress_end() { if [[ -t 2 ]]; then printf '\r\e[K' >&2; fi; }

# shellcheck disable=SC2034 # for the scripts
TIED=(setpriv --pdeathsig TERM)

# A session of its own, to which one signal reaches all of it. In the background, because bash runs
# no trap before its foreground command has ended, which may take minutes; `wait` is interrupted.
_TIED_PID=''
run_tied() {
    local status=0
    setsid "${TIED[@]}" "$@" </dev/null &
    _TIED_PID=$!
    wait "$_TIED_PID" || status=$?
    _TIED_PID=''
    return "$status"
}

TIED_TENTHS_MAX=100 # of a second, to tidy up in
_end_tied() {
    local tenths
    [[ -n $_TIED_PID ]] || return 0
    kill -TERM -- "-$_TIED_PID" || kill -TERM "$_TIED_PID" # it may not lead its session yet
    for ((tenths = 0; tenths < TIED_TENTHS_MAX; tenths++)); do
        kill -0 "$_TIED_PID" || return 0
        sleep 0.1
    done
    kill -KILL -- "-$_TIED_PID"
} 2>/dev/null

commit_describe() { git -C "$ROOT" describe --always --dirty --abbrev=12 2>/dev/null || echo unknown; }
machine_describe() {
    printf '%s cores, %s, %s\n' "$(nproc)" "$(awk '/^MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo)" \
        "$(uname -sr)"
}

# What was interrupted, or asked for wrongly, goes; what failed stays to be looked at, and does not pass for a run.
run_tidy() {
    [[ ! -s $1/$2 ]] || return 0
    case $status in # of the script: on_exit's commands see it
    64 | 129 | 130 | 143) rm -rf "$1" ;;
    *) printf '%s ended with status %d before there was a %s\n' "${0##*/}" "$status" "$2" >"$1/unfinished" ;;
    esac
}

_ON_EXIT=()
on_exit() { _ON_EXIT+=("$(printf '%q ' "$@")"); }

_run_on_exit() {
    local status=$? i
    trap '' INT TERM HUP
    set +e
    _end_tied
    for ((i = ${#_ON_EXIT[@]} - 1; i >= 0; i--)); do
        eval "${_ON_EXIT[i]}"
    done
    exit "$status"
}
trap _run_on_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP
