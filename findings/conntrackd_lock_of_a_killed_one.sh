#!/usr/bin/env bash
# conntrackd 1.4.7 (Debian 12): its LockFile is not locked. It only has to be absent: whoever finds it, refuses to start. One would expect that a
# conntrackd that was killed (by the kernel that is out of memory, by the watchdog, with SIGKILL) can be started again, as its unit does; it
# cannot, until somebody removes the file. Its socket is left, too, and is no hindrance.
#   started: yes    started again after SIGKILL: no    after the lock file was removed: yes
# Ends with 1 when that is otherwise. Needs root (a network namespace of its own) and Debian 12's package archive.
set -eu
folder=$(mktemp -d) name=finding-$$
cleanup() {
  disown -a # no words about their end
  ip netns pids "$name" 2>/dev/null | xargs -r kill -9
  ip netns del "$name" 2>/dev/null || true
  rm -rf "$folder"
}
trap cleanup EXIT
(
  cd "$folder"
  apt-get -qq download conntrackd=1:1.4.7-1+b2 libnetfilter-conntrack3=1.0.9-3 libnetfilter-cthelper0 libnetfilter-queue1 libnfnetlink0 \
    >/dev/null 2>&1
  for package in ./*.deb; do dpkg-deb -x "$package" root; done
)
ip netns add "$name"
ip -n "$name" link set lo up
cat >"$folder/conntrackd.conf" <<END
Sync {
  Mode FTFW {
  }
  UDP {
    IPv4_address 127.0.0.1
    IPv4_Destination_Address 127.0.0.2
    Port 3780
    Interface lo
  }
}
General {
  LockFile $folder/lock
  UNIX {
    Path $folder/socket
  }
}
END
start() { # prints yes when it answers, no when it ends
  ip netns exec "$name" env LD_LIBRARY_PATH="$folder/root/usr/lib/x86_64-linux-gnu" "$folder/root/usr/sbin/conntrackd" -C "$folder/conntrackd.conf" \
    >"$folder/log" 2>&1 &
  pid=$!
  for _ in $(seq 50); do
    kill -0 "$pid" 2>/dev/null || { wait "$pid" || true; started=no; return; }
    if ip netns exec "$name" env LD_LIBRARY_PATH="$folder/root/usr/lib/x86_64-linux-gnu" "$folder/root/usr/sbin/conntrackd" \
      -C "$folder/conntrackd.conf" -s >/dev/null 2>&1; then
      started=yes
      return
    fi
    sleep 0.1
  done
  started=hangs
}
start
first=$started
kill -9 "$pid"
wait "$pid" 2>/dev/null || true
start
again=$started
rm -f "$folder/lock"
start
seen="started: $first    started again after SIGKILL: $again    after the lock file was removed: $started"
printf '%s\n' "$seen"
[ "$seen" = 'started: yes    started again after SIGKILL: no    after the lock file was removed: yes' ] || {
  printf 'otherwise than described above\n' >&2
  exit 1
}
