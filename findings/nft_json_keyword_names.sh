#!/usr/bin/env bash
# nftables 1.0.6 (Debian 12): a chain whose name is a word of nft's own language can be made through nft's JSON input, as through netlink,
# and `nft list` prints it without quotes. nft's parser refuses that listing, and with it the whole file in which it was saved:
#   $ nft -j -f chain.json; nft list table inet t >saved.nft; nft -f saved.nft
#   saved.nft:2:8-11: Error: syntax error, unexpected dnat, expecting string
# One would expect a listing of nft's to load back, or the JSON input to refuse the name. So a program that makes its tables by netlink or
# JSON must not call a chain dnat, snat, log, limit ...; the kernel takes them all.
# Ends with 1 when that is otherwise. Needs root (a network namespace of its own), and Debian 12's package archive.
set -eu
version=1.0.6-2+deb12u2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get -qq download "nftables=$version" "libnftables1=$version" >/dev/null
for package in ./*.deb; do dpkg-deb -x "$package" root; done
export LD_LIBRARY_PATH=$folder/root/usr/lib/x86_64-linux-gnu
nft=$folder/root/usr/sbin/nft
cat >chain.json <<'END'
{"nftables": [{"add": {"table": {"family": "inet", "name": "t"}}},
              {"add": {"chain": {"family": "inet", "table": "t", "name": "dnat"}}}]}
END
# shellcheck disable=SC2016 # for that bash to expand
unshare --net bash -c '
  set -eu
  "$1" -j -f chain.json
  "$1" list table inet t >saved.nft
  "$1" delete table inet t
  if "$1" -f saved.nft 2>errors; then loaded=yes; else loaded=no; fi
  cat saved.nft errors
  [ "$loaded" = no ] && grep -q "unexpected dnat, expecting string" errors' bash "$nft" || {
  printf 'otherwise than described above\n' >&2
  exit 1
}
