# shellcheck shell=bash disable=SC2154,SC2317,SC2329 # sourced by run.sh, which calls these functions by name
# Servers of names. Not here: what all servers have in common (servers.sh).

start_dnsmasq() {
  folder dnsmasq root
  cat >"$work/dnsmasq/conf" <<END
listen-address=${address[dnsmasq]}
bind-interfaces
no-resolv
no-hosts
user=root
pid-file=$work/dnsmasq/pid
address=/www.example/192.0.2.1
END
  in_root dnsmasq -C "$work/dnsmasq/conf"
  probe_names dnsmasq
}
probe_names() { # SERVER
  probed "$1" 53 udp name 'type = "dns", name = "www.example", answer = "192.0.2.1"'
  probed "$1" 53 tcp tcp 'type = "tcp"'
}
reload_dnsmasq() { kill -HUP "$(pid_in dnsmasq/pid)"; }
version_dnsmasq() { in_root dnsmasq -v | sed -n 's/Dnsmasq version \([^ ]*\).*/\1/p'; }

start_unbound() {
  folder unbound unbound
  cat >"$work/unbound/conf" <<END
server:
  interface: ${address[unbound]}
  username: ""
  chroot: ""
  directory: "$work/unbound"
  pidfile: "$work/unbound/pid"
  logfile: "$work/unbound/log"
  access-control: 0.0.0.0/0 allow
  module-config: "iterator"
  local-zone: "example." static
  local-data: "www.example. A 192.0.2.1"
remote-control:
  control-enable: yes
  control-interface: $work/unbound/socket
  control-use-cert: no
END
  in_root unbound -c "$work/unbound/conf"
  probe_names unbound
}
reload_unbound() { in_root unbound-control -q -c "$work/unbound/conf" reload; }
version_unbound() { in_root unbound -V | sed -n 's/Version //p'; }

zone() { # FILE
  # shellcheck disable=SC2016 # the dollar is the zone's
  printf '$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 192.0.2.53\nwww A 192.0.2.1\n' >"$1"
}
start_bind() {
  folder bind bind
  zone "$work/bind/zone"
  printf 'key "key" { algorithm hmac-sha256; secret "%s"; };\n' "$(openssl rand -base64 32)" >"$work/bind/rndc.key"
  cat >"$work/bind/conf" <<END
include "$work/bind/rndc.key";
controls { inet ${address[bind]} port 953 allow { any; } keys { key; }; };
options {
  directory "$work/bind"; pid-file "$work/bind/pid"; session-keyfile none; managed-keys-directory "$work/bind";
  listen-on { ${address[bind]}; }; listen-on-v6 { none; }; recursion no; allow-query { any; }; notify no;
};
zone "example" { type primary; file "$work/bind/zone"; };
END
  in_root chown -R bind "$work/bind"
  in_root named -u bind -c "$work/bind/conf" -L "$work/bind/log"
  probe_names bind
}
reload_bind() { in_root rndc -s "${address[bind]}" -k "$work/bind/rndc.key" reload >/dev/null; }
version_bind() { in_root named -v | sed -n 's/BIND \([^ -]*\).*/\1/p'; }

start_knot() {
  folder knot knot
  zone "$work/knot/zone"
  cat >"$work/knot/conf" <<END
server:
    rundir: "$work/knot"
    user: knot:knot
    pidfile: "$work/knot/pid"
    listen: ${address[knot]}@53
control:
    listen: "$work/knot/socket"
database:
    storage: "$work/knot/db"
log:
  - target: "$work/knot/log"
    any: info
template:
  - id: default
    storage: "$work/knot"
    file: zone
    zonefile-load: whole
zone:
  - domain: example
END
  in_root chown -R knot "$work/knot"
  in_root knotd -d -c "$work/knot/conf"
  probe_names knot
}
reload_knot() { in_root knotc -c "$work/knot/conf" reload >/dev/null; }
version_knot() { in_root knotd --version | sed -n 's/.* \([0-9.]*\)$/\1/p'; }
