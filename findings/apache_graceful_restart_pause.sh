#!/usr/bin/env bash
# Apache 2.4.71 (Debian 12) with its event MPM, which is the default: a graceful restart (`systemctl reload apache2`, each rotation of its logs)
# accepts no connection for up to a second. The kernel completes the handshake, and the client waits. One would expect the next children to
# begin before the old ones end; they begin when the parent, which looks once a second, finds none left.
#   longest answer without a restart: under 0.2 s    the longest of five graceful restarts: over 0.4 s
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
  apt-get -qq download apache2-bin=2.4.71-1~deb12u1 libapr1=1.7.2-3+deb12u1 libaprutil1=1.6.3-1+deb12u1 >/dev/null 2>&1
  for package in ./*.deb; do dpkg-deb -x "$package" root; done
  mkdir htdocs
  echo fine >htdocs/index.html
)
chmod -R a+rX "$folder"
modules=$folder/root/usr/lib/apache2/modules
cat >"$folder/conf" <<END
ServerRoot $folder
ServerName server.example
PidFile $folder/pid
DefaultRuntimeDir $folder
ErrorLog $folder/log
User nobody
Group nogroup
LoadModule mpm_event_module $modules/mod_mpm_event.so
LoadModule authz_core_module $modules/mod_authz_core.so
Listen 127.0.0.1:80
DocumentRoot $folder/htdocs
END
ip netns add "$name"
ip -n "$name" link set lo up
ip netns exec "$name" env LD_LIBRARY_PATH="$folder/root/usr/lib/x86_64-linux-gnu" "$folder/root/usr/sbin/apache2" -f "$folder/conf" -k start
sleep 1
longest() { # of the answers within some two seconds, each to a connection of its own, in milliseconds
  local end=$((SECONDS + 2))
  while [ "$SECONDS" -lt "$end" ]; do
    ip netns exec "$name" curl -s -o /dev/null -m 5 -w '%{time_total}\n' http://127.0.0.1/index.html
  done | sort -n | awk 'END { printf "%d", 1000 * $1 }'
}
quiet=$(longest)
restarted=0
for _ in 1 2 3 4 5; do
  (
    sleep 0.5
    kill -USR1 "$(cat "$folder/pid")"
  ) &
  now=$(longest)
  [ "$now" -le "$restarted" ] || restarted=$now
done
printf 'longest answer without a restart: %d ms\nthe longest of five graceful restarts: %d ms\n' "$quiet" "$restarted"
[ "$quiet" -lt 200 ] && [ "$restarted" -gt 400 ]
