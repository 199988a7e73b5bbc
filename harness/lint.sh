#!/usr/bin/env bash
# lint: what tools say about the sources without running them.
#
#   harness/lint.sh                       all of it
#   harness/lint.sh shell|format|cppcheck|tidy|analyzer
#   harness/lint.sh format --fix          rewrites instead of complaining (make format)
#
# Every source once (links are their targets), as many at a time as there are cores. Status 1 if a
# tool complains; its words are the output.
set -euo pipefail
# shellcheck source=harness/lib/common.sh
source "$(dirname "$0")/lib/common.sh"
cd "$ROOT"

JOBS=$(nproc)

c_sources() { find common phase[0-8] harness -name '*.c' -type f | sort; }
c_files() { find common phase[0-8] harness -name '*.[ch]' -type f | sort; }
cflags() { env -u MAKEFLAGS -u MFLAGS make -s print-cflags; }

shell_() {
    local files
    mapfile -t files < <(find harness .ci -type f \( -name '*.sh' -o -path .ci/run \) | sort)
    shellcheck -x "${files[@]}"
}

format_() {
    if [[ ${1-} == --fix ]]; then
        c_files | xargs clang-format -i
    else
        c_files | xargs clang-format --dry-run -Werror
    fi
}

# arrayIndexThenCheck takes `text[i] != '\0' && i < LIMIT` for an overrun: the text ends by itself,
# the limit is another array's.
cppcheck_() {
    local files
    mapfile -t files < <(c_sources)
    mkdir -p build/cppcheck
    cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
        --error-exitcode=1 --suppress=missingIncludeSystem --suppress=arrayIndexThenCheck \
        -j "$JOBS" -I. --cppcheck-build-dir=build/cppcheck "${files[@]}"
}

# Its standard error only counts the warnings that it printed.
tidy_() {
    local flags
    flags=$(cflags)
    c_sources | xargs -P "$JOBS" -n 4 bash -c "clang-tidy --quiet \"\$@\" -- $flags 2>/dev/null" tidy
}

# Not over tests: Check's assertions leave by longjmp, which the analyzer takes for going on.
analyzer_() {
    local flags
    read -ra flags < <(cflags)
    c_sources | grep -vE '/tests/|^harness/contract/' |
        xargs -P "$JOBS" -n 1 gcc "${flags[@]}" -Werror -O1 -fanalyzer -c -o /dev/null
}

for_all() {
    local tool status=0
    for tool in shell format cppcheck tidy analyzer; do
        progress "$tool"
        "${tool}_" || status=1
    done
    progress_end
    return "$status"
}

case ${1-all} in
all) for_all ;;
shell | format | cppcheck | tidy | analyzer) "$1_" "${@:2}" ;;
*) usage "usage: harness/lint.sh [shell|format [--fix]|cppcheck|tidy|analyzer]" ;;
esac
