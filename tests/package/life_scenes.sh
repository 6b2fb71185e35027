# shellcheck shell=bash disable=SC2154,SC2317 # variables are those of scenes.sh; scenes are called by name
# Scenes of the package and its daemon: install, start, crash, reload, upgrade, reboot, remove. Sourced by scenes.sh.
# Not here: what clients see of a failover (traffic_scenes.sh).

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
  if awk -v x="$exposure" 'BEGIN { exit !(x > 0 && x <= 2.0) }'; then ok "exposure $exposure"; else failed "exposure at most 2.0" "$exposure"; fi
  # A container may refuse its systemd the limit.
  same "its loop comes before busy programs" "$(awk '/^Max nice/ { print $4 >= 30 ? -10 : 0 }' "/proc/$(main_pid)/limits")" "$(ps -o ni= -p "$(main_pid)" | tr -d ' ')"
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
  same "IPv6 too" primary "$(ask "$vip6")"
  within 20 has_status '2 services: 2 at the primary'
  same "systemctl status has a line" "2 services: 2 at the primary" "$(systemctl show --value -p StatusText hanatd)"
  expect "icmp and exec probes work in the sandbox, a program is killed for want of memory before hanatd" within 20 tools_up
  local sandbox
  sandbox=$(zcat -f /usr/share/doc/hanat/README.Debian* | sed -n '/^    systemd-run/,/lib\/hanat\/check$/{s/[^ ]*\/check$//;s/\\$//;p}' | tr -d '\n')
  expect "a program can be tried in such a sandbox, by README.Debian's command" bash -c \
    "$sandbox /bin/sh -c '[ \"\$HANAT_PORT\" = 8443 ] && ! ls /root && ! taskset 1 true && ! pgrep -u root'"
  expect "nothing is refused by the sandbox" not has "$(journal)" 'off:\|clients cannot be read\|not permitted\|refused a change'
  journal -o cat | sed -n 's/^\(IPv[46] flows are cut by.*\|started on Linux .*\)/ok \1/p' | sort -u
}
has_status() { has "$(systemctl show --value -p StatusText hanatd)" "$1"; }

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
  echo '# forwarding' >>/etc/sysctl.d/60-hanat.conf
  scene_change hanat.deb
  same "an upgrade" "$new" "$(dpkg_version)"
  load_ends "no connection noticed either"
  [ ! -e "$folder/otherwise" ] || expect "not even that the table was replaced" said 'of another layout'
  expect "the configuration is kept" grep -q '# kept' /etc/hanat/hanat.toml
  expect "the new example came beside it" test -e /etc/hanat/hanat.toml.dpkg-dist
  rm -f /etc/hanat/hanat.toml.dpkg-dist
  expect "sysctls in the file that an older package brought are kept" grep -q '# forwarding' /etc/sysctl.d/60-hanat.conf
  same "and the file is the operator's now" "" "$(dpkg-query --show --showformat='${Conffiles}' hanat | grep sysctl)"
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
  ip address add "$vip/32" dev lo
  # Something must track connections, as every firewall's table does; hanat's own is away.
  nft add table inet tracker
  nft 'add chain inet tracker c { type filter hook prerouting priority 0; }; add rule inet tracker c ct state new'
  start d4 client python3 "$folder/peer.py" datagrams "$vip" 443 "$work/early"
  expect "before its start nobody answers" within 10 file_says "$work/early" refused
  expect "and an entry is there" has "$(conntrack -L -p udp 2>/dev/null)" "dst=$vip .*src=$vip "
  systemctl start hanatd
  expect "after it the same socket is answered" within 20 file_says "$work/early" primary
  end "$d4"
  ip address del "$vip/32" dev lo
  nft delete table inet tracker
}

# The machine comes up with a table that drops, before the network does. Begins before a reboot, ends after it.
scene_before_reboot() {
  sed 's/^#net.netfilter.nf_conntrack_max = .*/net.netfilter.nf_conntrack_max = 54321/' /usr/share/doc/hanat/examples/sysctl.conf >/etc/sysctl.d/60-hanat.conf
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
  if has "$at" "vips4 {.*$vip \. \(tcp\|6\) \. 443"; then ok "before the network: the virtual address was known"; else
    failed "before the network: the virtual address was known" "$at"
  fi
  expect "and dropped" not has "$at" "map dnat4 {[^}]*elements"
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
  echo '# forwarding' >>/etc/sysctl.d/60-hanat.conf
  apt-get -qq -y -o Dpkg::Use-Pty=0 remove hanat >"$work/apt" 2>&1 || failed "apt removes it" "$(tail -n 20 "$work/apt")"
  expect "removed: its rules are gone" not nft list table inet hanat
  expect "the configuration is kept" test -e /etc/hanat/conf.d/web.toml
  apt-get -qq -y -o Dpkg::Use-Pty=0 purge hanat >"$work/apt" 2>&1 || failed "apt purges it" "$(tail -n 20 "$work/apt")"
  expect "the operator's sysctls are kept" test -e /etc/sysctl.d/60-hanat.conf
  rm -f /etc/sysctl.d/60-hanat.conf
  same "purged: nothing is left" "$(cat "$folder/before")" "$(traces)"
  expect "nor the user" not getent passwd hanat
  expect "nor the group" not getent group hanat
}

# An event leaves the sandbox, in which nothing could write there.
scene_hook() {
  cat >/etc/hanat/hooks/outside <<'END'
#!/bin/sh
grep -q "\"to\":\"$HANAT_TO\"" && echo "$HANAT_SERVICE $HANAT_TO $(id -un)" >/var/tmp/told
END
  chmod 777 /etc/hanat/hooks/outside
  sed -i '/^listen/i hook = ["/etc/hanat/hooks/outside"]' /etc/hanat/conf.d/web.toml
  expect "a hook that everyone can write is refused" not systemctl reload hanatd
  chmod 755 /etc/hanat/hooks/outside
  sed -i 's,^hook.*,hook = ["/usr/lib/hanat/hanat-hook"\, "outside"],' /etc/hanat/conf.d/web.toml
  expect "systemctl enables the unit of a hook" systemctl enable --now hanat-hook@outside.path
  expect "systemctl reload takes the hook" systemctl reload hanatd
  hanatctl force-backup web >/dev/null
  if within 20 file_says /var/tmp/told "web backup hanat"; then ok "an event leaves the sandbox"; else
    failed "an event leaves the sandbox" "$(ls -lR /run/hanat/hooks 2>&1)" "$(journal -n 10)" "$(journalctl --no-pager -n 10 -u 'hanat-hook@*')"
  fi
  expect "and its unit ends well" within 20 not systemctl -q is-failed hanat-hook@outside.service
  hanatctl auto web >/dev/null
  expect "and again" within 20 file_says /var/tmp/told "web primary hanat"
  moves_to primary 20
  systemctl -q disable --now hanat-hook@outside.path
  rm -f /var/tmp/told /etc/hanat/hooks/outside
  configure
  systemctl reload hanatd
}
