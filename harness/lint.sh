#!/usr/bin/env bash
# lint: what tools say about the sources without running them.
#
#   harness/lint.sh                       all of it
#   harness/lint.sh shell|format|cppcheck|tidy|analyzer
#   harness/lint.sh format --fix          rewrites instead of complaining (make format)
#
# Every source once (links are their targets), as many at a time as there are cores. Status 1 if a
# tool complains; its words are the output. The sources are held to the tools of Debian 12: what
# another version says is printed all the same, but its status is 77, for the reader to judge.
set -euo pipefail
# shellcheck source=harness/lib/common.sh
source "$(dirname "$0")/lib/common.sh"
cd "$ROOT"

JOBS=$(nproc)

OTHER_VERSION=77
declare -A REFERENCE=([shell]='version: 0.9' [format]='version 14' [cppcheck]='Cppcheck 2.10'
    [tidy]='version 14' [analyzer]='gcc.* 12\.')

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
# the limit is another array's. nullPointerOutOfMemory: a test that has no memory may crash.
cppcheck_() {
    local files
    mapfile -t files < <(c_sources)
    mkdir -p build/cppcheck
    cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
        --error-exitcode=1 --suppress=missingIncludeSystem --suppress=arrayIndexThenCheck \
        --suppress=nullPointerOutOfMemory \
        -j "$JOBS" -I. --cppcheck-build-dir=build/cppcheck "${files[@]}"
}

# Its standard error only counts the warnings that it printed. One file each: clang knows a file by
# its inode, so that in one process phase5/inventory.h, a link, would still include phase4's order.h.
tidy_() {
    local flags
    flags=$(cflags)
    c_sources | xargs -P "$JOBS" -n 1 bash -c "clang-tidy --quiet \"\$@\" -- $flags 2>/dev/null" tidy
}

# Not over tests: Check's assertions leave by longjmp, which the analyzer takes for going on.
analyzer_() {
    local flags
    read -ra flags < <(cflags)
    c_sources | grep -vE '/tests/|^harness/contract/' |
        xargs -P "$JOBS" -n 1 gcc "${flags[@]}" -Werror -O1 -fanalyzer -c -o /dev/null
}

version() {
    case $1 in
    shell) shellcheck --version ;;
    format) clang-format --version ;;
    cppcheck) cppcheck --version ;;
    tidy) clang-tidy --version ;;
    analyzer) gcc --version ;;
    esac
}

run() {
    local tool=$1 version
    shift
    if "${tool}_" "$@"; then return 0; fi
    version=$(version "$tool")
    if grep -qE "${REFERENCE[$tool]}" <<<"$version"; then return 1; fi
    say "skip $tool: this is another version than Debian 12's, with other opinions (above)"
    return "$OTHER_VERSION"
}

for_all() {
    local tool status=0 one
    for tool in shell format cppcheck tidy analyzer; do
        progress "$tool"
        one=0
        run "$tool" || one=$?
        ((one == 0 || one == OTHER_VERSION)) || status=1
    done
    progress_end
    return "$status"
}

case ${1-all} in
all) for_all ;;
shell | format | cppcheck | tidy | analyzer) run "$@" ;;
*) usage "usage: harness/lint.sh [shell|format [--fix]|cppcheck|tidy|analyzer]" ;;
esac
