# shellcheck shell=bash disable=SC2034 # the lists are for who sources this
# What hanat's build and tests need of Debian 12, by package name. Sourced by run.sh and demo.sh; installs only what is missing.

# to build
build_packages=(
  ca-certificates ccache cmake g++ ninja-build pkg-config
  libc-ares-dev libcurl4-openssl-dev libfmt-dev libgnutls28-dev libmicrohttpd-dev libmnl-dev libncurses-dev libnftnl-dev libnl-route-3-dev
  libre2-dev libsimdjson-dev libsodium-dev libssl-dev libsystemd-dev libtomlplusplus-dev
  libuv1-dev nlohmann-json3-dev
)
# what a configuration of the build looks for beside
build_test_packages=(libgmock-dev libgtest-dev libnetfilter-conntrack-dev)
# to run in namespaces
lab_packages=(iproute2 kmod nftables procps)
# to test
test_packages=(
  chromium conntrack conntrackd curl dnsmasq-base fish haproxy iptables keepalived mariadb-server nginx-light openssl postfix postgresql prometheus
  python3 python3-grpcio redis-server tmux udhcpc zsh
  clang-16 clang-format-16 clang-tidy-19 libclang-rt-16-dev llvm-16 shellcheck
)
# to build the package and look at it; to play it in a virtual machine (package/, vm/)
deb_packages=(autopkgtest build-essential debhelper dpkg-dev fakeroot git lintian scdoc systemd)
deb_check_packages=(devscripts)
vm_packages=(binutils debootstrap e2fsprogs qemu-system-x86)
rpm_packages=(binutils git rpm scdoc)
container_packages=(curl debootstrap podman python3 runc)

# to measure, beside what the lab needs (bench/run.sh)
bench_packages=(conntrack conntrackd gnuplot-nox haproxy keepalived mariadb-server nftlb openssl postfix postgresql redis-server)

# missing_packages NAME...: those that are not installed, one a line
missing_packages() {
  local name
  for name in "$@"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null || true)" = installed ] || printf '%s\n' "$name"
  done
}

# install_packages NAME...
install_packages() {
  local missing=()
  mapfile -t missing < <(missing_packages "$@")
  [ "${#missing[@]}" -gt 0 ] || return 0
  printf 'installing from Debian: %s\n' "${missing[*]}"
  (
    set -e
    log=$(mktemp)
    # The tests start nginx themselves, in a namespace: its package shall not start one on this machine meanwhile.
    policy=/usr/sbin/policy-rc.d
    if [ -e "$policy" ]; then policy=; else
      printf '#!/bin/sh\nexit 101\n' >"$policy"
      chmod 0755 "$policy"
    fi
    trap '[ -z "$policy" ] || rm -f "$policy"; rm -f "$log"' EXIT
    trap 'exit 143' INT TERM HUP
    export DEBIAN_FRONTEND=noninteractive
    if ! { apt-get -qq update && apt-get -qq -y -o Dpkg::Use-Pty=0 install --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
      cat "$log"
      exit 1
    fi
  )
}
