#!/usr/bin/env bash
# The package's life under a real systemd: tests/package/stage.sh PACKAGE.deb [SCENE...]
# systemd boots as process 1 of its own namespaces, on an overlay of this machine's file system, with this machine's kernel; there the package
# is installed by apt and scenes.sh is played; HANAT_OLDER=OLDER.deb is a version with another table, to which and from which it is changed
# under load. Nothing outside is touched, and the overlay is gone at the end. Prints "ok" and "FAILED" lines; exit status 0: all ok. Needs
# root, the source package beside PACKAGE.deb, and on this machine what the package and its test depend on.
# shellcheck disable=SC2317 # functions that are called by name look unreachable to it
set -eu
set -o pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/package/boot.sh
. "$here/boot.sh"
limit=400 # s
[ $# -ge 1 ] || {
  printf 'usage: tests/package/stage.sh PACKAGE.deb [SCENE...]\n' >&2
  exit 2
}
package=$(realpath "$1")
shift
# A line of scenes a boot.
boots=("install smoke start user failover refuse force cut flush kill crashes hardship watchdog reload hook stranger metrics upgrade early before_reboot"
  "after_reboot remove")
[ $# -eq 0 ] || boots=("$*")

stage=$(mktemp -d /tmp/hanat-stage-XXXXXX)
cgroups=$(findmnt -rno TARGET -t cgroup2 | head -n 1)
group=$cgroups/${stage##*/}
init=''
reader=''
cleanup() {
  trap - EXIT INT TERM HUP
  [ -z "$init" ] || kill -KILL "$init" 2>/dev/null || true
  [ -z "$reader" ] || kill "$reader" 2>/dev/null || true
  wait 2>/dev/null || true
  umount -l "$stage" 2>/dev/null || true
  rmdir "$stage" 2>/dev/null || true
  [ ! -d "$group" ] || find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

mount -t tmpfs -o mode=755 stage "$stage"
# shellcheck disable=SC2016 # for the machine to expand
make_machine "$stage" 'exec bash /play/scenes.sh /play $(cat /play/scenes)' off
cp "$here"/*scenes.sh "$here/peer.py" "${package%/*}"/hanat_*.dsc "${package%/*}"/hanat_*.tar.xz "$stage/play/"
cp "$package" "$stage/play/hanat.deb"
[ -z "${HANAT_OLDER-}" ] || : >"$stage/play/otherwise"
"$here/older.sh" "$package" "$stage/play/older.deb"

mkdir "$group"
tail -n +1 -f "$stage/play/log" &
reader=$!
for scenes in "${boots[@]}"; do
  echo "$scenes" >"$stage/play/scenes"
  boot_machine "$stage" "$group"
  init=$!
  timeout "$limit" tail --pid="$init" -f /dev/null & # waited for, so that a signal to this script ends it at once
  wait $! || true
  kill -KILL "$init" 2>/dev/null || true
  wait "$init" 2>/dev/null || true
  init=''
done
sleep 0.3
kill "$reader" 2>/dev/null || true
if [ "$(grep -c '^END ' "$stage/play/log")" != "${#boots[@]}" ]; then
  printf 'FAILED the play did not end in %d s\n' "$limit"
  tail -n 30 "$stage/console"
fi
[ "$(grep -c '^END ok$' "$stage/play/log")" = "${#boots[@]}" ]
