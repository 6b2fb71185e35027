#!/usr/bin/env bash
# Draws how costs grow with the number of what is loaded: tests/bench/plot.sh TABLE FOLDER
#   sudo tests/bench/run.sh | tee table && tests/bench/plot.sh table docs
# TABLE: what run.sh or a benchmark has printed. FOLDER gets an SVG of each cost that the table has for two numbers at least: flip.svg (one
# flip), ranges.svg (one flip of a range), start.svg (a daemon's start, restart and reload) and memory.svg. Needs Debian's gnuplot.
set -eu
if [ $# -ne 2 ] || [ ! -r "$1" ]; then
  printf 'usage: tests/bench/plot.sh TABLE FOLDER\n' >&2
  exit 2
fi
table=$1 folder=$2
here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=tests/bench/rows.sh
. "$here/rows.sh"
mkdir -p "$folder"
scratch=$(mktemp -d /tmp/hanat-plot-XXXXXX)
trap 'rm -rf "$scratch"' EXIT
rows_of_table "$table" >"$scratch/rows"

# points FILE BEFORE AFTER: "number median floor" of the rows whose words are BEFORE, a number, AFTER. False: fewer than two.
points() {
  awk -F '\t' -v before="$2" -v after="$3" '
    index($4, before) == 1 {
      rest = substr($4, length(before) + 1)
      end = length(rest) - length(after)
      if (end > 0 && substr(rest, end + 1) == after && substr(rest, 1, end) ~ /^[0-9]+$/) print substr(rest, 1, end), $2, $3
    }' "$scratch/rows" | sort -n >"$scratch/$1"
  [ "$(wc -l <"$scratch/$1")" -ge 2 ]
}
# draw NAME TITLE X Y PLOT: both axes are logarithmic, as costs and numbers differ by thousands.
draw() {
  gnuplot <<EOF
set terminal svg size 640,360 font 'sans-serif,13' background '#ffffff'
set output '$folder/$1.svg'
set title '$2'
set xlabel '$3'
set ylabel '$4'
set logscale xy
set format x '%.0s%c'
set grid
set key below
set datafile missing '-'
plot $5
EOF
  printf '%s\n' "$folder/$1.svg"
}
line() { printf "'%s' using 1:%s with linespoints lw 2 pt 7 lc rgb '%s' title '%s'" "$1" "$2" "$3" "$4"; }
ours='#1f6feb' least='#8c8c8c'

if points flip 'one flip, decision to commit ACK, ' ' loaded'; then
  draw flip 'One flip' 'services loaded' 'us' "$(line "$scratch/flip" 2 "$ours" hanat), $(line "$scratch/flip" 3 "$least" 'one element of a bare map')"
fi
if points ranges 'one flip of a range, ' ' ranges loaded'; then
  draw ranges 'One flip of a range of ports' 'ranges loaded' 'us' "$(line "$scratch/ranges" 2 "$ours" hanat)"
fi
lines=()
while IFS='|' read -r words title colour; do
  ! points "${title// /-}" '' " services: $words" || lines+=("$(line "$scratch/${title// /-}" 2 "$colour" "$title")")
done <<'EOF'
start until all have their target|start until all have a target|#1f6feb
restart until the targets are adopted|restart until adopted|#2da44e
reload of one change|reload of one change|#bf8700
status of all, later|status of all|#8250df
EOF
if [ "${#lines[@]}" -gt 0 ]; then
  draw start 'The daemon' 'services' 'ms' "$(printf '%s\n' "${lines[@]}" | paste -sd,)"
fi
if points memory '' ' services: memory then, VmRSS'; then
  draw memory 'Memory of the daemon' 'services' 'MB' "$(line "$scratch/memory" 2 "$ours" VmRSS)"
fi
