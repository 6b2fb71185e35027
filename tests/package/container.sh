#!/usr/bin/env bash
# The recipe for a container, tried: sudo tests/package/container.sh PACKAGE.deb     (two minutes, and what podman has to download)
# Builds the image of packaging/examples/container on a small Debian, runs it with the options that it names in the namespace of a gateway,
# and lets a client see a failover, a reload, and a restart. Prints "ok" and "FAILED" lines; exit status 0: all ok.
# shellcheck disable=SC2317 # functions that are called by name look unreachable to it
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
[ $# -eq 1 ] || {
  printf 'usage: sudo tests/package/container.sh PACKAGE.deb\n' >&2
  exit 2
}
package=$(realpath "$1")
# shellcheck source=tests/install-deps.sh
. tests/install-deps.sh
# shellcheck source=tests/checks.sh
. tests/checks.sh
install_packages "${lab_packages[@]}" "${container_packages[@]}" || exit 1

prefix=hanat-box-$$
vip=203.0.113.10
scratch=$(mktemp -d "${TMPDIR:-/tmp}/hanat-container-XXXXXX")
pids=()
bad=0
podman() { command podman --runtime runc --root "$scratch/store" --runroot "$scratch/run" --storage-driver vfs --cgroup-manager cgroupfs "$@"; }
cleanup() {
  trap - EXIT INT TERM HUP
  podman rm --force --time 1 hanat >/dev/null 2>&1
  local pid host
  for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null; done
  wait 2>/dev/null
  for host in gateway client primary backup; do ip netns delete "$prefix-$host" 2>/dev/null; done
  rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

expect() { # TEXT COMMAND...
  local text=$1
  shift
  if "$@" >"$scratch/said" 2>&1; then printf 'ok %s (%d s)\n' "$text" "$SECONDS"; else
    printf 'FAILED %s\n' "$text"
    tail -n 40 "$scratch/said"
    bad=1
    return 1
  fi
}
on() { # HOST COMMAND...
  local host=$1
  shift
  ip netns exec "$prefix-$host" "$@"
}
connect() { # HOST NUMBER
  ip -n "$prefix-gateway" link add "to-$1" type veth peer name eth0 netns "$prefix-$1" &&
    ip -n "$prefix-gateway" address add "198.18.$2.1/24" dev "to-$1" && ip -n "$prefix-gateway" link set "to-$1" up &&
    ip -n "$prefix-$1" address add "198.18.$2.2/24" dev eth0 && ip -n "$prefix-$1" link set eth0 up &&
    ip -n "$prefix-$1" route add default via "198.18.$2.1"
}
network() {
  local host
  for host in gateway client primary backup; do ip netns add "$prefix-$host" && ip -n "$prefix-$host" link set lo up || return 1; done
  connect client 1 && connect primary 2 && connect backup 3 && on gateway sysctl -q net.ipv4.ip_forward=1
}
serve() { # HOST: its name, to whoever asks
  mkdir -p "$scratch/$1" && echo "$1" >"$scratch/$1/index.html"
  ip netns exec "$prefix-$1" python3 -m http.server --directory "$scratch/$1" 8080 >/dev/null 2>&1 &
  pids+=($!)
  server=$!
}
answers() { [ "$(on client curl -s --max-time 1 "http://$vip/")" = "$1" ]; }

base() {
  local mirror
  # shellcheck disable=SC2016 # for apt to expand
  mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | head -n 1)
  debootstrap --variant=minbase bookworm "$scratch/base" "$mirror" &&
    tar -C "$scratch/base" -c . | podman import - localhost/base && rm -rf "$scratch/base"
}
image() {
  mkdir "$scratch/context" && cp packaging/examples/container/Containerfile "$package" "$scratch/context" &&
    podman build --isolation chroot --network host --build-arg BASE=localhost/base --tag hanat "$scratch/context"
}
start() {
  podman run --detach --name hanat --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --network "ns:/run/netns/$prefix-gateway" --cap-drop all --cap-add net_admin --cap-add net_raw \
    --volume "$scratch/etc:/etc/hanat:ro" --volume hanat-state:/var/lib/hanat hanat
}

expect "a network of namespaces" network || exit 1
expect "a small Debian" base || exit 1
expect "the image is built" image || exit 1
serve backup
serve primary
primary=$server
mkdir -p "$scratch/etc/conf.d"
cat >"$scratch/etc/conf.d/web.toml" <<END
[service.web]
listen = "$vip:80/tcp"
primary = "198.18.2.2:8080"
backup = "198.18.3.2:8080"
END
cp packaging/hanat.toml "$scratch/etc"
expect "it runs" start || exit 1
expect "a client reaches the primary" within 20 answers primary
kill -KILL "$primary"
expect "and then the backup" within 10 answers backup
expect "hanatctl says so" podman exec hanat sh -c 'hanatctl --json status | grep -q "\"target\": *\"backup\""'
echo 'on_none = "drop"' >>"$scratch/etc/conf.d/web.toml"
expect "a reload" podman exec hanat hanatctl reload
expect "an override" podman exec hanat hanatctl force-backup web
expect "it stops in order" podman stop --time 5 hanat
expect "its rules stay" answers backup
podman rm hanat >/dev/null
expect "another one begins" start
expect "and has the override" within 10 podman exec hanat sh -c 'hanatctl --json status | grep -q "\"forced\": *{"'
expect "clients did not notice" answers backup
exit "$bad"
