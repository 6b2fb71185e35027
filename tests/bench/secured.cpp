// What a probe costs the loop: without TLS and with it, by a whole handshake and by a resumed session, with a login and without. Against
// Debian's Redis and PostgreSQL. hanat-bench-secured [short]. Needs root; works on loopback of a network namespace of its own.
// Not here: thousands of probes (probes).
#include <chrono>
#include <stdexcept>
#include <string>

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "tests/bench/table.hpp"
#include "tests/netns/lab/authority.hpp"
#include "tests/netns/lab/isolated.hpp"
#include "tests/netns/lab/real_server.hpp"

namespace hanat::bench {
namespace {

using namespace std::chrono_literals;

double cpu_us() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  const auto us = [](const timeval& time) { return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec); };
  return us(usage.ru_utime) + us(usage.ru_stime);
}

/// The loop's time for one probe, once its first one is through.
void measure(const char* what, const probes::Probe& probe, std::size_t count, bool has_target = false) {
  test::Probing probing;
  probing.scheduler->add(probe, {.interval = 5ms}, 0s);
  const auto run = [&](std::size_t results) {
    const std::size_t until = probing.results.size() + results;
    if (!probing.run_until([&] { return probing.results.size() >= until; }, 120s)) throw std::runtime_error("no results");
  };
  run(20);
  const double before = cpu_us();
  const std::size_t first = probing.results.size();
  run(count);
  const double cost = (cpu_us() - before) / static_cast<double>(probing.results.size() - first);
  for (const auto& received : probing.results)
    if (received.result.outcome != probes::Outcome::pass) throw std::runtime_error(what + (": " + test::reason_text(received.result)));
  Line line{.what = what, .unit = "us", .figure = {.median = cost}};
  if (has_target) line.target = at_most("median", cost, 600); // a thousand a second of 0.6 of a core
  print(line);
}

std::string start_postgres(const test::TempFolder& folder) {
  const std::string data = folder.file("data");
  test::shell(
      fmt::format("chmod 755 {0} && chown nobody:nogroup {0} {0}/good.key && cd / && {1}{2}/initdb -D {3} --no-sync --wal-segsize=1 "
                  "-A trust -U boss -E SQL_ASCII --locale=C >/dev/null",
                  folder.path().string(), test::as_nobody, test::pg_bin, data));
  folder.write("users", "CREATE ROLE hanat LOGIN PASSWORD 'pencil'; CREATE ROLE free LOGIN;\n");
  test::shell(fmt::format("cd / && {}{}/postgres --single -D {} postgres <{} >/dev/null", test::as_nobody, test::pg_bin, data,
                          folder.file("users")));
  folder.write("data/pg_hba.conf", "host all free 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n");
  return fmt::format("{0}{1}/postgres -F -D {2} -k {3} -c listen_addresses=127.0.0.1 -c ssl=on -c ssl_cert_file={3}/good.crt "
                     "-c ssl_key_file={3}/good.key",
                     test::as_nobody, test::pg_bin, data, folder.path().string());
}

void compare(bool small) {
  const std::size_t count = small ? 200 : 2'000;
  const test::TempFolder folder;
  const test::Authority authority{folder, "ca"};
  authority.issue("good");
  folder.write("password", "pencil\n");
  chmod(folder.file("password").c_str(), 0600);
  const std::string tls = fmt::format(", tls = {{ ca = \"{}\", name = \"db.example\" }}", folder.file("ca.crt"));
  const std::string login = fmt::format(", user = \"hanat\", password_file = \"{}\"", folder.file("password"));
  const auto redis = [&](const char* more) {
    return fmt::format("redis-server --bind 127.0.0.1 --save '' --dir {0} --port {1} --tls-port {2} --tls-cert-file {0}/good.crt "
                       "--tls-key-file {0}/good.key --tls-ca-cert-file {0}/ca.crt --tls-auth-clients no {3}",
                       folder.path().string(), 6379, 6380, more);
  };
  test::RealServer server{folder, redis("--user hanat on '>pencil' +ping +role")};
  test::RealServer postgres{folder, start_postgres(folder)};
  const auto probe = [](std::uint16_t port, const std::string& keys) {
    const auto made = test::configured_probe(port, keys);
    if (!test::comes_up(made)) throw std::runtime_error("does not come up: " + keys);
    return made;
  };
  const std::string pg = "type = \"postgres\", database = \"postgres\", writable = true";
  measure("redis", probe(6379, "type = \"redis\""), count);
  measure("redis, login", probe(6379, "type = \"redis\"" + login), count);
  measure("redis, login, TLS: resumed", probe(6380, "type = \"redis\"" + login + tls), count, true);
  const std::string whole = fmt::format("type = \"tls\", host = \"db.example\", tls = {{ ca = \"{}\" }}", folder.file("ca.crt"));
  measure("tls: a whole handshake", probe(6380, whole), count);
  measure("postgres, trust", probe(5432, pg + ", user = \"free\""), count);
  measure("postgres, SCRAM", probe(5432, pg + login), count, true);
  measure("postgres, trust, TLS: PostgreSQL resumes no session", probe(5432, pg + ", user = \"free\"" + tls), count, true);
  measure("postgres, SCRAM, TLS", probe(5432, pg + login + tls), count, true);
  postgres.stop(SIGINT);
}

} // namespace
} // namespace hanat::bench

int main(int argc, char** argv) {
  return hanat::bench::run(argc, argv, [](bool small) { hanat::test::isolated([small] { hanat::bench::compare(small); }); });
}
