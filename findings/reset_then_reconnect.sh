#!/usr/bin/env bash
# Linux 6.18, nftables 1.0.6 (Debian 12): a server falls silent, the DNAT map is given another one, and a rule `reject with tcp reset` resets
# the client in the middle of its old connection. The client connects again from the same port, as clients with a bound port do. One would
# expect a new flow, and so the new server: the old connection was reset, and conntrack shows its entry in CLOSE. But the SYN belongs to that
# entry, whose translation stays, and goes to the silent server until it times out. (Conntrack reopens an entry in CLOSE only where the client
# itself had sent the reset.) Another port reaches the new server at once.
#   first connection: a    after the flip: reset    same port again: timed out    another port: b
# Ends with 1 when that is otherwise. Needs root (network namespaces of its own), python3, and Debian 12's package archive.
set -eu
version=1.0.6-2+deb12u2
folder=$(mktemp -d)
client=finding-$$-c gateway=finding-$$-g
cleanup() {
  ip netns pids "$gateway" 2>/dev/null | xargs -r kill
  ip netns del "$client" 2>/dev/null || true
  ip netns del "$gateway" 2>/dev/null || true
  rm -rf "$folder"
}
trap cleanup EXIT
(
  cd "$folder"
  apt-get -qq download "nftables=$version" "libnftables1=$version" >/dev/null 2>&1
  for package in ./*.deb; do dpkg-deb -x "$package" root; done
)
nft() { ip netns exec "$gateway" env LD_LIBRARY_PATH="$folder/root/usr/lib/x86_64-linux-gnu" "$folder/root/usr/sbin/nft" "$@"; }
ip netns add "$client"
ip netns add "$gateway"
ip link add name c netns "$client" type veth peer name g netns "$gateway"
ip -n "$client" addr add 198.18.0.2/24 dev c
ip -n "$gateway" addr add 198.18.0.1/24 dev g
for address in 203.0.113.10 203.0.113.11 203.0.113.12; do ip -n "$gateway" addr add "$address/32" dev g; done
ip -n "$client" link set c up
ip -n "$gateway" link set g up
ip -n "$client" route add 203.0.113.0/24 via 198.18.0.1
cat >"$folder/rules.nft" <<'END'
table ip t {
	map target {
		type ipv4_addr : ipv4_addr
		elements = { 203.0.113.10 : 203.0.113.11 }
	}
	set stale {
		type ipv4_addr
	}
	chain guard {
		type filter hook prerouting priority -110
		ip daddr 203.0.113.10 tcp flags & (syn | rst) == 0 ct reply ip saddr @stale reject with tcp reset
	}
	chain dnat_prerouting {
		type nat hook prerouting priority dstnat
		dnat to ip daddr map @target
	}
	chain silent {
		type filter hook input priority 0
	}
}
END
nft -f "$folder/rules.nft"
cat >"$folder/server.py" <<'END'
import socket, sys, threading
listener = socket.create_server((sys.argv[1], 80))
def answer(connection):
    while connection.recv(100): connection.sendall(sys.argv[2].encode())
while True: threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()
END
ip netns exec "$gateway" python3 "$folder/server.py" 203.0.113.11 a &
ip netns exec "$gateway" python3 "$folder/server.py" 203.0.113.12 b &
cat >"$folder/client.py" <<'END'
import socket, sys, time
def ask(port):
    for attempt in range(50):
        try:
            connection = socket.create_connection(("203.0.113.10", 80), timeout=4, source_address=("0.0.0.0", port))
            break
        except ConnectionRefusedError:  # the servers start
            time.sleep(0.1)
        except TimeoutError:
            return None, "timed out"
    connection.sendall(b"?")
    return connection, connection.recv(1).decode()
first, name = ask(40000)
print("first connection:", name, end="    ", flush=True)
sys.stdin.readline()  # the flip
try:
    first.sendall(b"?")
    print("after the flip:", first.recv(1).decode(), end="    ")
except ConnectionResetError:
    print("after the flip: reset", end="    ")
first.close()
print("same port again:", ask(40000)[1], end="    ")
print("another port:", ask(40001)[1])
END
mkfifo "$folder/flip"
ip netns exec "$client" python3 "$folder/client.py" <"$folder/flip" >"$folder/seen" &
exec 3>"$folder/flip"
for _ in $(seq 100); do
  if grep -q connection "$folder/seen"; then break; fi
  sleep 0.1
done
nft 'delete element ip t target { 203.0.113.10 }; add element ip t target { 203.0.113.10 : 203.0.113.12 }; add element ip t stale { 203.0.113.11 }; add rule ip t silent ip daddr 203.0.113.11 drop'
echo >&3
wait $!
cat "$folder/seen"
grep -qx 'first connection: a    after the flip: reset    same port again: timed out    another port: b' "$folder/seen" || {
  printf 'otherwise than described above\n' >&2
  exit 1
}
