#!/usr/bin/env bash
# Builds the Debian package of this tree: packaging/build-deb.sh [--check] [--programs DIR] [--output DIR]
# The version is the project's in CMakeLists.txt; a commit before its tag (v0.1.0) adds its time and name, as in
# 0.1.0~git202611281200.1a2b3c4d, so that a later build is an upgrade, and the release is one, too; after the tag it is +git. ".dirty" is what
# has changes that are not committed. What Debian's tools want at debian/ is put there in a copy of the tree, which is this tree's own files
# and what is not yet committed: nothing here is changed. With --check the unit tests run, too.
# --programs wraps hanatd and hanatctl of a build that is there instead of compiling: for tests of the package itself.
# The packages come to build/deb, or to DIR. Two builds of one commit give the same bytes, wherever they are made.
# The build's packages (packaging/debian/control) are installed when something is missing and this is root.
set -eu
set -o pipefail
caller=$PWD
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cd "$here"

usage() {
  printf 'usage: packaging/build-deb.sh [--check] [--programs DIR] [--output DIR]\n' >&2
  exit 2
}
output=$here/build/deb
options="nocheck terse"
while [ $# -gt 0 ]; do
  case "$1" in
  --check) options=terse ;;
  --programs)
    [ $# -ge 2 ] || usage
    HANAT_PROGRAMS=$(cd "$caller" && realpath "$2")
    export HANAT_PROGRAMS
    options="nocheck terse noautodbgsym"
    shift
    ;;
  --output)
    [ $# -ge 2 ] || usage
    output=$(cd "$caller" && realpath -m "$2")
    shift
    ;;
  *) usage ;;
  esac
  shift
done

version=$(sed -nE 's/^project\(hanat VERSION ([0-9.]+) .*/\1/p' CMakeLists.txt)
[ -n "$version" ] || {
  printf 'no version in CMakeLists.txt\n' >&2
  exit 1
}
# Whose tree it is does not matter to git here: who runs this trusts it with more than its history.
git() { command git --no-optional-locks -c safe.directory="$here" "$@"; }
history=
if [ -e .git ]; then
  history=1
  changes=$(git status --porcelain) # where git refuses, it says why, and a version without its commit is not made
  if [ -n "$changes" ] || [ -z "$(git tag --points-at HEAD "v$version")" ]; then
    before='~'
    if git rev-parse -q --verify "refs/tags/v$version" >/dev/null && git merge-base --is-ancestor "v$version" HEAD; then before=+; fi
    version+=${before}git$(TZ=UTC git log -1 --date=format-local:%Y%m%d%H%M --format=%cd.%h --abbrev=8)
  fi
  [ -z "$changes" ] || version+=.dirty
fi
# A file's time, where the package has one, is the last commit's; the tree without its history has the changelog's.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(if [ -n "$history" ]; then git log -1 --format=%ct; else stat -c %Y CMakeLists.txt; fi)}
export SOURCE_DATE_EPOCH

scratch=$(mktemp -d "${TMPDIR:-/tmp}/hanat-deb-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
tree=$scratch/hanat-$version
mkdir "$tree"
if [ -n "$history" ]; then
  git ls-files -z --cached --others --exclude-standard
else
  find . -path ./build -prune -o -type f -print0
fi | while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done |
  tar --create --null --no-recursion --files-from=- | tar --extract --no-same-owner --directory "$tree"
mv "$tree/packaging/debian" "$tree/debian"
sed -e "s/@VERSION@/$version/" -e "s/@DATE@/$(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")/" "$tree/debian/changelog.in" >"$tree/debian/changelog"
rm "$tree/debian/changelog.in"
find "$tree" -type d -exec chmod 755 {} +
find "$tree" -type f -perm /111 -exec chmod 755 {} +
find "$tree" -type f ! -perm /111 -exec chmod 644 {} +
find "$tree" -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +

profiles=
[ "$options" = terse ] || profiles=nocheck
cd "$tree"
if ! dpkg-checkbuilddeps -P "$profiles" 2>/dev/null && [ "$(id -u)" -eq 0 ]; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq update
  apt-get -qq -y -o Dpkg::Use-Pty=0 install --no-install-recommends dpkg-dev build-essential fakeroot >/dev/null
  apt-get -qq -y -o Dpkg::Use-Pty=0 --no-install-recommends -P "$profiles" build-dep ./ >/dev/null
fi
# Debian's tools give a build a home of its own; a compiler's cache is taken along.
if command -v ccache >/dev/null; then
  export CMAKE_CXX_COMPILER_LAUNCHER=ccache CCACHE_DIR=${CCACHE_DIR:-$(ccache --get-config cache_dir)}
fi
DEB_BUILD_PROFILES=$profiles DEB_BUILD_OPTIONS="$options parallel=$(nproc)" dpkg-buildpackage --no-sign --build=full >"$scratch/log" 2>&1 || {
  tail -n 60 "$scratch/log" >&2
  exit 1
}
mkdir -p "$output/older"
cd "$scratch"
# Packages of before are what one goes back to.
find "$output" -maxdepth 1 -name 'hanat_*.deb' -exec mv -t "$output/older" {} +
rm -f "$output"/hanat_* "$output"/hanat-dbgsym_*
mv hanat_* "$output"
[ -n "${HANAT_PROGRAMS-}" ] || mv hanat-dbgsym_* "$output"
ls "$output"
