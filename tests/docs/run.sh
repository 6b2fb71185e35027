#!/usr/bin/env bash
# shellcheck disable=SC2317 # functions that are called by name look unreachable to it
# What the documents say, tried: sudo tests/docs/run.sh BUILD
#   every command of tutorial.md gives the answer that stands there.
# Prints "ok ..." and "FAILED ..." lines. HANAT_UPDATE_GOLDEN=1 writes the answers into the tutorial instead of comparing them.
# It all happens in mount, network and process namespaces of its own, which end with this script, however that ends: all that is mounted, every
# network namespace and every process goes with them.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
[ $# -ge 1 ] || {
  printf 'usage: sudo tests/docs/run.sh BUILD\n' >&2
  exit 2
}
build=$(realpath "$1")

if [ $# -eq 1 ]; then
  scratch=$(mktemp -d /tmp/hanat-docs-XXXXXX)
  inner=
  ended() {
    [ -z "$inner" ] || kill -KILL "$inner" 2>/dev/null # and all in its namespaces with it
    rm -rf "$scratch"
  }
  trap ended EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  inside() { # TASK
    unshare --mount --net --pid --fork --kill-child --mount-proc --propagation private bash "$0" "$build" "$1" "$(mktemp -d "$scratch/XXXXXX")" &
    inner=$!
    wait "$inner"
    local status=$?
    inner=
    return "$status"
  }
  if [ -n "${HANAT_UPDATE_GOLDEN-}" ]; then
    inside write
    exit
  fi
  bad=0
  # A machine that is busy with other tests may hold up a step, or a request may be under way just when its server dies: it may fail once.
  if inside tutorial >"$scratch/first"; then
    cat "$scratch/first"
  elif inside tutorial >"$scratch/second"; then
    cat "$scratch/second"
    sed -n 's/^FAILED /(failed once, and passed at the second try: /p' "$scratch/first"
  else
    cat "$scratch/second"
    bad=1
  fi
  exit "$bad"
fi
task=$2
scratch=$3

# What README and the tutorial write to is not the machine's.
mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/lib && cp -a /etc "$scratch/etc" && mount --bind "$scratch/etc" /etc || exit 1
rm -rf /etc/hanat
ip link set lo up
export PATH="$build:$PATH"

tutorial() { # [--write]
  mkdir "$scratch/tutorial"
  COLUMNS=100 python3 tests/docs/page.py docs/tutorial.md "$scratch/tutorial" "$@"
}

case $task in
tutorial) tutorial ;;
write) tutorial --write ;;
esac
