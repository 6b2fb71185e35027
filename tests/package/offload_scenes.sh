# shellcheck shell=bash disable=SC2154,SC2317 # variables are those of scenes.sh; scenes are called by name
# Scenes of offload = true, for kernels that have flowtables (tests/vm): whose flows are on hanat's flowtable, and every transition with and
# without it. Sourced by scenes.sh. Not here: a flowtable of somebody else's (traffic_scenes.sh).

steady_vip=203.0.113.13
offload_configure() { # true|false
  sed -i "/^offload/d; /^failback/d; /^up /a offload = $1\\nfailback = { penalty = \"0s\" }" /etc/hanat/conf.d/web.toml
  cat >/etc/hanat/conf.d/steady.toml <<END
[service.steady]
listen  = "$steady_vip:443/tcp"
primary = "198.18.13.2:8443"
offload = true
[service.plain]
listen  = "203.0.113.14:443/tcp"
primary = "198.18.13.2:8443"
END
  systemctl reload hanatd
}
marked() { # VIP PROTOCOL: how many of its flows conntrack marks, and how many it has not marked
  conntrack -L -p "$2" 2>/dev/null | awk -v vip="dst=$1" '{ for (i = 1; i <= NF; i++) if (index($i, "dst=") == 1) { mine = $i == vip; break } }
    mine && /\[OFFLOAD\]/ { on++ } mine && !/\[OFFLOAD\]/ && !/TIME_WAIT|CLOSE|SYN_/ { off++ } END { printf "%d on, %d off", on, off }'
}
marked6() {
  conntrack -L -f ipv6 -p "$2" 2>/dev/null | grep "dst=$1 " | grep -c OFFLOAD
}
is_marked() { [ "$(marked "$1" "$2")" = "$3" ]; }

# One client that waits and one that asks, IPv4, and one that waits, IPv6; a UDP sender.
clients_begin() { # NAME
  start idle client python3 "$folder/peer.py" stay "$vip" 443 "$work/$1-idle"
  start busy client python3 "$folder/peer.py" busy "$vip" 443 "$work/$1-busy"
  start idle6 client python3 "$folder/peer.py" stay "$vip6" 443 "$work/$1-idle6"
  start sender client python3 "$folder/peer.py" datagrams "$vip" 443 "$work/$1-sender"
  within 20 file_says "$work/$1-idle" connected && within 20 file_says "$work/$1-busy" connected && within 20 file_says "$work/$1-idle6" connected
}
clients_end() {
  local pid
  for pid in "$idle" "$busy" "$idle6" "$sender"; do end "$pid"; done
}
# Whether packets of its clients bypass the chains, mark or not: a change of routes makes the kernel lose the mark.
watch_rules() {
  nft -f - <<END
table inet watch {
  chain forward {
    type filter hook forward priority 20
    ct original ip daddr $steady_vip counter
  }
}
END
}
seen_by_rules() { nft list chain inet watch forward | sed -nE 's/.*counter packets ([0-9]+).*/\1/p'; }
bypasses_rules() { # it asks ten times a second
  local before
  before=$(seen_by_rules)
  sleep 1
  [ $(($(seen_by_rules) - before)) -le 2 ]
}
# What becomes of them: "idle reset, busy reset, idle6 reset, sender backup"
ended() { ! file_says "$work/$1" connected; }
fate() { # NAME WHO...
  local name=$1 who list=''
  shift
  for who in "$@"; do list+=", $who $(cat "$work/$name-$who")"; done
  printf %s "${list#, }"
}
fate_is() { # NAME FATE: of those whom it names
  # shellcheck disable=SC2046 # words
  [ "$(fate "$1" $(sed -E 's/ [a-z]+(,|$)/ /g' <<<"$2"))" = "$2" ]
}
left_to_drain() {
  hanatctl --json status web | tr -d ' \n' | grep -o '"draining":\[[^]]*' | grep -o '"left":[0-9]*' | awk -F: '{ sum += $2 } END { print sum + 0 }'
}
drains_at_least() { [ "$(left_to_drain)" -ge "$1" ]; }
drains_less_than() { [ "$(left_to_drain)" -lt "$1" ]; }
on_flowtable() {
  local tcp udp # of UDP those of senders before are still there
  tcp=$(marked "$vip" tcp) udp=$(marked "$vip" udp)
  [ "$offloads" = false ] || { [ "$tcp" = "2 on, 0 off" ] && [ "$(marked6 "$vip6" tcp)" = 1 ] && [ "${udp%% *}" -ge 1 ]; }
}
# A transition, and what the clients see of it.
transition() { # NAME WANTED SECONDS COMMAND...
  local name=$offloads-$1 wanted=$2 seconds=$3
  shift 3
  clients_begin "$name" || failed "$name: clients connect"
  expect "$name: on the flowtable: $offloads" within 20 on_flowtable
  "$@"
  if within "$seconds" fate_is "$name" "$wanted"; then ok "$name: $wanted"; else failed "$name" "wanted: $wanted" "found: $(fate "$name" idle busy idle6 sender)" "$(hanatctl history web -n 3)"; fi
  local who
  for who in idle busy idle6; do
    ended "$name-$who" && printf 'ok %s: %s ended %d ms after the flip\n' "$name" "$who" "$(after_flip "$work/$name-$who")"
  done
  expect "$name: the flow of another service stays on it" bypasses_rules
  clients_end
}

kill_primary() { end "$primary"; }
cut_link() { ip -n primary link set eth0 down; }
mend_link() { # HOST NUMBER
  ip -n "$1" link set eth0 up
  ip -n "$1" route replace default via "198.18.$2.1"
  ip -n "$1" address replace "fd00:$2::2/64" dev eth0 nodad
  ip -n "$1" route replace default via "fd00:$2::1"
}
forced() { hanatctl force-backup web >/dev/null; }
forced_back() { hanatctl auto web >/dev/null; }
cut_both() {
  ip -n primary link set eth0 down
  ip -n backup link set eth0 down
}
drain() {
  hanatctl force-backup web --drain 12s >/dev/null
  local before # those of UDP senders of before, too
  expect "$offloads-drain: it counts three TCP flows, and the sender's" within 8 drains_at_least 4
  before=$(left_to_drain)
  expect "the idle one stays meanwhile" file_says "$work/$offloads-drain-idle" connected
  end "$busy"
  expect "one that ends is counted: $before were left" within 8 drains_less_than "$before"
}

matrix() { # true|false
  offloads=$1
  offload_configure "$1"
  within 20 target_is primary
  # The server's machine ends the connections of a process that is killed, by itself; the busy one's by a reset, if a request is under way.
  transition killed 'idle closed, idle6 closed, sender backup' 15 kill_primary
  within 20 target_is backup
  same "new connections reach the backup" backup "$(ask)"
  transition_back failback
  transition link 'idle reset, busy reset, idle6 reset, sender backup' 15 cut_link
  mend_link primary 11
  moves_to primary 20
  sed -i '/^up /a on_forced = "reset"' /etc/hanat/conf.d/web.toml
  systemctl reload hanatd
  transition forced 'idle reset, busy reset, idle6 reset, sender backup' 15 forced
  transition forced-back 'idle reset, busy reset, idle6 reset, sender primary' 15 forced_back
  transition drain 'idle reset, busy connected, idle6 reset, sender backup' 25 drain
  forced_back
  moves_to primary 20
  sed -i '/^on_forced/d' /etc/hanat/conf.d/web.toml
  systemctl reload hanatd
  transition none 'idle reset, busy reset, idle6 reset' 20 cut_both
  same "with no server up clients are refused" refused "$(ask)"
  mend_link primary 11
  mend_link backup 12
  moves_to primary 20
}
transition_back() { # NAME: failback
  transition "$1" 'idle reset, busy reset, idle6 reset, sender primary' 20 serve primary
  moves_to primary 20
}

scene_offload() {
  connect third 13 && serve third
  offload_configure true
  start steady client python3 "$folder/peer.py" busy "$steady_vip" 443 "$work/steady"
  start plain client python3 "$folder/peer.py" busy 203.0.113.14 443 "$work/plain"
  expect "connections of two other services" within 30 file_says "$work/steady" connected
  within 20 file_says "$work/plain" connected
  expect "those of a service with offload = true are marked" within 10 is_marked "$steady_vip" tcp "1 on, 0 off"
  expect "those of one without are not" is_marked 203.0.113.14 tcp "0 on, 1 off"
  expect "hanatctl status says so" has "$(hanatctl --json status steady | tr -d ' \n')" '"offload":true'
  expect "doctor takes the flowtable for hanat's own" not has "$(hanatctl doctor 2>&1)" flowtable
  ip link add other type dummy
  expect "a new interface belongs to it" within 5 has_device other
  ip link del other
  expect "one that is gone does not" within 5 not has_device other
  systemctl restart hanatd
  expect "a restart leaves the flows where they are" is_marked "$steady_vip" tcp "1 on, 0 off"
  expect "and adopts the table" not said 'replaced'
  watch_rules
  expect "their packets bypass the rules" bypasses_rules
  matrix true
  matrix false
  nft delete table inet watch
  expect "a client of another service has noticed nothing" file_says "$work/steady" connected
  sed -i '/^offload/d' /etc/hanat/conf.d/steady.toml
  systemctl reload hanatd
  expect "without the key there is no flowtable" within 5 not nft list flowtable inet hanat flows
  expect "and the flows go on without" within 10 is_marked "$steady_vip" tcp "0 on, 1 off"
  expect "nothing was refused" not said 'refuse[sd]* a change\|refuses hanat'
  rm /etc/hanat/conf.d/steady.toml
  sed -i '/^offload/d; /^failback/d' /etc/hanat/conf.d/web.toml
  systemctl reload hanatd
  end "$steady"
  end "$plain"
}
has_device() { nft list flowtable inet hanat flows | grep -q "\b$1\b"; }
