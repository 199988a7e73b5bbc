#!/usr/bin/env bash
# buy: one order to the running phase, and the whole exchange.
#
#   ./harness/buy.sh N [user]      phase N, started by `make run-N`; user 7 unless said otherwise
#
# environment: PORT (8000+N) or URL, SALE (1), QUANTITY (1); AUTH_SECRET: the server's, if it has one
# (phase 3 and later): the order then carries a token, good for a minute; KEY: the purchase's
# Idempotency-Key (a new one each time), which counts from phase 5 on: with the same one it is the same
# purchase. An order that is accepted and not decided yet (from phase 4) is waited for.
set -euo pipefail
# shellcheck source=harness/lib/common.sh
source "$(dirname "$0")/lib/common.sh"

if [[ ${1-} == --help || ${1-} == -h ]]; then
    sed -n '2,/^[^#]/ { /^# shellcheck/d; s/^# \{0,1\}//p }' "$0"
    exit 0
fi
[[ ${1-} =~ ^[0-8]$ ]] || usage "which phase? ./harness/buy.sh 1 [user]"
user=${2:-7}
[[ $user =~ ^[0-9]+$ ]] || usage "user '$user' is not a number"
url=${URL:-http://127.0.0.1:${PORT:-$((8000 + $1))}}
body="{\"sale_id\":${SALE:-1},\"user_id\":$user,\"quantity\":${QUANTITY:-1}}"

command -v curl >/dev/null || die "curl is not installed: make setup"
curl -sf -o /dev/null --max-time 2 "$url/health" || die "nothing serves at $url: make run-$1 (in another terminal)"
dir=$(mktemp -d)
on_exit rm -rf "$dir"

# "<user>.<expiry>.<mac>" under AUTH_SECRET, as common/auth.h says.
token() {
    local claim
    claim=$user.$(($(date +%s) + 60))
    printf '%s.%s' "$claim" "$(printf '%s' "$claim" | openssl dgst -sha256 -hmac "$AUTH_SECRET" -r | cut -d ' ' -f 1)"
}
headers=(-H 'Content-Type: application/json')
if [[ -n ${AUTH_SECRET-} ]]; then
    command -v openssl >/dev/null || die "openssl is not installed, and AUTH_SECRET asks for a token: apt-get install openssl"
    headers+=(-H "Authorization: Bearer $(token)")
fi

headers+=(-H "Idempotency-Key: ${KEY:-$(cat /proc/sys/kernel/random/uuid)}")

# curl's own protocol: "> " what was sent, "< " what came back.
curl -q -s -v --max-time 65 "${headers[@]}" -d "$body" "$url/orders" \
    >"$dir/reply" 2>"$dir/trace" || die "no reply: $(grep -m 1 '^\* ' "$dir/trace" | tail -n 1)"
headers() { sed -n "s/^$1 //p" "$dir/trace" | tr -d '\r' | sed "/^\$/d; 1s/.*/$BOLD&$PLAIN/"; }
json() { jq . "$1" 2>/dev/null || cat "$1"; }

headers '>'
say ""
json - <<<"$body"
say ""
headers '<'
say ""
json "$dir/reply"

if [[ $(jq -r .status "$dir/reply" 2>/dev/null) == pending ]]; then
    path=$(jq -r .status_url "$dir/reply")
    say ""
    say "${BOLD}GET $path?wait_ms=5000${PLAIN}"
    say ""
    curl -q -s --max-time 65 "${headers[@]}" "$url$path?wait_ms=5000" >"$dir/final" || die "no reply"
    json "$dir/final"
fi

if [[ $1 == 0 ]]; then
    say ""
    say "Phase 0 only shows what is for sale; orders come with phase 1: make run-1"
fi
