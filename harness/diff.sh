#!/usr/bin/env bash
# diff: what a phase changed in the one before it, in the order in which one reads it.
#
#   harness/diff.sh show N     a line with what was changed, added, inherited, then the diff
#   harness/diff.sh stat N     the same in numbers, with the limits
#   harness/diff.sh write      phaseN/DIFF.md of every phase, the same text for a web page's reader
#   harness/diff.sh check      status 1, naming them, if any DIFF.md is not what write would write
#
# The order: orders.c, changed leaves, new leaves, main.c, schema.sql. Links are resolved first; the
# README is not part of it. Made by `git diff --no-index --histogram`, without the reader's settings.
set -euo pipefail
# shellcheck source=harness/lib/common.sh
source "$(dirname "$0")/lib/common.sh"

# The design's limit; guards.sh holds a phase to it. Phase 4 has more room: that the reply comes before
# the decision turns the contract of nearly every file around (request, inventory, sales, schema).
TOUCHED_MAX=(400 400 400 400 560 400 400 400 400)
MOVED_MIN=4     # characters of a line that can count as moved

export LC_ALL=C
cd "$ROOT"
tmp=$(mktemp -d)
on_exit rm -rf "$tmp"

exists() { [[ -e $1 || -L $1 ]]; }

# A file's part in phase N: inherited, changed or new.
state_of() {
    local n=$1 name=$2
    if [[ -L phase$n/$name ]]; then
        say inherited
    elif ((n > 0)) && exists "phase$((n - 1))/$name"; then
        say changed
    else
        say new
    fi
}

# Sources of a directory, each header before its .c.
sources() {
    local file
    for file in "$1"/*.[ch]; do
        exists "$file" || continue
        say "${file##*/}"
    done | sed -E 's/^(.*)\.(.)$/\1 \2/' | sort -k 1,1 -k 2,2r | tr ' ' .
}

# phase N's sources in reading order, those that only N-1 had included.
reading_order() {
    local n=$1 wanted name
    for name in orders.c orders.h; do
        if exists "phase$n/$name"; then say "$name"; fi
    done
    for wanted in changed new; do
        for name in $(sources "phase$n"); do
            [[ $name != main.c && $name != orders.[ch] ]] || continue
            [[ $(state_of "$n" "$name") != "$wanted" ]] || say "$name"
        done
    done
    for name in $(sources "phase$((n - 1))"); do
        exists "phase$n/$name" || say "$name"
    done
    say main.c
    say schema.sql
}

names_in_state() {
    local n=$1 wanted=$2 name names=()
    for name in $(sources "phase$n") schema.sql seed.sql; do
        exists "phase$n/$name" || continue
        [[ $(state_of "$n" "$name") != "$wanted" ]] || names+=("$name")
    done
    printf '%s' "${names[*]:-nothing}"
}

headline() {
    printf 'Phase %s: changed %s; added %s; inherited %s.\n' "$1" \
        "$(names_in_state "$1" changed)" "$(names_in_state "$1" new)" \
        "$(names_in_state "$1" inherited)"
}

# Resolved copies of both phases in $tmp, and the list of names in $tmp/order.
prepare() {
    local n=$1 old=phase$(($1 - 1)) new=phase$1 name
    rm -rf "${tmp:?}"/*
    mkdir "$tmp/$old" "$tmp/$new"
    reading_order "$n" >"$tmp/order"
    while read -r name; do
        if exists "$old/$name"; then cp -L "$old/$name" "$tmp/$old/"; fi
        if exists "$new/$name"; then cp -L "$new/$name" "$tmp/$new/"; fi
    done <"$tmp/order"
}

# One file's diff, without anybody's configuration; git's status 1 only says that there is one.
git_diff() {
    local n=$1 name=$2 a b
    shift 2
    a=phase$((n - 1))/$name b=phase$n/$name
    [[ -e $tmp/$a ]] || a=/dev/null
    [[ -e $tmp/$b ]] || b=/dev/null
    (cd "$tmp" && GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_DIR=/dev/null \
        git --no-pager diff --no-index --no-ext-diff --histogram --no-renames "$@" -- "$a" "$b") ||
        (($? == 1))
}

text() {
    local name
    headline "$1"
    say ""
    prepare "$1"
    while read -r name; do
        git_diff "$1" "$name" -U3 --color="${2:-never}"
    done <"$tmp/order" | sed -E '/^(\x1b\[[0-9;]*m)?index [0-9a-f]+\.\./d'
}

markdown() {
    say "# What phase $1 changed in phase $(($1 - 1))"
    say ""
    say "Made by \`make diffs\`, from the sources; in a terminal: \`make diff-$1\`."
    say ""
    say '```diff'
    text "$1"
    say '```'
}

# How many of the lines that leave a file stand in a new one of the phase as they are: those were
# moved. Lines of hardly a word (braces, blanks) do not count as moved.
moved_lines() {
    local n=$1 name=$2 new
    shift 2
    for new in "$@"; do cat "$tmp/phase$n/$new"; done >"$tmp/new"
    git_diff "$n" "$name" -U0 | awk -v least="$MOVED_MIN" '
        FNR == NR { known[$0] = 1; next }
        /^-[^-]/ && length > least && (substr($0, 2) in known) { moved++ }
        END { print moved + 0 }' "$tmp/new" -
}

# A leaf that is gone is no change to read, and what was moved is none either.
stat() {
    local n=$1 name added removed moved state touched=0 new=()
    headline "$n"
    say ""
    prepare "$n"
    while read -r name; do
        if [[ $name == *.[ch] && -e $tmp/phase$n/$name && $(state_of "$n" "$name") == new ]]; then new+=("$name"); fi
    done <"$tmp/order"
    while read -r name; do
        read -r added removed _ < <(git_diff "$n" "$name" --numstat) || continue
        state=removed moved=0
        if exists "phase$n/$name"; then state=$(state_of "$n" "$name"); fi
        if [[ $name == *.[ch] && $state == changed ]]; then
            moved=$(moved_lines "$n" "$name" "${new[@]}")
            touched=$((touched + added + removed - moved))
        fi
        ((moved == 0)) || state+=", $moved lines of it moved to a new file"
        printf '%6s +%6s -   %-28s %s\n' "$added" "$removed" "$name" "$state"
    done <"$tmp/order"
    say ""
    say "$touched lines added and removed in sources that phase $((n - 1)) had and has (limit ${TOUCHED_MAX[n]})"
}

the_phase() {
    [[ ${1-} =~ ^[0-9]+$ ]] || usage "usage: harness/diff.sh show|stat N, or write, or check"
    [[ -d phase$1 ]] || die "there is no phase $1: this checkout has" phase[0-8]
    if (($1 == 0)); then
        say "Phase 0 is the first: there is nothing before it to compare with."
        exit 0
    fi
}

later_phases() {
    local dir
    for dir in phase[1-8]; do
        if [[ -d $dir ]]; then say "${dir#phase}"; fi
    done
}

case ${1-} in
show)
    the_phase "${2-}"
    if [[ -t 1 ]] && command -v less >/dev/null; then
        text "$2" always | LESS=${LESS:-FRX} less
    else
        text "$2"
    fi
    ;;
stat)
    the_phase "${2-}"
    stat "$2"
    ;;
write)
    for n in $(later_phases); do
        markdown "$n" >"phase$n/DIFF.md"
    done
    ;;
check)
    status=0
    for n in $(later_phases); do
        markdown "$n" >"$tmp.md"
        on_exit rm -f "$tmp.md"
        if ! cmp -s "$tmp.md" "phase$n/DIFF.md"; then
            say "phase$n/DIFF.md is not what the sources say: make diffs"
            status=1
        fi
    done
    exit "$status"
    ;;
*) usage "usage: harness/diff.sh show|stat N, or write, or check" ;;
esac
