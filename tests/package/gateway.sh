#!/usr/bin/env bash
# One gateway of a pair, played on a machine that systemd boots (pair.sh): installs the package, then does what docs/two-gateways.md says, by
# the page's own commands, and with its example files as they are. Then it tells its role and carries out what it is told, for ever.
#   gateway.sh a|b   /play/role, /play/entries: what hanatctl and conntrack say; /play/todo: a command for it; /play/status, /play/log:
#                    for whoever looks for a fault
set -u
letter=$1
case $letter in
a) last=2 cable=10.0.1.1 ;;
b) last=3 cable=10.0.1.2 ;;
esac
page=/usr/share/doc/hanat/two-gateways.md.gz

sudo() { "$@"; }
# The indented lines between two lines of the page, as one script.
commands() { zcat "$page" | sed -n "/^$1/,/^$2/s/^    //p"; } # FROM TO
carry_out() { # NAME SCRIPT
  eval "$2" >/tmp/said 2>&1 || printf 'FAILED %s, gateway %s: %s\n' "$1" "$letter" "$(tail -n 20 /tmp/said)"
}

addresses() {
  until ip link show eth2 >/dev/null 2>&1; do sleep 0.05; done
  ip link set lo up
  ip address add "203.0.113.$last/24" dev eth0
  ip address add "2001:db8::$last/64" dev eth0 nodad
  ip address add "10.0.0.$last/24" dev eth1
  ip address add "fd00::$last/64" dev eth1 nodad
  ip address add "$cable/30" dev eth2
  for interface in eth0 eth1 eth2; do ip link set "$interface" up; done
}

set_up() {
  apt-get -qq -y -o Dpkg::Use-Pty=0 install /play/hanat.deb >/tmp/said 2>&1 || printf 'FAILED apt: %s\n' "$(tail -n 20 /tmp/said)"
  cd /usr/share/doc/hanat/examples/pair || return
  carry_out "the page's files" "$(commands '## 3' Certificates | grep -v '^cd ')"
  install -d -m 750 -g hanat /etc/hanat/pair
  install -m 640 -g hanat "/play/certificates/$cable"/* /etc/hanat/pair/
  [ "$letter" = a ] ||
    sed -i -E '/\(\*\)/{s/10\.0\.1\.1/B/;s/10\.0\.1\.2/10.0.1.1/;s/\bB\b/10.0.1.2/}' /etc/conntrackd/conntrackd.conf /etc/hanat/hanat.toml
  printf '[service.web]\nlisten = "203.0.113.10:443/tcp"\nprimary = "10.0.0.11:8443"\nbackup = "10.0.0.12:8443"\n' >/etc/hanat/conf.d/web.toml
  carry_out "the page's start" "$(commands '## 5' '## 6')"
}

addresses
[ -e /etc/hanat/pair ] || set_up
sysctl -q --system >/dev/null 2>&1 # which udev would do for interfaces that appear
while true; do
  hanatctl --json status 2>/dev/null | python3 -c 'import json, sys; print(json.load(sys.stdin)["daemon"]["pair"]["role"])' >/play/role.new 2>/dev/null
  conntrack -C >/play/entries.new 2>/dev/null
  { hanatctl status; hanatctl history -n 5; conntrack -L -p tcp --dport 443; journalctl -q -n 30 -u hanatd -u keepalived -u conntrackd -t hanat-pair-notify -o short-precise --no-hostname; } >/play/status 2>&1
  mv /play/role.new /play/role
  mv /play/entries.new /play/entries
  if [ -e /play/todo ]; then
    carry_out "what it was told" "$(cat /play/todo)"
    rm /play/todo
  fi
  sleep 0.1
done
