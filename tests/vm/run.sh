#!/usr/bin/env bash
# hanat on Debian's own kernel: sudo tests/vm/run.sh KERNEL [PACKAGE.deb [SCENE...]]
#   KERNEL: 12 (Debian 12, Linux 6.1), 13 (Debian 13, Linux 6.12), or Debian 13 with the newest kernel of another suite: 13-backports, 13-sid,
#   13-experimental (7.3, 7.2 and a candidate of 7.3 when this was written). The first "ok" line says which kernel it was.
# A virtual machine (qemu, software emulation, no network of its own) boots Debian with its kernel and systemd, installs the package with
# apt, plays ../package/scenes.sh, boots again and plays the rest. Without PACKAGE.deb the package is built: for 12 by
# packaging/build-deb.sh, for the others by the same in a tree of Debian 13.
# The first run makes Debian's tree with debootstrap, from the mirror that this machine's apt uses, and keeps it in build/vm (HANAT_VM=DIR);
# remove its folder there for a newer kernel.
# HANAT_OLDER=OLDER.deb is a version with another table, as in ../package/stage.sh.
# With scenes it installs the package, plays these alone, and boots once: sudo tests/vm/run.sh 12 '' start offload
# HANAT_BENCH=PROGRAM plays that benchmark alone, with hanatd and hanatctl of the folder HANAT_PROGRAMS; no package is installed.
# HANAT_BENCH_FORM=short: its short form. HANAT_VM_PACKAGES are installed beside.
# Prints "ok" and "FAILED" lines; exit status 0: all ok. Under ten minutes, downloads not counted.
set -eu
set -o pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$here"
limit=${HANAT_VM_LIMIT:-540} # s, for both boots; a machine that does much else needs more
memory=1024 # MiB
# The clock of the virtual machine counts instructions, for measurements beside other work: only their ratios count anyway.
accel=(-accel "tcg,thread=multi" -smp 2)
case "${1-}" in 13-*) accel=(-accel "tcg,thread=single" -smp 2) ;; esac # with several threads qemu 7.2 sometimes hangs or oopses them at boot
[ -z "${HANAT_VM_INSTRUCTIONS-}" ] || accel=(-accel "tcg,thread=single" -smp 1 -icount "shift=0,sleep=off")
cpu=max,-cx16 # with cmpxchg16b, as qemu 7.2 emulates it, newer kernels oops at boot
kernel_package=linux-image-cloud-amd64
kernel_suite='' # where the kernel comes from, if not from the suite itself
case "${1-}" in
12) suite=bookworm ;;
13) suite=trixie ;;
13-backports) suite=trixie kernel_suite=trixie-backports ;;
13-sid | 13-experimental) suite=trixie kernel_suite=${1#13-} ;;
*)
  printf 'usage: sudo tests/vm/run.sh 12|13|13-backports|13-sid|13-experimental [PACKAGE.deb [SCENE...]]\n' >&2
  exit 2
  ;;
esac
if [ "$(id -u)" -ne 0 ]; then
  printf 'tests/vm/run.sh makes file systems: run it as root\n' >&2
  exit 2
fi
package=${2-}
scenes=("${@:3}")
bench=${HANAT_BENCH-}
boots=2
if [ -n "$bench" ]; then
  scenes=(benchmark)
elif [ ${#scenes[@]} -gt 0 ]; then
  scenes=(install "${scenes[@]}")
fi
[ ${#scenes[@]} -eq 0 ] || boots=1
# shellcheck source=tests/install-deps.sh
. tests/install-deps.sh
# shellcheck source=tests/debian_tree.sh
. tests/debian_tree.sh
install_packages "${vm_packages[@]}"

home=${HANAT_VM:-$here/build/vm}
tree=$home/$suite
[ -z "$kernel_suite" ] || tree=$home/$1
build_tree=$home/$suite-build
mkdir -p "$home"
mounted=()
qemu=''
reader=''
scratch=$(mktemp -d "${TMPDIR:-/tmp}/hanat-vm-XXXXXX")
cleanup() {
  trap - EXIT INT TERM HUP
  [ -z "$qemu" ] || kill -KILL "$qemu" 2>/dev/null || true
  [ -z "$reader" ] || kill "$reader" 2>/dev/null || true
  local path
  for path in "${mounted[@]}"; do umount -l "$path" 2>/dev/null || true; done
  rm -rf --one-file-system "$scratch"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

build_package() {
  if [ "$suite" = bookworm ]; then
    packaging/build-deb.sh --output "$scratch/deb" >/dev/null
  else
    make_tree "$suite" "$build_tree" build-essential,ca-certificates,ccache,fakeroot,git
    without_services "$build_tree"
    mkdir -p "$build_tree/source" "$scratch/deb"
    mount --bind "$here" "$build_tree/source"
    mounted+=("$build_tree/source")
    mount --bind "$scratch/deb" "$build_tree/mnt"
    mounted+=("$build_tree/mnt")
    inside "$build_tree" git config --global --add safe.directory '*'
    inside "$build_tree" /source/packaging/build-deb.sh --output /mnt >/dev/null
    umount "$build_tree/source" "$build_tree/mnt"
    mounted=()
  fi
  package=$(echo "$scratch"/deb/hanat_*.deb)
}

section() { printf '== %s (%d s)\n' "$1" "$SECONDS"; }
apt_in_tree() { # ARGUMENTS...
  inside "$tree" apt-get -qq -y -o Dpkg::Use-Pty=0 --no-install-recommends "$@" >"$home/apt.log" 2>&1 && return
  tail -n 20 "$home/apt.log"
  exit 1
}
# Everything else stays as the tree's own suite has it.
install_kernel_of() { # SUITE
  printf 'deb %s %s main\n' "$(mirror)" "$1" >"$tree/etc/apt/sources.list.d/kernel.list"
  printf 'Package: *\nPin: release n=sid\nPin-Priority: 100\n' >"$tree/etc/apt/preferences.d/kernel"
  mount -t proc proc "$tree/proc"
  mounted+=("$tree/proc")
  apt_in_tree update
  apt_in_tree -t "$1" install "$kernel_package"
  umount "$tree/proc"
  mounted=()
}

section "package"
[ -n "$package$bench" ] || build_package
section "tree"
packages=systemd-sysv,dbus,udev,initramfs-tools,iproute2,nftables,conntrack,kmod,procps,python3-minimal,ifupdown,zstd
[ -n "$kernel_suite" ] || packages+=,$kernel_package
make_tree "$suite" "$tree" "$packages"
[ -e "$tree/usr/sbin/policy-rc.d" ] || without_services "$tree"
if [ -n "$kernel_suite" ] && ! compgen -G "$tree/boot/initrd.img-*" >/dev/null; then install_kernel_of "$kernel_suite"; fi
if [ -z "$bench" ] || [ -n "${HANAT_VM_PACKAGES-}" ]; then apt_in_tree update; fi
[ -n "$bench" ] || apt_in_tree satisfy "$(dpkg-deb -f "$package" Depends)"
# shellcheck disable=SC2086 # names
[ -z "${HANAT_VM_PACKAGES-}" ] || apt_in_tree install $HANAT_VM_PACKAGES

section "disk"
mkdir "$scratch/upper" "$scratch/work" "$scratch/root"
mount -t tmpfs upper "$scratch/upper"
mounted+=("$scratch/upper")
mkdir "$scratch/upper/upper" "$scratch/upper/work"
mount -t overlay overlay -o "lowerdir=$tree,upperdir=$scratch/upper/upper,workdir=$scratch/upper/work" "$scratch/root"
mounted=("$scratch/root" "${mounted[@]}")
root=$scratch/root
mkdir -p "$root/play" "$root/etc/systemd/system/multi-user.target.wants"
cp tests/package/*scenes.sh tests/package/peer.py "$root/play/"
if [ -n "$bench" ]; then # programs of this machine, with its libraries and their loader: Debian's are others there
  programs=("$bench" "$HANAT_PROGRAMS/hanatd" "$HANAT_PROGRAMS/hanatctl")
  mkdir -p "$root/play/bench/lib"
  for program in "${programs[@]}"; do strip --strip-debug -o "$root/play/bench/${program##*/}" "$program"; done
  printf '%s' "${HANAT_BENCH_FORM-}" >"$root/play/bench/form"
  ldd "${programs[@]}" | grep -oE '/\S+\.so\S*' | sort -u | xargs -I{} cp -L {} "$root/play/bench/lib/"
else
  cp "$package" "$root/play/hanat.deb"
  tests/package/older.sh "$package" "$root/play/older.deb"
fi
[ -z "${HANAT_OLDER-}" ] || : >"$root/play/otherwise"
printf '%s ' "${scenes[@]}" >"$root/play/scenes"
[ $boots = 1 ] || : >"$root/play/scenes"
rm -rf "$root/usr/sbin/policy-rc.d" "$root"/var/cache/apt/*.bin "$root"/var/cache/apt/archives/*.deb "$root/var/lib/man-db/auto-update"
printf '/dev/vda / ext4 defaults 0 1\n' >"$root/etc/fstab"
printf 'auto lo\niface lo inet loopback\n' >"$root/etc/network/interfaces"
printf 'hanat-vm\n' >"$root/etc/hostname"
for unit in serial-getty@ttyS0.service getty@tty1.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_reap.service; do
  ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
cat >"$root/play/play" <<'END'
#!/bin/bash
exec >/dev/ttyS0 2>&1
export PAUSE=0.1
stty -F /dev/ttyS0 -onlcr 2>/dev/null
echo # systemd has left escape sequences on this line
if [ -s /play/scenes ]; then
  uname -srv | sed 's/^/ok /'
  bash /play/scenes.sh /play $(cat /play/scenes)
  echo "THE END"
  systemctl poweroff
elif [ ! -e /play/second ]; then
  touch /play/second
  uname -srv | sed 's/^/ok /'
  lsmod | awk '/^n(f|ft)_|^nfnetlink/ { print "loaded before hanat:", $1 }'
  bash /play/scenes.sh /play install modules start failover refuse force flips cut flowtable flush kill watchdog reload upgrade early before_reboot
  echo "ok modules loaded by the kernel itself:" $(lsmod | awk '/^n(f|ft)_|^nfnetlink/ { print $1 }' | sort)
  sync
  systemctl reboot
else
  bash /play/scenes.sh /play after_reboot remove
  echo "THE END"
  systemctl poweroff
fi
END
cat >"$root/etc/systemd/system/play.service" <<'END'
[Unit]
After=multi-user.target hanatd.service look.service
[Service]
Type=exec
ExecStart=/bin/bash /play/play
END
ln -s ../play.service "$root/etc/systemd/system/multi-user.target.wants/play.service"
truncate -s 3G "$scratch/disk"
mke2fs -q -t ext4 -O ^has_journal -d "$root" "$scratch/disk"
cp "$root"/boot/vmlinuz-* "$scratch/kernel"
cp "$root"/boot/initrd.img-* "$scratch/initrd"

section "boot"
: >"$scratch/console"
tail -n +1 -f "$scratch/console" &
reader=$!
left=$limit
for ((boot = 0; boot < boots; boot++)); do
  begun=$SECONDS
  # A reboot ends this process, and the next one begins with a cold machine.
  qemu-system-x86_64 "${accel[@]}" -cpu "$cpu" -m "$memory" -nodefaults -no-user-config -display none -nic none -no-reboot \
    -chardev "file,id=console,path=$scratch/console,append=on" -serial chardev:console -kernel "$scratch/kernel" -initrd "$scratch/initrd" \
    -append "root=/dev/vda rw console=ttyS0 quiet loglevel=4 systemd.show_status=no no_timer_check" \
    -drive "file=$scratch/disk,format=raw,if=virtio,cache=unsafe" </dev/null &
  qemu=$!
  timeout "$left" tail --pid="$qemu" -f /dev/null & # waited for, so that a signal to this script ends it at once
  wait $! || printf 'FAILED not at its end after %d s\n' "$limit"
  kill -KILL "$qemu" 2>/dev/null || true
  wait "$qemu" 2>/dev/null || true
  qemu=''
  left=$((left - SECONDS + begun))
  [ "$left" -gt 0 ] || break
done
sleep 0.5
cp "$scratch/console" "$home/console-${tree##*/}.log"
section "end"
[ "$(grep -c '^END ok' "$scratch/console")" = $boots ] && grep -q '^THE END' "$scratch/console" && ! grep -q '^FAILED' "$scratch/console"
