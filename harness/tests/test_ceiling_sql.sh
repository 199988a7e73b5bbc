#!/usr/bin/env bash
# test_ceiling_sql: harness/ceilings/ runs the statements of the phases word for word, in their order.
set -euo pipefail
# shellcheck source=harness/lib/common.sh
source "$(dirname "$0")/../lib/common.sh"

cd "$ROOT"
read -ra flags < <(pkg-config --cflags libpq)

# in_c SOURCE NAME: the statement behind a C name: macros expanded, adjacent literals joined.
in_c() {
    "${CC:-cc}" -E -P -I. "${flags[@]}" "$1" | tr '\n' ' ' |
        sed -n "s/.*$2\[\] *= *\([^;]*\);.*/\1/p" | sed 's/" *"//g; s/^ *"//; s/" *$//'
}
# Parameters, and what is made in the database instead of one, as "?".
neutral() { sed -E "s/'confirmed', NULL/?, ?/g;"' s/::uuid//g; s/\$[0-9]+|(md5|sha256)\(:[a-z_]+\)|:[a-z_]+|gen_random_uuid\(\)/?/g'; }

# compare CEILING SOURCE NAME..: the ceiling is these statements of the source, or of NAME's own: FILE:NAME.
compare() {
    local ceiling=harness/ceilings/$1.sql source=$2 in_sql text name i=0
    shift 2
    mapfile -t in_sql < <(grep -E '^(WITH|SELECT|UPDATE|INSERT|DELETE)' "$ceiling" |
        sed -E 's/(;| \\gset)$//' | neutral)
    [[ ${#in_sql[@]} == "$#" ]] || die "not ok ${#in_sql[@]} statements in $ceiling, $# in $source"
    for name in "$@"; do
        if [[ $name == *:* ]]; then source=${name%:*} name=${name#*:}; fi
        text=$(in_c "$source" "$name" | neutral)
        if [[ -n $text && $text == "${in_sql[i]}" ]]; then
            say "ok $name of $source is the same text"
        else
            failed=1
            say "not ok $name: $source has '$text', the ceiling has '${in_sql[i]}'"
        fi
        i=$((i + 1))
    done
}

failed=0
compare phase1 phase1/inventory_pessimistic.c SQL_LOCK_SALE SQL_BOUGHT SQL_SET_STOCK SQL_INSERT_ORDER
compare phase6-pessimistic phase5/inventory_pessimistic.c SQL_LOCK_SALE phase5/order_rows.c:SQL_BOUGHT \
    SQL_INSERT_ORDER phase5/inventory_pessimistic.c:SQL_SET_STOCK
compare phase6-batched phase6/inventory_batched.c SQL_LOCK_SALE SQL_KNOWN SQL_INSERT SQL_SET_STOCK
compare phase6-sharded phase6/inventory_sharded.c SQL_PROBE
compare phase6-optimistic phase6/inventory_optimistic.c SQL_READ SQL_SELL
exit "$failed"
