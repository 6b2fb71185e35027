#!/usr/bin/env bash
# shellcheck disable=SC2317 # functions that are called by name look unreachable to it
# All tests: sudo tests/run.sh          some 40 minutes on two cores
#            sudo tests/run.sh quick    format, build, unit and namespace tests only
#            sudo tests/run.sh tidy     all, and clang-tidy over the tests' own sources too (10 minutes more)
# On a fresh Debian 12 it installs what it needs. Nothing is skipped: a test that lacks something fails. The last line is
# "N passed, N failed"; the exit status is 0 only when nothing failed.
set -u
set -m # a command in the background has a group of its own, and is ended with all that it started
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
here=$PWD

usage() {
  printf 'usage: sudo tests/run.sh [quick|tidy]\n' >&2
  exit 2
}
mode=${1-all}
case "$mode" in
all | quick | tidy) ;;
*) usage ;;
esac
[ $# -le 1 ] || usage
if [ "$(id -u)" -ne 0 ]; then
  printf 'tests/run.sh makes network namespaces and installs packages: run it as root (sudo tests/run.sh)\n' >&2
  exit 2
fi

# shellcheck source=tests/install-deps.sh
. tests/install-deps.sh

jobs=$(nproc)
with_threads='Lifecycle*:Resilience*:Sessions*:Drain*:Reconcile*:History*:Metrics*' # what has the daemon's loop, its threads and the kernel do much at once
export CCACHE_DEPEND=1 # asked by what the compiler read the last time: where nothing is there yet, nothing is read twice
passed=0
failed=0
failures=()
again=()   # tests that failed, until they have run once more
delayed=() # those that then passed
scratch=$(mktemp -d /tmp/hanat-run-XXXXXX)
chmod 1777 "$scratch" # as /tmp: servers that will not run as root work in there
export TMPDIR=$scratch
running=
beside=
idle=
ended() {
  local group
  for group in $running $beside $idle; do
    kill -TERM -- "-$group" 2>/dev/null
    kill -CONT -- "-$group" 2>/dev/null
  done
  rm -rf "$scratch"
}
trap ended EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# When a section began, and how busy the processors were in the one before: what waits there could wait for less.
section() {
  local user nice system idle waiting
  read -r _ user nice system idle waiting _ </proc/stat
  local busy=$((user + nice + system)) spare=$((idle + waiting))
  printf '\n==== %s  (%d:%02d; processors %d %% busy until here)\n' "$1" $((SECONDS / 60)) $((SECONDS % 60)) \
    $((100 * (busy - was_busy) / (busy - was_busy + spare - was_spare + 1)))
  was_busy=$busy was_spare=$spare
}
was_busy=0 was_spare=0
pass() { passed=$((passed + ${1:-1})); }
fail() { # TEXT [COUNT]
  failed=$((failed + ${2:-1}))
  failures+=("$1")
  printf 'FAILED: %s\n' "$1"
}
finish() {
  section "sum"
  [ ! -s "$scratch/reasons" ] || head -n 60 "$scratch/reasons"
  [ "${#delayed[@]}" -eq 0 ] || printf 'failed once and passed alone: %s\n' "${delayed[@]}"
  [ "${#failures[@]}" -eq 0 ] || printf 'failed: %s\n' "${failures[@]}"
  printf '%d passed, %d failed\n' "$passed" "$failed"
  [ "$failed" -eq 0 ]
  exit
}
# In the background and waited for, so that a signal to this script ends the command too.
run() {
  "$@" &
  running=$!
  wait "$running"
  local status=$?
  running=
  return "$status"
}
# In the background, with what the tests leave idle of the processors. One at a time.
while_idle() {
  (
    set +m # all of it is one group, which can be stopped
    chrt --idle --pid 0 "$BASHPID" >/dev/null && "$@"
  ) &
  idle=$!
}
# What measures times has the machine for itself.
quietly() {
  [ -z "$idle" ] || kill -STOP -- "-$idle" 2>/dev/null
  "$@"
  local status=$?
  [ -z "$idle" ] || kill -CONT -- "-$idle" 2>/dev/null
  return "$status"
}
# shellcheck source=tests/gtest_shares.sh
. tests/gtest_shares.sh

# check NAME COMMAND...: one check, whose output is shown when it fails
check() {
  local name=$1
  shift
  if run "$@" >"$scratch/check" 2>&1; then
    pass
  else
    cat "$scratch/check"
    fail "$name"
    return 1
  fi
}

# lines NAME STATUS: what a script wrote whose lines begin with "ok " or "FAILED ", each a check of its own.
lines() {
  local name=$1 status=$2 bad
  pass "$(grep -c '^ok ' "$scratch/lines")"
  bad=$(grep -c '^FAILED ' "$scratch/lines")
  if [ "$bad" -gt 0 ]; then fail "$name: $(sed -n 's/^FAILED //p' "$scratch/lines" | paste -sd';')" "$bad"; fi
  if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then fail "$name: ended with $status"; fi
  [ "$status" -eq 0 ] || tail -n 120 "$scratch/lines"
}
sources() { find nat probes daemon cli tests -name '*.[ch]pp' | sort; }

build() { # PRESET TARGET...
  local preset=$1 options=()
  shift
  # A fresh clone is built in half the time from many sources read as one, with line numbers as all that a debugger learns, and hanatd is
  # about as fast as the package's; what is sanitized is not optimized, which takes a third less; a developer's folder stays as it is. (GCC 12 takes the inside of an empty std::optional for a variable
  # that is used before it has a value.)
  [ -e "build/$preset/CMakeCache.txt" ] || options+=(-DHANAT_UNITY=ON "-DCMAKE_CXX_FLAGS_DEBUG=-O1 -g1 -Wno-maybe-uninitialized" "-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O0 -g1")
  [ -e "build/$preset/CMakeCache.txt" ] || [ "$preset" != dev ] || options+=(-DCMAKE_EXE_LINKER_FLAGS=-fuse-ld=gold) # in half the time
  {
    run cmake --preset "$preset" -DCMAKE_CXX_COMPILER_LAUNCHER=ccache "${options[@]}" &&
      run cmake --build --preset "$preset" -j "$jobs" --target "$@"
  } >"$scratch/build-$preset" 2>&1 && return 0
  grep -E -A 12 'error:|FAILED:|CMake Error' "$scratch/build-$preset" | head -n 120
  return 1
}
must_build() {
  if build "$@"; then pass; else
    fail "build $1"
    return 1
  fi
}

lint_scripts() {
  local scripts=(.ci/run tests/*.sh tests/bench/*.sh tests/docs/*.sh tests/package/*.sh tests/servers/*.sh tests/vm/*.sh packaging/*.sh packaging/examples/pair/hanat-pair-{notify,certificates} packaging/examples/hooks/* packaging/hook/hanat-hook findings/*.sh) script
  for script in "${scripts[@]}"; do bash -n "$script" || return 1; done
  shellcheck -x "${scripts[@]}"
}
format() { sources | xargs clang-format-16 --dry-run -Werror; }
tidy() { # in FOLDER's compile commands, sources on stdin
  xargs -P "$jobs" -n 1 clang-tidy-19 -p "$1" --quiet --config-file=.clang-tidy --extra-arg=-Wno-unknown-warning-option 2>&1 | grep -v 'warnings generated'
  return "${PIPESTATUS[0]}"
}
# The tests' own sources take as long again: tests/run.sh tidy looks at them too.
# Many sources are read as one: most of the time goes into the headers of libraries.
sources_alone() { sed -nE 's/^set_source_files_properties\((.*) PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON\).*/\1/p' CMakeLists.txt; }
tidy_product() {
  cmake -S . -B "$scratch/tidy" -G Ninja -DHANAT_UNITY=ON -DHANAT_TESTS=OFF >/dev/null &&
    cmake --build "$scratch/tidy" --target version >/dev/null && # the one source that a build writes
    { find "$scratch/tidy" -name 'unity_*.cxx' && sources_alone; } | tidy "$scratch/tidy"
}
tidy_tests() {
  local bad=0
  sources | grep -E '^tests/.*\.cpp$' | grep -v '^tests/fuzz/' | tidy build/dev || bad=1
  sources | grep -E '^tests/fuzz/.*\.cpp$' | tidy build/asan || bad=1
  return "$bad"
}
fuzz() { # BINARY SECONDS
  local corpus=$here/tests/fuzz/corpus/${1##*/fuzz-} new=$scratch/corpus-${1##*/}
  mkdir -p "$new"
  local folders=("$new")
  [ ! -d "$corpus" ] || folders+=("$corpus")
  (cd "$scratch" && timeout 120 "$here/$1" -max_total_time="$2" -timeout=5 -rss_limit_mb=1024 -verbosity=0 -print_final_stats=1 "${folders[@]}")
}

# What nobody waits for before the last stage.
tidy_and_build_tsan() {
  tidy_product >"$scratch/tidied" 2>&1
  echo $? >"$scratch/tidied-status"
  build tsan hanatd >"$scratch/built-tsan" 2>&1
  echo $? >"$scratch/built-tsan-status"
}
# done_before NAME FILE: one check, of what the above has done
done_before() {
  if [ "$(cat "$scratch/$2-status")" = 0 ]; then pass; else
    cat "$scratch/$2"
    fail "$1"
    return 1
  fi
}

no_races() {
  if ! compgen -G "$scratch/races.*" >/dev/null; then return 0; fi
  head -n 60 "$scratch"/races.*
  return 1
}

# Two at a time.
fuzz_all() { # SECONDS
  local binaries=(build/asan/tests/fuzz-*) pair binary pids
  [ -x "${binaries[0]}" ] || { fail "fuzzers: none was built"; return; }
  for ((pair = 0; pair < ${#binaries[@]}; pair += 2)); do
    pids=()
    for binary in "${binaries[@]:pair:2}"; do
      fuzz "$binary" "$1" >"$scratch/log-${binary##*/}" 2>&1 &
      pids+=($!)
    done
    for binary in "${binaries[@]:pair:2}"; do
      if wait "${pids[0]}"; then pass; else
        tail -n 60 "$scratch/log-${binary##*/}"
        fail "${binary##*/}"
      fi
      pids=("${pids[@]:1}")
    done
  done
}

section "packages"
install_packages "${build_packages[@]}" "${build_test_packages[@]}" "${lab_packages[@]}" "${test_packages[@]}" "${bench_packages[@]}" || {
  fail "packages: apt-get could not install them"
  finish
}
pass

section "text: format, scripts"
check "clang-format" format
check "scripts" lint_scripts

section "alerts for Prometheus"
check "alerts" promtool test rules packaging/examples/prometheus/hanat.rules.test.yml

section "build dev, warnings are errors"
must_build dev all || finish

section "unit tests"
unit "unit" build/dev/tests/hanat-unit

section "namespace tests"
[ "$mode" = quick ] || while_idle tidy_and_build_tsan
netns 5 "netns" build/dev/tests/hanat-netns

if [ "$mode" != quick ]; then
  section "figures, short form"
  quietly check "bench/run.sh" env HANAT_BUILD=build/dev tests/bench/run.sh short && cat "$scratch/check"

  section "demonstration"
  check "demo.sh" env HANAT_BUILD=build/dev bash tests/demo.sh

  section "Debian's servers under reloads, short form"
  quietly check "servers/run.sh" env HANAT_BUILD=build/dev tests/servers/run.sh short

  section "documents; the status page in a browser; hanatctl top in a terminal"
  tests/docs/run.sh build/dev >"$scratch/lines-documents" 2>&1 & # it mostly waits
  beside=$!
  tests/page.sh build/dev >"$scratch/lines" 2>&1
  lines "page" $?
  tests/top.sh build/dev >"$scratch/lines" 2>&1
  lines "top" $?
  wait "$beside"
  status=$?
  beside=
  mv "$scratch/lines-documents" "$scratch/lines"
  lines "documents" "$status"

  section "the package, under a real systemd; build with ASan and UBSan"
  # It mostly waits, and the compiler does not.
  tests/package/run.sh quick build/dev >"$scratch/lines" 2>&1 &
  beside=$!
  export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1 UBSAN_OPTIONS=print_stacktrace=1
  built=1
  must_build asan hanatd hanatctl hanat-unit hanat-netns fuzzers || built=0
  wait "$beside"
  lines "package" $?
  beside=
  if [ "$built" = 1 ]; then
    section "unit tests under ASan and UBSan"
    unit "unit (asan)" build/asan/tests/hanat-unit
    section "namespace tests under ASan and UBSan"
    # Left out: what mostly waits and runs no code that the others do not (a library that is preloaded gets before the sanitizer, too); a daemon without descriptors (UBSan's check of a virtual call opens
    # a pipe itself, and calls its failure an invalid object); a neighbour whose commits under sanitizers are too slow to be in anybody's way.
    waits='*NetlinkFaults*:*Neighbours*:Fire*:*VipLocal*:*OldClients*:*OddServer*:Return.*:Flipping*:Load*:*Hundred*:Calm*:ControlDeadline*:FailingGroup*'
    waits+=':*Masquerade*:ManyBehindOne*:Detection*:*/IPv6*:*TenThousand*:*FiveThousand*:*TwoThousand*:Cut.Stops*:ControlAbuse*:*OutOfDescriptors*:*WereLost*:Judgement*:Topology*:OwnFailure*'
    waits+=':*WithinTenMilliseconds:ForgottenFlows*:*OperatorRules*:Peace*:Bystanders*:PathInPeace*:PathOfOneClient*:FullConntrack*:*PathTrap*/The*:*PathTrap*/Forwarding*'
    waits+=':Model.*:Restart.Killed*:ReloadBeside*:EverythingBlocked*:ReloadsUnderLoad*:TotalOutage*:Flapping*:KernelRead*:*PathTrap*:Restart.AServer*:EveryPort*:*AFirewallThat*:*AHungHanatd*'
    waits+=':ConfigWatch.ARefused*:MakeBeforeBreak.NewProbesThatFail*:FullPostgres.Alone*:Unpinned*:Draining.ASecondMove*:*IPv6*:OwnListener*:SyntheticClient*ManySilent*:TraceNames*/Iptables*:Nudge*Routers*:*WarnsOfBridges*'
    waits+=':PairCalm.*:*PairHandover*:*PairTakeover.*:PairTakeovers.*:PairStandby*:PairConntrackd*:PairPrograms*:Sessions.AUdp*:Matrix*:*TraceNames*:*DoctorOfReplies*:*RuleChecksOf*:Dhcp*'
    waits+=':PathOfReplies*:*ATenthOfASecond*:Names.AThousand*:ConnectionsOfAGateway.AreCounted*'
    waits+=":$with_threads" # those that run under TSan
    # The sanitized library is in a program of its own with the tests that call it; all others run the sanitized hanatd and hanatctl.
    netns 5 "netns, libraries (asan)" build/asan/tests/hanat-netns "$waits"
    HANAT_PROGRAMS=build/asan netns 4 "netns (asan)" build/dev/tests/hanat-netns \
      "$waits:*WithoutDescriptors*:*CommitsAllTheTime*$(build/asan/tests/hanat-netns --gtest_list_tests | sed -nE 's/^([^ ]+\.).*/:\1*/p' | tr -d '\n')"
    section "fuzzers, 1 s each"
    fuzz_all 1
  fi

  section "clang-tidy; the daemon's threads under TSan"
  wait "$idle"
  idle=
  done_before "clang-tidy" tidied
  if done_before "build tsan" built-tsan; then
    mkdir "$scratch/programs"
    ln -s "$here/build/tsan/hanatd" "$here/build/dev/hanatctl" "$scratch/programs"
    export HANAT_PROGRAMS=$scratch/programs TSAN_OPTIONS=log_path=$scratch/races
    run shares 5 build/dev/tests/hanat-netns \
      "--gtest_filter=$with_threads-*Milliseconds*:*Thousand*"
    tally_shares "netns (tsan)" build/dev/tests/hanat-netns
    check "no data race" no_races
  fi
  if [ "$mode" = tidy ]; then
    section "clang-tidy of the tests"
    check "clang-tidy of the tests" tidy_tests
  fi
fi
finish
