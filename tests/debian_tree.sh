# shellcheck shell=bash disable=SC2154 # home is for who sources this to set
# Debian in a folder: makes it with debootstrap and runs commands in it. Sourced by vm/run.sh and build_on.sh, which set `home`, the folder
# that keeps the trees. Not here: what is done in a tree.

# The one that this machine's apt uses.
# shellcheck disable=SC2016 # the names are apt's
mirror() { apt-get indextargets --format '$(LABEL) $(REPO_URI)' | awk '$1 == "Debian" && !found { print $2; found = 1 }'; }

# make_tree SUITE FOLDER PACKAGES. A folder that exists is complete.
make_tree() {
  [ ! -d "$2" ] || return 0
  printf 'making a tree of Debian %s\n' "$1"
  rm -rf --one-file-system "$2.new"
  if ! debootstrap --variant=minbase --include="$3" "$1" "$2.new" "$(mirror)" >"$home/debootstrap.log" 2>&1; then
    tail -n 20 "$home/debootstrap.log"
    exit 1
  fi
  mv "$2.new" "$2"
}
inside() { # FOLDER COMMAND...
  local root=$1
  shift
  chroot "$root" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 "$@"
}
without_services() { # FOLDER
  printf '#!/bin/sh\nexit 101\n' >"$1/usr/sbin/policy-rc.d"
  chmod 755 "$1/usr/sbin/policy-rc.d"
}
