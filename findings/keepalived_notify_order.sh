#!/usr/bin/env bash
# keepalived 2.2.7 (Debian 12): two changes of a VRRP instance's state, shortly one after the other, each with its notify script. One would
# expect that the second script begins when the first has ended, so that the machine ends up as the last state wants it. Both run at the same
# time: where the first one takes longer, it ends last. A script that needs an order has to take a lock, and to ask for the state itself.
#   begun fault, begun master, ended master, ended fault
# Ends with 1 when that is otherwise. Needs root (a network namespace of its own) and Debian 12's package archive.
set -eu
folder=$(mktemp -d) name=finding-$$
cleanup() {
  disown -a # no words about their end
  ip netns pids "$name" 2>/dev/null | xargs -r kill -9
  ip netns del "$name" 2>/dev/null || true
  rm -rf "$folder"
}
trap cleanup EXIT
(
  cd "$folder"
  apt-cache depends --recurse --no-{recommends,suggests,conflicts,breaks,replaces,enhances} keepalived | grep '^lib' |
    grep -vE '^(libc6|libc-bin)$' | sort -u | xargs apt-get -qq download keepalived=1:2.2.7-1+b2 >/dev/null 2>&1
  for package in ./*.deb; do dpkg-deb -x "$package" root; done
)
chmod 755 "$folder"
ip netns add "$name"
ip -n "$name" link set lo up
ip -n "$name" link add eth0 type veth peer name eth1
ip -n "$name" addr add 198.18.0.1/24 dev eth0
ip -n "$name" link set eth0 up
ip -n "$name" link set eth1 up
cat >"$folder/notify" <<END
#!/bin/sh
echo "begun \$1" >>"$folder/order"
[ "\$1" = master ] || sleep 3
echo "ended \$1" >>"$folder/order"
END
chmod 755 "$folder/notify"
echo 0 >"$folder/fit"
cat >"$folder/keepalived.conf" <<END
global_defs {
  vrrp_version 3
  script_user root
}
track_file fit {
  file "$folder/fit"
  weight 0
}
vrrp_instance v {
  state MASTER
  interface eth0
  virtual_router_id 51
  priority 100
  advert_int 0.1
  virtual_ipaddress {
    203.0.113.10/32
  }
  track_file {
    fit
  }
  notify_master "$folder/notify master"
  notify_fault "$folder/notify fault"
}
END
libraries=$folder/root/usr/lib/x86_64-linux-gnu:$folder/root/lib/x86_64-linux-gnu
ip netns exec "$name" env LD_LIBRARY_PATH="$libraries" "$folder/root/usr/sbin/keepalived" --dont-fork --log-console --vrrp \
  --use-file "$folder/keepalived.conf" --pid "$folder/pid" --vrrp_pid "$folder/vrrp.pid" >"$folder/log" 2>&1 &
wait_for() { # TEXT: in the order
  for _ in $(seq 80); do
    grep -q "$1" "$folder/order" 2>/dev/null && return 0
    sleep 0.1
  done
  cat "$folder/log" >&2
  exit 1
}
wait_for "ended master"
: >"$folder/order"
echo 1 >"$folder/fit"
wait_for "begun fault"
echo 0 >"$folder/fit"
wait_for "ended fault"
wait_for "ended master"
seen=$(paste -sd, "$folder/order" | sed 's/,/, /g')
printf '%s\n' "$seen"
[ "$seen" = 'begun fault, begun master, ended master, ended fault' ] || {
  printf 'otherwise than described above\n' >&2
  exit 1
}
