#!/usr/bin/env bash
# Every figure beside its floor and its target, in one table: sudo tests/bench/run.sh          half an hour
#                                                             sudo tests/bench/run.sh short    within two minutes, coarser
# On a fresh Debian 12 it installs what it needs, builds the release preset and measures in namespaces of its own. The exit status says
# whether everything could be measured; a target that was missed stands in the table: on a busy machine that may be the machine's fault.
# HANAT_BUILD=DIR takes the programs of a build that is there instead of building.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

case "$#:${1-}" in
0: | 1:short) ;;
*)
  printf 'usage: sudo tests/bench/run.sh [short]\n' >&2
  exit 2
  ;;
esac
if [ "$(id -u)" -ne 0 ]; then
  printf 'tests/bench/run.sh makes network namespaces and installs packages: run it as root (sudo tests/bench/run.sh)\n' >&2
  exit 2
fi
# shellcheck source=tests/install-deps.sh
. tests/install-deps.sh

build=${HANAT_BUILD:-build/release}
scratch=$(mktemp -d /tmp/hanat-bench-XXXXXX)
chmod 1777 "$scratch" # servers that will not run as root work in there
export TMPDIR=$scratch
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

prepare() {
  if [ -n "${HANAT_BUILD-}" ]; then
    install_packages "${lab_packages[@]}" "${bench_packages[@]}"
    return
  fi
  install_packages "${build_packages[@]}" "${build_test_packages[@]}" "${lab_packages[@]}" "${bench_packages[@]}" || return 1
  {
    cmake --preset release -DHANAT_UNITY=ON -DCMAKE_CXX_COMPILER_LAUNCHER=ccache &&
      cmake --build --preset release -j "$(nproc)" --target benchmarks
  } >"$scratch/build" 2>&1 && return 0
  tail -n 60 "$scratch/build"
  return 1
}
prepare || exit 1

printf 'hanat on Linux %s, %s processors, %s\n' "$(uname -r)" "$(nproc)" "$(sed -nE 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
printf 'p99: of fewer than 100 values the worst. floor: the least for the same, measured in turn with it. ratio: median to floor.\n\n'
SECONDS=0
status=0
first=1
# The soak takes eleven minutes: only its short form is of this table. Four servers that take TLS and passwords are too much for the short one.
parts=(commit daemon told cut forward probes peers)
if [ "${1-}" = short ]; then parts+=(soak); else parts+=(secured); fi
for part in "${parts[@]}"; do
  "$build/tests/hanat-bench-$part" "$@" >"$scratch/part" 2>"$scratch/errors" || {
    status=1
    printf 'hanat-bench-%s FAILED: %s\n' "$part" "$(cat "$scratch/errors")" >>"$scratch/part"
  }
  tail -n "+$first" "$scratch/part" # one head for all of them
  cat "$scratch/part" >>"$scratch/all"
  first=2
done

# What clients see of a server's death, and of a gateway's where there are two, has columns of its own. The tests Detection* and Pair* are its
# short form.
if [ "${1-}" != short ]; then
  for part in detect pair; do
    "$build/tests/hanat-bench-$part" >"$scratch/part" 2>"$scratch/errors" || {
      status=1
      printf 'hanat-bench-%s FAILED: %s\n' "$part" "$(cat "$scratch/errors")" >>"$scratch/part"
    }
    printf '\n'
    cat "$scratch/part"
    cat "$scratch/part" >>"$scratch/all"
  done
fi
# How the costs grow, as pictures.
[ "${1-}" = short ] || tests/bench/plot.sh "$scratch/all" "$build/plots" || status=1
printf '\n%d targets met, %d missed, in %d:%02d\n' "$(grep -c ' met$' "$scratch/all")" "$(grep -c ' MISSED$' "$scratch/all")" \
  $((SECONDS / 60)) $((SECONDS % 60))
exit "$status"
