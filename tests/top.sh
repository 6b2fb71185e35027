#!/usr/bin/env bash
# hanatctl top on a real terminal: sudo tests/top.sh BUILD
# hanatd runs on a gateway between a client and two servers, each in a namespace; tmux is the terminal, whose screen is read and whose keys are
# pressed. Prints "ok" and "FAILED" lines; exit status 0: all ok. Not here: every line of the screen and every key (tests/unit/cli/top).
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
# shellcheck source=tests/checks.sh
. tests/checks.sh
[ $# -eq 1 ] || {
  printf 'usage: sudo tests/top.sh BUILD\n' >&2
  exit 2
}
build=$(realpath "$1")
work=$(mktemp -d /tmp/hanat-top-XXXXXX)
chmod 0755 "$work"
gateway=hanat-top-g-$$ client=hanat-top-c-$$ server=hanat-top-s-$$
daemon=
started=()
ended() {
  local pid space
  tmux -S "$work/tmux" kill-server 2>/dev/null
  [ -z "$daemon" ] || kill -CONT "$daemon" 2>/dev/null
  for pid in $daemon "${started[@]}"; do kill "$pid" 2>/dev/null; done
  wait 2>/dev/null
  for space in "$gateway" "$client" "$server"; do ip netns delete "$space" 2>/dev/null; done
  rm -rf "$work"
}
trap ended EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

on() { ip netns exec "$@"; }
ctl() { "$build/hanatctl" --socket "$work/control.sock" "$@"; }

# ---- the terminal
terminal() { tmux -S "$work/tmux" "$@"; }
screen() { terminal capture-pane -p -t top; }
press() { terminal send-keys -t top "$@"; }
answer() { # KEY: to a question, which takes time to read
  sleep 0.4
  press "$1"
}
shows() { screen | grep -q -- "$1"; }
shows_not() { ! shows "$1"; }
expect() { # TEXT PATTERN
  if within 8 shows "$2"; then ok "$1"; else failed "$1" "no $2 on: $(screen)"; fi
}
expect_not() { # TEXT PATTERN
  if within 8 shows_not "$2"; then ok "$1"; else failed "$1" "$2 on: $(screen)"; fi
}
size_is() { # COLUMNS ROWS: all of them are in use, and no more
  local text
  text=$(screen)
  [ "$(printf '%s\n' "$text" | wc -l)" -le "$2" ] && [ -z "$(printf '%s\n' "$text" | LC_ALL=C.UTF-8 awk -v most="$1" 'length($0) > most')" ] &&
    printf '%s\n' "$text" | tail -n 1 | grep -q 'q quit\|? help'
}
# The shell in the terminal notes its settings before top; and after it, with how it ended.
run_top() { # ENVIRONMENT
  rm -f "$work/before" "$work/after" "$work/status"
  press "stty -g >$work/before; env $1 $build/hanatctl --socket $work/control.sock top" Enter
}
restored() {
  [ -s "$work/after" ] && cmp -s "$work/before" "$work/after" && [ "$(terminal display-message -p -t top '#{alternate_on}')" = 0 ]
}
expect_restored() { # TEXT STATUS
  within 8 gone
  press "echo \$? >$work/status; stty -g >$work/after" Enter
  if within 8 restored && [ "$(cat "$work/status")" = "$2" ]; then ok "$1"; else
    failed "$1" "status $(cat "$work/status" 2>/dev/null), settings $(cat "$work/before" "$work/after" 2>/dev/null), screen $(screen)"
  fi
}
top_pid() { pgrep -f "^$build/hanatctl --socket $work/control.sock top"; }
begun() { [ -n "$(top_pid)" ]; }
gone() { ! begun; }

# ---- the network
for space in "$gateway" "$client" "$server"; do
  ip netns add "$space"
  ip -n "$space" link set lo up
done
ip link add to-client netns "$gateway" type veth peer name eth0 netns "$client"
ip link add to-server netns "$gateway" type veth peer name eth0 netns "$server"
ip -n "$gateway" address add 198.18.0.1/24 dev to-client
ip -n "$gateway" address add 198.18.1.1/24 dev to-server
ip -n "$client" address add 198.18.0.2/24 dev eth0
for last in 2 3 4; do ip -n "$server" address add "198.18.1.$last/24" dev eth0; done
for space in "$client" "$server"; do ip -n "$space" link set eth0 up; done
ip -n "$gateway" link set to-client up
ip -n "$gateway" link set to-server up
ip -n "$client" route add default via 198.18.0.1
ip -n "$server" route add default via 198.18.1.1
on "$gateway" sysctl -q -w net.ipv4.ip_forward=1
for last in 2 3 4; do
  mkdir "$work/$last"
  printf 'server %s\n' "$last" >"$work/$last/name"
  (cd "$work/$last" && exec ip netns exec "$server" python3 -m http.server --bind "198.18.1.$last" 8443) >/dev/null 2>&1 &
  started+=($!)
done
asked() { on "$client" curl -s -m 2 http://203.0.113.10/name; }
reaches() { # TEXT ANSWER
  local answer
  answer=$(asked)
  if [ "$answer" = "$2" ]; then ok "$1"; else failed "$1" "it got: $answer"; fi
}

cat >"$work/hanat.toml" <<'END'
[defaults]
probe = { type = "tcp", interval = "200ms", timeout = "500ms" }

[service.web]
listen = ["203.0.113.10:80/tcp"]
primary = "198.18.1.2:8443"
backup = "198.18.1.3:8443"
on_forced = "drain 40s"

[service.shop]
listen = ["203.0.113.10:81/tcp"]
primary = "198.18.1.2:8443"
backup = ["198.18.1.3:8443", "198.18.1.4:8443"]

[service.mail]
listen = ["203.0.113.10:25/tcp"]
primary = "198.18.1.2:26"
backup = "198.18.1.3:27"
END
chmod 0644 "$work/hanat.toml"
mkdir "$work/state"
begin_daemon() {
  ip netns exec "$gateway" "$build/hanatd" --config "$work/hanat.toml" --socket "$work/control.sock" --state "$work/state" >>"$work/log" 2>&1 &
  daemon=$!
}
begin_daemon
settled() { ctl status 2>/dev/null | grep -q 'no server is up' && [ "$(ctl --json status | grep -c '"health": "up"')" -ge 5 ]; }
within 20 settled || failed "hanatd runs" "$(cat "$work/log")"

env TERM=xterm-256color LC_ALL=C.UTF-8 tmux -u -S "$work/tmux" -f /dev/null new-session -d -s top -x 80 -y 24 'exec env PS1="$ " LC_ALL=C.UTF-8 sh'

# ---- what does not work says what does
error=$("$build/hanatctl" --socket "$work/control.sock" top 2>&1 </dev/null | tr '\n' ' ')
case $error in
*"stdout is none"*"hanatctl status --watch"*) ok "without a terminal it names what works without" ;;
*) failed "without a terminal it names what works without" "$error" ;;
esac
run_top TERM=dumb
expect "a terminal that cannot move its cursor is an error with a remedy" 'TERM=vt100'
press clear Enter

# ---- what is seen
run_top TERM=vt100
expect "a service without a server is first, in words" '^>!! mail  *none .*no server is up'
expect "a service that works shows its last result" '^    web  *primary .*connected'
expect "the totals" '^1 problem.*; 2 of 3 services at their primary'
expect "the last events" '^-- last events'
expect "hanatd and for how long it runs" 'hanatd .* up '
if size_is 80 24; then ok "it fills 80x24"; else failed "it fills 80x24" "$(screen)"; fi

# ---- force, with a question, moves a real client
reaches "a client reaches the primary before" "server 2"
press Down Down
expect "web is selected" '^>   web'
press f
expect "the question names the service and the server" 'Force web to backup (198.18.1.3:8443)?'
expect "and what happens to connections that stand" 'connections\{0,1\} of primary go.* 40s is cut\|primary has no connections now'
answer n
expect_not "another key than y leaves it" 'Force web'
reaches "and nothing has moved" "server 2"
press f
expect "asked again" 'Force web to backup'
answer y
expect "the answer of hanatd is shown" 'web: traffic goes to backup (198.18.1.3:8443)'
reaches "a new connection of a client reaches the backup" "server 3"
press Enter
expect "the list says by whom it is forced, and that there is no failover" '! web  *backup .*forced to backup by root'
press a
expect "auto asks, too" 'End the override of web to backup'
answer y
expect "and is answered" 'web: the override has ended'
press Enter

# ---- flows: the kernel counts them
busy() { for ((i = 0; i < 150; ++i)); do asked && sleep 0.1; done; }
busy >/dev/null &
started+=($!)
expect "the list has the service's new flows per second" '^>   web  *primary [^ ]*  *[1-9][0-9.]* '
expect "and the details those of the server that gets them" '-> primary 198.18.1.2:8443  up  [1-9][0-9.]* new flows/s'
press f
answer y
expect "forced once more" 'web: traffic goes to backup'
press Enter
expect "they follow the traffic" '-> backup 198.18.1.3:8443  up  [1-9][0-9.]* new flows/s'
press a
answer y
expect "and ended" 'web: the override has ended'
press Enter

# ---- which server; refusals
press / s h o p Enter
expect "the filter leaves one" '1 with "shop"'
press f
expect "of several servers one is chosen" 'Force shop to which server?\|2  backup 198.18.1.3:8443'
press 3
expect "by its number" 'Force shop to backup2 (198.18.1.4:8443)?'
answer Escape
press Escape
expect "Escape shows all again" '^    web\|^>   web'
press Home
expect "Home" '^>!! mail'
press f 2
expect "a server that is down says so before" 'backup is DOWN: hanatd refuses that'
answer y
expect "a refusal of hanatd is shown in words" 'NOT DONE'
press Enter
press '?'
expect "help" 'What the keys do'
press x

# ---- sizes
terminal resize-window -t top -x 40 -y 10
if within 8 size_is 40 10 && shows '^>!! mail'; then ok "it follows to 40x10"; else failed "it follows to 40x10" "$(screen)"; fi
press f 2
expect "the question is whole at 40x10" 'Force mail to backup'
expect "with its keys" 'y: do it'
answer Escape
terminal resize-window -t top -x 80 -y 24
if within 8 size_is 80 24 && within 8 shows '^-- last events'; then ok "and back to 80x24"; else failed "and back to 80x24" "$(screen)"; fi

# ---- hanatd hangs, ends, comes again
kill -9 "$daemon"
wait "$daemon" 2>/dev/null
expect "hanatd is gone: the screen says so" 'hanatd DOES NOT ANSWER'
expect "and still shows what it knew" 'mail  *none'
press d
expect "nothing can be changed then" 'nothing can be changed'
press Enter
begin_daemon
expect_not "hanatd is back: so is the screen" 'DOES NOT ANSWER'
expect "with its services" '^  *web  *primary\|^>   web'

# ---- the terminal is as it was
press q
expect_restored "q restores the terminal" 0
for signal in INT TERM HUP QUIT; do
  run_top TERM=tmux-256color
  within 8 shows 'q quit' || failed "top runs again" "$(screen)"
  kill -"$signal" "$(top_pid)"
  expect_restored "SIG$signal restores the terminal" $((128 + $(kill -l "$signal")))
done
run_top NO_COLOR=1
within 8 shows 'q quit' || failed "top runs once more" "$(screen)"
if terminal capture-pane -p -e -t top | grep -q $'\x1b\\[[0-9;]*3[0-7]m'; then failed "NO_COLOR: no colour" "$(terminal capture-pane -p -e -t top)"; else ok "NO_COLOR: no colour"; fi
press C-z
stopped() { [ "$(terminal display-message -p -t top '#{alternate_on}')" = 0 ] && shows Stopped; }
if within 8 stopped; then ok "Ctrl-Z stops it, and the terminal is the shell's"; else failed "Ctrl-Z stops it, and the terminal is the shell's" "$(screen)"; fi
press fg Enter
expect "fg brings it back" 'q quit'
kill -9 "$daemon"
wait "$daemon" 2>/dev/null
daemon=
expect "without hanatd it goes on" 'hanatd DOES NOT ANSWER'
press q
if within 8 gone; then ok "and q ends it at once"; else failed "and q ends it at once" "$(screen)"; fi
[ "$failures" -eq 0 ]
