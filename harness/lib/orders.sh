# shellcheck shell=bash
# orders: orders that no loadgen sends, and what the database has of those that one did. Sourced,
# after load.sh.
#
#   orders_at_once N USER KEY DIR   N posts of one and the same order at the same moment: sale 1, one
#                                   unit. DIR, which is made: reply.1 to reply.N, the bodies, and
#                                   codes, a line "http" for each; 000: no reply in ORDERS_PATIENCE_S
#   orders_told FIELD DIR           of such replies: how many different values of that field there are
#   orders_clicks N KEYS            that, for KEYS users with a key each, and waits until the target is
#                                   idle. CLICKS_ACCEPTED: replies 201 or 202; CLICKS_IDS, CLICKS_URLS,
#                                   CLICKS_ROWS: order ids, status URLs and rows that a key has at most;
#                                   CLICKS_LEAST: order ids that it has at least
#   orders_code USER KEY            one such post: "202", "503 queue_full", "000"
#   orders_lost JOURNAL             of loadgen's journal, "acknowledged|lost": the orders that its
#                                   buyers were given an id of, and those among them that the
#                                   database does not have in a final state
#   orders_doubled                  "users|of them twice": users with a confirmed order, and those
#                                   with more than one

ORDERS_PATIENCE_S=10
ORDERS_TOKEN_S=600         # for how long a token is good
ORDERS_CLICKERS=3000000000 # the users of orders_clicks are numbered from here
CLICKS_ACCEPTED='' CLICKS_IDS='' CLICKS_URLS='' CLICKS_ROWS='' CLICKS_LEAST=''

# "Bearer <user>.<expiry>.<mac>" under AUTH_SECRET, as common/auth.h says.
_orders_bearer() {
    local claim
    claim=$1.$(($(date +%s) + ORDERS_TOKEN_S))
    printf 'Bearer %s.%s' "$claim" "$(printf '%s' "$claim" | openssl dgst -sha256 -hmac "$AUTH_SECRET" -r | cut -d ' ' -f 1)"
}

# One process, and a connection for each, so that they are under way together.
orders_at_once() {
    local i
    mkdir -p "$4"
    {
        printf 'header = "%s"\n' 'Content-Type: application/json' "Idempotency-Key: $3" "Authorization: $(_orders_bearer "$2")"
        printf 'data = "{\\"sale_id\\":1,\\"user_id\\":%d,\\"quantity\\":1}"\n' "$2"
        for ((i = 1; i <= $1; i++)); do printf 'url = "%s/orders"\noutput = "%s"\n' "$TARGET_URL" "$4/reply.$i"; done
    } | curl -q -s -K - --parallel --parallel-immediate --parallel-max "$1" --max-time "$ORDERS_PATIENCE_S" \
        -w '%{http_code}\n' >"$4/codes" 2>/dev/null || : # its status is that of a post without a reply
}

orders_told() {
    { awk 1 "$2"/reply.* 2>/dev/null || :; } | jq -rR --arg field "$1" 'fromjson? | objects | .[$field] // empty' | sort -u | wc -l
}

# shellcheck disable=SC2034 # for the scripts
orders_clicks() {
    local key dir
    dir=$RUN/$(target_slug).clicks
    progress "$(target_name): $1 clicks at once, $2 times"
    for ((key = 1; key <= $2; key++)); do
        orders_at_once "$1" $((ORDERS_CLICKERS + key)) "clicks-$$-$key" "$dir.$key"
    done
    load_idle 10
    CLICKS_ACCEPTED=$(cat "$dir".*/codes | grep -c '^20[12]$' || :)
    CLICKS_IDS=$(for ((key = 1; key <= $2; key++)); do orders_told order_id "$dir.$key"; done | sort -n)
    CLICKS_LEAST=${CLICKS_IDS%%$'\n'*} CLICKS_IDS=${CLICKS_IDS##*$'\n'}
    CLICKS_URLS=$(for ((key = 1; key <= $2; key++)); do orders_told status_url "$dir.$key"; done | sort -n | tail -n 1)
    CLICKS_ROWS=$(target_sql "SELECT coalesce(max(n), 0) FROM (SELECT count(*) AS n FROM audit_orders
        WHERE user_id > $ORDERS_CLICKERS GROUP BY user_id) u")
}

orders_code() {
    local dir
    dir=$(mktemp -d)
    orders_at_once 1 "$1" "$2" "$dir"
    printf '%s %s' "$(<"$dir/codes")" "$(jq -r '.code // empty' "$dir/reply.1" 2>/dev/null || :)" | sed 's/ $//'
    rm -rf "$dir"
}

orders_lost() {
    target_database
    awk -F '\t' '$2 == "ok" && $11 != "-" { print $11 }' "$1" | sort -u |
        psql -X -A -t -q -v ON_ERROR_STOP=1 -d "$TARGET_DB" -c 'CREATE TEMP TABLE told (order_id uuid)' \
            -c '\copy told FROM PSTDIN' -c "SELECT count(*), count(*) FILTER (WHERE NOT EXISTS (
                SELECT FROM audit_orders o WHERE o.order_id = told.order_id
                AND o.status IN ('confirmed', 'rejected', 'failed'))) FROM told"
}

orders_doubled() {
    target_sql "SELECT count(*), count(*) FILTER (WHERE n > 1) FROM (SELECT count(*) AS n FROM audit_orders
        WHERE status = 'confirmed' GROUP BY user_id) u"
}
