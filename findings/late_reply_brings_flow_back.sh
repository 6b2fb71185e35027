#!/usr/bin/env bash
# Linux 6.18, nftables 1.0.6 and conntrack 1.4.7 (Debian 12): a UDP flow from a client to an address that a DNAT map sends to server a. The map
# is given server b, and the client's entry is deleted with conntrack -D. One would expect that the client's next packet is a new flow, and so
# goes to b. But where the gateway also gives its servers' packets that address (an ordinary snat rule), one late packet of a is a new flow of
# its own, in the other direction: the client's next packets are its replies, which no map is asked for. They all go to a, as long as they come.
#   before: a    after the flip: b    after the flip and one late packet of a: a, 5 of 5 times
# Ends with 1 when that is otherwise. Needs root (network namespaces of its own), python3, and Debian 12's package archive.
set -eu
folder=$(mktemp -d)
client=finding-$$-c gateway=finding-$$-g servers=finding-$$-s
cleanup() {
  for name in "$client" "$gateway" "$servers"; do
    ip netns pids "$name" 2>/dev/null | xargs -r kill
    ip netns del "$name" 2>/dev/null || true
  done
  rm -rf "$folder"
}
trap cleanup EXIT
(
  cd "$folder"
  apt-get -qq download nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2 conntrack=1:1.4.7-1+b2 libnetfilter-conntrack3=1.0.9-3 >/dev/null 2>&1
  for package in ./*.deb; do dpkg-deb -x "$package" root; done
)
on_gateway() { ip netns exec "$gateway" env LD_LIBRARY_PATH="$folder/root/usr/lib/x86_64-linux-gnu" "$@"; }
for name in "$client" "$gateway" "$servers"; do
  ip netns add "$name"
  ip -n "$name" link set lo up
done
ip link add name eth0 netns "$client" type veth peer name clients netns "$gateway"
ip link add name eth0 netns "$servers" type veth peer name servers netns "$gateway"
ip -n "$client" addr add 198.18.0.2/24 dev eth0
ip -n "$gateway" addr add 198.18.0.1/24 dev clients
ip -n "$gateway" addr add 198.18.1.1/24 dev servers
ip -n "$servers" addr add 198.18.1.2/24 dev eth0
ip -n "$servers" addr add 198.18.1.3/24 dev eth0
for end in "$client eth0" "$servers eth0" "$gateway clients" "$gateway servers"; do ip -n "${end% *}" link set "${end#* }" up; done
ip -n "$client" route add default via 198.18.0.1
ip -n "$servers" route add default via 198.18.1.1
ip netns exec "$gateway" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
cat >"$folder/rules.nft" <<'END'
table ip t {
	map target {
		type ipv4_addr : ipv4_addr
		elements = { 203.0.113.10 : 198.18.1.2 }
	}
	chain prerouting {
		type nat hook prerouting priority dstnat
		dnat to ip daddr map @target
	}
	chain postrouting {
		type nat hook postrouting priority srcnat
		ip saddr 198.18.1.0/24 oifname "clients" snat to 203.0.113.10
	}
}
END
on_gateway "$folder/root/usr/sbin/nft" -f "$folder/rules.nft"
cat >"$folder/servers.py" <<'END'
import select, socket, sys
names = {}
for address, name in (("198.18.1.2", b"a"), ("198.18.1.3", b"b")):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, 80))
    names[server] = name
print("ready", flush=True)
while True:
    for ready in select.select([*names, sys.stdin], [], [])[0]:
        if ready is sys.stdin:  # a late packet of a
            if not sys.stdin.readline(): sys.exit()
            next(iter(names)).sendto(b"late", ("198.18.0.2", 40000))
            print("sent", flush=True)
        else:
            ready.sendto(names[ready], ready.recvfrom(100)[1])
END
cat >"$folder/client.py" <<'END'
import socket, sys
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.bind(("198.18.0.2", 40000))
client.settimeout(2)
for _ in sys.stdin:
    client.sendto(b"?", ("203.0.113.10", 80))
    answer = b"late"
    while answer == b"late": answer = client.recv(100)
    print(answer.decode(), flush=True)
END
coproc SERVERS { ip netns exec "$servers" python3 "$folder/servers.py"; }
servers_out=${SERVERS[0]} servers_in=${SERVERS[1]}
mkfifo "$folder/ask" "$folder/answers"
ip netns exec "$client" python3 "$folder/client.py" <"$folder/ask" >"$folder/answers" &
exec 8>"$folder/ask" 9<"$folder/answers"
ask() {
  echo >&8
  read -r answer <&9
}
forget() { on_gateway "$folder/root/usr/sbin/conntrack" -D -p udp --orig-port-src 40000 >/dev/null 2>&1 || true; }
flip() { on_gateway "$folder/root/usr/sbin/nft" "delete element ip t target { 203.0.113.10 }; add element ip t target { 203.0.113.10 : $1 }"; }
read -r _ <&"$servers_out"
ask
before=$answer
flip 198.18.1.3
forget
ask
after=$answer
flip 198.18.1.2
forget
ask
flip 198.18.1.3
forget
echo >&"$servers_in"
read -r _ <&"$servers_out"
times=0
for _ in 1 2 3 4 5; do
  ask
  if [ "$answer" = a ]; then times=$((times + 1)); fi
done
seen="before: $before    after the flip: $after    after the flip and one late packet of a: a, $times of 5 times"
printf '%s\n' "$seen"
[ "$seen" = 'before: a    after the flip: b    after the flip and one late packet of a: a, 5 of 5 times' ] || {
  printf 'otherwise than described above\n' >&2
  exit 1
}
