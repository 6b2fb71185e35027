// hanatctl import against the old systems themselves: Debian's iptables and haproxy serve, a client asks who answers; then hanatd serves by
// what was imported, and the same server answers. keepalived checks the samples that are imported (ip_vs is not in every kernel).
// Not here: what becomes of single lines (tests/unit/cli/import).
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/unit/temp_dir.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;
using test::connect_once;
using test::hanatctl_program;
using test::Hanatd;
using test::Host;
using test::Lab;
using test::TcpServer;
using test::UdpClient;
using test::UdpServer;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

struct ImportQuestion {
  std::string text; // "203.0.113.10:80/tcp"
  Protocol protocol;
  Endpoint to;
};
ImportQuestion tcp_question(const char* address, std::uint16_t port) {
  const Endpoint to{.address = *Address::parse(address), .port = port};
  return {.text = to_text(to) + "/tcp", .protocol = Protocol::tcp, .to = to};
}
ImportQuestion udp_question(const char* address, std::uint16_t port) {
  const Endpoint to{.address = *Address::parse(address), .port = port};
  return {.text = to_text(to) + "/udp", .protocol = Protocol::udp, .to = to};
}

/// Who answers on each, by name; otherwise the result in words.
std::map<std::string, std::string> names_of_answers(Lab& lab, const std::vector<ImportQuestion>& questions) {
  std::map<std::string, std::string> names;
  for (const ImportQuestion& question : questions) {
    const test::Attempt attempt =
        question.protocol == Protocol::tcp ? connect_once(lab, Host::client, question.to) : UdpClient{lab, Host::client, question.to}.ask();
    const std::string name = attempt.text.substr(0, attempt.text.find(' '));
    names[question.text] = attempt.result == test::Result::answered ? name : std::string{to_text(attempt.result)};
  }
  return names;
}

/// What the operator does to switch over: the line is removed.
std::string in_force(std::string toml) {
  const std::string line = "mode = \"observe\"\n";
  const auto at = toml.find(line);
  EXPECT_NE(at, std::string::npos) << toml;
  return toml.erase(at, line.size());
}

std::string imported_by(Lab& lab, const std::string& system, const std::string& text, int status) {
  const auto output = lab.run(Host::gateway, {hanatctl_program(), "import", system, "-"}, text);
  EXPECT_EQ(output.exit, status) << output.err;
  EXPECT_THAT(output.err, HasSubstr("carried over"));
  return output.out;
}

/// In mode observe there are no targets yet.
bool servers_up(const Status& status) {
  return std::ranges::all_of(status.services, [](const ServiceStatus& service) { return service.servers.front().health == "up"; });
}
bool all_served(const Status& status) {
  return std::ranges::none_of(status.services, [](const ServiceStatus& service) { return service.target == "none"; });
}

std::string imported_rules() {
  const std::string primary = Lab::address(Host::primary).text(), backup = Lab::address(Host::backup).text();
  return fmt::format(
      "*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n:dmz - [0:0]\n"
      "-A PREROUTING -d 203.0.113.10/32 -p tcp -m multiport --dports 25,587 -m comment --comment \"mail in\" -j DNAT --to-destination {0}\n"
      "-A PREROUTING -d 203.0.113.10/32 -p tcp -m tcp --dport 443 -j DNAT --to-destination {1}:8443\n"
      "-A PREROUTING -d 203.0.113.10/32 -p udp -m udp --dport 5000:5010 -j DNAT --to-destination {0}:6000-6010/5000\n"
      "-A PREROUTING -d 203.0.113.11/32 -j dmz\n"
      "-A PREROUTING -d 203.0.113.11/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination {0}:80\n"
      "-A dmz -p tcp -m tcp --dport 80 -j DNAT --to-destination {1}:80\n"
      "-A dmz -p udp -m udp --dport 53 -j DNAT --to-destination {1}:53\n"
      "-A POSTROUTING -d {1}/32 -p tcp -m tcp --dport 8443 -j MASQUERADE\n"
      "COMMIT\n",
      primary, backup);
}

/// The name of a server is that of its host and its port.
struct ImportServers {
  explicit ImportServers(Lab& lab) {
    for (const auto& [host, name] : {std::pair{Host::primary, "primary"}, std::pair{Host::backup, "backup"}}) {
      for (const std::uint16_t port : {std::uint16_t{25}, std::uint16_t{80}, std::uint16_t{587}, std::uint16_t{8443}})
        tcp.push_back(std::make_unique<TcpServer>(lab, host, port, fmt::format("{}:{}", name, port)));
      for (const std::uint16_t port : {std::uint16_t{53}, std::uint16_t{6000}, std::uint16_t{6007}})
        udp.push_back(std::make_unique<UdpServer>(lab, host, port, fmt::format("{}:{}", name, port)));
    }
  }
  std::vector<std::unique_ptr<TcpServer>> tcp;
  std::vector<std::unique_ptr<UdpServer>> udp;
};

TEST(ImportedIptables, SendsClientsWhereIptablesDid) {
  Lab lab;
  const ImportServers servers{lab};
  const std::vector<ImportQuestion> questions{tcp_question("203.0.113.10", 25),   tcp_question("203.0.113.10", 587),
                                              tcp_question("203.0.113.10", 443),  udp_question("203.0.113.10", 5000),
                                              udp_question("203.0.113.10", 5007), tcp_question("203.0.113.11", 80),
                                              udp_question("203.0.113.11", 53)};
  const auto loaded = lab.run(Host::gateway, {"iptables-restore"}, imported_rules());
  ASSERT_EQ(loaded.exit, 0) << loaded.err;
  const auto before = names_of_answers(lab, questions);
  EXPECT_EQ(before.at("203.0.113.10:443/tcp"), "backup:8443");
  EXPECT_EQ(before.at("203.0.113.10:5007/udp"), "primary:6007");
  const std::string saved = lab.must(Host::gateway, "iptables-save"); // in its own words
  std::string toml = imported_by(lab, "iptables", saved, 1);          // the rule that is never reached is lost
  const test::TempDir directory;
  // The safe path of docs/coming-from-iptables.md: look on, take over beside the rules, then remove them.
  Hanatd hanatd{lab, toml};
  hanatd.wait_for(servers_up);
  EXPECT_EQ(names_of_answers(lab, questions), before);
  const std::string name = hanatd.status().services.at(0).name;
  const std::string why = hanatd.ctl({"why", name}).out;
  EXPECT_THAT(why, AllOf(HasSubstr("is only observed"), HasSubstr("would send"), Not(HasSubstr("NO SERVER"))));
  test::write_text(directory / "next.toml", in_force(toml));
  EXPECT_THAT(hanatd.ctl({"plan", directory / "next.toml"}).out, HasSubstr("hanatd takes it over: new connections go"));
  const auto reloaded = hanatd.reload(in_force(toml));
  ASSERT_EQ(reloaded.exit, 0) << reloaded.err;
  hanatd.wait_for(all_served);
  EXPECT_EQ(names_of_answers(lab, questions), before) << toml;
  lab.must(Host::gateway, "iptables -t nat -F && iptables -t nat -X");
  EXPECT_EQ(names_of_answers(lab, questions), before) << toml;
}

TEST(ImportedIptables, SendsIpv6ClientsWhereIp6tablesDid) {
  Lab lab;
  const ImportServers servers{lab};
  const auto loaded =
      lab.run(Host::gateway, {"ip6tables-restore"},
              fmt::format("*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -d 2001:db8::10/128 -p tcp -m tcp --dport 443 -j DNAT "
                          "--to-destination [{}]:8443\nCOMMIT\n",
                          Lab::address(Host::backup, Family::ipv6).text()));
  ASSERT_EQ(loaded.exit, 0) << loaded.err;
  const std::vector<ImportQuestion> questions{tcp_question("2001:db8::10", 443)};
  const auto before = names_of_answers(lab, questions);
  EXPECT_EQ(before.begin()->second, "backup:8443");
  const std::string saved = lab.must(Host::gateway, "ip6tables-save");
  lab.must(Host::gateway, "ip6tables -t nat -F");
  const Hanatd hanatd{lab, in_force(imported_by(lab, "iptables", saved, 0))};
  hanatd.wait_for(all_served);
  EXPECT_EQ(names_of_answers(lab, questions), before);
}

std::string imported_proxy() {
  const std::string primary = Lab::address(Host::primary).text(), backup = Lab::address(Host::backup).text();
  return fmt::format(
      "defaults\n  mode tcp\n  timeout connect 2s\n  timeout client 10s\n  timeout server 10s\n  timeout check 1s\n"
      "frontend mail\n  bind 203.0.113.10:25,203.0.113.10:587\n  default_backend relays\n"
      "backend relays\n  server mx1 {0} check inter 1s fall 3 rise 2 port 25\n  server mx2 {1} check inter 1s port 25 backup\n"
      "listen web\n  bind 203.0.113.11:443\n  server dead {0}:9 check inter 200ms fall 1\n  server live {1}:8443 check inter 200ms "
      "backup\n",
      primary, backup);
}

TEST(ImportedHaproxy, SendsClientsWhereHaproxyDid) {
  Lab lab{{.vip_local = true, .return_routes = false}}; // the servers know HAProxy alone
  const ImportServers servers{lab};
  const test::TempDir directory;
  test::write_text(directory / "haproxy.cfg", imported_proxy());
  const std::vector<ImportQuestion> questions{tcp_question("203.0.113.10", 25), tcp_question("203.0.113.10", 587),
                                              tcp_question("203.0.113.11", 443)};
  std::map<std::string, std::string> before;
  {
    const test::Process haproxy = lab.spawn(Host::gateway, {"haproxy", "-db", "-f", directory / "haproxy.cfg"});
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    do {
      std::this_thread::sleep_for(50ms);
      before = names_of_answers(lab, questions);
    } while (before.at("203.0.113.11:443/tcp") != "backup:8443" && std::chrono::steady_clock::now() < deadline);
  }
  EXPECT_EQ(before,
            (std::map<std::string, std::string>{
                {"203.0.113.10:25/tcp", "primary:25"}, {"203.0.113.10:587/tcp", "primary:587"}, {"203.0.113.11:443/tcp", "backup:8443"}}));
  const Hanatd hanatd{lab, in_force(imported_by(lab, "haproxy", imported_proxy(), 0))};
  hanatd.wait_target("web", "backup");
  hanatd.wait_target("mail", "primary");
  EXPECT_EQ(names_of_answers(lab, questions), before);
}

struct OldProgram {
  const char *folder, *extension, *command;
  std::vector<std::string> without; // files that are faulty on purpose, or name certificates that are not there
};

// The samples are what the old programs themselves take.
TEST(ImportSamples, AreTakenByTheOldPrograms) {
  Lab lab;
  const OldProgram programs[] = {
      {"iptables", ".rules", "case {0} in *ipv6*) ip6tables-restore --test {0};; *) iptables-restore --test {0};; esac", {"oddities"}},
      {"keepalived", ".conf", "keepalived -t -C -f {0}", {"oddities", "ipv6"}},
      {"haproxy", ".cfg", "haproxy -c -f {0}", {"oddities", "tls-ends"}}};
  for (const OldProgram& program : programs) {
    std::size_t checked = 0;
    for (const auto& entry :
         std::filesystem::directory_iterator(std::string{HANAT_SOURCE "/tests/unit/cli/import/samples/"} + program.folder)) {
      const auto& file = entry.path();
      if (file.extension() != program.extension || std::ranges::find(program.without, file.stem().string()) != program.without.end())
        continue;
      const auto output = lab.run(Host::client, fmt::format(fmt::runtime(program.command), file.string()) + " 2>&1");
      EXPECT_EQ(output.exit, 0) << file << ": " << output.out;
      ++checked;
    }
    EXPECT_GE(checked, 6U) << program.folder;
  }
}

TEST(ImportedFile, IsWhatTheManualSaysOfExitStatus) {
  Lab lab;
  const auto none = lab.run(Host::gateway, {hanatctl_program(), "import", "haproxy", "/nonexistent.cfg"}, "");
  EXPECT_EQ(none.exit, 2);
  EXPECT_THAT(none.err, HasSubstr("/nonexistent.cfg cannot be read: No such file or directory; name the configuration of haproxy, or -"));
  const auto folder = lab.run(Host::gateway, {hanatctl_program(), "import", "haproxy", "/etc"}, "");
  EXPECT_EQ(folder.exit, 2);
  EXPECT_THAT(folder.err, HasSubstr("/etc cannot be read: Is a directory"));
  const auto document = lab.run(Host::gateway, {hanatctl_program(), "-j", "import", "iptables", "-"}, imported_rules());
  EXPECT_EQ(document.exit, 1);
  EXPECT_THAT(document.out, HasSubstr("\"lost_lines\": 1"));
  EXPECT_TRUE(none.out.empty() && folder.out.empty());
}

} // namespace
} // namespace hanat
