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
limit=400 # s
[ $# -ge 1 ] || {
  printf 'usage: tests/package/stage.sh PACKAGE.deb [SCENE...]\n' >&2
  exit 2
}
package=$(realpath "$1")
shift
# A line of scenes a boot.
boots=("install smoke start user failover refuse force cut flush kill crashes hardship watchdog reload stranger metrics upgrade early before_reboot"
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
mkdir "$stage"/{upper,work,root,play}
cp "$here"/*scenes.sh "$here/peer.py" "${package%/*}"/hanat_*.dsc "${package%/*}"/hanat_*.tar.xz "$stage/play/"
cp "$package" "$stage/play/hanat.deb"
[ -z "${HANAT_OLDER-}" ] || : >"$stage/play/otherwise"
"$here/older.sh" "$package" "$stage/play/older.deb"
mount -t overlay overlay -o "lowerdir=/,upperdir=$stage/upper,workdir=$stage/work" "$stage/root"

# Nothing of this machine's own services, and no word of a container that forbids them.
root=$stage/root
rm -rf "$root"/etc/systemd/system/* "$root/usr/sbin/policy-rc.d" "$root"/run/* "$root"/etc/hanat "$root"/var/lib/hanat
rm -rf "$root"/var/log/journal "$root"/etc/fstab "$root"/etc/apt/apt.conf.d/docker-* "$root/var/lib/man-db/auto-update"
: >"$root/etc/fstab"
mkdir -p "$root/play" "$root/etc/systemd/system/multi-user.target.wants"
for unit in systemd-udevd.service systemd-logind.service getty.target systemd-networkd.service systemd-resolved.service \
  systemd-timesyncd.service apt-daily.timer man-db.timer; do
  ln -s /dev/null "$root/etc/systemd/system/$unit"
done
cat >"$root/etc/systemd/system/play.service" <<END
[Unit]
After=multi-user.target hanatd.service look.service
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'exec bash /play/scenes.sh /play \$(cat /play/scenes)'
ExecStopPost=/bin/systemctl --no-block poweroff --force
StandardOutput=append:/play/log
StandardError=append:/play/log
TimeoutStartSec=infinity
END
ln -s ../play.service "$root/etc/systemd/system/multi-user.target.wants/play.service"

cat >"$stage/boot" <<'END'
set -eu
root=$1
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 dev "$root/dev"
for node in null zero full random urandom tty; do
  : >"$root/dev/$node"
  mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
mount -t tmpfs shm "$root/dev/shm"
mount -t tmpfs -o mode=755 run "$root/run"
mount -t tmpfs -o mode=1777 tmp "$root/tmp"
mount --bind "$root/../play" "$root/play"
cd "$root"
mkdir -p .old
pivot_root . .old
umount -l /.old
exec env -i container=hanat-stage PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --unit=multi-user.target --show-status=no
END

: >"$stage/play/log"
mkdir "$group"
tail -n +1 -f "$stage/play/log" &
reader=$!
for scenes in "${boots[@]}"; do
  echo "$scenes" >"$stage/play/scenes"
  (
    echo "$BASHPID" >"$group/cgroup.procs"
    exec unshare --pid --mount --net --uts --ipc --cgroup --fork --kill-child bash "$stage/boot" "$root" >"$stage/console" 2>&1 </dev/null
  ) &
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
