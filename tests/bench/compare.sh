#!/usr/bin/env bash
# Is a build slower than another? Runs every benchmark of the two builds in turn, in pairs, and compares row by row:
#   sudo tests/bench/compare.sh OLD_BUILD NEW_BUILD [--pairs N] [--short] [--only PART,PART...]
#   sudo tests/bench/compare.sh ../before/build/release build/release --short
# A row shows the medians of old and new over all pairs, and the median of the ratios new/old of each pair, which a machine that is busy
# for a while disturbs least; a figure of which more is better (1/s, Gbit/s) is old/new. Exit status 0: no ratio is above 1.05; 1: a row
# is slower; 2: a benchmark failed, or no row is of both builds. "of the pairs" are the least and the greatest ratio: where they
# are far apart, the machine was busy, and more pairs or a quieter machine tell more.
# Rows are matched by their words; one that only one of the builds has is named and not compared. --short: the short form of each benchmark, without the times
# of detection. PART: commit daemon told cut forward probes soak detect. Default: 15 pairs (about 25 minutes each), with --short 3 (about
# 3 minutes each). Not here: measuring (the benchmarks) and targets (run.sh).
set -u
limit=1.05
usage() {
  printf 'usage: sudo tests/bench/compare.sh OLD_BUILD NEW_BUILD [--pairs N] [--short] [--only PART,PART...]\n' >&2
  exit 2
}
pairs='' short='' only='' builds=()
while [ $# -gt 0 ]; do
  case "$1" in
  --pairs | --only)
    [ $# -ge 2 ] || usage
    if [ "$1" = --pairs ]; then pairs=$2; else only=${2//,/ }; fi
    shift
    ;;
  --short) short=short ;;
  -*) usage ;;
  *) builds+=("$1") ;;
  esac
  shift
done
pairs=${pairs:-$([ -n "$short" ] && echo 3 || echo 15)}
[[ ${#builds[@]} -eq 2 && $pairs =~ ^[1-9][0-9]*$ ]] || usage
if [ "$(id -u)" -ne 0 ]; then
  printf 'tests/bench/compare.sh makes network namespaces: run it as root\n' >&2
  exit 2
fi
old=$(realpath "${builds[0]}")
new=$(realpath "${builds[1]}")
parts=(commit daemon told cut forward probes soak)
[ -n "$short" ] || parts+=(detect)
[ -z "$only" ] || read -r -a parts <<<"$only"
for build in "$old" "$new"; do
  for part in "${parts[@]}"; do
    [ -x "$build/tests/hanat-bench-$part" ] || {
      printf '%s has no benchmark "%s": build the target benchmarks\n' "$build" "$part" >&2
      exit 2
    }
  done
done
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 2
# shellcheck source=tests/install-deps.sh
. tests/install-deps.sh
install_packages "${lab_packages[@]}" "${bench_packages[@]}" || exit 2
scratch=$(mktemp -d /tmp/hanat-compare-XXXXXX)
export TMPDIR=$scratch
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# shellcheck source=tests/bench/rows.sh
. tests/bench/rows.sh
# The rows of hanat-bench-detect, which has columns of its own, in the same form: three times of each row of hanat.
rows_of_detection() {
  awk -v OFS='\t' '
    { gsub(/ +$/, ""); fields = split($0, field, /  +/) }
    NR == 1 || fields < 5 { next }
    substr($0, 22, 5) != "hanat" { next }
    {
      what = substr($0, 1, 36)
      gsub(/ +/, " ", what)
      sub(/ $/, "", what)
      split(": slowest connect,,: to verdict,: verdict to client", name, ",")
      for (i = 1; i <= 4; ++i) {
        value = field[fields - 4 + i]
        sub(/ ms$/, "", value)
        if (i != 2) print "ms", value, "-", what name[i]
      }
    }' "$1"
}
# measure PAIR BUILD NAME PART: adds lines of part, unit, pair, median, what to the file NAME.
measure() {
  local rows=rows_of_table argument=$short
  [ "$4" != detect ] || rows=rows_of_detection
  [ "$4" != soak ] || argument=short # its long form asks for a leak that shows after minutes, not for a figure
  "$2/tests/hanat-bench-$4" ${argument:+"$argument"} >"$scratch/table" 2>"$scratch/errors" || {
    printf 'hanat-bench-%s of %s failed: %s\n' "$4" "$2" "$(cat "$scratch/errors")" >&2
    exit 2
  }
  $rows "$scratch/table" | awk -F '\t' -v OFS='\t' -v part="$4" -v pair="$1" '{ print part, $1, pair, $2, $4 }' >>"$scratch/$3"
}

printf 'old: %s\nnew: %s\n%s pairs on Linux %s, %s processors\n' "$old" "$new" "$pairs" "$(uname -r)" "$(nproc)"
for ((pair = 1; pair <= pairs; ++pair)); do
  for part in "${parts[@]}"; do
    # Who is first changes, so that what the first leaves behind (caches, freed memory) helps neither.
    if ((pair % 2)); then
      measure "$pair" "$old" old "$part"
      measure "$pair" "$new" new "$part"
    else
      measure "$pair" "$new" new "$part"
      measure "$pair" "$old" old "$part"
    fi
    printf 'pair %d, %s: %d:%02d\n' "$pair" "$part" $((SECONDS / 60)) $((SECONDS % 60)) >&2
  done
done

awk -F '\t' -v limit="$limit" '
  function median(list, number, i, j, swap) {
    for (i = 2; i <= number; ++i)
      for (j = i; j > 1 && list[j - 1] > list[j]; --j) { swap = list[j]; list[j] = list[j - 1]; list[j - 1] = swap }
    return number % 2 ? list[(number + 1) / 2] : (list[number / 2] + list[number / 2 + 1]) / 2
  }
  { key = $1 " " $5 " " $2 }
  FILENAME ~ /old$/ { old[key, $3] = $4; seen[key]; next }
  { if (!(key in what)) { order[++count] = key; unit[key] = $2 }; what[key] = $5; new[key, $3] = $4; if ($3 > pairs) pairs = $3 }
  END {
    for (key in seen) if (!(key in what)) alone[++only] = "only the old build has " key
    for (row = 1; row <= count; ++row)
      if (order[row] in seen) order[++both] = order[row]; else alone[++only] = "only the new build has " order[row]
    count = both + 0
    printf "%-72s %-6s %10s %10s %6s %14s\n", "what", "unit", "old", "new", "ratio", "of the pairs"
    for (row = 1; row <= count; ++row) {
      key = order[row]
      number = 0
      for (pair = 1; pair <= pairs; ++pair) {
        a = old[key, pair]; b = new[key, pair]
        if (a !~ /^[0-9.]+$/ || b !~ /^[0-9.]+$/) continue
        ++number
        olds[number] = a + 0; news[number] = b + 0
        if (unit[key] ~ /\/s$/) { swap = a; a = b; b = swap }
        ratios[number] = a == b ? 1 : a > 0 ? b / a : 999
      }
      if (!number) { printf "%-72s %-6s %10s %10s %6s\n", what[key], unit[key], "-", "-", "-"; continue }
      ratio = median(ratios, number)
      slow = ratio > limit
      slower += slow
      printf "%-72s %-6s %10.5g %10.5g %6.3f %6.3f - %5.3f%s\n", what[key], unit[key], median(olds, number), median(news, number), ratio,
        ratios[1], ratios[number], slow ? "  SLOWER" : "" # median() has sorted them
    }
    printf "\n%d rows, %d slower than %s of the old build\n", count, slower, limit
    for (i = 1; i <= only; ++i) print alone[i]
    exit !count ? 2 : slower ? 1 : 0
  }' "$scratch/old" "$scratch/new"
