#!/usr/bin/env bash
# test_conform.sh: conform.py sees what it should. Good exchanges pass; each is then broken in one
# place, and must be called not allowed for that reason. Prints `ok NAME` or `not ok NAME` per case;
# exit status 0 if all are ok. Needs python3 with yaml and jsonschema, no server and no database.
set -euo pipefail
shopt -s lastpipe # what a pipe ends in runs here, so that it can count

here=$(cd -P "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

id=7d9f2c4e-8a41-4c0b-9d6e-2f5b1a3c7e90
order=0f8fad5b-d9cb-469f-a165-70867728950e
passed=0
failed=0

# exchange METHOD PATH STATUS TYPE BODY [HEADERS]: one recorded line; METHOD and PATH are JSON.
exchange() {
    local body=${5//\\/\\\\}
    printf '{"test":"t","method":%s,"path":%s,"request_headers":{},"status":%s,"headers":[%s["Content-Type","%s"],["X-Request-Id","%s"]],"body":"%s"}\n' \
        "$1" "$2" "$3" "${6-}" "$4" "$id" "${body//\"/\\\"}"
}

# problem STATUS CODE: the body of a problem.
problem() {
    printf '{"type":"about:blank","title":"T","status":%s,"code":"%s","detail":"D","request_id":"%s"}' \
        "$1" "$2" "$id"
}

# judge NAME PHASE EXPECTED PATTERN: the exchanges on standard input get the exit status EXPECTED, and
# PATTERN is in what is said about them.
judge() {
    local name=$1 phase=$2 expected=$3 pattern=$4 status=0
    cat >"$dir/exchanges"
    python3 "$here/conform.py" "$here/openapi.yaml" "$dir/exchanges" --phase "$phase" \
        >"$dir/out" 2>&1 || status=$?
    if ((status == expected)) && grep -q -- "$pattern" "$dir/out"; then
        printf 'ok %s\n' "$name"
        passed=$((passed + 1))
    else
        printf 'not ok %s: exit status %d, not %d, or no "%s" in:\n' "$name" "$status" "$expected" \
            "$pattern"
        sed 's/^/    /' "$dir/out"
        failed=$((failed + 1))
    fi
}

allowed() { judge "$1" "$2" 0 "1 exchanges, 1 allowed"; }
refused() { judge "$1" "$2" 1 "$3"; }

json=application/json
ill=application/problem+json
sale='{"id":1,"name":"Phone","price_cents":19900,"stock_total":10,"stock_left":9,"per_user_limit":2,"starts_at":"2026-01-01T00:00:00Z","ends_at":"2036-01-01T00:00:00Z"}'
confirmed="{\"order_id\":\"$order\",\"status\":\"confirmed\",\"status_url\":\"/orders/$order\"}"
accepted="{\"order_id\":\"$order\",\"status\":\"pending\",\"status_url\":\"/orders/$order\",\"durability\":\"memory\"}"
state="{\"order_id\":\"$order\",\"sale_id\":1,\"user_id\":7,\"quantity\":1,\"status\":\"confirmed\",\"reason\":null}"
timing='["Server-Timing","validation;dur=0.1"],'
retry='["Retry-After","1"],'
allow='["Allow","GET"],'

session='"pid":7,"application":"psql","state":"active","query":"x","fingerprint":"f","wait_event_type":null,"wait_event":null,"age_ms":1'
locks="{\"waiting\":1,\"chains\":[{\"waiting\":1,\"root\":{$session,\"ours\":false},\"waiters\":[{$session,\"ours\":true,\"blocked_by\":[7]}]}]}"
pool='{"pools":[{"name":"all","size":8,"in_use":1,"waiters":0,"acquired":5,"timed_out":0,"connects":1,"discarded":0}]}'
key='s/"request_headers":{}/"request_headers":{"Idempotency-Key":"k-1"}/'
replayed='["Idempotent-Replayed","true"],'
pending=${state/\"confirmed\",\"reason\":null/\"pending\",\"reason\":null,\"position\":3,\"eta_ms\":12}
poisoned=${state/\"confirmed\",\"reason\":null/\"failed\",\"reason\":\"refused\"}
rejected=${state/\"confirmed\",\"reason\":null/\"rejected\",\"reason\":\"sold_out\"}
limit='["RateLimit","\"orders\";r=0;t=1"],["RateLimit-Policy","\"orders\";q=5;w=1"],'

# admin PATH TYPE BODY: what the admin listener says.
admin() { exchange '"GET"' "$1" 200 "$2" "$3" "$timing" | sed 's/"method"/"listener":"admin",&/'; }
get_sale() { exchange '"GET"' '"/sales/1"' 200 "$json" "$sale"; }
post() { exchange '"POST"' '"/orders"' "$@"; }

get_sale | allowed "a sale" 0
exchange '"GET"' '"/health?x=1"' 200 "$json" '{"status":"ok"}' | allowed "a query" 0
post 201 "$json" "$confirmed" '["Location","/orders/'$order'"],' | allowed "a confirmed order" 1
post 202 "$json" "$accepted" "$timing" | allowed "an accepted order" 4
exchange '"GET"' "\"/orders/$order\"" 200 "$json" "$state" | allowed "an order's state" 1
exchange '"GET"' '"/nothing"' 404 "$ill" "$(problem 404 not_found)" | allowed "an undeclared path" 1
exchange '"GET"' "\"/orders/$order\"" 404 "$ill" "$(problem 404 not_found)" |
    allowed "a path that the phase does not have yet" 0
exchange '"PUT"' '"/health"' 405 "$ill" "$(problem 405 method_not_allowed)" "$allow" |
    allowed "an undeclared method" 1
exchange '"HEAD"' '"/health"' 405 "$ill" '' "$allow" | allowed "HEAD without a body" 1
exchange null null 400 "$ill" "$(problem 400 bad_request)" | allowed "bytes that are no request" 0
post 503 "$ill" "$(problem 503 overloaded)" "$retry" | allowed "overload" 1

admin '"/metrics"' 'text/plain; version=0.0.4; charset=utf-8' 'x 1' | allowed "metrics of the admin listener" 2
admin '"/debug/locks"' "$json" "$locks" | allowed "locks" 2
admin '"/debug/locks"' "$json" '{"waiting":0,"chains":[]}' | allowed "no locks" 2
admin '"/debug/pool"' "$json" "$pool" | allowed "the pools" 2
post 429 "$ill" "$(problem 429 rate_limited)" "$timing$retry$limit" | allowed "a rate" 3
post 503 "$ill" "$(problem 503 queue_full)" "$timing$retry" | allowed "a full queue" 3

get_order() { exchange '"GET"' "\"/orders/$order\"" 200 "$json" "$@"; }
get_order "$pending" "$timing" | allowed "a pending order" 4
get_order "$pending" "$timing$retry" | allowed "a pending order that nobody may wait for" 4
get_order "$rejected" "$timing" | allowed "a rejected order" 4
get_order "$poisoned" "$timing" | allowed "a failed order" 4
exchange '"GET"' "\"/orders/$order?wait_ms=x\"" 400 "$ill" "$(problem 400 invalid_wait_ms)" "$timing" |
    allowed "a bad wait" 4
post 202 "$json" "$accepted" "$timing" | sed "$key" | allowed "an accepted order with its key" 5
post 202 "$json" "${accepted/pending/confirmed}" "$timing$replayed" | sed "$key" | allowed "a replay" 5
post 202 "$json" "$accepted" "$timing" | sed "${key/k-1/\\\\\"k-1\\\\\"}" | allowed "a key in quotes" 5
post 400 "$ill" "$(problem 400 idempotency_key_missing)" "$timing" | allowed "no key" 5
post 422 "$ill" "$(problem 422 idempotency_key_reused)" "$timing" | sed "$key" | allowed "a key used before" 5

judge "no exchange at all" 0 1 "no exchange" </dev/null
printf 'junk\n' | judge "a line that is not JSON" 0 1 "not a JSON object"
get_sale | sed 's/"method":"GET"/"method":"PUT"/' | refused "200 for an undeclared method" 0 "not listed"
get_sale | sed 's#/sales/1#/sails/1#' | refused "200 for an undeclared path" 0 "not listed"
get_sale | sed 's/"status":200/"status":418/' | refused "a status that is not listed" 0 "418 is not"
get_sale | sed 's#application/json#text/html#' | refused "another content type" 0 "content type"
get_sale | sed 's/X-Request-Id/X-Other/' | refused "no request id" 0 "X-Request-Id is missing"
get_sale | sed "s/$id/not-a-uuid/" | refused "a request id that is no UUID" 0 "X-Request-Id"
get_sale | sed 's/\["X-Request-Id/["X-Request-Id","x"],&/' | refused "a header twice" 0 "twice"
get_sale | sed 's/\\"stock_left\\":9,//' | refused "a field missing" 0 "stock_left"
get_sale | sed 's/19900/199.5/' | refused "cents with a fraction" 0 "price_cents"
get_sale | sed 's/19900/\\"19900\\"/' | refused "cents as a string" 0 "price_cents"
get_sale | sed 's/2026-01-01T00:00:00Z/2026-01-01 00:00:00/' | refused "a time in another form" 0 "starts_at"
get_sale | sed 's/00:00:00Z/00:00:00+01:00/' | refused "a time in another zone" 0 "starts_at"
get_sale | sed 's/\\"id\\":1/\\"more\\":1,&/' | refused "a field too many" 0 "more"
get_sale | sed 's/}"}$/"}/' | refused "a body that is no JSON" 0 "not JSON"
get_sale | sed 's/"body":".*"}/"body_base64":"\/\/79"}/' | refused "a body that is not UTF-8" 0 "UTF-8"
get_sale | refused "a later phase without its header" 2 "Server-Timing is missing"
exchange '"GET"' '"/health"' 200 "$json" '{"status":"ok"}' "$timing" |
    refused "a later phase's header" 1 "not of this phase"
post 201 "$json" "$confirmed" | refused "an order in a phase without orders" 0 "not listed"
post 201 "$json" "$confirmed" "$timing" | refused "201 in a phase of 202" 4 "201 is not"
post 202 "$json" "$accepted" | refused "202 in a phase of 201" 1 "202 is not"
post 503 "$ill" "$(problem 503 queue_full)" "$retry" | refused "a later phase's code" 1 "queue_full"
post 503 "$ill" "$(problem 503 outcome_unknown)" "$timing$retry" |
    refused "a code that the phase has no more" 4 "outcome_unknown"
post 503 "$ill" "$(problem 503 overloaded)" | refused "503 without Retry-After" 1 "Retry-After is missing"
post 400 "$ill" "$(problem 400 sold_out)" | refused "a code of another status" 1 "sold_out"
post 400 "$ill" "$(problem 409 invalid_json)" | refused "a problem of another status" 1 "body: status"
post 400 "$json" "$(problem 400 invalid_json)" | refused "a problem as plain JSON" 1 "content type"
exchange '"GET"' '"/sales/1"' 404 "$ill" "$(problem 404 not_found)" |
    refused "a declared path as if it were not there" 1 "not_found"
exchange '"PUT"' '"/health"' 405 "$ill" "$(problem 405 method_not_allowed)" |
    refused "405 without Allow" 1 "Allow is missing"
exchange '"HEAD"' '"/health"' 405 "$ill" "$(problem 405 method_not_allowed)" "$allow" |
    refused "HEAD with a body" 1 "HEAD has a body"
exchange null null 200 "$json" '{"status":"ok"}' | refused "200 for no request" 0 "200 is not"
exchange '"GET"' '"/metrics"' 200 "text/plain" "x 1" "$timing" |
    refused "an admin path on the public listener" 2 "not listed"
admin '"/health"' "$json" '{"status":"ok"}' | refused "a public path on the admin listener" 2 "not listed"
admin '"/metrics"' "$json" '{}' | refused "metrics as JSON" 2 "content type"
admin '"/debug/locks"' "$json" "${locks/,\"blocked_by\":\[7\]/}" | refused "a waiter that waits for nobody" 2 "body"
admin '"/debug/locks"' "$json" "${locks/\"ours\":false/\"ours\":0}" | refused "ours as a number" 2 "body"
admin '"/debug/pool"' "$json" "${pool/\"waiters\":0,/}" | refused "a pool without its waiters" 2 "waiters"
exchange '"GET"' '"/health"' 200 "$json" '{"status":"ok"}' '["Server-Timing","total"],' |
    refused "a timing without a time" 2 "Server-Timing"
post 429 "$ill" "$(problem 429 rate_limited)" "$timing$retry" | refused "429 without RateLimit" 3 "RateLimit"
post 429 "$ill" "$(problem 429 rate_limited)" "$timing$retry$limit" | refused "429 before phase 3" 2 "429 is not"
post 401 "$ill" "$(problem 401 unauthorized)" "$timing" | refused "401 without WWW-Authenticate" 3 "WWW-Authenticate"
post 202 "$json" "$accepted" "$timing" | refused "202 without the key that it takes" 5 "without Idempotency-Key"
post 202 "$json" "$accepted" "$timing" | sed "${key/k-1/k 1}" | refused "202 for a key that is none" 5 "Idempotency-Key"
post 202 "$json" "$accepted" "$timing$replayed" | refused "a replay before keys" 4 "not of this phase"
post 202 "$json" "${accepted/,\"durability\":\"memory\"/}" "$timing" | refused "202 without its durability" 4 "durability"
post 409 "$ill" "$(problem 409 sold_out)" "$timing" | refused "409 in a phase of 202" 4 "409 is not"
post 422 "$ill" "$(problem 422 limit_exceeded)" "$timing" | refused "422 limit_exceeded in a phase of 202" 5 "limit_exceeded"
post 422 "$ill" "$(problem 422 idempotency_key_reused)" "$timing" | refused "a key before keys" 4 "idempotency_key_reused"
post 503 "$ill" "$(problem 503 deadline_exceeded)" "$timing$retry" |
    refused "a deadline that the phase has no more" 4 "deadline_exceeded"
get_order "$pending" "$timing" | refused "a pending order in a phase of 201" 3 "body"
get_order "${pending/,\"eta_ms\":12/}" "$timing" | refused "a pending order without its time" 4 "body"
get_order "${rejected/\"sold_out\"/null}" "$timing" | refused "a rejection without a reason" 4 "body"
get_order "$state" "$timing$retry" | refused "a wait before phase 4" 3 "not of this phase"
exchange '"GET"' "\"/orders/$order?wait_ms=x\"" 400 "$ill" "$(problem 400 invalid_wait_ms)" "$timing" |
    refused "a bad wait before phase 4" 3 "invalid_wait_ms"
exchange '"GET"' '"/debug/sleep?ms=0"' 200 "$json" '{"slept_ms":0}' "$timing" |
    refused "a path that the phase has no more" 2 "not listed"

printf 'test_conform: %d passed, %d failed\n' "$passed" "$failed"
((failed == 0))
