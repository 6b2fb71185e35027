# shellcheck shell=bash disable=SC2154,SC2317,SC2329 # sourced by run.sh, which calls these functions by name
# Servers of data: Redis and its like, PostgreSQL and what stands before it, MariaDB. Not here: what all servers have in common (servers.sh).

start_like_redis() { # NAME
  local name=$1
  folder "$name" root
  cat >"$work/$name/acl" <<END
user default off
user hanat on >pencil +ping +role
user admin on >crayon ~* &* +@all
END
  cat >"$work/$name/conf" <<END
bind ${address[$name]}
port 6379
tls-port 6380
tls-cert-file $work/$name/crt
tls-key-file $work/$name/key
tls-ca-cert-file $work/ca.crt
tls-auth-clients no
aclfile $work/$name/acl
dir $work/$name
daemonize yes
logfile $work/$name/log
appendonly yes
END
  in_root "$name-server" "$work/$name/conf"
  probed "$name" 6379 tcp plain "type = \"redis\", role = \"master\", $login"
  probed "$name" 6380 tcp tls "type = \"redis\", role = \"master\", $login, $secure"
  probed "$name" 6379 tcp tcp 'type = "tcp", send = "PING\r\n", expect = "NOAUTH"'
}
# There is no graceful restart: certificates, users and files are read and written anew.
reload_like_redis() {
  local name=$1 command
  for command in "config set tls-cert-file $work/$name/crt" 'acl load' bgrewriteaof bgsave; do
    # shellcheck disable=SC2086 # words
    in_root "$name-cli" -h "${address[$name]}" --user admin --pass crayon --no-auth-warning $command >/dev/null
  done
}
start_redis() { start_like_redis redis; }
reload_redis() { reload_like_redis redis; }
version_redis() { in_root redis-server --version | sed -n 's/.* v=\([^ ]*\).*/\1/p'; }
start_valkey() { start_like_redis valkey; }
reload_valkey() { reload_like_redis valkey; }
version_valkey() { in_root valkey-server --version | sed -n 's/.* v=\([^ ]*\).*/\1/p'; }

pg_bin() { in_root sh -c 'echo /usr/lib/postgresql/*/bin'; }
start_postgres() {
  local bin
  bin=$(pg_bin)
  folder postgres postgres
  as postgres "$bin/initdb" -D "$work/postgres/data" --no-sync -A trust -U postgres -E UTF8 --locale=C >/dev/null
  printf "CREATE ROLE hanat LOGIN PASSWORD 'pencil';\n" >"$work/postgres/sql"
  as postgres "$bin/postgres" --single -D "$work/postgres/data" postgres <"$work/postgres/sql" >/dev/null
  cat >>"$work/postgres/data/postgresql.conf" <<END
listen_addresses = '${address[postgres]}'
unix_socket_directories = '$work/postgres'
ssl = on
ssl_cert_file = '$work/postgres/crt'
ssl_key_file = '$work/postgres/key'
fsync = off
END
  printf 'local all postgres trust\nhost all pgbouncer 198.18.20.0/24 trust\nhostssl all hanat 0.0.0.0/0 scram-sha-256\n' \
    >"$work/postgres/data/pg_hba.conf"
  as postgres "$bin/pg_ctl" -D "$work/postgres/data" -l "$work/postgres/log" -w start >/dev/null
  probed postgres 5432 tcp writable "type = \"postgres\", database = \"postgres\", writable = true, $login, $secure"
  probed postgres 5432 tcp login "type = \"postgres\", tls = true"
}
reload_postgres() { kill -HUP "$(head -n 1 "$work/postgres/data/postmaster.pid")"; }
version_postgres() { in_root "$(pg_bin)/postgres" -V | sed 's/.*) \([^ ]*\).*/\1/'; }

start_pgbouncer() {
  folder pgbouncer postgres
  cat >"$work/pgbouncer/conf" <<END
[databases]
postgres = host=${address[postgres]} user=hanat password=pencil
[pgbouncer]
listen_addr = ${address[pgbouncer]}
listen_port = 6432
unix_socket_dir = $work/pgbouncer
so_reuseport = 1
auth_type = scram-sha-256
auth_file = $work/pgbouncer/users
server_tls_sslmode = require
client_tls_sslmode = allow
client_tls_cert_file = $work/pgbouncer/crt
client_tls_key_file = $work/pgbouncer/key
logfile = $work/pgbouncer/log
pidfile = $work/pgbouncer/pid
END
  printf '"hanat" "pencil"\n' >"$work/pgbouncer/users"
  as postgres pgbouncer -q -d "$work/pgbouncer/conf"
  probed pgbouncer 6432 tcp writable "type = \"postgres\", database = \"postgres\", writable = true, $login, $secure"
  probed pgbouncer 6432 tcp plain "type = \"postgres\", database = \"postgres\", $login"
}
# In turn: its settings read again, its connections to PostgreSQL made anew, a new process that takes the sockets over from the old one.
reload_pgbouncer() {
  case $((turn % 3)) in
  0) kill -HUP "$(pid_in pgbouncer/pid)" ;;
  1) as postgres psql -X -q -h "$work/pgbouncer" -p 6432 -U pgbouncer -c RECONNECT pgbouncer >/dev/null ;;
  2) as postgres pgbouncer -q -R -d "$work/pgbouncer/conf" 2>>"$work/pgbouncer/restart" ;;
  esac
}
version_pgbouncer() { in_root pgbouncer --version | sed -n 's/PgBouncer //p'; }

start_mariadb() {
  folder mariadb mysql
  local options="--no-defaults --user=mysql --datadir=$work/mariadb/data --innodb-flush-method=nosync"
  # shellcheck disable=SC2086 # words
  in_root mariadb-install-db $options --auth-root-authentication-method=normal --skip-test-db >"$work/mariadb/install" 2>&1
  printf "CREATE USER hanat@'%%' IDENTIFIED BY 'pencil' REQUIRE SSL;\n" >"$work/mariadb/sql"
  # shellcheck disable=SC2086 # words
  in_root mariadbd $options --socket="$work/mariadb/socket" --bind-address="${address[mariadb]}" --init-file="$work/mariadb/sql" \
    --ssl-cert="$work/mariadb/crt" --ssl-key="$work/mariadb/key" --ssl-ca="$work/ca.crt" --skip-name-resolve \
    >"$work/mariadb/log" 2>&1 &
  probed mariadb 3306 tcp writable "type = \"mysql\", writable = true, $login, $secure"
  probed mariadb 3306 tcp login 'type = "mysql", tls = true'
}
reload_mariadb() { in_root mariadb --no-defaults -S "$work/mariadb/socket" -uroot -e 'FLUSH SSL; FLUSH LOGS; FLUSH TABLES; FLUSH PRIVILEGES; FLUSH HOSTS'; }
version_mariadb() { in_root mariadbd --version | sed -n 's/.*Ver \([^ -]*\).*/\1/p'; }
