// Flows that a helper of the operator's relates to a client's flow, FTP data and TFTP: they leave the old server with their master.
// Not here: entries made by hand, by every method (nat/conntrack/cut_test).
#include <string>
#include <string_view>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/observer.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"
#include "tests/netns/lab/synth.hpp"

namespace hanat::test {
namespace {

constexpr std::uint16_t related_health_port = 9998;

class Related : public testing::Test {
protected:
  void SetUp() override {
    lab.must(Host::gateway,
             "nft -f - <<'END'\ntable inet operators {\n"
             "  ct helper ftp {\n    type \"ftp\" protocol tcp\n  }\n  ct helper tftp {\n    type \"tftp\" protocol udp\n  }\n"
             "  chain c {\n    type filter hook prerouting priority -150;\n"
             "    tcp dport 21 ct helper set \"ftp\"\n    udp dport 69 ct helper set \"tftp\"\n  }\n}\nEND");
  }
  static std::string config(std::uint16_t port, const char* protocol) {
    return fast_service({.listen = fmt::format("203.0.113.10:{}/{}", port, protocol),
                         .port = port,
                         .probe = fmt::format("type = \"tcp\", port = {}", related_health_port)});
  }
  void wait_until_both_are_up(const Hanatd& hanatd) {
    hanatd.wait_target("web", "primary");
    hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "backup").health == "up"; });
  }
  /// Probes are not tracked, but a reply of theirs may be.
  static bool is_probe(const Flow& flow) { return flow.client.port == related_health_port || flow.mapping.vip.port == related_health_port; }
  std::size_t entries_of_the_primary() {
    const Address primary = Lab::address(Host::primary);
    return lab.in(Host::gateway, [&] {
      return count_entries(
          [&](const Flow& flow) { return !is_probe(flow) && (flow.mapping.server.address == primary || flow.client.address == primary); });
    });
  }
  void expect_no_entry_of_the_primary(const Hanatd& hanatd) {
    std::size_t left = entries_of_the_primary();
    for (const auto end = TestClock::now() + milliseconds{5000}; left > 0 && TestClock::now() < end; left = entries_of_the_primary())
      std::this_thread::sleep_for(milliseconds{20});
    EXPECT_EQ(left, 0U) << lab.must(Host::gateway, "conntrack -L 2>/dev/null") << hanatd.log();
  }

  Lab lab;
  TcpServer primary_health{lab, Host::primary, related_health_port, "primary"},
      backup_health{lab, Host::backup, related_health_port, "backup"};
};

TEST_F(Related, FtpDataGoesWithItsControlConnection) {
  constexpr std::uint16_t data_port = 30'000; // 117 * 256 + 48
  const StreamServer control{lab, Host::primary, 21, [](std::string& input) {
                               input.clear();
                               return std::string{"227 Entering Passive Mode (198,18,11,2,117,48)\r\n"};
                             }};
  const TcpServer data_server{lab, Host::primary, data_port, "data of the primary"};
  const Hanatd hanatd{lab, config(21, "tcp")};
  wait_until_both_are_up(hanatd);
  TcpClient client{lab, Host::client, Lab::vip(21)};
  client.ask(); // the helper reads from the second line on
  ASSERT_EQ(client.ask().text, "227 Entering Passive Mode (203,0,113,10,117,48)\r") << "the helper is at work";
  TcpClient data{lab, Host::client, Lab::vip(data_port)};
  ASSERT_EQ(data.ask().text, "data of the primary");
  ASSERT_EQ(entries_of_the_primary(), 2U);
  lab.silent(Host::primary, true);
  hanatd.wait_target("web", "backup");
  EXPECT_EQ(client.wait_for_end(milliseconds{3000}).result, Result::reset);
  expect_no_entry_of_the_primary(hanatd);
  hanatd.wait_for([](const Status& now) { return service(now, "web").last_flip.value().cut.tcp == 2; });
}

TEST_F(Related, TftpDataGoesWithItsRequest) {
  constexpr std::uint16_t data_port = 30'069;
  Observer requests{lab, Host::primary, SOCK_DGRAM, 69}, transfer{lab, Host::primary, SOCK_DGRAM, data_port};
  const Hanatd hanatd{lab, config(69, "udp")};
  wait_until_both_are_up(hanatd);
  Observer client{lab, Host::client, SOCK_DGRAM, 40'000};
  constexpr std::string_view read_request{"\0\1file\0octet\0", 13};
  client.say(Lab::vip(69), std::string{read_request});
  const auto from = requests.hear();
  ASSERT_TRUE(from);
  transfer.say(*from, "block 1");
  ASSERT_EQ(client.hear(), Lab::vip(data_port)) << "the helper is at work";
  client.say(Lab::vip(data_port), "ack 1");
  ASSERT_TRUE(transfer.hear());
  ASSERT_EQ(entries_of_the_primary(), 2U);
  lab.silent(Host::primary, true);
  hanatd.wait_target("web", "backup");
  expect_no_entry_of_the_primary(hanatd);
  hanatd.wait_for([](const Status& now) { return service(now, "web").last_flip.value().cut.udp == 2; });
}

} // namespace
} // namespace hanat::test
