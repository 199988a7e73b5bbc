#!/usr/bin/env bash
# test_guards: each rule of guards.sh is broken once, in a small tree made for it, and must be seen.
#
# Prints `ok NAME` or `not ok NAME: why`. The tree has three phases: enough for links that dangle,
# point forward, to another link, or past a change.
set -euo pipefail
# shellcheck source=harness/lib/common.sh
source "$(dirname "$0")/../lib/common.sh"

base=$(mktemp -d)
on_exit rm -rf "$base"
clean=$base/clean tree=$base/tree
failed=0
ok() { say "ok $1"; }
not_ok() {
    say "not ok $1: $2"
    failed=1
}

# ------------------------------------------------------------------------------- a tree in order

# row FILE STATE
table() {
    local phase=$1
    shift
    printf '# %s\n\n| file | state | what it is |\n| --- | --- | --- |\n' "$phase"
    while (($# > 0)); do
        printf "| \`%s\` | %s | a file |\n" "$1" "$2"
        shift 2
    done
    printf '\nThe lesson.\n'
}

source_file() {
    local name=$1
    printf '/* %s: a source. */\n#include "%s.h"\n\n#include "common/c.h"\n\nint %s_value(void)\n{\n    return C_VALUE;\n}\n' \
        "$name" "$name" "$name"
}
header() {
    printf '/* %s: its contract. */\n#ifndef %s_H\n#define %s_H\n\nint %s_value(void);\n\n#endif\n' \
        "$1" "${1^^}" "${1^^}" "$1"
}
main_file() {
    printf '/* main of phase %s. */\n#include "sales.h"\n\nint main(void)\n{\n    return sales_value();\n}\n' "$1"
}

make_clean() {
    local n
    mkdir -p "$clean"/{common,phase0,phase1,phase2,harness,.ci}
    cp -r "$ROOT"/{Makefile,compile_flags.txt} "$clean"
    cp -r "$ROOT"/.ci/run "$clean/.ci"
    cp -r "$ROOT"/harness/{guards.sh,diff.sh,setup.sh,lib,packages} "$clean/harness"
    printf '/* c: a header. */\n#ifndef C_H\n#define C_H\n\nenum { C_VALUE = 0 };\n\n#endif\n' >"$clean/common/c.h"
    printf '/* auth: compares a mac. */\n#include <openssl/crypto.h>\n\nenum { AUTH_MAC_HEX = 64 };\n\nint auth_same(const void *mac, const void *expected)\n{\n    return CRYPTO_memcmp(mac, expected, AUTH_MAC_HEX) == 0;\n}\n' \
        >"$clean/common/auth.c"
    for n in 0 1 2; do main_file "$n" >"$clean/phase$n/main.c"; done
    source_file sales >"$clean/phase0/sales.c"
    header sales >"$clean/phase0/sales.h"
    echo 'CREATE TABLE sales (id int);' >"$clean/phase0/schema.sql"
    source_file orders >"$clean/phase1/orders.c"
    header orders >"$clean/phase1/orders.h"
    for n in 1 2; do
        ln -s ../phase0/sales.c ../phase0/sales.h ../phase0/schema.sql "$clean/phase$n/"
    done
    ln -s ../phase1/orders.c ../phase1/orders.h "$clean/phase2/"
    table "Phase 0" main.c new sales.c new sales.h new schema.sql new >"$clean/phase0/README.md"
    table "Phase 1" orders.c new orders.h new main.c changed sales.c phase0 sales.h phase0 \
        schema.sql phase0 >"$clean/phase1/README.md"
    table "Phase 2" main.c changed orders.c phase1 orders.h phase1 sales.c phase0 sales.h phase0 \
        schema.sql phase0 >"$clean/phase2/README.md"
    (cd "$clean" && harness/diff.sh write)
}

guards() { (cd "$tree" && unset MAKEFLAGS MFLAGS && harness/guards.sh 2>&1) || :; }

# breaks NAME GUARD TEXT COMMAND..: after the command, run in the tree, the guard must complain in
# words that contain TEXT.
breaks() {
    local name=$1 guard=$2 text=$3 said
    shift 3
    rm -rf "$tree"
    cp -a "$clean" "$tree"
    (cd "$tree" && "$@")
    said=$(guards)
    if grep -F "not ok $guard: " <<<"$said" | grep -qF -- "$text"; then
        ok "$name"
    else
        not_ok "$name" "guards said: $(grep '^not ok' <<<"$said" | head -n 3 | tr '\n' ';')"
    fi
}

lines() { # FILE COUNT
    local i
    for ((i = 0; i < $2; i++)); do echo "/* $i */"; done >>"$1"
}
relink() { # TARGET LINK
    rm -f "$2"
    ln -s "$1" "$2"
}
append() { printf '%s\n' "$2" >>"$1"; } # FILE TEXT

make_clean
cp -a "$clean" "$tree"
said=$(guards)
if grep -q '^not ok' <<<"$said"; then
    not_ok "a tree in order passes" "$(grep '^not ok' <<<"$said" | head -n 3 | tr '\n' ';')"
else
    ok "a tree in order passes"
fi
if [[ $(grep -c '^ok ' <<<"$said") -ge 15 ]]; then ok "every guard speaks"; else not_ok "every guard speaks" "$said"; fi

# ---------------------------------------------------------------------------------------- links

breaks "a dangling link" links "dangles" relink ../phase0/absent.c phase1/absent.c
breaks "a link forward" links "points forward" relink ../phase2/main.c phase1/main.c
breaks "a link to itself" links "points forward" relink ../phase1/sales.h phase1/sales.h
breaks "a link to a link" links "another link" relink ../phase1/sales.c phase2/sales.c
breaks "a link to another name" links "another name" relink ../phase0/sales.c phase1/sold.c
breaks "a link out of the phases" links "not into a phase" relink ../common/c.h phase1/c.h
past() {
    rm phase1/sales.c
    source_file sales >phase1/sales.c
    append phase1/sales.c '/* changed */'
}
breaks "a link past a change" links_to_the_last_change "points past phase1" past
copied() {
    rm phase1/sales.c
    cp phase0/sales.c phase1/sales.c
}
breaks "a file written twice" nothing_written_twice "phase1/sales.c is phase0/sales.c once more" copied
plain() {
    rm phase1/sales.c
    printf '../phase0/sales.c' >phase1/sales.c
}
breaks "a checkout without symlinks" symlinks "no symbolic links (phase1/sales.c" plain
said=$(cd "$tree" && make phase1 2>&1) || :
if [[ $said == *"has no symbolic links (phase1/sales.c"* && $(wc -l <<<"$said") == 1 ]]; then
    ok "make says so as well, in one sentence"
else
    not_ok "make says so as well, in one sentence" "$said"
fi

# ------------------------------------------------------------------------------------- crossings

breaks "an include from another phase" nothing_crosses_phases "phase1 includes phase0/sales.h" \
    sed -i 's|"sales.h"|"../phase0/sales.h"|' phase1/main.c
breaks "which a copy does not find" same_includes_from_a_copy "includes other files" \
    sed -i 's|"sales.h"|"../phase0/sales.h"|' phase1/main.c
breaks "a phase in the preprocessor" nothing_crosses_phases "preprocessor" \
    append phase1/main.c '#if PHASE > 1
#endif'
breaks "a phase that does not compile" same_includes_from_a_copy "phase2/main.c does not compile" \
    append phase2/main.c 'int main'

# ---------------------------------------------------------------------------------- README, DIFF

breaks "a file that the table lacks" file_tables "lacks: extra.c new" append phase1/extra.c '/* */'
breaks "a row without a file" file_tables "says wrongly: orders.h new" rm phase1/orders.h phase2/orders.h
breaks "a row with a wrong state" file_tables "says wrongly: sales.c changed" \
    sed -i '/sales.c/s/phase0/changed/' phase1/README.md
breaks "a README that opens with something else" file_tables "phase2/README.md does not open" \
    sed -i '2i Once upon a time.' phase2/README.md
breaks "a stale DIFF.md" diffs_are_fresh "phase1/DIFF.md" append phase1/main.c '/* new */'
breaks "a missing DIFF.md" diffs_are_fresh "phase2/DIFF.md" rm phase2/DIFF.md

# ----------------------------------------------------------------------------------------- sizes

breaks "401 changed lines" change_sizes "phase2 adds and removes 4" lines phase2/main.c 400
just_right() { lines phase2/main.c 200; }
rm -rf "$tree" && cp -a "$clean" "$tree" && (cd "$tree" && just_right)
if guards | grep -q '^ok change_sizes'; then ok "200 changed lines are allowed"; else not_ok "200 changed lines are allowed" "they are not"; fi
breaks "a new leaf of 301 lines" leaf_sizes "phase1/leaf.c, a new leaf, has 301" lines phase1/leaf.c 301
breaks "a main.c of 221 lines" file_sizes "phase0/main.c has" lines phase0/main.c 214
breaks "a source of 400 lines" file_sizes "common/c.c has 400" lines common/c.c 400
long_function() {
    printf 'int f(void);\nint f(void)\n{\n' >common/f.c
    lines common/f.c "$1"
    append common/f.c '}'
}
breaks "a function of 71 lines" function_sizes "a function of 71 lines" long_function 69

# ---------------------------------------------------------------------------------------- others

breaks "a phase without main.c" makefile_phases "phase2 has no main.c" rm phase2/main.c
breaks "a phase that make does not know" makefile_phases "does not know phase9" mkdir phase9
breaks "a mac that is compared by memcmp" constant_time "does not compare the mac" \
    sed -i 's/CRYPTO_memcmp/memcmp/' common/auth.c
breaks "half a mac" constant_time "the whole of it" sed -i 's/, AUTH_MAC_HEX)/, 4)/' common/auth.c
breaks "a memcmp in a comment" constant_time "does not compare the mac" \
    sed -i 's|return CRYPTO_memcmp(mac|return /* CRYPTO_memcmp(mac */ bcmp(mac|' common/auth.c
breaks "a memcmp beside" constant_time "compares in another way" \
    append common/auth.c 'int auth_like(const char *a, const char *b) { return strcmp(a, b); }'
breaks "compile_flags.txt without a warning" compile_flags "lacks -Wshadow" \
    sed -i '/^-Wshadow$/d' compile_flags.txt
for word in "TO""DO: more" "fix""me" "X""XX" "not yet im""plemented"; do
    breaks "$word must not stand" words "common/c.h:8" append common/c.h "/* $word */"
done
for word in XXXXXX hacksaw mastodons; do
    rm -rf "$tree" && cp -a "$clean" "$tree" && append "$tree/common/c.h" "/* $word */"
    if guards | grep -q '^ok words'; then ok "$word may stand"; else not_ok "$word may stand" "it may not"; fi
done
breaks "a script that cannot be run" scripts_are_executable "harness/diff.sh" chmod -x harness/diff.sh

exit "$failed"
