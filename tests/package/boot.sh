# shellcheck shell=bash
# A machine with systemd as process 1 of its own namespaces, on an overlay of this machine's file system, with this machine's kernel: what
# the package's tests run on. Sourced by stage.sh and pair.sh. Not here: what is played on it.

# The machine's folder gets root, what to boot from, and play, which the machine has as /play. There the command is run by sh once it is up;
# `off`: and then it is switched off.
make_machine() { # FOLDER COMMAND [off]
  local root=$1/root unit
  mkdir -p "$1"/{upper,work,root,play}
  mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$root"
  # Nothing of this machine's own services, and no word of a container that forbids them.
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
ExecStart=/bin/sh -c '$2'
${3:+ExecStopPost=/bin/systemctl --no-block poweroff --force}
StandardOutput=append:/play/log
StandardError=append:/play/log
TimeoutStartSec=infinity
END
  ln -s ../play.service "$root/etc/systemd/system/multi-user.target.wants/play.service"
  cat >"$1/boot" <<'END'
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
  : >"$1/play/log"
}

# In the background; the machine ends when process $! does.
boot_machine() { # FOLDER CGROUP
  (
    echo "$BASHPID" >"$2/cgroup.procs"
    exec unshare --pid --mount --net --uts --ipc --cgroup --fork --kill-child bash "$1/boot" "$1/root" >>"$1/console" 2>&1 </dev/null
  ) &
}
