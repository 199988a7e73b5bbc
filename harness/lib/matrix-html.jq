# matrix-html.jq: matrix.json as one page without network; cells link to their runs. By matrix.sh.
def number: if type != "number" then tostring elif . >= 100 then round | tostring elif . >= 10 then (. * 10 | round) / 10 | tostring else (. * 100 | round) / 100 | tostring end;
def class: if .verdict == "INCONCLUSIVE" then "open" elif .verdict != .expected then "wrong" elif .verdict == "PRESENT" then "present" else "absent" end;
# Runs stand beside the matrix's own directory.
def link: if .run == "-" then "<span class=\"\(class)\">\(.verdict)</span>"
  else "<a class=\"\(class)\" href=\"../\(.run | sub("^.*/"; "") | @uri)/summary.json\" title=\"\(.reason | @html)\">\(.verdict)</a>" end;
. as $m
| "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">",
  "<title>FlashDeal: failure modes by phase</title>",
  "<style>:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}",
  "table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.4rem .6rem;border-bottom:1px solid #8884}",
  "td small{display:block;opacity:.75}a,span{font-size:.8rem}a.present,span.present{color:#c05010}a.absent,span.absent{color:#0077bb}a.wrong,span.wrong{color:#fff;background:#cc3311;padding:.1rem .3rem}a.open,span.open{color:#777}",
  ".wide{overflow-x:auto}@media(prefers-color-scheme:dark){a.present{color:#ee9955}a.absent{color:#55aaee}}svg{max-width:40rem;width:100%;height:auto}</style>",
  "<h1>Every failure mode, in every phase, measured</h1>",
  "<p>PRESENT: the failure is there. ABSENT: it is not there. By design: not a failure but what the cure does, on purpose. Each verdict links to the run that it comes from, with its figures and the command that repeats it. A verdict on red is not as <code>failure-modes.tsv</code> declares.</p>",
  $svg,
  "<div class=\"wide\"><table><tr><th>failure mode, and how it is measured</th>",
  ($m.phases[] | "<th>phase \(.)</th>"), "<th>variants</th></tr>",
  ($m.rows[] | . as $row
    | "<tr><td><b>\(.failure_mode | @html)</b>: \(.shows | @html)<small>\(.measured | @html) · <code>./harness/\(.script | @html)</code></small></td>",
      ($m.phases[] | . as $p | [$row.cells[] | select(.target == $p)][0] | "<td>\(if . == null then "" elif .verdict == "PRESENT" and $row.by_design then (link | sub(">PRESENT<"; ">by design<") | sub("class=\"present"; "class=\"absent")) else link end)</td>"),
      "<td>\([$row.cells[] | select(.target | contains(",")) | "\(.target | @html) \(link)"] | join("<br>"))</td></tr>"),
  "</table></div>",
  (if ($m.prices | length) > 0 then
    "<h2>What each phase gives and costs</h2><div class=\"wide\"><table><tr><th></th>",
    ($m.prices[] | "<th>phase \(.target | @html)</th>"), "</tr>",
    ($m.prices[0].figures | to_entries[] | . as $f
      | "<tr><td>\($f.value.name | @html)\(if $f.value.unit == "-" then "" else ", \($f.value.unit | @html)" end)</td>\($m.prices | map("<td>\(.figures[$f.key].value | number)</td>") | join(""))</tr>"),
    "</table></div>" else empty end),
  "<p><small>\($m.started_at), \($m.seconds) s · <code>\($m.command | @html)</code> · commit \($m.commit | @html) · \($m.machine | @html)</small></p></html>"
