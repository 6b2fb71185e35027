# shellcheck shell=bash disable=SC2154,SC2317 # variables are those of scenes.sh; scenes are called by name
# Scenes of traffic: who may steer it, failover, refusal, overrides, cuts, flips under load; and a benchmark. Sourced by scenes.sh.
# Not here: the life of the package (life_scenes.sh).

scene_user() {
  useradd -M lookout 2>/dev/null
  expect "a stranger may not look" not runuser -u lookout -- hanatctl status
  usermod -a -G hanat lookout
  expect "a member of the group hanat may" runuser -u lookout -- hanatctl status
  expect "but changes nothing" not runuser -u lookout -- hanatctl force-backup web
  userdel lookout
}

recorded() { [ -n "$(journal "HANAT_EVENT=$1" HANAT_SERVICE=web)" ]; } # EVENT
scene_failover() {
  end "$primary"
  moves_to backup 20
  same "IPv6 too" backup "$(ask "$vip6")"
  local event
  for event in health flip cut; do expect "journalctl finds the event $event by its field" within 5 recorded "$event"; done
  expect "and the reason of the flip" has "$(journal -o cat HANAT_WHY=failover HANAT_FROM=primary HANAT_TO=backup)" 'new connections go from'
  expect "journalctl -x says what to do" has "$(journal -x HANAT_EVENT=flip)" 'mend the server that went down'
  serve primary
  moves_to primary 20
}

scene_refuse() {
  end "$primary"
  end "$backup"
  within 20 target_is none
  local before
  before=$(date +%s%N)
  same "with no server up clients are refused" refused "$(ask)"
  same "IPv6 too" refused "$(ask "$vip6")"
  printf 'ok both answers in %d ms\n' $((($(date +%s%N) - before) / 1000000))
  serve primary
  serve backup
  moves_to primary 20
}

scene_force() {
  within 20 hanatctl force-backup web --reason scene # a backup that has just come up is not up at once
  moves_to backup 5
  hanatctl auto web >/dev/null
  moves_to primary 20
}

# A server that falls silent: the flows it had must leave conntrack, and a sender's next datagram reaches the other.
scene_cut() {
  local d4 d6 s4 s6
  start d4 client python3 "$folder/peer.py" datagrams "$vip" 443 "$work/d4"
  start d6 client python3 "$folder/peer.py" datagrams "$vip6" 443 "$work/d6"
  start s4 client python3 "$folder/peer.py" stay "$vip" 443 "$work/s4"
  start s6 client python3 "$folder/peer.py" stay "$vip6" 443 "$work/s6"
  expect "datagrams reach the primary" within 20 file_says "$work/d4" primary
  expect "IPv6 too" within 20 file_says "$work/d6" primary
  expect "connections stay" within 20 file_says "$work/s4" connected
  expect "IPv6 too" within 20 file_says "$work/s6" connected
  ip -n primary link set eth0 down
  moves_to backup 20
  expect "the same socket's datagrams reach the backup" within 10 file_says "$work/d4" backup
  expect "IPv6 too" within 10 file_says "$work/d6" backup
  expect "a client that waits in silence is told" within 10 file_says "$work/s4" reset
  expect "IPv6 too" within 10 file_says "$work/s6" reset
  expect "no flow of the old server is left" within 10 no_flows ipv4 "$vip" 198.18.11.2
  expect "IPv6 too" within 10 no_flows ipv6 "$vip6" fd00:11::2
  local pid
  for pid in "$d4" "$d6" "$s4" "$s6"; do end "$pid"; done
  ip -n primary link set eth0 up
  ip -n primary route replace default via 198.18.11.1
  ip -n primary address replace fd00:11::2/64 dev eth0 nodad
  ip -n primary route replace default via fd00:11::1
  moves_to primary 20
}

# A flowtable of somebody else's: its flows bypass every rule of the forward path, hanat's guard too. Only on kernels that have flowtables.
offloaded() { # COUNT
  [ "$(conntrack -L -p tcp 2>/dev/null | grep -c 'dst=203.0.113.10 .*OFFLOAD')" -ge "$1" ]
}
drains() { has "$(hanatctl --json status web | tr -d ' \n')" "\"draining\":\[{[^]]*\"left\":$1[,}]"; } # FLOWS
# From the flip to the moment at which FILE was written, in milliseconds. The kernel stamps files with its last tick.
after_flip() { # FILE
  local at
  at=$(hanatctl --json status web | tr -d ' \n' | sed -n 's/.*"last_flip":{[^}]*"at":"\([^"]*\)".*/\1/p')
  awk -v file="$(stat -c %.3Y "$1")" -v at="$(date -d "$at" +%s.%N)" 'BEGIN { printf "%d", (file - at) * 1000 }'
}
scene_flowtable() {
  local idle busy took
  nft -f - <<END
table inet offloaders {
  flowtable ft {
    hook ingress priority 0
    devices = { to-client, to-primary, to-backup }
  }
  chain forward {
    type filter hook forward priority 0
    meta l4proto tcp ct state established flow add @ft
  }
}
END
  start idle client python3 "$folder/peer.py" stay "$vip" 443 "$work/idle"
  start busy client python3 "$folder/peer.py" busy "$vip" 443 "$work/busy"
  expect "two connections" within 20 file_says "$work/idle" connected
  within 20 file_says "$work/busy" connected
  expect "are offloaded by a foreign flowtable" within 10 offloaded 2
  sed -i '/^up /a on_forced = "drain 10s"' /etc/hanat/conf.d/web.toml
  systemctl reload hanatd
  hanatctl force-backup web >/dev/null
  expect "a drain counts both" within 8 drains 2
  expect "the idle one stays meanwhile" file_says "$work/idle" connected
  hanatctl auto web >/dev/null
  moves_to primary 20
  expect "it stays with its server, which has the traffic again" file_says "$work/idle" connected
  expect "so does the busy one" file_says "$work/busy" connected
  sed -i 's/^on_forced.*/on_forced = "reset"/' /etc/hanat/conf.d/web.toml
  systemctl reload hanatd
  expect "both are offloaded again, or still" within 10 offloaded 2
  hanatctl force-backup web >/dev/null
  expect "the idle client is reset" within 10 file_says "$work/idle" reset
  expect "the busy client is reset" within 10 file_says "$work/busy" reset
  for took in idle busy; do
    expect "with the flip, $took: $(after_flip "$work/$took") ms, before TCP is cut" test "$(after_flip "$work/$took")" -lt 900
  done
  expect "both are counted" within 10 said 'cut [0-9]* TCP.*(2 offloaded to a flowtable)'
  expect "no flow of the old server is left" within 10 no_flows ipv4 "$vip" 198.18.11.2
  hanatctl auto web >/dev/null
  moves_to primary 20
  sed -i '/^on_forced/d' /etc/hanat/conf.d/web.toml
  systemctl reload hanatd
  nft delete table inet offloaders
  end "$idle"
  end "$busy"
}

scrape() { # ADDRESS PORT
  exec 3<>"/dev/tcp/$1/$2" && printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3 && timeout 5 cat <&3
}
scene_metrics() {
  sed -i '/^\[hanatd\]/a metrics = "127.0.0.1:9717"' /etc/hanat/hanat.toml
  systemctl reload hanatd
  expect "Prometheus reads its figures in the sandbox" has "$(scrape 127.0.0.1 9717)" '^hanat_.*service="web"'
}

scene_flush() {
  nft flush ruleset
  expect "after a foreign nft flush ruleset the table stands" within 10 nft list table inet hanat
  same "and clients are served" primary "$(ask)"
}

# On kernels of their own: what Linux 6.1 and 6.12 may get wrong while an element is replaced is a client's SYN lost, never a client refused.
scene_flips() {
  sed -i '/^up /a on_forced = "keep"' /etc/hanat/conf.d/web.toml
  expect "flows may stay where they are" systemctl reload hanatd
  PAUSE=0 load_begins
  local said
  said=$(python3 "$folder/peer.py" flips web 2000 30 2>&1)
  if [ "${said%% *}" -ge 200 ]; then ok "$said"; else failed "hundreds of flips" "$said"; fi
  load_ends "none failed, none broken"
  local slowest
  slowest=$(sed -nE 's/.*slowest ([0-9]+) ms/\1/p' "$work/load")
  expect "none waited longer than for a second SYN" test "$slowest" -lt 2000
  hanatctl auto web >/dev/null
  moves_to primary 20
  sed -i '/^on_forced/d' /etc/hanat/conf.d/web.toml
  systemctl reload hanatd
}

load_begins() {
  rm -f "$work/load"
  start loader client python3 "$folder/peer.py" load "$vip" 443 20 "$work/load"
  within 20 file_says "$work/load" begun || failed "the load could not begin"
}
load_ends() { # TEXT
  sleep 1
  kill -TERM "$loader"
  within 20 grep -q held "$work/load"
  if grep -q ' 0 failed, 20 held, 0 broken' "$work/load"; then ok "$1: $(cat "$work/load")"; else failed "$1" "$(cat "$work/load")"; fi
}

# Figures of the benchmark that HANAT_BENCH of tests/vm/run.sh has brought here: it and the programs that it measures run with the loader and
# the libraries of the machine that built them.
scene_benchmark() {
  local name program
  program=$(echo "$folder"/bench/hanat-bench-*)
  mkdir "$work/programs"
  for name in hanatd hanatctl "${program##*/}"; do
    printf '#!/bin/sh\nexec %s --library-path %s %s "$@"\n' "$folder/bench/lib/ld-linux-x86-64.so.2" "$folder/bench/lib" "$folder/bench/$name" >"$work/programs/$name"
    chmod 755 "$work/programs/$name"
  done
  modprobe -a nf_conntrack ip_vs ip_vs_rr # no program may load them from a namespace of its own
  sysctl -qw net.netfilter.nf_conntrack_max=524288 # a small machine has room for fewer than a benchmark of cuts makes
  # shellcheck disable=SC2046 # one word or none
  if HANAT_PROGRAMS=$work/programs "$work/programs/${program##*/}" $(cat "$folder/bench/form") 2>&1; then ok "the benchmark has run"; else failed "the benchmark runs"; fi
}
