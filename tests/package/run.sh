#!/usr/bin/env bash
# The package as a whole: sudo tests/package/run.sh            (a quarter of an hour on two cores)
# Builds it twice, in different places, which must give the same bytes; lintian; its life under systemd (stage.sh).
#                         sudo tests/package/run.sh quick DIR  (what tests/run.sh does: three and a half minutes)
# Wraps the programs of the build in DIR instead, and leaves out what only a full build can tell.
# Prints "ok" and "FAILED" lines; exit status 0: all ok.
# shellcheck disable=SC2317 # functions that are called by name look unreachable to it
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
# shellcheck source=tests/install-deps.sh
. tests/install-deps.sh
install_packages "${build_packages[@]}" "${lab_packages[@]}" "${deb_packages[@]}" conntrack conntrackd keepalived python3 || exit 1
bad=0
scratch=$(mktemp -d "${TMPDIR:-/tmp}/hanat-package-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
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
# Not looked for: the mark of control flow integrity, which Debian 12's own objects keep from every program.
hardened() { # PACKAGE
  dpkg-deb -x "$1" "$scratch/files" && hardening-check --nocfprotection "$scratch/files/usr/sbin/hanatd" "$scratch/files/usr/bin/hanatctl"
}
# The same source with another table: what an older version was, or a newer one will be. Built from the source package alone.
otherwise() ( # PACKAGES
  dpkg-source --no-check --extract "$1"/hanat_*.dsc "$scratch/otherwise/hanat" &&
    cd "$scratch/otherwise/hanat" &&
    sed -i -E 's/(layout_version = )[0-9]+/\199/' nat/nftables/layout.hpp && grep -q 'layout_version = 99;' nat/nftables/layout.hpp &&
    sed -i 's/guard_priority = -110/guard_priority = -109/' nat/nftables/layout.cpp && grep -q 'guard_priority = -109;' nat/nftables/layout.cpp &&
    DEB_BUILD_PROFILES=nocheck DEB_BUILD_OPTIONS="nocheck noautodbgsym terse parallel=$(nproc)" dpkg-buildpackage --no-sign --build=binary
)
same_bytes() { (cd "$1" && sha256sum -- *.deb *.dsc *.tar.xz) | (cd "$2" && sha256sum --check --quiet); }

first=$scratch/first
if [ "${1-}" = quick ]; then
  expect "the package is built" packaging/build-deb.sh --programs "$2" --output "$first" || exit 1
else
  expect "the package is built" packaging/build-deb.sh --check --output "$first" || exit 1
  mkdir -p "$scratch/another/place"
  expect "and again" env CCACHE_DISABLE=1 TMPDIR="$scratch/another/place" packaging/build-deb.sh --output "$scratch/second" &&
    expect "with the same bytes" same_bytes "$first" "$scratch/second"
  install_packages "${deb_check_packages[@]}" || exit 1
  expect "its programs are hardened" hardened "$first"/hanat_*.deb
  mkdir "$scratch/otherwise"
  expect "the same with another table, from the source package" otherwise "$first" && HANAT_OLDER=$(echo "$scratch"/otherwise/hanat_*.deb)
  export HANAT_OLDER
fi
lintian --allow-root --pedantic --fail-on error,warning,pedantic "$first"/hanat_*.changes >"$scratch/lintian" 2>&1 & # most of the scenes wait
lintian=$!
tests/package/stage.sh "$first"/hanat_*.deb || bad=1
tests/package/pair.sh "$first"/hanat_*.deb || bad=1
if wait "$lintian"; then printf 'ok lintian has nothing to say\n'; else
  printf 'FAILED lintian has nothing to say\n'
  cat "$scratch/lintian"
  bad=1
fi
exit "$bad"
