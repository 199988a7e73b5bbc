#!/usr/bin/env bash
# guards: holds the tree to the rules that keep a phase a small, readable step.
#
#   harness/guards.sh
#
# Prints `ok NAME` or `not ok NAME: why` for each rule; status 1 if any is broken. The rules: links
# point to the phase that last changed a file, nothing is written twice, nothing else crosses from
# phase to phase, a phase compiles through its links and from a copy to the same include list, its
# README opens with a file table that is true, DIFF.md is fresh, sizes are kept, the Makefile knows
# every phase, compile_flags.txt agrees with it, and some words do not stand anywhere.
set -euo pipefail
# shellcheck source=harness/lib/common.sh
source "$(dirname "$0")/lib/common.sh"

NEW_LEAF_MAX=300 # lines of a new leaf
MAIN_MAX=220     # lines of main.c
FILE_MAX=399     # lines of a .c
FUNCTION_MAX=70  # lines from a function's opening brace to its closing one

export LC_ALL=C
cd "$ROOT"
tmp=$(mktemp -d)
on_exit rm -rf "$tmp"
failed=0

# guard NAME FUNCTION: what the function prints are the violations.
guard() {
    local why
    "$2" >"$tmp/why" 2>&1 || say "the guard itself ended with status $?" >>"$tmp/why"
    if [[ ! -s $tmp/why ]]; then
        say "ok $1"
        return 0
    fi
    failed=1
    while read -r why; do say "not ok $1: $why"; done <"$tmp/why"
}

phases() {
    local dir
    for dir in phase[0-9]*/; do say "${dir%/}"; done
}
earlier() { say "phase$((${1#phase} - 1))"; }
exists() { [[ -e $1 || -L $1 ]]; }
c_files() { find common phase* harness -name '*.c' -type f | sort; }

# A checkout without symlinks has the link's text in a file; every other guard would drown in it.
no_symlinks() {
    local file
    file=$(grep -lsxE '\.\./phase[0-9]+/[A-Za-z0-9_.-]+' phase*/*.[ch] phase*/*.sql | head -n 1)
    [[ -z $file ]] ||
        say "this checkout has no symbolic links ($file is a plain file): clone it again inside" \
            "Linux or WSL, not on a Windows drive, with git config core.symlinks true"
}

links() {
    local link target number
    for link in $(find phase* -type l | sort); do
        target=$(readlink "$link")
        number=${link#phase}
        number=${number%%/*}
        if [[ ! $target =~ ^\.\./phase([0-9]+)/([^/]+)$ ]]; then
            say "$link points to $target, not into a phase"
        elif [[ ${BASH_REMATCH[2]} != "${link##*/}" ]]; then
            say "$link points to a file of another name, $target"
        elif ((BASH_REMATCH[1] >= number)); then
            say "$link points forward, to $target"
        elif [[ -L ${link%/*}/$target ]]; then
            say "$link points to another link, $target"
        elif [[ ! -f $link ]]; then
            say "$link dangles: there is no $target"
        fi
    done
}

# Between a link's phase and its target's nobody may have changed the file: it would be skipped.
links_to_the_last_change() {
    local link target n
    for link in $(find phase* -type l | sort); do
        target=$(readlink "$link")
        [[ $target =~ ^\.\./phase([0-9]+)/ ]] || continue
        for ((n = BASH_REMATCH[1] + 1; n < $(number_of "$link"); n++)); do
            [[ ! -f phase$n/${link##*/} || -L phase$n/${link##*/} ]] ||
                say "$link points past phase$n, which changed the file"
        done
    done
}
number_of() {
    local number=${1#phase}
    say "${number%%/*}"
}

written_twice() {
    local phase file before
    for phase in $(phases); do
        [[ $phase != phase0 ]] || continue
        for file in "$phase"/*; do
            before=$(earlier "$phase")/${file##*/}
            [[ ! -L $file && -f $before ]] || continue
            ! cmp -s "$file" "$before" || say "$file is $before once more: it should be a link"
        done
    done
}

crossings() {
    local phase
    grep -nE '^ *# *(if|ifdef|ifndef|elif).*PHASE' phase*/*.[ch] common/*.[ch] | sed 's/$/ (a phase in the preprocessor)/' || :
    for phase in $(phases); do
        includes "$phase" "$phase" |
            grep -vE "^(/|($phase|common)/[^/]*$)" | sed "s/^/$phase includes /" || :
    done
}

# The include list of all sources in directory $1, as if they lay in $2.
includes() {
    local flags
    read -ra flags <"$tmp/cflags"
    gcc "${flags[@]}" -MM "$1"/*.c | tr -s ' \\\n' '\n' | grep -v ':$' |
        sed "s|^$1/|$2/|; s|^[a-z0-9]*/\.\./||" | grep . | sort -u
}

# The copy lies in build/, because a source's own directory is where "x.h" is looked for first.
same_includes() {
    local phase copy flags file
    read -ra flags <"$tmp/cflags"
    for phase in $(phases); do
        copy=build/guards.$$/$phase
        on_exit rm -rf "$ROOT/build/guards.$$"
        mkdir -p "$copy"
        cp -L "$phase"/*.[ch] "$copy/"
        cmp -s <(includes "$phase" "$phase") <(includes "$copy" "$phase") ||
            say "$phase includes other files through its links than from a copy"
        for file in "$phase"/*.c "$copy"/*.c; do
            gcc "${flags[@]}" -fsyntax-only -Werror "$file" >"$tmp/compile" 2>&1 ||
                say "$file does not compile: $(head -n 1 "$tmp/compile")"
        done
        rm -rf "build/guards.$$"
    done
}

# What the file table must say of a file: new, changed, or the phase a link leads to.
state_of() {
    local target
    if [[ -L $1 ]]; then
        target=$(readlink "$1")
        say "$(cut -d / -f 2 <<<"$target")"
    elif [[ $1 != phase0/* ]] && exists "$(earlier "${1%%/*}")/${1##*/}"; then
        say changed
    else
        say new
    fi
}

# Third line on: "| file | state | ...", a rule, then a row for each file: | `main.c` | new | ...
file_tables() {
    local phase file expected
    for phase in $(phases); do
        sed -n 3p "$phase/README.md" 2>/dev/null | grep -qE '^\| file \| state \|' ||
            say "$phase/README.md does not open with its file table (line 3: | file | state | ...)"
        awk -F '|' 'NR > 4 && !/^\|/ { exit } NR > 4 { gsub(/[` ]/, "", $2); gsub(/ /, "", $3); print $2, $3 }' \
            "$phase/README.md" | sort >"$tmp/table"
        for file in "$phase"/*; do
            [[ ${file##*/} != README.md && ${file##*/} != DIFF.md ]] || continue
            expected=$(state_of "$file")
            printf '%s %s\n' "${file##*/}" "$expected"
        done | sort >"$tmp/directory"
        comm -3 "$tmp/table" "$tmp/directory" |
            sed -E "s|^\t(.*)|$phase/README.md's table lacks: \1|; t; s|^|$phase/README.md's table says wrongly: |"
    done
}

# harness/diff.sh counts, as `make diff-N` shows it to a reader.
change_sizes() {
    local phase total limit
    for phase in $(phases); do
        [[ $phase != phase0 ]] || continue
        read -r total limit < <(harness/diff.sh stat "${phase#phase}" | sed -En '$s/^([0-9]+) .*limit ([0-9]+).*/\1 \2/p')
        ((total <= limit)) ||
            say "$phase adds and removes $total lines in sources that $(earlier "$phase") had (limit $limit)"
    done
}

leaf_sizes() {
    local file lines
    for file in phase*/*.[ch]; do
        [[ ! -L $file && ${file##*/} != main.c && ${file##*/} != orders.c ]] || continue
        [[ $(state_of "$file") == new ]] || continue
        lines=$(wc -l <"$file")
        ((lines <= NEW_LEAF_MAX)) || say "$file, a new leaf, has $lines lines (limit $NEW_LEAF_MAX)"
    done
}

file_sizes() {
    local file lines max
    for file in $(c_files); do
        max=$FILE_MAX
        [[ $file != phase*/main.c ]] || max=$MAIN_MAX
        lines=$(wc -l <"$file")
        ((lines <= max)) || say "$file has $lines lines (limit $max)"
    done
}

# clang-format puts a function's braces at the line's beginning, and nothing else's but a type's.
function_sizes() {
    local files
    mapfile -t files < <(c_files)
    awk -v max="$FUNCTION_MAX" '
        FNR == 1 { open = 0; head = "" }
        /^\{/ { open = FNR }
        /^\}/ { if (open && FNR - open + 1 > max)
                    printf "%s:%d: a function of %d lines (limit %d)\n", FILENAME, open, FNR - open + 1, max
                open = 0 }' "${files[@]}"
}

check_diffs() { harness/diff.sh check || :; }

makefile_phases() {
    local known phase
    known=" $(env -u MAKEFLAGS -u MFLAGS make -s print-phases) "
    for phase in $(phases); do
        [[ $known == *" ${phase#phase} "* ]] || say "the Makefile does not know $phase"
        [[ -f $phase/main.c ]] || say "$phase has no main.c"
    done
}

compile_flags() {
    local flag
    for flag in $(tr ' ' '\n' <"$tmp/cflags" | grep -E '^-(W|std|D_)'); do
        grep -qxF -- "$flag" compile_flags.txt || say "compile_flags.txt lacks $flag"
    done
}

# What is not done is not there, and not announced either. Written so that this file does not match
# itself.
WORDS='\b([t]odo|[f]ixme|[x]xx|[h]ack|[t]bd)\b|[n]ot (yet )?implemented|[u]nimplemented'
words() {
    grep -rniIE "$WORDS" . --exclude-dir=build --exclude-dir=work --exclude-dir=.git |
        sed -E 's|^\./([^:]*:[0-9]+):.*|\1: a word that must not stand here|' || :
}

modes() {
    local file
    for file in $(find harness -name '*.sh' -type f | sort) .ci/run; do
        if [[ $(head -c 2 "$file") == '#!' && ! -x $file ]]; then say "$file is not executable"; fi
    done
}

# No test can see by its result how long a comparison took.
constant_time() {
    grep -qE '^ *(if \(|return )?CRYPTO_memcmp\(mac, expected, AUTH_MAC_HEX\) [!=]= 0' common/auth.c ||
        say "common/auth.c does not compare the mac, the whole of it, with CRYPTO_memcmp"
    grep -nE 'cmp *\(' common/auth.c | grep -v 'CRYPTO_memcmp(mac, expected, AUTH_MAC_HEX)\|, SCHEME, ' | sed 's/:.*/: common\/auth.c compares in another way/' || :
}

# What the lesson on inventories says of their lengths.
lesson_lines() {
    local name lines
    [[ -r phase6/README.md ]] || return 0
    while read -r name lines; do
        [[ $(wc -l <"phase6/$name") == "$lines" ]] || say "phase6/README.md says that $name has $lines lines: it has $(wc -l <"phase6/$name")"
    done < <(
        sed -nE 's/^\| \x60([a-z]+)\x60 \| ([0-9]+)[ ,].*/inventory_\1.c \2/p' phase6/README.md
        sed -nE 's/^\| .* and \x60(order_batch\.c)\x60 ([0-9]+) .*/\1 \2/p' phase6/README.md
    )
}

env -u MAKEFLAGS -u MFLAGS make -s print-cflags >"$tmp/cflags" 2>/dev/null || :
guard symlinks no_symlinks
if ((failed)); then exit 1; fi
guard links links
guard links_to_the_last_change links_to_the_last_change
guard nothing_written_twice written_twice
guard nothing_crosses_phases crossings
guard same_includes_from_a_copy same_includes
guard file_tables file_tables
guard diffs_are_fresh check_diffs
guard change_sizes change_sizes
guard leaf_sizes leaf_sizes
guard file_sizes file_sizes
guard function_sizes function_sizes
guard makefile_phases makefile_phases
guard compile_flags compile_flags
guard constant_time constant_time
guard lesson_lines lesson_lines
guard words words
guard scripts_are_executable modes
exit "$failed"
