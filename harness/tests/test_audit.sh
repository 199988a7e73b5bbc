#!/usr/bin/env bash
# test_audit: plants one defect of each kind and expects the audit to find it by the right check,
# and by no other; passes what is clean.
#
#   test_audit.sh [--orders N]     N: size of the last, large case (default 1000000; 0: leave it out)
#
# The database is a throwaway one whose audit views are plain tables without constraints, so that
# every defect can be planted. AUDIT=<program> judges another build (asan).
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=harness/lib/common.sh
source harness/lib/common.sh
# shellcheck source=harness/lib/postgres.sh
source harness/lib/postgres.sh

LARGE=1000000
while (($# > 0)); do
    case $1 in
    --orders) LARGE=${2?"--orders N"} && shift 2 ;;
    --help) sed -n '2,8s/^# \{0,1\}//p' "$0" && exit 0 ;;
    *) usage "unknown argument; --help says what there is" ;;
    esac
done

AUDIT=${AUDIT:-build/release/audit}
[[ -x $AUDIT ]] || die "$AUDIT is not built: make $AUDIT"
WORK=$(mktemp -d)
on_exit rm -rf "$WORK"
J=$WORK/journal
OUT=$WORK/out
cp "$AUDIT" "$WORK/audit" # so that a build beside this does not change it
AUDIT=$WORK/audit
PASSED=0 FAILED=0

postgres_start audit
URI=$(postgres_database audit)
sql() { psql -X -q -v ON_ERROR_STOP=1 -d "$URI" -c "$*" >/dev/null; }
sql "CREATE TABLE audit_sales (sale_id bigint, stock_total bigint, stock_left bigint,
                               per_user_limit integer);
     CREATE TABLE audit_orders (order_id uuid, sale_id bigint, user_id bigint, quantity integer,
                                status text, reason text, idempotency_key text,
                                decided_at timestamptz DEFAULT now())"

# ------------------------------------------------------------------------------------- fixtures

id() { printf '00000000-0000-4000-8000-%012d' "$1"; }

# event op attempt sale user quantity key http code order_id state
line() {
    printf '0\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t1000\n' "$@" >>"$J"
}
invoke() { line invoke "$1" "$2" "$3" "$4" "$5" "${6:--}" - - - -; }
header() { printf '#flashdeal-journal 1\n' >"$J"; }

# op sale user quantity id: ordered, 201
bought() {
    invoke "$1" 1 "$2" "$3" "$4"
    line ok "$1" 1 "$2" "$3" "$4" - 201 - "$(id "$5")" confirmed
}
# op sale user quantity http code
refused() {
    invoke "$1" 1 "$2" "$3" "$4"
    line fail "$1" 1 "$2" "$3" "$4" - "$5" "$6" - -
}
# op sale user quantity [code [http [id]]]: no answer, or one that was withheld
unanswered() {
    invoke "$1" 1 "$2" "$3" "$4"
    line info "$1" 1 "$2" "$3" "$4" - "${6:--}" "${5:-timeout}" "${7:--}" -
}
# A text as SQL has it; NULL for none.
quoted() { if [[ -n $1 ]]; then printf "'%s'" "$1"; else printf NULL; fi; }
# id sale user quantity [status [reason [key]]]
row() {
    printf "INSERT INTO audit_orders VALUES ('%s', %s, %s, %s, '%s', %s, %s);" \
        "$(id "$1")" "$2" "$3" "$4" "${5:-confirmed}" "$(quoted "${6-}")" "$(quoted "${7-}")"
}

# Ten units, all sold: eight orders of 1 and one of 2; then four refusals, each for a reason of its
# own. Sale 2 and its buyer are somebody else's.
phase1() {
    local n rows=''
    header
    for n in 1 2 3 4 5 6 7 8; do
        bought "$n" 1 "$n" 1 "$n"
        rows+=$(row "$n" 1 "$n" 1)
    done
    bought 9 1 9 2 9
    rows+=$(row 9 1 9 2)
    refused 10 1 10 1 409 sold_out
    refused 11 1 11 2 409 sold_out
    refused 12 1 9 2 422 limit_exceeded
    refused 13 1 12 1 503 overloaded
    sql "TRUNCATE audit_sales, audit_orders;
         INSERT INTO audit_sales VALUES (1, 10, 0, 3), (2, 5, 4, 2); $rows $(row 99 2 99 1)"
}

# phase1, and attempts without an answer: 14 happened, 15 did not, 16 was not answered because
# loadgen ended, 17 was told that nobody knows.
phase1_unanswered() {
    phase1
    unanswered 14 1 14 1
    unanswered 15 1 15 1 cut
    invoke 16 1 1 16 1
    refused 17 1 17 1 503 outcome_unknown
    sql "$(row 14 1 14 1) UPDATE audit_sales SET stock_total = 11 WHERE sale_id = 1"
}

# op user quantity id final reason: 202, awaited
awaited() {
    invoke "$1" 1 1 "$2" "$3" "key-$1"
    line ok "$1" 1 1 "$2" "$3" "key-$1" 202 - "$(id "$4")" pending
    line final "$1" 1 1 "$2" "$3" "key-$1" 200 "$6" "$(id "$4")" "$5"
}

# Accepted first, decided later: four units, rejected orders have rows. Order 6 was timed out, then
# accepted again under the same key; the reply to 7 was withheld; 8 was not awaited.
phase4() {
    header
    awaited 1 21 1 21 confirmed -
    awaited 2 22 2 22 confirmed -
    awaited 3 23 2 23 rejected sold_out
    awaited 4 22 1 24 rejected limit_exceeded
    awaited 5 25 1 25 rejected sold_out
    invoke 6 1 1 26 1 key-6
    line info 6 1 1 26 1 key-6 - timeout - -
    invoke 6 2 1 26 1 key-6
    line ok 6 2 1 26 1 key-6 202 - "$(id 26)" pending
    line final 6 2 1 26 1 key-6 200 - "$(id 26)" confirmed
    invoke 7 1 1 27 1 key-7
    line info 7 1 1 27 1 key-7 202 lost "$(id 27)" -
    invoke 8 1 1 28 1 key-8
    line ok 8 1 1 28 1 key-8 202 - "$(id 28)" pending
    invoke 9 1 1 29 1 key-9
    line fail 9 1 1 29 1 key-9 503 queue_full - -
    sql "TRUNCATE audit_sales, audit_orders; INSERT INTO audit_sales VALUES (1, 4, 0, 2);
         $(row 21 1 21 1 confirmed '' key-1) $(row 22 1 22 2 confirmed '' key-2)
         $(row 23 1 23 2 rejected sold_out key-3) $(row 24 1 22 1 rejected limit_exceeded key-4)
         $(row 25 1 25 1 rejected sold_out key-5) $(row 26 1 26 1 confirmed '' key-6)
         $(row 27 1 27 1 rejected sold_out key-7) $(row 28 1 28 1 rejected sold_out key-8)"
}

# What the tests change: sale 1's stock (total, left), an order's row, an op's lines, one field.
stock() { sql "UPDATE audit_sales SET stock_total = $1, stock_left = $2 WHERE sale_id = 1"; }
change() { sql "UPDATE audit_orders SET $2 WHERE order_id = '$(id "$1")'"; }
remove() { sql "DELETE FROM audit_orders WHERE order_id = '$(id "$1")'"; }
again() {
    sql "INSERT INTO audit_orders SELECT * FROM audit_orders WHERE order_id = '$(id "$1")' LIMIT 1"
}
drop_op() { sed -i "/^[0-9]*\t[a-z]*\t$1\t/d" "$J"; }
# op event field value: of that event's line
edit() {
    awk -F '\t' -v OFS='\t' -v op="$1" -v event="$2" -v field="$3" -v value="$4" \
        '$3 == op && $2 == event { $field = value } { print }' "$J" >"$J.new"
    mv "$J.new" "$J"
}

# -------------------------------------------------------------------------------------- verdicts

report() {
    local name=$1 wrong=$2
    if [[ -z $wrong ]]; then
        PASSED=$((PASSED + 1))
        say "ok $name"
    else
        FAILED=$((FAILED + 1))
        say "not ok $name: $wrong"
        sed 's/^/    | /' "$OUT" "$WORK/err"
    fi
}

# finds NAME STATUS 'check:VERDICT ...' [--options]: what is not PASS, in the audit's order. The
# text must agree with the JSON.
finds() {
    local name=$1 want_status=$2 want=$3 status=0 got wrong='' last=PASS
    shift 3
    rm -f "$WORK/json"
    "$AUDIT" --database "$URI" --settle-ms 0 --json "$WORK/json" "$@" >"$OUT" 2>"$WORK/err" ||
        status=$?
    got=$(jq -r '[.checks[] | select(.verdict != "PASS") | "\(.name):\(.verdict)"] | join(" ")' \
        "$WORK/json") || got='no JSON'
    [[ $got == "$want" ]] || wrong="found '$got', not '$want'."
    ((status == want_status)) || wrong+=" Exit status $status, not $want_status."
    if ((want_status == 1)); then last=FAIL; elif ((want_status == 2)); then last=UNKNOWN; fi
    local pattern="^audit: $last \([0-9]+ orders, [0-9]+ confirmed, [67] checks\)$"
    [[ $(tail -n 1 "$OUT") =~ $pattern ]] || wrong+=" Last line: $(tail -n 1 "$OUT")"
    report "$name" "$wrong"
}
passes() { finds "$1" 0 '' --journal "$J" "${@:2}"; }
# fails NAME 'check ...' [--options]
fails() {
    local checks=${2// /:FAIL }:FAIL
    finds "$1" 1 "$checks" --journal "$J" "${@:3}"
}

# says NAME TEXT: the last run's output has TEXT.
says() {
    if grep -qF -- "$2" "$OUT" "$WORK/err"; then report "$1" ''; else report "$1" "no '$2'"; fi
}

# ----------------------------------------------------------------------------------------- clean

phase1
passes clean_phase1_passes
says last_line_has_the_counts 'audit: PASS (10 orders, 10 confirmed, 6 checks)'
passes clean_phase1_passes_for_one_sale --sale 1
says one_sale_leaves_out_the_others 'audit: PASS (9 orders, 9 confirmed, 6 checks)'

phase1_unanswered
passes clean_with_unanswered_attempts_passes
says attempts_are_told_apart '17 attempts: 9 acknowledged (9 order ids, 0 replies withheld), 4 refused, 4 unknown'

phase4
passes clean_phase4_with_rejected_rows_passes --idempotent
says seventh_check_is_counted 'audit: PASS (8 orders, 3 confirmed, 7 checks)'
sed -i 's/-4000-8000-/-4000-8ABC-/' "$J" # the same ids, as another server may write them
sql "UPDATE audit_orders SET order_id = replace(order_id::text, '-8000-', '-8abc-')::uuid"
passes ids_in_upper_case_are_the_same_ids --idempotent

phase1
{ cat "$J" && phase1_unanswered && tail -n +2 "$J" | awk -F '\t' '$3 >= 14'; } >"$J.both"
head -n 27 "$J.both" >"$J.first"
{ printf '#flashdeal-journal 1\n' && awk -F '\t' '$3 >= 14' "$J"; } >"$J.second"
finds two_journals_are_one_load 0 '' --journal "$J.first" --journal "$J.second"

# ----------------------------------------------------------------------------------- stock checks

phase1
drop_op 10
bought 10 1 10 1 10
sql "$(row 10 1 10 1)"
stock 10 -1
fails oversold_by_one not_oversold
stock 10 0
fails oversold_by_one_with_stock_held_at_zero 'stock_balance not_oversold'
stock 11 0
passes the_same_with_a_unit_more_is_clean

phase1
stock 11 0
fails stock_balance_off_by_one_too_little stock_balance
stock 9 0
fails stock_balance_off_by_one_too_much 'stock_balance not_oversold'
phase1
drop_op 10
drop_op 11
stock 9 4
fails oversold_with_stock_left_strands_nobody 'stock_balance not_oversold'
phase1
sql 'DELETE FROM audit_sales WHERE sale_id = 2'
fails confirmed_units_of_a_sale_without_stock stock_balance
passes such_a_sale_is_not_judged_with_sale_1 --sale 1

# --------------------------------------------------------------------------------------- stranded

phase1
stock 11 1
fails one_stranded_unit_refused_with_409 not_stranded
says stranded_names_sale_and_number "1 orders for 1 (user 10's is one) were told sold_out, but 1 are left"
drop_op 10
passes one_unit_left_may_refuse_an_order_of_two
stock 12 2
fails two_units_left_may_not_refuse_an_order_of_two not_stranded
phase1
stock 1000 990
fails false_sold_out_while_plenty_is_left not_stranded

phase4
stock 5 1
fails one_stranded_unit_rejected not_stranded --idempotent
says stranded_rows_are_named "order $(id 25) of user 25 for 1 is rejected sold_out, but 1 are left"
change 25 "status = 'confirmed', reason = NULL"
change 27 "status = 'confirmed', reason = NULL"
change 28 "status = 'confirmed', reason = NULL"
stock 8 1
fails told_sold_out_though_the_row_says_otherwise 'not_stranded acknowledged_once' --idempotent

phase1
stock 11 1
edit 10 fail 10 gone
fails refusal_in_other_words_with_a_unit_left not_stranded
says coverage_is_explained 'cover the stock'
edit 10 fail 10 limit_exceeded
passes order_over_the_limit_is_no_demand
phase1
stock 13 3
edit 10 fail 10 gone
drop_op 11
passes demand_that_does_not_cover_the_stock

# ----------------------------------------------------------------------------------- acknowledged

phase1
remove 3
stock 9 0
fails one_row_missing 'acknowledged_once row_count'
passes one_row_missing_is_allowed_when_asked --allow-lost
says lost_orders_are_counted '1 acknowledged orders lost, allowed'
phase1_unanswered
remove 3
stock 10 0
fails one_row_missing_hidden_by_unanswered_attempts acknowledged_once
phase4
remove 27
fails one_row_missing_whose_reply_was_withheld 'acknowledged_once row_count' --idempotent

phase1_unanswered
again 3
stock 12 0
fails one_id_twice acknowledged_once
phase1
again 3
stock 11 0
fails one_id_twice_is_a_row_too_many 'acknowledged_once row_count'

phase1
edit 4 ok 11 "$(id 3)"
remove 4
stock 9 0
fails one_id_for_two_orders acknowledged_once
phase4
edit 8 ok 11 "$(id 21)"
remove 28
fails one_id_for_two_keys acknowledged_once --idempotent
phase1
bought 14 1 8 1 8
fails one_id_for_two_equal_orders_without_a_key acknowledged_once
phase1
edit 4 ok 11 -
fails acknowledged_without_an_id acknowledged_once

phase1
change 3 "status = 'rejected', reason = 'limit_exceeded'"
stock 9 0
fails acknowledged_order_in_the_wrong_final_state acknowledged_once
edit 3 ok 12 -
fails created_means_confirmed_said_or_not acknowledged_once
phase4
change 24 "reason = 'sale_ended'"
fails rejected_for_another_reason_than_told acknowledged_once --idempotent
change 24 "reason = 'limit_exceeded', quantity = 2"
fails not_the_quantity_that_was_asked_for acknowledged_once --idempotent
change 24 "quantity = 1, user_id = 21"
fails not_the_user_who_asked acknowledged_once --idempotent
phase4
line final 1 1 1 21 1 key-1 200 - "$(id 21)" failed
fails told_another_final_state_later acknowledged_once --idempotent
line final 1 1 1 21 1 key-1 200 - "$(id 21)" confirmed
fails told_another_final_state_before acknowledged_once --idempotent
phase4
edit 6 final 12 lost
fails told_404_of_an_order_that_exists acknowledged_once --idempotent
passes told_404_is_allowed_when_asked --idempotent --allow-lost
edit 6 final 12 unfinished
passes told_unfinished_is_not_told_anything --idempotent
phase4
line gone 1 1 1 21 1 key-1 404 - "$(id 21)" -
invoke 1 2 1 21 1 key-1
line ok 1 2 1 21 1 key-1 202 - "$(id 21)" pending
passes gone_and_ordered_again_is_one_order --idempotent
line gone 1 2 1 21 1 key-1 404 - "$(id 98)" -
finds gone_is_only_what_was_acknowledged 2 'not_stranded:UNKNOWN acknowledged_once:UNKNOWN row_count:UNKNOWN' --journal "$J" --idempotent

phase1
change 3 "status = 'pending'"
stock 9 0
fails pending_order_that_never_settles acknowledged_once --settle-ms 300
says pending_order_is_named "order $(id 3) is pending, not in a final state"
change 3 "status = 'odd'"
fails state_of_no_contract acknowledged_once
change 3 "status = 'pending'"
stock 10 0
SETTLE_S=30 # an audit that does not wait by then never will
settle_later() { # once the audit has looked and waits
    local until=$((SECONDS + SETTLE_S))
    while ((SECONDS < until)); do
        [[ $(psql -X -At -d "$URI" -c "SELECT count(*) FROM pg_stat_activity
            WHERE application_name = 'audit' AND state = 'idle' AND query = 'COMMIT'") == 0 ]] ||
            break
    done
    sql "$1"
}
settle_later "UPDATE audit_orders SET status = 'confirmed' WHERE status = 'pending'" &
passes pending_order_that_settles_is_waited_for --settle-ms 60000
wait $!
if [[ $(jq .settled_ms "$WORK/json") -gt 0 ]]; then report it_looked_again ''; else
    report it_looked_again 'it did not'
fi
remove 3
settle_later "$(row 3 1 3 1)" &
passes missing_order_that_comes_is_waited_for --settle-ms 60000
wait $!

# ------------------------------------------------------------------------------ keys, limits, rows

phase4
unknown=(11 1 1 27 1 key-6) # another user's; it may have happened
invoke "${unknown[@]}"
line info "${unknown[@]}" - timeout - -
sql "$(row 66 1 26 1 confirmed '' key-6)"
stock 5 0
fails one_key_twice one_order_per_key --idempotent
says key_is_named 'user 26, key key-6: 2 orders'
passes one_key_twice_where_nothing_is_promised
sql "UPDATE audit_orders SET user_id = 27 WHERE order_id = '$(id 66)'"
passes one_key_of_two_users_is_two_keys --idempotent
phase4
change 26 'idempotency_key = NULL'
finds row_without_a_key 2 one_order_per_key:UNKNOWN --journal "$J" --idempotent
change 26 "idempotency_key = 'another'"
finds row_with_another_key 2 one_order_per_key:UNKNOWN --journal "$J" --idempotent
says what_is_missing_is_said '1 rows do not have the key that was sent'
phase4
sql "$(row 66 1 66 1 failed)"
finds row_of_another_user_without_a_key 2 one_order_per_key:UNKNOWN --journal "$J" --idempotent

phase1
sql 'UPDATE audit_sales SET per_user_limit = 1 WHERE sale_id = 1'
fails limit_exceeded user_limit
says limit_names_the_user 'sale 1, user 9: 2 units confirmed, the limit is 1'

phase1
sql "$(row 77 1 10 1 rejected limit_exceeded)"
fails more_rows_than_acknowledged_and_unknown row_count
sql "UPDATE audit_orders SET user_id = 55 WHERE order_id = '$(id 77)'"
passes rows_of_other_users_are_not_counted
sql "UPDATE audit_orders SET user_id = 10, sale_id = 2 WHERE order_id = '$(id 77)'"
passes rows_of_other_sales_are_not_counted
phase1_unanswered
sql "$(row 15 1 15 1) $(row 16 1 16 1) $(row 17 1 17 1)"
stock 14 0
passes rows_may_be_all_the_unknown
sql "$(row 18 1 16 1)"
stock 15 0
fails rows_may_not_be_more_than_all_the_unknown row_count
phase4
for attempt in 1 2; do
    invoke 10 $attempt 1 30 1 key-10
    line info 10 $attempt 1 30 1 key-10 - timeout - -
done
sql "$(row 30 1 30 1 rejected sold_out key-10)"
passes unknown_attempts_may_be_an_order --idempotent
sql "$(row 31 1 30 1 rejected sold_out key-10)"
passes two_unknown_attempts_may_be_two_orders
fails but_under_one_key_they_are_one 'one_order_per_key row_count' --idempotent
phase4
invoke 6 3 1 26 1 key-6
line info 6 3 1 26 1 key-6 - timeout - -
sql "$(row 36 1 26 1 rejected sold_out key-else)"
fails nor_are_they_another_one_beside_an_acknowledged_one row_count --idempotent

# ---------------------------------------------------------------------------- nothing to judge by

JOURNAL_CHECKS='not_stranded:UNKNOWN acknowledged_once:UNKNOWN row_count:UNKNOWN'
ALL_CHECKS="stock_balance:UNKNOWN not_oversold:UNKNOWN not_stranded:UNKNOWN"
ALL_CHECKS+=" acknowledged_once:UNKNOWN user_limit:UNKNOWN row_count:UNKNOWN"

# unusable NAME TEXT: the journal is not judged, the database is.
unusable() {
    finds "$1" 2 "$JOURNAL_CHECKS" --journal "$J"
    says "$1_and_says_why" "$2"
}
phase1
finds no_journal_is_unknown 2 "$JOURNAL_CHECKS"
says no_journal_is_unknown_and_says_why 'no --journal was given'
header
unusable journal_without_orders_is_unknown 'the journal holds no orders'
: >"$J"
unusable empty_file_is_unknown 'is empty'
printf '#flashdeal-journal 2\n' >"$J"
unusable other_version_is_unknown 'of a version that this audit does not know'
printf 'hello\n' >"$J"
unusable other_file_is_unknown 'is not a journal'
phase1 && printf '0\tok\t1\n' >>"$J"
unusable line_of_other_form_is_unknown 'line 28: not 13 fields'
phase1 && line ok 1 1 1 1 1 - 201 - "$(id 1)" confirmed
unusable answer_to_nothing_is_unknown 'belongs to no attempt'
phase1 && line final 1 1 1 1 1 - 200 - "$(id 404)" confirmed
unusable final_state_of_nothing_is_unknown 'not acknowledged'
phase1 && invoke 20 1 1 20 one
unusable quantity_that_is_none_is_unknown 'not a whole number'
phase1 && head -c 5000 /dev/zero >>"$J"
unusable binary_is_unknown 'line 28: too long, or with a NUL byte'
rm "$J"
unusable missing_file_is_unknown 'No such file'
mkdir "$J"
unusable directory_is_unknown 'Is a directory'
rmdir "$J"
phase1
finds one_unusable_journal_of_two_is_unknown 2 "$JOURNAL_CHECKS" --journal "$J" --journal "$J.not"
stock 11 0
finds unusable_journal_does_not_hide_the_database 1 "stock_balance:FAIL $JOURNAL_CHECKS" \
    --journal "$J.not"

phase1_unanswered
printf '0\tinvoke\t18\t1\t1\t18' >>"$J"
passes cut_off_last_line_is_left_out
says cut_off_last_line_is_reported 'the last line is cut off'
sql "$(row 15 1 15 1) $(row 16 1 16 1) $(row 17 1 17 1) $(row 18 1 9 1)"
stock 15 0
finds rows_beyond_a_cut_off_journal_are_unknown 2 row_count:UNKNOWN --journal "$J"
remove 3
remove 18
stock 13 0
fails row_missing_in_a_cut_off_journal acknowledged_once

phase1
finds sale_that_is_not_there_is_unknown 2 "$ALL_CHECKS" --journal "$J" --sale 7
sql 'TRUNCATE audit_orders; UPDATE audit_sales SET stock_left = stock_total'
empty='stock_balance:UNKNOWN not_oversold:UNKNOWN not_stranded:FAIL acknowledged_once:FAIL'
empty+=' user_limit:UNKNOWN row_count:FAIL'
finds empty_database_loses_what_was_acknowledged 1 "$empty" --journal "$J"
header && refused 1 1 1 1 503 overloaded
finds empty_database_without_promises_is_unknown 2 "$ALL_CHECKS" --journal "$J"
sql 'TRUNCATE audit_sales'
finds database_without_sales_is_unknown 2 "$ALL_CHECKS" --journal "$J"
sql 'ALTER TABLE audit_orders RENAME TO other'
finds database_without_views_is_unknown 2 "$ALL_CHECKS" --journal "$J"
says missing_view_is_named 'relation "audit_orders" does not exist'
sql 'ALTER TABLE other RENAME TO audit_orders'
real_uri=$URI
URI='postgresql://nobody:secret@127.0.0.1:1/none'
finds unreachable_database_is_unknown 2 "$ALL_CHECKS" --journal "$J"
says unreachable_database_is_said 'Connection refused'
URI='postgresql://nobody:secret@[bad'
finds uri_that_is_none_is_unknown 2 "$ALL_CHECKS" --journal "$J"
if grep -q secret "$OUT" "$WORK/err"; then report password_is_not_printed 'it is'; else
    report password_is_not_printed ''
fi
URI=$real_uri

# ---------------------------------------------------------------------------------------- options

refuses() {
    local name=$1 status=0
    shift
    "$AUDIT" "$@" >"$OUT" 2>"$WORK/err" || status=$?
    if ((status == 64)); then report "$name" ''; else report "$name" "exit status $status, not 64"; fi
}
refuses database_must_be_given --journal "$J"
refuses unknown_option_is_refused --database "$URI" --jornal "$J"
refuses option_without_its_value_is_refused --database
refuses stray_argument_is_refused --database "$URI" "$J"
refuses sale_must_be_a_number --database "$URI" --sale one
refuses settle_ms_must_be_a_number --database "$URI" --settle-ms 1s
phase1
if "$AUDIT" --database "$URI" --journal "$J" --json "$WORK/no/json" >"$OUT" 2>"$WORK/err"; then
    report json_that_cannot_be_written_is_said 'exit status 0'
else
    says json_that_cannot_be_written_is_said 'cannot write the --json file'
fi

# ------------------------------------------------------------------------------------------ large

# N orders of as many users, 2 N lines, a thousand attempts under way at a time, which are answered
# in another order.
load() {
    awk -v n="$1" 'function uuid(i) { return sprintf("00000000-0000-4000-8000-%012d", i) }
        BEGIN { OFS = "\t"; print "#flashdeal-journal 1"
            for (from = 1; from <= n; from += 1000) {
                to = from + 999 < n ? from + 999 : n
                for (i = from; i <= to; i++)
                    print i, "invoke", i, 1, 1, i, 1, "key-" i, "-", "-", "-", "-", "-"
                for (k = 0; k < 7; k++)
                    for (i = from + k; i <= to; i += 7)
                        print i, "ok", i, 1, 1, i, 1, "key-" i, 202, "-", uuid(i), "pending", 900
            } }' >"$J"
    sql "TRUNCATE audit_sales, audit_orders; INSERT INTO audit_sales VALUES (1, $1, 0, 1);
         INSERT INTO audit_orders
             SELECT ('00000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid, 1, i, 1,
                    'confirmed', NULL, 'key-' || i FROM generate_series(1, $1) AS i"
}
load 5000
passes thousand_attempts_at_a_time --idempotent

# Time and peak memory of the large load are printed, not judged.
large() {
    local began_ms peak_kb=0 pid kb status=0
    load "$1"
    began_ms=$(date +%s%3N)
    "$AUDIT" --database "$URI" --journal "$J" --idempotent --settle-ms 0 >"$OUT" 2>"$WORK/err" &
    pid=$!
    while kb=$(awk '/^VmHWM/ { print $2 }' "/proc/$pid/status" 2>/dev/null) && [[ -n $kb ]]; do
        peak_kb=$kb
        sleep 0.05
    done
    wait "$pid" || status=$?
    if ((status == 0)); then report large_load_passes ''; else report large_load_passes "$status"; fi
    says large_load_is_counted "audit: PASS ($1 orders, $1 confirmed, 7 checks)"
    say "  $1 orders, $(stat -c %s "$J") bytes of journal: $(($(date +%s%3N) - began_ms)) ms," \
        "$((peak_kb / 1024)) MiB at most"
    remove "$1"
    stock "$(($1 - 1))" 0
    fails one_of_many_missing 'acknowledged_once row_count' --idempotent
}
if ((LARGE > 0)); then large "$LARGE"; fi

say "$PASSED passed, $FAILED failed"
((FAILED == 0))
