#!/usr/bin/env bash
# Debian's own servers, each probed as its operator would have it probed, while it is reloaded or restarted gracefully again and again:
#   sudo tests/servers/run.sh 12 [SECONDS]      those of Debian 12, ten minutes      (13: those of Debian 13, with Valkey)
#   sudo tests/servers/run.sh short [SECONDS]   those that the other tests need on this machine, ten seconds
# HANAT_BUILD (build/dev) has the programs. HANAT_INTERVAL="100ms" probes that often, to see what a reload does that takes less than a second;
# HANAT_SERVERS="nginx bind" probes these alone. No server may be taken for a dead one; nothing in hanatd's configuration is other than the
# default, but what is asked and with which credentials, and the patience with some servers. Prints a row for each probe: what was probed, how often, the fails with their
# reasons, how long passes took, how often the server went down. Exit status 0: no server went down, and no probe failed but of Exim, which
# really refuses connections for some milliseconds when it reads its configuration again.
# The first run makes Debian's tree with debootstrap, as tests/build_on.sh does, and keeps it in build/vm.
# Not here: the servers (servers.sh and the files that it names); right and wrong credentials (netns/probes/kinds).
set -eu
set -o pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$here"
usage() {
  printf 'usage: sudo tests/servers/run.sh 12|13|short [SECONDS]\n' >&2
  exit 2
}
case "${1-}" in
12) suite=bookworm ;;
13) suite=trixie ;;
short) suite= ;;
*) usage ;;
esac
[ $# -le 2 ] || usage
if [ "$(id -u)" -ne 0 ]; then
  printf 'tests/servers/run.sh starts servers in namespaces: run it as root\n' >&2
  exit 2
fi
seconds=${2-}
build=${HANAT_BUILD:-build/dev}
home=${HANAT_VM:-$here/build/vm}
# shellcheck source=tests/install-deps.sh
. tests/install-deps.sh
# shellcheck source=tests/debian_tree.sh
. tests/debian_tree.sh

# Exim and Postfix are both Debian's mail server, of which a system has one: Exim's program is unpacked beside it, with what it needs.
unpack_exim() { # TREE
  [ ! -x "$1/usr/sbin/exim4" ] || return 0
  # shellcheck disable=SC2016 # for the shell in the tree
  inside "$1" sh -c 'set -e; cd /tmp; apt-get -qq download exim4-daemon-light; dpkg-deb -x exim4-daemon-light_*.deb exim
    apt-get -qq -y --no-install-recommends install $(dpkg-deb -f exim4-daemon-light_*.deb Depends | tr , "\n" |
      sed -n "s/^ *\(lib[^ ]*\).*/\1/p")
    useradd -r -U -d /nonexistent -s /usr/sbin/nologin Debian-exim
    mv exim/usr/sbin/exim4 /usr/sbin/exim4' >"$home/servers.log" 2>&1 || {
    tail -n 20 "$home/servers.log"
    exit 1
  }
}
make_server_tree() { # SUITE TREE
  install_packages debootstrap
  mkdir -p "$home"
  make_tree "$1" "$2" ca-certificates,openssl,procps
  [ -e "$2/usr/sbin/policy-rc.d" ] || without_services "$2"
  local more=()
  [ "$1" = bookworm ] || more=(valkey-server)
  inside "$2" apt-get -qq -o Acquire::Check-Valid-Until=false update
  inside "$2" apt-get -qq -y -o Dpkg::Use-Pty=0 --no-install-recommends install "${server_packages[@]}" "${more[@]}" >"$home/servers.log" 2>&1 || {
    tail -n 20 "$home/servers.log"
    exit 1
  }
  unpack_exim "$2"
}

root=
servers=(nginx haproxy redis dnsmasq postfix)
seconds=${2-10}
pause=2 # between two reloads of the same server, in seconds
if [ -n "$suite" ]; then
  root=$home/$suite-servers
  servers=(nginx apache haproxy lighttpd redis postgres pgbouncer mariadb postfix exim dnsmasq unbound bind knot)
  [ "$suite" = bookworm ] || servers+=(valkey)
  seconds=${2-600}
  pause=9
fi
[ -z "${HANAT_SERVERS-}" ] || read -r -a servers <<<"$HANAT_SERVERS"

# What makes the tree and cleans up. The rest is in namespaces of its own, which end with this script and take every server along.
if [ -z "${HANAT_SERVERS_WORK-}" ]; then
  work=$(mktemp -d /tmp/hanat-servers-XXXXXX)
  chmod 755 "$work"
  inside=
  # shellcheck disable=SC2317,SC2329 # by a trap
  cleanup() {
    trap - EXIT INT TERM HUP
    if [ -n "$inside" ]; then
      kill "$inside" 2>/dev/null || true
      wait "$inside" || true
    fi
    rm -rf --one-file-system "$work"
    [ -z "$root" ] || rm -rf --one-file-system "${root:?}$work"
  }
  trap cleanup EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  # shellcheck source=tests/servers/servers.sh
  . tests/servers/servers.sh
  if [ -n "$root" ]; then make_server_tree "$suite" "$root"; else install_packages "${test_packages[@]}" "${lab_packages[@]}"; fi
  # Not as the namespace's first process: a daemon of Exim whose parent has the number 1 stays in the foreground.
  # shellcheck disable=SC2016 # for the shell inside
  HANAT_SERVERS_WORK=$work unshare --net --mount --pid --fork --kill-child=KILL --mount-proc -- bash -c '"$@"; exit $?' init "${BASH_SOURCE[0]}" "$@" &
  inside=$!
  wait "$inside"
  exit
fi
work=$HANAT_SERVERS_WORK

# The work folder has the same path in the tree. No server waits for a name of this machine: nobody answers, at once.
mount_all() {
  mount --make-rprivate /
  mkdir -p /run/netns
  mount -t tmpfs none /run/netns
  printf 'nameserver 127.0.0.1\n' >"$work/resolv.conf"
  printf '127.0.0.1 localhost %s\n' "$(uname -n)" >"$work/hosts"
  local file
  for file in resolv.conf hosts; do
    [ -e "$root/etc/$file" ] || : >"$root/etc/$file"
    mount --bind "$work/$file" "$root/etc/$file"
  done
  [ -n "$root" ] || return 0
  mkdir -p "$root$work"
  mount --bind "$work" "$root$work"
  mount -t proc none "$root/proc"
  mount --rbind /dev "$root/dev"
  mount -t tmpfs none "$root/run"
}
# hanatd here, the servers in a namespace of their own, behind it.
make_network() {
  ip link set lo up
  ip netns add servers
  ip link add servers type veth peer name gateway netns servers
  ip address add 198.18.20.254/24 dev servers
  ip address add 203.0.113.10/32 dev servers
  ip link set servers up
  local number
  for number in $(seq 15); do ip -n servers address add "198.18.20.$number/24" dev gateway; done
  ip -n servers link set lo up
  ip -n servers link set gateway up
  ip -n servers route add default via 198.18.20.254
}
make_certificates() {
  printf 'pencil\n' >"$work/password"
  chmod 600 "$work/password"
  local new=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)
  openssl req -x509 "${new[@]}" -subj '/CN=authority' -days 9 -keyout "$work/ca.key" -out "$work/ca.crt" 2>/dev/null
  openssl req "${new[@]}" -subj '/CN=server.example' -keyout "$work/server.key" -out "$work/server.csr" 2>/dev/null
  openssl x509 -req -in "$work/server.csr" -CA "$work/ca.crt" -CAkey "$work/ca.key" -CAcreateserial -days 9 \
    -extfile <(printf 'subjectAltName=DNS:server.example\n') -out "$work/server.crt" 2>/dev/null
}
ctl() { "$build/hanatctl" --socket "$work/socket" "$@"; }
start_hanatd() {
  mkdir -p "$work/state"
  "$build/hanatd" --config "$work/hanat.toml" --socket "$work/socket" --state "$work/state" >>"$work/hanatd.log" 2>&1 &
  hanatd=$!
  local deadline=$((SECONDS + 60))
  until [ "$SECONDS" -ge "$deadline" ]; do
    kill -0 "$hanatd" || break
    if metrics && [ "$(grep -c '^hanat_up{.* 1$' "$work/metrics")" -ge "${#services[@]}" ]; then return 0; fi
    sleep 0.2
  done
  printf 'FAILED: not all servers are up\n'
  ctl probe || true
  tail -n 30 "$work/start.log" "$work/hanatd.log"
  exit 1
}
metrics() { ctl metrics >"$work/metrics" 2>/dev/null; }

# The servers are not up before hanatd has seen them all: what it counts begins anew then.
start_all() {
  mount_all
  make_network
  make_certificates
  local name
  for name in "${servers[@]}"; do
    "start_$name" >>"$work/start.log" 2>&1 || {
      tail -n 20 "$work/start.log"
      printf 'FAILED: %s does not start\n' "$name"
      exit 1
    }
  done
  start_hanatd
  kill "$hanatd"
  wait "$hanatd" || true
  rm -rf "$work/state"
  : >"$work/hanatd.log"
  start_hanatd
}
reload_again_and_again() { # NAME
  turn=0
  sleep "0.$((RANDOM % 9))"
  while sleep "$pause"; do
    "reload_$1" >>"$work/reloads.log" 2>&1 || printf '%s: a reload failed\n' "$1" >>"$work/failures"
    turn=$((turn + 1))
    printf '%d\n' "$turn" >"$work/$1.turns"
  done
}
# rows: SERVICE PROBES FAILS REASONS MEAN SLOWEST of the metrics
rows() {
  awk -F '[{}]' '
    function label(name,   rest) {
      if (!match($2, name "=\"[^\"]*\"")) return ""
      rest = substr($2, RSTART + length(name) + 2, RLENGTH - length(name) - 3)
      return rest
    }
    $1 == "hanat_probe_results_total" {
      probes[label("service")] += $3
      if (label("outcome") != "pass") {
        fails[label("service")] += $3
        reasons[label("service")] = reasons[label("service")] (reasons[label("service")] == "" ? "" : ",") label("reason") ":" $3 + 0
      }
    }
    $1 == "hanat_probe_duration_seconds_bucket" {
      if ($3 + 0 > seen[label("service")] + 0) { slowest[label("service")] = label("le"); seen[label("service")] = $3 }
    }
    $1 == "hanat_probe_duration_seconds_sum" { sum[label("service")] = $3 }
    $1 == "hanat_probe_duration_seconds_count" { passes[label("service")] = $3 }
    END {
      for (one in probes)
        printf "%s %d %d %s %.2f %s\n", one, probes[one], fails[one], reasons[one] == "" ? "-" : reasons[one],
          passes[one] ? 1000 * sum[one] / passes[one] : 0, slowest[one]
    }' "$work/metrics"
}
report() {
  printf '%-22s %-12s %7s %6s %6s %9s %10s  %s\n' probe version probes failed down mean slowest reasons
  local service probes fails reasons mean slowest down=0 all_fails=0 name last=
  while read -r service probes fails reasons mean slowest; do
    name=${service%%-*}
    down=$(grep -c " $service: primary .* is down" "$work/hanatd.log" || true)
    [ "$name" = "$last" ] || version=$("version_$name")
    last=$name
    printf '%-22s %-12s %7d %6d %6d %6s ms %7s ms  %s\n' "$service" "$version" "$probes" "$fails" "$down" "$mean" \
      "$(awk -v s="$slowest" 'BEGIN { print s == "+Inf" ? ">2000" : "<" s * 1000 }')" "$reasons"
    all_fails=$((all_fails + down))
    [ "$name" = exim ] || all_fails=$((all_fails + fails))
  done < <(rows | sort)
  for name in "${servers[@]}"; do printf '%s %s, ' "$name" "$(cat "$work/$name.turns")"; done | sed 's/^/reloads: /; s/, $/\n/'
  [ "$all_fails" -eq 0 ] && [ ! -s "$work/failures" ]
}

services=()
listener=1000
for part in servers web stores mail names; do
  # shellcheck disable=SC1090 # they are beside this file
  . "tests/servers/$part.sh"
done
start_all
printf 'probing %d servers in %d ways for %d s\n' "${#servers[@]}" "${#services[@]}" "$seconds"
loops=()
for name in "${servers[@]}"; do
  reload_again_and_again "$name" &
  loops+=($!)
done
sleep "$seconds"
kill "${loops[@]}"
metrics
status=0
report || status=1
if [ "$status" -ne 0 ]; then
  printf 'FAILED\n'
  cat "$work/failures" 2>/dev/null || true
  grep -v ': found loaded rules: ' "$work/hanatd.log" | tail -n 60
fi
exit "$status"
