#!/usr/bin/env bash
# The status page in a real browser: sudo tests/page.sh BUILD [DIRECTORY]
# hanatd runs in a namespace with hostile names in its configuration and its overrides; headless Chromium loads the page there, and what it
# made of it is looked at. With DIRECTORY it leaves screenshots there: phone, desk, dark. Prints "ok" and "FAILED" lines; exit status 0: all ok.
# Not here: the data and the headers (tests/unit/daemon/report, the metrics_server_test of netns).
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
# shellcheck source=tests/checks.sh
. tests/checks.sh
[ $# -ge 1 ] || {
  printf 'usage: sudo tests/page.sh BUILD [DIRECTORY]\n' >&2
  exit 2
}
build=$(realpath "$1")
pictures=${2-}
work=$(mktemp -d /tmp/hanat-page-XXXXXX)
chmod 0755 "$work"
space=hanat-page-$$
daemon=
server=
ended() {
  local pid
  for pid in $daemon $server; do kill "$pid" 2>/dev/null; done
  wait 2>/dev/null
  ip netns delete "$space" 2>/dev/null
  rm -rf "$work"
}
trap ended EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

expect() { # TEXT PATTERN FILE
  if grep -q -- "$2" "$3"; then ok "$1"; else failed "$1" "no $2 in: $(cat "$3")"; fi
}
expect_not() { # TEXT PATTERN FILE
  if grep -q -- "$2" "$3"; then failed "$1" "$(grep -m 3 -- "$2" "$3")"; else ok "$1"; fi
}
inside() { ip netns exec "$space" "$@"; }
ctl() { inside "$build/hanatctl" --socket "$work/control.sock" "$@"; }
browse() { # OPTION...
  inside timeout 60 chromium --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --hide-scrollbars \
    --user-data-dir="$work/profile" --virtual-time-budget=5000 "$@" http://127.0.0.1:9717/ 2>>"$work/chromium"
}

ip netns add "$space"
inside ip link set lo up
# A server that is up, one that is down, a service without one; 198.18.0.0/15 leads nowhere.
inside ip address add 203.0.113.10/32 dev lo
inside ip address add 198.18.11.2/32 dev lo
inside ip address add 198.18.12.2/32 dev lo
ip netns exec "$space" python3 -m http.server --bind 0.0.0.0 8443 >/dev/null 2>&1 &
server=$!
listens() { inside bash -c '</dev/tcp/198.18.11.2/8443' 2>/dev/null; }
within 20 listens || failed "a server listens"
hostile='<script>document.title=1</script><img src=x onerror=document.title=1>'
cat >"$work/hanat.toml" <<END
[hanatd]
metrics = "127.0.0.1:9717"

[service.web]
listen = ["203.0.113.10:443/tcp"]
primary = "198.18.11.2:8443"
backup = "198.18.11.2:8444"

[service.shop]
listen = ["203.0.113.10:8080/tcp"]
primary = "198.18.11.2:8443"
backup = "198.18.12.2:8443"

[service.mail]
listen = ["203.0.113.10:25/tcp"]
primary = "198.18.11.2:26"
backup = "198.18.11.2:27"
probe = { type = "exec", command = ["/bin/sh", "-c", "echo '$hostile'; exit 1"] }
END
mkdir "$work/state"
ip netns exec "$space" "$build/hanatd" --config "$work/hanat.toml" --socket "$work/control.sock" --state "$work/state" >"$work/log" 2>&1 &
daemon=$!
settled() { ctl status 2>/dev/null | grep -q 'no server is up'; }
within 20 settled || failed "hanatd runs" "$(cat "$work/log")"
ctl force-primary web --reason "$hostile" >/dev/null || failed "a hostile reason is taken" ''

browse --dump-dom >"$work/whole"
sed '/^<style>/,/<\/style>$/d; /^<script>/,/<\/script>$/d' "$work/whole" >"$work/dom"
expect "the page is live" 'live</span> at' "$work/dom"
expect "it has a summary" '<h2 id="summary">3 services, 2 problems, 0 warnings' "$work/dom"
expect "the service without a server is a problem, in words" 'class="problem"><div class="head"><span class="word problem">✖ problem</span><h3>mail</h3>' "$work/dom"
expect "lost redundancy is a problem, as in hanatctl" 'class="problem"><div class="head"><span class="word problem">✖ problem</span><h3>web</h3>' "$work/dom"
expect "and says why" 'redundancy lost: backup is down; nothing to fail over to' "$work/dom"
expect "the target is named" 'new connections go to primary (198.18.11.2:8443)' "$work/dom"
expect "a server that is down says why" '✖ down</span><span class="last soft">fail: refused' "$work/dom"
expect "the last events are there" '<b>mail</b>' "$work/dom"
if [ "$(grep -o '<h3>[a-z]*' "$work/dom" | tr '\n' ' ')" = "<h3>web <h3>mail <h3>shop " ]; then ok "problems come first"; else failed "problems come first" "$(grep -o '<h3>[a-z]*' "$work/dom")"; fi
expect "a hostile reason is text" 'forced to primary by root: &lt;script&gt;document.title=1' "$work/dom"
expect "so is a hostile probe's output" 'fail: wrong-answer (exit status 1: &lt;script&gt;document.title=1' "$work/dom"
expect_not "and both do nothing" '<title>1\|<img' "$work/dom"
expect "the new flows of each server are told" '<title>new flows: ' "$work/dom"
expect_not "nothing breaks the policy" 'Content Security Policy\|Uncaught' "$work/chromium"

if [ -n "$pictures" ]; then
  mkdir -p "$pictures"
  browse --screenshot="$pictures/phone.png" --window-size=360,1400
  browse --screenshot="$pictures/desk.png" --window-size=1400,1000
  browse --screenshot="$pictures/dark.png" --window-size=1400,1000 --blink-settings=preferredColorScheme=0
fi
[ "$failures" -eq 0 ]
