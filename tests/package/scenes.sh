#!/usr/bin/env bash
# shellcheck disable=SC2317 # scenes are called by name
# What the installed package must do, played on a machine that is the gateway itself and has systemd as process 1: a stage of namespaces
# (stage.sh) or a virtual machine (tests/vm). Prints "ok TEXT" or "FAILED TEXT" lines and ends with "END ok" or "END failed".
#   scenes.sh FOLDER SCENE...    FOLDER holds this file, peer.py and the packages: hanat.deb, and older.deb for scenes that need one
# Not here: how the machine comes to be.
set -u
folder=$1
shift
vip=203.0.113.10
vip6=2001:db8::10
bad=0
primary='' backup='' loader='' # process ids that start() sets
work=$(mktemp -d /tmp/scenes-XXXXXX)
pids=()

ok() { printf 'ok %s (%d s)\n' "$1" "$SECONDS"; }
failed() {
  bad=$((bad + 1))
  printf 'FAILED %s\n' "$1"
  shift
  [ $# -eq 0 ] || printf '  | %s\n' "$@"
}
expect() { # TEXT COMMAND...
  local text=$1 said
  shift
  if said=$("$@" 2>&1); then ok "$text"; else failed "$text" "$said"; fi
}
same() { # TEXT WANTED FOUND
  if [ "$2" = "$3" ]; then ok "$1"; else failed "$1" "wanted: $2" "found: $3"; fi
}
# Until COMMAND works, SECONDS at most; the machine may be an emulated one.
within() { # SECONDS COMMAND...
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.1
  done
}
not() { ! "$@"; }
has() { grep -q -- "$2" <<<"$1"; } # TEXT PATTERN
file_says() { [ "$(cat "$1" 2>/dev/null)" = "$2" ]; }
said() { has "$(journal -o cat)" "$1"; } # PATTERN
journal() { journalctl --no-pager -q -b -u hanatd "$@"; }

on() { # HOST COMMAND...
  local host=$1
  shift
  ip netns exec "$host" "$@"
}
start() { # VARIABLE HOST COMMAND...
  local name=$1 host=$2
  shift 2
  ip netns exec "$host" "$@" &
  printf -v "$name" %s $!
  pids+=($!)
}
end() { # PID
  kill -KILL "$1" 2>/dev/null
  wait "$1" 2>/dev/null
}
# The link gateway - HOST: 198.18.NUMBER.0/24 and fd00:NUMBER::/64
connect() { # HOST NUMBER
  local host=$1 number=$2
  ip netns add "$host" && ip -n "$host" link set lo up &&
    ip link add "to-$host" type veth peer name eth0 netns "$host" &&
    ip address add "198.18.$number.1/24" dev "to-$host" && ip address add "fd00:$number::1/64" dev "to-$host" nodad &&
    ip link set "to-$host" up &&
    ip -n "$host" address add "198.18.$number.2/24" dev eth0 && ip -n "$host" address add "fd00:$number::2/64" dev eth0 nodad &&
    ip -n "$host" link set eth0 up &&
    ip -n "$host" route add default via "198.18.$number.1" && ip -n "$host" route add default via "fd00:$number::1"
}
network() {
  ip link set lo up
  connect client 1 && connect primary 11 && connect backup 12 &&
    sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
}
serve() { # HOST
  start "$1" "$1" python3 "$folder/peer.py" serve "$1" 8443
  within 20 on "$1" python3 "$folder/peer.py" ask 127.0.0.1 8443
}
ask() { on client python3 "$folder/peer.py" ask "${1:-$vip}" 443; }
target() { hanatctl --json status web 2>/dev/null | tr -d ' \n' | sed -n 's/.*"target":"\([a-z0-9]*\)".*/\1/p'; }
tools_up() { hanatctl --json status tools | tr -d ' \n' | grep -q '"health":"up"'; }
target_is() { [ "$(target)" = "$1" ]; }
moves_to() { # TARGET SECONDS
  if within "$2" target_is "$1"; then ok "hanatd says $1"; else failed "hanatd says $1" "$(hanatctl status 2>&1)"; fi
  same "clients reach $1" "$1" "$(ask)"
}
main_pid() { systemctl show --value -p MainPID hanatd; }
flow_count() { # FAMILY VIP SERVER
  conntrack -L -f "$1" 2>/dev/null | grep " dst=$2 " | grep -c " src=$3 " || true
}
no_flows() { [ "$(flow_count "$@")" = 0 ]; }

configure() {
  cat >/etc/hanat/conf.d/web.toml <<END
[service.web]
listen  = ["$vip:443/tcp", "$vip:443/udp", "[$vip6]:443/tcp", "[$vip6]:443/udp"]
primary = ["198.18.11.2:8443", "[fd00:11::2]:8443"]
backup  = ["198.18.12.2:8443", "[fd00:12::2]:8443"]
up      = { passes = 2, stable_for = "1s" }
END
  cat >/etc/hanat/conf.d/tools.toml <<END
[service.tools]
listen  = "203.0.113.11:80/tcp"
primary = "198.18.11.2:8443"
probe   = [{ type = "icmp", timeout = "3s" }, { type = "exec", timeout = "3s", command = ["/bin/sh", "-c", "sleep 0.2; exec grep -qx 0 /proc/self/oom_score_adj"] }]
END
}

# What bears its name, or belongs to nobody.
traces() { find /etc /usr /lib /var /run -xdev \( -name '*hanat*' -o -nouser \) ! -path '/var/tmp/*' 2>/dev/null | sort; }

scene_install() {
  traces >"$folder/before"
  apt-get -qq -y -o Dpkg::Use-Pty=0 install "$folder/${1-hanat.deb}" >"$work/apt" 2>&1 || failed "apt installs the package" "$(tail -n 20 "$work/apt")"
  expect "it runs" systemctl is-active hanatd
  expect "it is enabled" systemctl is-enabled hanatd
  same "as user hanat" hanat "$(ps -o user= -p "$(main_pid)")"
  same "with two capabilities" "$(printf 'CapEff:\t%016x' $((1 << 12 | 1 << 13)))" "$(grep CapEff "/proc/$(main_pid)/status")"
  same "and nothing configured" "0 services" "$(systemctl show --value -p StatusText hanatd)"
  local exposure
  exposure=$(systemd-analyze security --no-pager hanatd 2>/dev/null | sed -nE 's/.*exposure level for [^:]*: ([0-9.]+).*/\1/p')
  if awk -v x="$exposure" 'BEGIN { exit !(x > 0 && x <= 1.8) }'; then ok "exposure $exposure"; else failed "exposure at most 1.8" "$exposure"; fi
  expect "the example says that it is right" hanatctl check
}

# On kernels of their own, whose modules can be taken away: a start that lacks one says so, and the next one that has it succeeds.
scene_modules() {
  local module
  for module in nf_conntrack_netlink nft_masq; do
    systemctl stop hanatd
    hanatd --remove
    expect "$module is unloaded" modprobe -r "$module"
    echo "install $module /bin/false" >/etc/modprobe.d/away.conf
    systemctl --no-block start hanatd
    if within 20 said "modprobe -a .*$module"; then ok "without it: $(journal -o cat | grep -m 1 "modprobe -a .*$module")"; else
      failed "without it hanatd says so" "$(journal)"
    fi
    rm /etc/modprobe.d/away.conf
    expect "with it hanatd runs" within 20 systemctl is-active hanatd
  done
}

# The package's own test, found by what its source package says of it. The stage is the container that it asks for.
scene_smoke() {
  if autopkgtest --ignore-restrictions=isolation-container "$folder/hanat.deb" "$folder"/hanat_*.dsc -- null >"$work/smoke" 2>&1; then
    ok "autopkgtest: $(grep -m 1 'PASS$' "$work/smoke")"
  else
    failed "autopkgtest" "$(tail -n 40 "$work/smoke")"
  fi
}

scene_start() {
  network || failed "the network could not be made"
  serve primary
  serve backup
  configure
  expect "systemctl reload takes the configuration" systemctl reload hanatd
  moves_to primary 20
  same "IPv6 too" primary "$(ask $vip6)"
  within 20 has_status '2 services: 2 at the primary'
  same "systemctl status has a line" "2 services: 2 at the primary" "$(systemctl show --value -p StatusText hanatd)"
  expect "icmp and exec probes work in the sandbox, a program is killed for want of memory before hanatd" within 20 tools_up
  local sandbox
  sandbox=$(zcat -f /usr/share/doc/hanat/README.Debian* | sed -n '/^    systemd-run/,/lib\/hanat\/check$/{s/[^ ]*\/check$//;s/\\$//;p}' | tr -d '\n')
  expect "a program can be tried in such a sandbox, by README.Debian's command" bash -c \
    "$sandbox /bin/sh -c '[ \"\$HANAT_PORT\" = 8443 ] && ! ls /root && ! taskset 1 true && ! pgrep -u root'"
  expect "nothing is refused by the sandbox" not has "$(journal)" 'off:\|cannot be heard\|not permitted\|refused a change'
  journal -o cat | sed -n 's/^\(IPv[46] flows are cut by.*\|on Linux .*\)/ok \1/p' | sort -u
}
has_status() { has "$(systemctl show --value -p StatusText hanatd)" "$1"; }

scene_user() {
  useradd -M lookout 2>/dev/null
  expect "a stranger may not look" not runuser -u lookout -- hanatctl status
  usermod -a -G hanat lookout
  expect "a member of the group hanat may" runuser -u lookout -- hanatctl status
  expect "but changes nothing" not runuser -u lookout -- hanatctl force-backup web
  userdel lookout
}

scene_failover() {
  end "$primary"
  moves_to backup 20
  same "IPv6 too" backup "$(ask $vip6)"
  serve primary
  moves_to primary 20
}

scene_refuse() {
  end "$primary"
  end "$backup"
  within 20 target_is none
  local before
  before=$(date +%s%N)
  same "without a fit server clients are refused" refused "$(ask)"
  same "IPv6 too" refused "$(ask $vip6)"
  printf 'ok both answers in %d ms\n' $((($(date +%s%N) - before) / 1000000))
  serve primary
  serve backup
  moves_to primary 20
}

scene_force() {
  within 20 hanatctl force-backup web --reason scene # a backup that has just come up is not up at once
  moves_to backup 5
  hanatctl auto web >/dev/null
  moves_to primary 20
}

# A server that falls silent: the flows it had must leave conntrack, and a sender's next datagram reaches the other.
scene_cut() {
  local d4 d6 s4 s6
  start d4 client python3 "$folder/peer.py" datagrams $vip 443 "$work/d4"
  start d6 client python3 "$folder/peer.py" datagrams $vip6 443 "$work/d6"
  start s4 client python3 "$folder/peer.py" stay $vip 443 "$work/s4"
  start s6 client python3 "$folder/peer.py" stay $vip6 443 "$work/s6"
  expect "datagrams reach the primary" within 20 file_says "$work/d4" primary
  expect "IPv6 too" within 20 file_says "$work/d6" primary
  expect "connections stay" within 20 file_says "$work/s4" connected
  expect "IPv6 too" within 20 file_says "$work/s6" connected
  ip -n primary link set eth0 down
  moves_to backup 20
  expect "the same socket's datagrams reach the backup" within 10 file_says "$work/d4" backup
  expect "IPv6 too" within 10 file_says "$work/d6" backup
  expect "a client that waits in silence is told" within 10 file_says "$work/s4" reset
  expect "IPv6 too" within 10 file_says "$work/s6" reset
  expect "no flow of the old server is left" within 10 no_flows ipv4 $vip 198.18.11.2
  expect "IPv6 too" within 10 no_flows ipv6 $vip6 fd00:11::2
  local pid
  for pid in "$d4" "$d6" "$s4" "$s6"; do end "$pid"; done
  ip -n primary link set eth0 up
  ip -n primary route replace default via 198.18.11.1
  ip -n primary address replace fd00:11::2/64 dev eth0 nodad
  ip -n primary route replace default via fd00:11::1
  moves_to primary 20
}

scrape() { # ADDRESS PORT
  exec 3<>"/dev/tcp/$1/$2" && printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3 && timeout 5 cat <&3
}
scene_metrics() {
  sed -i 's/^# \(metrics = "[^"]*"\).*/\1/' /etc/hanat/hanat.toml
  systemctl reload hanatd
  expect "Prometheus reads its figures in the sandbox" has "$(scrape 127.0.0.1 9717)" '^hanat_.*service="web"'
}

scene_flush() {
  nft flush ruleset
  expect "after a foreign nft flush ruleset the table stands" within 10 nft list table inet hanat
  same "and clients are served" primary "$(ask)"
}

# On kernels of their own: what Linux 6.1 and 6.12 may get wrong while an element is replaced is a client's SYN lost, never a client refused.
scene_flips() {
  sed -i '/^up /a on_forced = "keep"' /etc/hanat/conf.d/web.toml
  expect "flows may stay where they are" systemctl reload hanatd
  PAUSE=0 load_begins
  local said
  said=$(python3 "$folder/peer.py" flips web 2000 30 2>&1)
  if [ "${said%% *}" -ge 200 ]; then ok "$said"; else failed "hundreds of flips" "$said"; fi
  load_ends "none failed, none broken"
  local slowest
  slowest=$(sed -nE 's/.*slowest ([0-9]+) ms/\1/p' "$work/load")
  expect "none waited longer than for a second SYN" test "$slowest" -lt 2000
  hanatctl auto web >/dev/null
  moves_to primary 20
  sed -i '/^on_forced/d' /etc/hanat/conf.d/web.toml
  systemctl reload hanatd
}

load_begins() {
  rm -f "$work/load"
  start loader client python3 "$folder/peer.py" load $vip 443 20 "$work/load"
  within 20 file_says "$work/load" begun || failed "the load could not begin"
}
load_ends() { # TEXT
  sleep 1
  kill -TERM "$loader"
  within 20 grep -q held "$work/load"
  if grep -q ' 0 failed, 20 held, 0 broken' "$work/load"; then ok "$1: $(cat "$work/load")"; else failed "$1" "$(cat "$work/load")"; fi
}
another_pid() {
  local now
  now=$(main_pid)
  [ "$now" != 0 ] && [ "$now" != "$1" ] && systemctl is-active -q hanatd && target_is primary
}

# More often than systemd would bear of a service with its usual limit.
scene_kill() {
  local old number
  load_begins
  for number in 1 2 3 4 5 6 7; do
    old=$(main_pid)
    kill -KILL "$old"
    within 20 another_pid "$old" || failed "systemd starts it again after kill -9, the $number. time"
  done
  expect "systemd starts it again after seven kill -9" systemctl is-active hanatd
  load_ends "no connection noticed"
}

# The disk is full, and nobody reads the journal.
scene_hardship() {
  local journald
  mount -t tmpfs -o size=64k full /var/lib/hanat
  systemctl restart hanatd
  within 20 target_is primary
  dd if=/dev/zero of=/var/lib/hanat/full bs=4k 2>/dev/null
  hanatctl force-backup web >/dev/null
  moves_to backup 5
  expect "that it is lost by a restart is in the journal" within 5 said 'could not be saved: .*No space left'
  expect "it can be restarted beside a full disk" systemctl restart hanatd
  moves_to primary 20
  systemctl stop hanatd
  expect "the disk is read-only" mount -o remount,ro /var/lib/hanat
  expect "beside which it can be started, too" systemctl start hanatd
  moves_to primary 20
  mount -o remount,rw /var/lib/hanat
  rm /var/lib/hanat/full
  hanatctl auto web >/dev/null
  moves_to primary 20
  umount /var/lib/hanat
  journald=$(systemctl show --value -p MainPID systemd-journald)
  kill -STOP "$journald"
  end "$primary"
  moves_to backup 20
  serve primary
  moves_to primary 20
  kill -CONT "$journald"
  systemctl restart hanatd
  within 20 target_is primary
}

# What cannot start does not stay away for good, and no client notices.
scene_crashes() {
  mkdir -p /run/systemd/system/hanatd.service.d
  printf '[Service]\nExecStart=\nExecStart=/bin/false\n' >/run/systemd/system/hanatd.service.d/crash.conf
  systemctl daemon-reload
  load_begins
  systemctl reset-failed hanatd # counts from 0
  systemctl --no-block restart hanatd
  if within 40 restarted 6; then ok "what cannot start is started again: $(restarts) times"; else failed "what cannot start is started again" "$(restarts)"; fi
  rm -r /run/systemd/system/hanatd.service.d
  systemctl daemon-reload
  expect "until it can" within 20 target_is primary
  load_ends "no connection noticed"
}
restarts() { systemctl show --value -p NRestarts hanatd; }
restarted() { [ "$(restarts)" -ge "$1" ]; }

# A configuration of a version to come, which no copy helps against.
scene_stranger() {
  echo '[service.future]' >/etc/hanat/conf.d/future.toml
  rm -r /var/lib/hanat/accepted
  load_begins
  apt-get -qq -y -o Dpkg::Use-Pty=0 --reinstall install "$folder/hanat.deb" >"$work/apt" 2>&1
  expect "apt says that hanatd does not run, and what to do" grep -q 'hanatd does not run' "$work/apt"
  rm /etc/hanat/conf.d/future.toml
  expect "with the file corrected it is back by itself" within 20 target_is primary
  load_ends "no connection noticed"
}

scene_watchdog() {
  local old
  old=$(main_pid)
  load_begins
  kill -STOP "$old"
  expect "systemd ends and starts one that hangs" within 40 another_pid "$old"
  load_ends "no connection noticed"
  expect "by its watchdog" has "$(journal)" 'atchdog'
}

scene_reload() {
  sed -i 's/stable_for = "1s"/stable_for = "2s"/' /etc/hanat/conf.d/web.toml
  load_begins
  expect "a changed file is taken" systemctl reload hanatd
  echo 'listen = 5' >/etc/hanat/conf.d/bad.toml
  expect "a bad one is refused, and systemctl says so" not systemctl reload hanatd
  local old
  old=$(main_pid)
  kill -KILL "$old"
  expect "killed beside it, it is started with what it took last" within 20 another_pid "$old"
  expect "and says so" has "$(hanatctl status)" 'bad.toml has .*: the configuration that was accepted last is in force'
  rm /etc/hanat/conf.d/bad.toml
  expect "until a reload takes the files" systemctl reload hanatd
  expect "and does not say so any more" not has "$(hanatctl status)" 'accepted last'
  expect "and hanatd runs on" systemctl is-active hanatd
  load_ends "no connection noticed"
}

dpkg_version() { dpkg-query -W -f '${Version}' hanat; }
scene_upgrade() {
  local new older
  new=$(dpkg_version)
  echo '# kept' >>/etc/hanat/hanat.toml
  load_begins
  scene_change older.deb --allow-downgrades
  older=$(dpkg_version)
  expect "a downgrade, $new to $older" dpkg --compare-versions "$older" lt "$new"
  scene_change hanat.deb
  same "an upgrade" "$new" "$(dpkg_version)"
  load_ends "no connection noticed either"
  [ ! -e "$folder/otherwise" ] || expect "not even that the table was replaced" said 'of another layout'
  expect "the configuration is kept" grep -q '# kept' /etc/hanat/hanat.toml
  expect "the new example came beside it" test -e /etc/hanat/hanat.toml.dpkg-dist
  rm -f /etc/hanat/hanat.toml.dpkg-dist
  within 20 hanatctl force-backup web
  systemctl restart hanatd
  same "an override outlives a restart" backup "$(target)"
  hanatctl auto web >/dev/null
  within 20 target_is primary
}
scene_change() { # PACKAGE [OPTION]
  local old
  old=$(main_pid)
  apt-get -qq -y -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold ${2+"$2"} install "$folder/$1" >"$work/apt" 2>&1 ||
    failed "apt installs $1" "$(tail -n 20 "$work/apt")"
  expect "the new one runs" within 20 another_pid "$old"
}

# An entry of conntrack that a datagram made before the table stood would pin its sender.
scene_early() {
  local d4
  systemctl stop hanatd
  expect "stopped, it leaves its table" nft list table inet hanat
  expect "which hanatd --remove takes away" hanatd --remove
  expect "wholly" not nft list table inet hanat
  ip address add $vip/32 dev lo
  # Something must track connections, as every firewall's table does; hanat's own is away.
  nft add table inet tracker
  nft 'add chain inet tracker c { type filter hook prerouting priority 0; }; add rule inet tracker c ct state new'
  start d4 client python3 "$folder/peer.py" datagrams $vip 443 "$work/early"
  expect "before its start nobody answers" within 10 file_says "$work/early" refused
  expect "and an entry is there" has "$(conntrack -L -p udp 2>/dev/null)" "dst=$vip .*src=$vip "
  systemctl start hanatd
  expect "after it the same socket is answered" within 20 file_says "$work/early" primary
  end "$d4"
  ip address del $vip/32 dev lo
  nft delete table inet tracker
}

# The machine comes up with a table that drops, before the network does. Begins before a reboot, ends after it.
scene_before_reboot() {
  sed -i 's/^#net.netfilter.nf_conntrack_max = .*/net.netfilter.nf_conntrack_max = 54321/' /etc/sysctl.d/60-hanat.conf
  echo 'listen = 5' >/etc/hanat/conf.d/bad.toml
  cat >/etc/systemd/system/look.service <<END
[Unit]
Description=What stands when the network comes up
DefaultDependencies=no
After=network-pre.target local-fs.target
Before=network.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'nft list table inet hanat >$folder/at-network 2>&1'
[Install]
WantedBy=multi-user.target
END
  systemctl -q enable look
}
scene_after_reboot() {
  expect "hanatd came up with the machine" systemctl is-active hanatd
  local at
  at=$(tr -d '\n' <"$folder/at-network")
  if has "$at" "known4 {.*$vip \. \(tcp\|6\) \. 443"; then ok "before the network: the virtual address was known"; else
    failed "before the network: the virtual address was known" "$at"
  fi
  expect "and dropped" not has "$at" "map target4 {[^}]*elements"
  local ready pre
  ready=$(systemctl show --value -p ActiveEnterTimestampMonotonic hanatd)
  pre=$(systemctl show --value -p ActiveEnterTimestampMonotonic network-pre.target)
  expect "hanatd was ready $(((pre - ready) / 1000)) ms before network-pre" test "$pre" -ge "$ready"
  if ! systemd-detect-virt -q -c; then # a machine of its own, whose ifupdown and kernel came up, too
    local up
    up=$(systemctl show --value -p InactiveExitTimestampMonotonic networking)
    expect "and $(((up - ready) / 1000)) ms before interfaces were brought up" test "$up" -ge "$ready"
    same "the sysctl.d file's conntrack setting is in force" 54321 "$(sysctl -n net.netfilter.nf_conntrack_max)"
  fi
  expect "all that beside a file with an error" has "$(hanatctl status)" 'bad.toml has .*: the configuration that was accepted last is in force'
  rm /etc/hanat/conf.d/bad.toml
  expect "which is corrected" systemctl reload hanatd
  network || failed "the network could not be made"
  serve primary
  serve backup
  moves_to primary 30
}

scene_remove() {
  apt-get -qq -y -o Dpkg::Use-Pty=0 remove hanat >"$work/apt" 2>&1 || failed "apt removes it" "$(tail -n 20 "$work/apt")"
  expect "removed: its rules are gone" not nft list table inet hanat
  expect "the configuration is kept" test -e /etc/hanat/conf.d/web.toml
  apt-get -qq -y -o Dpkg::Use-Pty=0 purge hanat >"$work/apt" 2>&1 || failed "apt purges it" "$(tail -n 20 "$work/apt")"
  same "purged: nothing is left" "$(cat "$folder/before")" "$(traces)"
  expect "nor the user" not getent passwd hanat
  expect "nor the group" not getent group hanat
}

while [ $# -gt 0 ]; do
  printf -- '-- %s\n' "$1"
  "scene_$1"
  shift
done
if [ "$bad" -gt 0 ]; then
  hanatctl status 2>&1 | sed 's/^/  | /'
  journal -n 60 2>&1 | sed 's/^/  | /'
fi
{
  for pid in "${pids[@]}"; do kill -KILL "$pid"; done
  wait
} 2>/dev/null
rm -rf "$work"
if [ "$bad" -eq 0 ]; then echo 'END ok'; else echo 'END failed'; fi
