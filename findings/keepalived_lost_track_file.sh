#!/usr/bin/env bash
# keepalived 2.2.7 (Debian 12): a vrrp_track_file whose directory is removed and made again, as systemd does with a RuntimeDirectory when the
# service that writes the file restarts. One would expect that keepalived reads the new file. It watches the old directory, which is gone: the
# new file, with whatever content, is never read again, and the value of before holds, until keepalived is restarted.
#   fault by the first file: yes    the address stays with a new file that says the same: yes
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
ip netns add "$name"
ip -n "$name" link set lo up
ip -n "$name" link add eth0 type veth peer name eth1
ip -n "$name" addr add 198.18.0.1/24 dev eth0
ip -n "$name" link set eth0 up
ip -n "$name" link set eth1 up
mkdir "$folder/run"
echo 0 >"$folder/run/fit"
cat >"$folder/keepalived.conf" <<END
global_defs {
  vrrp_version 3
}
track_file fit {
  file "$folder/run/fit"
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
}
END
libraries=$folder/root/usr/lib/x86_64-linux-gnu:$folder/root/lib/x86_64-linux-gnu
ip netns exec "$name" env LD_LIBRARY_PATH="$libraries" "$folder/root/usr/sbin/keepalived" --dont-fork --log-console --vrrp \
  --use-file "$folder/keepalived.conf" --pid "$folder/pid" --vrrp_pid "$folder/vrrp.pid" >"$folder/log" 2>&1 &
has_address() { ip -n "$name" addr show dev eth0 | grep -q 203.0.113.10; }
becomes() { # yes|no: within five seconds
  for _ in $(seq 50); do
    if has_address; then now=yes; else now=no; fi
    [ "$now" != "$1" ] || return 0
    sleep 0.1
  done
  return 1
}
becomes yes || { cat "$folder/log" >&2; exit 1; }
echo 1 >"$folder/run/fit"
if becomes no; then first=yes; else first=no; fi
echo 0 >"$folder/run/fit"
becomes yes || { cat "$folder/log" >&2; exit 1; }
rm -r "$folder/run"
mkdir "$folder/run"
echo 1 >"$folder/run/fit"
if becomes no; then stays=no; else stays=yes; fi
seen="fault by the first file: $first    the address stays with a new file that says the same: $stays"
printf '%s\n' "$seen"
[ "$seen" = 'fault by the first file: yes    the address stays with a new file that says the same: yes' ] || {
  printf 'otherwise than described above\n' >&2
  exit 1
}
