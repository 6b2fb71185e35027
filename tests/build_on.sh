#!/usr/bin/env bash
# Builds this tree on another release of Debian, with warnings as errors, and runs the unit tests there without root:
#   sudo tests/build_on.sh bookworm|trixie|sid
#   sudo tests/build_on.sh experimental PACKAGE...     sid, with these packages from experimental
# The first run makes the release with debootstrap and keeps it in build/vm, as vm/run.sh does; later runs bring its packages up to date
# and compile only what changed. Prints the versions of compiler and libraries first; exit status 0: it builds and every test passes.
# Not here: namespace tests (the kernel is this machine's, whatever the release) and packages (vm/run.sh 13).
set -eu
set -o pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$here"
usage() {
  printf 'usage: sudo tests/build_on.sh bookworm|trixie|sid\n       sudo tests/build_on.sh experimental PACKAGE...\n' >&2
  exit 2
}
release=${1-}
[ $# -eq 0 ] || shift
suite=$release
case "$release:$#" in
bookworm:0 | trixie:0 | sid:0) ;;
experimental:0) usage ;;
experimental:*) suite=sid ;;
*) usage ;;
esac
if [ "$(id -u)" -ne 0 ]; then
  printf 'tests/build_on.sh makes a tree of Debian: run it as root\n' >&2
  exit 2
fi
# shellcheck source=tests/install-deps.sh
. tests/install-deps.sh
# shellcheck source=tests/debian_tree.sh
. tests/debian_tree.sh
install_packages debootstrap

home=${HANAT_VM:-$here/build/vm}
tree=$home/$release-build
mkdir -p "$home"
mounted=()
cleanup() {
  trap - EXIT INT TERM HUP
  local path
  for path in "${mounted[@]}"; do umount -l "$path" 2>/dev/null || true; done
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
section() { printf '== %s (%d s)\n' "$1" "$SECONDS"; }
# logged COMMAND...: shows what it printed when it fails
logged() {
  "$@" >"$home/$release.log" 2>&1 || {
    tail -n 40 "$home/$release.log"
    exit 1
  }
}
# A frozen mirror will do: nothing of the tree is installed anywhere.
apt() { logged inside "$tree" apt-get -qq -y -o Acquire::Check-Valid-Until=false -o Dpkg::Use-Pty=0 --no-install-recommends "$@"; }

section "tree"
make_tree "$suite" "$tree" build-essential,ca-certificates,ccache,fakeroot,git
without_services "$tree"
if [ "$release" = experimental ]; then sed -n 's/ sid / experimental /p' "$tree/etc/apt/sources.list" >"$tree/etc/apt/sources.list.d/experimental.list"; fi
apt update
apt dist-upgrade
apt install "${build_packages[@]}" "${build_test_packages[@]}"
[ $# -eq 0 ] || apt -t experimental install "$@"
# shellcheck disable=SC2016 # the names are dpkg's
inside "$tree" dpkg-query -W -f='${Package} ${Version}\n' g++ libfmt-dev libc-ares-dev libssl-dev libcurl4-openssl-dev libnftnl-dev \
  nlohmann-json3-dev libtomlplusplus-dev cmake | sort -u
inside "$tree" c++ --version | head -n 1

section "build"
mkdir -p "$tree/source" "$tree/hanat"
mount --bind -o ro "$here" "$tree/source"
mounted+=("$tree/source")
mount -t proc proc "$tree/proc"
mounted+=("$tree/proc")
logged inside "$tree" cmake -S /source -B /hanat -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=-g1 -DHANAT_WERROR=ON \
  -DCMAKE_CXX_COMPILER_LAUNCHER=ccache
# -k 0: all errors of all files, at once
if ! inside "$tree" nice -n 15 cmake --build /hanat -j "$(nproc)" --target all -- -k 0 >"$home/$release.log" 2>&1; then
  grep -E -A 6 'error:|FAILED:' "$home/$release.log" | head -n 200
  printf 'FAILED: the build on Debian %s; all of it: %s\n' "$release" "$home/$release.log"
  exit 1
fi

section "unit tests"
inside "$tree" setpriv --reuid=nobody --regid=nogroup --clear-groups /hanat/tests/hanat-unit --gtest_brief=1
section "end"
