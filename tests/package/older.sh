#!/usr/bin/env bash
# The version before a package: tests/package/older.sh PACKAGE.deb OLDER.deb
# The same files under a lower number, with another example configuration. HANAT_OLDER=FILE.deb: that package's files instead.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
dpkg-deb -R "${HANAT_OLDER:-$1}" "$work/older"
version=$(dpkg-deb -f "$1" Version)
sed -i -E "s/^Version: .*/Version: $version~older/" "$work/older/DEBIAN/control"
echo '# as it was in the version before' >>"$work/older/etc/hanat/hanat.toml"
dpkg-deb -Znone -b "$work/older" "$2" >/dev/null
