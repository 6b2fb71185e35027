#!/usr/bin/env bash
# shellcheck disable=SC2034,SC2154 # run.sh has them: passed, failed, failures, again, delayed, scratch, jobs
# Test programs of GoogleTest: run in shares, their results counted. Sourced by run.sh, whose pass, fail, run and quietly it calls.
# Not here: which programs run, and when (run.sh).

# What failing tests printed; the whole end of a log that stops in the middle.
failures_in() {
  awk '/^\[ RUN  / { held = ""; running = 1 } running { held = held $0 "\n" } /^\[  FAILED  \].*ms\)$/ { printf "%s", held }
    /^\[ (  FAILED |      OK|  SKIPPED) / { running = 0; held = "" } END { if (running) printf "%s", held }' "$1"
}
failed_in() { sed -nE 's/^\[  FAILED  \] ([^ ,]+).* \([0-9]+ ms\)$/\1/p' "$1"; }
# tally NAME STATUS LOG [again]: adds a test program's own counts; a crash, a skipped test and an empty run are failures. With "again" the
# tests that failed are kept for another run.
tally() {
  local name=$1 status=$2 log=$3 ok bad=() skipped
  [ -e "$log" ] || : >"$log" # what never ran is a failure, too
  ok=$(grep -c '\[       OK \]' "$log")
  mapfile -t bad < <(failed_in "$log")
  skipped=$(grep -cE '\[  SKIPPED \] .*\([0-9]+ ms\)$' "$log")
  pass "$ok"
  if [ "${4-}" = again ]; then again+=("${bad[@]}"); elif [ "${#bad[@]}" -gt 0 ]; then fail "$name: ${bad[*]}" "${#bad[@]}"; fi
  if [ "$skipped" -gt 0 ]; then fail "$name: $skipped tests skipped" "$skipped"; fi
  if [ "$status" -ne 0 ] && [ "${#bad[@]}" -eq 0 ]; then fail "$name: ended with $status in the middle of a test"; fi
  if [ "$ok" -eq 0 ]; then fail "$name: no test passed, or none was there"; fi
  if [ "$status" -eq 0 ] && [ $((${#bad[@]} + skipped)) -eq 0 ]; then
    grep -E '^\[==========\] .* ran' "$log"
  else
    failures_in "$log" | tail -n 200
    failures_in "$log" | grep -E -A 5 '^\[ RUN  |: Failure$' | head -n 30 >>"$scratch/reasons" # once more at the end, in short
  fi
}
# gtest NAME BINARY [ARGUMENT...]
gtest() {
  local name=$1
  shift
  run timeout --foreground 1200 "$@" >"$scratch/gtest" 2>&1
  tally "$name" $? "$scratch/gtest"
}
# A test program's tests in twelve shares, some at a time: most tests wait most of the time, each in a network of its own.
shares() { # AT_ONCE BINARY [ARGUMENT...]
  local at_once=$1
  shift
  rm -f "$scratch"/share-*
  # shellcheck disable=SC2016 # for that bash to expand
  seq 0 11 | xargs -P "$at_once" -I SHARE bash -c '
    share=$1 scratch=$2
    shift 2
    GTEST_TOTAL_SHARDS=12 GTEST_SHARD_INDEX=$share timeout --foreground 1200 "$@" >"$scratch/share-$share" 2>&1
    echo $? >"$scratch/share-$share-status"' share SHARE "$scratch" "$@"
}
# What needs no kernel and no time of day: as many at once as there are processors.
unit() { # NAME BINARY
  local share
  run shares "$jobs" "$2"
  for share in {0..11}; do tally "$1" "$(cat "$scratch/share-$share-status" || echo 1)" "$scratch/share-$share"; done
}
# Other tests and a busy machine can hold up one that waits for a moment or measures time: it may fail once, and has to pass alone. More
# than twenty are no accident.
tally_shares() { # NAME BINARY
  local share
  again=()
  for share in {0..11}; do tally "$1" "$(cat "$scratch/share-$share-status" || echo 1)" "$scratch/share-$share" again; done
  once_more "$1" "$2"
}
once_more() { # NAME BINARY
  local before=$failed
  [ "${#again[@]}" -gt 0 ] || return 0
  if [ "${#again[@]}" -gt 20 ]; then
    fail "$1: ${again[*]}" "${#again[@]}"
    return
  fi
  printf 'once more, alone: %s\n' "${again[*]}"
  quietly gtest "$1, alone" "$2" "--gtest_filter=$(IFS=: && printf '%s' "${again[*]}")"
  [ "$failed" -gt "$before" ] || delayed+=("${again[@]}")
}
# netns AT_ONCE NAME BINARY [LEFT_OUT]: what measures times runs after the others, alone; so does what fills conntrack, whose dumps then take seconds
# in every namespace.
netns() {
  local at_once=$1 name=$2 binary=$3 left_out=${4-}
  local alone='Scheduler.*:FullConntrack*:Fire*:*Neighbours*:Flipping*:Load.*:Cut.*:Return.*:RouteMonitor.*:Sessions.AUdp*:ReloadBeside*Three*:EverythingBlocked*:*PairTakeover.*:PairCalm.*:ConnectionsOfAGateway.AreCounted*:Completions.OfTenThousand*:*Detection.LosesNo*'
  run shares "$at_once" "$binary" "--gtest_filter=-$left_out:$alone"
  tally_shares "$name" "$binary"
  "$binary" --gtest_list_tests "--gtest_filter=$alone:-$left_out" | grep -q '^  ' || return 0
  quietly run timeout --foreground 1200 "$binary" "--gtest_filter=$alone:-$left_out" >"$scratch/gtest" 2>&1
  again=()
  tally "$name" $? "$scratch/gtest" again
  once_more "$name" "$binary"
}
