// Servers by their names, with a real resolver: a record that changes moves the server, and nothing that happens to the resolver moves
// anything. Not here: which address is taken, and when it is asked for again (unit: names/name_record_test).
#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <stdlib.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/load.hpp"
#include "tests/netns/lab/peers.hpp"

namespace hanat::test {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

/// dnsmasq on the gateway, which knows the names of .lan from a file; each record holds for a second.
class Dns {
public:
  explicit Dns(Lab& lab) : lab_(lab) {
    std::string pattern = (std::filesystem::temp_directory_path() / "hanat-names-XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
    set({});
    start();
  }
  ~Dns() {
    process_.reset();
    std::filesystem::remove_all(directory_);
  }
  Dns(const Dns&) = delete;
  Dns& operator=(const Dns&) = delete;

  void start() {
    process_.emplace(
        lab_.spawn(Host::gateway, {"dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--port=5353",
                                   "--listen-address=127.0.0.1", "--bind-interfaces", "--pid-file=", "--user=root", "--local=/lan/",
                                   "--local-ttl=1", "--cname=alias.lan,db1.lan", "--addn-hosts=" + file()}));
    // A signal before it listens would end it.
    lab_.must(Host::gateway, "for i in $(seq 1000); do ss -Hlun sport = :5353 | grep -q . && exit 0; sleep 0.01; done; exit 1");
  }
  void set(const std::map<std::string, std::vector<Address>>& records) {
    std::ofstream hosts{file(), std::ios::trunc};
    for (const auto& [name, addresses] : records)
      for (const Address& address : addresses) hosts << address.text() << ' ' << name << '\n';
    hosts.close();
    if (process_) process_->signal(SIGHUP);
  }
  void hang(bool on) { process_->signal(on ? SIGSTOP : SIGCONT); }
  void kill() { process_.reset(); }
  std::filesystem::path directory() const { return directory_; }

private:
  std::string file() const { return (directory_ / "hosts").string(); }

  Lab& lab_;
  std::filesystem::path directory_;
  std::optional<Process> process_;
};

class Names : public testing::Test {
protected:
  static std::string config(const std::string& primary, const std::string& backup, const std::string& listen = "\"203.0.113.10:443/tcp\"",
                            const std::string& resolver = "resolver = \"127.0.0.1:5353\"") {
    return fmt::format("[hanatd]\n{}\n[service.web]\nlisten = [{}]\nprimary = \"{}\"\nbackup = \"{}\"\n"
                       "probe = {{ type = \"tcp\", interval = \"50ms\", fast_interval = \"10ms\", timeout = \"200ms\" }}\n"
                       "down = {{ fails = 3, within = \"2s\" }}\nup = {{ passes = 2, stable_for = \"100ms\" }}\n",
                       resolver, listen, primary, backup);
  }
  static std::string backup_address() { return to_text(Lab::endpoint(Host::backup, 8443)); }
  static std::string text_of(Host host) { return to_text(Lab::endpoint(host, 8443)); }
  static ServerStatus of(const Status& status, const char* role) { return server(service(status, "web"), role); }
  static void wait_address(const Hanatd& hanatd, Host host, milliseconds deadline = 5s) {
    hanatd.wait_for([host](const Status& now) { return service(now, "web").target_address == text_of(host); }, deadline);
  }
  static void wait_error(const Hanatd& hanatd, bool fails) {
    hanatd.wait_for([fails](const Status& now) { return of(now, "primary").name->error.has_value() == fails; }, 10s);
  }

  Lab lab{{.backup2 = true}};
  Dns dns{lab};
  TcpServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"};
  TcpServer next{lab, Host::backup2, 8443, "next"};
};

TEST_F(Names, AChangedRecordIsOneMoveWithinItsTimeAndBreaksNothing) {
  dns.set({{"db1.lan", {Lab::address(Host::primary)}}});
  std::string patient = config("DB1.lan:8443", backup_address());
  patient.replace(patient.find("\"100ms\""), 7, "\"5s\""); // the default: it is for servers that have failed
  Hanatd hanatd{lab, patient};
  hanatd.wait_target("web", "primary", 15s); // the backup was first, until the name was known
  EXPECT_EQ(of(hanatd.status(), "primary").name->name, "db1.lan:8443");
  TcpClient standing{lab, Host::client, Lab::vip(443)};
  Load load{lab, Host::client, Lab::vip(443), {.per_second = 200, .duration = 4s}};
  dns.set({{"db1.lan", {Lab::address(Host::backup2)}}});
  const auto changed = TestClock::now();
  wait_address(hanatd, Host::backup2);
  const LoadResult result = load.finish();
  EXPECT_EQ(result.failed(), 0U) << fmt::format("{}", result);
  const std::string by = "next";
  std::optional<TestClock::time_point> first;
  for (const Connect& connect : result.connects) {
    if (connect.by == by && !first) first = connect.started;
    EXPECT_EQ(connect.by, first ? by : "primary") << "one move, and not back";
  }
  ASSERT_TRUE(first);
  EXPECT_LT(*first - changed, 2s) << "its TTL and a second";
  EXPECT_EQ(service(hanatd.status(), "web").flips, 1U);
  EXPECT_EQ(service(hanatd.status(), "web").last_flip->why, "configuration");
  EXPECT_EQ(standing.ask().text, "primary") << "it drains";
  const std::string told =
      fmt::format("primary: db1.lan is {} now, and was {}", Lab::address(Host::backup2).text(), Lab::address(Host::primary).text());
  EXPECT_THAT(hanatd.ctl({"history"}).out, HasSubstr(told));
  EXPECT_THAT(hanatd.log(), HasSubstr(told));
  EXPECT_THAT(hanatd.ctl({"status"}).out, HasSubstr(text_of(Host::backup2) + " (db1.lan)"));
  EXPECT_THAT(hanatd.ctl({"metrics"}).out, HasSubstr("hanat_name_failing{service=\"web\",server=\"primary\",name=\"db1.lan:8443\"} 0"));
}

TEST_F(Names, AResolverThatHangsOrIsGoneChangesNothing) {
  dns.set({{"db1.lan", {Lab::address(Host::primary)}}});
  Hanatd hanatd{lab, config("db1.lan:8443", backup_address())};
  wait_both_up(hanatd);
  dns.hang(true);
  wait_error(hanatd, true);
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(443)).text, "primary");
  EXPECT_THAT(hanatd.ctl({"status"}).out, HasSubstr("its name db1.lan:8443 cannot be resolved"));
  EXPECT_THAT(hanatd.log(), HasSubstr("its last good address, " + Lab::address(Host::primary).text() + ", stays in use"));
  const auto killed = TestClock::now();
  primary.kill();
  hanatd.wait_target("web", "backup");
  EXPECT_LT(TestClock::now() - killed, 3s) << "as without names, on a busy machine, too";
  primary.start();
  dns.kill();
  hanatd.restart(); // it has the address of before
  wait_both_up(hanatd);
  EXPECT_EQ(of(hanatd.status(), "primary").address, text_of(Host::primary));
  wait_error(hanatd, true);
  dns.start();
  wait_error(hanatd, false);
  EXPECT_THAT(hanatd.log(), HasSubstr("names are resolved again"));
}

TEST_F(Names, ANameWithoutAnAddressIsAServerThatIsDown) {
  Hanatd hanatd{lab, config("db1.lan:8443", backup_address())};
  hanatd.wait_target("web", "backup");
  const ServerStatus down = of(hanatd.status(), "primary");
  EXPECT_EQ(down.health, "down");
  EXPECT_EQ(down.address, "db1.lan:8443");
  EXPECT_EQ(down.last->reason, "not-resolved");
  EXPECT_EQ(down.last->detail, "there is no such name (NXDOMAIN)");
  EXPECT_THAT(hanatd.ctl({"status"}).out, HasSubstr("not-resolved (there is no such name (NXDOMAIN))"));
  EXPECT_EQ(hanatd.ctl({"force-primary", "web"}).exit, 1);
  EXPECT_EQ(hanatd.ctl({"disable", "web", "primary"}).exit, 0);
  hanatd.restart();
  EXPECT_TRUE(of(hanatd.status(), "primary").disabled);
  EXPECT_EQ(hanatd.ctl({"enable", "web", "primary"}).exit, 0);
  EXPECT_EQ(hanatd.ctl({"check", hanatd.config().string()}).out,
            hanatd.config().string() +
                ": 1 service, 2 servers: ok\n1 name that hanatd will resolve: db1.lan. To resolve and probe now:\n"
                "-> hanatctl check --ask " +
                hanatd.config().string() + "\n");
  const Output asked = hanatd.ctl({"check", "--ask", hanatd.config().string()});
  EXPECT_EQ(asked.exit, 1);
  EXPECT_THAT(asked.out, HasSubstr("not-resolved (there is no such name (NXDOMAIN))"));
  dns.set({{"db1.lan", {Lab::address(Host::primary)}}});
  wait_address(hanatd, Host::primary, 10s);
  EXPECT_EQ(hanatd.ctl({"check", "--ask", hanatd.config().string()}).exit, 0);
  EXPECT_THAT(hanatd.ctl({"history"}).out, HasSubstr("primary: db1.lan is " + Lab::address(Host::primary).text()));
}

TEST_F(Names, BothFamiliesAndAliasesAreResolvedAndAReloadToANameMovesNobody) {
  const std::vector<Address> both{Lab::address(Host::primary), Lab::address(Host::primary, Family::ipv6)};
  dns.set({{"db1.lan", both}, {"db2.lan", {Lab::address(Host::backup), Lab::address(Host::backup, Family::ipv6)}}});
  Hanatd hanatd{lab, config(text_of(Host::primary), backup_address())};
  wait_both_up(hanatd);
  const std::string listen = R"("203.0.113.10:443/tcp", "[2001:db8::10]:443/tcp")";
  EXPECT_EQ(hanatd.reload(config("alias.lan:8443", "db2.lan:8443", listen)).exit, 0);
  wait_both_up(hanatd);
  EXPECT_EQ(service(hanatd.status(), "web").flips, 0U);
  EXPECT_THAT(of(hanatd.status(), "primary").addresses,
              ElementsAre(text_of(Host::primary), to_text(Lab::endpoint(Host::primary, 8443, Family::ipv6))));
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(443, Family::ipv6)).text, "primary");
  EXPECT_EQ(hanatd.ctl({"force-backup", "web"}).exit, 0);
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(443, Family::ipv6)).text, "backup");
  // The server that an operator has chosen is the one of that name.
  dns.set({{"db1.lan", both}, {"db2.lan", {Lab::address(Host::backup2), Lab::address(Host::backup2, Family::ipv6)}}});
  wait_address(hanatd, Host::backup2);
  EXPECT_EQ(service(hanatd.status(), "web").forced->target, "backup");
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(443)).text, "next");
}

TEST_F(Names, TheServersOfResolvConfAreReadAnewWhenTheyFail) {
  const std::filesystem::path conf = dns.directory() / "resolv.conf";
  std::ofstream{conf} << "nameserver 127.0.0.1\noptions timeout:1\n"; // nobody is there
  dns.set({{"db1.lan", {Lab::address(Host::primary)}}});
  const std::vector<std::string> before{
      "unshare", "--mount", "sh", "-c", fmt::format("mount --bind {} /etc/resolv.conf && exec \"$@\"", conf.string()), "sh"};
  Hanatd hanatd{lab, config("db1.lan:8443", backup_address(), "\"203.0.113.10:443/tcp\"", ""), {.before = before}};
  hanatd.wait_target("web", "backup");
  EXPECT_EQ(of(hanatd.status(), "primary").last->reason, "not-resolved");
  EXPECT_THAT(hanatd.log(), HasSubstr("cannot be resolved (A): the resolver"));
  lab.must(Host::gateway, "ip addr add 127.0.0.53/8 dev lo");
  const Process other =
      lab.spawn(Host::gateway, {"dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--port=53",
                                "--listen-address=127.0.0.53", "--bind-interfaces", "--pid-file=", "--user=root", "--local=/lan/",
                                "--local-ttl=1", "--host-record=db1.lan," + Lab::address(Host::primary).text()});
  std::ofstream{conf} << "nameserver 127.0.0.53\n";
  EXPECT_EQ(hanatd.ctl({"reload"}).exit, 0);
  wait_address(hanatd, Host::primary);
  EXPECT_THAT(hanatd.ctl({"status"}).out, Not(HasSubstr("cannot be resolved")));
}

/// How often each was asked for, as "query[A] n1.lan", by what dnsmasq has logged.
std::map<std::string, int> queries_in(const std::filesystem::path& log) {
  std::map<std::string, int> queries;
  std::ifstream file{log};
  for (std::string line; std::getline(file, line);) {
    const auto at = line.find("query["), end = line.find(" from ", at);
    if (at != std::string::npos && end != std::string::npos) ++queries[line.substr(at, end - at)];
  }
  return queries;
}

TEST_F(Names, AThousandAreEachAskedForOnceWithinTheirTimeAndDelayNothing) {
  constexpr int names = 1'000;
  constexpr auto ttl = 4s;
  std::ofstream hosts{dns.directory() / "many"};
  std::string text = config(text_of(Host::primary), backup_address(), "\"203.0.113.10:443/tcp\"", "resolver = \"127.0.0.1:5354\"");
  for (int number = 1; number <= names; ++number) {
    hosts << Lab::address(Host::backup2).text() << " n" << number << ".lan\n";
    text += fmt::format("[service.s{0}]\nlisten = \"203.0.113.11:{0}/tcp\"\nprimary = \"n{0}.lan:8443\"\n"
                        "probe = {{ type = \"tcp\", interval = \"5s\" }}\n",
                        number);
  }
  hosts.close();
  const std::filesystem::path log = dns.directory() / "queries";
  const Process many =
      lab.spawn(Host::gateway, {"dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--port=5354",
                                "--pid-file=", "--listen-address=127.0.0.1", "--bind-interfaces", "--user=root", "--local=/lan/",
                                "--log-queries", "--log-facility=" + log.string(), fmt::format("--local-ttl={}", ttl.count()),
                                "--addn-hosts=" + (dns.directory() / "many").string()});
  lab.must(Host::gateway, "for i in $(seq 1000); do ss -Hlun sport = :5354 | grep -q . && exit 0; sleep 0.01; done; exit 1");
  const auto began = TestClock::now();
  const Hanatd hanatd{lab, text};
  wait_both_up(hanatd);
  hanatd.wait_for(
      [](const Status& now) {
        return std::ranges::all_of(now.services, [](const ServiceStatus& one) { return server(one, "primary").health == "up"; });
      },
      10s);
  std::this_thread::sleep_until(began + ttl + 300ms); // while all are asked for again
  const auto killed = TestClock::now();
  primary.kill();
  hanatd.wait_target("web", "backup");
  EXPECT_LT(TestClock::now() - killed, 3s) << "as without names, on a busy machine, too";
  const auto queries = queries_in(log);
  const auto most = 1 + (TestClock::now() - began) / ttl;
  EXPECT_GE(queries.size(), std::size_t{names});
  for (const auto& [query, times] : queries) EXPECT_LE(times, most) << query;
}

} // namespace
} // namespace hanat::test
