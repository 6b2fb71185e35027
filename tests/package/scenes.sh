#!/usr/bin/env bash
# shellcheck disable=SC2317 # scenes are called by name
# What the installed package must do, played on a machine that is the gateway itself and has systemd as process 1: a stage of namespaces
# (stage.sh) or a virtual machine (tests/vm). Prints "ok TEXT" or "FAILED TEXT" lines and ends with "END ok" or "END failed".
#   scenes.sh FOLDER SCENE...    FOLDER holds this folder's files and the packages: hanat.deb, and older.deb for scenes that need one
# Not here: how the machine comes to be; the scenes (life_scenes.sh, traffic_scenes.sh, offload_scenes.sh).
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

# shellcheck source=tests/package/life_scenes.sh
. "$folder/life_scenes.sh"
# shellcheck source=tests/package/traffic_scenes.sh
. "$folder/traffic_scenes.sh"
# shellcheck source=tests/package/offload_scenes.sh
. "$folder/offload_scenes.sh"

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
