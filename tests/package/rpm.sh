#!/usr/bin/env bash
# The RPM package, with Debian's rpm: sudo tests/package/rpm.sh [PROGRAMS]
# Builds packaging/rpm/hanat.spec from an archive of the last commit (which compiles; with PROGRAMS, the folder of a build, it only wraps
# those), installs it into a copy of this machine's root with its scripts, runs what was installed, upgrades and removes it.
# Prints "ok" and "FAILED" lines. Not here: Fedora. Its names of packages, its systemd and SELinux are not tried.
# shellcheck disable=SC2317 # functions that are called by name look unreachable to it
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
if [ "${HANAT_RPM_INSIDE-}" = "" ]; then
  # shellcheck source=tests/install-deps.sh
  . tests/install-deps.sh
  install_packages "${build_packages[@]}" "${lab_packages[@]}" "${rpm_packages[@]}" || exit 1
  HANAT_RPM_INSIDE=$(mktemp -d "${TMPDIR:-/tmp}/hanat-rpm-XXXXXX")
  trap 'rm -rf "$HANAT_RPM_INSIDE"' EXIT
  HANAT_RPM_INSIDE=$HANAT_RPM_INSIDE unshare --mount --net --pid --fork --kill-child --mount-proc --propagation private bash "$0" "$@"
  exit
fi
# shellcheck source=tests/checks.sh
. tests/checks.sh
scratch=$HANAT_RPM_INSIDE
programs=${1:+$(realpath "$1")}
spec=packaging/rpm/hanat.spec

expect() { # TEXT COMMAND...
  local text=$1
  shift
  if "$@" >"$scratch/said" 2>&1; then ok "$text ($SECONDS s)"; else failed "$text" "$(tail -n 40 "$scratch/said")"; fi
}
project_version() { sed -nE 's/^project\(hanat VERSION ([0-9.]+) .*/\1/p' CMakeLists.txt; }

# What the spec wants is what CMakeLists.txt looks for, by the names that every distribution has in its .pc files.
wants() { rpmspec -q --buildrequires --without check "$spec" | sed -nE 's/^pkgconfig\(([^)]*)\).*/\1/p' | sort; }
looks_for() { sed -nE 's/^pkg_check_modules\([A-Z0-9_]+ REQUIRED IMPORTED_TARGET (.*)\)$/\1/p' CMakeLists.txt | tr ' ' '\n' | sed 's/[<>=].*//' | sort; }
same_libraries() { diff <(wants) <(looks_for); }
same_version() { [ "$(rpmspec -q --srpm --queryformat '%{version}' "$spec")" = "$(project_version)" ]; }

build() {
  local top=$scratch/rpmbuild name
  name=hanat-$(project_version)
  mkdir -p "$top/SOURCES" && git -c safe.directory='*' archive --prefix="$name/" -o "$top/SOURCES/$name.tar.gz" HEAD || return 1
  # Debian's packages are not rpm's, so it cannot know that they are there: the libraries were compared above.
  rpmbuild -bb --nodeps --without check --define "_topdir $top" --define 'debug_package %{nil}' ${programs:+--define "hanat_programs $programs"} "$@" "$spec"
}
# The files that Debian's package has are in this one, too, but for what each distribution puts elsewhere or has alone.
debian_files() {
  sed -nE 's,.* debian/hanat(/[^ ]*)$,\1,p' packaging/debian/rules | grep -v -e /examples -e vendor-completions -e vendor_completions
}
has_files() {
  local list file
  list=$(rpm -qpl "$package")
  for file in $(debian_files | sed 's,^/lib/systemd,/usr/lib/systemd,') /usr/lib/sysusers.d/hanat.conf /usr/lib/systemd/system/hanatd.service \
    /usr/share/doc/hanat/two-gateways.md /usr/share/doc/hanat/examples/hooks/mail /usr/share/doc/hanat/examples/pair/keepalived.conf \
    /usr/share/man/man5/hanat.toml.5 /usr/share/man/man8/hanatctl.8 /usr/share/man/man8/hanatd.8; do
    grep -qxE "$file(\\.gz)?" <<<"$list" || { echo "missing: $file" && return 1; } # Fedora's rpmbuild compresses pages, Debian's does not
  done
  [ "$(debian_files | wc -l)" -ge 9 ] || { debian_files && return 1; }
}
requires_libraries() {
  local required library
  required=$(rpm -qp --requires "$package") && printf '%s\n' "$required" || return 1
  for library in $(objdump -p "$root/usr/sbin/hanatd" "$root/usr/bin/hanatctl" | awk '/NEEDED/ { print $2 }' | sort -u); do
    grep -q "^$library" <<<"$required" || { echo "not required: $library" && return 1; }
  done
}

root=$scratch/root
make_root() { # a machine like this one, whose changes go into memory
  mkdir -p "$scratch/memory" "$root" && mount -t tmpfs tmpfs "$scratch/memory" && mkdir "$scratch/memory/upper" "$scratch/memory/work" &&
    mount -t overlay overlay -o "lowerdir=/,upperdir=$scratch/memory/upper,workdir=$scratch/memory/work" "$root" &&
    mount -t proc proc "$root/proc" && mount --rbind /sys "$root/sys" && mount --rbind /dev "$root/dev" && mount -t tmpfs tmpfs "$root/run" &&
    rm -rf "$root/etc/hanat" "$root/var/lib/hanat" "$root/usr/sbin/hanatd" "$root/usr/bin/hanatctl" && ip link set lo up
}
in_root() { chroot "$root" "$@"; }
has_user() { in_root getent passwd hanat; }
start_hanatd() { in_root /usr/sbin/hanatd >"$scratch/hanatd.log" 2>&1 & hanatd=$!; }
answers() { in_root hanatctl status | grep -q 'no services: write one'; }
runs() {
  start_hanatd
  within 10 answers && nft list table inet hanat >/dev/null && in_root /usr/bin/hanatctl version
}
serves() { # the file of README, with a service whose servers are not there
  printf '[service.web]\nlisten = "203.0.113.10:443/tcp"\nprimary = "198.18.1.2:8443"\nbackup = "198.18.1.3:8443"\n' >"$root/etc/hanat/conf.d/web.toml" &&
    in_root hanatctl check && in_root hanatctl reload && in_root hanatctl status | grep -q web
}
keeps_what_was_edited() {
  echo '# mine' >>"$root/etc/hanat/hanat.toml" && rpm --root "$root" --nodeps -U "$newer" &&
    tail -n 1 "$root/etc/hanat/hanat.toml" | grep -q mine &&
    [ "$(rpm --root "$root" -q hanat | wc -l)" = 1 ]
}
is_gone() {
  rpm --root "$root" --nodeps -e hanat && [ ! -e "$root/usr/sbin/hanatd" ] && [ ! -e "$root/usr/lib/systemd/system/hanatd.service" ] &&
    [ -e "$root/etc/hanat/hanat.toml.rpmsave" ] && [ -e "$root/etc/hanat/conf.d/web.toml" ]
}

expect "the version is the project's" same_version
expect "the spec wants the libraries that CMakeLists.txt looks for" same_libraries
expect "rpmbuild builds it from an archive" build
package=$(find "$scratch/rpmbuild/RPMS" -name '*.rpm' 2>/dev/null | head -n 1)
[ -n "$package" ] || exit 1
cp "$package" "$scratch/first.rpm" && package=$scratch/first.rpm
expect "it has the files of Debian's package" has_files
expect "a root of its own" make_root
expect "it installs, with its scripts" rpm --root "$root" --nodeps -i "$package"
expect "rpm names every library that the programs need" requires_libraries
expect "its files are as they were built" rpm --root "$root" --nodeps -V hanat
expect "the user hanat is there" has_user
expect "hanatd runs and answers" runs
expect "it loads a service" serves
programs=${programs:-$scratch/rpmbuild/BUILD/hanat-$(project_version)/build/rpm}
mkdir "$scratch/kept" && cp "$root/usr/sbin/hanatd" "$root/usr/bin/hanatctl" "$scratch/kept" && programs=$scratch/kept
expect "a second build is made" build --define "dist .second"
newer=$(find "$scratch/rpmbuild/RPMS" -name '*.second.*.rpm' | head -n 1)
expect "an upgrade keeps the configuration" keeps_what_was_edited
kill "$hanatd" && wait "$hanatd" 2>/dev/null
expect "a removal leaves the operator's files alone" is_gone
exit "$((failures > 0))"
