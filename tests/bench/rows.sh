# shellcheck shell=bash
# Reads the benchmarks' table (table.hpp). Sourced by compare.sh and plot.sh.

# rows_of_table FILE: its lines as: unit, median, floor, what; separated by tabs.
rows_of_table() {
  awk -v OFS='\t' '
    function trimmed(text) { gsub(/^ +| +$/, "", text); return text }
    function number(at) { return !blank(at + 7) && trimmed(substr($0, at, 8)) ~ /^(-|-?[0-9.]+)$/ }
    function blank(at) { return substr($0, at, 1) == " " }
    function is_unit(at) { return blank(at - 1) && blank(at + 6) && number(at + 7) && blank(at + 15) && number(at + 16) }
    {
      at = 64 # the column of the unit; further to the right where the words are longer
      while (at < length($0) && !is_unit(at)) ++at
      if (at < length($0))
        print trimmed(substr($0, at, 6)), trimmed(substr($0, at + 7, 8)), trimmed(substr($0, at + 25, 8)), trimmed(substr($0, 1, at - 1))
    }' "$1"
}
