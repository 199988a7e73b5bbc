# matrix-text.jq: matrix.json as a table for a terminal. By matrix.sh.
def pad($n): tostring | . + " " * ([$n - length, 0] | max);
def mark: if .verdict == "n/a" then "" elif .verdict == .expected then "" else " !" end;
def cell: if . == null then "·" else {PRESENT: "present", ABSENT: "absent", INCONCLUSIVE: "open", ERROR: "error"}[.verdict] + mark end;
def number: if type != "number" then tostring elif . >= 100 then round | tostring elif . >= 10 then (. * 10 | round) / 10 | tostring else (. * 100 | round) / 100 | tostring end;
. as $m
| "",
  (("failure mode" | pad(28)) + ($m.phases | map("phase \(.)" | pad($width)) | join("")) + "variant"),
  ($m.rows[] | . as $row
    | (.failure_mode | .[0:27] | pad(28))
      + ($m.phases | map(. as $p | [$row.cells[] | select(.target == $p)][0] | if . != null and .verdict == "PRESENT" and $row.by_design then "by design" + mark else cell end | pad($width)) | join(""))
      + ([$row.cells[] | select(.target | contains(",")) | "\(.target) \(cell)"] | join("; "))),
  "",
  (if ($m.prices | length) > 0 then
    ("its price" | pad(28 + $width)) + ($m.prices | map("phase \(.target)" | pad($width)) | join("")),
    ($m.prices[0].figures | to_entries[] | . as $f
      | ($f.value.name + (if $f.value.unit == "-" then "" else ", " + $f.value.unit end) | pad(28 + $width))
        + ($m.prices | map(.figures[$f.key].value | number | pad($width)) | join(""))),
    "" else empty end),
  ([$m.rows[].cells[]] as $all
    | [$all[] | select(.verdict != .expected and .verdict != "INCONCLUSIVE")] as $wrong
    | [$all[] | select(.verdict == "INCONCLUSIVE")] as $open
    | ($wrong[] | "NOT as declared: \(.failure_mode), \(.target): \(.verdict), not \(.expected) (\(.run))"),
      ($open[] | "open: \(.failure_mode), \(.target): \(.reason) (\(.run))"),
      "\($all | length) cells: \(($all | length) - ($wrong | length) - ($open | length)) as declared, \($wrong | length) not, \($open | length) inconclusive")
