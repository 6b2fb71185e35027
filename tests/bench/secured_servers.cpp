// Each server as small and as quiet as it can be.
#include "tests/bench/secured_servers.hpp"

#include <csignal>
#include <memory>

#include <fmt/format.h>
#include <sys/stat.h>

namespace hanat::bench {
namespace {

using test::Host;

// As if they had machines of their own: hanatd takes the processor from them whenever it has something to do.
constexpr const char* at_leisure = "nice -n 19 ";

} // namespace

std::string SecuredServers::address(unsigned number) { return fmt::format("198.18.11.{}", 3 + number); }

SecuredServers::SecuredServers(test::Lab& lab) : lab_(lab), authority_(folder_, "ca") {
  const std::string place = folder_.path().string();
  authority_.issue("good", "-days 9", "nobody");
  folder_.write("password", "pencil\n");
  chmod(folder_.file("password").c_str(), 0600);
  test::shell(fmt::format("chmod 755 {0} && chown nobody:nogroup {0}", place));
  std::string addresses_of_primary;
  for (unsigned number = 0; number < addresses; ++number) addresses_of_primary += fmt::format("addr add {}/24 dev eth0\n", address(number));
  folder_.write("addresses", addresses_of_primary);
  lab_.must(Host::primary, "ip -batch " + folder_.file("addresses"));
  prepare_postgres();
  prepare_mariadb();
  prepare_postfix();
  const std::string secure = fmt::format("tls = {{ ca = \"{}\", name = \"db.example\" }}", authority());
  const std::string login = fmt::format("user = \"hanat\", password_file = \"{}\", {}", folder_.file("password"), secure);
  all_ = {{{.name = "redis", .port = 6379, .keys = R"(type = "redis", role = "master", )" + login},
           {.name = "postgres", .port = 5432, .keys = R"(type = "postgres", database = "postgres", writable = true, )" + login},
           {.name = "mysql", .port = 3306, .keys = R"(type = "mysql", writable = true, )" + login},
           {.name = "smtp", .port = 2525, .keys = R"(type = "smtp", hello = "gw.example", )" + secure}}};
  lab_.place(Host::primary).on_keeper([&] {
    for (const std::string& command : {redis(), postgres(), mariadb(), postfix()})
      running_.push_back(std::make_unique<test::RealServer>(folder_, at_leisure + command));
  });
  for (const SecuredServer& server : all_) // until somebody listens there
    lab_.must(Host::gateway, fmt::format("for i in $(seq 150); do bash -c '</dev/tcp/{}/{}' 2>/dev/null && exit; sleep 0.1; done; exit 1",
                                         address(0), server.port));
}

SecuredServers::~SecuredServers() {
  running_.at(1)->stop(SIGINT); // PostgreSQL leaves shared memory behind otherwise
}

std::string SecuredServers::redis() const {
  return fmt::format("redis-server --bind 0.0.0.0 --port 0 --tls-port 6379 --dir {0} --save '' --tls-cert-file {0}/good.crt "
                     "--tls-key-file {0}/good.key --tls-ca-cert-file {0}/ca.crt --tls-auth-clients no --user default off "
                     "--user hanat on '>pencil' +ping +role",
                     folder_.path().string());
}

void SecuredServers::prepare_postgres() {
  const std::string data = folder_.file("data");
  test::shell(fmt::format("cd / && {}{}/initdb -D {} --no-sync --wal-segsize=1 -A trust -U boss -E SQL_ASCII --locale=C >/dev/null",
                          test::as_nobody, test::pg_bin, data));
  folder_.write("users", "CREATE ROLE hanat LOGIN PASSWORD 'pencil';\n");
  test::shell(fmt::format("cd / && {}{}/postgres --single -D {} postgres <{} >/dev/null", test::as_nobody, test::pg_bin, data,
                          folder_.file("users")));
  folder_.write("data/pg_hba.conf", "hostssl all all 0.0.0.0/0 scram-sha-256\n");
}

std::string SecuredServers::postgres() const {
  return fmt::format("{0}{1}/postgres -F -D {2} -k {3} -c listen_addresses=0.0.0.0 -c max_connections=500 -c shared_buffers=4MB -c ssl=on "
                     "-c ssl_cert_file={3}/good.crt -c ssl_key_file={3}/good.key",
                     test::as_nobody, test::pg_bin, folder_.file("data"), folder_.path().string());
}

void SecuredServers::prepare_mariadb() {
  folder_.write("mysql-users", "CREATE USER hanat@'%' IDENTIFIED BY 'pencil';\n");
  test::shell(fmt::format("mariadb-install-db --no-defaults --user=nobody --datadir={} --debug-no-sync --innodb-flush-method=nosync "
                          "--innodb-log-file-size=4M --auth-root-authentication-method=normal --skip-test-db >/dev/null 2>&1",
                          folder_.file("mysql")));
}

std::string SecuredServers::mariadb() const {
  return fmt::format("mariadbd --no-defaults --user=nobody --datadir={0}/mysql --debug-no-sync --innodb-flush-method=nosync "
                     "--innodb-log-file-size=4M --socket={0}/s --port=3306 --bind-address=0.0.0.0 --init-file={0}/mysql-users "
                     "--skip-name-resolve --require-secure-transport --max-connections=500 --ssl-ca={0}/ca.crt --ssl-cert={0}/good.crt "
                     "--ssl-key={0}/good.key",
                     folder_.path().string());
}

void SecuredServers::prepare_postfix() {
  const std::string place = folder_.path().string();
  test::shell(fmt::format("cd {} && mkdir c q d && chown postfix d && cat good.key good.crt >good.pem && chmod 600 good.pem && "
                          "chown root good.pem",
                          place));
  folder_.write("c/main.cf", fmt::format("compatibility_level = 3.6\nqueue_directory = {0}/q\ndata_directory = {0}/d\nmaillog_file = "
                                         "/dev/stdout\ninet_interfaces = all\nmyhostname = mx.example\nmydestination =\nalias_maps "
                                         "=\nlocal_recipient_maps =\nsmtpd_peername_lookup = no\nmax_use = "
                                         "100000\nsmtpd_client_connection_count_limit = 0\nsmtpd_tls_security_level = may\n"
                                         "smtpd_tls_chain_files = {0}/good.pem\n",
                                         place));
  folder_.write("c/master.cf", "2525 inet n - n - 50 smtpd\npostlog unix-dgram n - n - 1 postlogd\ntlsmgr unix - - n 1000? 1 tlsmgr\n"
                               "anvil unix - - n - 1 anvil\n");
  test::shell(fmt::format("postfix -c {}/c check 2>/dev/null", place));
}

std::string SecuredServers::postfix() const { return fmt::format("/usr/lib/postfix/sbin/master -c {}/c -d", folder_.path().string()); }

} // namespace hanat::bench
