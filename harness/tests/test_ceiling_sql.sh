#!/usr/bin/env bash
# test_ceiling_sql: harness/ceilings/phase1.sql runs phase 1's statements word for word, in its order.
set -euo pipefail
# shellcheck source=harness/lib/common.sh
source "$(dirname "$0")/../lib/common.sh"

SOURCE=phase1/inventory_pessimistic.c
STATEMENTS=(SQL_LOCK_SALE SQL_BOUGHT SQL_SET_STOCK SQL_INSERT_ORDER)
cd "$ROOT"
read -ra flags < <(pkg-config --cflags libpq)

# The statement behind a C name: macros expanded, adjacent literals joined.
in_c() {
    "${CC:-cc}" -E -P -I. "${flags[@]}" "$SOURCE" | tr '\n' ' ' |
        sed -n "s/.*$1\[\] *= *\([^;]*\);.*/\1/p" | sed 's/" *"//g; s/^ *"//; s/" *$//'
}
# Parameters and the id that is made in the database, as "?".
neutral() { sed -E 's/\$[0-9]+|:[a-z_]+|gen_random_uuid\(\)/?/g'; }

mapfile -t in_sql < <(grep -E '^(SELECT|UPDATE|INSERT|DELETE)' harness/ceilings/phase1.sql | sed 's/;$//' | neutral)
failed=0
[[ ${#in_sql[@]} == "${#STATEMENTS[@]}" ]] || die "not ok ${#in_sql[@]} statements in phase1.sql, ${#STATEMENTS[@]} in phase 1"
for i in "${!STATEMENTS[@]}"; do
    text=$(in_c "${STATEMENTS[i]}" | neutral)
    if [[ -n $text && $text == "${in_sql[i]}" ]]; then
        say "ok ${STATEMENTS[i]} is the same text"
    else
        failed=1
        say "not ok ${STATEMENTS[i]}: phase 1 has '$text', the ceiling has '${in_sql[i]}'"
    fi
done
exit "$failed"
