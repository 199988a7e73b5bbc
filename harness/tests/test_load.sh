#!/usr/bin/env bash
# test_load: what lib/load.sh waits for before a window. The target and its database are functions
# here, which answer as each test says.
set -euo pipefail
# shellcheck source=harness/lib/common.sh
source "$(dirname "$0")/../lib/common.sh"
# shellcheck source=harness/lib/load.sh
source "$ROOT/harness/lib/load.sh"

dir=$(mktemp -d)
on_exit rm -rf "$dir"
passed=0 failed=0

# is NAME EXPECTED ACTUAL
is() {
    if [[ $2 == "$3" ]]; then
        passed=$((passed + 1))
        say "ok $1"
    else
        failed=$((failed + 1))
        say "not ok $1: '$3', not '$2'"
    fi
}
next() { # the first line of a file of answers, which is taken out unless it is the last one
    head -n 1 "$dir/$1"
    if (($(wc -l <"$dir/$1") > 1)); then sed -i 1d "$dir/$1"; fi
}
answers() { printf '%s\n' "${@:2}" >"$dir/$1"; } # FILE LINE...
left() { wc -l <"$dir/$1"; }

TARGET_URL=http://target
calc() { awk "BEGIN { print ($1) }"; }
target_name() { printf 'the target'; }
target_serves() { [[ ! -e $dir/down ]]; }
target_sessions() { next sessions; }
_load_reading() { printf '17|%s\n' "$(next confirmed)"; }
target_sql() { next stock; }
curl() { next sales; }

# ----------------------------------------------------------------------------------- the stock
known() {
    local status=0
    LOAD_KNOWN_S=${2:-10}
    (_load_known "$1") >"$dir/out" 2>&1 || status=$?
    printf '%s' "$status"
}
sold='{"id":1,"stock_total":200,"stock_left":0}' fresh='{"id":1,"stock_total":200,"stock_left":200}'
answers stock '200|200'
answers sales "$sold" "$sold" "$fresh"
is "it is waited for until the target says what the database has" "0 1" "$(known 1) $(left sales)"
answers sales '{"code":"sale_not_found"}' "$fresh"
is "also where it does not know the sale" "0 1" "$(known 1) $(left sales)"
answers sales "$fresh$sold" "$fresh$fresh" x
is "and the last of several" "0 1" "$(known 16) $(left sales)"
answers sales "$sold"
is "not for ever" 1 "$(known 1 1)"
is "and it says why" 1 "$(grep -c 'the target does not show the new stock within 1 s: GET /sales/1 says 200|0, the database 200|200' "$dir/out")"
answers sales '' 'oops'
is "what is no sale is none" 1 "$(known 1 1)"
: >"$dir/down"
answers sales "$sold"
is "a target that does not run is not asked" 0 "$(known 1)"

# ------------------------------------------------------------------------- the window before
quiet() { if _load_quiet "$1" 0 "${2-10}"; then printf 0; else printf 1; fi; }
answers sessions '8|0'
answers confirmed 5
is "nothing goes on" 0 "$(quiet 2)"
answers sessions '8|1' '8|3' '8|0' '8|0' '8|0' x
answers confirmed 5
is "a session is busy" "0 1" "$(quiet 2) $(left sessions)"
answers sessions '8|0'
answers confirmed 5 6 7 7 7 x
is "between two orders no session may be busy" "0 1" "$(quiet 2) $(left confirmed)"
answers sessions '8|10'
is "it does not become quiet" 1 "$(quiet 1 0)"

say "$passed passed, $failed failed"
((failed == 0))
