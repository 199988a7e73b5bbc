# matrix-svg.jq: matrix.json as a picture, one square a cell. By matrix.sh.
# A failure that is there is a filled square, one that is gone an empty one: shape first, colour second.
def colour($by_design): if .verdict == "INCONCLUSIVE" then "#999999" elif .verdict != .expected then "#cc3311" elif $by_design then "#009988" elif .verdict == "PRESENT" then "#ee7733" else "#0077bb" end;
28 as $row | 64 as $column | 250 as $left | 56 as $top
| . as $m
| ($m.phases | length) as $n
| "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 \($left + $n * $column + 10) \($top + ($m.rows | length) * $row + 60)\" font-family=\"system-ui, sans-serif\" font-size=\"13\" role=\"img\" aria-label=\"Failure modes by phase\">",
  "<style>text{fill:#222}@media(prefers-color-scheme:dark){text{fill:#ddd}}</style>",
  ($m.phases | to_entries[] | "<text x=\"\($left + .key * $column + $column / 2)\" y=\"\($top - 14)\" text-anchor=\"middle\">phase \(.value)</text>"),
  ($m.rows | to_entries[] | . as $r | ($top + $r.key * $row) as $y
    | "<text x=\"\($left - 12)\" y=\"\($y + 18)\" text-anchor=\"end\">\($r.value.failure_mode | @html)</text>",
      ($m.phases | to_entries[] | . as $p
        | ([$r.value.cells[] | select(.target == $p.value)][0]) as $cell
        | ($left + $p.key * $column + $column / 2 - 9) as $x
        | if $cell == null then "<text x=\"\($x + 9)\" y=\"\($y + 18)\" text-anchor=\"middle\" opacity=\"0.4\">·</text>"
          else "<rect x=\"\($x)\" y=\"\($y + 4)\" width=\"18\" height=\"18\" rx=\"3\" stroke-width=\"2\" stroke=\"\($cell | colour($r.value.by_design))\" fill=\"\(if $cell.verdict == "PRESENT" then ($cell | colour($r.value.by_design)) else "none" end)\"><title>\($r.value.failure_mode | @html), phase \($p.value): \($cell.verdict)</title></rect>"
          end)),
  "<text x=\"12\" y=\"\($top + ($m.rows | length) * $row + 26)\" font-size=\"11\">filled: the failure is there · empty: it is not · dot: not asked</text>",
  "<text x=\"12\" y=\"\($top + ($m.rows | length) * $row + 44)\" font-size=\"11\">green: a behaviour by design, no failure · grey: inconclusive · red: not as declared</text>",
  "</svg>"
