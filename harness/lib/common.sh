# shellcheck shell=bash
# common: what every script of the harness needs, and no more. Sourced, after `set -euo pipefail`.
#
#   ROOT                    the checkout, absolute, symlinks resolved
#   die/warn/say TEXT...    one line; die ends the script with status 1
#   usage TEXT...           one line, status 64: the script was called the wrong way
#   progress TEXT...        a line that the next one overwrites on a terminal, else a line of its own
#   on_exit COMMAND ARG...  is run when the script ends, however it ends (last registered, first run)
#   "${TIED[@]}" COMMAND ARG...  it gets SIGTERM when this script has gone, after a kill -9 too
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

_ON_EXIT=()
on_exit() { _ON_EXIT+=("$(printf '%q ' "$@")"); }

_run_on_exit() {
    local status=$? i
    trap '' INT TERM HUP
    set +e
    for ((i = ${#_ON_EXIT[@]} - 1; i >= 0; i--)); do
        eval "${_ON_EXIT[i]}"
    done
    exit "$status"
}
trap _run_on_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP
