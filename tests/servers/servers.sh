# shellcheck shell=bash disable=SC2034,SC2154 # sourced by run.sh, which sets work and root
# What the servers of this folder have in common: addresses, packages, how they are started and how it is said that hanatd probes them.
# web.sh, stores.sh, mail.sh and names.sh have for each server NAME a function that writes its configuration, starts it and says how it is
# probed (start_NAME), one that reloads it or restarts it without an interruption, as its package does or its manual says (reload_NAME; `turn`
# counts these), and one that prints its version (version_NAME). Not here: the tree that they run in, namespaces, hanatd, results (run.sh).

# Each has an address of its own in the servers' namespace: 198.18.20.N.
declare -A address=([nginx]=198.18.20.1 [apache]=198.18.20.2 [haproxy]=198.18.20.3 [lighttpd]=198.18.20.4 [redis]=198.18.20.5
  [valkey]=198.18.20.6 [postgres]=198.18.20.7 [pgbouncer]=198.18.20.8 [mariadb]=198.18.20.9 [postfix]=198.18.20.10 [exim]=198.18.20.11
  [dnsmasq]=198.18.20.12 [unbound]=198.18.20.13 [bind]=198.18.20.14 [knot]=198.18.20.15)

# Debian's packages of them, but for Exim (unpack_exim in run.sh)
server_packages=(nginx-light apache2 haproxy lighttpd lighttpd-mod-openssl redis-server postgresql pgbouncer mariadb-server postfix
  dnsmasq-base unbound bind9 knot)

# in_root COMMAND...: in the servers' namespace and tree
in_root() {
  if [ -n "$root" ]; then set -- chroot "$root" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 "$@"; fi
  nsenter --net=/run/netns/servers "$@"
}
# as USER COMMAND...
as() {
  local user=$1
  shift
  in_root setpriv --reuid="$user" --regid="$(in_root id -g "$user")" --clear-groups "$@"
}
# folder NAME OWNER: of a server, with the certificate that is its
folder() {
  mkdir -p "$work/$1"
  cp "$work/server.crt" "$work/$1/crt"
  cp "$work/server.key" "$work/$1/key"
  cat "$work/server.key" "$work/server.crt" >"$work/$1/pem"
  chmod 600 "$work/$1/key" "$work/$1/pem"
  in_root chown -R "$2" "$work/$1"
}
# probed SERVER PORT PROTOCOL LABEL KEYS: a service that hanatd probes so
probed() {
  local name=$1-$4
  printf '[service.%s]\nlisten = "203.0.113.10:%d/%s"\nprimary = "%s:%d"\nprobe = { %s }\n' "$name" "$((++listener))" "$3" \
    "${address[$1]}" "$2" "$5${HANAT_INTERVAL:+, interval = \"$HANAT_INTERVAL\"}" >>"$work/hanat.toml"
  services+=("$name")
}
# Each graceful restart of Apache, and of lighttpd while a client keeps its connection, lets new clients wait for a second or so (findings/
# has both), and so does each reload of Postfix, whose smtpd asks its anvil, which has ended, again a second later. A probe that waits for
# that long, too, gets its answer.
patient=', timeout = "3s"'
pid_in() { cat "$work/$1"; }
secure="tls = { ca = \"$work/ca.crt\", name = \"server.example\" }"
verified="host = \"server.example\", tls = { ca = \"$work/ca.crt\" }"
login="user = \"hanat\", password_file = \"$work/password\""
signed="tls = { ca = \"$work/ca.crt\" }"
