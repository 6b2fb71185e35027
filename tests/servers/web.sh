# shellcheck shell=bash disable=SC2154,SC2317,SC2329 # sourced by run.sh, which calls these functions by name
# Servers of web pages. Not here: what all servers have in common (servers.sh).

probe_web() { # SERVER MORE
  probed "$1" 80 tcp http "type = \"http\", path = \"/health\", body = \"fine\"${2-}"
  probed "$1" 443 tcp https "type = \"https\", path = \"/health\", body = \"fine\", $verified${2-}"
  probed "$1" 443 tcp tls "type = \"tls\", host = \"server.example\", $signed${2-}"
  probed "$1" 80 tcp tcp 'type = "tcp"'
}

start_nginx() {
  folder nginx root
  cat >"$work/nginx/conf" <<END
user www-data;
pid $work/nginx/pid;
error_log $work/nginx/log;
worker_processes 2;
events { worker_connections 500; }
http {
  access_log off;
  client_body_temp_path $work/nginx/b; proxy_temp_path $work/nginx/p; fastcgi_temp_path $work/nginx/f;
  uwsgi_temp_path $work/nginx/u; scgi_temp_path $work/nginx/s;
  server {
    listen ${address[nginx]}:80;
    listen ${address[nginx]}:81 http2;
    listen ${address[nginx]}:443 ssl http2;
    ssl_certificate $work/nginx/crt;
    ssl_certificate_key $work/nginx/key;
    location = /health { return 200 "fine\n"; }
    location = /post { client_max_body_size 100; client_body_buffer_size 100; proxy_pass http://${address[nginx]}:82; }
  }
  server { listen ${address[nginx]}:82; location / { return 200 "fine\n"; } }
}
END
  in_root /usr/sbin/nginx -q -c "$work/nginx/conf" # by its path, which it starts again at an upgrade
  probe_web nginx
  probed nginx 81 tcp http2 'type = "http", http_version = "2", path = "/health"'
  probed nginx 443 tcp https2 "type = \"https\", http_version = \"2\", path = \"/health\", $verified"
  probed nginx 80 tcp post 'type = "http", method = "POST", path = "/post", request_body = "ping", body = "fine"'
}
# By turns: new workers; and a new binary, which takes the sockets over from the old one.
reload_nginx() {
  local old
  old=$(pid_in nginx/pid)
  if [ $((turn % 2)) = 0 ]; then
    kill -HUP "$old"
    return
  fi
  kill -USR2 "$old"
  for _ in $(seq 50); do
    if [ -s "$work/nginx/pid.oldbin" ] && [ -s "$work/nginx/pid" ] && [ "$(pid_in nginx/pid)" != "$old" ]; then
      kill -QUIT "$old"
      return
    fi
    sleep 0.1
  done
  return 1
}
version_nginx() { in_root nginx -v 2>&1 | sed 's|.*/||'; }

start_apache() {
  folder apache root
  mkdir -p "$work/apache/htdocs"
  printf 'fine\n' >"$work/apache/htdocs/health"
  cat >"$work/apache/conf" <<END
ServerRoot /etc/apache2
ServerName server.example
PidFile $work/apache/pid
DefaultRuntimeDir $work/apache
ErrorLog $work/apache/log
User www-data
Group www-data
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule socache_shmcb_module /usr/lib/apache2/modules/mod_socache_shmcb.so
LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so
Listen ${address[apache]}:80
Listen ${address[apache]}:443 https
DocumentRoot $work/apache/htdocs
SSLSessionCache shmcb:$work/apache/sessions(512000)
<VirtualHost ${address[apache]}:443>
  ServerName server.example
  SSLEngine on
  SSLCertificateFile $work/apache/crt
  SSLCertificateKeyFile $work/apache/key
</VirtualHost>
END
  in_root apache2 -f "$work/apache/conf" -k start
  probe_web apache "$patient"
}
reload_apache() { in_root apache2 -f "$work/apache/conf" -k graceful; }
version_apache() { in_root apache2 -v | sed -n 's|.*Apache/\([^ ]*\).*|\1|p'; }

start_haproxy() {
  folder haproxy root
  cat >"$work/haproxy/conf" <<END
global
  stats socket $work/haproxy/socket mode 600 level admin expose-fd listeners
  hard-stop-after 20s
defaults
  mode http
  timeout client 10s
  timeout server 10s
  timeout connect 1s
frontend web
  bind ${address[haproxy]}:80
  bind ${address[haproxy]}:443 ssl crt $work/haproxy/pem alpn h2,http/1.1
  http-request return status 200 content-type text/plain string fine
END
  in_root haproxy -W -D -S "$work/haproxy/master" -p "$work/haproxy/pid" -f "$work/haproxy/conf"
  probe_web haproxy
}
reload_haproxy() { kill -USR2 "$(pid_in haproxy/pid)"; }
version_haproxy() { in_root haproxy -v | sed -n 's/.*version \([^ -]*\).*/\1/p'; }

start_lighttpd() {
  folder lighttpd www-data
  mkdir -p "$work/lighttpd/htdocs"
  printf 'fine\n' >"$work/lighttpd/htdocs/health"
  cat >"$work/lighttpd/conf" <<END
server.modules = ( "mod_openssl" )
server.document-root = "$work/lighttpd/htdocs"
server.errorlog = "$work/lighttpd/log"
server.pid-file = "$work/lighttpd/pid"
server.username = "www-data"
server.groupname = "www-data"
server.bind = "${address[lighttpd]}"
server.port = 80
\$SERVER["socket"] == "${address[lighttpd]}:443" {
  ssl.engine = "enable"
  ssl.pemfile = "$work/lighttpd/crt"
  ssl.privkey = "$work/lighttpd/key"
}
END
  in_root /usr/sbin/lighttpd -f "$work/lighttpd/conf"
  probe_web lighttpd "$patient"
}
reload_lighttpd() { kill -USR1 "$(pid_in lighttpd/pid)"; } # what the package's reload sends # what the package's reload sends
version_lighttpd() { in_root lighttpd -v | sed -n 's|lighttpd/\([^ ]*\).*|\1|p'; }
