#!/usr/bin/env bash
# lighttpd 1.4.69 (Debian 12): a graceful restart (SIGUSR1, which is `systemctl reload lighttpd`) begins by waiting until every connection has
# ended, and accepts no other one meanwhile. One client that keeps its connection open without a request is enough: all others wait for a
# second or more. One would expect the old process to keep its connections while the new one takes the next. It does with
# server.feature-flags = ( "server.graceful-restart-bg" => "enable" ), which is not the default.
#   longest answer: without a restart under 0.2 s, with one under 0.3 s, with one and an idle connection over 0.8 s
# Ends with 1 when that is otherwise. Needs root (a network namespace of its own), curl and Debian 12's package archive.
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
  apt-get -qq download lighttpd=1.4.69-1 libxxhash0=0.8.1-1 libnettle8=3.8.1-2 >/dev/null 2>&1
  for package in ./*.deb; do dpkg-deb -x "$package" root; done
  mkdir htdocs
  echo fine >htdocs/index.html
)
cat >"$folder/conf" <<END
server.modules = ()
server.document-root = "$folder/htdocs"
server.errorlog = "$folder/log"
server.pid-file = "$folder/pid"
server.bind = "127.0.0.1"
server.port = 80
index-file.names = ( "index.html" )
END
ip netns add "$name"
ip -n "$name" link set lo up
ip netns exec "$name" env LD_LIBRARY_PATH="$folder/root/usr/lib/x86_64-linux-gnu" "$folder/root/usr/sbin/lighttpd" \
  -m "$folder/root/usr/lib/lighttpd" -f "$folder/conf"
sleep 1
longest() { # of the answers within some two seconds, each to a connection of its own, in milliseconds
  local end=$((SECONDS + 2))
  while [ "$SECONDS" -lt "$end" ]; do
    ip netns exec "$name" curl -s -o /dev/null -m 9 -w '%{time_total}\n' http://127.0.0.1/
  done | sort -n | awk 'END { printf "%d", 1000 * $1 }'
}
restart() {
  sleep 0.5
  kill -USR1 "$(cat "$folder/pid")"
}
quiet=$(longest)
restart &
alone=$(longest)
sleep 1
idle=0
for _ in 1 2 3; do
  ip netns exec "$name" bash -c 'exec 3<>/dev/tcp/127.0.0.1/80; printf "GET / HTTP/1.1\r\nHost: a\r\n\r\n" >&3; sleep 3' &
  sleep 0.3
  restart &
  now=$(longest)
  [ "$now" -le "$idle" ] || idle=$now
  sleep 1
done
printf 'longest answer: without a restart %d ms, with one %d ms, with one and an idle connection %d ms\n' "$quiet" "$alone" "$idle"
[ "$quiet" -lt 200 ] && [ "$alone" -lt 300 ] && [ "$idle" -gt 800 ]
