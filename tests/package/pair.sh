#!/usr/bin/env bash
# A pair of gateways from the package, each booted by systemd on a machine of its own (boot.sh): tests/package/pair.sh PACKAGE.deb
# They are set up by the commands and files of docs/two-gateways.md (gateway.sh). Then the active one loses its power, and a client's
# connections stay; it comes back as the standby; the addresses are handed over; both are upgraded, one at a time. Prints "ok" and "FAILED" lines; exit status 0: all ok.
# Needs root, and on this machine what the package depends on, keepalived and conntrackd. Nothing outside is touched.
# shellcheck disable=SC2317 # functions that are called by name look unreachable to it
set -eu
set -o pipefail
[ $# -eq 1 ] || {
  printf 'usage: tests/package/pair.sh PACKAGE.deb\n' >&2
  exit 2
}
[ -n "${HANAT_PAIR_INSIDE-}" ] || HANAT_PAIR_INSIDE=1 exec unshare --net --mount bash "${BASH_SOURCE[0]}" "$@"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/package/boot.sh
. "$here/boot.sh"
package=$(realpath "$1")
vip=203.0.113.10
bad=0
declare -A machine group
pids=()

stage=$(mktemp -d /tmp/hanat-pair-XXXXXX)
cgroups=$(findmnt -rno TARGET -t cgroup2 | head -n 1)
cleanup() {
  trap - EXIT INT TERM HUP
  local pid letter
  for pid in "${machine[@]}" "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  umount -l "$stage" 2>/dev/null || true
  rmdir "$stage" 2>/dev/null || true
  for letter in "${!group[@]}"; do find "${group[$letter]}" -depth -type d -exec rmdir {} + 2>/dev/null || true; done
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

ok() { printf 'ok %s (%d s)\n' "$1" "$SECONDS"; }
failed() {
  bad=1
  printf 'FAILED %s\n' "$1"
  tail -n 50 "$stage"/?/play/{log,role,status} 2>/dev/null | sed 's/^/  | /'
}
expect() { # TEXT COMMAND...
  local text=$1
  shift
  if "$@"; then ok "$text"; else failed "$text"; fi
}
within() { # SECONDS COMMAND...
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.05
  done
}
on() { # HOST COMMAND...
  local host=$1
  shift
  ip netns exec "$host" "$@"
}
start() { # HOST COMMAND...
  local host=$1
  shift
  ip netns exec "$host" "$@" &
  pids+=($!)
}

bridges() {
  mount --make-rprivate /
  mkdir -p /run/netns
  mount -t tmpfs netns /run/netns
  ip link set lo up
  local bridge
  for bridge in clients servers cable; do ip link add "$bridge" type bridge && ip link set "$bridge" up; done
}
host() { # NAME BRIDGE ADDRESS/LENGTH [ROUTER]
  ip netns add "$1"
  ip link add "$1" type veth peer name eth0 netns "$1"
  ip link set "$1" master "$2" up
  ip -n "$1" link set lo up
  ip -n "$1" address add "$3" dev eth0
  ip -n "$1" link set eth0 up
  [ -z "${4-}" ] || ip -n "$1" route add default via "$4"
}
gateway() { # LETTER
  local letter=$1 folder=$stage/$1 pair
  boot_machine "$folder" "${group[$letter]}"
  machine[$letter]=$!
  within 10 not_here "${machine[$letter]}"
  for pair in clients:eth0 servers:eth1 cable:eth2; do
    ip link add "$letter-${pair#*:}" type veth peer name "${pair#*:}" netns "${machine[$letter]}"
    ip link set "$letter-${pair#*:}" master "${pair%:*}" up
  done
}
not_here() { [ "$(readlink "/proc/$1/ns/net")" != "$(readlink /proc/self/ns/net)" ]; }
power_off() { # LETTER
  local interface
  for interface in eth0 eth1 eth2; do ip link set "$1-$interface" down; done
  kill -KILL "${machine[$1]}"
  wait "${machine[$1]}" 2>/dev/null || true
  for interface in eth0 eth1 eth2; do ip link delete "$1-$interface" 2>/dev/null || true; done
}

role_is() { says "$1/play/role" "$2"; } # LETTER ROLE
asks() {
  local answer
  answer=$(on client python3 "$here/peer.py" ask "$vip" 443)
  [ "$answer" = primary ] || ! echo "a new client: $answer"
}
says() { [ "$(cat "$stage/$1" 2>/dev/null)" = "$2" ]; } # FILE TEXT
goes_on() { says "$1" connected && [ $(($(date +%s) - $(stat -c %Y "$stage/$1"))) -le 1 ]; } # FILE
has_entries() { [ "$(cat "$stage/$1/play/entries")" -ge "$2" ]; } # LETTER NUMBER
tell() { # LETTER COMMAND
  echo "$2" >"$stage/$1/play/todo.new"
  mv "$stage/$1/play/todo.new" "$stage/$1/play/todo"
}
told() { [ ! -e "$stage/$1/play/todo" ]; } # LETTER
connections_stay() { # WHEN
  sleep 3 # longer than the client's first retransmissions
  expect "busy connections go on, $1" goes_on busy
  expect "idle connections stay, $1" says idle connected
  expect "new clients are served, $1" asks
}

mount -t tmpfs -o mode=755 stage "$stage"
"$here/../../packaging/examples/pair/hanat-pair-certificates" "$stage/certificates" 10.0.1.1 10.0.1.2
bridges
host client clients 203.0.113.100/24
host primary servers 10.0.0.11/24 10.0.0.1
host backup servers 10.0.0.12/24 10.0.0.1
for name in primary backup; do start "$name" python3 "$here/peer.py" serve "$name" 8443; done
for letter in a b; do
  mkdir "$stage/$letter"
  make_machine "$stage/$letter" "exec bash /play/gateway.sh $letter"
  cp "$here/gateway.sh" "$stage/$letter/play/"
  "$here/older.sh" "$package" "$stage/$letter/play/hanat.deb"
  cp "$package" "$stage/$letter/play/newer.deb"
  cp -r "$stage/certificates" "$stage/$letter/play/"
  group[$letter]=$cgroups/${stage##*/}-$letter
  mkdir "${group[$letter]}"
  gateway "$letter"
  [ "$letter" = b ] || expect "the first gateway is active" within 90 role_is a active
done
expect "the second one is standby" within 90 role_is b standby
expect "clients are served" within 10 asks
start client python3 "$here/peer.py" busy "$vip" 443 "$stage/busy"
start client python3 "$here/peer.py" stay "$vip" 443 "$stage/idle"
within 10 says busy connected
within 10 says idle connected
sleep 1 # a connection's copy takes some milliseconds
power_off a
expect "the second one is active within two seconds of the first one's death" within 2 role_is b active
connections_stay "after the death of a gateway"
gateway a
expect "the first one comes back as the standby" within 60 role_is a standby
expect "and gets the copies" within 20 has_entries a 2
connections_stay "when it is back"
tell b "systemctl restart keepalived"
expect "a planned handover" within 5 role_is a active
expect "to and fro" within 5 role_is b standby
connections_stay "after the handover"
# One at a time, as the page says.
upgrade() { # LETTER
  tell "$1" "apt-get -qq -y -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold install /play/newer.deb"
  within 60 told "$1"
}
expect "the standby is upgraded" upgrade b
expect "and is standby" within 10 role_is b standby
# Not while its keepalived still finds that hanatd has only just started: the first one then stays.
takes_over() {
  tell a "systemctl restart keepalived"
  within 4 role_is b active
}
expect "it takes over" within 20 takes_over
expect "the other one is upgraded" upgrade a
expect "and is standby" within 10 role_is a standby
connections_stay "after upgrades"
if grep -h FAILED "$stage"/?/play/log; then bad=1; fi
exit "$bad"
