# shellcheck shell=bash disable=SC2154,SC2317,SC2329 # sourced by run.sh, which calls these functions by name
# Servers of mail. Not here: what all servers have in common (servers.sh).

start_postfix() {
  folder postfix root
  mkdir -p "$work/postfix/c" "$work/postfix/q" "$work/postfix/d"
  in_root chown postfix "$work/postfix/d"
  cat >"$work/postfix/c/main.cf" <<END
compatibility_level = 3.6
queue_directory = $work/postfix/q
data_directory = $work/postfix/d
maillog_file = $work/postfix/log
maillog_file_prefixes = $work
inet_interfaces = ${address[postfix]}
inet_protocols = ipv4
myhostname = server.example
mydestination =
alias_maps =
local_recipient_maps =
smtpd_tls_security_level = may
smtpd_tls_chain_files = $work/postfix/pem
END
  cat >"$work/postfix/c/master.cf" <<END
25 inet n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
tlsmgr unix - - n 1000? 1 tlsmgr
anvil unix - - n - 1 anvil
cleanup unix n - n - 0 cleanup
rewrite unix - - n - - trivial-rewrite
END
  in_root postfix -c "$work/postfix/c" start 2>"$work/postfix/start"
  probe_mail postfix "$patient"
}
probe_mail() { # SERVER MORE
  probed "$1" 25 tcp plain "type = \"smtp\", hello = \"gw.example\"${2-}"
  probed "$1" 25 tcp starttls "type = \"smtp\", hello = \"gw.example\", $secure${2-}"
}
reload_postfix() { in_root postfix -c "$work/postfix/c" reload 2>>"$work/postfix/start"; }
version_postfix() { in_root postconf -d -h mail_version; }

# In the one place that its daemon may read again at a reload, when it is root no more.
start_exim() {
  folder exim Debian-exim
  mkdir -p "$root/etc/exim4"
  cat >"$root/etc/exim4/exim4.conf" <<END
primary_hostname = server.example
local_interfaces = ${address[exim]}
daemon_smtp_ports = 25
spool_directory = $work/exim/spool
log_file_path = $work/exim/%slog
pid_file_path = $work/exim/pid
never_users =
host_lookup =
keep_environment =
tls_advertise_hosts = *
tls_certificate = $work/exim/crt
tls_privatekey = $work/exim/key
begin acl
begin routers
begin transports
END
  in_root exim4 -bd -q30m
  probe_mail exim
}
reload_exim() { kill -HUP "$(pid_in exim/pid)"; }
version_exim() { in_root exim4 -bV | sed -n 's/Exim version \([^ ]*\).*/\1/p'; }
