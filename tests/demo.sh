#!/usr/bin/env bash
# A failover and a failback to look at: sudo tests/demo.sh
# A client, a gateway with hanatd and two servers, each in a network namespace of its own; the primary's process is killed and started
# again while the client asks without a pause. Nothing outside these namespaces is touched. Exit status 0: the client's answers moved to
# the backup and back.
# HANAT_BUILD=DIR takes the programs of a build that is there instead of building (tests/run.sh does).
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

if [ "$(id -u)" -ne 0 ]; then
  printf 'tests/demo.sh makes network namespaces and installs packages: run it as root (sudo tests/demo.sh)\n' >&2
  exit 2
fi
# shellcheck source=tests/install-deps.sh
. tests/install-deps.sh

build=${HANAT_BUILD:-build/release}
prefix=hanat-demo-$$
vip=203.0.113.10
scratch=$(mktemp -d /tmp/hanat-demo-XXXXXX)
pids=()

title() { printf '\n== %s\n' "$1"; }
die() {
  printf '%s\n' "$1" >&2
  exit 1
}
on() { # HOST COMMAND...
  local host=$1
  shift
  ip netns exec "$prefix-$host" "$@"
}
remove_namespaces() { # of the demonstration with this process id
  local name
  for name in $(ip netns list | awk -v p="hanat-demo-$1-" 'index($1, p) == 1 {print $1}'); do ip netns delete "$name"; done
}
cleanup() {
  trap - EXIT INT TERM HUP
  local pid
  for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null; done
  wait 2>/dev/null
  remove_namespaces $$
  rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

prepare() {
  if [ -n "${HANAT_BUILD-}" ]; then
    install_packages "${lab_packages[@]}"
    return
  fi
  title "packages and build (only what is missing)"
  install_packages "${build_packages[@]}" "${build_test_packages[@]}" "${lab_packages[@]}" || return 1
  {
    cmake --preset release -DCMAKE_CXX_COMPILER_LAUNCHER=ccache &&
      cmake --build --preset release -j "$(nproc)" --target hanatd hanatctl hanat-lab-server
  } >"$scratch/build" 2>&1 && return 0
  tail -n 60 "$scratch/build"
  return 1
}

# connect HOST NUMBER: the link gateway - HOST, 198.18.NUMBER.0/24
connect() {
  local host=$1 number=$2
  ip -n "$prefix-gateway" link add "to-$host" type veth peer name eth0 netns "$prefix-$host" &&
    ip -n "$prefix-gateway" address add "198.18.$number.1/24" dev "to-$host" &&
    ip -n "$prefix-gateway" link set "to-$host" up &&
    ip -n "$prefix-$host" address add "198.18.$number.2/24" dev eth0 &&
    ip -n "$prefix-$host" link set eth0 up &&
    ip -n "$prefix-$host" route add default via "198.18.$number.1"
}
make_network() {
  local host name
  # What a demonstration that was killed with -9 left: its process is gone.
  for name in $(ip netns list | awk '/^hanat-demo-[0-9]+-/ {print $1}' | cut -d- -f3 | sort -u); do
    [ -e "/proc/$name" ] || remove_namespaces "$name"
  done
  for host in gateway client primary backup; do
    ip netns add "$prefix-$host" && ip -n "$prefix-$host" link set lo up || return 1
  done
  connect client 1 && connect primary 11 && connect backup 12 &&
    on gateway sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
}

# start NAME HOST COMMAND...: in the background; its process id goes to started and to the list of what is ended at the end
start() {
  local name=$1 host=$2
  shift 2
  # The process id is to be the program's own, so not through on(). It dies with this script, however that ends.
  setpriv --pdeathsig KILL ip netns exec "$prefix-$host" "$@" >"$scratch/$name.log" 2>&1 &
  started=$!
  pids+=("$started")
}
start_server() { start "$1" "$1" "$build/tests/hanat-lab-server" serve "$1" 8443; }
ctl() { on gateway "$build/hanatctl" --socket "$scratch/control.sock" "$@"; }
target() { ctl --json status | tr -d ' \n' | sed -n 's/.*"target":"\([a-z0-9]*\)".*/\1/p'; }
wait_target() { # ROLE SECONDS
  local i
  for ((i = 0; i < $2 * 10; i++)); do
    [ "$(target 2>/dev/null)" != "$1" ] || return 0
    sleep 0.1
  done
  printf 'the target is not %s after %d s\n' "$1" "$2"
  cat "$scratch/hanatd.log"
  return 1
}

prepare || die "the demonstration could not be built"
title "a network: client - gateway - primary, backup"
make_network || die "the network namespaces could not be made"
cat >"$scratch/hanat.toml" <<EOF
[service.web]
listen  = "$vip:443/tcp"
primary = "198.18.11.2:8443"
backup  = "198.18.12.2:8443"
up      = { passes = 2, stable_for = "2s" }
EOF
cat "$scratch/hanat.toml"
start_server primary
primary=$started
start_server backup
mkdir "$scratch/state"
start hanatd gateway "$build/hanatd" --config "$scratch/hanat.toml" --socket "$scratch/control.sock" --state "$scratch/state"
wait_target primary 10 || die "hanatd did not come up"
title "before: hanatctl status"
ctl status

title "the client asks $vip:443 a hundred times a second, each time on a new connection"
setpriv --pdeathsig KILL ip netns exec "$prefix-client" "$build/tests/hanat-lab-server" ask "$vip" 443 12 &
client=$!
pids+=("$client")
sleep 3

title "the primary's process is killed (pid $primary)"
kill -KILL "$primary"
wait "$primary" 2>/dev/null
wait_target backup 5 || die "no failover"
sleep 1
title "during: hanatctl status"
ctl status
sleep 1

title "the primary is started again; failback when it has been stable for 2 s"
start_server primary
wait_target primary 10 || die "no failback"
wait "$client"
result=$?
title "after: hanatctl status"
ctl status
title "what hanatd told the journal"
cat "$scratch/hanatd.log"
[ "$result" -eq 0 ] || die "the client's answers did not move to the backup and back"
printf '\nThe traffic moved to the backup and back.\n'
