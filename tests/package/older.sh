#!/usr/bin/env bash
# The version before a package: tests/package/older.sh PACKAGE.deb OLDER.deb
# The same files under a lower number, with another configuration, and with a file of sysctls that was the package's once. HANAT_OLDER=FILE.deb: that package's files instead.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
dpkg-deb -R "${HANAT_OLDER:-$1}" "$work/older"
version=$(dpkg-deb -f "$1" Version)
sed -i -E "s/^Version: .*/Version: $version~older/" "$work/older/DEBIAN/control"
echo '# as it was in the version before' >>"$work/older/etc/hanat/hanat.toml"
sysctls=/etc/sysctl.d/60-hanat.conf
if [ ! -e "$work/older$sysctls" ]; then
  install -D -m 644 "$work/older/usr/share/doc/hanat/examples/sysctl.conf" "$work/older$sysctls"
  echo "$sysctls" >>"$work/older/DEBIAN/conffiles"
fi
dpkg-deb -Znone -b "$work/older" "$2" >/dev/null
